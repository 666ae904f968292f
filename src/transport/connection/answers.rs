//! The handshake's packets, once there is a connection: answers to HELLO, and HELLO again.

use super::{Connection, Event, State};
use crate::base::time::{Duration, Instant};
use crate::transport::error::End;
use crate::transport::timers::Timer;
use crate::transport::trace::TraceEvent;
use crate::wire::cursor::Reader;
use crate::wire::handshake::{COOKIE_MAX, HELLO_LEN, VERSION, Welcome, read_refuse, read_versions};
use crate::wire::header::{Header, PacketType};

/// How often a responder asks for patience that keeps an initiator from coming in; a cookie is asked for once.
const PATIENCE_ASKED: u32 = 3;

/// What came in answer to HELLOs, and let nobody in.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Answers {
    retries: u32,
    not_understood: u32,
}

impl Answers {
    /// What to say of an attempt that is given up.
    pub(super) fn end(self) -> End {
        match self {
            Self { retries: PATIENCE_ASKED.., .. } => End::HeldOff,
            Self { not_understood: 1.., .. } => End::Unintelligible,
            _ => End::Unreachable,
        }
    }
}

impl Connection {
    /// Whether a responder has asked for patience: it is there.
    #[must_use]
    pub fn is_held_off(&self) -> bool {
        self.answers.retries > 0
    }

    /// A short HELLO would get more than it cost.
    pub(super) fn on_repeated_hello(&mut self, number: u32, len: usize) {
        if self.is_established() && !self.is_validated && len >= HELLO_LEN {
            self.welcome_due = Some(number);
        }
    }

    /// What a responder may answer to a HELLO. Malformed answers are not from our responder.
    pub(super) fn on_answer(&mut self, now: Instant, header: Header, contents: &[u8]) {
        let State::Connecting(hello) = &mut self.state else {
            return;
        };
        // What is understood below takes this back, or ends the attempt.
        self.answers.not_understood += 1;
        match header.kind {
            PacketType::Retry => {
                let cookie = Reader::new(contents, "RETRY").short_string(COOKIE_MAX);
                if cookie.is_ok() {
                    self.answers.retries += 1;
                    self.answers.not_understood -= 1;
                }
                if let Ok(cookie) = cookie.map(<[u8]>::to_vec)
                    // RFC 9000 17.2.5.2: one Retry and no more.
                    && hello.cookie.is_empty()
                {
                    hello.cookie = cookie;
                    self.refusals.reset();
                    self.timers.set(Timer::Hello, Some(now));
                }
            }
            PacketType::Versions => {
                let theirs = read_versions(&mut Reader::new(contents, "VERSIONS"));
                // RFC 9000 6.2: a list with our version in it is no answer to our HELLO.
                if let Ok(theirs) = theirs
                    && !theirs.contains(&VERSION)
                {
                    self.end(End::Version { theirs });
                }
            }
            PacketType::Refuse => {
                if let Ok((code, reason)) = read_refuse(contents) {
                    self.end(End::Refused { code, reason });
                }
            }
            _ => {
                if let Ok(welcome) = Welcome::read(contents) {
                    self.on_welcome(now, header.packet_number, &welcome);
                }
            }
        }
    }

    fn on_welcome(&mut self, now: Instant, number: u32, welcome: &Welcome) {
        let sent_at =
            usize::try_from(number).ok().and_then(|index| self.hellos.get(index).copied());
        let Some(sent_at) = sent_at.filter(|_| welcome.version == VERSION) else {
            return;
        };
        let strategy = self.config.arq.strategy;
        if welcome.parameters.strategy != strategy {
            self.end(End::Strategy);
            return;
        }
        self.state = State::Established;
        self.peer_id = welcome.connection_id;
        self.set_peer(welcome.parameters);
        self.set_limit(now);
        self.rtt.update(now.since(sent_at), Duration::ZERO);
        self.congestion.on_handshake(&self.rtt, self.config.known_path);
        self.timers.set(Timer::Hello, None);
        self.on_valid_packet(now);
        // The responder may not send anything else before it has heard from us again.
        self.ping_due = true;
        self.on_connected(now);
    }

    pub(super) fn on_connected(&mut self, now: Instant) {
        self.events.push_back(Event::Connected);
        self.trace.record(now, || TraceEvent::Connected);
        self.trace_congestion(now);
    }
}
