//! The only reader of the operating system's clock and of its randomness.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "this is the module that the rest is kept from bypassing"
)]

use crate::base::time::{Duration, Instant};
use rand::rngs::SysRng;
use rand::{TryCryptoRng, TryRng};

/// Moments since the clock was made.
#[derive(Clone, Copy, Debug)]
pub struct Clock(std::time::Instant);

impl Clock {
    /// A clock that begins now.
    #[must_use]
    pub fn start() -> Self {
        Self(std::time::Instant::now())
    }

    /// The moment that a stamp of the system's wall clock means; now, if that is still to come. The
    /// stamp must be a fresh one: a wall clock may be set.
    #[must_use]
    pub fn moment_of(&self, stamp: std::time::SystemTime) -> Instant {
        let age = std::time::SystemTime::now().duration_since(stamp).unwrap_or_default();
        self.now() - age
    }

    /// The time since it began.
    #[must_use]
    pub fn now(&self) -> Instant {
        let elapsed = self.0.elapsed();
        Instant::ZERO + elapsed
    }
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
