//! ICMP refusals ("port unreachable") as a hint that nobody is there.
//!
//! Anybody can forge one, so a single one means nothing: they count while nothing at all arrives, and
//! only if they keep coming.

use super::config::REFUSALS_MIN;
use crate::base::time::{Duration, Instant};

/// Refusals since something was last received from the peer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Refusals {
    first: Option<Instant>,
    count: u32,
}

impl Refusals {
    /// One more; true if it is the first.
    pub fn note(&mut self, now: Instant) -> bool {
        self.count = self.count.saturating_add(1);
        let is_first = self.first.is_none();
        self.first.get_or_insert(now);
        is_first
    }

    /// Something was received: whoever refused, it was not the peer's system, or that is over.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// How many there were.
    #[cfg(test)]
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// Whether they came for at least `span`, and not in one burst of a few.
    #[must_use]
    pub fn convince(&self, now: Instant, span: Duration) -> bool {
        self.count >= REFUSALS_MIN && self.first.is_some_and(|first| now >= first + span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_refusals_and_a_burst_of_them_mean_nothing() {
        let at = |ms: u64| Instant::from_nanos(ms * 1_000_000);
        let span = Duration::from_secs(1);
        let mut refusals = Refusals::default();
        assert!(refusals.note(at(0)));
        assert!(!refusals.note(at(2_000)));
        assert!(!refusals.convince(at(2_000), span), "too few");
        refusals.reset();
        for _ in 0..50 {
            refusals.note(at(5_000));
        }
        assert!(!refusals.convince(at(5_999), span), "too soon");
        refusals.note(at(6_000));
        assert!(refusals.convince(at(6_000), span));
    }
}
