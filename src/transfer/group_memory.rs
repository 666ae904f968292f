//! Memory for groups whose bytes are likely to go next, of all transfers that send what one program selected.
//!
//! A transfer that finds none left reads its bytes once more instead, from the system's cache: none waits for
//! another one, whose disk may stall.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Groups of all transfers together: 64 MiB.
pub const GROUPS_IN_MEMORY_MAX: usize = 64;

/// The memory.
#[derive(Clone, Debug)]
pub struct GroupMemory(Arc<AtomicUsize>);

/// Room for one group; given back when dropped.
#[derive(Debug)]
pub struct GroupRoom(Arc<AtomicUsize>);

impl Default for GroupMemory {
    fn default() -> Self {
        Self(Arc::new(AtomicUsize::new(GROUPS_IN_MEMORY_MAX)))
    }
}

impl GroupMemory {
    /// Room for one group, if there is some left. Never waits.
    #[must_use]
    pub fn take(&self) -> Option<GroupRoom> {
        let less = |left: usize| left.checked_sub(1);
        let taken = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        taken.ok().map(|_| GroupRoom(self.0.clone()))
    }
}

impl Drop for GroupRoom {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_so_many_and_each_gives_it_back() {
        let memory = GroupMemory::default();
        let mut taken: Vec<_> = std::iter::from_fn(|| memory.clone().take()).collect();
        assert_eq!(taken.len(), GROUPS_IN_MEMORY_MAX);
        taken.pop();
        assert!(memory.take().is_some());
        assert!(memory.take().is_some(), "the one that was dropped at once");
    }
}
