//! Memory for bytes that wait for disks, of all transfers at one listener, shared so that none starves.
//!
//! A transfer holds no more than is left for others. One whose disk stalls thus takes half, two take a
//! third each, and `n` of them an `n+1`st part; who comes later finds as much as each of them has. (The
//! dynamic thresholds of switches that share memory: Choudhury and Hahne, 1998.) Where disks have taken
//! nothing for long, little is left, and a small part is anybody's.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of all transfers together. Ten that each hold what one may hold fit.
pub const BACKLOG_MAX: usize = 256 << 20;

/// Bytes that a transfer may hold in any case, beyond those if it must be.
pub const BACKLOG_OF_ANY: usize = 256 << 10;

/// The memory.
#[derive(Clone, Debug, Default)]
pub struct Backlog(Arc<AtomicUsize>);

/// Part of the memory; given back when dropped.
#[derive(Debug, Default)]
pub struct Share {
    backlog: Backlog,
    len: usize,
}

impl Backlog {
    /// Whether a transfer that holds `held` bytes may hold `len` more.
    #[must_use]
    pub fn has_room(&self, held: usize, len: usize) -> bool {
        // Who asks is alone to take: the thread of the loop. Others only give back.
        let left = BACKLOG_MAX.saturating_sub(self.0.load(Ordering::Relaxed) + len);
        held + len <= left.max(BACKLOG_OF_ANY)
    }

    /// A share of it, without bytes yet.
    #[must_use]
    pub fn share(&self) -> Share {
        Share { backlog: self.clone(), len: 0 }
    }
}

impl Share {
    /// Makes it larger.
    pub fn grow(&mut self, len: usize) {
        self.len += len;
        self.backlog.0.fetch_add(len, Ordering::Relaxed);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.backlog.0.fetch_sub(self.len, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many bytes each of `count` transfers gets whose disks stall, and what is left.
    fn fill(count: usize) -> (Vec<usize>, usize) {
        const PIECE: usize = 64 << 10;
        let backlog = Backlog::default();
        let mut shares: Vec<Share> = (0..count).map(|_| backlog.share()).collect();
        let mut is_full = false;
        while !is_full {
            is_full = true;
            for share in &mut shares {
                if backlog.has_room(share.len, PIECE) {
                    share.grow(PIECE);
                    is_full = false;
                }
            }
        }
        let left = BACKLOG_MAX - backlog.0.load(Ordering::Relaxed);
        let held = shares.iter().map(|share| share.len).collect();
        drop(shares);
        assert_eq!(backlog.0.load(Ordering::Relaxed), 0);
        (held, left)
    }

    #[test]
    fn those_that_stall_share_alike_and_leave_as_much_for_others() {
        for count in [1, 2, 10, 512] {
            let (held, left) = fill(count);
            let part = BACKLOG_MAX / (count + 1);
            let fair = part - (128 << 10)..=part + (128 << 10);
            assert!(held.iter().chain([&left]).all(|len| fair.contains(len)), "{count}: {held:?}");
        }
    }
}
