//! The receiver's directory as one transfer sees it: paths of several names.
//!
//! A path is walked name by name, each relative to the handle of the directory before it, and no symbolic
//! link is followed on the way. So it leads below the receiver's directory, whatever anybody exchanges for
//! what meanwhile.

#[cfg(unix)]
mod unlocked;

#[cfg(unix)]
use self::unlocked::Unlocked;
use super::area::mount::Mount;
use super::area::{Owner, Partial};
use super::directory::Directory;
use super::disk::{Call, OpenedFile, again};
use super::entry::Attributes;
use super::made::Made;
use super::name::TreePath;
use cap_fs_ext::{DirExt, FollowSymlinks, OpenOptionsFollowExt};
use cap_std::fs::{Dir, Metadata, OpenOptions};
use std::collections::{BTreeSet, VecDeque};
#[cfg(target_os = "linux")]
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Directories held open: those that were used last. Most files lie in the directory of the one before.
const OPEN_MAX: usize = 16;

/// Up to so many files or directories are put on stable storage one by one, more with all else that was
/// written to the file system: one by one each would wait for the disk.
pub(super) const SYNCED_SINGLY_MAX: usize = 8;

/// Bytes of the paths of directories that wait for their attributes or modes, at most: half a million of them.
const MADE_BYTES_MAX: usize = 64 << 20;

/// What remembering one costs beside its path.
const MADE_COST: usize = 64;

/// A tree of directories that files are moved into.
#[derive(Debug)]
pub(super) struct Tree {
    directory: Arc<Directory>,
    /// Open since the transfer began. That a write was lost is told to each who had the file system open then;
    /// to one who opens it later only if nobody has been told.
    #[cfg(target_os = "linux")]
    file_system: Option<File>,
    opened: VecDeque<Opened>,
    open_max: usize,
    /// Directories in which names have changed that are not on stable storage yet.
    touched: BTreeSet<String>,
    /// Directories made, which get their attributes when all is in them.
    made: Vec<(TreePath, Attributes)>,
    made_bytes: usize,
    /// The same, for a transfer that goes on with this one.
    list: Made,
    /// Directories that were read-only, and are not for the time of this transfer.
    #[cfg(unix)]
    unlocked: Vec<Unlocked>,
}

/// A directory held open.
#[derive(Debug)]
struct Opened {
    path: String,
    dir: Arc<Dir>,
    /// Whether something is mounted on the way to it, once that was asked: what is open stays where it is.
    is_elsewhere: Option<bool>,
}

/// Directories whose new names may not be there after a crash, and why.
#[derive(Debug)]
pub(super) struct Unsynced(Vec<(String, io::Error)>);

impl Unsynced {
    /// Why what has that path may not be there: its own name or one on the way to it.
    pub(super) fn error_of(&self, path: &TreePath) -> Option<&io::Error> {
        let holds = |directory: &str| {
            let below = path.as_str().strip_prefix(directory);
            directory.is_empty() || below.is_some_and(|below| below.starts_with('/'))
        };
        self.0.iter().find(|(directory, _)| holds(directory)).map(|(_, error)| error)
    }
}

impl Tree {
    pub(super) fn new(directory: Arc<Directory>, owner: Owner) -> Self {
        Self {
            list: Made::new(directory.clone(), owner),
            #[cfg(target_os = "linux")]
            file_system: None,
            directory,
            opened: VecDeque::new(),
            open_max: OPEN_MAX,
            touched: BTreeSet::new(),
            made: Vec::new(),
            made_bytes: 0,
            #[cfg(unix)]
            unlocked: Vec::new(),
        }
    }

    /// Before anything is done in it; up to `open_max` directories are going to be held open.
    ///
    /// # Errors
    /// As the system says.
    pub(super) fn begin(&mut self, open_max: usize) -> io::Result<()> {
        self.open_max = open_max.clamp(1, OPEN_MAX);
        #[cfg(target_os = "linux")]
        if self.file_system.is_none() {
            self.file_system = Some(self.directory.handle().open(".")?.into_std());
        }
        Ok(())
    }

    /// What there is at a path, if there is something.
    ///
    /// # Errors
    /// The directory that it would lie in is none, or as the system says.
    pub(super) fn look(&mut self, path: &TreePath) -> io::Result<Option<Metadata>> {
        let parent = self.parent(path)?;
        self.directory.disk().ask(&Call::Look(path.as_str()))?;
        match parent.symlink_metadata(path.name()) {
            Ok(metadata) => Ok(Some(metadata)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Opens the file of that path for reading; not what a link leads to.
    ///
    /// # Errors
    /// As the system says.
    pub(super) fn open_file(&mut self, path: &TreePath) -> io::Result<OpenedFile> {
        let parent = self.parent(path)?;
        let disk = self.directory.disk();
        disk.ask(&Call::Look(path.as_str()))?;
        let mut options = OpenOptions::new();
        options.read(true).follow(FollowSymlinks::No);
        // Somebody may have put a FIFO there meanwhile, whose other end must not be waited for.
        #[cfg(unix)]
        {
            use cap_std::fs::OpenOptionsExt;
            let flags = rustix::fs::OFlags::NONBLOCK;
            options.custom_flags(i32::try_from(flags.bits()).expect("a small flag"));
        }
        let file = parent.open_with(path.name(), &options)?.into_std();
        Ok(OpenedFile::new(file, path.as_str(), disk))
    }

    /// What the link of that path says.
    ///
    /// # Errors
    /// As the system says.
    pub(super) fn read_link(&mut self, path: &TreePath) -> io::Result<PathBuf> {
        let parent = self.parent(path)?;
        self.directory.disk().ask(&Call::Look(path.as_str()))?;
        parent.read_link_contents(path.name())
    }

    /// Whether something is mounted on the way to that path: no partial file can be moved there.
    ///
    /// # Errors
    /// As the system says.
    pub(super) fn is_elsewhere(&mut self, path: &TreePath) -> io::Result<bool> {
        if path.parent().is_none() {
            return Ok(false);
        }
        let parent = self.parent(path)?;
        let own = self.directory.handle();
        let opened = self.opened.front_mut().expect("just used, and not the receiver's own");
        if opened.is_elsewhere.is_none() {
            opened.is_elsewhere = Some(Mount::of(&parent)? != Mount::of(own)?);
        }
        Ok(opened.is_elsewhere.expect("known by now"))
    }

    /// Makes a directory, unless there is one. One that was there keeps its attributes.
    ///
    /// # Errors
    /// Something else is there, or as the system says.
    pub(super) fn make(&mut self, path: &TreePath, attributes: Attributes) -> io::Result<()> {
        self.has_room(path.as_str())?;
        let mut builder = cap_std::fs::DirBuilder::new();
        // The system takes away what the user's umask says. Until the end we need to get into it.
        #[cfg(unix)]
        cap_std::fs::DirBuilderExt::mode(&mut builder, u32::from(attributes.mode | 0o700));
        let disk = self.directory.disk().clone();
        let made = self.add_to_parent(path, |parent| {
            disk.ask(&Call::MakeDir(path.as_str()))?;
            parent.create_dir_with(path.name(), &builder)
        });
        let is_new = match made {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if !self.parent(path)?.symlink_metadata(path.name())?.is_dir() {
                    return Err(error);
                }
                // Who made it may have been killed before it was on stable storage.
                self.touch(path);
                self.list.was_cut_off(path)?
            }
            Err(error) => return Err(error),
        };
        if is_new {
            self.remember(path.as_str())?;
            self.made.push((path.clone(), attributes));
            self.touch(path);
            self.list.note(path)?;
        }
        Ok(())
    }

    /// What is remembered of a directory is within its bound.
    fn has_room(&self, path: &str) -> io::Result<()> {
        if self.made_bytes + path.len() + MADE_COST > MADE_BYTES_MAX {
            return Err(io::Error::other("these are more directories than one transfer may make"));
        }
        Ok(())
    }

    fn remember(&mut self, path: &str) -> io::Result<()> {
        self.has_room(path)?;
        self.made_bytes += path.len() + MADE_COST;
        Ok(())
    }

    /// Gives a partial file its path, in one step.
    ///
    /// # Errors
    /// Something has the name and is not to be replaced, or as the system says.
    pub(super) fn commit(
        &mut self,
        partial: &Partial,
        path: &TreePath,
        overwrite: bool,
    ) -> io::Result<()> {
        self.add_to_parent(path, |parent| {
            partial.rename(parent, (path.as_str(), path.name()), overwrite)
        })?;
        self.touch(path);
        Ok(())
    }

    /// Adds a name to the directory that `path` lies in.
    fn add_to_parent(
        &mut self,
        path: &TreePath,
        add: impl Fn(&Dir) -> io::Result<()>,
    ) -> io::Result<()> {
        let parent = self.parent(path)?;
        match add(&parent) {
            #[cfg(unix)]
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                let Some(below) = path.parent() else { return Err(error) };
                if self.unlock(below, &parent)? { add(&parent) } else { Err(error) }
            }
            added => added,
        }
    }

    /// Puts everything that was written to the file system of the directory on stable storage, in one
    /// go; false where the system has no way to.
    ///
    /// # Errors
    /// As the system says.
    pub(super) fn sync_all(&mut self) -> io::Result<bool> {
        #[cfg(target_os = "linux")]
        {
            self.directory.disk().ask(&Call::SyncAll)?;
            if self.file_system.is_none() {
                self.file_system = Some(self.directory.handle().open(".")?.into_std());
            }
            self.file_system.as_ref().map_or(Ok(()), rustix::fs::syncfs)?;
            Ok(true)
        }
        #[cfg(not(target_os = "linux"))]
        Ok(false)
    }

    /// Puts the contents of a partial file on stable storage.
    ///
    /// # Errors
    /// As the system says.
    pub(super) fn sync_partial(&mut self, partial: &Partial) -> io::Result<()> {
        match partial.open_as_it_is() {
            // Its mode may forbid to open it even for its owner.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                if self.sync_all()? {
                    Ok(())
                } else {
                    Err(error)
                }
            }
            opened => opened?.sync_all(),
        }
    }

    /// Puts all names that were given since the last time on stable storage.
    pub(super) fn sync_names(&mut self) -> Unsynced {
        let touched = std::mem::take(&mut self.touched);
        let at_once = match touched.len() {
            0..=SYNCED_SINGLY_MAX => Ok(false),
            _ => self.sync_all(),
        };
        let mut sync = |path: &str| match &at_once {
            Ok(true) => Ok(()),
            Ok(false) => {
                let directory = self.open(path)?;
                self.directory.disk().ask(&Call::SyncDir(path))?;
                directory.open(".")?.sync_all()
            }
            Err(error) => Err(again(error)),
        };
        let failed = |path: String| sync(&path).err().map(|error| (path, error));
        Unsynced(touched.into_iter().filter_map(failed).collect())
    }

    /// Gives the directories that were made their attributes, the innermost first: who changes something in a
    /// directory changes its time.
    pub(super) fn finish(&mut self) {
        let made = std::mem::take(&mut self.made);
        let dressed = made.iter().map(|(path, _)| path.as_str().to_owned()).collect();
        for (path, attributes) in made.into_iter().rev() {
            // What cannot be set is not worth to fail for: all contents are there.
            let _ = self.open(path.as_str()).and_then(|dir| {
                let dir = dir.open(".")?.into_std();
                dress(
                    &OpenedFile::new(dir, path.as_str(), self.directory.disk()),
                    attributes,
                    0o700,
                )
            });
        }
        self.list.finish(&dressed);
        #[cfg(unix)]
        self.lock_again();
    }

    /// The name of that path is to be on stable storage after the next [`Tree::sync_names`].
    pub(super) fn touch(&mut self, path: &TreePath) {
        let parent = path.parent().unwrap_or_default();
        if !self.touched.contains(parent) {
            self.touched.insert(parent.to_owned());
        }
    }

    fn parent(&mut self, path: &TreePath) -> io::Result<Arc<Dir>> {
        self.open(path.parent().unwrap_or_default())
    }

    /// The directory of that path; of none, the receiver's own.
    fn open(&mut self, path: &str) -> io::Result<Arc<Dir>> {
        if path.is_empty() {
            return Ok(self.directory.handle().clone());
        }
        if let Some(place) = self.opened.iter().position(|held| held.path == path) {
            let held = self.opened.remove(place).expect("just found");
            let dir = held.dir.clone();
            self.opened.push_front(held);
            return Ok(dir);
        }
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        self.directory.disk().ask(&Call::Look(path))?;
        let dir = Arc::new(self.open(parent)?.open_dir_nofollow(name)?);
        self.opened.truncate(self.open_max - 1);
        self.opened.push_front(Opened {
            path: path.to_owned(),
            dir: dir.clone(),
            is_elsewhere: None,
        });
        Ok(dir)
    }
}

/// Gives what was made with the bits `ours` beside its own mode the attributes that it is to have.
///
/// # Errors
/// As the system says.
pub(super) fn dress(opened: &OpenedFile, attributes: Attributes, ours: u16) -> io::Result<()> {
    opened.ask_for_attributes()?;
    let file = opened.file();
    #[cfg(unix)]
    if attributes.mode & ours != ours {
        use std::os::unix::fs::PermissionsExt;
        let mode = file.metadata()?.permissions().mode() & u32::from(attributes.mode);
        file.set_permissions(std::fs::Permissions::from_mode(mode))?;
    }
    #[cfg(not(unix))]
    let _ = ours;
    file.set_modified(attributes.modified())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use std::fs;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn a_directory_that_cannot_be_synced_fails_what_it_holds_and_nothing_else() {
        let temp = tempfile::tempdir().expect("room");
        let directory = Arc::new(Directory::open(temp.path()).expect("writable"));
        let mut tree = Tree::new(directory.clone(), Owner::default());
        let path = |path: &str| TreePath::parse(path).expect("a path");
        let attributes = Attributes { mode: 0o755, seconds: 1, nanoseconds: 0 };
        ["a", "ab", "a/deep"].iter().for_each(|at| tree.make(&path(at), attributes).expect(at));
        let files = ["a/file", "a/deep/file", "ab/file", "file"].map(path);
        for (index, file) in (0..).zip(&files) {
            let (partial, _) = directory.create_partial(1, index, 0o644).expect("room");
            tree.commit(&partial, file, false).expect("named");
        }
        // Somebody takes it away, and it is not held open any more.
        fs::rename(temp.path().join("a"), temp.path().join("elsewhere")).expect("renamed");
        tree.opened.clear();
        let unsynced = tree.sync_names();
        let lost = files.map(|file| unsynced.error_of(&file).is_some());
        assert_eq!(lost, [true, true, false, false]);
        assert!(tree.sync_names().error_of(&path("a/file")).is_none(), "each is told once");
    }

    /// Rounds of the race; a campaign sets the environment variable to more.
    fn rounds() -> u32 {
        let given = std::env::var("VOLLEY_RACE_ROUNDS").ok();
        given.map_or(5_000, |rounds| rounds.parse().expect("VOLLEY_RACE_ROUNDS is a number"))
    }

    /// Somebody exchanges a directory and a link that leads out, all the time: whatever is made, named
    /// and dressed meanwhile, nothing is outside, and what was there is as it was.
    #[test]
    fn nothing_leaves_by_a_directory_that_is_exchanged_for_a_link() {
        let (inside, outside) =
            (tempfile::tempdir().expect("room"), tempfile::tempdir().expect("room"));
        let (dir, link) = (inside.path().join("d"), inside.path().join("l"));
        fs::create_dir(&dir).expect("made");
        std::os::unix::fs::symlink(outside.path(), &link).expect("made");
        let before = outside.path().metadata().expect("there").modified().expect("known");
        let directory = Arc::new(Directory::open(inside.path()).expect("writable"));
        let attributes = Attributes { mode: 0o500, seconds: 1, nanoseconds: 0 };
        let is_over = AtomicBool::new(false);
        let mut named = 0;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let _ = renameat_with(CWD, &dir, CWD, &link, RenameFlags::EXCHANGE);
                }
            });
            for round in 0..rounds() {
                // A new one each time, so that nothing is held open from before.
                let mut tree = Tree::new(directory.clone(), Owner::default());
                let path =
                    |name: &str| TreePath::parse(&format!("d/{name}{round}")).expect("a path");
                let _ = tree.look(&path("file"));
                let _ = tree.make(&path("dir"), attributes);
                let (partial, _) = directory.create_partial(1, round, 0o644).expect("room");
                match tree.commit(&partial, &path("file"), round % 2 == 0) {
                    Ok(()) => named += 1,
                    Err(_) => partial.discard(),
                }
                let _ = tree.sync_names();
                tree.finish();
            }
            is_over.store(true, Ordering::Relaxed);
        });
        assert_eq!(fs::read_dir(outside.path()).expect("there").count(), 0);
        assert_eq!(outside.path().metadata().expect("there").modified().expect("known"), before);
        assert!(named > 0, "nothing was raced against");
    }
}
