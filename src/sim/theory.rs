//! What the textbook predicts of the classic strategies.
//!
//! All formulas count time in frames: C is the cycle from the beginning of a frame to the arrival of
//! its acknowledgement, T the timeout, W the window, p the share of frames lost and q that of
//! acknowledgements. The efficiency U is the share of the line's time that carries new frames.
//!
//! They are those of Stallings (Data and Computer Communications, appendix "Performance issues") and
//! Leon-Garcia (Communication Networks, 5.3), in a form in which the timeout may differ from C: with
//! T = C they are the printed ones. They hold where each loss is independent of all others, frames are
//! of one size, and the line is the only thing that takes time.

use super::{FRAME_IP_BYTES, Order};
use crate::base::time::Duration;
use crate::base::units::Rate;
use crate::link::LinkConfig;
use crate::transport::arq::Strategy;

/// Bytes of the IP packet of an acknowledgement, at most.
const ACK_IP_BYTES: u64 = 144;

/// A prediction and where it comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// The share of the line's time that carries new frames.
    pub efficiency: f64,
    /// The formula.
    pub formula: &'static str,
}

/// A path in the textbook's terms.
#[derive(Clone, Copy, Debug)]
pub struct Path {
    /// The time of one frame on the line; nothing on a line without a rate.
    frame: Duration,
    /// Both ways through the link, and the acknowledgement's time on the line back.
    rest: Duration,
}

impl Path {
    /// The path of an order.
    #[must_use]
    pub fn of(order: &Order) -> Self {
        let time = |way: &LinkConfig, bytes| {
            way.bottleneck.map_or(Duration::ZERO, |narrow| transmission_time(narrow.rate, bytes))
        };
        let frame = time(&order.out, FRAME_IP_BYTES);
        let rest = order.out.delay + order.back.delay + time(&order.back, ACK_IP_BYTES);
        Self { frame, rest }
    }

    /// From the beginning of a frame to the arrival of its acknowledgement.
    #[must_use]
    pub fn round_trip(&self) -> Duration {
        self.frame + self.rest
    }

    /// The time of one frame, and the cycle in such times.
    #[must_use]
    pub fn times(&self) -> (Duration, f64) {
        (self.frame, self.in_frames(self.round_trip()))
    }

    fn in_frames(&self, span: Duration) -> f64 {
        span.as_secs_f64() / self.frame.as_secs_f64()
    }
}

/// How long `bytes` take at `rate`.
#[must_use]
pub fn transmission_time(rate: Rate, bytes: u64) -> Duration {
    let nanos = (u128::from(bytes) * 8_000_000_000).div_ceil(u128::from(rate.bits_per_second()));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// What the textbook predicts; nothing where it has no formula for such a link.
#[must_use]
pub fn predict(order: &Order) -> Option<Prediction> {
    let is_plain = |way: &LinkConfig| {
        way.burst_loss.is_none()
            && way.jitter.is_zero()
            && way.drops.is_empty()
            && way.reordering.share.get() <= 0.0
            && way.duplication.get() <= 0.0
    };
    if !is_plain(&order.out) || !is_plain(&order.back) || order.flows != 1 {
        return None;
    }
    order.out.bottleneck?;
    let path = Path::of(order);
    let cycle = path.in_frames(path.round_trip());
    let timeout = order.arq.timeout.map_or(cycle, |timeout| path.in_frames(timeout));
    if timeout < cycle {
        return None;
    }
    let struck = |way: &LinkConfig| 1.0 - (1.0 - way.loss.get()) * (1.0 - way.corruption.get());
    let numbers = Numbers {
        cycle,
        timeout,
        window: f64::from(order.arq.window),
        p: struck(&order.out),
        q: struck(&order.back),
    };
    match order.arq.strategy {
        Strategy::Volley => None,
        Strategy::StopAndWait => Some(numbers.stop_and_wait()),
        Strategy::GoBackN => numbers.go_back_n(),
        Strategy::SelectiveRepeat => numbers.selective_repeat(),
    }
}

struct Numbers {
    cycle: f64,
    timeout: f64,
    window: f64,
    p: f64,
    q: f64,
}

impl Numbers {
    /// Lost if the frame is, or its acknowledgement.
    fn either(&self) -> f64 {
        1.0 - (1.0 - self.p) * (1.0 - self.q)
    }

    /// A success costs a cycle, a failure a timeout.
    fn stop_and_wait(&self) -> Prediction {
        let lost = self.either();
        let efficiency = 1.0 / (self.cycle + self.timeout * lost / (1.0 - lost));
        let formula =
            if self.q > 0.0 { "1/(C + T P/(1-P)), P = 1-(1-p)(1-q)" } else { "1/(C + T p/(1-p))" };
        Prediction { efficiency, formula }
    }

    /// With a window that is never closed, a failure costs all that was sent until the timer fired: the
    /// line finishes the frame that it carries, so whole frames. With a smaller one, frames go in rounds
    /// of W; a failure ends a round after the j frames before it.
    ///
    /// Nothing where acknowledgements are lost: what one costs depends on those after it.
    fn go_back_n(&self) -> Option<Prediction> {
        let Self { cycle, timeout, window, p, q } = *self;
        if q > 0.0 {
            return None;
        }
        if window >= cycle {
            let cost = if window >= timeout.ceil() { timeout.ceil() } else { timeout };
            let efficiency = 1.0 / (1.0 + cost * p / (1.0 - p));
            return Some(Prediction { efficiency, formula: "1/(1 + T p/(1-p)), W >= C" });
        }
        let whole = (1.0 - p).powf(window);
        let before_failure = (1.0 - p) / p.max(1e-12) * (1.0 - whole) - window * whole;
        let before_failure = if p > 0.0 { before_failure } else { 0.0 };
        let frames = before_failure + window * whole;
        let time = cycle * whole + timeout * (1.0 - whole) + before_failure;
        let formula = "(S + W (1-p)^W)/(C (1-p)^W + T (1-(1-p)^W) + S), S = sum j p (1-p)^j, W < C";
        Some(Prediction { efficiency: frames / time, formula })
    }

    /// Each of W places holds a frame for a cycle, or for a timeout where that frame is lost. A lost
    /// acknowledgement costs one frame sent in vain: later ones repeat it, but the first of them comes a
    /// frame's time after the timer.
    ///
    /// Nothing where acknowledgements are lost and the timer waits for those after them.
    fn selective_repeat(&self) -> Option<Prediction> {
        if self.q > 0.0 && self.timeout >= self.cycle + 1.0 {
            return None;
        }
        let held = self.cycle * (1.0 - self.p) + self.timeout * self.p;
        let fill = (self.window / held).min(1.0);
        let sends = 1.0 / (1.0 - self.p) + self.q;
        let formula = match (self.q > 0.0, fill >= 1.0) {
            (false, true) => "1-p, W >= C",
            (false, false) => "W (1-p)/(C (1-p) + T p), W < C",
            (true, true) => "1/(1/(1-p) + q), W >= C",
            (true, false) => "W/(C (1-p) + T p) / (1/(1-p) + q), W < C",
        };
        Some(Prediction { efficiency: fill / sends, formula })
    }
}
