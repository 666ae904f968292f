//! What a sink needs of what all transfers share, before it does anything.

use super::Sink;
use crate::base::text::show_error;
use crate::transfer::incoming::CLAIMS_MAX;
use crate::transfer::open_files::OPEN_MAX;
use crate::transfer::outcome::{Failure, Reason};

/// Files that a transfer must be able to have open: the file system, its list of directories, a directory, a
/// partial file, one that is kept for later and its journal, one that is compared, and one for a moment.
const NEEDED: usize = 8;

/// Directories beyond the first that are held open where there are plenty.
const DIRECTORIES: usize = 15;

/// What else is convenient: more files, more that are kept for later (two each), and more directories.
const CONVENIENT: usize = OPEN_MAX - 1 + 2 * (CLAIMS_MAX - 1) + DIRECTORIES;

impl Sink {
    /// Takes what it needs of open files, and what is convenient if there is plenty.
    ///
    /// # Errors
    /// Other transfers have them.
    pub(super) fn begin(&mut self) -> Result<(), Failure> {
        if !self.held.is_empty() {
            return Ok(());
        }
        let descriptors = &self.policy.descriptors;
        let needed = descriptors.take(NEEDED).ok_or_else(|| {
            let text = "it serves as many transfers as the files that it may have open allow; send again later";
            Failure::new(Reason::Refused, text)
        })?;
        let spare = descriptors.take_spare(CONVENIENT);
        let part = |most: usize| most * spare.count() / CONVENIENT;
        self.commits.begin(1 + part(DIRECTORIES)).map_err(|error| {
            let text = format!("the receiver cannot open its directory: {}", show_error(&error));
            Failure::new(Reason::Other, text)
        })?;
        self.maker.handles.limit(1 + part(OPEN_MAX - 1));
        self.maker.claims_max = 1 + part(CLAIMS_MAX - 1);
        self.held = vec![needed, spare];
        Ok(())
    }
}
