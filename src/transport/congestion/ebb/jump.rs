//! Start-up on a path that an earlier transfer showed: careful resume (RFC 9959).
//!
//! Once the first round trip looks like the one that was remembered, half of the window goes that the path had
//! then, spread over that round trip. Until what goes arrives, the window does not grow; and if the path queues or loses
//! it, half of what arrived is what is left.

use crate::base::time::Duration;
use crate::transport::config::KnownPath;
use crate::transport::congestion::{AckSample, LossSample};

/// It is the same path if its round trip is between these multiples of the one that was remembered.
const ROUND_TRIP_MIN: f64 = 0.5;
const ROUND_TRIP_MAX: f64 = 2.0;

/// The path is not what it was if it loses so much more than it did, beyond a few packets.
const LOSS_EXCESS: f64 = 0.10;
const LOST_FEW: f64 = 5.0;

/// How far the jump is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    /// Nothing has been acknowledged.
    Reconnaissance,
    /// The window is wider, and nothing of what that let go has been acknowledged: it begins with this packet.
    Unvalidated { first: u64 },
    /// Some of it has been. It ends before this packet.
    Validating { end: u64 },
}

/// What becomes of the window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Step {
    /// As if nothing were known.
    Grow,
    /// It is to be at least so wide.
    Widen(f64),
    /// It stays.
    Stay,
    /// It is no wider than what is in flight.
    Hold,
}

/// A window that is tried.
#[derive(Clone, Debug)]
pub(super) struct Jump {
    known: KnownPath,
    phase: Phase,
    /// Bytes that arrived since the window was widened: the pipe that is certain.
    pipe: f64,
    /// Packets since the beginning of which it is known what became of them, and those that were lost.
    packets: f64,
    lost: f64,
}

impl Jump {
    pub(super) fn new(known: KnownPath) -> Self {
        Self { known, phase: Phase::Reconnaissance, pipe: 0.0, packets: 0.0, lost: 0.0 }
    }

    /// The window to fall back to where the path is not what it was.
    pub(super) fn retreat(&self) -> Option<f64> {
        self.is_trying().then_some(self.pipe / 2.0)
    }

    /// Whether the wider window is being tried.
    pub(super) fn is_trying(&self) -> bool {
        self.phase != Phase::Reconnaissance
    }

    /// What an acknowledgement tells; nothing once the jump is over.
    pub(super) fn on_ack(&mut self, sample: &AckSample<'_>) -> Option<Step> {
        self.packets += f64::from(sample.packets);
        if self.phase == Phase::Reconnaissance {
            return self.look(sample);
        }
        self.pipe += sample.bytes as f64;
        match self.phase {
            Phase::Unvalidated { first } if sample.largest >= first => {
                self.phase = Phase::Validating { end: sample.next };
                Some(Step::Hold)
            }
            Phase::Validating { end } if sample.largest >= end => None,
            Phase::Validating { .. } => Some(Step::Grow),
            Phase::Reconnaissance | Phase::Unvalidated { .. } => Some(Step::Stay),
        }
    }

    /// Whether packets were lost that the path would not have lost then.
    pub(super) fn on_loss(&mut self, sample: &LossSample<'_>) -> bool {
        self.lost += f64::from(sample.packets);
        self.packets += f64::from(sample.packets);
        let expected = (self.known.loss.get() + LOSS_EXCESS) * self.packets;
        self.is_trying() && self.lost > expected + LOST_FEW
    }

    fn look(&mut self, sample: &AckSample<'_>) -> Option<Step> {
        if !sample.tells_round_trip {
            return Some(Step::Grow);
        }
        if !self.is_same(sample.rtt.latest()) {
            return None;
        }
        self.phase = Phase::Unvalidated { first: sample.next };
        Some(Step::Widen(self.known.window as f64 / 2.0))
    }

    fn is_same(&self, round_trip: Duration) -> bool {
        let known = self.known.round_trip;
        (known.mul_f64(ROUND_TRIP_MIN)..=known.mul_f64(ROUND_TRIP_MAX)).contains(&round_trip)
    }
}
