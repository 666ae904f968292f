//! Read-only directories that something is added to: their owner may write to them for the time of a
//! transfer. What they contain stays protected as ever, and at the end they are as they were.

use super::Tree;
use crate::transfer::disk::Call;
use cap_std::fs::{Dir, MetadataExt};
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;

/// Its owner may write to it.
const WRITABLE: u32 = 0o200;

/// A read-only directory that its owner may write to for now.
#[derive(Debug)]
pub(super) struct Unlocked {
    path: String,
    /// Its mode before.
    mode: u32,
    /// Its device and inode: somebody may put another one in its place.
    identity: (u64, u64),
}

impl Tree {
    /// Lets us write to the directory `dir` of that path, if it is its mode that forbids it, and the directory
    /// is ours. Another transfer may have done that just now.
    ///
    /// # Errors
    /// As the system says.
    pub(super) fn unlock(&mut self, path: &str, dir: &Dir) -> io::Result<bool> {
        let there = dir.dir_metadata()?;
        let is_ours = there.uid() == rustix::process::geteuid().as_raw();
        let mode = there.mode() & 0o7777;
        if !is_ours || mode & WRITABLE != 0 {
            return Ok(is_ours);
        }
        self.remember(path)?;
        self.set_mode(path, dir, mode | WRITABLE)?;
        let identity = (there.dev(), there.ino());
        self.unlocked.push(Unlocked { path: path.to_owned(), mode, identity });
        Ok(true)
    }

    /// They get the modes that they had, but for those that somebody gave another one meanwhile.
    pub(super) fn lock_again(&mut self) {
        for Unlocked { path, mode, identity } in std::mem::take(&mut self.unlocked) {
            // One that cannot be found any more has been moved: it is its owner's to look after.
            let _ = self.open(&path).and_then(|dir| {
                let there = dir.dir_metadata()?;
                let is_it = (there.dev(), there.ino()) == identity;
                let is_as_left = (there.mode() ^ (mode | WRITABLE)) & 0o777 == 0;
                if is_it && is_as_left { self.set_mode(&path, &dir, mode) } else { Ok(()) }
            });
        }
    }

    fn set_mode(&self, path: &str, dir: &Dir, mode: u32) -> io::Result<()> {
        self.directory.disk().ask(&Call::SetAttributes(path))?;
        dir.open(".")?.into_std().set_permissions(Permissions::from_mode(mode))
    }
}

impl Drop for Tree {
    /// A transfer that is cut off locks them, too.
    fn drop(&mut self) {
        self.lock_again();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer::area::Owner;
    use crate::transfer::directory::Directory;
    use std::fs;
    use std::path::PathBuf;
    use std::sync::Arc;

    fn mode_of(path: &PathBuf) -> u32 {
        fs::metadata(path).expect("there").permissions().mode() & 0o7777
    }

    fn set_mode(path: &PathBuf, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("ours");
    }

    /// A read-only directory `d`, and two transfers into what it is in.
    fn make() -> (tempfile::TempDir, PathBuf, [Tree; 2]) {
        let temp = tempfile::tempdir().expect("room");
        let path = temp.path().join("d");
        fs::create_dir(&path).expect("room");
        set_mode(&path, 0o555);
        let directory = Arc::new(Directory::open(temp.path()).expect("writable"));
        let trees = [1, 2].map(|token| Tree::new(directory.clone(), Owner { token, origin: None }));
        (temp, path, trees)
    }

    fn unlock(tree: &mut Tree) -> bool {
        let dir = tree.open("d").expect("there");
        tree.unlock("d", &dir).expect("ours")
    }

    #[test]
    fn what_another_transfer_has_unlocked_just_now_is_written_to() {
        let (_temp, path, [mut first, mut second]) = make();
        assert!(unlock(&mut first) && unlock(&mut second));
        second.lock_again();
        assert_eq!(mode_of(&path), 0o755, "the first is not done");
        first.lock_again();
        assert_eq!(mode_of(&path), 0o555);
    }

    #[test]
    fn a_mode_that_somebody_gave_it_meanwhile_stays() {
        let (_temp, path, [mut tree, _]) = make();
        assert!(unlock(&mut tree));
        set_mode(&path, 0o700);
        drop(tree);
        assert_eq!(mode_of(&path), 0o700);
    }
}
