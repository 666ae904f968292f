//! Delay that wanders, without changing the order of datagrams.
//!
//! At the ends of equal steps of time the extra delay is drawn evenly from -J to +J, and between them
//! it changes evenly. A step lasts 2 J, so the delay never falls faster than time goes on, and no
//! datagram overtakes another: what queues on a real path do. Datagrams that overtake are an option
//! of their own.

use crate::base::time::{Duration, Instant, nanos};

/// The extra delay as a function of time and a seed.
#[derive(Clone, Debug)]
pub(super) struct Jitter {
    stream: u64,
    /// J, in nanoseconds.
    reach: u64,
}

impl Jitter {
    pub(super) fn new(stream: u64, reach: Duration) -> Self {
        Self { stream, reach: nanos(reach) }
    }

    /// The delay at a moment on a path of that mean delay; at least nothing.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float cast saturates, and less than no delay is none"
    )]
    pub(super) fn delay(&self, now: Instant, mean: Duration) -> Duration {
        if self.reach == 0 {
            return mean;
        }
        let step = self.reach.saturating_mul(2);
        let (index, within) = (now.as_nanos() / step, now.as_nanos() % step);
        let part = within as f64 / step as f64;
        let extra = self.node(index) * (1.0 - part) + self.node(index + 1) * part;
        Duration::from_nanos((nanos(mean) as f64 + extra * self.reach as f64) as u64)
    }

    /// The draw at the end of a step, evenly from -1 to 1. A hash of its index (SplitMix64's output
    /// function; Steele et al. 2014), so that no step has to be visited.
    fn node(&self, index: u64) -> f64 {
        let mut z =
            self.stream.wrapping_add(index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        (z >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }
}
