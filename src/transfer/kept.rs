//! What of a file an earlier transfer brought, as its journal says: a claim. A group counts only once its bytes
//! have been read, and compared with what the sender says of it now.

use super::hash::Hash;
use crate::base::range_set::RangeSet;
use std::collections::BTreeMap;

/// Groups of one file that are claimed to be there.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// Those that have not been read.
    groups: RangeSet,
    /// The sender's values of some of them.
    told: BTreeMap<u64, Hash>,
}

impl Kept {
    /// A group is claimed to be there.
    pub(super) fn claim(&mut self, group: u64) {
        self.groups.insert(group..group + 1);
    }

    /// Whether that is claimed of a group, and nobody has looked.
    pub(super) fn claims(&self, group: u64) -> bool {
        self.groups.contains(group)
    }

    /// The sender's value of a group that is claimed to be there. Said twice, the first word counts.
    pub(super) fn expect(&mut self, group: u64, value: Hash) {
        self.told.entry(group).or_insert(value);
    }

    /// Values told of groups that have not been read.
    pub(super) fn told(&self) -> usize {
        self.told.len()
    }

    /// The next group to read: one whose value was told. Once the sender `has_told_all`, also one of which it
    /// did not say more than the hash of the whole file.
    pub(super) fn next(&self, has_told_all: bool) -> Option<u64> {
        let first = self.told.keys().next().copied();
        first.or_else(|| self.groups.first().filter(|_| has_told_all).map(|range| range.start))
    }

    /// A group was read: it is claimed no more. Gives the sender's value of it.
    pub(super) fn settle(&mut self, group: u64) -> Option<Hash> {
        self.groups.remove(&(group..group + 1));
        self.told.remove(&group)
    }
}
