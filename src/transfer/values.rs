//! What a sender says of groups before their bytes have come: values that wait, in memory that all transfers
//! share.

use super::budget::{Account, Pool};
use super::hash::Hash;
use std::collections::BTreeMap;

/// What one costs with its place in the map.
const COST: usize = 80;

/// Memory that is left to what is needed, of a transfer's share.
const SPARE: usize = 16 << 20;

/// Values of groups of one file.
#[derive(Debug, Default)]
pub(super) struct Values {
    of: BTreeMap<u64, Hash>,
    account: Account,
}

impl Values {
    /// None yet.
    pub(super) fn new(account: &Account) -> Self {
        Self { of: BTreeMap::new(), account: account.clone() }
    }

    /// Takes the value of a group; of one that is known the first word counts. False if there is no memory for
    /// it.
    #[must_use]
    pub(super) fn put(&mut self, group: u64, value: Hash) -> bool {
        if self.of.contains_key(&group) {
            return true;
        }
        let has_room = self.account.take(Pool::State, COST);
        if has_room {
            self.of.insert(group, value);
        }
        has_room
    }

    /// Takes a value that can be done without, where it leaves room for what cannot.
    pub(super) fn put_if_spare(&mut self, group: u64, value: Hash) {
        if self.account.has_room(Pool::State, SPARE) {
            // Another transfer may have taken the room meanwhile.
            let _ = self.put(group, value);
        }
    }

    pub(super) fn get(&self, group: u64) -> Option<Hash> {
        self.of.get(&group).copied()
    }

    /// The first group whose value is here.
    pub(super) fn first(&self) -> Option<u64> {
        self.of.keys().next().copied()
    }

    pub(super) fn remove(&mut self, group: u64) -> Option<Hash> {
        let value = self.of.remove(&group)?;
        self.account.give(Pool::State, COST);
        Some(value)
    }

    /// Takes out those of which `is_wanted` does not hold.
    pub(super) fn take_others(&mut self, is_wanted: impl Fn(u64) -> bool) -> Vec<(u64, Hash)> {
        let others: Vec<u64> = self.of.keys().copied().filter(|group| !is_wanted(*group)).collect();
        others.into_iter().filter_map(|at| self.remove(at).map(|value| (at, value))).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.of.len()
    }
}

impl Drop for Values {
    fn drop(&mut self) {
        self.account.give(Pool::State, COST * self.of.len());
    }
}
