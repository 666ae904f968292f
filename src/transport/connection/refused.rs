//! Somebody at the peer's address says that no connection is there.

use super::{Connection, State};
use crate::base::time::Instant;
use crate::transport::config::{GONE_PROBE, GONE_SPAN, REFUSED_HELLO_SPAN, REFUSED_SPAN};
use crate::transport::error::End;
use crate::transport::timers::Timer;
use crate::wire::header::{ConnectionId, HEADER_LEN, Header, PacketType};

impl Connection {
    /// The system at the peer's address, or somebody in its name, said that no program has the port.
    /// `quoted` is what it quotes of our datagram, as much of it as there is.
    pub fn handle_refusal(&mut self, now: Instant, quoted: &[u8]) {
        if !self.has_sent(quoted) {
            return;
        }
        let is_first = self.refusals.note(now);
        match self.state {
            State::Connecting(_) if self.refusals.convince(now, REFUSED_HELLO_SPAN) => {
                self.end(End::NobodyListens);
            }
            State::Established if self.refusals.convince(now, REFUSED_SPAN) => self.end(End::Gone),
            // What is outstanding is probed for, and that tells whether the refusal was true.
            State::Established => self.ping_due |= is_first,
            State::Connecting(_) | State::Closing(_) | State::Ended => {}
        }
    }

    /// The peer's address, or somebody in its name, said that it knows of no connection with that id.
    pub fn handle_gone(&mut self, now: Instant, id: ConnectionId) {
        if !self.is_established() || id != self.peer_id {
            return;
        }
        let is_first = self.refusals.note(now);
        if self.refusals.convince(now, GONE_SPAN) {
            return self.end(End::Forgotten);
        }
        self.ping_due |= is_first;
        self.timers.set(Timer::KeepAlive, Some(now + GONE_PROBE));
    }

    /// Whether a datagram that begins like that may be ours. Systems that quote no more than the UDP
    /// header leave that open.
    fn has_sent(&self, quoted: &[u8]) -> bool {
        let Ok(header) = Header::read(quoted) else {
            return quoted.len() < HEADER_LEN;
        };
        match &self.state {
            State::Connecting(hello) => {
                let id = quoted.get(HEADER_LEN..HEADER_LEN + 4);
                let is_own = id.is_none_or(|id| id == hello.connection_id.0.to_be_bytes());
                header.kind == PacketType::Hello && is_own
            }
            _ => header.connection_id == self.peer_id,
        }
    }
}
