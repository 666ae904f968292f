//! Spreads packets over time (RFC 9002 7.7), as a leaky bucket of bytes.

use crate::base::time::{Duration, Instant};

/// A train leaves in one piece where it takes no longer than this at the pacing rate.
const QUANTUM: Duration = Duration::from_millis(1);

/// As much as this much time would have let go is made up for, unless said otherwise.
const CATCH_UP: Duration = Duration::from_millis(4);

/// No train is longer than one segmentation offload buffer.
const TRAIN_BYTES_MAX: f64 = 65_536.0;

/// Bytes that leave in one piece at `rate` bytes per second, in packets of `packet` bytes.
#[must_use]
pub fn train(rate: f64, packet: f64) -> f64 {
    (rate * QUANTUM.as_secs_f64()).clamp(2.0 * packet, TRAIN_BYTES_MAX)
}

/// Says when, and how much at once.
#[derive(Clone, Debug)]
pub struct Pacer {
    /// Bytes that may go now; negative where a train went ahead of its time.
    tokens: f64,
    refilled: Instant,
    catch_up: Duration,
}

impl Pacer {
    /// A pacer that lets `burst` bytes go at once.
    #[must_use]
    pub fn new(now: Instant, burst: u64) -> Self {
        Self { tokens: burst as f64, refilled: now, catch_up: CATCH_UP }
    }

    /// The same, which makes up for as much as `catch_up` would have let go.
    #[must_use]
    pub fn catching_up(self, catch_up: Duration) -> Self {
        Self { catch_up, ..self }
    }

    /// How many bytes may go now at `rate` bytes per second, in packets of `packet` bytes; or when
    /// to ask again. An infinite rate is not paced.
    ///
    /// # Errors
    /// The moment at which a train may go.
    pub fn allowance(&mut self, now: Instant, rate: f64, packet: u64) -> Result<u64, Instant> {
        if rate.is_infinite() {
            return Ok(u64::MAX);
        }
        let quantum = train(rate, packet as f64);
        let elapsed = now.since(self.refilled).as_secs_f64();
        self.refilled = now;
        // A sender that the scheduler woke late catches up; more would be a burst.
        let most = self.tokens.max(quantum + rate * self.catch_up.as_secs_f64());
        self.tokens = (self.tokens + elapsed * rate).min(most);
        // Waiting for a whole train saves wake-ups; a train is at least two packets.
        if self.tokens >= quantum {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "positive, and a float cast saturates"
            )]
            return Ok(self.tokens as u64);
        }
        let wait = (quantum - self.tokens) / rate.max(1.0);
        Err(now + Duration::from_secs_f64(wait.clamp(1e-6, 10.0)))
    }

    /// Takes note that `bytes` went.
    pub fn on_sent(&mut self, bytes: u64) {
        self.tokens -= bytes as f64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes let go in one second of virtual time, and the longest burst.
    fn run(rate: f64, packet: u64) -> (u64, u64) {
        let mut now = Instant::ZERO;
        let mut pacer = Pacer::new(now, 0);
        let (mut sent, mut longest) = (0, 0);
        while now < Instant::from_nanos(1_000_000_000) {
            match pacer.allowance(now, rate, packet) {
                Ok(bytes) => {
                    let whole = bytes / packet * packet;
                    pacer.on_sent(whole);
                    sent += whole;
                    longest = longest.max(whole);
                }
                Err(later) => {
                    assert!(later > now);
                    now = later;
                }
            }
        }
        (sent, longest)
    }

    #[test]
    fn the_rate_is_kept_in_short_bursts() {
        for rate in [20e3, 1e6, 125e6, 1.25e9] {
            let (sent, longest) = run(rate, 1472);
            let wanted = rate * 1.0;
            assert!((sent as f64 - wanted).abs() < wanted * 0.01 + 6_000.0, "{rate}: {sent}");
            assert!(longest <= 131_072, "{rate}: {longest}");
        }
    }

    #[test]
    fn idle_time_is_not_saved_up() {
        let mut pacer = Pacer::new(Instant::ZERO, 0);
        let later = Instant::from_nanos(60_000_000_000);
        let burst = pacer.allowance(later, 12.5e6, 1472).expect("long idle");
        assert!(burst <= 70_000, "{burst}");
    }
}
