//! Read-only directories that something is added to: their owner may write to them for the time of a
//! transfer. What they contain stays protected as ever, and at the end they are as they were.

use super::Tree;
use crate::transfer::disk::Call;
use cap_std::fs::{Dir, MetadataExt};
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;

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
    /// is ours.
    ///
    /// # Errors
    /// As the system says.
    pub(super) fn unlock(&mut self, path: &str, dir: &Dir) -> io::Result<bool> {
        let there = dir.dir_metadata()?;
        let is_ours = there.uid() == rustix::process::geteuid().as_raw();
        let mode = there.mode() & 0o7777;
        if !is_ours || mode & 0o200 != 0 {
            return Ok(false);
        }
        self.remember(path)?;
        self.set_mode(path, dir, mode | 0o200)?;
        let identity = (there.dev(), there.ino());
        self.unlocked.push(Unlocked { path: path.to_owned(), mode, identity });
        Ok(true)
    }

    /// They get the modes that they had.
    pub(super) fn lock_again(&mut self) {
        for Unlocked { path, mode, identity } in std::mem::take(&mut self.unlocked) {
            // One that cannot be found any more has been moved: it is its owner's to look after.
            let _ = self.open(&path).and_then(|dir| {
                let there = dir.dir_metadata()?;
                let is_it = (there.dev(), there.ino()) == identity;
                if is_it { self.set_mode(&path, &dir, mode) } else { Ok(()) }
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
