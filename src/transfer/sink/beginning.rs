//! What a sink needs of what all transfers share, before it does anything.

use super::Sink;
use crate::transfer::commit::{Commits, storage_failure};
use crate::transfer::incoming::CLAIMS_MAX;
use crate::transfer::name::TreePath;
use crate::transfer::open_files::OPEN_MAX;
use crate::transfer::outcome::{Failure, Reason};
use std::sync::Arc;

/// Files that a transfer must be able to have open: the file system, its list of directories, a directory, a
/// partial file, one that is kept for later and its journal, one that is compared, and one for a moment.
const NEEDED: usize = 8;

/// Directories beyond the first that are held open where there are plenty.
const DIRECTORIES: usize = 15;

/// What else is convenient: more files, more that are kept for later (two each), and more directories.
const CONVENIENT: usize = OPEN_MAX - 1 + 2 * (CLAIMS_MAX - 1) + DIRECTORIES;

impl Sink {
    /// For the entry of that path, the first one: sees that the directory is there, takes what it needs of
    /// open files, and what is convenient if there is plenty.
    ///
    /// # Errors
    /// It is not there, or other transfers have them.
    pub(super) fn begin(&mut self, path: &TreePath) -> Result<(), Failure> {
        if !self.held.is_empty() {
            return Ok(());
        }
        let fail = |error| storage_failure(path, &error);
        let directory = self.maker.directory.current().map_err(fail)?;
        if !Arc::ptr_eq(&directory, &self.maker.directory) {
            let keeping = self.policy.keeping.clone();
            self.commits = Commits::new(directory.clone(), keeping, self.maker.owner);
            self.maker.directory = directory;
        }
        let descriptors = &self.policy.descriptors;
        let needed = descriptors.take(NEEDED).ok_or_else(|| {
            let text = "it serves as many transfers as the files that it may have open allow; send again later";
            Failure::new(Reason::Refused, text)
        })?;
        let spare = descriptors.take_spare(CONVENIENT);
        let part = |most: usize| most * spare.count() / CONVENIENT;
        self.commits.begin(1 + part(DIRECTORIES)).map_err(fail)?;
        self.maker.handles.limit(1 + part(OPEN_MAX - 1));
        self.maker.claims_max = 1 + part(CLAIMS_MAX - 1);
        self.held = vec![needed, spare];
        Ok(())
    }
}
