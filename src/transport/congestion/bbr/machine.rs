//! What leads from one state to the next.

use super::bounds::{BETA, LossRound};
use super::model::Plateau;
use super::state::{Climb, Feedback, State};
use super::{Bbr, Seen};
use crate::base::time::{Duration, Instant};
use crate::transport::congestion::{AckSample, LossSample};
use rand::RngExt;

/// A probe went too high if it lost more than this of what was in flight.
const LOSS_MAX: f64 = 0.02;

/// In start-up, so many runs of packets have to be lost in a round as well.
const STARTUP_RUNS: u32 = 6;

/// Draining ends after so many rounds, though a queue may be left: the rate was too high then.
const DRAIN_ROUNDS: u64 = 3;

/// The rate is probed again after two to three seconds, or after as many rounds as the path holds packets,
/// as a Reno flow would, if they are no more than this.
const PROBE_WAIT: Duration = Duration::from_secs(2);
const PROBE_WAIT_SPREAD: Duration = Duration::from_secs(1);
const PROBE_ROUNDS: f64 = 63.0;

impl Bbr {
    /// The steps of an acknowledgement between the model and what is sent.
    pub(super) fn advance(
        &mut self,
        sample: &AckSample<'_>,
        seen: &Seen,
        lossy: Option<LossRound>,
    ) {
        if self.rounds.has_ended {
            self.cycle.rounds += 1;
        }
        if self.rounds.has_ended && !seen.is_limited && seen.rate > 0.0 {
            self.plateau.on_round(seen.rate);
            self.is_full |= self.plateau.is_found();
        }
        if matches!(self.state, State::Startup) {
            self.watch_startup(seen, lossy);
        }
        if let State::Drain { since } = self.state
            && (sample.in_flight as f64 <= self.inflight(self.rate, 1.0)
                || self.rounds.count() > since + DRAIN_ROUNDS)
        {
            self.go_down(sample.now);
        }
        if self.is_full && !self.read_feedback(sample, seen) {
            self.advance_cycle(sample, seen);
        }
        self.watch_round_trip(sample);
    }

    /// Once in a round with loss: the path bears what it delivered.
    pub(super) fn adapt(&mut self, round: LossRound) {
        if round.runs > 0 && !self.state.probes_rate() {
            self.bounds.adapt(round.latest, (self.model.rate(), self.cwnd));
        }
    }

    fn watch_startup(&mut self, seen: &Seen, lossy: Option<LossRound>) {
        if let Some(round) = lossy
            && round.runs >= STARTUP_RUNS
            && seen.lost > LOSS_MAX * seen.in_flight
        {
            self.undo.state = Some(State::Startup);
            self.is_full = true;
            self.bounds.inflight_longterm = self.held(self.rate).max(round.latest.bytes);
        }
        if self.is_full {
            self.state = State::Drain { since: self.rounds.count() };
        }
    }

    pub(super) fn go_down(&mut self, now: Instant) {
        self.loss_rounds.reset();
        self.cycle.rounds = u32::from(self.draws.random::<bool>());
        self.cycle.wait = PROBE_WAIT + PROBE_WAIT_SPREAD.mul_f64(self.draws.random::<f64>());
        self.cycle.begun = now;
        self.cycle.feedback = Feedback::Ending;
        self.rounds.begin(now);
        self.state = State::Down;
    }

    pub(super) fn refill(&mut self, now: Instant) {
        self.bounds.forget_shortterm();
        self.cycle.was_cautious = false;
        self.cycle.feedback = Feedback::None;
        self.rounds.begin(now);
        self.state = State::Refill;
    }

    fn go_up(&mut self, now: Instant, rate: f64) {
        self.cycle.is_open = true;
        self.cycle.feedback = Feedback::Awaited;
        self.rounds.begin(now);
        self.plateau = Plateau::above(rate);
        self.state = State::Up(Climb::new(self.cwnd, self.datagram));
    }

    fn advance_cycle(&mut self, sample: &AckSample<'_>, seen: &Seen) {
        let in_flight = sample.in_flight as f64;
        match self.state {
            State::Down | State::Cruise if self.is_probe_due(sample.now) => self.refill(sample.now),
            State::Down => {
                let room = self.bounds.with_headroom(self.datagram).max(self.floor());
                if in_flight <= room.min(self.inflight(self.model.rate(), 1.0)) {
                    self.state = State::Cruise;
                }
            }
            State::Refill if self.rounds.has_ended => self.go_up(sample.now, seen.rate),
            State::Up(_) => {
                if self.is_probe_over(in_flight, seen) {
                    self.cycle.was_too_high = false;
                    self.go_down(sample.now);
                }
            }
            State::Startup
            | State::Drain { .. }
            | State::Cruise
            | State::Refill
            | State::ProbeRtt { .. } => {}
        }
    }

    fn is_probe_due(&self, now: Instant) -> bool {
        let target = self.held(self.rate).min(self.cwnd) / self.datagram;
        let is_renos_time = f64::from(self.cycle.rounds) >= target.min(PROBE_ROUNDS);
        is_renos_time || now > self.cycle.begun + self.cycle.wait
    }

    fn is_probe_over(&mut self, in_flight: f64, seen: &Seen) -> bool {
        if self.cycle.was_too_high && in_flight >= self.bounds.inflight_longterm {
            self.cycle.was_cautious = true;
            return true;
        }
        if self.is_held_by_bound() {
            // What bounds the rate is the bound, not the path.
            self.plateau = Plateau::above(seen.rate);
            return false;
        }
        self.plateau.is_found()
    }

    fn is_held_by_bound(&self) -> bool {
        self.is_window_limited() && self.cwnd >= self.bounds.inflight_longterm
    }

    /// What the last probe showed of the bound; whether that has led to another state.
    fn read_feedback(&mut self, sample: &AckSample<'_>, seen: &Seen) -> bool {
        let has_ended = self.rounds.has_ended;
        if self.cycle.feedback == Feedback::Awaited && has_ended {
            self.cycle.feedback = Feedback::Arriving;
        }
        if self.cycle.feedback == Feedback::Ending && has_ended {
            self.cycle.is_open = false;
            self.cycle.feedback = Feedback::None;
            if self.state.is_cycle() && !seen.is_limited {
                self.model.next_cycle();
            }
            if self.state.is_cycle() && self.cycle.was_cautious && !self.cycle.was_too_high {
                self.refill(sample.now);
                return true;
            }
        }
        if seen.lost <= LOSS_MAX * seen.in_flight && self.bounds.inflight_longterm.is_finite() {
            self.bounds.inflight_longterm = self.bounds.inflight_longterm.max(seen.in_flight);
            self.climb(sample);
        }
        false
    }

    fn climb(&mut self, sample: &AckSample<'_>) {
        let is_held = self.is_held_by_bound();
        let State::Up(climb) = &mut self.state else { return };
        if !is_held {
            return;
        }
        let packets = climb.on_acked(sample.bytes as f64);
        if self.rounds.has_ended {
            climb.steepen(self.cwnd, self.datagram);
        }
        self.bounds.inflight_longterm += packets * self.datagram;
    }

    /// Losses of a probe that lost too much: what was in flight then is more than the path bears.
    pub(super) fn look_at_loss(&mut self, sample: &LossSample<'_>) {
        let in_flight = sample.prior_in_flight as f64 + self.datagram;
        let lost = sample.lost_meanwhile as f64;
        if !self.cycle.is_open || lost <= LOSS_MAX * in_flight {
            return;
        }
        self.cycle.was_too_high = true;
        self.cycle.is_open = false;
        if !sample.is_app_limited {
            // The share was exceeded somewhere in the packets at hand.
            let size = sample.bytes as f64;
            let before = in_flight - size;
            let borne = before + (LOSS_MAX * before - (lost - size)) / (1.0 - LOSS_MAX);
            let target = self.held(self.rate).min(self.cwnd);
            self.bounds.inflight_longterm = borne.max(BETA * target);
        }
        if matches!(self.state, State::Up(_)) {
            self.undo.state = Some(self.state);
            self.go_down(sample.now);
        }
    }
}
