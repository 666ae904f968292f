//! What the end of a connection means for the transfer on it.

use super::outcome::{Failure, Reason};
use super::stall::{FIRST_WORD, STALL};
use crate::base::text::disarm;
use crate::transport::config::{HANDSHAKE_TIMEOUT, IDLE_TIMEOUT};
use crate::transport::error::End;
use crate::wire::handshake::RefuseCode;
use std::net::SocketAddr;

/// Which side of the files a user is on, and of the connection: it decides what to advise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standpoint {
    /// This side has the files.
    pub is_sender: bool,
    /// This side opened the connection.
    pub is_initiator: bool,
}

impl Standpoint {
    /// What to do about a peer that is gone.
    #[must_use]
    pub fn again(self) -> &'static str {
        match (self.is_sender, self.is_initiator) {
            (true, true) => "send again when it is back",
            (false, true) => "get it again when it is back",
            (false, false) => "its user has to send again",
            (true, false) => "its user has to get it again",
        }
    }

    /// What to do about a peer that was told to end.
    fn restart(self) -> &'static str {
        match (self.is_sender, self.is_initiator) {
            (true, true) => "start it again, then send again",
            (false, true) => "start it again, then get it again",
            (_, false) => self.again(),
        }
    }

    /// What runs at the other side, where this one opens the connection.
    #[must_use]
    pub fn listener(self) -> &'static str {
        if self.is_sender { "`volley recv`" } else { "`volley share`" }
    }
}

/// What the end of the connection to `peer` means for a transfer that is not complete.
#[must_use]
pub fn failure_of_end(end: &End, peer: SocketAddr, standpoint: Standpoint) -> Failure {
    let (host, port) = (peer.ip().to_canonical(), peer.port());
    let (again, listener) = (standpoint.again(), standpoint.listener());
    let (reason, text) = match end {
        End::Gone => {
            let text = format!("{host} refuses UDP port {port}: its program has ended; {again}");
            (Reason::Interrupted, text)
        }
        End::Forgotten => {
            let text = format!(
                "{host} knows nothing of this transfer any more: its program was started anew; {again}"
            );
            (Reason::Interrupted, text)
        }
        End::HeldOff => {
            let text =
                format!("{host} is busy: it has no place for this transfer; try again later");
            (Reason::Refused, text)
        }
        End::Unintelligible => {
            let text = format!(
                "something answers on UDP port {port} of {host} that is not understood; check that \
                 {listener} of the same version runs there, and the port"
            );
            (Reason::Unreachable, text)
        }
        End::Local | End::Protocol(_) => (Reason::Other, disarm(&end.to_string())),
        End::NobodyListens => {
            let text = format!(
                "{host} refuses UDP port {port}: nothing listens there; check that \
                 {listener} runs there, and the address and port"
            );
            (Reason::Unreachable, text)
        }
        End::Peer { code, reason } => return failure_of_close(*code, reason, standpoint),
        End::Refused { code, reason } if reason.is_empty() => {
            let text = match code {
                RefuseCode::Busy => "refused: it is busy; try again later",
                RefuseCode::Unsupported => "refused: it does not do what was asked for",
            };
            (Reason::Refused, text.into())
        }
        End::Refused { .. } | End::Strategy => (Reason::Refused, disarm(&end.to_string())),
        End::Silent => {
            let silence = IDLE_TIMEOUT.as_secs();
            let text =
                format!("nothing received from {host} on UDP port {port} for {silence} s; {again}");
            (Reason::Interrupted, text)
        }
        End::Unreachable => {
            let silence = HANDSHAKE_TIMEOUT.as_secs();
            let text = format!(
                "no answer from {host} on UDP port {port} for {silence} s; check that \
                 {listener} runs there, the address and port, and that firewalls let UDP \
                 port {port} through"
            );
            (Reason::Unreachable, text)
        }
        End::Version { .. } => (Reason::Version, disarm(&end.to_string())),
    };
    Failure::new(reason, text)
}

/// What becomes of a sender that does not say what it has to send.
#[must_use]
pub fn wordless() -> Failure {
    let text = format!("the sender came and offered nothing for {} s", FIRST_WORD.as_secs());
    Failure::new(Reason::Interrupted, text)
}

/// What becomes of a transfer that does not move any more, as the other side does not do what was `waited_for`.
#[must_use]
pub fn stalled(waited_for: &str) -> Failure {
    Failure::new(Reason::Interrupted, format!("{waited_for} for {} s", STALL.as_secs()))
}

/// What stands for a reason that was not given.
fn words_of(code: u16) -> String {
    let words = match Reason::from_code(code) {
        Reason::Integrity => "what arrived is not what was sent",
        Reason::Refused => "it does not want it",
        Reason::Exists => "something has that name already",
        Reason::Full => "no space left",
        Reason::Source => "the source is missing, unreadable or changed",
        Reason::Version => "it speaks another version",
        _ => return format!("it gave no reason (code {code})"),
    };
    words.into()
}

/// What it means that the other side ended a transfer with that code.
#[must_use]
pub fn failure_of_close(code: u16, reason: &str, standpoint: Standpoint) -> Failure {
    let restart = standpoint.restart();
    let text = if reason.is_empty() { words_of(code) } else { disarm(reason) };
    match Reason::from_code(code) {
        _ if code == 0 => {
            Failure::new(Reason::Interrupted, "the other side ended the transfer before its end")
        }
        Reason::Deadline => Failure::new(
            Reason::Interrupted,
            format!("the time limit of the other side is up; {restart}"),
        ),
        reason if reason.is_order() => Failure::new(
            Reason::Interrupted,
            format!("the other side was interrupted by its user; {restart}"),
        ),
        reason => Failure::new(reason, format!("the other side ended the transfer: {text}")),
    }
}
