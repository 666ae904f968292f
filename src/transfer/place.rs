//! Where the sender finds a file, what tells whether it is still the same one, and why it cannot be read.

use super::disk::{Call, Disk, OpenedFile};
use super::entry::SourceId;
use super::holes::{BLOCK, HOLES_MAX, Holes};
use super::outcome::{Failure, Reason};
use crate::base::text::{escape_os, show_error};
use cap_std::ambient_authority;
use cap_std::fs::{Dir, Metadata, OpenOptions};
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Pieces of a file that are looked at for its holes, at most: few bytes may lie between many small ones.
const STEPS_MAX: usize = 4 * HOLES_MAX;

/// Where the sender finds a file.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// Below a directory that is held open, and not outside of it.
    Below { root: Arc<Root>, path: PathBuf },
    /// Wherever the path leads.
    Free(PathBuf),
    /// A file without a name.
    Held(Arc<File>),
}

/// A directory that was named.
#[derive(Debug)]
pub(super) struct Root {
    dir: Dir,
    path: PathBuf,
}

/// What tells whether a file is still the one that was offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) size: u64,
    modified: Option<std::time::SystemTime>,
    /// Device, inode and the time of the last change of either.
    #[cfg(unix)]
    identity: (u64, u64, i64, i64),
}

impl Place {
    /// The directory of that path, held open.
    pub(super) fn hold(disk: &Disk, path: &Path) -> io::Result<Self> {
        disk.ask(&Call::Look(&path.to_string_lossy()))?;
        let dir = Dir::open_ambient_dir(path, ambient_authority())?;
        let root = Arc::new(Root { dir, path: path.to_owned() });
        Ok(Self::Below { root, path: PathBuf::new() })
    }

    /// Opens the file for reading, without waiting for the other end of a FIFO.
    pub(super) fn open(&self, disk: &Disk) -> io::Result<OpenedFile> {
        self.ask(disk)?;
        let file = match self {
            Self::Below { root, path } => {
                let mut options = OpenOptions::new();
                options.read(true);
                #[cfg(unix)]
                {
                    use cap_std::fs::OpenOptionsExt;
                    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOFOLLOW;
                    options.custom_flags(i32::try_from(flags.bits()).expect("small flags"));
                }
                root.dir.open_with(path, &options)?.into_std()
            }
            Self::Free(path) => {
                let mut options = File::options();
                options.read(true);
                #[cfg(unix)]
                {
                    use std::os::unix::fs::OpenOptionsExt;
                    let flags = rustix::fs::OFlags::NONBLOCK;
                    options.custom_flags(i32::try_from(flags.bits()).expect("small flags"));
                }
                options.open(path)?
            }
            Self::Held(file) => file.try_clone()?,
        };
        Ok(OpenedFile::new(file, &self.path().to_string_lossy(), disk))
    }

    /// The holes of the file, of `size` bytes, that are large enough, as far as the system tells.
    pub(super) fn holes(&self, disk: &Disk, size: u64) -> Holes {
        let mut found = Vec::new();
        // Where it cannot be read, that shows when it is sent.
        let _ = self.open(disk).and_then(|file| find_holes(&file, size, &mut found));
        Holes::fitting(size, found)
    }

    pub(super) fn open_dir(&self, disk: &Disk) -> io::Result<Dir> {
        self.ask(disk)?;
        match self {
            Self::Below { root, path } if path.as_os_str().is_empty() => root.dir.try_clone(),
            Self::Below { root, path } => root.dir.open_dir(path),
            Self::Free(path) => Dir::open_ambient_dir(path, ambient_authority()),
            Self::Held(_) => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    /// What the link leads to.
    pub(super) fn follow(&self, disk: &Disk) -> io::Result<Metadata> {
        self.ask(disk)?;
        match self {
            Self::Below { root, path } => root.dir.metadata(path),
            Self::Free(path) => std::fs::metadata(path).map(Metadata::from_just_metadata),
            Self::Held(file) => Metadata::from_file(file),
        }
    }

    pub(super) fn read_link(&self, disk: &Disk) -> io::Result<PathBuf> {
        self.ask(disk)?;
        match self {
            Self::Below { root, path } => root.dir.read_link_contents(path),
            Self::Free(path) => std::fs::read_link(path),
            Self::Held(_) => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    pub(super) fn join(&self, name: &OsStr) -> Self {
        match self {
            Self::Below { root, path } => Self::Below { root: root.clone(), path: path.join(name) },
            Self::Free(path) => Self::Free(path.join(name)),
            // No directory: nothing lies below it.
            Self::Held(file) => Self::Held(file.clone()),
        }
    }

    /// Before it is looked at, opened or listed.
    pub(super) fn ask(&self, disk: &Disk) -> io::Result<()> {
        disk.ask(&Call::Look(&self.path().to_string_lossy()))
    }

    fn path(&self) -> &Path {
        match self {
            Self::Below { path, .. } | Self::Free(path) => path,
            Self::Held(_) => Path::new("standard input"),
        }
    }

    /// The path as the user would write it.
    pub(super) fn show(&self) -> String {
        let path = match self {
            Self::Below { root, path } => root.path.join(path),
            Self::Free(path) => path.clone(),
            Self::Held(_) => return "standard input".into(),
        };
        escape_os(path)
    }
}

impl Stamp {
    pub(super) fn of(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        use cap_std::fs::MetadataExt;
        Self {
            size: metadata.len(),
            modified: metadata.modified().ok().map(cap_std::time::SystemTime::into_std),
            #[cfg(unix)]
            identity: (metadata.dev(), metadata.ino(), metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// The same for the same unchanged file, now and later.
    pub(super) fn id(&self) -> SourceId {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.size.to_be_bytes());
        let since = self.modified.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
        hasher.update(&since.unwrap_or_default().as_nanos().to_be_bytes());
        // Not the device: its number may be another one each time that it is found.
        #[cfg(unix)]
        {
            let (_, inode, changed, changed_nanos) = self.identity;
            hasher.update(&inode.to_be_bytes());
            hasher.update(&changed.to_be_bytes());
            hasher.update(&changed_nanos.to_be_bytes());
        }
        let hash = hasher.finalize();
        let (half, _) = hash.as_bytes().split_first_chunk().expect("32 bytes");
        SourceId(*half)
    }

    /// The stamp of an open file.
    pub(super) fn of_file(opened: &OpenedFile) -> io::Result<Self> {
        opened.ask_for_metadata()?;
        Metadata::from_file(opened.file()).map(|metadata| Self::of(&metadata))
    }
}

/// Looks for the holes of a file, one behind the other.
fn find_holes(file: &OpenedFile, size: u64, found: &mut Vec<Range<u64>>) -> io::Result<()> {
    let mut at = 0;
    for _ in 0..STEPS_MAX {
        if at >= size || found.len() == HOLES_MAX {
            break;
        }
        let start = file.next_hole(at)?;
        if start >= size {
            break;
        }
        let end = file.next_data(start)?.map_or(size, |end| end.min(size));
        // Whole blocks, but for the last one of the file.
        let whole = if end == size { size } else { end - end % BLOCK };
        let start = start.next_multiple_of(BLOCK);
        if start < whole {
            found.push(start..whole);
        }
        at = end;
    }
    Ok(())
}

/// Why what is shown as that cannot be read, and what to do.
pub(super) fn read_failure(shown: &str, error: &io::Error) -> Failure {
    let advice = match error.kind() {
        io::ErrorKind::PermissionDenied => "; ask its owner for leave to read it",
        _ if rustix::io::Errno::from_io_error(error) == Some(rustix::io::Errno::IO) => {
            "; its disk may be failing: save what you can"
        }
        _ => "",
    };
    Failure::new(Reason::Source, format!("cannot read {shown}: {}{advice}", show_error(error)))
}

/// Files that the system makes up as they are read, as in /proc, do not say how much that will be.
pub(super) fn sizeless(shown: &str) -> Failure {
    let text = format!(
        "{shown} holds more or less than its size says; send what it holds as standard input: \
         volley send - HOST < {shown}"
    );
    Failure::new(Reason::Source, text)
}
