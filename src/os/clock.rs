//! The only reader of the operating system's clock and of its randomness.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "this is the module that the rest is kept from bypassing"
)]

use crate::base::time::{Duration, Instant};
use rand::rngs::SysRng;
use rand::{TryCryptoRng, TryRng};
use std::time::SystemTime;

/// Older stamps are not believed: the system's clock was set since then.
const STAMP_AGE_MAX: Duration = Duration::from_secs(1);

/// Moments since the clock was made.
#[derive(Clone, Copy, Debug)]
pub struct Clock(std::time::Instant);

impl Clock {
    /// A clock that begins now.
    #[must_use]
    pub fn start() -> Self {
        Self(std::time::Instant::now())
    }

    /// The time since it began.
    #[must_use]
    pub fn now(&self) -> Instant {
        let elapsed = self.0.elapsed();
        Instant::ZERO + elapsed
    }

    /// When the system stamped something, in time since 1970; now where it did not.
    #[must_use]
    pub fn moment(&self, stamp: Option<Duration>) -> Instant {
        let age = stamp.and_then(|stamp| (SystemTime::UNIX_EPOCH + stamp).elapsed().ok());
        self.now() - age.filter(|age| *age <= STAMP_AGE_MAX).unwrap_or_default()
    }
}

/// Seconds since 1970, by the system's clock, which somebody may set.
#[must_use]
pub fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Processor time that this process has used, with all its threads.
#[cfg(unix)]
#[must_use]
pub fn process_time() -> Duration {
    processor_time(rustix::time::ClockId::ProcessCPUTime)
}

/// Processor time that the calling thread has used.
#[cfg(unix)]
#[must_use]
pub fn thread_time() -> Duration {
    processor_time(rustix::time::ClockId::ThreadCPUTime)
}

#[cfg(unix)]
fn processor_time(clock: rustix::time::ClockId) -> Duration {
    rustix::time::clock_gettime(clock).try_into().expect("time that has been used is not negative")
}

/// A number that nobody can guess.
#[must_use]
pub fn random_u64() -> u64 {
    source().try_next_u64().expect("the system has randomness")
}

/// Bytes that nobody can guess.
#[must_use]
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    source().try_fill_bytes(&mut bytes).expect("the system has randomness");
    bytes
}

fn source() -> impl TryCryptoRng<Error: std::fmt::Debug> {
    SysRng
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_a_moment_unless_the_clock_was_set_since() {
        let clock = Clock(std::time::Instant::now() - Duration::from_secs(100));
        let since_1970 = SystemTime::UNIX_EPOCH.elapsed().expect("later than 1970");
        let before = clock.now();
        let half = Duration::from_millis(500);
        let stamped = clock.moment(Some(since_1970 - half));
        assert!(stamped <= clock.now() - half && stamped + STAMP_AGE_MAX >= before);
        let hour = Duration::from_secs(3600);
        for wrong in [None, Some(since_1970 - hour), Some(since_1970 + hour)] {
            assert!(clock.moment(wrong) >= before);
        }
    }
}
