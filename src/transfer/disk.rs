//! The disk, where tests can have a hand in it.
//!
//! Every call to the file system of a transfer is told here before it is made. In the product nobody listens.
//! A test does: it lets the Nth call fail, or writes down what would be lost with the power.

use super::positioned::{next_data, next_hole, punch, read_exact_at, write_all_at};
use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;

/// A call that is about to be made. Paths are below the receiver's directory; the sender's are below the
/// directory that its user named, or as he named them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call<'a> {
    /// A new empty file.
    Create(&'a str),
    /// A new symbolic link.
    Link {
        /// Where.
        path: &'a str,
        /// What it says.
        target: &'a str,
    },
    /// What is looked at, opened or listed.
    Look(&'a str),
    /// A new directory.
    MakeDir(&'a str),
    /// Bytes of a file become a hole.
    Punch {
        /// Of which file.
        path: &'a str,
        /// Where in it.
        range: Range<u64>,
    },
    /// A file is read from.
    Read(&'a str),
    /// A name goes.
    Remove(&'a str),
    /// A file gets another name; one that is taken only if it `replaces`.
    Rename {
        /// The old one.
        from: &'a str,
        /// The new one.
        to: &'a str,
        /// Whether what has the name makes room.
        replaces: bool,
    },
    /// A mode or a time is set.
    SetAttributes(&'a str),
    /// A file gets a length.
    SetLen(&'a str, u64),
    /// All that was written to the file system goes to stable storage.
    SyncAll,
    /// The names in a directory go to stable storage; of none, those in the receiver's own.
    SyncDir(&'a str),
    /// The contents of a file go to stable storage.
    SyncFile(&'a str),
    /// Bytes are written.
    Write {
        /// To which file.
        path: &'a str,
        /// Where in it.
        at: u64,
        /// What.
        bytes: &'a [u8],
    },
}

/// Hears of each call; what it answers instead of nothing is what the call comes to.
pub type Listener = dyn Fn(&Call<'_>) -> io::Result<()> + Send + Sync;

/// The system's disk.
#[derive(Clone, Default)]
pub struct Disk(Option<Arc<Listener>>);

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Disk").field(&self.0.is_some()).finish()
    }
}

impl Disk {
    /// A disk on which every call is told to `listener` first.
    #[must_use]
    pub fn watched(listener: Arc<Listener>) -> Self {
        Self(Some(listener))
    }

    /// Tells of a call before it is made.
    ///
    /// # Errors
    /// The listener wants it to fail.
    pub fn ask(&self, call: &Call<'_>) -> io::Result<()> {
        self.0.as_ref().map_or(Ok(()), |listener| listener(call))
    }
}

/// The same error once more, for the next one that it concerns.
#[must_use]
pub fn again(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)
}

/// An open file that is read and written at positions.
#[derive(Debug)]
pub struct OpenedFile {
    file: File,
    path: String,
    disk: Disk,
}

impl OpenedFile {
    /// The open `file` of that path.
    #[must_use]
    pub fn new(file: File, path: &str, disk: &Disk) -> Self {
        Self { file, path: path.to_owned(), disk: disk.clone() }
    }

    /// The file itself, for what is no call to its contents.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Fills `buffer` from `at`.
    ///
    /// # Errors
    /// As the system says; `UnexpectedEof` where the file ends before.
    pub fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        self.disk.ask(&Call::Read(&self.path))?;
        read_exact_at(&self.file, buffer, at)
    }

    /// Writes all of `bytes` at `at`.
    ///
    /// # Errors
    /// As the system says.
    pub fn write_all_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.disk.ask(&Call::Write { path: &self.path, at, bytes })?;
        write_all_at(&self.file, bytes, at)
    }

    /// Where the next bytes are, from `at` on, that are not known to be a hole; nothing, if there are no more.
    ///
    /// # Errors
    /// As the system says.
    pub fn next_data(&self, at: u64) -> io::Result<Option<u64>> {
        self.disk.ask(&Call::Look(&self.path))?;
        next_data(&self.file, at)
    }

    /// Where the next hole is, from `at` on: at the end of the file at the latest, which must be behind.
    ///
    /// # Errors
    /// As the system says.
    pub fn next_hole(&self, at: u64) -> io::Result<u64> {
        self.disk.ask(&Call::Look(&self.path))?;
        next_hole(&self.file, at)
    }

    /// Makes a hole of those bytes, where they are none.
    ///
    /// # Errors
    /// As the system says, and where it has no holes.
    pub fn clear(&self, range: Range<u64>) -> io::Result<()> {
        if self.next_data(range.start)?.is_none_or(|data| data >= range.end) {
            return Ok(());
        }
        self.disk.ask(&Call::Punch { path: &self.path, range: range.clone() })?;
        punch(&self.file, &range)
    }

    /// Makes the file that long.
    ///
    /// # Errors
    /// As the system says.
    pub fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.ask(&Call::SetLen(&self.path, len))?;
        self.file.set_len(len)
    }

    /// Puts the contents and the attributes on stable storage.
    ///
    /// # Errors
    /// As [`OpenedFile::sync_data`].
    pub fn sync_all(&self) -> io::Result<()> {
        self.disk.ask(&Call::SyncFile(&self.path))?;
        self.file.sync_all()
    }

    /// Puts the contents, and what is needed to find them, on stable storage.
    ///
    /// # Errors
    /// As the system says. What was written since the last time may be lost then, and a second try that
    /// succeeds does not mean that it is not.
    pub fn sync_data(&self) -> io::Result<()> {
        self.disk.ask(&Call::SyncFile(&self.path))?;
        self.file.sync_data()
    }

    /// Before its size and times are asked for.
    ///
    /// # Errors
    /// The listener wants it to fail.
    pub fn ask_for_metadata(&self) -> io::Result<()> {
        self.disk.ask(&Call::Look(&self.path))
    }

    /// Before its mode or times are set.
    ///
    /// # Errors
    /// The listener wants it to fail.
    pub fn ask_for_attributes(&self) -> io::Result<()> {
        self.disk.ask(&Call::SetAttributes(&self.path))
    }
}
