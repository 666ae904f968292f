//! A file that is offered under the name, and with the size, of one that is there: are they the same?
//!
//! Both sides read theirs, group by group; the sender tells the values, and the first one that differs
//! settles it. Thousands may wait for their turn: only the one that is read has its file open.

use super::budget::Account;
use super::disk::OpenedFile;
use super::entry::Kind;
use super::hash::{Groups, Hash, group_count, group_range, group_value};
use super::holes::Layout;
use super::name::TreePath;
use super::page_buffer::PageBuffer;
use super::values::Values;
use crate::base::range_set::RangeSet;
use std::io;

/// What came of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// They differ.
    Different,
    /// They are the same, and that is their hash.
    Same(Hash),
}

/// What came, and was told, of a file during a comparison: it will be needed if they differ.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Bytes that came, and were dropped.
    pub(super) dropped: RangeSet,
    /// The values of groups. They are no more than the groups of what is there.
    pub(super) values: Values,
    /// The hash of the file.
    pub(super) root: Option<Hash>,
}

/// A comparison under way.
#[derive(Debug)]
pub(super) struct Check {
    /// What was offered: where it is to lie and what it is.
    pub(super) offered: (TreePath, Kind),
    /// What it is compared with, and the number in its name.
    pub(super) place: (TreePath, u32),
    pub(super) told: Told,
    layout: Layout,
    ours: Groups,
    /// The values of what is there, where the sender has not told its own. Some may be missing, so that memory is left for
    /// what it tells: then the hash of the whole file settles it.
    read: Values,
}

impl Check {
    /// Compares what is at `place` with what was offered.
    pub(super) fn new(
        offered: (TreePath, Kind),
        place: (TreePath, u32),
        account: &Account,
    ) -> Self {
        Self {
            layout: offered.1.layout(),
            offered,
            place,
            told: Told { values: Values::new(account), ..Told::default() },
            ours: Groups::default(),
            read: Values::new(account),
        }
    }

    /// Whether there is more to read.
    pub(super) fn is_reading(&self) -> bool {
        self.ours.frontier() < group_count(self.layout.size())
    }

    /// Reads the next group of what is there, which is open as `file`.
    ///
    /// # Errors
    /// As the system says.
    pub(super) fn read_on(
        &mut self,
        file: &OpenedFile,
        scratch: &mut PageBuffer,
    ) -> io::Result<Option<Finding>> {
        let group = self.ours.frontier();
        let size = self.layout.size();
        let range = group_range(group, size);
        let len = usize::try_from(range.end - range.start).expect("a group");
        match file.read_exact_at(scratch.room(len), range.start) {
            // It became shorter meanwhile.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Ok(Some(Finding::Different));
            }
            read => read?,
        }
        // Of what is a hole at the sender it tells no value.
        let is_hole = self.layout.is_hole(group);
        if is_hole && scratch.iter().any(|byte| *byte != 0) {
            return Ok(Some(Finding::Different));
        }
        let value = group_value(group, scratch, size);
        self.ours.put(group, value);
        match self.told.values.get(group) {
            Some(theirs) if theirs != value => return Ok(Some(Finding::Different)),
            None if !is_hole => self.read.put_if_spare(group, value),
            _ => {}
        }
        Ok(self.conclude())
    }

    /// The sender's value of a group.
    ///
    /// # Errors
    /// There is no memory for it.
    pub(super) fn expect(&mut self, group: u64, value: Hash) -> Result<Option<Finding>, ()> {
        let ours = self.read.remove(group);
        if !self.told.values.put(group, value) {
            return Err(());
        }
        Ok(ours.filter(|ours| *ours != value).map(|_| Finding::Different))
    }

    /// The hash of the sender's file.
    pub(super) fn expect_root(&mut self, root: Hash) -> Option<Finding> {
        self.told.root = Some(root);
        self.conclude()
    }

    fn conclude(&self) -> Option<Finding> {
        let (theirs, ours) = (self.told.root?, self.ours.root(group_count(self.layout.size()))?);
        Some(if theirs == ours { Finding::Same(ours) } else { Finding::Different })
    }
}

#[cfg(test)]
mod tests {
    use super::super::disk::Disk;
    use super::super::entry::Attributes;
    use super::super::hash::GROUP;
    use super::*;
    use crate::transfer::budget::Pool;
    use std::io::Write;

    fn check(contents: &[u8]) -> (Check, OpenedFile) {
        check_on(contents, &Account::default())
    }

    fn check_on(contents: &[u8], account: &Account) -> (Check, OpenedFile) {
        let mut file = tempfile::tempfile().expect("room");
        file.write_all(contents).expect("room");
        let path = TreePath::parse("a").expect("a path");
        let attributes = Attributes { mode: 0, seconds: 0, nanoseconds: 0 };
        let size = contents.len() as u64;
        let kind = Kind::File { size, holes: None, attributes, source: None };
        let file = OpenedFile::new(file, "a", &Disk::default());
        (Check::new((path.clone(), kind), (path, 0), account), file)
    }

    fn value(contents: &[u8], group: u64) -> Hash {
        let range = group_range(group, contents.len() as u64);
        let part = &contents[range.start as usize..range.end as usize];
        group_value(group, part, contents.len() as u64)
    }

    #[test]
    fn the_same_is_found_whoever_is_faster() {
        let contents = vec![7; 2 * GROUP as usize + 5];
        let same = Some(Finding::Same(Hash::of(&contents)));
        let (mut theirs_first, file) = check(&contents);
        for group in 0..3 {
            assert_eq!(theirs_first.expect(group, value(&contents, group)), Ok(None));
        }
        assert_eq!(theirs_first.expect_root(Hash::of(&contents)), None);
        let mut scratch = PageBuffer::default();
        let mut found = None;
        while theirs_first.is_reading() {
            assert_eq!(found, None);
            found = theirs_first.read_on(&file, &mut scratch).expect("readable");
        }
        assert_eq!(found, same);
        let (mut ours_first, file) = check(&contents);
        while ours_first.is_reading() {
            assert_eq!(ours_first.read_on(&file, &mut scratch).expect("readable"), None);
        }
        assert_eq!(ours_first.expect(0, value(&contents, 0)), Ok(None));
        assert_eq!(ours_first.expect_root(Hash::of(&contents)), same);
    }

    #[test]
    fn what_is_read_ahead_leaves_memory_to_what_is_told() {
        let contents = vec![7; 2 * GROUP as usize];
        let account = Account::default();
        let (mut check, file) = check_on(&contents, &account);
        let mut taken = 0;
        while account.has_room(Pool::State, 8 << 20) {
            assert!(account.take(Pool::State, 1 << 20));
            taken += 1 << 20;
        }
        let mut scratch = PageBuffer::default();
        for _ in 0..2 {
            assert_eq!(check.read_on(&file, &mut scratch).expect("readable"), None);
        }
        assert_eq!(check.read.len(), 0);
        for group in 0..2 {
            assert_eq!(check.expect(group, value(&contents, group)), Ok(None));
        }
        let same = check.expect_root(Hash::of(&contents));
        assert_eq!(same, Some(Finding::Same(Hash::of(&contents))));
        account.give(Pool::State, taken);
    }

    #[test]
    fn the_first_group_that_differs_settles_it() {
        let contents = vec![7; 2 * GROUP as usize + 5];
        let mut scratch = PageBuffer::default();
        let (mut check, file) = check(&contents);
        assert_eq!(check.expect(0, Hash::of(b"other")), Ok(None));
        assert_eq!(check.read_on(&file, &mut scratch).expect("readable"), Some(Finding::Different));
    }

    #[test]
    fn a_hash_that_differs_settles_it_even_if_no_value_did() {
        let mut scratch = PageBuffer::default();
        let (mut check, file) = check(b"abc");
        assert_eq!(check.read_on(&file, &mut scratch).expect("readable"), None);
        assert_eq!(check.expect_root(Hash::of(b"abd")), Some(Finding::Different));
    }
}
