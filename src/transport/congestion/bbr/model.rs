//! What the path can carry, as far as deliveries show it: rate, round trip, and how much is acknowledged at once.
//! In bytes and seconds.

use super::filter::MaxFilter;
use crate::base::time::{Duration, Instant};
use crate::transport::congestion::AckSample;

/// The rate is the greatest of this probing cycle and the one before.
const RATE_CYCLES: u64 = 2;

/// The round trip is the least of so long.
const ROUND_TRIP_MEMORY: Duration = Duration::from_secs(10);

/// If it was not seen for so long, the flow makes room to see it.
const PROBE_ROUND_TRIP_EVERY: Duration = Duration::from_secs(5);

/// How many rounds acknowledgements that came at once count; one during start-up.
const AGGREGATION_ROUNDS: u64 = 10;

/// The path is full after so many rounds in which the rate grew by less than that.
const FULL_ROUNDS: u32 = 3;
const GROWTH: f64 = 1.25;

/// Round trips, counted by packets: one ends when something is acknowledged that was sent after it began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rounds {
    begun: Instant,
    count: u64,
    /// The acknowledgement at hand ended one.
    pub(super) has_ended: bool,
}

impl Rounds {
    pub(super) fn new() -> Self {
        Self { begun: Instant::ZERO, count: 0, has_ended: false }
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// A new one begins, though the last has not ended.
    pub(super) fn begin(&mut self, now: Instant) {
        self.begun = now;
    }

    pub(super) fn on_ack(&mut self, sample: &AckSample<'_>) {
        self.has_ended = sample.sent_at >= self.begun;
        if self.has_ended {
            self.count += 1;
            self.begun = sample.now;
        }
    }
}

/// The shortest round trip.
#[derive(Clone, Copy, Debug, Default)]
struct Least {
    seconds: Option<f64>,
    /// When it was seen, or the clock began.
    at: Option<Instant>,
}

impl Least {
    fn is_old(&mut self, now: Instant, memory: Duration) -> bool {
        now > *self.at.get_or_insert(now) + memory
    }

    fn is_above(&self, seconds: f64) -> bool {
        self.seconds.is_none_or(|least| seconds < least)
    }
}

/// What was acknowledged beyond what the rate explains.
#[derive(Clone, Debug, Default)]
struct Aggregation {
    begun: Option<Instant>,
    acked: f64,
    extra: MaxFilter,
}

/// The model of the path.
#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    rates: MaxFilter,
    cycle: u64,
    least: Least,
    /// The least of a shorter time: what it is worth to make room for.
    recent: Least,
    aggregation: Aggregation,
}

impl Model {
    /// The rate that the path can carry.
    pub(super) fn rate(&self) -> f64 {
        self.rates.greatest()
    }

    /// The shortest round trip; none before the first.
    pub(super) fn round_trip(&self) -> Option<f64> {
        self.least.seconds
    }

    /// What acknowledgements held back and then brought at once.
    pub(super) fn extra_acked(&self) -> f64 {
        self.aggregation.extra.greatest()
    }

    pub(super) fn begin(&mut self, round_trip: Duration) {
        self.least.seconds = Some(round_trip.as_secs_f64());
    }

    /// A sample of a sender that had nothing more to send counts only where it shows more.
    pub(super) fn take_rate(&mut self, rate: f64, is_limited: bool) {
        if rate >= self.rate() || !is_limited {
            self.rates.take(rate, self.cycle, RATE_CYCLES);
        }
    }

    /// A probing cycle is over.
    pub(super) fn next_cycle(&mut self) {
        self.cycle += 1;
    }

    /// Takes a round trip in, if there is one; whether the shortest was not seen for too long.
    pub(super) fn take_round_trip(&mut self, sample: &AckSample<'_>) -> bool {
        let now = sample.now;
        let is_due = self.recent.is_old(now, PROBE_ROUND_TRIP_EVERY);
        let latest = sample.rtt.latest().as_secs_f64();
        if sample.tells_round_trip && (is_due || self.recent.is_above(latest)) {
            self.recent = Least { seconds: Some(latest), at: Some(now) };
        }
        let is_forgotten = self.least.is_old(now, ROUND_TRIP_MEMORY);
        if let Some(recent) = self.recent.seconds
            && (is_forgotten || self.least.is_above(recent))
        {
            self.least = self.recent;
        }
        is_due
    }

    /// The flow has made room, and what there was to see it has seen.
    pub(super) fn has_probed_round_trip(&mut self, now: Instant) {
        self.recent.at = Some(now);
    }

    /// Nothing was in flight: what is acknowledged from now on is measured from now on.
    pub(super) fn restart_aggregation(&mut self, now: Instant) {
        self.aggregation.begun = Some(now);
    }

    /// More than `rate` explains was acknowledged, since less was: that much is held back somewhere.
    pub(super) fn take_acked(
        &mut self,
        sample: &AckSample<'_>,
        rate: f64,
        (round, is_startup): (u64, bool),
        cwnd: f64,
    ) {
        let Aggregation { begun, acked, extra } = &mut self.aggregation;
        let since = *begun.get_or_insert(sample.now);
        let mut expected = rate * sample.now.since(since).as_secs_f64();
        if *acked <= expected {
            (*begun, *acked, expected) = (Some(sample.now), 0.0, 0.0);
        }
        *acked += sample.bytes as f64;
        let rounds = if is_startup { 1 } else { AGGREGATION_ROUNDS };
        extra.take((*acked - expected).min(cwnd), round, rounds);
    }
}

/// Looks for a rate that does not grow any more though more is sent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Plateau {
    best: f64,
    rounds: u32,
    is_found: bool,
}

impl Plateau {
    /// Looks again, for more than that.
    pub(super) fn above(best: f64) -> Self {
        Self { best, rounds: 0, is_found: false }
    }

    pub(super) fn is_found(&self) -> bool {
        self.is_found
    }

    /// A round has ended that had enough to send, with a sample of that rate.
    pub(super) fn on_round(&mut self, rate: f64) {
        if self.is_found {
            return;
        }
        if rate >= GROWTH * self.best {
            *self = Self::above(rate);
            return;
        }
        self.rounds += 1;
        self.is_found = self.rounds >= FULL_ROUNDS;
    }
}
