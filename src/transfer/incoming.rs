//! A file on its way into the receiver's directory.

use super::directory::{Directory, Partial};
use super::entry::Attributes;
use super::hash::{Hash, Tree};
use super::name::TreePath;
use super::open_files::OpenFiles;
use super::outcome::{Failure, Reason};
use super::positioned::write_all_at;
use crate::base::units::show_size;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::ops::Range;

/// Of a file with holes, so many zeros that belong together are one: what file systems make holes of.
const HOLE: u64 = 4096;

#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) range: Range<u64>,
    /// While the file is neither complete nor failed.
    pub(super) open: Option<OpenFile>,
}

#[derive(Debug)]
pub(super) struct OpenFile {
    pub(super) path: TreePath,
    pub(super) attributes: Attributes,
    pub(super) is_sparse: bool,
    /// From the first byte on.
    pub(super) partial: Option<Partial>,
    /// The sender's values of groups that are not complete.
    pub(super) expected: BTreeMap<u64, Hash>,
    /// Complete groups whose value the sender has not told.
    pub(super) complete: BTreeSet<u64>,
    /// Verified groups that wait for an earlier one.
    pub(super) verified: BTreeMap<u64, Hash>,
    /// The value of the only group, of a file that came in one piece.
    pub(super) whole: Option<Hash>,
    /// It has its attributes: nothing more is to be written.
    pub(super) is_dressed: bool,
    pub(super) tree: Tree,
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
                "no room for \"{path}\": {size} wanted, {free} free at the receiver; make room there"
            );
            return Err(Failure::new(Reason::Full, text));
        }
        self.owed += size;
        Ok(())
    }
}

impl OpenFile {
    /// A file of which nothing has come.
    pub(super) fn new(path: TreePath, attributes: Attributes, is_sparse: bool) -> Self {
        Self {
            path,
            attributes,
            is_sparse,
            partial: None,
            expected: BTreeMap::new(),
            complete: BTreeSet::new(),
            verified: BTreeMap::new(),
            whole: None,
            is_dressed: false,
            tree: Tree::default(),
            root: None,
            mismatches: 0,
        }
    }

    /// What its room owes it for so many of its bytes: nothing, where they may be a hole.
    pub(super) fn owed_of(&self, bytes: u64) -> u64 {
        if self.is_sparse { 0 } else { bytes }
    }

    /// Writes bytes at a position, but for what stays a hole.
    pub(super) fn put(&self, file: &File, bytes: &[u8], position: u64) -> io::Result<()> {
        // Where something else was written before, zeros are no hole.
        if !self.is_sparse || self.mismatches > 0 {
            return write_all_at(file, bytes, position);
        }
        let mut at = 0;
        while at < bytes.len() {
            let beyond = (position + at as u64) % HOLE;
            let len = usize::try_from(HOLE - beyond).expect("small").min(bytes.len() - at);
            let block = &bytes[at..at + len];
            if block.iter().any(|byte| *byte != 0) {
                write_all_at(file, block, position + at as u64)?;
            }
            at += len;
        }
        Ok(())
    }
}

/// The partial file, open; made if there is none yet.
pub(super) fn handle_of<'a>(
    handles: &'a mut OpenFiles,
    directory: &Directory,
    index: u32,
    token: u64,
    open: &mut OpenFile,
    size: u64,
) -> io::Result<&'a File> {
    handles.get(index, || match &open.partial {
        Some(partial) => directory.open_partial(partial),
        None => {
            let (partial, file) = directory.create_partial(token, index, open.attributes.mode)?;
            open.partial = Some(partial);
            if open.is_sparse {
                file.set_len(size)?;
            }
            Ok(file)
        }
    })
}

/// Where `part` is in bytes that begin at `offset`.
pub(super) fn within(offset: u64, part: &Range<u64>) -> Range<usize> {
    let index = |at: u64| usize::try_from(at - offset).expect("within what is in memory");
    index(part.start)..index(part.end)
}
