//! The end: a CLOSE in several copies, in case the first ones are lost, and no waiting for an answer.

use super::transmit::{ACK_ROOM, MS};
use super::{Connection, Event, State};
use crate::base::time::Instant;
use crate::transport::batch::Batch;
use crate::transport::config::PROTOCOL_VIOLATION;
use crate::transport::error::End;
use crate::transport::timers::Timer;
use crate::wire::cursor::Malformed;
use crate::wire::frame::Frame;
use crate::wire::header::PacketType;

/// Copies of CLOSE: as many as leave a chance of one in ten thousand that all are lost, within bounds.
const COPIES_MIN: u8 = 4;
const COPIES_MAX: u8 = 12;
const ALL_LOST: f64 = 1e-4;

/// A connection that this side has closed.
#[derive(Clone, Debug)]
pub(super) struct Closing {
    code: u16,
    reason: String,
    /// Still to be sent.
    copies: u8,
    /// What the owner will be told.
    end: End,
}

impl Connection {
    /// Ends the connection; the peer is told `code` and `reason`. Code 0 says that all is well.
    pub fn close(&mut self, code: u16, reason: &str) {
        self.close_with(code, reason, End::Local);
    }

    /// The peer broke the protocol.
    pub(super) fn violate(&mut self, malformed: Malformed) {
        self.events.push_back(Event::Violated(malformed));
        self.close_with(PROTOCOL_VIOLATION, malformed.0, malformed.into());
    }

    fn close_with(&mut self, code: u16, reason: &str, end: End) {
        match self.state {
            State::Established if self.is_validated => {
                let reason = reason.to_owned();
                self.state =
                    State::Closing(Closing { code, reason, copies: self.close_copies(), end });
                self.timers.clear();
            }
            State::Connecting(_) | State::Established => self.end(end),
            State::Closing(_) | State::Ended => {}
        }
    }

    fn close_copies(&self) -> u8 {
        let loss = self.stats.observed_loss().get();
        let enough = |copies: &u8| loss.powi((*copies).into()) <= ALL_LOST;
        (COPIES_MIN..COPIES_MAX).find(enough).unwrap_or(COPIES_MAX)
    }

    pub(super) fn on_close_timer(&mut self) {
        if let State::Closing(closing) = &self.state
            && closing.copies == 0
        {
            self.end(closing.end.clone());
        }
    }

    pub(super) fn end(&mut self, end: End) {
        self.state = State::Ended;
        self.timers.clear();
        self.events.push_back(Event::Ended(end));
    }

    pub(super) fn poll_close(&mut self, now: Instant, batch: &mut Batch) -> bool {
        let spacing = (self.rtt.smoothed() / 16).clamp(MS, 20 * MS);
        let waits = self.timers.get(Timer::Close).is_some();
        let State::Closing(closing) = &mut self.state else {
            return false;
        };
        if waits || closing.copies == 0 {
            return false;
        }
        closing.copies -= 1;
        let mut contents = Vec::new();
        // What the peer still waits to hear was received goes along.
        if let Some(ack) = self.acks.frame(now, self.space_in.duplicates(), ACK_ROOM) {
            Frame::Ack(ack).put(&mut contents);
        }
        Frame::Close { code: closing.code, reason: closing.reason.as_bytes() }.put(&mut contents);
        let header = self.header(PacketType::Control, 0);
        batch.set_packet(header, &contents, 0);
        self.sent.skip();
        self.timers.set(Timer::Close, Some(now + spacing));
        true
    }
}
