//! Directories that a transfer has made, written down until they have their modes and times.
//!
//! They get these when all is in them. A transfer that is cut off before leaves them without; the one that goes
//! on finds them there, and knows by this list that they are not its user's.

use super::area::leftovers::{lock, there};
use super::area::{Area, Owner, Partial};
use super::directory::Directory;
use super::disk::OpenedFile;
use super::name::TreePath;
use std::collections::HashSet;
use std::io;
use std::sync::Arc;

/// Bytes that the paths of lists may take in memory.
const READ_MAX: usize = 64 << 20;

/// What a path takes beside its bytes.
const PATH_COST: usize = 64;

/// The directories that one transfer has made, and those that transfers made which were cut off.
#[derive(Debug)]
pub(super) struct Made {
    directory: Arc<Directory>,
    owner: Owner,
    /// From the first one on.
    own: Option<(Partial, OpenedFile, u64)>,
    /// Lists of other transfers, once they have been looked at, and the paths in them.
    others: Option<Vec<(Partial, HashSet<String>)>>,
}

impl Made {
    pub(super) fn new(directory: Arc<Directory>, owner: Owner) -> Self {
        Self { directory, owner, own: None, others: None }
    }

    /// Writes down that a directory was made.
    ///
    /// # Errors
    /// As the system says.
    pub(super) fn note(&mut self, path: &TreePath) -> io::Result<()> {
        // Those of others are read first: this one would be found among them.
        self.others()?;
        if self.own.is_none() {
            let (list, file) = self.directory.create_list(self.owner)?;
            self.own = Some((list, file, 0));
        }
        let (_, file, at) = self.own.as_mut().expect("just made");
        let line = format!("{}\n", path.as_str());
        file.write_all_at(line.as_bytes(), *at)?;
        *at += line.len() as u64;
        Ok(())
    }

    /// Whether a transfer that was cut off made that directory.
    ///
    /// # Errors
    /// As the system says.
    pub(super) fn was_cut_off(&mut self, path: &TreePath) -> io::Result<bool> {
        Ok(self.others()?.iter().any(|(_, paths)| paths.contains(path.as_str())))
    }

    /// All directories have their modes and times; a list of others that has only such goes, too.
    pub(super) fn finish(&mut self, dressed: &HashSet<String>) {
        if let Some((list, ..)) = self.own.take() {
            list.discard();
        }
        for (list, paths) in self.others.take().into_iter().flatten() {
            // One whose transfer is under way, or that cannot be looked at, waits for its time.
            if paths.is_subset(dressed)
                && list.open().and_then(|opened| lock(&opened)).unwrap_or(false)
            {
                list.discard();
            }
        }
    }

    fn others(&mut self) -> io::Result<&[(Partial, HashSet<String>)]> {
        let read = match self.others.take() {
            Some(read) => read,
            None => self.directory.in_area(read_lists)?,
        };
        Ok(self.others.insert(read))
    }
}

fn read_lists(area: &Arc<Area>) -> io::Result<Vec<(Partial, HashSet<String>)>> {
    let (mut lists, mut left) = (Vec::new(), READ_MAX);
    for list in Partial::lists(area)? {
        // Its transfer may have ended meanwhile.
        let Some(file) = there(list.open())? else { continue };
        let Some(len) =
            usize::try_from(file.file().metadata()?.len()).ok().filter(|len| *len <= left)
        else {
            continue;
        };
        let mut bytes = vec![0; len];
        file.read_exact_at(&mut bytes, 0)?;
        // After a crash some of it may never have been written.
        let text = String::from_utf8_lossy(&bytes);
        let lines = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
        let sound = || lines.clone().filter(|path| TreePath::parse(path).is_ok());
        let cost = sound().map(|path| path.len() + PATH_COST).sum::<usize>();
        // Half a list would be taken for done with when half of its directories are.
        if let Some(rest) = left.checked_sub(cost) {
            left = rest;
            lists.push((list, sound().map(str::to_owned).collect()));
        }
    }
    Ok(lists)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_a_transfer_under_way_outlasts_one_that_makes_the_same_directories() {
        let temp = tempfile::tempdir().expect("room");
        let directory = Arc::new(Directory::open(temp.path()).expect("writable"));
        let path = TreePath::parse("a").expect("a path");
        let made = |token| Made::new(directory.clone(), Owner { token, origin: None });
        let finish = |mut made: Made| made.finish(&HashSet::from(["a".to_owned()]));
        let mut first = made(1);
        first.note(&path).expect("room");
        for is_under_way in [true, false] {
            let mut next = made(2);
            assert!(next.was_cut_off(&path).expect("readable"), "{is_under_way}");
            finish(next);
            if is_under_way {
                first.note(&path).expect("its list is there");
                first.own = None;
            }
        }
        assert!(!made(3).was_cut_off(&path).expect("readable"), "it has been finished");
    }
}
