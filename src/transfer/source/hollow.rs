//! Holes, of which nothing goes: they are hashed as zeros, and must be holes still.

use super::Source;
use crate::transfer::hash::{group_range, zeros_value};
use crate::transfer::outcome::Failure;

impl Source {
    /// The receiver takes the file: its holes are hashed aside, each in its turn.
    pub(super) fn hash_holes(&mut self, index: u32) {
        let Some(item) = self.items.get_mut(index).filter(|item| !item.is_over) else { return };
        item.is_taken = true;
        if item.next_hole().is_some() {
            self.aside.insert(index);
        }
    }

    /// Hashes a group that is a hole.
    pub(super) fn hash_hole(&mut self, index: u32, group: u64) -> Result<(), Failure> {
        let item = self.items.get(index).expect("only items are read");
        let size = item.size();
        let range = group_range(group, size);
        let is_zero = self.with_file(index, true, |file| {
            if file.next_data(range.start)?.is_none_or(|data| data >= range.end) {
                return Ok(true);
            }
            // Systems may store zeros, and forget that they were none.
            let mut bytes = vec![1; usize::try_from(range.end - range.start).expect("a group")];
            file.read_exact_at(&mut bytes, range.start)?;
            Ok(bytes.iter().all(|byte| *byte == 0))
        })?;
        if !is_zero {
            return Err(self.items.get(index).expect("looked at above").filled());
        }
        self.take_value(index, group, zeros_value(group, size));
        Ok(())
    }

    /// What was offered as a hole and lies in these bytes of the file must be one.
    pub(super) fn check_holes(&self, index: u32, at: u64, bytes: &[u8]) -> Result<(), Failure> {
        let item = self.items.get(index).expect("only items are read");
        let within = |position: u64| usize::try_from(position - at).expect("in memory");
        let is_zero = item
            .layout
            .holes_in(&(at..at + bytes.len() as u64))
            .all(|hole| bytes[within(hole.start)..within(hole.end)].iter().all(|byte| *byte == 0));
        if is_zero { Ok(()) } else { Err(item.filled()) }
    }
}
