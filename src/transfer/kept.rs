//! What of a file an earlier transfer brought, as its journal says: a claim. A group counts only once its bytes
//! have been read, and compared with what the sender says of it now.

use super::budget::Account;
use super::hash::Hash;
use super::values::Values;
use crate::base::range_set::RangeSet;

/// Groups of one file that are claimed to be there.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// Those that have not been read.
    groups: RangeSet,
    /// The sender's values of some of them.
    told: Values,
}

impl Kept {
    /// Nothing yet; what is told of it takes memory of that account.
    pub(super) fn new(account: &Account) -> Self {
        Self { groups: RangeSet::new(), told: Values::new(account) }
    }

    /// A group is claimed to be there.
    pub(super) fn claim(&mut self, group: u64) {
        self.groups.insert(group..group + 1);
    }

    /// Whether that is claimed of a group, and nobody has looked.
    pub(super) fn claims(&self, group: u64) -> bool {
        self.groups.contains(group)
    }

    /// The sender's value of a group that is claimed to be there. Said twice, the first word counts. False if there
    /// is no memory for it.
    #[must_use]
    pub(super) fn expect(&mut self, group: u64, value: Hash) -> bool {
        self.told.put(group, value)
    }

    /// The next group to read: one whose value was told. Once the sender `has_told_all`, also one of which it
    /// did not say more than the hash of the whole file.
    pub(super) fn next(&self, has_told_all: bool) -> Option<u64> {
        self.told
            .first()
            .or_else(|| self.groups.first().filter(|_| has_told_all).map(|range| range.start))
    }

    /// A group was read: it is claimed no more. Gives the sender's value of it.
    pub(super) fn settle(&mut self, group: u64) -> Option<Hash> {
        self.groups.remove(&(group..group + 1));
        self.told.remove(group)
    }
}
