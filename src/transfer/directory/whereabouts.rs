//! A directory that goes while its receiver runs, and perhaps comes back: removed and made anew, or on a disk
//! that was unmounted. What is held open then is no place to keep anything in.

use super::Directory;
use crate::transfer::disk::Call;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What has the path of a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whereabouts {
    /// The directory.
    Here,
    /// Another directory of the same owner, or of ours.
    Replaced,
    /// Another user's directory, or a link: not where the receiver was told to put anything.
    Foreign,
    /// What was below the file system that the directory was on.
    Unmounted,
    /// Nothing, or no directory.
    Gone,
}

impl Directory {
    /// The directory that has its path now, for a transfer that begins. Those under way stay where they are.
    ///
    /// # Errors
    /// There is none, or nothing can be written into it.
    pub(in crate::transfer) fn current(self: &Arc<Self>) -> io::Result<Arc<Self>> {
        // One that is only looked at is not held for long.
        if self.waiting.is_none() {
            return Ok(self.clone());
        }
        let mut latest = self.latest.lock().expect("nobody panics while holding it");
        let held = latest.as_ref().unwrap_or(self);
        let away = |what: &str| {
            let text = format!("its directory {what}; send again once that is back");
            Err(io::Error::other(text))
        };
        match held.whereabouts()? {
            Whereabouts::Here => Ok(held.clone()),
            Whereabouts::Gone => away("is not there any more"),
            Whereabouts::Unmounted => away("is not mounted any more"),
            Whereabouts::Foreign => Err(io::Error::other(
                "its directory was replaced by a link or another user's; start the receiver again there",
            )),
            Whereabouts::Replaced => {
                let found = Arc::new(Self::try_open(held.disk.clone(), &held.path)?);
                *latest = Some(found.clone());
                Ok(found)
            }
        }
    }

    fn whereabouts(&self) -> io::Result<Whereabouts> {
        self.disk.ask(&Call::Look(""))?;
        let there = match std::fs::metadata(&self.path) {
            Ok(there) if there.is_dir() => there,
            Ok(_) => return Ok(Whereabouts::Gone),
            Err(error) => match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                    return Ok(Whereabouts::Gone);
                }
                _ => return Err(error),
            },
        };
        #[cfg(unix)]
        {
            use cap_std::fs::MetadataExt;
            let held = self.dir.dir_metadata()?;
            let [device, found, owner] = {
                use std::os::unix::fs::MetadataExt;
                [there.dev(), there.ino(), there.uid().into()]
            };
            let owners = [held.uid(), rustix::process::geteuid().as_raw()].map(u64::from);
            if (held.dev(), held.ino()) == (device, found) {
                return Ok(Whereabouts::Here);
            }
            if self.mount.as_deref().is_some_and(|mount| !is_mount(mount)) {
                return Ok(Whereabouts::Unmounted);
            }
            // The path had no links in it when the receiver began.
            let is_direct = self.path.canonicalize()? == self.path;
            Ok(match is_direct && owners.contains(&owner) {
                true => Whereabouts::Replaced,
                false => Whereabouts::Foreign,
            })
        }
        #[cfg(not(unix))]
        {
            let _ = there;
            Ok(Whereabouts::Here)
        }
    }
}

/// Where the file system of `path` is mounted, unless it is the root of all.
pub(super) fn mount_of(path: &Path) -> Option<PathBuf> {
    path.ancestors().find(|path| is_mount(path)).map(Path::to_owned)
}

/// Whether a path is where a file system is mounted; as far as its device tells.
fn is_mount(path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let device = |path: &Path| path.metadata().map(|there| there.dev()).ok();
        path.parent().is_some_and(|parent| device(parent) != device(path))
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn one_that_goes_is_missed_and_used_again_when_it_is_back() {
        let temp = tempfile::tempdir().expect("room");
        let path = temp.path().join("inbox");
        fs::create_dir(&path).expect("room");
        let directory = Arc::new(Directory::open(&path).expect("writable"));
        let first = directory.current().expect("there");
        assert!(Arc::ptr_eq(&first, &directory));
        fs::remove_dir_all(&path).expect("ours");
        for _ in 0..2 {
            let failure = directory.current().expect_err("gone");
            assert!(failure.to_string().contains("not there any more"), "{failure}");
        }
        fs::write(&path, "in its place").expect("room");
        assert!(directory.current().is_err());
        fs::remove_file(&path).expect("ours");
        fs::create_dir(&path).expect("room");
        let second = directory.current().expect("back");
        assert!(!Arc::ptr_eq(&second, &directory));
        let (partial, _) = second.create_partial(1, 0, 0o644).expect("writable");
        partial.rename(second.handle(), ("a", "a"), false).expect("free");
        assert!(path.join("a").exists());
        assert!(Arc::ptr_eq(&second, &directory.current().expect("still there")));
        // Whoever may write around it could lead what comes anywhere.
        #[cfg(unix)]
        {
            let elsewhere = temp.path().join("elsewhere");
            fs::rename(&path, &elsewhere).expect("ours");
            let other = temp.path().join("other");
            fs::create_dir(&other).expect("room");
            std::os::unix::fs::symlink(&other, &path).expect("room");
            let failure = directory.current().expect_err("a link");
            assert!(failure.to_string().contains("replaced by a link"), "{failure}");
            assert_eq!(fs::read_dir(&other).expect("readable").count(), 0);
            fs::remove_file(&path).expect("ours");
            fs::create_dir(&path).expect("room");
            // Only root can make one that is another user's.
            if std::os::unix::fs::chown(&path, Some(65_534), None).is_ok() {
                assert!(directory.current().is_err());
            }
            fs::remove_dir(&path).expect("ours");
            fs::rename(&elsewhere, &path).expect("ours");
        }
        // Moved away, as to where files go that nobody wants.
        fs::rename(&path, temp.path().join("waste")).expect("ours");
        assert!(directory.current().is_err());
    }
}
