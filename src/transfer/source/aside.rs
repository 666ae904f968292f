//! What is hashed aside.

use super::Source;
use crate::transfer::hash::{GROUP, group_count};
use crate::transfer::source_job::SourceReport;
use std::ops::Range;

impl Source {
    /// Hashes a group of what is to be hashed aside, if there is one.
    pub fn rest(&mut self) -> Vec<SourceReport> {
        self.filled = 0;
        while let Some(index) = self.aside.first().copied() {
            let Some(group) = self.next_aside(index) else {
                self.aside.remove(&index);
                continue;
            };
            let hashed = self.hash_group(index, group);
            // That it failed has been reported.
            let _ = self.fail_unless(index, hashed);
            break;
        }
        std::mem::take(&mut self.reports)
    }

    /// Whether [`Source::rest`] has something to do.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        !self.aside.is_empty()
    }

    /// Whether as much has gone since [`Source::rest`] was called as it would hash: what is hashed aside is
    /// then done about when the rest has gone, also where that leaves no time.
    #[must_use]
    pub fn is_rest_due(&self) -> bool {
        self.is_busy() && self.filled >= GROUP
    }

    /// Those groups of a file, as far as it has them, are hashed aside.
    pub(super) fn hash_aside(&mut self, index: u32, groups: Range<u64>) {
        let Some(item) = self.items.get_mut(index).filter(|item| !item.is_over) else { return };
        let end = groups.end.min(group_count(item.size()));
        item.aside.insert(groups.start..end);
        self.aside.insert(index);
    }

    /// Only what goes is hashed from now on.
    pub(super) fn decide(&mut self, index: u32) {
        if let Some(item) = self.items.get_mut(index) {
            item.aside.remove(&(0..u64::MAX));
        }
    }

    /// Takes out the next group of a file that is to be hashed aside and is not known.
    fn next_aside(&mut self, index: u32) -> Option<u64> {
        let item = self.items.get_mut(index).filter(|item| !item.is_over)?;
        while let Some(group) = item.aside.pop_front(1) {
            if !item.groups.knows(group.start) {
                return Some(group.start);
            }
        }
        item.next_hole()
    }
}
