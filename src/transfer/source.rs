//! The files to send, as one space of bytes; hashed as they are read for the first time.

use super::hash::{GROUP, Hash, Tree, group_count, group_range, group_value};
use super::message::FILES_MAX;
use super::name::FileName;
use super::open_files::OpenFiles;
use super::outcome::{Failure, Reason};
use super::positioned::read_exact_at;
use crate::base::text::{escape, show_error};
use std::collections::HashSet;
use std::fs::{File, Metadata};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// What a first reading made known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hashed {
    /// The value of a group.
    Group(u64, Hash),
    /// The hash of the whole file, which did not change while it was read.
    Root(Hash),
}

/// A file could not be read as it was offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFailure {
    /// Which one.
    pub index: usize,
    /// Why.
    pub failure: Failure,
}

/// One file to send.
#[derive(Debug)]
pub struct SourceFile {
    path: PathBuf,
    name: FileName,
    stamp: Stamp,
    /// Where its bytes are in the transfer space.
    range: Range<u64>,
    tree: Tree,
}

impl SourceFile {
    /// The name to propose.
    #[must_use]
    pub fn name(&self) -> &FileName {
        &self.name
    }

    /// Where its bytes are in the transfer space.
    #[must_use]
    pub fn range(&self) -> Range<u64> {
        self.range.clone()
    }

    /// Bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.range.end - self.range.start
    }

    fn failure(&self, error: &io::Error) -> Failure {
        let path = escape(&self.path.to_string_lossy());
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return self.changed("it became shorter");
        }
        Failure::new(Reason::Source, format!("cannot read {path}: {}", show_error(error)))
    }

    fn compare(&self, now: Stamp) -> Result<(), Failure> {
        match now {
            now if now == self.stamp => Ok(()),
            now if now.size > self.stamp.size => Err(self.changed("it became longer")),
            now if now.size < self.stamp.size => Err(self.changed("it became shorter")),
            _ => Err(self.changed("it was written to")),
        }
    }

    fn changed(&self, how: &str) -> Failure {
        let path = escape(&self.path.to_string_lossy());
        let text = format!("{path} changed while it was sent ({how}); send it again");
        Failure::new(Reason::Source, text)
    }
}

/// What tells whether a file is still the one that was offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    size: u64,
    modified: Option<std::time::SystemTime>,
    /// Device, inode and the time of the last change of either.
    #[cfg(unix)]
    identity: (u64, u64, i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        use std::os::unix::fs::MetadataExt;
        Self {
            size: metadata.len(),
            modified: metadata.modified().ok(),
            #[cfg(unix)]
            identity: (metadata.dev(), metadata.ino(), metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// The files of a transfer.
#[derive(Debug, Default)]
pub struct Source {
    files: Vec<SourceFile>,
    handles: OpenFiles,
    /// The group read last, and whose it is.
    cached: Option<(usize, u64)>,
    cache: Vec<u8>,
    news: Vec<(usize, Hashed)>,
}

impl Source {
    /// Looks at all files before the first byte goes; they are opened as they are read.
    ///
    /// # Errors
    /// One is missing, unreadable or no regular file, two would have the same name, or they are more
    /// than one transfer carries.
    pub fn open<P: AsRef<Path>>(paths: &[P]) -> Result<Self, Failure> {
        if paths.len() > FILES_MAX {
            let text =
                format!("one transfer carries at most {FILES_MAX} files; send them in parts");
            return Err(Failure::new(Reason::Other, text));
        }
        let mut source = Self::default();
        let mut names = HashSet::new();
        for path in paths {
            let start = source.total();
            let file = open_file(path.as_ref(), start)?;
            if !names.insert(file.name.clone()) {
                let text = format!("two files would both be called \"{}\"", file.name);
                return Err(Failure::new(Reason::Other, text));
            }
            source.files.push(file);
        }
        for index in 0..source.files.len() {
            if source.files[index].size() == 0 {
                source.take_group(index, 0, &[]);
                let hash = Hash::of(&[]);
                source.news.push((index, Hashed::Root(hash)));
            }
        }
        Ok(source)
    }

    /// The files, in the order of the transfer space.
    #[must_use]
    pub fn files(&self) -> &[SourceFile] {
        &self.files
    }

    /// Bytes in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.files.last().map_or(0, |file| file.range.end)
    }

    /// Fills `buffer` with the bytes at `offset` of the transfer space.
    ///
    /// # Errors
    /// The file that holds them cannot be read, or is not what was offered.
    pub fn read(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), SourceFailure> {
        let (mut offset, mut rest) = (offset, buffer);
        while !rest.is_empty() {
            let index = self.index_at(offset);
            let range = self.files[index].range();
            let len = usize::try_from(range.end - offset).unwrap_or(usize::MAX).min(rest.len());
            let (part, after) = rest.split_at_mut(len);
            self.read_file(index, offset - range.start, part)
                .map_err(|failure| SourceFailure { index, failure })?;
            offset += len as u64;
            rest = after;
        }
        Ok(())
    }

    /// What the readings since the last call made known, with the index of the file.
    pub fn take_hashed(&mut self) -> Vec<(usize, Hashed)> {
        std::mem::take(&mut self.news)
    }

    /// Whether the file is still the one that was offered.
    ///
    /// # Errors
    /// A sentence that says that it is not.
    pub fn check_unchanged(&self, index: usize) -> Result<(), Failure> {
        let file = &self.files[index];
        let metadata = std::fs::metadata(&file.path).map_err(|error| file.failure(&error))?;
        file.compare(Stamp::of(&metadata))
    }

    /// Fills `buffer` from the file, which must still be the one that was offered when it is opened.
    fn read_part(&mut self, index: usize, at: u64, buffer: &mut [u8]) -> Result<(), Failure> {
        let file = &self.files[index];
        let mut other = None;
        let handle = self.handles.get(index, || {
            let handle = File::open(&file.path)?;
            other = file.compare(Stamp::of(&handle.metadata()?)).err();
            Ok(handle)
        });
        let read = handle.and_then(|handle| read_exact_at(handle, buffer, at));
        match other {
            Some(changed) => {
                self.handles.close(index);
                Err(changed)
            }
            None => read.map_err(|error| file.failure(&error)),
        }
    }

    /// The file that holds `offset`, which must be below [`Source::total`].
    fn index_at(&self, offset: u64) -> usize {
        self.files.partition_point(|file| file.range.end <= offset)
    }

    fn read_file(&mut self, index: usize, at: u64, buffer: &mut [u8]) -> Result<(), Failure> {
        let (mut at, mut rest) = (at, buffer);
        while !rest.is_empty() {
            let size = self.files[index].size();
            let group = at / GROUP;
            let range = group_range(group, size);
            let len = usize::try_from(range.end - at).expect("a group").min(rest.len());
            let (part, after) = rest.split_at_mut(len);
            if group == self.files[index].tree.count() {
                self.load(index, group)?;
            }
            if self.cached == Some((index, group)) {
                let from = usize::try_from(at - range.start).expect("within a group");
                part.copy_from_slice(&self.cache[from..from + len]);
            } else {
                self.read_part(index, at, part)?;
            }
            at += len as u64;
            rest = after;
        }
        Ok(())
    }

    /// Reads a group for the first time and hashes it.
    fn load(&mut self, index: usize, group: u64) -> Result<(), Failure> {
        let size = self.files[index].size();
        let range = group_range(group, size);
        let mut bytes = std::mem::take(&mut self.cache);
        self.cached = None;
        bytes.resize(usize::try_from(range.end - range.start).expect("a group"), 0);
        self.read_part(index, range.start, &mut bytes)?;
        self.take_group(index, group, &bytes);
        self.cache = bytes;
        self.cached = Some((index, group));
        if group + 1 == group_count(size) {
            self.check_unchanged(index)?;
            let root = self.files[index].tree.clone().root();
            self.news.push((index, Hashed::Root(root)));
        }
        Ok(())
    }

    fn take_group(&mut self, index: usize, group: u64, bytes: &[u8]) {
        let value = group_value(group, bytes, self.files[index].size());
        self.files[index].tree.push(value);
        self.news.push((index, Hashed::Group(group, value)));
    }
}

fn open_file(path: &Path, start: u64) -> Result<SourceFile, Failure> {
    let shown = escape(&path.to_string_lossy());
    let unreadable = |error: io::Error| {
        let advice = match error.kind() {
            io::ErrorKind::PermissionDenied => "; ask its owner for leave to read it",
            _ => "",
        };
        Failure::new(Reason::Source, format!("cannot read {shown}: {}{advice}", show_error(&error)))
    };
    // Looked at before it is opened: opening a FIFO would wait for its other end.
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    if metadata.is_dir() {
        let text = format!(
            "{shown} is a directory; whole directories are not sent yet: name its files, or pack them"
        );
        return Err(Failure::new(Reason::Source, text));
    }
    if !metadata.is_file() {
        let text = format!("{shown} is no regular file; only regular files are sent");
        return Err(Failure::new(Reason::Source, text));
    }
    let name = path.file_name().unwrap_or_default();
    let name = FileName::of(name).map_err(|e| Failure::new(Reason::Source, e.to_string()))?;
    let stamp = Stamp::of(&File::open(path).and_then(|file| file.metadata()).map_err(unreadable)?);
    Ok(SourceFile {
        path: path.to_owned(),
        name,
        stamp,
        range: start..start + stamp.size,
        tree: Tree::default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn source_of(contents: &[&[u8]]) -> (tempfile::TempDir, Source) {
        let dir = tempfile::tempdir().expect("a directory");
        let paths: Vec<PathBuf> = contents
            .iter()
            .enumerate()
            .map(|(index, bytes)| {
                let path = dir.path().join(format!("file{index}"));
                fs::write(&path, bytes).expect("written");
                path
            })
            .collect();
        let source = Source::open(&paths).expect("readable");
        (dir, source)
    }

    #[test]
    fn reads_cross_files_and_hash_each() {
        let long: Vec<u8> = (0..GROUP + 100).map(|at| (at % 251) as u8).collect();
        let (_dir, mut source) = source_of(&[b"abc", b"", &long]);
        let total = usize::try_from(source.total()).expect("small");
        let mut all = vec![0; total];
        for start in (0..total).step_by(1000) {
            let end = (start + 1000).min(total);
            source.read(start as u64, &mut all[start..end]).expect("readable");
        }
        assert_eq!(all, [b"abc", &long[..]].concat());
        let roots: Vec<_> = source
            .take_hashed()
            .into_iter()
            .filter_map(|(index, news)| match news {
                Hashed::Root(hash) => Some((index, hash)),
                Hashed::Group(..) => None,
            })
            .collect();
        assert_eq!(roots, [(1, Hash::of(b"")), (0, Hash::of(b"abc")), (2, Hash::of(&long))]);
    }

    #[test]
    fn an_older_part_is_read_again_without_hashing_it_again() {
        let long = vec![5; 3 << 20];
        let (_dir, mut source) = source_of(&[&long]);
        let mut part = [0; 1000];
        for offset in [0, GROUP, 2 * GROUP] {
            source.read(offset, &mut part).expect("readable");
        }
        assert_eq!(source.take_hashed().len(), 4);
        source.read(10, &mut part).expect("readable");
        assert_eq!(part, [5; 1000]);
        assert_eq!(source.take_hashed(), []);
    }

    #[test]
    fn a_source_that_changes_is_noticed() {
        for (change, word) in [("longer", "longer"), ("shorter", "shorter"), ("same", "written to")]
        {
            let (dir, mut source) = source_of(&[&vec![1; 2 << 20]]);
            source.read(0, &mut [0; 100]).expect("unchanged so far");
            let path = dir.path().join("file0");
            match change {
                "longer" => fs::write(&path, vec![1; 3 << 20]).expect("written"),
                "shorter" => fs::write(&path, b"x").expect("written"),
                _ => {
                    let file = File::options().write(true).open(&path).expect("there");
                    std::os::unix::fs::FileExt::write_all_at(&file, b"y", 5).expect("written");
                    let past = std::time::SystemTime::UNIX_EPOCH;
                    file.set_modified(past).expect("allowed");
                }
            }
            let failed = source.read(GROUP, &mut [0; 100]).expect_err(change);
            assert_eq!(failed.failure.reason, Reason::Source);
            assert!(failed.failure.text.contains(word), "{}", failed.failure.text);
        }
    }

    #[test]
    fn what_is_no_regular_file_is_refused_with_a_sentence() {
        let dir = tempfile::tempdir().expect("a directory");
        let missing = dir.path().join("missing");
        for (path, word) in [
            (dir.path(), "directory"),
            (missing.as_path(), "No such file"),
            (Path::new("/dev/null"), "no regular file"),
        ] {
            let failure = Source::open(&[path]).expect_err("refused");
            assert_eq!(failure.reason, Reason::Source);
            assert!(failure.text.contains(word), "{}", failure.text);
        }
    }

    #[test]
    fn more_files_than_a_receiver_takes_are_refused_before_any_is_sent() {
        let failure = Source::open(&vec!["/nonexistent"; FILES_MAX + 1]).expect_err("too many");
        assert!(failure.text.contains("in parts"), "{}", failure.text);
    }

    #[test]
    fn two_files_of_one_name_are_refused() {
        let (dir, _) = source_of(&[b"a"]);
        let path = dir.path().join("file0");
        assert!(Source::open(&[&path, &path]).is_err());
    }
}
