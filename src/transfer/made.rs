//! Directories that a transfer has made, written down until they have their modes and times.
//!
//! They get these when all is in them. A transfer that is cut off before leaves them without; the one that goes
//! on finds them there, and knows by this list that they are not its user's.

use super::area::{Area, Partial};
use super::directory::Directory;
use super::disk::OpenedFile;
use super::name::TreePath;
use std::collections::HashSet;
use std::io;
use std::sync::Arc;

/// Bytes of lists that are read, at most.
const READ_MAX: u64 = 64 << 20;

/// The directories that one transfer has made, and those that transfers made which were cut off.
#[derive(Debug)]
pub(super) struct Made {
    directory: Arc<Directory>,
    token: u64,
    /// From the first one on.
    own: Option<(Partial, OpenedFile, u64)>,
    /// Lists of other transfers, once they have been looked at, and the paths in them.
    others: Option<Vec<(Partial, HashSet<String>)>>,
}

impl Made {
    pub(super) fn new(directory: Arc<Directory>, token: u64) -> Self {
        Self { directory, token, own: None, others: None }
    }

    /// Writes down that a directory was made.
    ///
    /// # Errors
    /// As the system says.
    pub(super) fn note(&mut self, path: &TreePath) -> io::Result<()> {
        // Those of others are read first: this one would be found among them.
        self.others();
        if self.own.is_none() {
            let (list, file) = self.directory.create_list(self.token)?;
            self.own = Some((list, file, 0));
        }
        let (_, file, at) = self.own.as_mut().expect("just made");
        let line = format!("{}\n", path.as_str());
        file.write_all_at(line.as_bytes(), *at)?;
        *at += line.len() as u64;
        Ok(())
    }

    /// Whether a transfer that was cut off made that directory.
    pub(super) fn was_cut_off(&mut self, path: &TreePath) -> bool {
        self.others().iter().any(|(_, paths)| paths.contains(path.as_str()))
    }

    /// All directories have their modes and times; a list of others that has only such goes, too.
    pub(super) fn finish(&mut self, dressed: &HashSet<String>) {
        if let Some((list, ..)) = self.own.take() {
            list.discard();
        }
        for (list, paths) in self.others.take().into_iter().flatten() {
            if paths.is_subset(dressed) {
                list.discard();
            }
        }
    }

    fn others(&mut self) -> &[(Partial, HashSet<String>)] {
        let Self { directory, others, .. } = self;
        others.get_or_insert_with(|| directory.in_area(read_lists).unwrap_or_default())
    }
}

fn read_lists(area: &Arc<Area>) -> io::Result<Vec<(Partial, HashSet<String>)>> {
    let (mut lists, mut left) = (Vec::new(), READ_MAX);
    for list in Partial::lists(area)? {
        let file = list.open()?;
        let len = file.file().metadata()?.len();
        if len > left {
            continue;
        }
        left -= len;
        let mut bytes = vec![0; usize::try_from(len).expect("at most 64 MiB")];
        file.read_exact_at(&mut bytes, 0)?;
        // After a crash some of it may never have been written.
        let text = String::from_utf8_lossy(&bytes);
        let lines = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
        let paths = lines.filter(|path| TreePath::parse(path).is_ok()).map(str::to_owned).collect();
        lists.push((list, paths));
    }
    Ok(lists)
}
