//! Round-trip time estimation (RFC 9002 5).

use crate::base::time::Duration;

/// Timer granularity (RFC 9002 6.1.2).
pub const GRANULARITY: Duration = Duration::from_millis(1);

/// The RTT assumed before the first sample (RFC 9002 6.2.2).
const INITIAL_RTT: Duration = Duration::from_millis(333);

/// Estimates of one path's round-trip time.
#[derive(Clone, Debug)]
pub struct Rtt {
    latest: Duration,
    min: Duration,
    smoothed: Duration,
    variation: Duration,
    sampled: bool,
}

impl Default for Rtt {
    fn default() -> Self {
        Self {
            latest: INITIAL_RTT,
            min: INITIAL_RTT,
            smoothed: INITIAL_RTT,
            variation: INITIAL_RTT / 2,
            sampled: false,
        }
    }
}

impl Rtt {
    /// Takes a sample; `ack_delay` is how long the peer says it held the acknowledgement back.
    pub fn update(&mut self, sample: Duration, ack_delay: Duration) {
        self.latest = sample;
        if !self.sampled {
            self.sampled = true;
            (self.min, self.smoothed, self.variation) = (sample, sample, sample / 2);
            return;
        }
        // RFC 9002 5.2, 5.3: the minimum ignores the peer's delay, the rest never goes below it.
        self.min = self.min.min(sample);
        let adjusted = if sample >= self.min + ack_delay { sample - ack_delay } else { sample };
        let deviation = self.smoothed.abs_diff(adjusted);
        self.variation = (self.variation * 3 + deviation) / 4;
        self.smoothed = (self.smoothed * 7 + adjusted) / 8;
    }

    /// Whether there was a sample.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.sampled
    }

    /// The newest sample.
    #[must_use]
    pub fn latest(&self) -> Duration {
        self.latest
    }

    /// The smallest sample.
    #[must_use]
    pub fn min(&self) -> Duration {
        self.min
    }

    /// The smoothed RTT.
    #[must_use]
    pub fn smoothed(&self) -> Duration {
        self.smoothed
    }

    /// The probe timeout before back-off (RFC 9002 6.2.1).
    #[must_use]
    pub fn pto(&self, max_ack_delay: Duration) -> Duration {
        self.smoothed + (self.variation * 4).max(GRANULARITY) + max_ack_delay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_first_sample_sets_everything() {
        let mut rtt = Rtt::default();
        rtt.update(100 * MS, 20 * MS);
        assert_eq!(
            (rtt.smoothed(), rtt.min(), rtt.pto(Duration::ZERO)),
            (100 * MS, 100 * MS, 300 * MS)
        );
    }

    #[test]
    fn the_peers_delay_is_taken_off_unless_that_goes_below_the_minimum() {
        let mut rtt = Rtt::default();
        rtt.update(100 * MS, Duration::ZERO);
        rtt.update(116 * MS, 8 * MS);
        assert_eq!(rtt.smoothed(), 101 * MS);
        let before = rtt.smoothed();
        rtt.update(105 * MS, 80 * MS);
        assert!(rtt.smoothed() > before, "105 ms counts in full");
    }
}
