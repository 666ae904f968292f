//! The bottleneck: a rate, and a drop-tail queue in front of it.

use super::config::Bottleneck;
use crate::base::time::{Duration, Instant};
use crate::base::units::Share;

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

/// How a packet gets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Passage {
    /// When its last bit has left.
    pub(super) leaves: Instant,
    /// How long it waited for those before it.
    pub(super) waited: Duration,
}

impl Queue {
    pub(super) fn new(config: Bottleneck) -> Self {
        Self { config, free_at: Instant::ZERO, remainder: 0 }
    }

    /// How a packet of `size` bytes gets through, or nothing if the queue has no room for it. An idle
    /// bottleneck takes any packet.
    pub(super) fn pass(&mut self, now: Instant, size: usize) -> Option<Passage> {
        let backlog = self.backlog(now);
        if backlog > 0 && backlog + size as u64 > self.config.queue {
            return None;
        }
        let waited = self.free_at.since(now);
        if self.free_at <= now {
            self.free_at = now;
            self.remainder = 0;
        }
        let rate = u128::from(self.config.rate.bits_per_second());
        let work = size as u128 * 8 * NANOS + self.remainder;
        self.remainder = work % rate;
        let nanos = u64::try_from(work / rate).unwrap_or(u64::MAX);
        self.free_at += Duration::from_nanos(nanos);
        Some(Passage { leaves: self.free_at, waited })
    }

    /// Whether more waits than that share of the room.
    pub(super) fn is_full(&self, now: Instant, share: Share) -> bool {
        self.backlog(now) as f64 > share.get() * self.config.queue as f64
    }

    /// Bytes that went in and have not left.
    pub(super) fn backlog(&self, now: Instant) -> u64 {
        let left = self.free_at.since(now).as_nanos();
        let bits = left * u128::from(self.config.rate.bits_per_second());
        u64::try_from(bits.div_ceil(8 * NANOS)).unwrap_or(u64::MAX)
    }
}
