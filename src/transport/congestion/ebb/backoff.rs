//! When the window backs off, by how much, and what that shows.

use super::gauge::Tally;
use super::{EMPTY, Ebb, GROWTH_MIN, Mode, SETTLED_ROUND};
use crate::base::time::{Duration, Instant};
use crate::transport::congestion::curve::{BETA_CUBIC, BETA_ECN, Curve};
use crate::transport::congestion::{AckSample, LossSample, MarkSample, UNPACED_RTT};
use crate::transport::rtt::Rtt;

/// A test lasts so many rounds and packets, or so many rounds and however few packets; and two intervals.
const TEST_ROUNDS: u32 = 3;
const TEST_PACKETS: f64 = 100.0;
const TEST_ROUNDS_MAX: u32 = 8;
const TEST_INTERVALS: u32 = 2;

/// While others fill the queue, it is tested again after so long, or so many round trips.
const TEST_AGAIN: Duration = Duration::from_secs(5);
const TEST_AGAIN_ROUNDS: u32 = 40;

/// The queue is empty if this part of it is left, or no more than noise.
const DRAINED: f64 = 1.0 / 3.0;

/// Less than this: the path loses nothing by itself, and the first loss at a full queue is ours.
const LOSSLESS: f64 = 0.002;

/// More than so many times the path's loss, and this, of so many windows, is ours at a full queue.
const FULL_FACTOR: f64 = 1.5;
const FULL_EXCESS: f64 = 0.005;
const FULL_WINDOWS: f64 = 4.0;

/// More than this is ours without a queue; where the window is narrower than it was, more than that.
const EXCESS: f64 = 0.02;
const EXCESS_NARROW: f64 = 0.05;

/// In so many intervals in a row; in fewer where it is much.
const EXCESS_INTERVALS: u32 = 3;
const EXCESS_INTERVALS_MUCH: u32 = 2;
const EXCESS_MUCH: f64 = 0.10;

/// A flow that has a part of the path undoes a part of the overload only: twice the excess, between these.
const EXCESS_CUT: (f64, f64) = (0.06, 0.5);

/// No fast growth for so many rounds after it.
const STEADY_ROUNDS: u32 = 48;

/// If the loss fell by less than this part of what it would if it were ours, it is the path's.
const KEPT: f64 = 0.3;

/// What such a test shows counts so many times.
const PROMPT: f64 = 4.0;

/// A path that is believed to lose more than this has to prove it: right after start-up, and again after so
/// long, or so many round trips. Otherwise flows that take each other's losses for the path's drive each
/// other on.
const PROOF_ABOVE: f64 = 0.02;
const PROOF_AGAIN: Duration = Duration::from_secs(10);
const PROOF_AGAIN_ROUNDS: u32 = 80;

/// The window meanwhile, of what it is; and how much of the loss has to stay.
const PROOF_WINDOW: f64 = 0.6;
const PROVED: f64 = 0.6;

/// Why the window backs off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// Packets wait too long.
    Delay,
    /// The queue is full, and more is lost than the path loses.
    Loss,
    /// More is lost than the path loses, and nothing waits: a policer, or a queue of a few packets.
    Excess,
    /// What the path is believed to lose has to stay when the window is much smaller.
    Proof,
}

/// A back-off whose outcome is awaited, and how things stood before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Test {
    sign: Sign,
    cwnd: f64,
    queue: f64,
    rate: f64,
    loss: f64,
    /// What the path was believed to lose.
    share: f64,
    pub(super) rounds: u32,
    intervals: u32,
    packets: f64,
}

impl Test {
    fn is_over(&self) -> bool {
        let is_long = self.rounds >= TEST_ROUNDS && self.packets >= TEST_PACKETS;
        self.intervals >= TEST_INTERVALS && (is_long || self.rounds >= TEST_ROUNDS_MAX)
    }

    /// Packets that were sent before it are no longer among those that are heard of.
    fn has_settled(&self) -> bool {
        self.rounds >= TEST_ROUNDS
    }
}

impl Ebb {
    /// Whether the window is about as wide as it was before it last backed off.
    fn is_wide(&self) -> bool {
        self.cwnd >= 0.9 * self.curve.w_max()
    }

    /// Whether no answer to an earlier sign is awaited.
    fn may_back_off(&self) -> bool {
        self.startup.is_none() && self.settling.is_none() && self.test.is_none() && self.rest == 0
    }

    fn is_test_due(&self, now: Instant, rtt: &Rtt) -> bool {
        let again = TEST_AGAIN.max(rtt.smoothed() * TEST_AGAIN_ROUNDS);
        self.mode == Mode::Alone || now.since(self.tested_at) >= again
    }

    /// What is left of the window when it holds no more than the path does.
    fn emptying(&self, rtt: &Rtt) -> f64 {
        let base = self.gauge.base(rtt);
        EMPTY * base / (base + self.gauge.queue())
    }

    pub(super) fn on_interval(&mut self, sample: &AckSample<'_>, interval: &Tally) {
        if self.settling.is_some_and(|settling| settling.rounds >= SETTLED_ROUND) {
            self.blame.bound(interval.loss(), interval.packets());
        }
        if self.startup.is_some() || self.settling.is_some() {
            return;
        }
        self.learn(interval, sample.rtt);
        if let Some(test) = &mut self.test {
            test.intervals += 1;
            test.packets += interval.packets();
            if test.is_over() {
                self.end_test(sample, interval.loss());
            }
            return;
        }
        self.watch_full_queue(sample, interval);
        self.watch_delay(sample, interval);
        self.watch_excess(sample, interval);
        self.ask_for_proof(sample, interval);
        self.rest = self.rest.saturating_sub(1);
    }

    /// What is lost while the queue is not full, the path loses by itself.
    fn learn(&mut self, interval: &Tally, rtt: &Rtt) {
        if self.rest > 0 || self.test.is_some_and(|test| !test.has_settled()) {
            return;
        }
        let (loss, packets) = (interval.loss(), interval.packets());
        let narrowed = self.test.is_some_and(|test| {
            // What the path delivers fell with the window, so the path has room.
            let half_way = (1.0 + self.cwnd / test.cwnd) / 2.0;
            test.sign == Sign::Delay || self.gauge.rate() < test.rate * half_way
        });
        let has_room = narrowed && !self.is_wide() && self.gauge.is_quiet(rtt);
        if has_room || self.gauge.is_half_empty(rtt) {
            self.blame.learn(loss, packets);
        } else if self.test.is_some() {
            self.blame.bound(loss, packets);
        }
    }

    /// A loss whose neighbours waited long met a full queue.
    pub(super) fn look_at_loss(&mut self, sample: &LossSample<'_>) {
        let is_old = self.recovery_start.is_some_and(|start| sample.sent_at <= start);
        if is_old || !self.may_back_off() {
            return;
        }
        let rtt = sample.rtt;
        let waited = rtt.latest().as_secs_f64() - self.gauge.base(rtt);
        let is_local = rtt.min() < UNPACED_RTT;
        let met_full = waited >= self.gauge.full_wait(rtt) && self.gauge.is_full(rtt);
        if !self.is_wide() || !(is_local || met_full) {
            return;
        }
        if self.blame.share() < LOSSLESS {
            self.back_off_at_full_queue(sample.now, rtt, 0.0);
        } else {
            self.lost_when_full = true;
        }
    }

    /// The queue itself says that it is too long, and nothing has to be asked but whether that is new. Where
    /// the window fills it alone it empties it.
    pub(super) fn look_at_mark(&mut self, sample: &MarkSample<'_>) {
        let MarkSample { now, sent_at, rtt } = *sample;
        if self.recovery_start.is_some_and(|start| sent_at <= start) {
            return;
        }
        // The path is what it was.
        self.steady_rounds = STEADY_ROUNDS;
        if self.startup.is_some() {
            return self.leave_startup(now, self.gauge.rate(), rtt);
        }
        (self.settling, self.test) = (None, None);
        self.last_sign = Sign::Loss;
        self.held = self.held_at(self.gauge.rate(), rtt);
        let empty = if self.mode == Mode::Alone { self.emptying(rtt) } else { 1.0 };
        self.shrink(now, empty.min(BETA_ECN));
        self.rest = 2;
    }

    fn watch_full_queue(&mut self, sample: &AckSample<'_>, interval: &Tally) {
        if !self.may_back_off() {
            self.lost_when_full = false;
            return;
        }
        if self.gauge.is_full(sample.rtt) && self.is_wide() {
            self.full.0 += interval.packets();
            self.full.1 += interval.lost();
        }
        let (packets, lost) = self.full;
        if packets < FULL_WINDOWS * self.cwnd / self.datagram {
            return;
        }
        self.full = (0.0, 0.0);
        let loss = lost / packets;
        let explained = FULL_FACTOR * self.blame.share() + FULL_EXCESS;
        let is_more = loss > explained + 2.0 * self.blame.deviation(packets);
        if std::mem::take(&mut self.lost_when_full) && is_more {
            self.back_off_at_full_queue(sample.now, sample.rtt, loss);
        }
    }

    fn watch_delay(&mut self, sample: &AckSample<'_>, interval: &Tally) {
        let rtt = sample.rtt;
        let is_long = self.gauge.queue() > self.gauge.queue_limit(rtt) && rtt.min() >= UNPACED_RTT;
        if self.may_back_off() && is_long && self.is_test_due(sample.now, rtt) {
            self.begin_test(sample.now, Sign::Delay, self.emptying(rtt), interval.loss(), rtt);
        }
    }

    fn watch_excess(&mut self, sample: &AckSample<'_>, interval: &Tally) {
        if !self.may_back_off() {
            return;
        }
        let slack = if self.is_wide() { EXCESS } else { EXCESS_NARROW };
        let excess = self.blame.excess(interval.loss());
        if excess <= slack + 2.0 * self.blame.deviation(interval.packets()) {
            self.excess = (0, 0.0);
            return;
        }
        self.excess.0 += 1;
        self.excess.1 += excess;
        let mean = self.excess.1 / f64::from(self.excess.0);
        let is_much = mean > EXCESS_MUCH;
        let enough = if is_much { EXCESS_INTERVALS_MUCH } else { EXCESS_INTERVALS };
        if self.excess.0 >= enough {
            let cut = 1.0 - (2.0 * mean).clamp(EXCESS_CUT.0, EXCESS_CUT.1);
            self.begin_test(sample.now, Sign::Excess, cut, interval.loss(), sample.rtt);
        }
    }

    fn ask_for_proof(&mut self, sample: &AckSample<'_>, interval: &Tally) {
        let again = PROOF_AGAIN.max(sample.rtt.smoothed() * PROOF_AGAIN_ROUNDS);
        let is_due = self.proved_at.is_none_or(|proved| sample.now.since(proved) >= again);
        if self.may_back_off() && is_due && self.blame.share() > PROOF_ABOVE {
            self.proved_at = Some(sample.now);
            self.begin_test(sample.now, Sign::Proof, PROOF_WINDOW, interval.loss(), sample.rtt);
        }
    }

    fn back_off_at_full_queue(&mut self, now: Instant, rtt: &Rtt, loss: f64) {
        if self.is_test_due(now, rtt) && rtt.min() >= UNPACED_RTT {
            self.begin_test(now, Sign::Loss, self.emptying(rtt), loss, rtt);
        } else {
            self.shrink(now, BETA_CUBIC);
            self.rest = 2;
        }
    }

    fn begin_test(&mut self, now: Instant, sign: Sign, to: f64, loss: f64, rtt: &Rtt) {
        self.test = Some(Test {
            sign,
            cwnd: self.cwnd,
            queue: self.gauge.queue(),
            rate: self.gauge.rate(),
            loss,
            share: self.blame.share(),
            rounds: 0,
            intervals: 0,
            packets: 0.0,
        });
        self.tested_at = now;
        self.last_sign = sign;
        self.held = self.held_at(self.gauge.rate(), rtt);
        self.shrink(now, to);
    }

    fn shrink(&mut self, now: Instant, to: f64) {
        let before = self.cwnd;
        // RFC 9438 4.7: a flow whose windows shrink makes room faster.
        let makes_room = before < self.curve.w_max() && self.mode == Mode::Compete;
        let w_max = if makes_room { before * (1.0 + BETA_CUBIC) / 2.0 } else { before };
        self.cwnd = (before * to).max(self.floor());
        self.curve = Curve::after(before, self.cwnd, w_max, self.datagram);
        self.recovery_start = Some(now);
        self.full = (0.0, 0.0);
        self.excess = (0, 0.0);
        self.growth = GROWTH_MIN;
    }

    fn end_test(&mut self, sample: &AckSample<'_>, loss: f64) {
        let Some(test) = self.test.take() else { return };
        let noise = self.gauge.noise(sample.rtt);
        let is_drained = self.gauge.queue() <= (test.queue * DRAINED).max(noise);
        match test.sign {
            Sign::Excess => {
                self.judge_excess(&test, sample.rtt, loss);
                self.steady_rounds = STEADY_ROUNDS;
            }
            Sign::Proof => {
                let believed = test.share;
                self.blame.bound(loss, test.packets);
                if self.blame.share() >= PROVED * believed {
                    self.cwnd = test.cwnd;
                    self.curve = Curve::flat(self.cwnd);
                }
            }
            Sign::Delay | Sign::Loss if is_drained => self.mode = Mode::Alone,
            Sign::Delay => {
                self.mode = Mode::Compete;
                self.cwnd = test.cwnd;
                self.curve = Curve::flat(self.cwnd);
            }
            Sign::Loss => {
                self.mode = Mode::Compete;
                self.cwnd = (test.cwnd * BETA_CUBIC).max(self.cwnd);
                self.curve = Curve::after(test.cwnd, self.cwnd, test.cwnd, self.datagram);
            }
        }
    }

    /// If less came of a smaller window and as much was lost of it, the loss is the path's. A queue that
    /// stands says that somebody sends too much, whoever it is: then nothing is learnt.
    fn judge_excess(&mut self, test: &Test, rtt: &Rtt, loss: f64) {
        let cut = 1.0 - self.cwnd / test.cwnd;
        let follows = self.gauge.rate() < test.rate * (1.0 - 0.7 * cut);
        let if_ours = cut.min(test.loss - self.blame.share());
        if follows && self.gauge.is_quiet(rtt) && test.loss - loss < KEPT * if_ours {
            // A window that was cut for nothing comes back; and it may be too small for a slow lesson.
            self.blame.learn(loss, PROMPT * test.packets);
            self.cwnd = test.cwnd;
            self.curve = Curve::flat(self.cwnd);
        }
    }
}
