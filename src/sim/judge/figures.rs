//! What is measured of a run, and what many runs say together.

use super::{Mark, PAYLOAD_SHARE, Scenario};
use crate::transport::config::CongestionChoice;
use std::fmt;

/// What one run showed.
#[derive(Clone, Debug, PartialEq)]
pub struct Figures {
    /// File bytes that arrived, of what the link can carry, from the beginning on.
    pub whole: f64,
    /// The same in the second half. What follows is of that half, too.
    pub half: f64,
    /// How long a packet waited in the queue on average, in round trips.
    pub queue: f64,
    /// The share of packets that were lost in the queue.
    pub own_loss: f64,
    /// Bytes sent, of what must be sent for as many file bytes over a path with its loss.
    pub wire: f64,
    /// What each flow got, of what the link can carry.
    pub shares: Vec<f64>,
}

impl Figures {
    pub(super) fn new(scenario: &Scenario, half: &Mark, end: &Mark) -> Self {
        let from = scenario.half();
        let capacity = scenario.capacity(from, scenario.length);
        let shares: Vec<f64> = end
            .taken
            .iter()
            .zip(&half.taken)
            .map(|(end, half)| (end - half) as f64 / capacity)
            .collect();
        let begins = scenario.seats.iter().map(|seat| seat.begins).min().unwrap_or_default();
        let whole = scenario.capacity(begins, scenario.length);
        let (now, then) = (end.counts, half.counts);
        let waited = (now.waited - then.waited).as_secs_f64() / of(now.queued - then.queued);
        let offered = of(now.offered - then.offered);
        let bytes = (now.offered_bytes - then.offered_bytes) as f64;
        let last = scenario.changes.last().map_or(&scenario.out, |change| &change.out);
        let kept = (1.0 - last.random_loss().get()) * PAYLOAD_SHARE;
        let half = shares.iter().sum::<f64>();
        Self {
            whole: end.taken.iter().sum::<u64>() as f64 / whole,
            half,
            queue: waited / scenario.round_trip.as_secs_f64(),
            own_loss: (now.lost.queue - then.lost.queue) as f64 / offered,
            wire: bytes * kept / (half * capacity).max(1.0),
            shares,
        }
    }

    /// Jain's index of fairness: 1 where all flows get the same.
    #[must_use]
    pub fn jain(&self) -> f64 {
        let sum: f64 = self.shares.iter().sum();
        let squares: f64 = self.shares.iter().map(|share| share * share).sum();
        sum * sum / (self.shares.len() as f64 * squares).max(1e-9)
    }
}

/// At least one.
fn of(count: u64) -> f64 {
    count.max(1) as f64
}

/// What several seeds showed.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    runs: Vec<Figures>,
}

impl Verdict {
    pub(super) fn new(runs: Vec<Figures>) -> Self {
        Self { runs }
    }

    /// The median of some figure.
    #[must_use]
    pub fn median(&self, figure: impl Fn(&Figures) -> f64) -> f64 {
        let mut sorted: Vec<f64> = self.runs.iter().map(figure).collect();
        sorted.sort_by(f64::total_cmp);
        sorted[sorted.len() / 2]
    }

    /// The smallest of some figure.
    #[must_use]
    pub fn least(&self, figure: impl Fn(&Figures) -> f64) -> f64 {
        self.runs.iter().map(figure).fold(f64::INFINITY, f64::min)
    }

    /// What stands above the columns of a table.
    #[must_use]
    pub fn heading() -> String {
        let columns = "whole  half worst queue  own % wire  shares, Jain";
        format!("{:36} {:10} {columns}", "scenario", "controller")
    }

    /// A line of a table.
    #[must_use]
    pub fn row(&self, scenario: &str, controller: CongestionChoice) -> String {
        format!("{scenario:36} {:10} {self}", controller.to_string())
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:5.3} {:5.3} {:5.3} {:5.2} {:6.2} {:5.2}",
            self.median(|run| run.whole),
            self.median(|run| run.half),
            self.least(|run| run.half),
            self.median(|run| run.queue),
            100.0 * self.median(|run| run.own_loss),
            self.median(|run| run.wire),
        )?;
        let flows = self.runs[0].shares.len();
        if flows > 1 {
            let share = |flow: usize| 100.0 * self.median(|run| run.shares[flow]);
            let shares: Vec<String> =
                (0..flows).map(|flow| format!("{:.0}", share(flow))).collect();
            write!(f, "  {} {:.2}", shares.join(":"), self.median(Figures::jain))?;
        }
        Ok(())
    }
}
