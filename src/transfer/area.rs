//! The partial area: where files are under way, private, under names that no sender chose.
//!
//! What a receiver that was killed leaves in it is swept away by the next one, but for unfinished files that
//! a later transfer can go on with: these stay for a week.

pub(super) mod leftovers;
pub(super) mod mount;
mod sweep;

use self::leftovers::there;
use self::mount::Mount;
use self::sweep::has_one_name;
pub(super) use self::sweep::sweep;
use super::disk::{Call, Disk, OpenedFile};
use super::name::PARTIAL_AREA;
use cap_std::fs::{Dir, Metadata, OpenOptions};
use std::fs::File;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

/// What the names of an unfinished file's two halves end with.
const DATA: &str = ".part";
const JOURNAL: &str = ".journal";

/// What the name of a list of directories ends with.
const LIST: &str = ".made";

/// The partial area, held by whoever has files in it.
#[derive(Debug)]
pub(super) struct Area {
    dir: Dir,
    disk: Disk,
    /// A journal was removed, and might be back after a crash.
    is_haunted: AtomicBool,
    /// Keeps receivers that start later from taking the files for leftovers.
    _lock: Option<File>,
}

/// A file in it.
#[derive(Debug)]
pub struct Partial {
    area: Arc<Area>,
    name: String,
}

/// Whose files they are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Owner {
    /// Keeps those of this transfer apart from others'.
    pub token: u64,
    /// From where it came; nothing, where this side went there.
    pub origin: Option<IpAddr>,
}

/// Files that wait for a transfer that goes on with them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// How many.
    pub files: u64,
    /// Bytes that they take.
    pub bytes: u64,
}

impl Area {
    /// The area in `dir`, made if there is none, and kept from being swept.
    pub(super) fn enter(dir: &Dir, disk: &Disk) -> io::Result<Self> {
        let area = open(dir, disk)?;
        let lock = lockable(&area)?;
        let lock = match lock.lock_shared() {
            Ok(()) => Some(lock),
            // Where the file system has no locks, nothing is swept either.
            Err(error) if error.kind() == io::ErrorKind::Unsupported => None,
            Err(error) => return Err(error),
        };
        let is_haunted = AtomicBool::new(true);
        Ok(Self { dir: area, disk: disk.clone(), is_haunted, _lock: lock })
    }

    /// Sees that no journal that was removed comes back after a crash: it would speak of a new file of the
    /// same name. Also those that another receiver removed, which was killed.
    pub(super) fn settle(&self) -> io::Result<()> {
        if self.is_haunted.swap(false, Ordering::Relaxed) {
            self.sync_names().inspect_err(|_| self.is_haunted.store(true, Ordering::Relaxed))?;
        }
        Ok(())
    }

    fn sync_names(&self) -> io::Result<()> {
        self.disk.ask(&Call::SyncDir(PARTIAL_AREA))?;
        self.dir.open(".")?.sync_all()
    }

    /// The area in `dir`, if there is one, to look at it: others may sweep it meanwhile.
    pub(super) fn look(dir: &Dir, disk: &Disk) -> io::Result<Self> {
        disk.ask(&Call::Look(PARTIAL_AREA))?;
        if !dir.symlink_metadata(PARTIAL_AREA)?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        let dir = dir.open_dir(PARTIAL_AREA)?;
        let is_haunted = AtomicBool::new(true);
        Ok(Self { dir, disk: disk.clone(), is_haunted, _lock: None })
    }

    /// What stands before `end` in all names of files that end so.
    fn stems(&self, end: &str) -> io::Result<Vec<String>> {
        self.disk.ask(&Call::Look(PARTIAL_AREA))?;
        let mut stems = Vec::new();
        for entry in self.dir.entries()? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(stem) = name.to_str().and_then(|name| name.strip_suffix(end)) else {
                continue;
            };
            // Anything else of such a name was put there by somebody, and stays.
            if there(entry.file_type())?.is_some_and(|kind| kind.is_file()) {
                stems.push(stem.to_owned());
            }
        }
        Ok(stems)
    }

    /// When the file of that name was written last, if it is there.
    fn modified(&self, name: &str) -> io::Result<Option<SystemTime>> {
        let Some(metadata) = there(self.dir.symlink_metadata(name))? else { return Ok(None) };
        Ok(Some(metadata.modified()?.into_std()))
    }
}

impl Partial {
    /// What would hold the bytes of an unfinished file.
    pub(super) fn data(area: &Arc<Area>, stem: &str) -> Self {
        Self::named(area, format!("{stem}{DATA}"))
    }

    /// What would hold its journal.
    pub(super) fn journal(area: &Arc<Area>, stem: &str) -> Self {
        Self::named(area, format!("{stem}{JOURNAL}"))
    }

    /// A list of directories.
    pub(super) fn list(area: &Arc<Area>, stem: &str) -> Self {
        Self::named(area, format!("{stem}{LIST}"))
    }

    /// All lists of directories.
    pub(super) fn lists(area: &Arc<Area>) -> io::Result<Vec<Self>> {
        let stems = area.stems(LIST)?;
        Ok(stems.iter().map(|stem| Self::list(area, stem)).collect())
    }

    /// A file of that name.
    pub(super) fn named(area: &Arc<Area>, name: String) -> Self {
        Self { area: area.clone(), name }
    }

    /// Where it is in the receiver's directory.
    pub(super) fn path(&self) -> String {
        format!("{PARTIAL_AREA}/{}", self.name)
    }

    /// Makes it, for reading and writing, if there is none. Of `mode` the system takes away what the user's
    /// umask says; its owner may always read and write.
    pub(super) fn create(&self, mode: u16) -> io::Result<OpenedFile> {
        let path = self.path();
        self.area.disk.ask(&Call::Create(&path))?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        #[cfg(unix)]
        cap_std::fs::OpenOptionsExt::mode(&mut options, u32::from(mode | 0o600));
        #[cfg(not(unix))]
        let _ = mode;
        let file = self.area.dir.open_with(&self.name, &options)?.into_std();
        Ok(OpenedFile::new(file, &path, &self.area.disk))
    }

    /// The same, in the place of one of which there is no use any more.
    pub(super) fn create_anew(&self, mode: u16) -> io::Result<OpenedFile> {
        match self.create(mode) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.discard();
                self.create(mode)
            }
            created => created,
        }
    }

    /// Makes it a symbolic link.
    pub(super) fn create_link(&self, target: &str) -> io::Result<()> {
        self.area.disk.ask(&Call::Link { path: &self.path(), target })?;
        #[cfg(unix)]
        return self.area.dir.symlink(target, &self.name);
        #[cfg(not(unix))]
        {
            let _ = target;
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    /// Whether it is a file; otherwise somebody put it there.
    pub(super) fn is_file(&self) -> io::Result<bool> {
        self.area.disk.ask(&Call::Look(&self.path()))?;
        Ok(self.area.dir.symlink_metadata(&self.name)?.is_file())
    }

    /// Whether it is a file of ours under no other name: nobody else can change it.
    pub(super) fn is_ours_alone(&self) -> io::Result<bool> {
        self.area.disk.ask(&Call::Look(&self.path()))?;
        let metadata = self.area.dir.symlink_metadata(&self.name)?;
        let is_ours = has_same_owner(&metadata, &self.area.dir.dir_metadata()?);
        Ok(metadata.is_file() && has_one_name(&metadata) && is_ours)
    }

    /// Opens it for reading and writing.
    ///
    /// # Errors
    /// As the system says.
    pub fn open(&self) -> io::Result<OpenedFile> {
        let path = self.path();
        self.area.disk.ask(&Call::Look(&path))?;
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        let opened = match self.area.dir.open_with(&self.name, &options) {
            // The mode that it is to have may forbid that even to its owner.
            #[cfg(unix)]
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                use cap_std::fs::PermissionsExt;
                let mode = self.area.dir.symlink_metadata(&self.name)?.permissions().mode();
                let mode = cap_std::fs::Permissions::from_mode(mode | 0o600);
                self.area.dir.set_permissions(&self.name, mode)?;
                self.area.dir.open_with(&self.name, &options)
            }
            opened => opened,
        };
        Ok(OpenedFile::new(opened?.into_std(), &path, &self.area.disk))
    }

    /// Opens it for reading, whatever its mode says: nobody else can get at it meanwhile.
    pub(super) fn read(&self) -> io::Result<OpenedFile> {
        let path = self.path();
        self.area.disk.ask(&Call::Look(&path))?;
        let dir = &self.area.dir;
        let opened = match dir.open(&self.name) {
            #[cfg(unix)]
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                use cap_std::fs::{Permissions, PermissionsExt};
                let wanted = dir.symlink_metadata(&self.name)?.permissions();
                dir.set_permissions(&self.name, Permissions::from_mode(wanted.mode() | 0o400))?;
                let opened = dir.open(&self.name);
                dir.set_permissions(&self.name, wanted)?;
                opened
            }
            opened => opened,
        };
        Ok(OpenedFile::new(opened?.into_std(), &path, &self.area.disk))
    }

    /// Opens it as it is, to be read as far as its mode lets, or put on stable storage.
    pub(super) fn open_as_it_is(&self) -> io::Result<OpenedFile> {
        let path = self.path();
        self.area.disk.ask(&Call::Look(&path))?;
        let file = self.area.dir.open(&self.name)?.into_std();
        Ok(OpenedFile::new(file, &path, &self.area.disk))
    }

    /// Puts its name on stable storage.
    pub(super) fn sync_name(&self) -> io::Result<()> {
        self.area.sync_names()
    }

    /// Gives it a name in `dir`, which is `path`, in one step; what had the name stays unless it
    /// `replaces`. The name is on stable storage once `dir` is.
    pub(super) fn rename(&self, dir: &Dir, path: (&str, &str), replaces: bool) -> io::Result<()> {
        let (path, name) = path;
        self.area.disk.ask(&Call::Rename { from: &self.path(), to: path, replaces })?;
        if replaces {
            self.area.dir.rename(&self.name, dir, name)
        } else {
            self.rename_to_free(dir, name)
        }
    }

    fn rename_to_free(&self, dir: &Dir, name: &str) -> io::Result<()> {
        #[cfg(any(target_os = "linux", target_vendor = "apple"))]
        {
            use rustix::fs::{RenameFlags, renameat_with};
            use rustix::io::Errno;
            match renameat_with(&self.area.dir, &self.name, dir, name, RenameFlags::NOREPLACE) {
                // Not every file system has it.
                Err(Errno::INVAL | Errno::NOSYS) => {}
                done => return Ok(done?),
            }
        }
        // A second link fails where there is a first one: the portable form of the same step.
        self.area.dir.hard_link(&self.name, dir, name)?;
        self.area.dir.remove_file(&self.name)
    }

    /// Removes it. If that cannot be, it stays private under a name that means nothing.
    pub fn discard(&self) {
        if self.name.ends_with(JOURNAL) {
            self.area.is_haunted.store(true, Ordering::Relaxed);
        }
        let removed = self.area.disk.ask(&Call::Remove(&self.path()));
        let _ = removed.and_then(|()| self.area.dir.remove_file(&self.name));
    }
}

/// The partial area, which must be a directory of our own that nobody else can look into.
fn open(dir: &Dir, disk: &Disk) -> io::Result<Dir> {
    let mut builder = cap_std::fs::DirBuilder::new();
    #[cfg(unix)]
    cap_std::fs::DirBuilderExt::mode(&mut builder, 0o700);
    disk.ask(&Call::MakeDir(PARTIAL_AREA))?;
    let mut is_ours = true;
    match dir.create_dir_with(PARTIAL_AREA, &builder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Err(_) => is_ours = false,
        Ok(()) => {
            // What is kept in it outlasts the power only if it does itself.
            disk.ask(&Call::SyncDir(""))?;
            dir.open(".")?.sync_all()?;
        }
    }
    disk.ask(&Call::Look(PARTIAL_AREA))?;
    if !dir.symlink_metadata(PARTIAL_AREA)?.is_dir() {
        return Err(io::Error::other(format!("{PARTIAL_AREA} in it is no directory; remove it")));
    }
    let area = dir.open_dir(PARTIAL_AREA)?;
    if Mount::of(&area)? != Mount::of(dir)? {
        let text = format!("{PARTIAL_AREA} in it is on another file system; unmount or remove it");
        return Err(io::Error::other(text));
    }
    #[cfg(not(unix))]
    let _ = is_ours;
    #[cfg(unix)]
    {
        use cap_std::fs::MetadataExt;
        let metadata = area.dir_metadata()?;
        let (mode, owner) = (metadata.mode(), metadata.uid());
        // Who owns it can do as he likes with what is in it, whatever its mode is now. One that was just made is
        // ours, whatever the file system says of owners.
        if !is_ours && owner != rustix::process::geteuid().as_raw() {
            let text = format!("{PARTIAL_AREA} in it belongs to another user ({owner}); remove it");
            return Err(io::Error::other(text));
        }
        // Some file systems know no modes and show those of the whole mount.
        if mode & 0o022 != 0 {
            let text = format!("others may write to {PARTIAL_AREA} in it; remove it");
            return Err(io::Error::other(text));
        }
    }
    Ok(area)
}

fn has_same_owner(file: &Metadata, area: &Metadata) -> bool {
    #[cfg(unix)]
    {
        use cap_std::fs::MetadataExt;
        file.uid() == area.uid()
    }
    #[cfg(not(unix))]
    {
        let _ = (file, area);
        true
    }
}

/// The area as something that can be locked, for as long as it is kept.
fn lockable(area: &Dir) -> io::Result<File> {
    Ok(area.open(".")?.into_std())
}
