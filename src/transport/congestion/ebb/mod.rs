//! Ebb, the default: a window that grows like CUBIC's, and whose every back-off is a test.
//!
//! A window that shrinks to what the path holds empties the queue, if the queue is its own. If the
//! queue stays, somebody else fills it, and the window goes on as CUBIC's would. And what is lost while
//! the queue is empty is lost whatever is sent, so it is no reason to send less. docs/congestion.md
//! has the algorithm on a page, its figures, and what it does badly.

mod backoff;
mod blame;
mod gauge;
mod jump;
mod startup;

use self::backoff::{Sign, Test};
use self::blame::Blame;
use self::gauge::{Gauge, Tally};
use self::jump::{Jump, Step};
use self::startup::Startup;
use super::curve::Curve;
use super::{
    AckSample, Congestion, INITIAL_WINDOW_PACKETS, LossSample, MarkSample, Phase, UNPACED_RTT,
    initial_window, whole_bytes,
};
use crate::base::time::Instant;
use crate::transport::config::KnownPath;
use crate::transport::rtt::Rtt;

/// The first window of a path whose round trip is known: it is paced, so that no queue has to hold it, and it
/// is no more than this rate's.
const FIRST_PACKETS: f64 = 32.0;
const FIRST_RATE: f64 = 20e6 / 8.0;

/// After start-up the window follows the rate for so many rounds, and what is lost from this one on is
/// the path's.
const SETTLING_ROUNDS: u32 = 6;
const SETTLED_ROUND: u32 = 3;

/// A window that is to leave the queue empty, of what the path holds.
const EMPTY: f64 = 0.97;

/// Fast growth of a round, of the window: it doubles each round while nothing waits.
const GROWTH_MIN: f64 = 1.0 / 128.0;
const GROWTH_MAX: f64 = 1.0 / 8.0;

/// The path has grown if nothing waits though the window is wider than what the path held by this much:
/// more where a queue was so short that only loss showed it.
const BEYOND: f64 = 0.08;
const BEYOND_LOSS: f64 = 0.25;

/// Others fill the queue: the window is at most so many times what the path delivers in an empty round
/// trip, as BBR's is, unless the queue holds more than [`LONG_QUEUE`] round trips.
const COMPETE_MAX: f64 = 2.2;
const LONG_QUEUE: f64 = 1.25;

/// RFC 9002 7.7: faster than the window alone would go, so that pacing never starves it.
const PACING_GAIN: f64 = 1.15;
const PACING_GAIN_STARTUP: f64 = 2.0;

/// Whose the queue is, as far as the last test showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Ours: it goes when we back off.
    Alone,
    /// Others': it stays.
    Compete,
}

/// After start-up: the rate shows only now.
#[derive(Clone, Copy, Debug, Default)]
struct Settling {
    rounds: u32,
    last: f64,
    best: f64,
}

/// The default controller.
#[derive(Clone, Debug)]
pub(super) struct Ebb {
    datagram: f64,
    cwnd: f64,
    gauge: Gauge,
    blame: Blame,
    startup: Option<Startup>,
    /// During start-up, on a path that is known.
    jump: Option<Jump>,
    settling: Option<Settling>,
    mode: Mode,
    curve: Curve,
    test: Option<Test>,
    /// Why the window backed off last, and what the path held then.
    last_sign: Sign,
    held: f64,
    tested_at: Instant,
    /// When the path last had to prove its loss.
    proved_at: Option<Instant>,
    /// Packets sent until then belong to a back-off that has been made.
    recovery_start: Option<Instant>,
    /// Intervals until a back-off that is no test has had its effect.
    rest: u32,
    /// Packets and losses at a full queue since the last sign; and whether one of them met it.
    full: (f64, f64),
    lost_when_full: bool,
    /// Intervals in a row with more loss than the path explains, and how much more.
    excess: (u32, f64),
    growth: f64,
    /// Rounds in which the window does not grow fast.
    steady_rounds: u32,
}

impl Ebb {
    pub(super) fn new(datagram: u16) -> Self {
        Self {
            datagram: f64::from(datagram),
            cwnd: initial_window(datagram) as f64,
            gauge: Gauge::new(Instant::ZERO),
            blame: Blame::default(),
            startup: Some(Startup::default()),
            jump: None,
            settling: None,
            mode: Mode::Alone,
            curve: Curve::flat(0.0),
            test: None,
            last_sign: Sign::Delay,
            held: f64::INFINITY,
            tested_at: Instant::ZERO,
            proved_at: None,
            recovery_start: None,
            rest: 0,
            full: (0.0, 0.0),
            lost_when_full: false,
            excess: (0, 0.0),
            growth: GROWTH_MIN,
            steady_rounds: 0,
        }
    }

    fn floor(&self) -> f64 {
        2.0 * self.datagram
    }

    /// What a path holds that delivers at that rate with an empty queue. What it loses was in flight, too.
    fn held_at(&self, rate: f64, rtt: &Rtt) -> f64 {
        rate * self.gauge.base(rtt) / (1.0 - self.blame.share())
    }

    fn leave_startup(&mut self, now: Instant, rate: f64, rtt: &Rtt) {
        let Some(startup) = self.startup.take() else { return };
        self.blame.begin(startup.loss());
        self.curve = Curve::flat(self.cwnd);
        self.tested_at = now;
        self.recovery_start = Some(now);
        if rtt.min() < UNPACED_RTT {
            return;
        }
        self.settling = Some(Settling::default());
        // The window was half of this when the packets went that tell of the queue.
        self.cwnd = self.cwnd.min((EMPTY * self.held_at(rate, rtt)).max(self.cwnd / 2.0));
        if let Some(safe) = self.jump.take().and_then(|jump| jump.retreat()) {
            self.cwnd = self.cwnd.min(safe.max(INITIAL_WINDOW_PACKETS as f64 * self.datagram));
        }
    }

    /// Whether the window may double, as far as what was known of the path says.
    fn may_double(&mut self, sample: &AckSample<'_>) -> bool {
        let Some(jump) = &mut self.jump else { return true };
        let Some(step) = jump.on_ack(sample) else {
            self.jump = None;
            return true;
        };
        match step {
            Step::Grow => true,
            Step::Stay => false,
            Step::Widen(window) => {
                self.cwnd = self.cwnd.max(window);
                false
            }
            Step::Hold => {
                let flight = (sample.in_flight + sample.bytes) as f64;
                self.cwnd =
                    self.cwnd.min(flight.max(INITIAL_WINDOW_PACKETS as f64 * self.datagram));
                true
            }
        }
    }

    /// The rate at which start-up ends is that of half a window: the next rounds show what the path
    /// delivers.
    fn settle(&mut self, sample: &AckSample<'_>, round: &Tally) {
        let Some(settling) = &mut self.settling else { return };
        settling.rounds += 1;
        let rate = round.rate(sample.now);
        let last = std::mem::replace(&mut settling.last, rate);
        if settling.rounds < 2 {
            return;
        }
        settling.best = settling.best.max((last + rate) / 2.0);
        let Settling { rounds, best, .. } = *settling;
        self.cwnd = (EMPTY * self.held_at(best, sample.rtt)).max(self.floor());
        self.curve = Curve::flat(self.cwnd);
        if rounds >= SETTLING_ROUNDS {
            self.settling = None;
        }
    }

    fn on_round(&mut self, sample: &AckSample<'_>, round: &Tally) {
        self.steady_rounds = self.steady_rounds.saturating_sub(1);
        if let Some(test) = &mut self.test {
            test.rounds += 1;
        }
        let startup = self.startup.as_mut();
        if startup.is_some_and(|startup| startup.is_full(sample.now, round)) {
            self.leave_startup(sample.now, round.rate(sample.now), sample.rtt);
            return;
        }
        self.settle(sample, round);
        let faster = (2.0 * self.growth).min(GROWTH_MAX);
        self.growth = if self.is_free(sample.rtt) { faster } else { GROWTH_MIN };
    }

    /// No queue, though the window is wider than what filled the path: the path has grown.
    fn is_free(&self, rtt: &Rtt) -> bool {
        let beyond = if self.last_sign == Sign::Delay { BEYOND } else { BEYOND_LOSS };
        let is_wider = self.cwnd >= self.curve.w_max().min(self.held * (1.0 + beyond));
        let may_grow = self.mode == Mode::Alone && self.steady_rounds == 0;
        may_grow && is_wider && self.gauge.is_quiet(rtt)
    }

    fn grow(&mut self, sample: &AckSample<'_>) {
        if self.settling.is_some() || self.test.is_some() || self.excess.0 > 0 {
            return;
        }
        let before = self.cwnd;
        self.cwnd = self.curve.grow(self.cwnd, self.datagram, sample);
        if self.is_free(sample.rtt) {
            self.cwnd = self.cwnd.max(before + self.growth * sample.bytes as f64);
        }
        let is_short = self.gauge.queue() <= LONG_QUEUE * self.gauge.base(sample.rtt);
        if self.mode == Mode::Compete && is_short {
            let most = COMPETE_MAX * self.held_at(self.gauge.rate(), sample.rtt);
            self.cwnd = self.cwnd.min(most.max(before));
        }
    }
}

impl Congestion for Ebb {
    fn on_handshake(&mut self, rtt: &Rtt, known: Option<KnownPath>) {
        let at_once = INITIAL_WINDOW_PACKETS as f64 * self.datagram;
        let spread = (FIRST_RATE * rtt.smoothed().as_secs_f64()).min(FIRST_PACKETS * self.datagram);
        self.cwnd = self.cwnd.max(spread.max(at_once));
        if let Some(known) = known {
            self.startup = Some(Startup::expecting(known.loss));
            self.jump = Some(Jump::new(known));
        }
    }

    fn on_ack(&mut self, sample: &AckSample<'_>) {
        let ended = self.gauge.on_ack(sample);
        let variation = self.gauge.variation();
        let startup = self.startup.as_mut();
        let round = self.gauge.round();
        if startup.is_some_and(|startup| startup.sees_queue(sample, variation, round)) {
            let rate = sample.delivery.map_or(self.gauge.rate(), |delivery| delivery.rate());
            self.leave_startup(sample.now, rate, sample.rtt);
        }
        if let Some(round) = &ended.round {
            self.on_round(sample, round);
        }
        if let Some(interval) = &ended.interval {
            self.on_interval(sample, interval);
        }
        let may_double = self.startup.is_some() && self.may_double(sample);
        // RFC 9002 7.8: a window that is not used says nothing about the path.
        if sample.is_app_limited {
            return;
        }
        if self.startup.is_some() {
            self.cwnd += if may_double { sample.bytes as f64 } else { 0.0 };
        } else {
            self.grow(sample);
        }
    }

    fn on_loss(&mut self, sample: &LossSample<'_>) {
        self.gauge.on_loss(sample);
        if self.jump.as_mut().is_some_and(|jump| jump.on_loss(sample)) {
            self.leave_startup(sample.now, self.gauge.rate(), sample.rtt);
        }
        self.look_at_loss(sample);
    }

    fn answers_marks(&self) -> bool {
        true
    }

    fn on_mark(&mut self, sample: &MarkSample<'_>) {
        self.look_at_mark(sample);
    }

    fn on_spurious_loss(&mut self, _sent_at: Instant) {
        self.gauge.on_spurious_loss();
    }

    /// RFC 9002 7.6. What the path held half of, it may hold again: start-up finds out.
    fn on_persistent_congestion(&mut self) {
        self.cwnd = self.floor();
        self.startup = Some(Startup::default());
        self.jump = None;
        (self.settling, self.test) = (None, None);
    }

    fn on_datagram_size(&mut self, bytes: u16) {
        let initial = INITIAL_WINDOW_PACKETS as f64 * self.datagram;
        self.datagram = f64::from(bytes);
        if self.startup.is_some() && self.cwnd <= initial {
            self.cwnd = self.cwnd.max(initial_window(bytes) as f64);
        }
    }

    fn phase(&self) -> Phase {
        if self.startup.is_some() { Phase::SlowStart } else { Phase::Avoidance }
    }

    fn window(&self) -> u64 {
        whole_bytes(self.cwnd)
    }

    fn pacing_rate(&self, rtt: &Rtt) -> f64 {
        if rtt.min() < UNPACED_RTT {
            return f64::INFINITY;
        }
        let is_spread = self.jump.as_ref().is_some_and(Jump::is_trying);
        let gain = match self.startup {
            Some(_) if !is_spread => PACING_GAIN_STARTUP,
            _ => PACING_GAIN,
        };
        gain * self.cwnd / rtt.smoothed().as_secs_f64().max(1e-6)
    }
}

#[cfg(test)]
mod tests;
