//! How a window grows after a congestion event (RFC 9438 4.2 to 4.7). In bytes.

use super::AckSample;
use crate::base::time::Instant;

/// RFC 9438 4.6: what remains of the window after a congestion event.
pub(super) const BETA_CUBIC: f64 = 0.7;

/// RFC 8511 3: after a mark. Queues that mark are short, so less is too much.
pub(super) const BETA_ECN: f64 = 0.85;

/// RFC 9438 5: in packets per second cubed.
const C: f64 = 0.4;

/// RFC 9438 4.3: what makes the Reno-friendly window as large as Reno's own.
const ALPHA_CUBIC: f64 = 3.0 * (1.0 - BETA_CUBIC) / (1.0 + BETA_CUBIC);

/// The window's growth since the last congestion event.
#[derive(Clone, Debug)]
pub(super) struct Curve {
    w_max: f64,
    /// Seconds from the start of the epoch until the window is `w_max` again.
    k: f64,
    epoch_start: Option<Instant>,
    w_est: f64,
    cwnd_prior: f64,
}

impl Curve {
    /// One that begins on its plateau.
    pub(super) fn flat(w_max: f64) -> Self {
        Self { w_max, k: 0.0, epoch_start: None, w_est: 0.0, cwnd_prior: 0.0 }
    }

    /// One that leads from the window after an event back to `w_max`.
    pub(super) fn after(before: f64, cwnd: f64, w_max: f64, datagram: f64) -> Self {
        let k = ((w_max - cwnd).max(0.0) / datagram / C).cbrt();
        Self { w_max, k, epoch_start: None, w_est: cwnd, cwnd_prior: before }
    }

    /// The window that it leads back to.
    pub(super) fn w_max(&self) -> f64 {
        self.w_max
    }

    /// Time does not count until the next acknowledgement.
    pub(super) fn pause(&mut self) {
        self.epoch_start = None;
    }

    /// The window after an acknowledgement.
    pub(super) fn grow(&mut self, cwnd: f64, datagram: f64, sample: &AckSample<'_>) -> f64 {
        let start = *self.epoch_start.get_or_insert_with(|| {
            self.w_est = cwnd;
            sample.now
        });
        let acked = sample.bytes as f64;
        let t = sample.now.since(start).as_secs_f64();
        let cubic = |t: f64| C * datagram * (t - self.k).powi(3) + self.w_max;

        // RFC 9438 4.3: as Reno does, once the window is what it was before the event.
        let alpha = if self.w_est < self.cwnd_prior { ALPHA_CUBIC } else { 1.0 };
        self.w_est += alpha * datagram * acked / cwnd;
        if cubic(t) < self.w_est {
            return cwnd.max(self.w_est);
        }
        let ahead = t + sample.rtt.smoothed().as_secs_f64();
        let target = cubic(ahead).clamp(cwnd, 1.5 * cwnd);
        cwnd + (target - cwnd) / cwnd * acked
    }
}
