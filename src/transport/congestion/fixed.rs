//! The rate that the user asks for, on a line known to be lossy and known to be his.

use super::{AckSample, Congestion, LossSample, Phase};
use crate::base::time::{Duration, Instant};
use crate::base::units::Rate;
use crate::transport::rtt::Rtt;

/// In flight at the least: a scheduling pause must not stop the line.
const SPAN_MIN: Duration = Duration::from_millis(100);

/// A constant rate; the window only ends what nobody acknowledges.
#[derive(Clone, Debug)]
pub(super) struct Fixed {
    rate: Rate,
    window: u64,
}

impl Fixed {
    pub(super) fn new(rate: Rate) -> Self {
        let mut fixed = Self { rate, window: 0 };
        fixed.set_window(Duration::from_secs(1));
        fixed
    }

    /// Twice what the rate puts in flight: a packet that is lost stays in flight for up to another
    /// round trip before that is known.
    fn set_window(&mut self, smoothed: Duration) {
        let span = smoothed.max(SPAN_MIN).as_secs_f64() * 2.0;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "positive, and a float cast saturates"
        )]
        let window = (self.rate.bytes_per_second() * span) as u64;
        self.window = window.max(16 * 1500);
    }
}

impl Congestion for Fixed {
    fn on_ack(&mut self, sample: &AckSample<'_>) {
        self.set_window(sample.rtt.smoothed());
    }

    fn on_loss(&mut self, _sample: &LossSample<'_>) {}

    fn on_spurious_loss(&mut self, _sent_at: Instant) {}

    /// RFC 8085 3.1: not even a fixed rate goes on into silence; the window and the probe timeout
    /// stop it, the next acknowledgement starts it again.
    fn on_persistent_congestion(&mut self) {
        self.window = 16 * 1500;
    }

    fn on_datagram_size(&mut self, _bytes: u16) {}

    fn phase(&self) -> Phase {
        Phase::Steady
    }

    fn window(&self) -> u64 {
        self.window
    }

    fn pacing_rate(&self, _rtt: &Rtt) -> f64 {
        self.rate.bytes_per_second()
    }
}
