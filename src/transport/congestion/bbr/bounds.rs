//! How much the path bears, as far as losses show it: for long, and until the next probe.

use crate::base::time::Instant;
use crate::transport::congestion::{AckSample, LossSample};

/// What is left of a bound at the least after a round with loss.
pub(super) const BETA: f64 = 0.7;

/// What is left free of what the path bears, for others.
const HEADROOM: f64 = 0.15;

/// The bounds, in bytes and bytes per second; infinite where nothing shows one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// In flight: more was lost with more, the last times that more was tried.
    pub(super) inflight_longterm: f64,
    /// In flight, until the next probe.
    inflight_shortterm: f64,
    /// The rate, until the next probe.
    rate_shortterm: f64,
}

impl Bounds {
    pub(super) fn none() -> Self {
        Self {
            inflight_longterm: f64::INFINITY,
            inflight_shortterm: f64::INFINITY,
            rate_shortterm: f64::INFINITY,
        }
    }

    pub(super) fn inflight_shortterm(&self) -> f64 {
        self.inflight_shortterm
    }

    pub(super) fn rate_shortterm(&self) -> f64 {
        self.rate_shortterm
    }

    /// The bounds until the next probe end with it.
    pub(super) fn forget_shortterm(&mut self) {
        (self.inflight_shortterm, self.rate_shortterm) = (f64::INFINITY, f64::INFINITY);
    }

    /// What may be in flight where others are to find room.
    pub(super) fn with_headroom(&self, datagram: f64) -> f64 {
        let longterm = self.inflight_longterm;
        if longterm.is_finite() { longterm - datagram.max(HEADROOM * longterm) } else { longterm }
    }

    /// A round lost something: what it delivered is what the path bears now, but not less than a part of what
    /// was believed.
    pub(super) fn adapt(&mut self, latest: Latest, (rate, cwnd): (f64, f64)) {
        let or = |bound: f64, first: f64| if bound.is_finite() { bound } else { first };
        self.rate_shortterm = latest.rate.max(BETA * or(self.rate_shortterm, rate));
        self.inflight_shortterm = latest.bytes.max(BETA * or(self.inflight_shortterm, cwnd));
    }

    /// None is below what it was before losses that were none.
    pub(super) fn undo(&mut self, before: &Self) {
        self.inflight_longterm = self.inflight_longterm.max(before.inflight_longterm);
        self.inflight_shortterm = self.inflight_shortterm.max(before.inflight_shortterm);
        self.rate_shortterm = self.rate_shortterm.max(before.rate_shortterm);
    }
}

/// The most that one sample of a round delivered.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Latest {
    rate: f64,
    pub(super) bytes: f64,
}

impl Latest {
    fn of(sample: &AckSample<'_>) -> Self {
        let sample = sample.delivery;
        sample.map_or_else(Self::default, |it| Self { rate: it.rate(), bytes: it.bytes as f64 })
    }

    fn or_more(self, other: Self) -> Self {
        Self { rate: self.rate.max(other.rate), bytes: self.bytes.max(other.bytes) }
    }
}

/// A round with loss, as it ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct LossRound {
    pub(super) latest: Latest,
    /// Runs of neighbouring packets that were lost; none if nothing was.
    pub(super) runs: u32,
}

/// Rounds that begin with a loss, where there is one.
#[derive(Clone, Copy, Debug)]
pub(super) struct LossRounds {
    begun: Instant,
    latest: Latest,
    runs: u32,
}

impl LossRounds {
    pub(super) fn new() -> Self {
        Self { begun: Instant::ZERO, latest: Latest::default(), runs: 0 }
    }

    /// What it delivered and lost is forgotten.
    pub(super) fn reset(&mut self) {
        (self.latest, self.runs) = (Latest::default(), 0);
    }

    /// Losses that were none.
    pub(super) fn forget_loss(&mut self) {
        self.runs = 0;
    }

    /// Takes losses in; whether they are the first of their round.
    pub(super) fn on_loss(&mut self, sample: &LossSample<'_>) -> bool {
        let is_first = self.runs == 0;
        if is_first {
            self.begun = sample.now;
        }
        self.runs += sample.runs;
        is_first
    }

    /// Takes an acknowledgement in; the round, if it ended.
    pub(super) fn on_ack(&mut self, sample: &AckSample<'_>) -> Option<LossRound> {
        let at_hand = Latest::of(sample);
        self.latest = self.latest.or_more(at_hand);
        if sample.sent_at < self.begun {
            return None;
        }
        let ended = LossRound { latest: self.latest, runs: self.runs };
        *self = Self { begun: sample.now, latest: at_hand, runs: 0 };
        Some(ended)
    }
}
