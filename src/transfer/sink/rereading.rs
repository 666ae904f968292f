//! What an earlier transfer brought is read back, and compared with what the sender says of it, beside the
//! transfer.

use super::beside::READ_AT_ONCE;
use super::{Sink, no_memory};
use crate::transfer::commit::storage_failure;
use crate::transfer::hash::{Hash, group_range, group_value};
use crate::transfer::incoming::{OpenFile, Storage};
use crate::transfer::job::Report;
use crate::transfer::outcome::{Failure, Reason};
use std::io;

impl Sink {
    /// Reads on in what was kept.
    pub(super) fn reread(&mut self) {
        for _ in 0..READ_AT_ONCE {
            let Some(index) = self.kept.first().copied() else { return };
            if !self.reread_group(index) {
                self.kept.remove(&index);
            }
        }
    }

    /// The sender tells the value of a group that is kept.
    pub(super) fn hear_of_kept(&mut self, index: u32, group: u64, value: Hash) {
        self.hear(index, |open| open.kept.expect(group, value));
    }

    /// The sender tells the value of a group that comes.
    pub(super) fn hear_of_new(&mut self, index: u32, group: u64, value: Hash) {
        self.hear(index, |open| open.expected.put(group, value));
        if self.open_file(index).is_some_and(|open| open.complete.remove(&group)) {
            self.verify_group(index, group);
        }
    }

    /// Takes in what the sender tells. Where there is no memory for it, what was told of kept groups is compared
    /// before more is heard.
    fn hear(&mut self, index: u32, take: impl Fn(&mut OpenFile) -> bool) {
        while let Some(open) = self.open_file(index) {
            if take(open) {
                return;
            }
            if !self.reread_group(index) {
                break;
            }
        }
        if self.open_file(index).is_some() {
            self.fail(index, no_memory());
        }
    }

    /// The sender has told values of groups that are kept, or the hash of the file.
    pub(super) fn compare_kept(&mut self, index: u32) {
        if self.open_file(index).is_some_and(|open| open.next_kept().is_some()) {
            self.kept.insert(index);
        }
    }

    /// Reads the next kept group of a file, and compares it; false if there is none.
    fn reread_group(&mut self, index: u32) -> bool {
        let Some(file) = self.files.get_mut(index) else { return false };
        let size = file.size();
        let Some(group) = file.open().and_then(|open| open.next_kept()) else { return false };
        let range = group_range(group, size);
        let value = match self.read_back(index, &range) {
            Ok(()) => Some(group_value(group, &self.scratch, size)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => None,
            Err(error) => {
                let open = self.open_file(index).expect("looked at above");
                let failure = storage_failure(&open.path, &error);
                // What cannot be read is of no use to a later transfer either.
                self.forget(index, Storage::discard);
                self.reports.push(Report::Failed { index, failure });
                return false;
            }
        };
        let open = self.open_file(index).expect("looked at above");
        let theirs = open.kept.settle(group);
        match value {
            Some(value) if theirs.is_none_or(|theirs| theirs == value) => {
                self.take_value(index, group, value);
                self.try_complete(index);
            }
            _ => self.on_changed(index, group, theirs),
        }
        true
    }

    /// What is there of a group is not what was written down: it comes again, if it is known what it is to be.
    fn on_changed(&mut self, index: u32, group: u64, theirs: Option<Hash>) {
        if let Some(theirs) = theirs {
            return self.want_again(index, group, theirs);
        }
        let open = self.open_file(index).expect("its caller has seen it");
        let text = format!(
            "what an earlier transfer brought of \"{}\" was changed at the receiver, or was another file's; it \
             is gone: send again",
            open.path
        );
        self.fail(index, Failure::new(Reason::Integrity, text));
    }
    fn want_again(&mut self, index: u32, group: u64, theirs: Hash) {
        let file = self.files.get_mut(index).expect("its caller has seen it");
        let range = file.group_in_space(group);
        let open = file.open().expect("its caller has seen it");
        if !open.expected.put(group, theirs) {
            return self.fail(index, no_memory());
        }
        let lost = self.written.remove(&range);
        self.room.owed += open.owed_of(lost);
        self.reports.push(Report::Changed { index, group });
    }
}
