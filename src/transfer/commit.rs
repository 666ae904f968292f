//! The last step of every entry: contents to stable storage, then the name, then that to stable storage.
//!
//! A disk takes about as long for one file as for a thousand, so entries wait here until there is nothing
//! else to do or many of them, and go together. Only then anybody hears that they are committed.

use super::directory::{Directory, Partial};
use super::entry::Attributes;
use super::hash::Hash;
use super::job::Report;
use super::name::TreePath;
use super::outcome::{Failure, Reason};
use super::tree::{SYNCED_SINGLY_MAX, Tree};
use crate::base::text::show_error;
use cap_std::fs::FileType;
use std::io;
use std::sync::Arc;

/// Entries that wait, at most.
const READY_MAX: usize = 1 << 10;

/// Bytes of theirs, at most: what is lost if the machine fails meanwhile.
const READY_BYTES_MAX: u64 = 64 << 20;

/// Entries that are complete but for their names.
#[derive(Debug)]
pub(super) struct Commits {
    directory: Arc<Directory>,
    tree: Tree,
    overwrite: bool,
    ready: Vec<Ready>,
    ready_bytes: u64,
}

#[derive(Debug)]
struct Ready {
    index: u32,
    hash: Hash,
    path: TreePath,
    /// What is to get the path; a directory has it.
    partial: Option<Partial>,
    /// Whether there are contents to put on stable storage.
    is_file: bool,
}

impl Commits {
    pub(super) fn new(directory: Arc<Directory>, overwrite: bool) -> Self {
        let tree = Tree::new(directory.clone());
        Self { directory, tree, overwrite, ready: Vec::new(), ready_bytes: 0 }
    }

    /// Fails if something has the path that is not to be replaced.
    pub(super) fn check_free(&mut self, path: &TreePath) -> Result<(), Failure> {
        match self.tree.look(path) {
            Ok(Some(there)) if !self.overwrite || there.is_dir() => Err(exists(path, Some(there))),
            Ok(_) => Ok(()),
            Err(error) => Err(placing_failure(path, &error)),
        }
    }

    /// Makes a directory.
    pub(super) fn directory(
        &mut self,
        index: u32,
        path: TreePath,
        attributes: Attributes,
    ) -> Result<(), Failure> {
        let made = self.tree.make(&path, attributes);
        made.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => exists(&path, None),
            _ => placing_failure(&path, &error),
        })?;
        let hash = Hash::of(b"");
        self.push(Ready { index, hash, path, partial: None, is_file: false }, 0);
        Ok(())
    }

    /// Takes a link that needs only its name.
    pub(super) fn link(&mut self, index: u32, path: TreePath, partial: Partial, target: &str) {
        let hash = Hash::of(target.as_bytes());
        self.push(Ready { index, hash, path, partial: Some(partial), is_file: false }, 0);
    }

    /// Takes a file that needs only its name.
    pub(super) fn file(
        &mut self,
        index: u32,
        path: TreePath,
        partial: Partial,
        whole: (u64, Hash),
    ) {
        let (size, hash) = whole;
        self.push(Ready { index, hash, path, partial: Some(partial), is_file: true }, size);
    }

    fn push(&mut self, ready: Ready, bytes: u64) {
        self.ready.push(ready);
        self.ready_bytes += bytes;
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
        let named: Vec<Ready> = ready
            .into_iter()
            .filter_map(|ready| match self.give_name(&ready) {
                Ok(()) => Some(ready),
                Err(failure) => {
                    self.give_up(&ready, failure, reports);
                    None
                }
            })
            .collect();
        let unsynced = self.tree.sync_names();
        let report = |Ready { index, hash, path, .. }| match unsynced.error_of(&path) {
            None => Report::Committed { index, hash },
            Some(error) => Report::Failed { index, failure: storage_failure(&path, error) },
        };
        reports.extend(named.into_iter().map(report));
    }

    /// Every directory gets its attributes. Nothing is added after that.
    pub(super) fn finish(&mut self) {
        self.tree.finish();
    }

    /// Puts away what has no name yet.
    pub(super) fn discard(&mut self) {
        for ready in self.ready.drain(..) {
            ready.partial.iter().for_each(|partial| self.directory.discard(partial));
        }
    }

    /// Those whose contents are on stable storage.
    fn sync_contents(&self, ready: Vec<Ready>, reports: &mut Vec<Report>) -> Vec<Ready> {
        let files = ready.iter().filter(|ready| ready.is_file).count();
        let at_once = match files {
            0..=SYNCED_SINGLY_MAX => Ok(false),
            _ => self.directory.sync_file_system(),
        };
        let is_synced = |ready: &Ready| match &at_once {
            Ok(true) => Ok(()),
            Ok(false) => self.sync_one(ready),
            Err(error) => Err(io::Error::from(error.kind())),
        };
        let mut synced = Vec::with_capacity(ready.len());
        for ready in ready {
            match is_synced(&ready) {
                Ok(()) => synced.push(ready),
                Err(error) => {
                    let failure = storage_failure(&ready.path, &error);
                    self.give_up(&ready, failure, reports);
                }
            }
        }
        synced
    }

    fn sync_one(&self, ready: &Ready) -> io::Result<()> {
        match &ready.partial {
            Some(partial) if ready.is_file => self.directory.sync_partial(partial),
            _ => Ok(()),
        }
    }

    fn give_name(&mut self, ready: &Ready) -> Result<(), Failure> {
        let Some(partial) = &ready.partial else {
            return Ok(());
        };
        let path = &ready.path;
        self.tree.commit(partial, path, self.overwrite).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists | io::ErrorKind::IsADirectory => exists(path, None),
            _ => placing_failure(path, &error),
        })
    }

    fn give_up(&self, ready: &Ready, failure: Failure, reports: &mut Vec<Report>) {
        ready.partial.iter().for_each(|partial| self.directory.discard(partial));
        reports.push(Report::Failed { index: ready.index, failure });
    }
}

fn exists(path: &TreePath, what: Option<FileType>) -> Failure {
    let text = match what {
        Some(there) if there.is_dir() => {
            format!(
                "\"{path}\" is a directory at the receiver, which no file replaces; move it away"
            )
        }
        _ => format!(
            "\"{path}\" exists at the receiver; start recv with --overwrite to replace it, or move it away"
        ),
    };
    Failure::new(Reason::Exists, text)
}

/// Why something does not get its place.
fn placing_failure(path: &TreePath, error: &io::Error) -> Failure {
    match (error.kind(), path.parent()) {
        // A directory of the path is a link or a file there, or another program took it away.
        (io::ErrorKind::NotADirectory | io::ErrorKind::NotFound, Some(_)) => {
            let text = format!(
                "what \"{path}\" lies in is no directory at the receiver; move it away there"
            );
            Failure::new(Reason::Exists, text)
        }
        _ => storage_failure(path, error),
    }
}

/// Why something cannot be stored.
pub(super) fn storage_failure(path: &TreePath, error: &io::Error) -> Failure {
    let (reason, advice) = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            (Reason::Full, "; make room there and send again")
        }
        io::ErrorKind::FileTooLarge => {
            (Reason::Full, "; its file system or its `ulimit -f` allows no file of that size")
        }
        _ => (Reason::Other, ""),
    };
    let said = show_error(error);
    Failure::new(reason, format!("cannot store \"{path}\" at the receiver: {said}{advice}"))
}
