//! Memory that peers can make grow, of all transfers of a program, shared so that none starves.
//!
//! A transfer holds no more than is left for others. One whose disk stalls thus takes half, two take a
//! third each, and `n` of them an `n+1`st part; who comes later finds as much as each of them has. (The
//! dynamic thresholds of switches that share memory: Choudhury and Hahne, 1998.) Where little is left a small
//! part is anybody's.
//!
//! Bytes that wait for a disk go as it takes them; what is remembered of files can stay as long as a peer
//! likes. They are apart, so that the second never stops the first.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of file contents that wait for disks, of all transfers together.
pub const BYTES_MAX: usize = 64 << 20;

/// Bytes of what is remembered of files under way, of all transfers together.
pub const STATE_MAX: usize = 80 << 20;

/// Bytes of each that a transfer may hold in any case, beyond those if it must be.
pub const OF_ANY: usize = 64 << 10;

/// What memory is needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pool {
    /// Bytes that wait for a disk.
    Bytes,
    /// What is remembered of files.
    State,
}

impl Pool {
    fn max(self) -> usize {
        match self {
            Self::Bytes => BYTES_MAX,
            Self::State => STATE_MAX,
        }
    }
}

/// The memory of a program.
#[derive(Clone, Debug, Default)]
pub struct Memory(Arc<Pools>);

#[derive(Debug, Default)]
struct Pools {
    bytes: AtomicUsize,
    state: AtomicUsize,
}

impl Pools {
    fn of(&self, pool: Pool) -> &AtomicUsize {
        match pool {
            Pool::Bytes => &self.bytes,
            Pool::State => &self.state,
        }
    }
}

/// What one transfer holds of it, on whichever of its threads. Given back when the last clone is dropped.
#[derive(Clone, Debug, Default)]
pub struct Account(Arc<Holding>);

#[derive(Debug, Default)]
struct Holding {
    memory: Memory,
    held: Pools,
}

/// Part of what a transfer holds; given back when dropped.
#[derive(Debug, Default)]
pub struct Charge {
    account: Account,
    len: usize,
}

impl Memory {
    /// Bytes that all transfers hold.
    #[must_use]
    pub fn held(&self) -> usize {
        [Pool::Bytes, Pool::State].iter().map(|at| self.0.of(*at).load(Ordering::Relaxed)).sum()
    }

    /// An account for one transfer, without bytes yet.
    #[must_use]
    pub fn account(&self) -> Account {
        Account(Arc::new(Holding { memory: self.clone(), held: Pools::default() }))
    }
}

impl Account {
    /// Whether the transfer may hold `len` bytes more of `pool`.
    #[must_use]
    pub fn has_room(&self, pool: Pool, len: usize) -> bool {
        let taken = self.0.memory.0.of(pool).load(Ordering::Relaxed);
        let left = pool.max().saturating_sub(taken.saturating_add(len));
        self.held(pool).saturating_add(len) <= left.max(OF_ANY)
    }

    /// Takes `len` bytes of `pool`, if the transfer may hold them.
    #[must_use]
    pub fn take(&self, pool: Pool, len: usize) -> bool {
        let has_room = self.has_room(pool, len);
        if has_room {
            self.grow(pool, len);
        }
        has_room
    }

    /// Gives `len` bytes of `pool` back.
    pub fn give(&self, pool: Pool, len: usize) {
        self.0.held.of(pool).fetch_sub(len, Ordering::Relaxed);
        self.0.memory.0.of(pool).fetch_sub(len, Ordering::Relaxed);
    }

    /// Part of the bytes that wait, without any yet.
    #[must_use]
    pub fn charge(&self) -> Charge {
        Charge { account: self.clone(), len: 0 }
    }

    fn held(&self, pool: Pool) -> usize {
        self.0.held.of(pool).load(Ordering::Relaxed)
    }

    fn grow(&self, pool: Pool, len: usize) {
        self.0.held.of(pool).fetch_add(len, Ordering::Relaxed);
        self.0.memory.0.of(pool).fetch_add(len, Ordering::Relaxed);
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        for pool in [Pool::Bytes, Pool::State] {
            let held = self.held.of(pool).load(Ordering::Relaxed);
            self.memory.0.of(pool).fetch_sub(held, Ordering::Relaxed);
        }
    }
}

impl Charge {
    /// Makes it larger, whether there is room or not.
    pub fn grow(&mut self, len: usize) {
        self.len += len;
        self.account.grow(Pool::Bytes, len);
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.account.give(Pool::Bytes, self.len);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many bytes each of `count` transfers gets that hold all they can, and what is left.
    fn fill(pool: Pool, count: usize) -> (Vec<usize>, usize) {
        const PIECE: usize = 16 << 10;
        let memory = Memory::default();
        let accounts: Vec<Account> = (0..count).map(|_| memory.account()).collect();
        let mut is_full = false;
        while !is_full {
            is_full = true;
            for account in &accounts {
                is_full &= !account.take(pool, PIECE);
            }
        }
        let left = pool.max() - memory.0.of(pool).load(Ordering::Relaxed);
        let held = accounts.iter().map(|account| account.held(pool)).collect();
        drop(accounts);
        assert_eq!(memory.0.of(pool).load(Ordering::Relaxed), 0);
        (held, left)
    }

    #[test]
    fn those_that_hold_all_they_can_share_alike_and_leave_as_much_for_others() {
        for pool in [Pool::Bytes, Pool::State] {
            for count in [1, 2, 10, 512] {
                let (held, left) = fill(pool, count);
                let part = pool.max() / (count + 1);
                let fair = part - (32 << 10)..=part + (32 << 10);
                let all = held.iter().chain([&left]);
                assert!(all.clone().all(|len| fair.contains(len)), "{pool:?} {count}: {held:?}");
            }
        }
    }

    #[test]
    fn what_is_dropped_is_given_back() {
        let memory = Memory::default();
        let account = memory.account();
        let mut charge = account.charge();
        charge.grow(BYTES_MAX);
        assert!(account.take(Pool::State, 1 << 20), "apart from the bytes");
        assert!(!memory.account().has_room(Pool::Bytes, OF_ANY + 1));
        assert!(memory.account().has_room(Pool::Bytes, OF_ANY), "anybody's");
        drop((charge, account));
        assert!(memory.account().has_room(Pool::Bytes, BYTES_MAX / 2));
    }
}
