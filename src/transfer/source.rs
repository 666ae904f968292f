//! The files to send, as one space of bytes; hashed as they are read for the first time.

use super::disk::{Disk, OpenedFile};
use super::entry::Sort;
use super::hash::{GROUP, Groups, Hash, group_count, group_range, group_value};
use super::message::{UNSETTLED_MAX, UNSETTLED_TEXT_MAX};
use super::name::{PATH_MAX, TreePath};
use super::open_files::OpenFiles;
use super::outcome::{Failure, Reason};
use super::place::{Place, Stamp, read_failure, sizeless};
use super::walk::Candidate;
use super::window::Window;
use std::io;
use std::ops::Range;

/// Bytes of the texts of one offer, at most.
const OFFER_TEXT_MAX: usize = 2 * PATH_MAX;

/// What a first reading made known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hashed {
    /// The value of a group, of several.
    Group(u64, Hash),
    /// The hash of the whole file, which did not change while it was read.
    Root(Hash),
}

/// A file could not be read as it was offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFailure {
    /// Which one.
    pub index: u32,
    /// Why.
    pub failure: Failure,
}

/// One entry to send.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) path: TreePath,
    pub(super) sort: Sort,
    place: Place,
    stamp: Stamp,
    /// Where its bytes are in the transfer space.
    range: Range<u64>,
    text_len: usize,
    groups: Groups,
    /// Known once all of it has been read, here or for an earlier transfer.
    pub(super) root: Option<Hash>,
    /// It is read to be compared with what is at the receiver.
    pub(super) is_proving: bool,
    /// The name that it gets at the receiver, where something else has its own.
    pub(super) renamed: Option<String>,
    /// It has an outcome: nobody waits for its bytes.
    pub(super) is_settled: bool,
}

impl Item {
    /// Where its bytes are in the transfer space.
    pub(super) fn range(&self) -> Range<u64> {
        self.range.clone()
    }

    /// Bytes.
    pub(super) fn size(&self) -> u64 {
        self.range.end - self.range.start
    }

    /// Whether the value of one more group makes all of them known.
    fn lacks_one(&self) -> bool {
        let known = self.groups.frontier() + self.groups.ahead() as u64;
        known + 1 == group_count(self.size())
    }

    fn failure(&self, error: &io::Error, disk: &Disk) -> Failure {
        match error.kind() {
            io::ErrorKind::UnexpectedEof if self.is_unchanged(disk) => sizeless(&self.place.show()),
            io::ErrorKind::UnexpectedEof => self.changed("it became shorter"),
            io::ErrorKind::NotFound => self.changed("it was removed or renamed"),
            _ => read_failure(&self.place.show(), error),
        }
    }

    fn is_unchanged(&self, disk: &Disk) -> bool {
        self.stamp_now(disk).is_ok_and(|now| now == self.stamp)
    }

    fn stamp_now(&self, disk: &Disk) -> io::Result<Stamp> {
        self.place.open(disk).and_then(|file| Stamp::of_file(&file))
    }

    fn compare(&self, now: Stamp) -> Result<(), Failure> {
        let how = match now {
            now if now == self.stamp => return Ok(()),
            now if now.size > self.stamp.size => "it became longer",
            now if now.size < self.stamp.size => "it became shorter",
            _ => "it was written to, replaced or removed, or has another mode",
        };
        Err(self.changed(how))
    }

    fn changed(&self, how: &str) -> Failure {
        let path = self.place.show();
        let text = format!("{path} changed while it was sent ({how}); send it again");
        Failure::new(Reason::Source, text)
    }
}

/// The entries of a transfer that have no outcome yet.
#[derive(Debug, Default)]
pub(super) struct Source {
    disk: Disk,
    items: Window<Item>,
    /// Bytes of their offers' texts.
    text_len: usize,
    /// Bytes of the transfer space so far.
    total: u64,
    handles: OpenFiles<OpenedFile>,
    /// The group read last, and whose it is.
    cached: Option<(u32, u64)>,
    cache: Vec<u8>,
    news: Vec<(u32, Hashed)>,
}

impl Source {
    /// No entries yet, of what is on that disk.
    pub(super) fn new(disk: Disk) -> Self {
        Self { disk, ..Self::default() }
    }

    /// Appends an entry, behind all others in the transfer space.
    pub(super) fn push(&mut self, candidate: &Candidate, text_len: usize) -> u32 {
        self.text_len += text_len;
        let end = self.total + candidate.kind.size();
        let item = Item {
            path: candidate.path.clone(),
            sort: candidate.kind.sort(),
            place: candidate.place.clone(),
            stamp: candidate.stamp,
            range: self.total..end,
            text_len,
            groups: Groups::default(),
            root: None,
            is_proving: false,
            renamed: None,
            is_settled: false,
        };
        self.total = end;
        self.items.push(item)
    }

    /// The entries without an outcome, and some with one.
    pub(super) fn items(&self) -> &Window<Item> {
        &self.items
    }

    /// The entry of that index, if it may still be without an outcome.
    pub(super) fn get_mut(&mut self, index: u32) -> Option<&mut Item> {
        self.items.get_mut(index)
    }

    /// Values known of the file beyond the first that is not: what a receiver's word may add to.
    pub(super) fn ahead(&self, index: u32) -> usize {
        self.items.get(index).map_or(0, |item| item.groups.ahead())
    }

    /// Forgets the oldest entries that have an outcome.
    pub(super) fn forget_settled(&mut self) {
        self.items.forget(|item| {
            self.text_len -= if item.is_settled { item.text_len } else { 0 };
            item.is_settled
        });
    }

    /// Whether as much is without an outcome as a receiver takes.
    pub(super) fn is_full(&self) -> bool {
        self.items.len() >= UNSETTLED_MAX || self.text_len + OFFER_TEXT_MAX > UNSETTLED_TEXT_MAX
    }

    /// Where the bytes of the entries that are kept begin.
    pub(super) fn start(&self) -> u64 {
        self.items.iter().next().map_or(self.total, |item| item.range.start)
    }

    /// Bytes in all, so far.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// Fills `buffer` with the bytes at `offset` of the transfer space; with zeros, where nobody waits for
    /// them any more.
    ///
    /// # Errors
    /// The file that holds them cannot be read, or is not what was offered.
    pub(super) fn read(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), SourceFailure> {
        let (mut offset, mut rest) = (offset, buffer);
        while !rest.is_empty() {
            let index = self.items.partition_point(|item| item.range.end <= offset);
            let item = self.items.get(index);
            let wanted = item.filter(|item| item.range.start <= offset && !item.is_settled);
            // Bytes in front of the window belong to files that have an outcome, as the others' do not.
            let end = match item {
                Some(item) if item.range.start > offset => item.range.start,
                Some(item) => item.range.end,
                None => u64::MAX,
            };
            let len = usize::try_from(end - offset).unwrap_or(usize::MAX).min(rest.len());
            let (part, after) = rest.split_at_mut(len);
            if let Some(start) = wanted.map(|item| item.range.start) {
                self.read_file(index, offset - start, part)
                    .map_err(|failure| SourceFailure { index, failure })?;
            } else {
                part.fill(0);
            }
            offset += len as u64;
            rest = after;
        }
        Ok(())
    }

    /// What the readings since the last call made known, with the index of the file.
    pub(super) fn take_hashed(&mut self) -> Vec<(u32, Hashed)> {
        std::mem::take(&mut self.news)
    }

    /// Whether the file is still the one that was offered.
    ///
    /// # Errors
    /// A sentence that says that it is not.
    pub(super) fn check_unchanged(&self, index: u32) -> Result<(), Failure> {
        let Some(item) = self.items.get(index) else {
            return Ok(());
        };
        item.compare(item.stamp_now(&self.disk).map_err(|error| item.failure(&error, &self.disk))?)
    }

    /// Whether the bytes of the entry, if it has any, could be read.
    ///
    /// # Errors
    /// They could not.
    pub(super) fn check_readable(&self, index: u32) -> Result<(), SourceFailure> {
        let has_bytes = self.items.get(index).is_some_and(|item| item.size() > 0);
        let checked = if has_bytes { self.check_unchanged(index) } else { Ok(()) };
        checked.map_err(|failure| SourceFailure { index, failure })
    }

    /// Fills `buffer` from the file, which must be the one that was offered when it is opened, and after
    /// each part that `is_first_read`: one that changes fails before the rest has gone in vain.
    fn read_part(
        &mut self,
        index: u32,
        at: u64,
        buffer: &mut [u8],
        is_first_read: bool,
    ) -> Result<(), Failure> {
        let item = self.items.get(index).expect("only items are read");
        let mut other = None;
        let Self { handles, disk, .. } = self;
        let handle = handles.get(index, || {
            let handle = item.place.open(disk)?;
            other = item.compare(Stamp::of_file(&handle)?).err();
            Ok(handle)
        });
        let read = handle.and_then(|handle| {
            handle.read_exact_at(buffer, at)?;
            if is_first_read { Stamp::of_file(handle).map(Some) } else { Ok(None) }
        });
        let result = match (other, read) {
            (Some(changed), _) => Err(changed),
            (None, Err(error)) => Err(item.failure(&error, &self.disk)),
            (None, Ok(Some(stamp))) => item.compare(stamp),
            (None, Ok(None)) => Ok(()),
        };
        if result.is_err() {
            self.handles.close(index);
        }
        result
    }

    fn read_file(&mut self, index: u32, at: u64, buffer: &mut [u8]) -> Result<(), Failure> {
        let (mut at, mut rest) = (at, buffer);
        while !rest.is_empty() {
            let item = self.items.get(index).expect("only items are read");
            let group = at / GROUP;
            let range = group_range(group, item.size());
            let len = usize::try_from(range.end - at).expect("a group").min(rest.len());
            let (part, after) = rest.split_at_mut(len);
            if group == item.groups.frontier() {
                self.load(index, group)?;
            }
            if self.cached == Some((index, group)) {
                let from = usize::try_from(at - range.start).expect("within a group");
                part.copy_from_slice(&self.cache[from..from + len]);
            } else {
                self.read_part(index, at, part, false)?;
            }
            at += len as u64;
            rest = after;
        }
        Ok(())
    }

    /// Reads a group for the first time and hashes it.
    fn load(&mut self, index: u32, group: u64) -> Result<(), Failure> {
        let item = self.items.get(index).expect("only items are read");
        let size = item.size();
        let range = group_range(group, size);
        let mut bytes = std::mem::take(&mut self.cache);
        self.cached = None;
        bytes.resize(usize::try_from(range.end - range.start).expect("a group"), 0);
        self.read_part(index, range.start, &mut bytes, true)?;
        let value = group_value(group, &bytes, size);
        self.cache = bytes;
        self.cached = Some((index, group));
        // The value of an only group is the hash of the file.
        if group_count(size) > 1 {
            self.news.push((index, Hashed::Group(group, value)));
        }
        self.take_value(index, group, value);
        Ok(())
    }

    fn take_value(&mut self, index: u32, group: u64, value: Hash) {
        let item = self.items.get_mut(index).expect("only items are read");
        item.groups.put(group, value);
        if let Some(root) = item.groups.root(group_count(item.size()))
            && item.root.is_none()
        {
            item.root = Some(root);
            self.news.push((index, Hashed::Root(root)));
            self.handles.close(index);
        }
    }

    /// Takes the values of consecutive groups that need not be read: the receiver has them from an earlier
    /// transfer of this very file.
    ///
    /// # Errors
    /// They were all that was missing, and the file is not the one that was offered any more.
    pub(super) fn keep(
        &mut self,
        index: u32,
        first: u64,
        values: &[Hash],
    ) -> Result<(), SourceFailure> {
        for (group, value) in (first..).zip(values) {
            let item = self.items.get(index).expect("its caller has seen it");
            if item.groups.knows(group) {
                continue;
            }
            if item.lacks_one() {
                self.check_unchanged(index).map_err(|failure| SourceFailure { index, failure })?;
            }
            self.take_value(index, group, *value);
        }
        Ok(())
    }

    /// Reads and hashes the next group of a file, unless all of them are known: then it says so.
    ///
    /// # Errors
    /// The file cannot be read, or is not what was offered.
    pub(super) fn hash_on(&mut self, index: u32) -> Result<bool, SourceFailure> {
        let item = self.items.get(index).filter(|item| !item.is_settled && item.root.is_none());
        let Some(item) = item else { return Ok(true) };
        let next = item.groups.frontier();
        self.load(index, next).map_err(|failure| SourceFailure { index, failure })?;
        Ok(self.items.get(index).is_none_or(|item| item.root.is_some()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::walk::{Selection, Step, Walk};
    use super::*;
    use std::fs::{self, File};
    use std::path::PathBuf;

    fn source_of(contents: &[&[u8]]) -> (tempfile::TempDir, Source) {
        let dir = tempfile::tempdir().expect("a directory");
        let paths: Vec<PathBuf> = contents
            .iter()
            .enumerate()
            .map(|(index, bytes)| {
                let path = dir.path().join(format!("file{index}"));
                fs::write(&path, bytes).expect("written");
                path
            })
            .collect();
        let mut walk = Walk::start(Disk::default(), &Selection { paths, ..Selection::default() })
            .expect("readable");
        let mut source = Source::default();
        while let Step::Found(candidate) = walk.step() {
            source.push(&candidate, 0);
        }
        (dir, source)
    }

    #[test]
    fn reads_cross_files_and_hash_each() {
        let long: Vec<u8> = (0..GROUP + 100).map(|at| (at % 251) as u8).collect();
        let (_dir, mut source) = source_of(&[b"abc", b"", &long]);
        let total = usize::try_from(source.total()).expect("small");
        let mut all = vec![0; total];
        for start in (0..total).step_by(1000) {
            let end = (start + 1000).min(total);
            source.read(start as u64, &mut all[start..end]).expect("readable");
        }
        assert_eq!(all, [b"abc", &long[..]].concat());
        let roots: Vec<_> = source
            .take_hashed()
            .into_iter()
            .filter_map(|(index, news)| match news {
                Hashed::Root(hash) => Some((index, hash)),
                Hashed::Group(..) => None,
            })
            .collect();
        assert_eq!(roots, [(0, Hash::of(b"abc")), (2, Hash::of(&long))]);
    }

    #[test]
    fn an_older_part_is_read_again_without_hashing_it_again() {
        let long = vec![5; 3 << 20];
        let (_dir, mut source) = source_of(&[&long]);
        let mut part = [0; 1000];
        for offset in [0, GROUP, 2 * GROUP] {
            source.read(offset, &mut part).expect("readable");
        }
        assert_eq!(source.take_hashed().len(), 4);
        source.read(10, &mut part).expect("readable");
        assert_eq!(part, [5; 1000]);
        assert_eq!(source.take_hashed(), []);
    }

    #[test]
    fn a_source_that_changes_is_noticed_with_its_next_group() {
        for (change, word) in [
            ("longer", "longer"),
            ("shorter", "shorter"),
            ("same", "written to"),
            ("gone", "removed"),
            ("replaced", "replaced"),
        ] {
            let (dir, mut source) = source_of(&[&vec![1; 3 << 20]]);
            source.read(0, &mut [0; 100]).expect("unchanged so far");
            let path = dir.path().join("file0");
            match change {
                "longer" => fs::write(&path, vec![1; 4 << 20]).expect("written"),
                "shorter" => fs::write(&path, b"x").expect("written"),
                "gone" => fs::remove_file(&path).expect("there"),
                "replaced" => {
                    fs::write(dir.path().join("other"), vec![1; 3 << 20]).expect("written");
                    fs::rename(dir.path().join("other"), &path).expect("there");
                }
                _ => {
                    let file = File::options().write(true).open(&path).expect("there");
                    std::os::unix::fs::FileExt::write_all_at(&file, b"y", 5).expect("written");
                    let past = std::time::SystemTime::UNIX_EPOCH;
                    file.set_modified(past).expect("allowed");
                }
            }
            let failed = source.read(GROUP, &mut [0; 100]).expect_err(change);
            assert_eq!(failed.failure.reason, Reason::Source);
            assert!(failed.failure.text.contains(word), "{}", failed.failure.text);
        }
    }
}
