//! A list of the files that are committed, as `b3sum --check` reads it, written as they are. Each is in it once,
//! though an earlier attempt may have committed it already: for that, 16 bytes of each line are remembered.

use super::hash::Hash;
use super::name::TreePath;
use super::outcome::{Failure, Reason};
use crate::base::text::{escape_os, show_error};
use std::collections::HashSet;
use std::fmt::Debug;
use std::fs::{File, Metadata};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

/// A list that any number of transfers add to.
#[derive(Clone, Debug)]
pub struct Manifest(Arc<Mutex<Listing>>);

#[derive(Debug)]
struct Listing {
    /// As its user wrote it.
    path: PathBuf,
    out: Box<dyn Output>,
    /// The beginnings of the hashes of the lines in it.
    lines: HashSet<[u8; 16]>,
    /// What went wrong first. Nothing is written after that.
    error: Option<io::Error>,
}

impl Manifest {
    /// An empty list in the file at `path`, which is replaced.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn create(path: &Path) -> Result<Self, Failure> {
        let file = File::create(path).map_err(|error| unwritable(path, &error))?;
        Ok(Self::written_to(Stable { file, path: path.to_owned() }, path))
    }

    /// An empty list that is written to `out`, which waits for nobody before it is flushed; `path` is what
    /// its user calls that.
    pub fn written_to(out: impl Write + Send + Debug + 'static, path: &Path) -> Self {
        let (path, out, lines) = (path.to_owned(), Box::new(out), HashSet::new());
        Self(Arc::new(Mutex::new(Listing { path, out, lines, error: None })))
    }

    /// Adds a file, unless it is there. What goes wrong is told by [`Manifest::finish`]: the file is there all the same.
    pub(super) fn add(&self, path: &TreePath, hash: Hash) {
        let line = line(path, hash);
        let Hash(whole) = Hash::of(line.as_bytes());
        let mark = *whole.first_chunk().expect("it is longer");
        let mut listing = self.listing();
        if listing.error.is_none() && listing.lines.insert(mark) {
            listing.error = listing.out.write_all(line.as_bytes()).err();
        }
    }

    /// Puts the list on stable storage.
    ///
    /// # Errors
    /// Not every file that was added is in it, or what has its name by now is something else.
    pub fn finish(&self) -> Result<(), Failure> {
        let Listing { path, out, error, .. } = &mut *self.listing();
        match error {
            Some(error) => Err(unwritable(path, error)),
            None => out.flush().map_err(|error| unwritable(path, &error)),
        }
    }

    fn listing(&self) -> MutexGuard<'_, Listing> {
        self.0.lock().expect("nobody panics while holding it")
    }
}

/// What a list is written to.
trait Output: Write + Send + Debug {}

impl<W: Write + Send + Debug> Output for W {}

/// A file whose contents a flush puts on stable storage.
#[derive(Debug)]
struct Stable {
    file: File,
    path: PathBuf,
}

impl Write for Stable {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    /// A receiver that replaces what is there may have been sent a file of that name.
    fn flush(&mut self) -> io::Result<()> {
        let metadata = self.file.metadata()?;
        if !metadata.is_file() {
            return Ok(());
        }
        if !is_at(&metadata, &self.path) {
            return Err(io::Error::other(
                "another file has that name by now, or none; name one with --manifest that no \
                 transfer replaces",
            ));
        }
        self.file.sync_all()
    }
}

/// Whether that file has that name.
fn is_at(file: &Metadata, path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let is_same = |there: Metadata| (there.dev(), there.ino()) == (file.dev(), file.ino());
        std::fs::metadata(path).is_ok_and(is_same)
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        path.exists()
    }
}

/// No path of ours holds what b3sum escapes, a backslash or the end of a line.
fn line(path: &TreePath, hash: Hash) -> String {
    // A dash alone would be standard input.
    let here = if path.as_str() == "-" { "./" } else { "" };
    format!("{hash}  {here}{}\n", path.as_str())
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    let (reason, advice) = match error.kind() {
        io::ErrorKind::IsADirectory => (Reason::Other, "; name a file in it"),
        io::ErrorKind::NotFound => (Reason::Other, "; make its directory first"),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            (Reason::Full, "; make room there")
        }
        _ => (Reason::Other, ""),
    };
    let (path, said) = (escape_os(path), show_error(error));
    Failure::new(reason, format!("cannot write the manifest {path}: {said}{advice}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn lines_are_what_b3sum_prints_and_checks() {
        let hash = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
        for (path, shown) in [
            ("a", "a"),
            ("photos/Füße 文.jpg", "photos/Füße 文.jpg"),
            (" two  spaces ", " two  spaces "),
            ("-rf", "-rf"),
            ("-", "./-"),
            ("d/-", "d/-"),
        ] {
            let path = TreePath::parse(path).expect("a path");
            assert_eq!(line(&path, Hash::of(b"")), format!("{hash}  {shown}\n"));
        }
    }

    #[test]
    fn the_first_error_is_kept_until_the_end() {
        let manifest = Manifest::create(Path::new("/dev/full")).expect("it opens");
        let path = TreePath::parse("a").expect("a path");
        manifest.add(&path, Hash::of(b""));
        manifest.add(&path, Hash::of(b""));
        let failure = manifest.finish().expect_err("it is full");
        assert_eq!(failure.reason, Reason::Full);
        assert!(failure.text.contains("/dev/full: No space left"), "{failure}");
        let directory = tempfile::tempdir().expect("room");
        assert!(Manifest::create(directory.path()).is_err());
    }

    #[test]
    fn what_has_the_name_in_the_end_is_the_list_or_that_is_said() {
        let directory = tempfile::tempdir().expect("room");
        let path = directory.path().join("sums");
        let other = directory.path().join("other");
        for is_replaced in [true, false] {
            let manifest = Manifest::create(&path).expect("ours");
            manifest.add(&TreePath::parse("a").expect("a path"), Hash::of(b""));
            fs::rename(&path, directory.path().join("elsewhere")).expect("there");
            if is_replaced {
                fs::write(&other, "not the list").expect("room");
                fs::rename(&other, &path).expect("there");
            }
            let failure = manifest.finish().expect_err("it is not there");
            assert!(failure.text.contains("another file has that name"), "{failure}");
        }
    }

    #[test]
    fn what_was_there_is_replaced_and_clones_add_to_the_same_list_each_file_once() {
        let directory = tempfile::tempdir().expect("room");
        let path = directory.path().join("sums");
        fs::write(&path, "old").expect("room");
        let manifest = Manifest::create(&path).expect("ours");
        for name in ["a", "b", "a"] {
            manifest.clone().add(&TreePath::parse(name).expect("a path"), Hash::of(b""));
        }
        manifest.finish().expect("room");
        let lines = fs::read_to_string(&path).expect("there");
        assert_eq!(lines.lines().map(|line| &line[64..]).collect::<Vec<_>>(), ["  a", "  b"]);
    }
}
