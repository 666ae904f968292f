//! The receiver's directory: held open, and the only place anything is ever written to.
//!
//! Every operation is relative to its handle, or to that of a directory below it, and names one
//! component, so nothing that happens to the path outside, and no name a sender proposes, leads
//! anywhere else.

mod whereabouts;

use self::whereabouts::mount_of;
use super::area::leftovers::{Kind, Leftovers, lock, there};
use super::area::{Area, Owner, Partial, Waiting, sweep};
use super::disk::{Call, Disk, OpenedFile};
use super::hash::Hash;
use super::holes::Layout;
use super::journal::Key;
use super::name::PARTIAL_AREA;
use super::outcome::{Failure, Reason};
use super::unfinished::{Claim, Claims, Unfinished};
use crate::base::text::{escape_os, show_error};
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, Weak};

/// How often the partial area may vanish under a new file.
const AREA_TRIES: u32 = 16;

/// A directory to receive into.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    dir: Arc<Dir>,
    disk: Disk,
    /// The area that the newest partial file is in; others may hold older ones.
    area: Mutex<Weak<Area>>,
    claims: Claims,
    lists: Leftovers,
    /// What earlier transfers left unfinished; nothing, where it is only looked at.
    waiting: Option<Waiting>,
    /// Where its file system is mounted.
    mount: Option<PathBuf>,
    /// The directory that has come into its place.
    latest: Mutex<Option<Arc<Self>>>,
}

impl Directory {
    /// Opens `path`, sees that a partial area can be made in it, and takes away what receivers left that
    /// were killed, but for what can be gone on with.
    ///
    /// # Errors
    /// It is no directory, or nothing can be written into it.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        Self::open_on(Disk::default(), path)
    }

    /// As [`Directory::open`], with every call told to `disk`.
    ///
    /// # Errors
    /// As [`Directory::open`].
    pub fn open_on(disk: Disk, path: &Path) -> Result<Self, Failure> {
        Self::try_open(disk, path).map_err(|error| opening_failure(path, &error))
    }

    fn try_open(disk: Disk, path: &Path) -> io::Result<Self> {
        let dir = Dir::open_ambient_dir(path, ambient_authority())?;
        let waiting = sweep(&dir, &disk)?;
        Ok(Self::of(dir, disk, path, Some(waiting)))
    }

    /// Opens `path` to say what would become of it, and changes nothing.
    ///
    /// # Errors
    /// It is no directory, or nothing could be written into it.
    pub fn look(path: &Path) -> Result<Self, Failure> {
        let failure = |error: io::Error| opening_failure(path, &error);
        let dir = Dir::open_ambient_dir(path, ambient_authority()).map_err(failure)?;
        #[cfg(unix)]
        {
            use rustix::fs::{Access, AtFlags, accessat};
            let access = Access::WRITE_OK | Access::EXEC_OK;
            accessat(&dir, ".", access, AtFlags::empty()).map_err(|errno| failure(errno.into()))?;
        }
        Ok(Self::of(dir, Disk::default(), path, None))
    }

    fn of(dir: Dir, disk: Disk, path: &Path, waiting: Option<Waiting>) -> Self {
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        Self {
            mount: mount_of(&path),
            path,
            dir: Arc::new(dir),
            disk,
            area: Mutex::default(),
            claims: Claims::default(),
            lists: Leftovers::new(Kind::List),
            waiting,
            latest: Mutex::default(),
        }
    }

    /// Where it was when it was opened.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What earlier transfers left unfinished, when it was opened.
    #[must_use]
    pub fn waiting(&self) -> Waiting {
        self.waiting.unwrap_or_default()
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

    /// Who is told of calls.
    pub(super) fn disk(&self) -> &Disk {
        &self.disk
    }

    /// Makes a new partial file, for reading and writing; `token` keeps apart those of different
    /// transfers. Of `mode` the system takes away what the user's umask says; its owner may always read
    /// and write.
    ///
    /// # Errors
    /// As the system says.
    pub fn create_partial(
        &self,
        token: u64,
        index: u32,
        mode: u16,
    ) -> io::Result<(Partial, OpenedFile)> {
        self.in_area(|area| {
            let partial = Partial::named(area, partial_name(token, index));
            let file = partial.create(mode)?;
            Ok((partial, file))
        })
    }

    /// Makes a new partial symbolic link.
    ///
    /// # Errors
    /// As the system says.
    pub fn create_partial_link(&self, token: u64, index: u32, target: &str) -> io::Result<Partial> {
        self.in_area(|area| {
            let partial = Partial::named(area, partial_name(token, index));
            partial.create_link(target)?;
            Ok(partial)
        })
    }

    /// Begins a file that a later transfer can go on with, by its key, size and mode, for who comes from
    /// `origin`.
    ///
    /// # Errors
    /// Something of it is there and somebody else works on it, or as the system says.
    pub(super) fn begin_unfinished(
        &self,
        origin: Option<IpAddr>,
        file: (Key, u64, u16),
    ) -> io::Result<Claim> {
        self.in_area(|area| self.claims.begin(area, origin, file))
    }

    /// Takes up what an earlier transfer, or one that is under way, has of that file, and tells which groups
    /// that are.
    ///
    /// # Errors
    /// As the system says.
    pub(super) fn take_up(
        &self,
        key: Key,
        size: u64,
        found: impl FnMut(u64, Hash),
    ) -> io::Result<Option<Claim>> {
        self.claims.take_up(&self.area()?, key, size, found)
    }

    /// Bytes that an earlier transfer, or one that is under way, has written down of that file. It stays as it
    /// is.
    ///
    /// # Errors
    /// As the system says.
    pub(super) fn already_there(&self, key: Key, layout: &Layout) -> io::Result<u64> {
        let area = there(Area::look(&self.dir, &self.disk))?.map(Arc::new);
        area.map_or(Ok(0), |area| Unfinished::written_down(&area, key, layout))
    }

    /// Makes an empty list of directories, locked while it is open.
    ///
    /// # Errors
    /// As the system says.
    pub(super) fn create_list(&self, owner: Owner) -> io::Result<(Partial, OpenedFile)> {
        let stem = format!("{:016x}", owner.token);
        self.in_area(|area| {
            self.lists.make_room(area, (&stem, owner.origin), |_| false, |_| false)?;
            let list = Partial::list(area, &stem);
            // What was in one of that name has been read.
            let file = list.create_anew(0o600)?;
            lock(&file)?;
            Ok((list, file))
        })
    }

    /// Does something in the partial area.
    pub(super) fn in_area<T>(&self, make: impl Fn(&Arc<Area>) -> io::Result<T>) -> io::Result<T> {
        let mut tries = 0;
        loop {
            match make(&self.area()?) {
                // Another receiver into the same directory takes an empty area away when it ends.
                Err(error) if error.kind() == io::ErrorKind::NotFound && tries < AREA_TRIES => {
                    *self.known_area() = Weak::new();
                    tries += 1;
                }
                made => return made,
            }
        }
    }

    fn area(&self) -> io::Result<Arc<Area>> {
        let mut known = self.known_area();
        if let Some(area) = known.upgrade() {
            return Ok(area);
        }
        let area = Arc::new(Area::enter(&self.dir, &self.disk)?);
        *known = Arc::downgrade(&area);
        Ok(area)
    }

    fn known_area(&self) -> MutexGuard<'_, Weak<Area>> {
        self.area.lock().expect("nobody panics while holding it")
    }
}

impl Drop for Directory {
    /// Leaves nothing behind where nothing is under way or waits.
    fn drop(&mut self) {
        if self.waiting.is_some() {
            let removed = self.disk.ask(&Call::Remove(PARTIAL_AREA));
            let _ = removed.and_then(|()| self.dir.remove_dir(PARTIAL_AREA));
        }
    }
}

/// Why nothing can be received into `path`, and what to do.
fn opening_failure(path: &Path, error: &io::Error) -> Failure {
    let (reason, advice) = match error.kind() {
        io::ErrorKind::NotFound => (Reason::Other, "; make it first, or name another directory"),
        io::ErrorKind::NotADirectory => (Reason::Other, "; name a directory"),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            (Reason::Other, "; name a directory that you may write to")
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            (Reason::Full, "; make room there, or name another directory")
        }
        _ => (Reason::Other, ""),
    };
    let (shown, said) = (escape_os(path), show_error(error));
    Failure::new(reason, format!("cannot receive into {shown}: {said}{advice}"))
}

fn partial_name(token: u64, index: u32) -> String {
    format!("{token:016x}-{index}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn partial(directory: &Directory, contents: &[u8]) -> Partial {
        let (partial, file) = directory.create_partial(7, 0, 0o644).expect("writable");
        file.write_all_at(contents, 0).expect("space");
        partial
    }

    #[test]
    fn a_committed_file_has_its_name_and_the_area_goes() {
        let temp = tempfile::tempdir().expect("a directory");
        let directory = Directory::open(temp.path()).expect("writable");
        let partial = partial(&directory, b"hello");
        assert_eq!(fs::read_dir(temp.path()).expect("there").count(), 1, "only the area");
        partial.rename(directory.handle(), ("a", "a"), false).expect("free");
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
        let error = partial.rename(directory.handle(), ("a", "a"), false).expect_err("taken");
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(temp.path().join("a")).expect("there"), b"old");
        partial.rename(directory.handle(), ("a", "a"), true).expect("asked");
        assert_eq!(fs::read(temp.path().join("a")).expect("there"), b"new");
    }

    #[test]
    fn a_second_receiver_that_ends_does_not_disturb_the_first() {
        let temp = tempfile::tempdir().expect("a directory");
        let first = Directory::open(temp.path()).expect("writable");
        let under_way = partial(&first, b"hello");
        drop(Directory::open(temp.path()).expect("writable"));
        under_way.rename(first.handle(), ("a", "a"), false).expect("still there");
        drop(Directory::open(temp.path()).expect("writable"));
        assert!(!temp.path().join(PARTIAL_AREA).exists());
        partial(&first, b"hello").rename(first.handle(), ("b", "b"), false).expect("made again");
    }

    #[test]
    fn what_a_killed_receiver_left_is_swept_away() {
        let temp = tempfile::tempdir().expect("a directory");
        let first = Directory::open(temp.path()).expect("writable");
        let under_way = partial(&first, b"hello");
        let second = Directory::open(temp.path()).expect("writable");
        under_way.open().expect("not swept while its receiver lives");
        drop(under_way);
        let third = Directory::open(temp.path()).expect("writable");
        let left = fs::read_dir(temp.path().join(PARTIAL_AREA)).expect("there").count();
        assert_eq!(left, 0);
        drop((first, second, third));
    }

    #[test]
    fn a_directory_in_the_area_is_nobodys_leftover() {
        let temp = tempfile::tempdir().expect("a directory");
        drop(partial(&Directory::open(temp.path()).expect("writable"), b"makes the area"));
        let area = temp.path().join(PARTIAL_AREA);
        for name in ["some", "a.part", "b.made"] {
            fs::create_dir_all(area.join(name)).expect("made");
        }
        let directory = Directory::open(temp.path()).expect("they are in nobody's way");
        partial(&directory, b"hello").open().expect("there");
        assert!(area.join("a.part").is_dir());
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
        assert!(partial.rename(directory.handle(), ("a", "a"), false).is_err());
        partial.rename(directory.handle(), ("a", "a"), true).expect("asked");
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
        // One of somebody else, where we may give it away.
        fs::create_dir(&area).expect("made");
        if std::os::unix::fs::chown(&area, Some(12_345), None).is_ok() {
            let failure = Directory::open(temp.path()).expect_err("somebody else's");
            assert!(failure.text.contains("belongs to another user (12345)"), "{failure}");
        }
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
