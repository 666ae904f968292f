//! The bottleneck: a rate, and a drop-tail queue in front of it.

use super::config::Bottleneck;
use crate::base::time::Instant;

const NANOS: u128 = 1_000_000_000;

/// Datagrams leave one after the other, each after the time that its bits take.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    config: Bottleneck,
    /// When all that went in has left.
    free_at: Instant,
    /// What of that moment is less than a nanosecond, in bits times nanoseconds: rates do not drift.
    remainder: u128,
}

impl Queue {
    pub(super) fn new(config: Bottleneck) -> Self {
        Self { config, free_at: Instant::ZERO, remainder: 0 }
    }

    /// When a packet of `size` bytes has left, or nothing if the queue has no room for it. An idle
    /// bottleneck takes any packet.
    pub(super) fn pass(&mut self, now: Instant, size: usize) -> Option<Instant> {
        let backlog = self.backlog(now);
        if backlog > 0 && backlog + size as u64 > self.config.queue {
            return None;
        }
        if self.free_at <= now {
            self.free_at = now;
            self.remainder = 0;
        }
        let rate = u128::from(self.config.rate.bits_per_second());
        let work = size as u128 * 8 * NANOS + self.remainder;
        self.remainder = work % rate;
        let nanos = u64::try_from(work / rate).unwrap_or(u64::MAX);
        self.free_at += std::time::Duration::from_nanos(nanos);
        Some(self.free_at)
    }

    /// Bytes that went in and have not left.
    pub(super) fn backlog(&self, now: Instant) -> u64 {
        let left = self.free_at.since(now).as_nanos();
        let bits = left * u128::from(self.config.rate.bits_per_second());
        u64::try_from(bits.div_ceil(8 * NANOS)).unwrap_or(u64::MAX)
    }
}
