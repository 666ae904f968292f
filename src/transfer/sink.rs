//! Where received bytes go: written, verified group by group, committed. Blocks on the disk; whoever
//! must not, runs it on a thread of its own and passes [`Job`]s and [`Report`]s.

use super::directory::{Directory, Partial};
use super::hash::{GROUP, Hash, Tree, group_count, group_range, group_value};
use super::job::{Job, Report};
use super::name::FileName;
use super::open_files::OpenFiles;
use super::outcome::{Failure, Reason};
use super::positioned::{read_exact_at, write_all_at};
use crate::base::range_set::RangeSet;
use crate::base::text::show_error;
use crate::base::units::show_size;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;
use std::sync::Arc;

/// Values of groups that have not arrived, at most: 64 GiB ahead of the data.
const EXPECTED_MAX: usize = 1 << 16;

/// A group that arrives wrong this often is not going to arrive right.
const MISMATCHES_MAX: u32 = 3;

/// How a sink treats what it receives.
#[derive(Clone, Copy, Debug)]
pub struct SinkPolicy {
    /// Replace what has the same name.
    pub overwrite: bool,
    /// Wrong bytes may come again: the carrier can repeat a range.
    pub can_repeat: bool,
}

/// The files of one transfer on their way into a directory.
#[derive(Debug)]
pub struct Sink {
    directory: Arc<Directory>,
    policy: SinkPolicy,
    /// Keeps this transfer's partial files apart from others'.
    token: u64,
    files: Vec<Incoming>,
    /// Bytes of the transfer space that are in their files.
    written: RangeSet,
    /// Bytes that open files will still take.
    owed: u64,
    reports: Vec<Report>,
    /// Of the partial files, by index.
    handles: OpenFiles,
    /// For reading a group back.
    scratch: Vec<u8>,
}

#[derive(Debug)]
struct Incoming {
    range: Range<u64>,
    /// While the file is neither committed nor failed.
    open: Option<OpenFile>,
}

#[derive(Debug)]
struct OpenFile {
    name: FileName,
    partial: Partial,
    /// The sender's values of groups that are not complete.
    expected: BTreeMap<u64, Hash>,
    /// Complete groups whose value the sender has not told.
    complete: BTreeSet<u64>,
    /// Verified groups that wait for an earlier one.
    verified: BTreeMap<u64, Hash>,
    tree: Tree,
    root: Option<Hash>,
    mismatches: u32,
}

impl Sink {
    /// A sink into `directory`.
    #[must_use]
    pub fn new(directory: Arc<Directory>, policy: SinkPolicy, token: u64) -> Self {
        Self {
            directory,
            policy,
            token,
            files: Vec::new(),
            written: RangeSet::new(),
            owed: 0,
            reports: Vec::new(),
            handles: OpenFiles::default(),
            scratch: Vec::new(),
        }
    }

    /// Does a job and says what came of it.
    pub fn run(&mut self, job: Job) -> Vec<Report> {
        let mut bytes = 0;
        match job {
            Job::Expect { index, first, values } => self.expect(index, first, &values),
            Job::ExpectRoot { index, hash } => {
                if let Some(open) = self.open_file(index) {
                    open.root = Some(hash);
                    self.try_commit(index);
                }
            }
            Job::Forget { index } => self.forget(index),
            Job::Offer { index, name, range } => self.offer(index, name, range),
            Job::Write(batch) => {
                bytes = batch.len();
                batch.pieces().for_each(|(offset, piece)| self.write(offset, piece));
            }
        }
        self.reports.push(Report::Done { bytes, total: self.written.total() });
        std::mem::take(&mut self.reports)
    }

    fn open_file(&mut self, index: u32) -> Option<&mut OpenFile> {
        self.files.get_mut(usize::try_from(index).ok()?)?.open.as_mut()
    }

    fn offer(&mut self, index: u32, name: Option<FileName>, range: Range<u64>) {
        debug_assert_eq!(index as usize, self.files.len(), "offers come in order");
        self.files.push(Incoming { range: range.clone(), open: None });
        let Some(name) = name else { return };
        match self.begin(index, name, &range) {
            Ok(open) => {
                self.owed += range.end - range.start;
                self.files[index as usize].open = Some(open);
                self.reports.push(Report::Accepted { index });
                if range.is_empty() {
                    self.complete_groups(index, &range);
                }
            }
            Err(failure) => self.reports.push(Report::Failed { index, failure }),
        }
    }

    fn begin(&self, index: u32, name: FileName, range: &Range<u64>) -> Result<OpenFile, Failure> {
        if self.directory.has(&name) && !self.policy.overwrite {
            return Err(exists(&name));
        }
        let size = range.end - range.start;
        let owed = self.owed;
        if let Some(free) = self.directory.free_space().map(|free| free.saturating_sub(owed))
            && size > free
        {
            let text = format!(
                "no room for \"{name}\": {} wanted, {} free at the receiver; make room there",
                show_size(size),
                show_size(free)
            );
            return Err(Failure::new(Reason::Full, text));
        }
        let partial = self.directory.create_partial(self.token, index);
        let partial = partial.map_err(|error| storage_failure(&name, &error))?;
        Ok(OpenFile {
            name,
            partial,
            expected: BTreeMap::new(),
            complete: BTreeSet::new(),
            verified: BTreeMap::new(),
            tree: Tree::default(),
            root: None,
            mismatches: 0,
        })
    }

    /// Writes bytes that may belong to several files; those of files that are over are dropped.
    fn write(&mut self, mut offset: u64, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let place = self.files.partition_point(|file| file.range.end <= offset);
            let Some(file) = self.files.get(place) else {
                return;
            };
            let len =
                usize::try_from(file.range.end - offset).unwrap_or(usize::MAX).min(bytes.len());
            let (part, rest) = bytes.split_at(len);
            let range = offset..offset + len as u64;
            let index = u32::try_from(place).expect("offers are counted in 32 bits");
            if let Some(open) = &file.open {
                let start = file.range.start;
                let handle = self.handles.get(place, || self.directory.open_partial(&open.partial));
                // What is written may be verified already: it is not written again.
                let mut gaps = self.written.gaps(range.clone());
                let written = handle.and_then(|handle| {
                    gaps.try_for_each(|gap| {
                        let part = &part[within(offset, &gap)];
                        write_all_at(handle, part, gap.start - start)
                    })
                });
                drop(gaps);
                match written {
                    Ok(()) => {
                        self.owed -= self.written.insert(range.clone());
                        self.complete_groups(index, &range);
                    }
                    Err(error) => {
                        let failure = storage_failure(&open.name, &error);
                        self.fail(index, failure);
                    }
                }
            }
            offset += len as u64;
            bytes = rest;
        }
    }

    /// Checks the groups that the bytes just written may have completed.
    fn complete_groups(&mut self, index: u32, written: &Range<u64>) {
        let file = self.files[index as usize].range.clone();
        let size = file.end - file.start;
        let last = written.end.saturating_sub(1).max(written.start);
        for group in (written.start - file.start) / GROUP..=(last - file.start) / GROUP {
            let range = group_range(group, size);
            if self.written.contains_all(&(file.start + range.start..file.start + range.end)) {
                self.verify_group(index, group);
            }
        }
    }

    fn expect(&mut self, index: u32, first: u64, values: &[Hash]) {
        let Some(file) = self.files.get(index as usize) else {
            return;
        };
        let size = file.range.end - file.range.start;
        for (group, value) in (first..).zip(values) {
            let Some(open) = self.open_file(index) else {
                return;
            };
            if group >= group_count(size) || open.expected.len() >= EXPECTED_MAX {
                let text = "the sender announces more than the file it offered";
                return self.fail(index, Failure::new(Reason::Integrity, text));
            }
            // Said twice, or about what is verified already: the first word counts.
            if group < open.tree.count() || open.verified.contains_key(&group) {
                continue;
            }
            open.expected.entry(group).or_insert(*value);
            if open.complete.remove(&group) {
                self.verify_group(index, group);
            }
        }
    }

    /// Reads a complete group back and compares it with what the sender said.
    fn verify_group(&mut self, index: u32, group: u64) {
        let file = self.files[index as usize].range.clone();
        let size = file.end - file.start;
        let Some(open) = self.open_file(index) else {
            return;
        };
        let Some(expected) = open.expected.get(&group).copied() else {
            open.complete.insert(group);
            return;
        };
        let range = group_range(group, size);
        let read = self.read_back(index, &range);
        let value = group_value(group, &self.scratch, size);
        match read {
            Err(failure) => self.fail(index, failure),
            Ok(()) if value == expected => {
                let open = self.open_file(index).expect("open above");
                open.expected.remove(&group);
                open.verified.insert(group, value);
                while let Some(value) = open.verified.remove(&open.tree.count()) {
                    open.tree.push(value);
                }
                self.try_commit(index);
            }
            Ok(()) => {
                self.on_mismatch(index, file.start + range.start..file.start + range.end);
            }
        }
    }

    /// Reads part of a partial file into the scratch buffer.
    fn read_back(&mut self, index: u32, range: &Range<u64>) -> Result<(), Failure> {
        let Self { files, handles, directory, scratch, .. } = self;
        let open = files[index as usize].open.as_ref().expect("only open files are read back");
        scratch.resize(usize::try_from(range.end - range.start).expect("a group"), 0);
        let handle = handles.get(index as usize, || directory.open_partial(&open.partial));
        let read = handle.and_then(|handle| read_exact_at(handle, scratch, range.start));
        read.map_err(|error| storage_failure(&open.name, &error))
    }

    fn on_mismatch(&mut self, index: u32, range: Range<u64>) {
        let can_repeat = self.policy.can_repeat;
        let Some(open) = self.open_file(index) else {
            return;
        };
        open.mismatches += 1;
        if !can_repeat || open.mismatches > MISMATCHES_MAX {
            let name = &open.name;
            let text = format!("\"{name}\" arrived other than it was read; nothing of it is kept");
            return self.fail(index, Failure::new(Reason::Integrity, text));
        }
        self.owed += self.written.remove(&range);
        self.reports.push(Report::Again(range));
    }

    fn try_commit(&mut self, index: u32) {
        let range = self.files[index as usize].range.clone();
        let Some(open) = self.open_file(index) else {
            return;
        };
        let (Some(root), true) =
            (open.root, open.tree.count() == group_count(range.end - range.start))
        else {
            return;
        };
        let hash = open.tree.clone().root();
        if hash != root {
            let text =
                format!("the hash of \"{}\" is not the sender's; nothing of it is kept", open.name);
            return self.fail(index, Failure::new(Reason::Integrity, text));
        }
        let open = self.files[index as usize].open.take().expect("open above");
        match self.store(index, &open) {
            Ok(()) => self.reports.push(Report::Committed { index, hash }),
            Err(failure) => {
                self.directory.discard(&open.partial);
                self.reports.push(Report::Failed { index, failure });
            }
        }
    }

    /// Contents first, then the name: at no moment is there a name without its contents.
    fn store(&mut self, index: u32, open: &OpenFile) -> Result<(), Failure> {
        let Self { handles, directory, .. } = self;
        let handle = handles.get(index as usize, || directory.open_partial(&open.partial));
        let synced = handle.and_then(std::fs::File::sync_all);
        handles.close(index as usize);
        synced.map_err(|error| storage_failure(&open.name, &error))?;
        let committed = self.directory.commit(&open.partial, &open.name, self.policy.overwrite);
        committed.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists | io::ErrorKind::IsADirectory => exists(&open.name),
            _ => storage_failure(&open.name, &error),
        })
    }

    fn fail(&mut self, index: u32, failure: Failure) {
        self.forget(index);
        self.reports.push(Report::Failed { index, failure });
    }

    fn forget(&mut self, index: u32) {
        let file = self.files.get_mut(index as usize);
        let Some(file) = file else { return };
        if let Some(open) = file.open.take() {
            let missing = self.written.gaps(file.range.clone()).map(|gap| gap.end - gap.start);
            self.owed -= missing.sum::<u64>();
            self.handles.close(index as usize);
            self.directory.discard(&open.partial);
        }
    }
}

impl Drop for Sink {
    /// What is not committed is not kept.
    fn drop(&mut self) {
        for file in &mut self.files {
            if let Some(open) = file.open.take() {
                self.directory.discard(&open.partial);
            }
        }
    }
}

/// Where `part` is in bytes that begin at `offset`.
fn within(offset: u64, part: &Range<u64>) -> Range<usize> {
    let index = |at: u64| usize::try_from(at - offset).expect("within what is in memory");
    index(part.start)..index(part.end)
}

fn exists(name: &FileName) -> Failure {
    let text = format!(
        "\"{name}\" exists at the receiver; start recv with --overwrite to replace it, or move it away"
    );
    Failure::new(Reason::Exists, text)
}

fn storage_failure(name: &FileName, error: &io::Error) -> Failure {
    let (reason, advice) = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            (Reason::Full, "; make room there and send again")
        }
        io::ErrorKind::FileTooLarge => {
            (Reason::Full, "; its file system or its `ulimit -f` allows no file of that size")
        }
        _ => (Reason::Other, ""),
    };
    let said = show_error(error);
    Failure::new(reason, format!("cannot store \"{name}\" at the receiver: {said}{advice}"))
}

#[cfg(test)]
mod tests {
    use super::super::job::WriteBatch;
    use super::*;
    use std::fs;
    use std::path::PathBuf;

    struct Bench {
        temp: tempfile::TempDir,
        sink: Sink,
    }

    impl Bench {
        fn new(overwrite: bool, can_repeat: bool) -> Self {
            let temp = tempfile::tempdir().expect("a directory");
            let directory = Arc::new(Directory::open(temp.path()).expect("writable"));
            let sink = Sink::new(directory, SinkPolicy { overwrite, can_repeat }, 1);
            Self { temp, sink }
        }

        fn offer(&mut self, index: u32, name: &str, range: Range<u64>) -> Vec<Report> {
            let name = Some(FileName::parse(name).expect("a name"));
            self.run(Job::Offer { index, name, range })
        }

        /// What came of the job, beside its being done.
        fn run(&mut self, job: Job) -> Vec<Report> {
            let mut reports = self.sink.run(job);
            assert!(matches!(reports.pop(), Some(Report::Done { .. })), "the last report of each");
            reports
        }

        fn write(&mut self, offset: u64, bytes: &[u8]) -> Vec<Report> {
            let mut batch = WriteBatch::default();
            batch.push(offset, bytes);
            self.run(Job::Write(batch))
        }

        /// Tells all values and the hash of `contents`.
        fn expect_all(&mut self, index: u32, contents: &[u8]) -> Vec<Report> {
            let size = contents.len() as u64;
            let values = (0..group_count(size))
                .map(|group| {
                    let range = group_range(group, size);
                    let part = &contents[range.start as usize..range.end as usize];
                    group_value(group, part, size)
                })
                .collect();
            let mut reports = self.run(Job::Expect { index, first: 0, values });
            reports.extend(self.run(Job::ExpectRoot { index, hash: Hash::of(contents) }));
            reports
        }

        fn path(&self, name: &str) -> PathBuf {
            self.temp.path().join(name)
        }

        fn partials(&self) -> usize {
            let area = self.path(super::super::name::PARTIAL_AREA);
            fs::read_dir(area).expect("the area").count()
        }
    }

    fn contents(len: u64) -> Vec<u8> {
        (0..len).map(|at| (at / 7 % 253) as u8).collect()
    }

    #[test]
    fn a_file_is_committed_whatever_comes_first() {
        let bytes = contents(2 * GROUP + 1234);
        let committed = [Report::Committed { index: 0, hash: Hash::of(&bytes) }];
        for values_first in [true, false] {
            let mut bench = Bench::new(false, true);
            let all = 0..bytes.len() as u64;
            assert_eq!(bench.offer(0, "a", all), [Report::Accepted { index: 0 }]);
            let mut reports = Vec::new();
            if values_first {
                reports.extend(bench.expect_all(0, &bytes));
            }
            // Backwards, in pieces that straddle groups.
            let mut pieces: Vec<usize> = (0..bytes.len()).step_by(100_000).collect();
            pieces.reverse();
            for start in pieces {
                let end = (start + 100_000).min(bytes.len());
                reports.extend(bench.write(start as u64, &bytes[start..end]));
            }
            if !values_first {
                reports.extend(bench.expect_all(0, &bytes));
            }
            assert_eq!(reports, committed);
            assert_eq!(fs::read(bench.path("a")).expect("there"), bytes);
            assert_eq!(bench.partials(), 0);
        }
    }

    #[test]
    fn small_and_empty_files_share_a_write() {
        let mut bench = Bench::new(false, true);
        bench.offer(0, "a", 0..3);
        bench.offer(1, "empty", 3..3);
        bench.offer(2, "b", 3..5);
        let mut reports = bench.write(0, b"xyzuv");
        for (index, bytes) in [(0, &b"xyz"[..]), (1, b""), (2, b"uv")] {
            reports.extend(bench.expect_all(index, bytes));
        }
        assert_eq!(reports.len(), 3, "{reports:?}");
        for (name, bytes) in [("a", &b"xyz"[..]), ("empty", b""), ("b", b"uv")] {
            assert_eq!(fs::read(bench.path(name)).expect(name), bytes);
        }
    }

    #[test]
    fn wrong_bytes_come_again_and_never_get_a_name() {
        let mut bench = Bench::new(false, true);
        bench.offer(0, "a", 0..4);
        bench.expect_all(0, b"good");
        assert_eq!(bench.write(0, b"gobd"), [Report::Again(0..4)]);
        assert!(!bench.path("a").exists());
        let hash = Hash::of(b"good");
        assert_eq!(bench.write(0, b"good"), [Report::Committed { index: 0, hash }]);
    }

    #[test]
    fn verified_bytes_are_not_written_over() {
        let bytes = contents(GROUP + 10);
        let mut bench = Bench::new(false, true);
        bench.offer(0, "a", 0..bytes.len() as u64);
        bench.expect_all(0, &bytes);
        bench.write(0, &bytes[..GROUP as usize]);
        assert_eq!(bench.write(5, &[0xee; 1000]), []);
        let mut last = vec![0xee; 20];
        last[10..].copy_from_slice(&bytes[GROUP as usize..]);
        let reports = bench.write(GROUP - 10, &last);
        assert_eq!(reports, [Report::Committed { index: 0, hash: Hash::of(&bytes) }]);
        assert!(fs::read(bench.path("a")).expect("there") == bytes);
        assert_eq!(bench.sink.owed, 0);
    }

    #[test]
    fn bytes_that_stay_wrong_fail_the_file() {
        for (can_repeat, tries) in [(true, MISMATCHES_MAX + 1), (false, 1)] {
            let mut bench = Bench::new(false, can_repeat);
            bench.offer(0, "a", 0..4);
            for attempt in 1..=tries {
                bench.expect_all(0, b"good");
                let reports = bench.write(0, b"evil");
                let failed = matches!(reports[..], [Report::Failed { ref failure, .. }]
                    if failure.reason == Reason::Integrity);
                assert_eq!(failed, attempt == tries, "{reports:?}");
            }
            assert!(!bench.path("a").exists() && bench.partials() == 0);
        }
    }

    #[test]
    fn a_wrong_root_fails_the_file() {
        let mut bench = Bench::new(false, true);
        bench.offer(0, "a", 0..4);
        bench.write(0, b"good");
        bench.run(Job::Expect { index: 0, first: 0, values: vec![Hash::of(b"good")] });
        let reports = bench.run(Job::ExpectRoot { index: 0, hash: Hash::of(b"evil") });
        assert!(matches!(&reports[..], [Report::Failed { failure, .. }]
            if failure.reason == Reason::Integrity));
        assert!(!bench.path("a").exists());
    }

    #[test]
    fn an_existing_target_is_refused_at_the_offer_and_at_the_commit() {
        let mut bench = Bench::new(false, true);
        fs::write(bench.path("a"), b"old").expect("written");
        let reports = bench.offer(0, "a", 0..4);
        assert!(matches!(&reports[..], [Report::Failed { failure, .. }]
            if failure.reason == Reason::Exists));
        bench.offer(1, "b", 4..8);
        fs::write(bench.path("b"), b"came in between").expect("written");
        bench.write(4, b"good");
        let reports = bench.expect_all(1, b"good");
        assert!(matches!(&reports[..], [Report::Failed { failure, .. }]
            if failure.reason == Reason::Exists));
        assert_eq!(fs::read(bench.path("b")).expect("there"), b"came in between");
    }

    #[test]
    fn overwriting_replaces_files_but_no_directory() {
        let mut bench = Bench::new(true, true);
        fs::write(bench.path("a"), b"old").expect("written");
        fs::create_dir(bench.path("d")).expect("made");
        bench.offer(0, "a", 0..3);
        bench.offer(1, "d", 3..6);
        bench.write(0, b"newnew");
        bench.expect_all(0, b"new");
        let reports = bench.expect_all(1, b"new");
        assert!(
            matches!(&reports[..], [Report::Failed { failure, .. }]
            if failure.reason == Reason::Exists),
            "{reports:?}"
        );
        assert_eq!(fs::read(bench.path("a")).expect("there"), b"new");
    }

    #[test]
    fn more_than_the_disk_holds_is_refused_at_the_offer() {
        let mut bench = Bench::new(false, true);
        let reports = bench.offer(0, "huge", 0..1 << 55);
        assert!(matches!(&reports[..], [Report::Failed { failure, .. }]
            if failure.reason == Reason::Full && failure.text.contains("free")));
    }

    #[test]
    fn a_sender_that_announces_too_much_loses_the_file() {
        let mut bench = Bench::new(false, true);
        bench.offer(0, "a", 0..4);
        let values = vec![Hash::of(b"x"), Hash::of(b"y")];
        let reports = bench.run(Job::Expect { index: 0, first: 0, values });
        assert!(matches!(reports[..], [Report::Failed { .. }]));
        assert_eq!(bench.write(0, b"late"), []);
    }

    #[test]
    fn what_is_not_committed_leaves_nothing() {
        let mut bench = Bench::new(false, true);
        bench.offer(0, "a", 0..4);
        bench.offer(1, "b", 4..8);
        bench.write(0, b"half");
        bench.run(Job::Forget { index: 0 });
        assert_eq!(bench.partials(), 1);
        let Bench { temp, sink } = bench;
        drop(sink);
        assert_eq!(fs::read_dir(temp.path()).expect("there").count(), 0);
    }
}
