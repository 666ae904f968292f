//! How a connection ends.

use crate::wire::cursor::Malformed;
use crate::wire::handshake::RefuseCode;

/// Why a connection is over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum End {
    /// The peer's system refuses its port: the program there has ended.
    #[error("the program at the other side has ended")]
    Gone,
    /// The program at the peer's port does not know the connection: it was started anew.
    #[error("the other side knows nothing of this connection any more")]
    Forgotten,
    /// A busy responder asked for patience until that was at an end.
    #[error("the other side has no place for this connection")]
    HeldOff,
    /// This side closed it.
    #[error("closed here")]
    Local,
    /// Nobody answered, and the system there refuses the port.
    #[error("nothing listens there")]
    NobodyListens,
    /// The peer closed it; code 0 means that all is well.
    #[error("closed by the peer: {reason}")]
    Peer {
        /// The transfer's code.
        code: u16,
        /// For a person to read. Not to be trusted, nor shown unescaped.
        reason: String,
    },
    /// The peer broke the protocol.
    #[error("the other side broke the protocol: {0}")]
    Protocol(#[from] Malformed),
    /// The responder will not have this connection.
    #[error("refused: {reason}")]
    Refused {
        /// What kind of refusal.
        code: RefuseCode,
        /// For a person to read. Not to be trusted, nor shown unescaped.
        reason: String,
    },
    /// Nothing arrived for the idle timeout.
    #[error("nothing received for {} s", super::config::IDLE_TIMEOUT.as_secs())]
    Silent,
    /// The responder does not follow the strategy that was asked for.
    #[error("the other side does not know the strategy that was asked for")]
    Strategy,
    /// Something answered, and not as a responder would.
    #[error("what answers there is not understood")]
    Unintelligible,
    /// Nobody answered.
    #[error("no answer for {} s", super::config::HANDSHAKE_TIMEOUT.as_secs())]
    Unreachable,
    /// The responder speaks other versions.
    #[error(
        "the other side speaks other versions of the protocol: {theirs:?}; install the same version \
         of volley on both"
    )]
    Version {
        /// Those it offers.
        theirs: Vec<u16>,
    },
}
