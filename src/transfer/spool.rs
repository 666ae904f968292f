//! What came from a stream, in a file without a name: a transfer offers a size, and reads again what was
//! lost on the way, and a stream allows neither.

use super::disk::Disk;
use super::entry::Kind;
use super::name::TreePath;
use super::place::Place;
use super::walk::Candidate;
use cap_std::fs::Metadata;
use std::fs::File;
use std::io;
use std::sync::Arc;

/// The mode of a file as shells make it; the receiver's umask takes away what it says.
const MODE: u16 = 0o666;

/// A file that only its holders can reach.
#[derive(Clone, Debug)]
pub struct Spool {
    name: TreePath,
    file: Arc<File>,
}

impl Spool {
    /// `file`, which is complete, to be sent under that name.
    #[must_use]
    pub fn new(name: TreePath, file: File) -> Self {
        Self { name, file: Arc::new(file) }
    }

    /// What is to be offered of it.
    pub(super) fn candidate(&self, disk: &Disk) -> io::Result<Candidate> {
        let metadata = Metadata::from_file(&self.file)?;
        let place = Place::Held(self.file.clone());
        let candidate = Candidate::new(disk, self.name.clone(), place, &metadata);
        let mut candidate = candidate.map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        if let Kind::File { attributes, .. } = &mut candidate.kind {
            attributes.mode = MODE;
        }
        Ok(candidate)
    }
}
