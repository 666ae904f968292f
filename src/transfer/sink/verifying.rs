//! Whether what came is what was sent: group by group, and in the end the whole file.

use super::{Sink, UNSAVED_MAX};
use crate::transfer::commit::storage_failure;
use crate::transfer::hash::{GROUP, Hash, group_count, group_range, group_value};
use crate::transfer::incoming::{State, Storage};
use crate::transfer::job::Report;
use crate::transfer::outcome::{Failure, Reason};
use crate::transfer::tree::dress;
use std::io;
use std::ops::Range;

/// A group that arrives wrong this often is not going to arrive right.
pub(super) const MISMATCHES_MAX: u32 = 3;

impl Sink {
    /// Checks the groups that the bytes just written may have completed.
    pub(super) fn complete_groups(&mut self, index: u32, written: &Range<u64>) {
        let file = self.files.get(index).expect("its caller has seen it");
        let (start, layout) = (file.range.start, file.layout.clone());
        let mut next = 0;
        for stretch in layout.stretches(written.start - start..written.end - start) {
            for group in next.max(stretch.start / GROUP)..=(stretch.end - 1) / GROUP {
                next = group + 1;
                let range = layout.group_in_space(group);
                if self.written.contains_all(&(start + range.start..start + range.end)) {
                    self.verify_group(index, group);
                }
            }
        }
    }

    /// Compares a complete group with what the sender said: as it was handed to the disk, where the file
    /// came in one piece, else read back.
    pub(super) fn verify_group(&mut self, index: u32, group: u64) {
        let file = self.files.get_mut(index).expect("its caller has seen it");
        let (in_space, size) = (file.group_in_space(group), file.size());
        let Some(open) = file.open().filter(|open| !open.groups.knows(group)) else {
            return;
        };
        if open.kept.claims(group) {
            return;
        }
        let Some(expected) = open.expected.get(group) else {
            open.complete.insert(group);
            return;
        };
        let range = group_range(group, size);
        let value = match open.whole.take() {
            Some(value) => Ok(value),
            None => self.read_back(index, &range).map(|()| group_value(group, &self.scratch, size)),
        };
        match value {
            Err(error) => self.fail_to_store(index, &error),
            Ok(value) if value == expected => {
                self.note_group(index, group, value);
                self.try_complete(index);
            }
            Ok(_) => self.on_mismatch(index, in_space),
        }
    }

    /// Takes note of a group that is verified.
    fn note_group(&mut self, index: u32, group: u64, value: Hash) {
        let open = self.open_file(index).expect("its caller has seen it");
        open.expected.remove(group);
        if let Some(Storage::Kept(claim)) = &open.storage {
            // Who has lost the claim hears of it when he writes.
            let _ = claim.with(|unfinished| {
                unfinished.note(group, value);
                Ok(())
            });
            self.unsaved.insert(index);
            self.unsaved_groups += 1;
        }
        self.take_value(index, group, value);
        if self.unsaved_groups >= UNSAVED_MAX {
            self.write_down();
        }
    }

    /// Reads part of a partial file into the scratch buffer.
    pub(super) fn read_back(&mut self, index: u32, range: &Range<u64>) -> io::Result<()> {
        let Self { files, maker, scratch, .. } = self;
        let file = files.get_mut(index).expect("only open files are read back");
        let size = file.size();
        let open = file.open().expect("only open files are read back");
        let room = scratch.room(usize::try_from(range.end - range.start).expect("a group"));
        maker.with(index, open, size, |_, opened| opened.read_exact_at(room, range.start))
    }

    fn on_mismatch(&mut self, index: u32, range: Range<u64>) {
        let can_repeat = self.policy.can_repeat;
        let Some(open) = self.open_file(index) else {
            return;
        };
        open.mismatches += 1;
        open.is_used = true;
        let is_sparse = open.is_sparse;
        if !can_repeat || open.mismatches > MISMATCHES_MAX {
            let path = &open.path;
            let text = format!("\"{path}\" arrived other than it was read; nothing of it is kept");
            return self.fail(index, Failure::new(Reason::Integrity, text));
        }
        // Perhaps it may not even be opened any more: it begins anew.
        if std::mem::take(&mut open.is_dressed)
            && let Some(storage) = open.storage.take()
        {
            storage.discard();
        }
        let lost = self.written.remove(&range);
        self.room.owed += if is_sparse { 0 } else { lost };
        self.total -= lost;
        self.reports.push(Report::Again(range));
    }

    pub(super) fn try_complete(&mut self, index: u32) {
        let Some(file) = self.files.get_mut(index) else {
            return;
        };
        let size = file.size();
        let Some(open) = file.open() else {
            return;
        };
        let (Some(root), Some(hash)) = (open.root, open.groups.root(group_count(size))) else {
            return;
        };
        if hash != root {
            let text =
                format!("the hash of \"{}\" is not the sender's; nothing of it is kept", open.path);
            return self.fail(index, Failure::new(Reason::Integrity, text));
        }
        let dressed = match open.is_dressed {
            true => Ok(()),
            false => self
                .maker
                .with(index, open, size, |open, opened| dress(opened, open.attributes, 0o600)),
        };
        self.maker.handles.close(index);
        if let Err(error) = dressed {
            let failure = storage_failure(&open.path, &error);
            return self.fail(index, failure);
        }
        let State::Open(open) = std::mem::replace(&mut file.state, State::Over) else {
            unreachable!("looked at above")
        };
        let storage = open.storage.expect("it was opened");
        self.let_go(&storage);
        self.commits.file(index, open.path, storage, (size, hash));
    }
}
