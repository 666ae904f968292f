//! A file on its way into the receiver's directory.

use super::area::{Owner, Partial};
use super::check::Check;
use super::directory::Directory;
use super::disk::OpenedFile;
use super::entry::Attributes;
use super::hash::{Groups, Hash, group_count};
use super::holes::Layout;
use super::journal::Key;
use super::kept::Kept;
use super::name::TreePath;
use super::open_files::OpenFiles;
use super::outcome::{Failure, Reason};
use super::unfinished::{Claim, Unfinished};
use super::values::Values;
use crate::base::units::show_size;
use std::collections::BTreeSet;
use std::io;
use std::ops::Range;
use std::sync::Arc;

/// Files of one transfer, at most, that are kept for a later one while they are under way: each costs this
/// process two of the files that it may have open.
pub(super) const CLAIMS_MAX: usize = 16;

/// Of a file with holes, so many zeros that belong together are one: what file systems make holes of.
const HOLE: usize = 4096;

#[derive(Debug)]
pub(super) struct Incoming {
    /// Where its bytes are in the transfer space.
    pub(super) range: Range<u64>,
    /// Where these are in the file.
    pub(super) layout: Layout,
    pub(super) state: State,
}

/// Where a file is on its way.
#[derive(Debug)]
pub(super) enum State {
    /// What has its name is compared with it; it is not wanted before.
    Checked(Box<Check>),
    /// It comes.
    Open(Box<OpenFile>),
    /// It is complete, or failed.
    Over,
}

impl Incoming {
    /// The file, if it comes.
    pub(super) fn open(&mut self) -> Option<&mut OpenFile> {
        match &mut self.state {
            State::Open(open) => Some(open),
            State::Checked(_) | State::Over => None,
        }
    }

    /// The comparison, if there is one.
    pub(super) fn check(&mut self) -> Option<&mut Check> {
        match &mut self.state {
            State::Checked(check) => Some(check),
            State::Open(_) | State::Over => None,
        }
    }

    /// Bytes.
    pub(super) fn size(&self) -> u64 {
        self.layout.size()
    }

    /// Where a group is in the transfer space.
    pub(super) fn group_in_space(&self, group: u64) -> Range<u64> {
        let range = self.layout.group_in_space(group);
        self.range.start + range.start..self.range.start + range.end
    }

    /// The first group whose value is not known, if it is a hole, for which zeros are hashed.
    pub(super) fn next_hole(&self) -> Option<u64> {
        let State::Open(open) = &self.state else { return None };
        let next = open.groups.frontier();
        (next < group_count(self.size()) && self.layout.is_hole(next)).then_some(next)
    }
}

#[derive(Debug)]
pub(super) struct OpenFile {
    pub(super) path: TreePath,
    pub(super) attributes: Attributes,
    pub(super) is_sparse: bool,
    /// Something may have been written to it that is not what was sent.
    pub(super) is_used: bool,
    /// By which a later transfer finds what there is of it.
    pub(super) key: Option<Key>,
    /// From the first byte on.
    pub(super) storage: Option<Storage>,
    /// The sender's values of groups that are not complete.
    pub(super) expected: Values,
    /// How many of them were told before any byte was wanted.
    pub(super) told_before: usize,
    /// Complete groups whose value the sender has not told.
    pub(super) complete: BTreeSet<u64>,
    /// Verified groups.
    pub(super) groups: Groups,
    /// Groups that an earlier transfer brought, and nobody has looked at.
    pub(super) kept: Kept,
    /// The value of the only group, of a file that came in one piece.
    pub(super) whole: Option<Hash>,
    /// It has its attributes: nothing more is to be written.
    pub(super) is_dressed: bool,
    pub(super) root: Option<Hash>,
    pub(super) mismatches: u32,
}

/// What the file system had free, asked for now and then: small files are many.
#[derive(Debug, Default)]
pub(super) struct Room {
    /// Bytes that open files will still take.
    pub(super) owed: u64,
    free: Option<u64>,
    /// Bytes offered since it was asked.
    since: u64,
}

impl Room {
    /// Owes a file its `size`, if there is room for it.
    pub(super) fn owe(
        &mut self,
        directory: &Directory,
        path: &TreePath,
        size: u64,
    ) -> Result<(), Failure> {
        self.since = self.since.saturating_add(size);
        if self.free.is_none_or(|free| self.since > free / 2) {
            self.free = directory.free_space().map(|free| free.saturating_sub(self.owed));
            self.since = size;
        }
        if let Some(free) = self.free.filter(|free| size > *free) {
            let (size, free) = (show_size(size), show_size(free));
            let text = format!(
                "no room for \"{path}\": {size} wanted, {free} free at the receiver; make room there \
                 and send again"
            );
            return Err(Failure::new(Reason::Full, text));
        }
        self.owed += size;
        Ok(())
    }
}

impl OpenFile {
    /// A file of which nothing has come.
    pub(super) fn new(
        path: TreePath,
        key: Option<Key>,
        attributes: Attributes,
        is_sparse: bool,
    ) -> Self {
        Self {
            path,
            attributes,
            is_sparse,
            is_used: false,
            key,
            storage: None,
            expected: Values::default(),
            told_before: 0,
            complete: BTreeSet::new(),
            groups: Groups::default(),
            kept: Kept::default(),
            whole: None,
            is_dressed: false,
            root: None,
            mismatches: 0,
        }
    }

    /// The next group to read back of what an earlier transfer brought.
    pub(super) fn next_kept(&self) -> Option<u64> {
        self.kept.next(self.root.is_some())
    }

    /// What its room owes it for so many of its bytes: nothing, where they may be a hole.
    pub(super) fn owed_of(&self, bytes: u64) -> u64 {
        if self.is_sparse { 0 } else { bytes }
    }

    /// Writes bytes at a position, but for what stays a hole.
    pub(super) fn put(&self, file: &OpenedFile, bytes: &[u8], position: u64) -> io::Result<()> {
        if !self.is_sparse {
            return file.write_all_at(bytes, position);
        }
        let mut at = 0;
        while at < bytes.len() {
            let beyond = (position + at as u64) % HOLE as u64;
            let len = (HOLE - usize::try_from(beyond).expect("small")).min(bytes.len() - at);
            let block = &bytes[at..at + len];
            let place = position + at as u64;
            if block.iter().any(|byte| *byte != 0) || !self.is_hole(file, len, place)? {
                file.write_all_at(block, place)?;
            }
            at += len;
        }
        Ok(())
    }

    /// Whether it holds zeros there already.
    fn is_hole(&self, file: &OpenedFile, len: usize, place: u64) -> io::Result<bool> {
        if !self.is_used {
            return Ok(true);
        }
        let mut there = [1; HOLE];
        match file.read_exact_at(&mut there[..len], place) {
            Ok(()) => Ok(there[..len].iter().all(|byte| *byte == 0)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Where the bytes of a file are until it has its name.
#[derive(Debug)]
pub(super) enum Storage {
    /// Where a later transfer of the same file finds them.
    Kept(Claim),
    /// Where nobody looks for them later.
    Once(Partial),
}

impl Storage {
    /// Does something with the file.
    pub(super) fn with<T>(
        &self,
        handles: &mut OpenFiles<OpenedFile>,
        index: u32,
        work: impl FnOnce(&OpenedFile) -> io::Result<T>,
    ) -> io::Result<T> {
        match self {
            Self::Kept(claim) => claim.with(|unfinished| work(unfinished.opened())),
            Self::Once(partial) => work(handles.get(index, || partial.open())?),
        }
    }

    /// Leaves it for a later transfer, where one would find it.
    pub(super) fn leave(&self) {
        match self {
            Self::Kept(claim) => claim.release(Unfinished::leave),
            Self::Once(partial) => partial.discard(),
        }
    }

    /// Takes it away.
    pub(super) fn discard(&self) {
        match self {
            Self::Kept(claim) => claim.release(|unfinished| unfinished.discard()),
            Self::Once(partial) => partial.discard(),
        }
    }
}

/// Where the files of one transfer are made and found.
#[derive(Debug)]
pub(super) struct Maker {
    pub(super) directory: Arc<Directory>,
    pub(super) owner: Owner,
    /// Files that are kept open for as long as they are under way.
    pub(super) claims: usize,
    /// How many of them, at most.
    pub(super) claims_max: usize,
    /// Others, by index.
    pub(super) handles: OpenFiles<OpenedFile>,
}

impl Maker {
    /// Whether one more file may be kept open.
    pub(super) fn has_room(&self) -> bool {
        self.claims < self.claims_max
    }

    /// Does something with a file of `size` bytes, which is made if it is not there.
    pub(super) fn with<T>(
        &mut self,
        index: u32,
        open: &mut OpenFile,
        size: u64,
        work: impl FnOnce(&OpenFile, &OpenedFile) -> io::Result<T>,
    ) -> io::Result<T> {
        let storage = match open.storage.take() {
            Some(storage) => storage,
            None => self.make(index, open, size)?,
        };
        let done = storage.with(&mut self.handles, index, |opened| work(open, opened));
        open.storage = Some(storage);
        done
    }

    fn make(&mut self, index: u32, open: &OpenFile, size: u64) -> io::Result<Storage> {
        let (directory, owner, mode) = (&self.directory, self.owner, open.attributes.mode);
        let kept = open.key.filter(|_| self.has_room());
        let storage = match kept
            .map(|key| directory.begin_unfinished(owner.origin, (key, size, mode)))
        {
            Some(Ok(claim)) => Storage::Kept(claim),
            // Somebody else has it: then it is not kept here.
            Some(Err(error)) if !is_taken(&error) => return Err(error),
            None | Some(Err(_)) => {
                let (partial, file) = directory.create_partial(self.owner.token, index, mode)?;
                self.handles.get(index, || Ok(file))?;
                Storage::Once(partial)
            }
        };
        if open.is_sparse
            && let Err(error) = storage.with(&mut self.handles, index, |file| file.set_len(size))
        {
            storage.discard();
            return Err(error);
        }
        self.claims += usize::from(matches!(storage, Storage::Kept(_)));
        Ok(storage)
    }
}

fn is_taken(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::WouldBlock)
}

/// Where `part` is in bytes that begin at `offset`.
pub(super) fn within(offset: u64, part: &Range<u64>) -> Range<usize> {
    let index = |at: u64| usize::try_from(at - offset).expect("within what is in memory");
    index(part.start)..index(part.end)
}
