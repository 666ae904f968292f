//! The probe of the round trip: little is in flight for a while, so that no queue is.

use super::state::{Feedback, State};
use super::{Bbr, MIN_PACKETS};
use crate::base::time::{Duration, Instant};
use crate::transport::congestion::AckSample;

/// It lasts so long, and a round.
const LASTS: Duration = Duration::from_millis(200);

impl Bbr {
    pub(super) fn watch_round_trip(&mut self, sample: &AckSample<'_>) {
        let is_due = self.model.take_round_trip(sample);
        let is_probing = matches!(self.state, State::ProbeRtt { .. });
        if is_due && !is_probing && !self.is_restart {
            self.save_window();
            self.state = State::ProbeRtt { until: None, has_round_passed: false };
            self.cycle.feedback = Feedback::Ending;
            self.rounds.begin(sample.now);
        }
        if let State::ProbeRtt { until, has_round_passed } = self.state {
            self.probe_round_trip(sample, until, has_round_passed);
        }
        self.is_restart = false;
    }

    fn probe_round_trip(&mut self, sample: &AckSample<'_>, until: Option<Instant>, passed: bool) {
        let now = sample.now;
        // What is sent meanwhile says nothing of the rate, nor what follows until it is acknowledged.
        self.limited_until = now + sample.rtt.smoothed();
        let (mut until, mut has_round_passed) = (until, passed);
        if until.is_some() {
            has_round_passed |= self.rounds.has_ended;
        } else if sample.in_flight as f64 <= self.probe_window() {
            until = Some(now + LASTS);
            self.rounds.begin(now);
        }
        self.state = State::ProbeRtt { until, has_round_passed };
        if has_round_passed {
            self.end_round_trip_probe(now);
        }
    }

    /// If it has lasted long enough.
    pub(super) fn end_round_trip_probe(&mut self, now: Instant) {
        let State::ProbeRtt { until: Some(until), .. } = self.state else { return };
        if now <= until {
            return;
        }
        self.model.has_probed_round_trip(now);
        self.cwnd = self.cwnd.max(self.saved_cwnd);
        self.bounds.forget_shortterm();
        if self.is_full {
            self.go_down(now);
            self.state = State::Cruise;
        } else {
            self.state = State::Startup;
        }
    }

    /// In flight, while the round trip is probed.
    pub(super) fn probe_window(&self) -> f64 {
        let half = State::ProbeRtt { until: None, has_round_passed: false }.window_gain();
        (half * self.held(self.rate)).max(MIN_PACKETS * self.datagram)
    }
}
