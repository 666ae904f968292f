//! The files to send: found, read as one space of bytes, hashed as they are read for the first time. Blocks
//! on the disk; whoever must not, runs it on a thread of its own and passes [`SourceJob`]s and
//! [`SourceReport`]s.
//!
//! What does not go, because the receiver compares it or says that it has it, is hashed *aside*: a piece of a
//! group at a time ([`Source::rest`]), between what goes.

mod aside;
mod finding;
mod hollow;
mod item;

use self::finding::Way;
use self::item::Item;
use super::disk::{Disk, OpenedFile};
use super::group_memory::{GroupMemory, GroupRoom};
use super::hash::{GROUP, GroupHasher, Hash, group_count, group_range, group_value};
use super::holes::HOLE_BYTES_MAX;
use super::open_files::OpenFiles;
use super::outcome::Failure;
use super::page_buffer::PageBuffer;
use super::place::Stamp;
use super::source_job::{SourceJob, SourceReport};
use super::walk::{Selection, Walk};
use super::window::Window;
use std::collections::BTreeSet;
use std::io;
use std::ops::Range;

/// Bytes that are hashed at once where no group is kept in memory. What goes waits for so many that do not, at most.
const PIECE: usize = 128 << 10;

/// The entries of a transfer that have no outcome yet, and where to look for more.
#[derive(Debug)]
pub struct Source {
    disk: Disk,
    way: Way,
    /// Entries found so far.
    found: u32,
    items: Window<Item>,
    /// Bytes of the transfer space so far, and bytes that may still be in holes, which are not in it.
    total: u64,
    holes_left: u64,
    handles: OpenFiles<OpenedFile>,
    cache: Cache,
    /// For hashing in pieces.
    piece: PageBuffer,
    /// Files of which groups are to be hashed aside, the group of which a part is, and bytes that went and for which none
    /// were hashed so.
    aside: BTreeSet<u32>,
    under_way: Option<Hashing>,
    owed: usize,
    reports: Vec<SourceReport>,
}

/// A group that is read for the first time and hashed, in pieces.
#[derive(Debug)]
struct Hashing {
    index: u32,
    group: u64,
    /// What is left of it.
    left: Range<u64>,
    hasher: GroupHasher,
}

/// The group read last, whose bytes are likely to go next; kept only where the program has memory for it.
#[derive(Debug)]
struct Cache {
    memory: GroupMemory,
    room: Option<GroupRoom>,
    /// The file and its group.
    holds: Option<(u32, u64)>,
    bytes: PageBuffer,
}

impl Source {
    /// What was selected. Nothing of it has been looked at.
    #[must_use]
    pub fn new(selection: &Selection) -> Self {
        Self::new_on(Disk::default(), selection)
    }

    /// As [`Source::new`], with every call told to `disk`.
    #[must_use]
    pub fn new_on(disk: Disk, selection: &Selection) -> Self {
        let memory = selection.memory.clone();
        Self {
            disk,
            way: Way::Ahead(Box::new(selection.clone())),
            found: 0,
            items: Window::default(),
            total: 0,
            holes_left: HOLE_BYTES_MAX,
            handles: OpenFiles::default(),
            cache: Cache { memory, room: None, holds: None, bytes: PageBuffer::default() },
            piece: PageBuffer::default(),
            aside: BTreeSet::new(),
            under_way: None,
            owed: 0,
            reports: Vec::new(),
        }
    }

    /// Looks at what was named, without waiting for a job that asks for it.
    ///
    /// # Errors
    /// Something of it is missing, unreadable or neither file nor directory, or two would have the
    /// same name.
    pub fn open(&mut self) -> Result<(), Failure> {
        if let Way::Ahead(selection) = &self.way {
            let walk = Walk::start(self.disk.clone(), selection).map_err(|(_, failure)| failure)?;
            self.way = Way::Along(Box::new(walk));
        }
        Ok(())
    }

    /// Does a job and says what came of it.
    pub fn run(&mut self, job: SourceJob) -> Vec<SourceReport> {
        match job {
            SourceJob::Check { index } => {
                let result = self.check_unchanged(index);
                self.reports.push(SourceReport::Checked { index, result });
            }
            SourceJob::Decided { index } => self.decide(index),
            SourceJob::Fill(mut batch) => {
                let filled = batch.fill(|offset, payload| self.fill(offset, payload));
                self.reports.push(SourceReport::Filled { batch, is_whole: filled.is_ok() });
            }
            SourceJob::Forget { index } => self.forget(index),
            SourceJob::Hollow { index } => self.hash_holes(index),
            SourceJob::Keep { index, groups } => self.hash_aside(index, groups),
            SourceJob::Prove { index } => self.hash_aside(index, 0..u64::MAX),
            SourceJob::Walk { entries, text, checks } => self.walk(entries, text, checks),
        }
        std::mem::take(&mut self.reports)
    }

    /// Fills `buffer` with the bytes at `offset` of the transfer space, or says that it could not; with
    /// what else came of it.
    pub fn read(&mut self, offset: u64, buffer: &mut [u8]) -> (bool, Vec<SourceReport>) {
        let is_whole = self.fill(offset, buffer).is_ok();
        (is_whole, std::mem::take(&mut self.reports))
    }

    fn forget(&mut self, index: u32) {
        if let Some(item) = self.items.get_mut(index) {
            item.is_over = true;
            self.handles.close(index);
        }
        self.items.forget(|item| item.is_over);
        if self.items.is_empty() {
            self.cache.give_back();
        }
    }

    fn check_unchanged(&self, index: u32) -> Result<(), Failure> {
        self.items.get(index).map_or(Ok(()), |item| item.check_unchanged(&self.disk))
    }

    /// Fills `buffer` with the bytes at `offset` of the transfer space; with zeros, where nobody waits for
    /// them any more.
    fn fill(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), Unreadable> {
        self.owe(buffer.len());
        let (mut offset, mut rest) = (offset, buffer);
        while !rest.is_empty() {
            let index = self.items.partition_point(|item| item.range.end <= offset);
            let item = self.items.get(index);
            let wanted = item.filter(|item| item.range.start <= offset && !item.is_over);
            // Bytes in front of the window belong to files that have an outcome, as the others' do not.
            let end = match item {
                Some(item) if item.range.start > offset => item.range.start,
                Some(item) => item.range.end,
                None => u64::MAX,
            };
            let len = usize::try_from(end - offset).unwrap_or(usize::MAX).min(rest.len());
            let (part, after) = rest.split_at_mut(len);
            if let Some(start) = wanted.map(|item| item.range.start) {
                let read = self.read_file(index, offset - start, part);
                self.fail_unless(index, read)?;
            } else {
                part.fill(0);
            }
            offset += len as u64;
            rest = after;
        }
        Ok(())
    }

    /// Nothing more is read of a file of which something could not be.
    fn fail_unless(&mut self, index: u32, read: Result<(), Failure>) -> Result<(), Unreadable> {
        read.map_err(|failure| {
            self.reports.push(SourceReport::Failed { index, failure });
            self.forget(index);
            Unreadable
        })
    }

    /// Fills `buffer` with the bytes that travel of a file, from that one of them on.
    fn read_file(&mut self, index: u32, from: u64, buffer: &mut [u8]) -> Result<(), Failure> {
        let (mut from, mut rest) = (from, buffer);
        while !rest.is_empty() {
            let item = self.items.get(index).expect("only items are read");
            let Range { start: at, end } = item.layout.stretch(from);
            let group = at / GROUP;
            let range = group_range(group, item.size());
            let len = usize::try_from(range.end.min(end) - at).expect("a group").min(rest.len());
            let (part, after) = rest.split_at_mut(len);
            if !item.groups.knows(group) {
                self.load(index, group)?;
            }
            if self.cache.holds == Some((index, group)) {
                let from = usize::try_from(at - range.start).expect("within a group");
                part.copy_from_slice(&self.cache.bytes[from..from + len]);
            } else {
                self.read_part(index, at, part, false)?;
            }
            from += len as u64;
            rest = after;
        }
        Ok(())
    }

    /// Reads a group for the first time, hashes it, and keeps it in memory if there is some.
    fn load(&mut self, index: u32, group: u64) -> Result<(), Failure> {
        if !self.cache.has_room() {
            return self.hash_group(index, group);
        }
        let size = self.items.get(index).expect("only items are read").size();
        let range = group_range(group, size);
        let mut bytes = std::mem::take(&mut self.cache.bytes);
        self.cache.holds = None;
        let room = bytes.room(usize::try_from(range.end - range.start).expect("a group"));
        self.read_part(index, range.start, room, true)?;
        self.check_holes(index, range.start, &bytes)?;
        let value = group_value(group, &bytes, size);
        self.cache.bytes = bytes;
        self.cache.holds = Some((index, group));
        self.take_value(index, group, value);
        Ok(())
    }

    /// Reads a group for the first time and hashes it, in pieces.
    fn hash_group(&mut self, index: u32, group: u64) -> Result<(), Failure> {
        let mut hashing = self.begin_group(index, group);
        while let Some(rest) = hashing {
            hashing = self.hash_piece(rest)?;
        }
        Ok(())
    }

    fn begin_group(&self, index: u32, group: u64) -> Option<Hashing> {
        let size = self.items.get(index).expect("only items are read").size();
        let (left, hasher) = (group_range(group, size), GroupHasher::new(group, size));
        Some(Hashing { index, group, left, hasher })
    }

    /// Hashes the next piece of a group; gives back what is left of it.
    fn hash_piece(&mut self, mut hashing: Hashing) -> Result<Option<Hashing>, Failure> {
        let Hashing { index, group, left, hasher } = &mut hashing;
        if self.items.get(*index).expect("only items are read").layout.is_hole(*group) {
            return self.hash_hole(*index, *group).map(|()| None);
        }
        let mut piece = std::mem::take(&mut self.piece);
        let at = left.start;
        left.start = left.end.min(at + PIECE as u64);
        let room = piece.room(usize::try_from(left.start - at).expect("a piece"));
        self.read_part(*index, at, room, left.is_empty())?;
        self.check_holes(*index, at, &piece)?;
        hasher.update(&piece);
        self.piece = piece;
        if !left.is_empty() {
            return Ok(Some(hashing));
        }
        self.take_value(*index, *group, hasher.value());
        Ok(None)
    }

    /// Fills `buffer` from the file, which must be the one that was offered when it is opened, and where
    /// `is_compared` after that, too: one that changes fails before the rest has gone in vain.
    fn read_part(
        &mut self,
        index: u32,
        at: u64,
        buffer: &mut [u8],
        is_compared: bool,
    ) -> Result<(), Failure> {
        self.with_file(index, is_compared, |handle| handle.read_exact_at(buffer, at))
    }

    /// Does something with the file, which must be the one that was offered: as [`Source::read_part`].
    fn with_file<T>(
        &mut self,
        index: u32,
        is_compared: bool,
        work: impl FnOnce(&OpenedFile) -> io::Result<T>,
    ) -> Result<T, Failure> {
        let item = self.items.get(index).expect("only items are read");
        let mut other = None;
        let Self { handles, disk, .. } = self;
        let handle = handles.get(index, || {
            let handle = item.place.open(disk)?;
            other = item.compare(Stamp::of_file(&handle)?).err();
            Ok(handle)
        });
        let done = handle.and_then(|handle| {
            let done = work(handle)?;
            let stamp = if is_compared { Some(Stamp::of_file(handle)?) } else { None };
            Ok((done, stamp))
        });
        match (other, done) {
            (Some(changed), _) => Err(changed),
            (None, Err(error)) => Err(item.failure(&error, &self.disk)),
            (None, Ok((done, Some(stamp)))) => item.compare(stamp).map(|()| done),
            (None, Ok((done, None))) => Ok(done),
        }
    }

    fn take_value(&mut self, index: u32, group: u64, value: Hash) {
        let item = self.items.get_mut(index).expect("only items are read");
        let count = group_count(item.size());
        // The value of an only group is the hash of the file; that of a hole is no news.
        if count > 1 && !item.layout.is_hole(group) {
            self.reports.push(SourceReport::Group { index, group, value });
        }
        item.groups.put(group, value);
        if let Some(hash) = item.groups.root(count) {
            self.reports.push(SourceReport::Root { index, hash });
            self.handles.close(index);
        } else if item.next_hole().is_some() {
            self.aside.insert(index);
        }
    }
}

/// A file could not be read; why has been reported.
struct Unreadable;

impl Cache {
    /// Whether there is memory to keep a group.
    fn has_room(&mut self) -> bool {
        if self.room.is_none() {
            self.room = self.memory.take();
        }
        self.room.is_some()
    }

    fn give_back(&mut self) {
        self.holds = None;
        self.bytes = PageBuffer::default();
        self.room = None;
    }
}

#[cfg(test)]
mod tests;
