//! What is hashed aside.

use super::{Hashing, PIECE, Source};
use crate::transfer::hash::group_count;
use crate::transfer::source_job::SourceReport;
use std::ops::Range;

impl Source {
    /// Hashes a piece of what is to be hashed aside, if there is something.
    pub fn rest(&mut self) -> Vec<SourceReport> {
        self.owed = self.owed.saturating_sub(PIECE);
        if let Some(hashing) = self.next_hashing() {
            let index = hashing.index;
            match self.hash_piece(hashing) {
                Ok(rest) => self.under_way = rest,
                // That it failed is reported.
                Err(failure) => _ = self.fail_unless(index, Err(failure)),
            }
        }
        std::mem::take(&mut self.reports)
    }

    /// Whether [`Source::rest`] has something to do.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        !self.aside.is_empty()
    }

    /// Whether so much has gone that [`Source::rest`] is to be called for it: what is hashed aside is then done about when as
    /// much has gone, also where that leaves no time.
    #[must_use]
    pub fn is_rest_due(&self) -> bool {
        self.is_busy() && self.owed >= PIECE
    }

    /// So many bytes go.
    pub(super) fn owe(&mut self, bytes: usize) {
        self.owed = if self.is_busy() { self.owed + bytes } else { 0 };
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
            self.under_way.take_if(|hashing| hashing.index == index);
        }
    }

    /// The group to go on with.
    fn next_hashing(&mut self) -> Option<Hashing> {
        if let Some(hashing) = self.under_way.take().filter(|hashing| self.wants(hashing)) {
            return Some(hashing);
        }
        while let Some(index) = self.aside.first().copied() {
            if let Some(group) = self.next_aside(index) {
                return self.begin_group(index, group);
            }
            self.aside.remove(&index);
        }
        None
    }

    /// Whether nothing has settled meanwhile what a group hashes to, or that nobody waits for it.
    fn wants(&self, Hashing { index, group, .. }: &Hashing) -> bool {
        let item = self.items.get(*index).filter(|item| !item.is_over);
        item.is_some_and(|item| !item.groups.knows(*group))
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
