//! The last step of every entry: contents to stable storage, then the name, then that to stable storage.
//!
//! A disk takes about as long for one file as for a thousand, so entries wait here until there is nothing
//! else to do or many of them, and go together. Only then anybody hears that they are committed.

mod contents;
mod failures;

use self::failures::{elsewhere, failure_of, placing_failure};
pub(super) use self::failures::{exists, storage_failure};
use super::area::{Owner, Partial};
use super::directory::Directory;
use super::disk::OpenedFile;
use super::entry::Attributes;
use super::handover::Handover;
use super::hash::Hash;
use super::incoming::Storage;
use super::job::Report;
use super::keeping::{Existing, Keeping};
use super::name::TreePath;
use super::outcome::{Failure, Reason};
use super::tree::Tree;
use super::unfinished::Unfinished;
use cap_std::fs::Metadata;
use std::io;
use std::sync::Arc;

/// Entries that wait, at most.
const READY_MAX: usize = 1 << 10;

/// Bytes of theirs, at most: what is lost if the machine fails meanwhile.
const READY_BYTES_MAX: u64 = 32 << 20;

/// Names that are tried, where one is taken and another one will do.
pub(super) const NUMBERS_MAX: u32 = 1_000;

/// Entries that are complete but for their names.
#[derive(Debug)]
pub(super) struct Commits {
    tree: Tree,
    keeping: Keeping,
    ready: Vec<Ready>,
    ready_bytes: u64,
    /// The directory that could not be made last, and why: all that lies in it follows.
    unmade: Option<(TreePath, io::Error)>,
}

#[derive(Debug)]
struct Ready {
    index: u32,
    /// Bytes of a file on its way.
    size: u64,
    hash: Hash,
    path: TreePath,
    what: What,
}

/// What there is of an entry before it has its name.
#[derive(Debug)]
enum What {
    /// It is there.
    Directory,
    /// It needs only its name.
    File(Storage),
    /// It needs only its name.
    Link(Partial),
    /// It was there before, or another transfer was faster; a file or a link.
    Same { is_file: bool },
    /// It is not kept: something else has the name, and stays.
    Left,
}

impl What {
    /// Takes away what there is of it without a name.
    fn discard(&self) {
        match self {
            Self::File(storage) => storage.discard(),
            Self::Link(partial) => partial.discard(),
            Self::Directory | Self::Same { .. } | Self::Left => {}
        }
    }

    /// Whether it has contents.
    fn is_file(&self) -> bool {
        matches!(self, Self::File(_) | Self::Same { is_file: true })
    }
}

/// What there is at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Nothing,
    Directory,
    File { size: u64 },
    Link,
    Special,
}

impl Found {
    fn of(there: Option<Metadata>) -> Self {
        match there {
            None => Self::Nothing,
            Some(there) if there.is_dir() => Self::Directory,
            Some(there) if there.is_symlink() => Self::Link,
            Some(there) if there.is_file() => Self::File { size: there.len() },
            Some(_) => Self::Special,
        }
    }
}

impl Commits {
    pub(super) fn new(directory: Arc<Directory>, keeping: Keeping, owner: Owner) -> Self {
        let tree = Tree::new(directory, owner);
        Self { tree, keeping, ready: Vec::new(), ready_bytes: 0, unmade: None }
    }

    /// Before anything is done; up to `open_max` directories are going to be held open.
    pub(super) fn begin(&mut self, open_max: usize) -> io::Result<()> {
        self.tree.begin(open_max)
    }

    /// What is there already.
    pub(super) fn look(&mut self, path: &TreePath) -> Result<Found, Failure> {
        self.expect_parent(path)?;
        let there = self.tree.look(path).map_err(|error| placing_failure(path, &error))?;
        Ok(Found::of(there))
    }

    /// What there is already, where the directories that it would lie in may not have been made.
    pub(super) fn foresee(&mut self, path: &TreePath) -> Result<Found, Failure> {
        match self.tree.look(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Found::Nothing),
            Err(error) => Err(placing_failure(path, &error)),
            Ok(there) => Ok(Found::of(there)),
        }
    }

    /// A file or a link can be moved to that path.
    pub(super) fn expect_here(&mut self, path: &TreePath) -> Result<(), Failure> {
        match self.tree.is_elsewhere(path) {
            Ok(false) => Ok(()),
            Ok(true) => Err(elsewhere(path)),
            // What is planned has no directory yet.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(placing_failure(path, &error)),
        }
    }

    /// Opens a file that is there.
    pub(super) fn open_there(&mut self, path: &TreePath) -> io::Result<OpenedFile> {
        self.tree.open_file(path)
    }

    /// Whether a link that is there says that.
    pub(super) fn says(&mut self, path: &TreePath, target: &str) -> Result<bool, Failure> {
        let says = self.tree.read_link(path).map_err(|error| storage_failure(path, &error))?;
        Ok(says.to_str() == Some(target))
    }

    /// Makes a directory.
    pub(super) fn directory(
        &mut self,
        index: u32,
        path: TreePath,
        attributes: Attributes,
    ) -> Result<(), Failure> {
        self.expect_parent(&path)?;
        if let Err(error) = self.tree.make(&path, attributes) {
            if error.kind() == io::ErrorKind::AlreadyExists {
                return Err(exists(&path, Found::Special));
            }
            let failure = placing_failure(&path, &error);
            self.unmade = Some((path, error));
            return Err(failure);
        }
        self.push((index, path), Hash::of(b""), What::Directory);
        Ok(())
    }

    /// Takes a directory or a link that nobody will keep.
    pub(super) fn nothing(&mut self, index: u32, path: TreePath, hash: Hash) {
        self.push((index, path), hash, What::Directory);
    }

    /// What lies in a directory that could not be made fails for the same reason.
    fn expect_parent(&self, path: &TreePath) -> Result<(), Failure> {
        let Some((unmade, error)) = &self.unmade else { return Ok(()) };
        let below = path.as_str().strip_prefix(unmade.as_str());
        if below.is_none_or(|below| !below.starts_with('/')) {
            return Ok(());
        }
        let what = format!("cannot store \"{path}\" at the receiver, nor \"{unmade}\" around it");
        Err(failure_of(&what, error))
    }

    /// Takes a link that needs only its name.
    pub(super) fn link(&mut self, index: u32, path: TreePath, partial: Partial, target: &str) {
        let hash = Hash::of(target.as_bytes());
        self.push((index, path), hash, What::Link(partial));
    }

    /// Takes a file that needs only its name.
    pub(super) fn file(
        &mut self,
        index: u32,
        path: TreePath,
        storage: Storage,
        whole: (u64, Hash),
    ) {
        let (size, hash) = whole;
        self.push((index, path), hash, What::File(storage));
        self.ready.last_mut().expect("just pushed").size = size;
        self.ready_bytes += size;
    }

    /// Takes a file or a link that was there before, and may not be on stable storage yet.
    pub(super) fn same(&mut self, index: u32, path: TreePath, hash: Hash, is_file: bool) {
        self.tree.touch(&path);
        self.push((index, path), hash, What::Same { is_file });
    }

    fn push(&mut self, (index, path): (u32, TreePath), hash: Hash, what: What) {
        self.ready.push(Ready { index, size: 0, hash, path, what });
    }

    /// Whether so much waits that it should go.
    pub(super) fn is_full(&self) -> bool {
        self.ready.len() >= READY_MAX || self.ready_bytes >= READY_BYTES_MAX
    }

    /// Commits what waits: contents first, then the names: at no moment is there a name without its
    /// contents.
    pub(super) fn commit(&mut self, reports: &mut Vec<Report>) {
        let ready = std::mem::take(&mut self.ready);
        self.ready_bytes = 0;
        if ready.is_empty() {
            return;
        }
        let ready = self.sync_contents(ready, reports);
        let mut named = Vec::with_capacity(ready.len());
        for mut ready in ready {
            let verified = if self.keeping.verify { self.verify(&ready) } else { Ok(()) };
            match verified.and_then(|()| self.give_name(&mut ready, reports)) {
                Ok(unfinished) => named.push((ready, unfinished)),
                Err(failure) => give_up(&ready, failure, reports),
            }
        }
        let unsynced = self.tree.sync_names();
        for (Ready { index, hash, path, what, .. }, unfinished) in named {
            if let Some(manifest) = &self.keeping.manifest
                && what.is_file()
                && !self.keeping.discards
                && unsynced.error_of(&path).is_none()
            {
                manifest.add(&path, hash);
            }
            reports.push(match (unsynced.error_of(&path), what) {
                (Some(error), _) => {
                    Report::Failed { index, failure: storage_failure(&path, error) }
                }
                (None, What::Same { .. }) => Report::Same { index, hash },
                (None, What::Left) => Report::Left { index },
                (None, _) => Report::Committed { index, hash },
            });
            // Only now nothing leads back to a time when the file was unfinished.
            unfinished.iter().for_each(Unfinished::finish);
        }
    }

    /// Every directory gets its attributes. Nothing is added after that.
    pub(super) fn finish(&mut self) {
        self.tree.finish();
    }

    /// Puts away what has no name yet.
    pub(super) fn discard(&mut self) {
        for ready in self.ready.drain(..) {
            put_away(&ready);
        }
    }

    /// Gives an entry its name, or the next one that is free; says what of it waits to be put away.
    fn give_name(
        &mut self,
        ready: &mut Ready,
        reports: &mut Vec<Report>,
    ) -> Result<Option<Unfinished>, Failure> {
        if let (What::File(storage), Some(handover)) = (&ready.what, &self.keeping.handover) {
            return hand_over(handover, storage, &ready.path).map(|()| None);
        }
        let offered = ready.path.clone();
        for number in 1..=NUMBERS_MAX {
            let named = self.try_name(ready);
            match named {
                // Another transfer was faster.
                Err(error) if is_taken(&error) && self.keeping.existing == Existing::Skip => {
                    ready.what.discard();
                    ready.what = What::Left;
                    return Ok(None);
                }
                Err(error) if is_taken(&error) && self.take_same(ready)? => {
                    return Ok(None);
                }
                Err(error) if is_taken(&error) && self.keeping.existing == Existing::Rename => {
                    let free = offered.numbered(number);
                    ready.path = free.map_err(|_| exists(&offered, Found::Special))?;
                }
                Err(error) if is_taken(&error) => return Err(exists(&offered, Found::Special)),
                Err(error) => return Err(placing_failure(&offered, &error)),
                Ok(unfinished) => {
                    if number > 1 {
                        let (index, path) = (ready.index, ready.path.clone());
                        reports.push(Report::Renamed { index, path });
                    }
                    return Ok(unfinished);
                }
            }
        }
        Err(exists(&offered, Found::Special))
    }

    fn try_name(&mut self, ready: &Ready) -> io::Result<Option<Unfinished>> {
        let overwrite = self.keeping.existing == Existing::Overwrite;
        let Self { tree, keeping, .. } = self;
        if let What::File(storage) = &ready.what
            && keeping.discards
        {
            storage.discard();
            return Ok(None);
        }
        match &ready.what {
            What::File(Storage::Kept(claim)) => claim
                .conclude(|unfinished| tree.commit(unfinished.data(), &ready.path, overwrite))
                .map(Some),
            What::File(Storage::Once(partial)) | What::Link(partial) => {
                tree.commit(partial, &ready.path, overwrite).map(|()| None)
            }
            What::Directory | What::Same { .. } | What::Left => Ok(None),
        }
    }
}

fn is_taken(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::IsADirectory)
}

/// Hands a file over in place of giving it its name.
fn hand_over(handover: &Handover, storage: &Storage, path: &TreePath) -> Result<(), Failure> {
    let Storage::Once(partial) = storage else {
        unreachable!("what is handed over is not kept for later")
    };
    let file = partial.open().map_err(|error| storage_failure(path, &error))?;
    handover.give(path, file.file())?;
    partial.discard();
    Ok(())
}

fn give_up(ready: &Ready, failure: Failure, reports: &mut Vec<Report>) {
    match &ready.what {
        What::File(storage) if failure.reason == Reason::Integrity => storage.discard(),
        _ => put_away(ready),
    }
    reports.push(Report::Failed { index: ready.index, failure });
}

fn put_away(ready: &Ready) {
    match &ready.what {
        What::File(storage) => storage.leave(),
        What::Link(partial) => partial.discard(),
        What::Directory | What::Same { .. } | What::Left => {}
    }
}
