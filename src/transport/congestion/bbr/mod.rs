//! BBR, version 3 (draft-ietf-ccwg-bbr): sends at the rate that the path delivered lately, and measures again and
//! again whether it would deliver more, and how long its round trip is without a queue.
//!
//! To compare with, and to learn from: docs/congestion.md has what it does differently from the default. A loss
//! says how much may be in flight, and until the next probe also how fast it may go; it says nothing of whose
//! loss it is. What the draft leaves to the transport is as with the other controllers: the first window, no
//! pacing where the round trip is shorter than a scheduler's, and two packets after persistent congestion.

mod bounds;
mod filter;
mod machine;
mod model;
mod restore;
mod round_trip;
mod state;

use self::bounds::{Bounds, LossRounds};
use self::model::{Model, Plateau, Rounds};
use self::restore::Undo;
use self::state::{Cycle, State};
use super::{AckSample, Congestion, LossSample, Phase, UNPACED_RTT, initial_window, whole_bytes};
use crate::base::time::Instant;
use crate::transport::config::KnownPath;
use crate::transport::pacer;
use crate::transport::rtt::Rtt;
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;

/// The least gain at which the rate doubles in each round: 4 ln 2.
const STARTUP_GAIN: f64 = 2.77;

/// Sent a little slower than the rate, so that queues get shorter and not longer.
const PACING_MARGIN: f64 = 0.01;

/// Packets in flight at the least, so that a receiver that acknowledges every other one stops nobody.
const MIN_PACKETS: f64 = 4.0;

/// A round trip before there was one, to pace by.
const NOMINAL_ROUND_TRIP: f64 = 0.001;

/// What a sample of the delivery rate says of the packet that brought it.
#[derive(Clone, Copy, Debug)]
struct Seen {
    /// Bytes per second; none if too little was measured.
    rate: f64,
    /// Bytes in flight when it went, itself included.
    in_flight: f64,
    /// Bytes lost since.
    lost: f64,
    /// It went when there was not enough to send.
    is_limited: bool,
}

/// The controller.
#[derive(Clone, Debug)]
pub(super) struct Bbr {
    datagram: f64,
    cwnd: f64,
    pacing: f64,
    rate: f64,
    delivered: f64,
    state: State,
    cycle: Cycle,
    rounds: Rounds,
    model: Model,
    plateau: Plateau,
    /// The path has been full once.
    is_full: bool,
    bounds: Bounds,
    loss_rounds: LossRounds,
    undo: Undo,
    /// The window was full in the last round, and in this one.
    was_limited: [bool; 2],
    /// The window before a probe of the round trip, or before silence.
    saved_cwnd: f64,
    /// Silence was over when a packet arrives that was sent from then on.
    silent_since: Option<Instant>,
    sent_at: Instant,
    /// Nothing was in flight before what is in flight now.
    is_restart: bool,
    /// What is sent until then is less than the path carries, on purpose.
    limited_until: Instant,
    draws: Xoshiro256PlusPlus,
}

impl Bbr {
    pub(super) fn new(datagram: u16, seed: [u8; 32]) -> Self {
        let cwnd = initial_window(datagram) as f64;
        Self {
            datagram: f64::from(datagram),
            cwnd,
            pacing: STARTUP_GAIN * cwnd / NOMINAL_ROUND_TRIP,
            rate: 0.0,
            delivered: 0.0,
            state: State::Startup,
            cycle: Cycle::new(),
            rounds: Rounds::new(),
            model: Model::default(),
            plateau: Plateau::default(),
            is_full: false,
            bounds: Bounds::none(),
            loss_rounds: LossRounds::new(),
            undo: Undo::default(),
            was_limited: [false; 2],
            saved_cwnd: cwnd,
            silent_since: None,
            sent_at: Instant::ZERO,
            is_restart: false,
            limited_until: Instant::ZERO,
            draws: Xoshiro256PlusPlus::from_seed(seed),
        }
    }

    fn floor(&self) -> f64 {
        MIN_PACKETS * self.datagram
    }

    /// The first round trip is known.
    fn begin(&mut self, rtt: &Rtt) {
        self.model.begin(rtt.min());
        let round_trip = rtt.smoothed().as_secs_f64().max(1e-6);
        self.pacing = STARTUP_GAIN * self.cwnd / round_trip;
    }

    /// What the path holds at that rate with an empty queue; the first window before a round trip is known.
    fn held(&self, rate: f64) -> f64 {
        let initial = super::INITIAL_WINDOW_PACKETS as f64 * self.datagram;
        self.model.round_trip().map_or(initial, |round_trip| rate * round_trip)
    }

    /// So many times that, and no less than trains and their acknowledgements need.
    fn inflight(&self, rate: f64, gain: f64) -> f64 {
        self.with_trains(gain * self.held(rate))
    }

    fn with_trains(&self, bytes: f64) -> f64 {
        let train = pacer::train(self.pacing, self.datagram);
        let more = if matches!(self.state, State::Up(_)) { 2.0 * self.datagram } else { 0.0 };
        bytes.max(train).max(self.floor()) + more
    }

    fn is_window_limited(&self) -> bool {
        self.was_limited.contains(&true)
    }

    fn see(&self, sample: &AckSample<'_>) -> Seen {
        let holds_back = sample.sent_at < self.limited_until;
        let Some(delivery) = sample.delivery else {
            return Seen { rate: 0.0, in_flight: 0.0, lost: 0.0, is_limited: holds_back };
        };
        Seen {
            rate: delivery.rate(),
            in_flight: delivery.prior_in_flight as f64 + self.datagram,
            lost: delivery.lost as f64,
            is_limited: delivery.is_app_limited || holds_back,
        }
    }

    fn pace(&mut self, gain: f64) {
        let rate = gain * self.rate * (1.0 - PACING_MARGIN);
        if self.is_full || rate > self.pacing {
            self.pacing = rate;
        }
    }

    fn set_window(&mut self, acked: f64) {
        let gain = self.state.window_gain();
        let most = self.with_trains(gain * self.held(self.rate) + self.model.extra_acked());
        let initial = super::INITIAL_WINDOW_PACKETS as f64 * self.datagram;
        if self.is_full {
            self.cwnd = (self.cwnd + acked).min(most);
        } else if self.cwnd < most || self.delivered < initial {
            self.cwnd += acked;
        }
        let longterm = match self.state {
            State::Startup | State::Drain { .. } => f64::INFINITY,
            State::Down | State::Refill | State::Up(_) => self.bounds.inflight_longterm,
            State::Cruise => self.bounds.with_headroom(self.datagram),
            State::ProbeRtt { .. } => {
                self.probe_window().min(self.bounds.with_headroom(self.datagram))
            }
        };
        let bound = longterm.min(self.bounds.inflight_shortterm());
        self.cwnd = self.cwnd.min(bound).max(self.floor());
    }
}

impl Congestion for Bbr {
    fn on_handshake(&mut self, rtt: &Rtt, _known: Option<KnownPath>) {
        self.begin(rtt);
    }

    fn on_sent(&mut self, now: Instant, in_flight: u64) {
        self.sent_at = now;
        if in_flight == 0 && self.delivered > 0.0 {
            self.is_restart = true;
            self.model.restart_aggregation(now);
            if self.state.is_cycle() {
                self.pace(1.0);
            }
            self.end_round_trip_probe(now);
        }
        // The last one that the window lets go.
        if in_flight as f64 + 2.0 * self.datagram > self.cwnd {
            self.was_limited[1] = true;
        }
    }

    fn on_ack(&mut self, sample: &AckSample<'_>) {
        self.delivered += sample.bytes as f64;
        self.end_silence(sample);
        if self.model.round_trip().is_none() && sample.tells_round_trip {
            self.begin(sample.rtt);
        }
        let seen = self.see(sample);
        self.rounds.on_ack(sample);
        if self.rounds.has_ended {
            self.was_limited = [self.was_limited[1], false];
        }
        if seen.rate > 0.0 {
            self.model.take_rate(seen.rate, seen.is_limited);
        }
        let loss_round = self.loss_rounds.on_ack(sample);
        if let Some(round) = loss_round {
            self.adapt(round);
        }
        let round = (self.rounds.count(), !self.is_full);
        self.model.take_acked(sample, self.rate, round, self.cwnd);
        self.advance(sample, &seen, loss_round);
        self.rate = self.model.rate().min(self.bounds.rate_shortterm());
        self.pace(self.state.pacing_gain());
        self.set_window(sample.bytes as f64);
    }

    fn on_loss(&mut self, sample: &LossSample<'_>) {
        if self.loss_rounds.on_loss(sample) {
            self.undo = Undo::after(&self.undo, self.bounds, self.cwnd);
        }
        self.undo.on_loss(sample);
        self.look_at_loss(sample);
    }

    fn on_spurious_loss(&mut self, sent_at: Instant) {
        if self.undo.on_late(sent_at) {
            self.restore();
        }
    }

    fn on_persistent_congestion(&mut self) {
        self.save_window();
        self.silent_since = Some(self.sent_at);
        self.cwnd = 2.0 * self.datagram;
    }

    fn on_datagram_size(&mut self, bytes: u16) {
        let initial = initial_window(bytes) as f64;
        self.datagram = f64::from(bytes);
        if matches!(self.state, State::Startup) {
            self.cwnd = self.cwnd.max(initial);
        }
    }

    fn phase(&self) -> Phase {
        match self.state {
            State::Startup => Phase::SlowStart,
            State::Drain { .. } => Phase::Drain,
            State::Down => Phase::ProbeDown,
            State::Cruise => Phase::Cruise,
            State::Refill => Phase::Refill,
            State::Up(_) => Phase::ProbeUp,
            State::ProbeRtt { .. } => Phase::ProbeRoundTrip,
        }
    }

    fn window(&self) -> u64 {
        whole_bytes(self.cwnd)
    }

    fn pacing_rate(&self, rtt: &Rtt) -> f64 {
        if rtt.min() < UNPACED_RTT { f64::INFINITY } else { self.pacing }
    }
}

#[cfg(test)]
mod tests;
