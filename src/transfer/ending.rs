//! What the end of a connection means for the transfer on it.

use super::outcome::{Failure, Reason};
use crate::base::text::escape;
use crate::transport::config::{HANDSHAKE_TIMEOUT, IDLE_TIMEOUT};
use crate::transport::error::End;
use std::net::SocketAddr;

/// What the end of the connection to `peer` means for a transfer that is not complete, and what to do
/// `again`.
#[must_use]
pub fn failure_of_end(end: &End, peer: SocketAddr, again: &str) -> Failure {
    let (host, port) = (peer.ip().to_canonical(), peer.port());
    let (reason, text) = match end {
        End::Gone => {
            let text = format!("{host} refuses UDP port {port}: its program has ended; {again}");
            (Reason::Interrupted, text)
        }
        End::Local | End::Protocol(_) => (Reason::Other, escape(&end.to_string())),
        End::NobodyListens => {
            let text = format!(
                "{host} refuses UDP port {port}: nothing listens there; check that \
                 `volley recv` runs there, and the address and port"
            );
            (Reason::Unreachable, text)
        }
        End::Peer { code, reason } => return failure_of_close(*code, reason),
        End::Refused { .. } | End::Strategy => (Reason::Refused, escape(&end.to_string())),
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
                 `volley recv` runs there, the address and port, and that firewalls let UDP \
                 port {port} through"
            );
            (Reason::Unreachable, text)
        }
        End::Version { .. } => (Reason::Version, escape(&end.to_string())),
    };
    Failure::new(reason, text)
}

/// What it means that the other side ended a transfer with that code.
#[must_use]
pub fn failure_of_close(code: u16, reason: &str) -> Failure {
    let text = escape(reason);
    match Reason::from_code(code) {
        _ if code == 0 => {
            Failure::new(Reason::Interrupted, "the other side ended the transfer before its end")
        }
        Reason::Deadline => Failure::new(
            Reason::Interrupted,
            "the time limit of the other side is up; start it again, then send again",
        ),
        reason if reason.is_order() => Failure::new(
            Reason::Interrupted,
            "the other side was interrupted by its user; start it again, then send again",
        ),
        reason => Failure::new(reason, format!("the other side ended the transfer: {text}")),
    }
}
