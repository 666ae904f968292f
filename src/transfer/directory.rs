//! The receiver's directory: held open, and the only place anything is ever written to.
//!
//! Every operation is relative to its handle, or to that of a directory below it, and names one
//! component, so nothing that happens to the path outside, and no name a sender proposes, leads
//! anywhere else.

use super::name::PARTIAL_AREA;
use super::outcome::{Failure, Reason};
use crate::base::text::{escape, show_error};
use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, Weak};

/// How often the partial area may vanish under a new file.
const AREA_TRIES: u32 = 16;

/// A directory to receive into.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    dir: Arc<Dir>,
    /// The area that the newest partial file is in; others may hold older ones.
    area: Mutex<Weak<Area>>,
}

/// A file under way: private, under a name that no sender chose.
#[derive(Debug)]
pub struct Partial {
    area: Arc<Area>,
    name: String,
}

/// The partial area, held by whoever has files in it.
#[derive(Debug)]
struct Area {
    dir: Dir,
    /// Keeps receivers that start later from taking the files for leftovers.
    _lock: Option<File>,
}

impl Directory {
    /// Opens `path`, and sees that a partial area can be made in it.
    ///
    /// # Errors
    /// It is no directory, or nothing can be written into it.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let shown = escape(&path.to_string_lossy());
        let failure = |error: io::Error| {
            let (reason, advice) = match error.kind() {
                io::ErrorKind::NotFound => {
                    (Reason::Other, "; make it first, or name another directory")
                }
                io::ErrorKind::NotADirectory => (Reason::Other, "; name a directory"),
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                    (Reason::Other, "; name a directory that you may write to")
                }
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    (Reason::Full, "; make room there, or name another directory")
                }
                _ => (Reason::Other, ""),
            };
            let said = show_error(&error);
            Failure::new(reason, format!("cannot receive into {shown}: {said}{advice}"))
        };
        let dir = Dir::open_ambient_dir(path, ambient_authority()).map_err(failure)?;
        open_area(&dir).and_then(|area| sweep(&area)).map_err(failure)?;
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        Ok(Self { path, dir: Arc::new(dir), area: Mutex::default() })
    }

    /// Where it was when it was opened.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes that could still be written; nothing where the system does not say.
    #[must_use]
    pub fn free_space(&self) -> Option<u64> {
        #[cfg(unix)]
        {
            let stat = rustix::fs::fstatvfs(&self.dir).ok()?;
            Some(stat.f_bavail.saturating_mul(stat.f_frsize))
        }
        #[cfg(not(unix))]
        None
    }

    /// The directory itself.
    pub(super) fn handle(&self) -> &Arc<Dir> {
        &self.dir
    }

    /// Makes a new partial file, for reading and writing; `token` keeps apart those of different
    /// transfers. Of `mode` the system takes away what the user's umask says; its owner may always read
    /// and write.
    ///
    /// # Errors
    /// As the system says.
    pub fn create_partial(&self, token: u64, index: u32, mode: u16) -> io::Result<(Partial, File)> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        #[cfg(unix)]
        cap_std::fs::OpenOptionsExt::mode(&mut options, u32::from(mode | 0o600));
        #[cfg(not(unix))]
        let _ = mode;
        self.make_partial(token, index, |area, name| area.open_with(name, &options))
            .map(|(partial, file)| (partial, file.into_std()))
    }

    /// Makes a new partial symbolic link.
    ///
    /// # Errors
    /// As the system says.
    pub fn create_partial_link(&self, token: u64, index: u32, target: &str) -> io::Result<Partial> {
        #[cfg(unix)]
        let make = |area: &Dir, name: &str| area.symlink(target, name);
        #[cfg(not(unix))]
        let make = |_: &Dir, _: &str| {
            let _ = target;
            Err(io::ErrorKind::Unsupported.into())
        };
        self.make_partial(token, index, make).map(|(partial, ())| partial)
    }

    fn make_partial<T>(
        &self,
        token: u64,
        index: u32,
        make: impl Fn(&Dir, &str) -> io::Result<T>,
    ) -> io::Result<(Partial, T)> {
        let name = format!("{token:016x}-{index}");
        let mut tries = 0;
        loop {
            let area = self.area()?;
            match make(&area.dir, &name) {
                Ok(made) => return Ok((Partial { area, name }, made)),
                // Another receiver into the same directory takes an empty area away when it ends.
                Err(error) if error.kind() == io::ErrorKind::NotFound && tries < AREA_TRIES => {
                    *self.known_area() = Weak::new();
                    tries += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn area(&self) -> io::Result<Arc<Area>> {
        let mut known = self.known_area();
        if let Some(area) = known.upgrade() {
            return Ok(area);
        }
        let dir = open_area(&self.dir)?;
        let lock = lockable(&dir)?;
        let lock = match lock.lock_shared() {
            Ok(()) => Some(lock),
            // Where the file system has no locks, nothing is swept either.
            Err(error) if error.kind() == io::ErrorKind::Unsupported => None,
            Err(error) => return Err(error),
        };
        let area = Arc::new(Area { dir, _lock: lock });
        *known = Arc::downgrade(&area);
        Ok(area)
    }

    fn known_area(&self) -> MutexGuard<'_, Weak<Area>> {
        self.area.lock().expect("nobody panics while holding it")
    }

    /// Opens a partial file for reading and writing.
    ///
    /// # Errors
    /// As the system says.
    pub fn open_partial(&self, partial: &Partial) -> io::Result<File> {
        let file =
            partial.area.dir.open_with(&partial.name, OpenOptions::new().read(true).write(true))?;
        Ok(file.into_std())
    }

    /// Puts the contents of a partial file on stable storage.
    ///
    /// # Errors
    /// As the system says.
    pub fn sync_partial(&self, partial: &Partial) -> io::Result<()> {
        match partial.area.dir.open(&partial.name) {
            Ok(file) => file.sync_all(),
            // Its mode may forbid to open it even for its owner.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                if self.sync_file_system()? { Ok(()) } else { Err(error) }
            }
            Err(error) => Err(error),
        }
    }

    /// Gives a partial file its name in `dir`, in one step; what had the name stays unless `overwrite`.
    /// The name is on stable storage once `dir` is.
    ///
    /// # Errors
    /// Something has the name, or as the system says.
    pub fn commit(
        &self,
        partial: &Partial,
        dir: &Dir,
        name: &str,
        overwrite: bool,
    ) -> io::Result<()> {
        if overwrite {
            partial.area.dir.rename(&partial.name, dir, name)
        } else {
            rename_to_free(partial, dir, name)
        }
    }

    /// Puts everything that was written to the file system of the directory on stable storage, in one
    /// go; false where the system has no way to.
    ///
    /// # Errors
    /// As the system says.
    pub fn sync_file_system(&self) -> io::Result<bool> {
        #[cfg(target_os = "linux")]
        {
            rustix::fs::syncfs(self.dir.open(".")?)?;
            Ok(true)
        }
        #[cfg(not(target_os = "linux"))]
        Ok(false)
    }

    /// Forgets a partial file.
    pub fn discard(&self, partial: &Partial) {
        // If it cannot be removed, it stays private under a name that means nothing.
        let _ = partial.area.dir.remove_file(&partial.name);
    }
}

impl Drop for Directory {
    /// Leaves nothing behind where nothing is under way.
    fn drop(&mut self) {
        let _ = self.dir.remove_dir(PARTIAL_AREA);
    }
}

fn rename_to_free(partial: &Partial, dir: &Dir, name: &str) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_vendor = "apple"))]
    {
        use rustix::fs::{RenameFlags, renameat_with};
        use rustix::io::Errno;
        let area = &partial.area.dir;
        match renameat_with(area, &partial.name, dir, name, RenameFlags::NOREPLACE) {
            // Not every file system has it.
            Err(Errno::INVAL | Errno::NOSYS) => {}
            done => return Ok(done?),
        }
    }
    // A second link fails where there is a first one: the portable form of the same step.
    partial.area.dir.hard_link(&partial.name, dir, name)?;
    partial.area.dir.remove_file(&partial.name)
}

/// The partial area, which must be a directory of our own that nobody else can look into.
fn open_area(dir: &Dir) -> io::Result<Dir> {
    let mut builder = cap_std::fs::DirBuilder::new();
    #[cfg(unix)]
    cap_std::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match dir.create_dir_with(PARTIAL_AREA, &builder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    if !dir.symlink_metadata(PARTIAL_AREA)?.is_dir() {
        return Err(io::Error::other(format!("{PARTIAL_AREA} in it is no directory; remove it")));
    }
    let area = dir.open_dir(PARTIAL_AREA)?;
    #[cfg(unix)]
    {
        use cap_std::fs::MetadataExt;
        let mode = area.dir_metadata()?.mode();
        // Some file systems know no modes and show those of the whole mount.
        if mode & 0o022 != 0 {
            let text = format!("others may write to {PARTIAL_AREA} in it; remove it");
            return Err(io::Error::other(text));
        }
    }
    Ok(area)
}

/// Removes what receivers left that were killed: all of it, unless one that lives has a file there.
fn sweep(area: &Dir) -> io::Result<()> {
    let lock = lockable(area)?;
    if lock.try_lock().is_err() {
        return Ok(());
    }
    for entry in area.entries()? {
        area.remove_file(entry?.file_name())?;
    }
    Ok(())
}

/// The area as something that can be locked, for as long as it is kept.
fn lockable(area: &Dir) -> io::Result<File> {
    Ok(area.open(".")?.into_std())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write;

    fn partial(directory: &Directory, contents: &[u8]) -> Partial {
        let (partial, mut file) = directory.create_partial(7, 0, 0o644).expect("writable");
        file.write_all(contents).expect("space");
        partial
    }

    #[test]
    fn a_committed_file_has_its_name_and_the_area_goes() {
        let temp = tempfile::tempdir().expect("a directory");
        let directory = Directory::open(temp.path()).expect("writable");
        let partial = partial(&directory, b"hello");
        assert_eq!(fs::read_dir(temp.path()).expect("there").count(), 1, "only the area");
        directory.commit(&partial, directory.handle(), "a", false).expect("free");
        assert_eq!(fs::read(temp.path().join("a")).expect("there"), b"hello");
        drop(directory);
        assert_eq!(fs::read_dir(temp.path()).expect("there").count(), 1, "only the file");
    }

    #[test]
    fn nothing_is_replaced_unless_asked() {
        let temp = tempfile::tempdir().expect("a directory");
        fs::write(temp.path().join("a"), b"old").expect("written");
        let directory = Directory::open(temp.path()).expect("writable");
        let partial = partial(&directory, b"new");
        let error = directory.commit(&partial, directory.handle(), "a", false).expect_err("taken");
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(temp.path().join("a")).expect("there"), b"old");
        directory.commit(&partial, directory.handle(), "a", true).expect("asked");
        assert_eq!(fs::read(temp.path().join("a")).expect("there"), b"new");
    }

    #[test]
    fn a_second_receiver_that_ends_does_not_disturb_the_first() {
        let temp = tempfile::tempdir().expect("a directory");
        let first = Directory::open(temp.path()).expect("writable");
        let under_way = partial(&first, b"hello");
        drop(Directory::open(temp.path()).expect("writable"));
        first.commit(&under_way, first.handle(), "a", false).expect("still there");
        drop(Directory::open(temp.path()).expect("writable"));
        assert!(!temp.path().join(PARTIAL_AREA).exists());
        first.commit(&partial(&first, b"hello"), first.handle(), "b", false).expect("made again");
    }

    #[test]
    fn what_a_killed_receiver_left_is_swept_away() {
        let temp = tempfile::tempdir().expect("a directory");
        let first = Directory::open(temp.path()).expect("writable");
        let under_way = partial(&first, b"hello");
        let second = Directory::open(temp.path()).expect("writable");
        first.open_partial(&under_way).expect("not swept while its receiver lives");
        drop(under_way);
        let third = Directory::open(temp.path()).expect("writable");
        let left = fs::read_dir(temp.path().join(PARTIAL_AREA)).expect("there").count();
        assert_eq!(left, 0);
        drop((first, second, third));
    }

    #[test]
    fn a_symlink_under_the_name_is_replaced_and_never_followed() {
        let temp = tempfile::tempdir().expect("a directory");
        let outside = tempfile::tempdir().expect("a directory");
        let victim = outside.path().join("victim");
        fs::write(&victim, b"untouched").expect("written");
        std::os::unix::fs::symlink(&victim, temp.path().join("a")).expect("linked");
        let directory = Directory::open(temp.path()).expect("writable");
        let partial = partial(&directory, b"new");
        assert!(directory.commit(&partial, directory.handle(), "a", false).is_err());
        directory.commit(&partial, directory.handle(), "a", true).expect("asked");
        assert_eq!(fs::read(&victim).expect("there"), b"untouched");
    }

    #[test]
    fn an_area_that_is_not_ours_alone_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let temp = tempfile::tempdir().expect("a directory");
        let area = temp.path().join(PARTIAL_AREA);
        fs::create_dir(&area).expect("made");
        fs::set_permissions(&area, fs::Permissions::from_mode(0o777)).expect("owner");
        assert!(Directory::open(temp.path()).is_err());
        fs::remove_dir(&area).expect("empty");
        let elsewhere = tempfile::tempdir().expect("a directory");
        std::os::unix::fs::symlink(elsewhere.path(), &area).expect("linked");
        assert!(Directory::open(temp.path()).is_err());
    }

    #[test]
    fn what_is_no_directory_is_refused_with_its_name() {
        let failure = Directory::open(Path::new("/nonexistent/x")).expect_err("not there");
        assert!(failure.text.contains("/nonexistent/x"), "{}", failure.text);
    }
}
