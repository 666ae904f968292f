//! Start-up: doubles until the path is full, and learns what it loses anyway.

use super::gauge::Tally;
use crate::base::time::{Duration, Instant};
use crate::base::units::Share;
use crate::transport::congestion::AckSample;
use std::collections::VecDeque;

/// The delay is the least of so many samples (RFC 9406 4.2: N_RTT_SAMPLE).
const SAMPLES: usize = 8;

/// Samples closer than this part of the round trip are one: what arrives at once after a processor was away is
/// late for one reason, which is no queue.
const SAMPLE_SPACE: f64 = 1.0 / 64.0;

/// It is a queue from this share of the round trip on, and from this much.
const QUEUE_SHARE: f64 = 1.0 / 8.0;
const QUEUE_MIN: f64 = 0.002;

/// A shorter one is full, if the round has lost so much more than the path does.
const QUEUE_SHARE_FULL: f64 = 1.0 / 16.0;
const LOSS_FULL: f64 = 0.02;

/// The path is full after so many rounds in which the rate grew by less than this.
const FULL_ROUNDS: u32 = 3;
const GROWTH: f64 = 1.25;

/// A round's loss was the path's own if the rate grew by this much in the next.
const GROWTH_FREE: f64 = 1.6;

/// One full round is enough if it lost so much more than the path does.
const LOSS_EXCESS: f64 = 0.10;

/// And had so many packets: of fewer, chance takes more.
const LOSS_PACKETS: f64 = 50.0;

#[derive(Clone, Debug, Default)]
pub(super) struct Startup {
    /// When the last samples began, and the least of each.
    round_trips: VecDeque<(Instant, Duration)>,
    /// The highest rate of a round.
    best: f64,
    full_rounds: u32,
    /// The last round's packets and losses, until it is known whose they were.
    pending: (f64, f64),
    /// Packets and losses of rounds that left room.
    free: (f64, f64),
}

impl Startup {
    /// On a path that lost that share.
    pub(super) fn expecting(loss: Share) -> Self {
        Self { free: (LOSS_PACKETS, LOSS_PACKETS * loss.get()), ..Self::default() }
    }

    /// The path's own loss, as far as it showed.
    pub(super) fn loss(&self) -> f64 {
        let (packets, lost) = self.free;
        lost / packets.max(1.0)
    }

    /// Whether an acknowledgement shows a queue: all of the last samples are later than chance explains. A queue too
    /// short for that shows by what it loses as well.
    pub(super) fn sees_queue(
        &mut self,
        sample: &AckSample<'_>,
        variation: f64,
        round: &Tally,
    ) -> bool {
        if !sample.tells_round_trip {
            return false;
        }
        let base = sample.rtt.min().as_secs_f64();
        let latest = sample.rtt.latest();
        match self.round_trips.back_mut() {
            Some((at, least)) if sample.now.since(*at).as_secs_f64() < base * SAMPLE_SPACE => {
                *least = latest.min(*least);
            }
            _ => self.round_trips.push_back((sample.now, latest)),
        }
        if self.round_trips.len() > SAMPLES {
            self.round_trips.pop_front();
        }
        let least = self.round_trips.iter().map(|(_, round_trip)| *round_trip).min();
        let waited = least.unwrap_or_default().as_secs_f64() - base;
        let waits = |share: f64| waited > (base * share).max(QUEUE_MIN) + 2.0 * variation;
        let is_queue =
            waits(QUEUE_SHARE) || waits(QUEUE_SHARE_FULL) && self.exceeds(round, LOSS_FULL);
        self.round_trips.len() == SAMPLES && is_queue
    }

    /// Whether a round has lost so much more than the path does, beyond chance.
    fn exceeds(&self, round: &Tally, excess: f64) -> bool {
        let expected = self.loss();
        let packets = round.packets().max(1.0);
        let deviation = (expected.max(1.0 / packets) / packets).sqrt();
        packets >= LOSS_PACKETS && round.loss() > expected + excess + 2.0 * deviation
    }

    /// Whether a round shows that the path is full.
    pub(super) fn is_full(&mut self, now: Instant, round: &Tally) -> bool {
        let rate = round.rate(now);
        if round.is_app_limited {
            return false;
        }
        if rate >= self.best * GROWTH_FREE {
            self.free.0 += self.pending.0;
            self.free.1 += self.pending.1;
        }
        self.pending = (round.packets(), round.lost());
        if rate >= self.best * GROWTH {
            self.best = rate;
            self.full_rounds = 0;
            return false;
        }
        self.full_rounds += 1;
        self.full_rounds >= FULL_ROUNDS || self.exceeds(round, LOSS_EXCESS)
    }
}
