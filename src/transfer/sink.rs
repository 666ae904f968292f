//! Where received bytes go: written, verified group by group, committed. Blocks on the disk; whoever
//! must not, runs it on a thread of its own and passes [`Job`]s and [`Report`]s.

use super::commit::{Commits, storage_failure};
use super::directory::Directory;
use super::entry::Kind;
use super::hash::{GROUP, Hash, group_count, group_range, group_value};
use super::incoming::{Incoming, OpenFile, Room, handle_of, within};
use super::job::{Job, Report};
use super::name::TreePath;
use super::open_files::OpenFiles;
use super::outcome::{Failure, Reason};
use super::positioned::read_exact_at;
use super::tree::dress;
use super::window::Window;
use crate::base::range_set::RangeSet;
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

/// The entries of one transfer on their way into a directory.
#[derive(Debug)]
pub struct Sink {
    directory: Arc<Directory>,
    policy: SinkPolicy,
    /// Keeps this transfer's partial files apart from others'.
    token: u64,
    /// The entries under way, and some that are over.
    files: Window<Incoming>,
    commits: Commits,
    /// Bytes of the transfer space that are in their files; of those under way.
    written: RangeSet,
    /// Bytes written in all.
    total: u64,
    /// Where the transfer space ends so far.
    offered: u64,
    room: Room,
    reports: Vec<Report>,
    /// Of the partial files, by index.
    handles: OpenFiles,
    /// For reading a group back.
    scratch: Vec<u8>,
}

impl Sink {
    /// A sink into `directory`.
    #[must_use]
    pub fn new(directory: Arc<Directory>, policy: SinkPolicy, token: u64) -> Self {
        Self {
            commits: Commits::new(directory.clone(), policy.overwrite),
            directory,
            policy,
            token,
            files: Window::default(),
            written: RangeSet::new(),
            total: 0,
            offered: 0,
            room: Room::default(),
            reports: Vec::new(),
            handles: OpenFiles::default(),
            scratch: Vec::new(),
        }
    }

    /// Does a job and says what came of it. Some of it may come of a later job, or of the next
    /// [`Sink::rest`].
    pub fn run(&mut self, job: Job) -> Vec<Report> {
        let mut bytes = 0;
        match job {
            Job::Expect { index, first, values } => self.expect(index, first, &values),
            Job::ExpectRoot { index, hash } => self.expect_root(index, hash),
            Job::Finish => {
                self.commits.commit(&mut self.reports);
                self.commits.finish();
                self.reports.push(Report::Finished);
            }
            Job::Forget { index } => self.forget(index),
            Job::Offer { index, wanted, range } => self.offer(index, wanted, range),
            Job::Write(batch) => {
                bytes = batch.len();
                batch.pieces().for_each(|(offset, piece)| self.write(offset, piece));
            }
        }
        if self.commits.is_full() {
            self.commits.commit(&mut self.reports);
        }
        self.files.forget(|file| file.open.is_none());
        let kept = self.files.iter().next().map_or(self.offered, |file| file.range.start);
        self.written.remove_below(kept);
        self.reports.push(Report::Done { bytes, total: self.total });
        std::mem::take(&mut self.reports)
    }

    /// There is nothing else to do: commits what is complete.
    pub fn rest(&mut self) -> Vec<Report> {
        self.commits.commit(&mut self.reports);
        std::mem::take(&mut self.reports)
    }

    /// How many separate ranges of bytes are in their files, of those under way.
    #[must_use]
    pub fn written_ranges(&self) -> usize {
        self.written.len()
    }

    fn open_file(&mut self, index: u32) -> Option<&mut OpenFile> {
        self.files.get_mut(index)?.open.as_mut()
    }

    fn offer(&mut self, index: u32, wanted: Option<(TreePath, Kind)>, range: Range<u64>) {
        debug_assert_eq!(index, self.files.next(), "offers come in order");
        self.offered = range.end;
        let size = range.end - range.start;
        self.files.push(Incoming { range, open: None });
        let Some((path, kind)) = wanted else { return };
        if let Err(failure) = self.begin(index, path, kind) {
            return self.reports.push(Report::Failed { index, failure });
        }
        self.reports.push(Report::Accepted { index });
        if let Some(open) = self.open_file(index).filter(|_| size == 0) {
            open.whole = Some(Hash::of(b""));
            self.expect_root(index, Hash::of(b""));
            self.verify_group(index, 0);
        }
    }

    fn begin(&mut self, index: u32, path: TreePath, kind: Kind) -> Result<(), Failure> {
        let (size, is_sparse, attributes) = match kind {
            Kind::Directory { attributes } => {
                return self.commits.directory(index, path, attributes);
            }
            Kind::Link { target } => {
                self.commits.check_free(&path)?;
                let partial = self.directory.create_partial_link(self.token, index, &target);
                let partial = partial.map_err(|error| storage_failure(&path, &error))?;
                self.commits.link(index, path, partial, &target);
                return Ok(());
            }
            Kind::File { size, is_sparse, attributes } => (size, is_sparse, attributes),
        };
        self.commits.check_free(&path)?;
        // How much of it is holes shows when it is written.
        if !is_sparse {
            self.room.owe(&self.directory, &path, size)?;
        }
        let file = self.files.get_mut(index).expect("just pushed");
        file.open = Some(OpenFile::new(path, attributes, is_sparse));
        Ok(())
    }

    /// Writes bytes that may belong to several files; those of files that are over are dropped.
    fn write(&mut self, mut offset: u64, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let index = self.files.partition_point(|file| file.range.end <= offset);
            let Some(file) = self.files.get(index) else {
                return;
            };
            // Bytes in front of the first file belong to files that are over.
            let end = if offset < file.range.start { file.range.start } else { file.range.end };
            let len = usize::try_from(end - offset).unwrap_or(usize::MAX).min(bytes.len());
            let (part, rest) = bytes.split_at(len);
            if offset >= file.range.start && file.open.is_some() {
                self.write_part(index, offset, part);
            }
            offset += len as u64;
            bytes = rest;
        }
    }

    /// Writes bytes of one file.
    fn write_part(&mut self, index: u32, offset: u64, part: &[u8]) {
        let file = self.files.get_mut(index).expect("its caller has seen it");
        let range = offset..offset + part.len() as u64;
        let (start, size) = (file.range.start, file.range.end - file.range.start);
        let open = file.open.as_mut().expect("its caller has seen it");
        let is_whole = range == file.range && size <= GROUP && open.partial.is_none();
        let Self { directory, handles, written, token, .. } = self;
        // What is written may be verified already: it is not written again.
        let mut gaps = written.gaps(range.clone());
        let done = handle_of(handles, directory, index, *token, open, size).and_then(|handle| {
            gaps.try_for_each(|gap| {
                let part = &part[within(offset, &gap)];
                open.put(handle, part, gap.start - start)
            })?;
            if is_whole { dress(handle, open.attributes, 0o600) } else { Ok(()) }
        });
        drop(gaps);
        if let Err(error) = done {
            let failure = storage_failure(&open.path, &error);
            return self.fail(index, failure);
        }
        if is_whole {
            open.whole = Some(Hash::of(part));
            open.is_dressed = true;
            handles.close(index);
        }
        let fresh = written.insert(range.clone());
        self.room.owed -= open.owed_of(fresh);
        self.total += fresh;
        self.complete_groups(index, &range);
    }

    /// Checks the groups that the bytes just written may have completed.
    fn complete_groups(&mut self, index: u32, written: &Range<u64>) {
        let file = self.files.get(index).expect("its caller has seen it").range.clone();
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
        let Some(file) = self.files.get(index) else {
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

    fn expect_root(&mut self, index: u32, hash: Hash) {
        let Some(file) = self.files.get_mut(index) else {
            return;
        };
        let size = file.range.end - file.range.start;
        let Some(open) = file.open.as_mut() else {
            return;
        };
        open.root = Some(hash);
        // The value of an only group is the hash of the file.
        if group_count(size) == 1 {
            self.expect(index, 0, &[hash]);
        }
        self.try_complete(index);
    }

    /// Compares a complete group with what the sender said: as it was handed to the disk, where the file
    /// came in one piece, else read back.
    fn verify_group(&mut self, index: u32, group: u64) {
        let file = self.files.get(index).expect("its caller has seen it").range.clone();
        let size = file.end - file.start;
        let Some(open) = self.open_file(index) else {
            return;
        };
        let Some(expected) = open.expected.get(&group).copied() else {
            open.complete.insert(group);
            return;
        };
        let range = group_range(group, size);
        let value = match open.whole.take() {
            Some(value) => Ok(value),
            None => self.read_back(index, &range).map(|()| group_value(group, &self.scratch, size)),
        };
        match value {
            Err(failure) => self.fail(index, failure),
            Ok(value) if value == expected => {
                let open = self.open_file(index).expect("open above");
                open.expected.remove(&group);
                open.verified.insert(group, value);
                while let Some(value) = open.verified.remove(&open.tree.count()) {
                    open.tree.push(value);
                }
                self.try_complete(index);
            }
            Ok(_) => self.on_mismatch(index, file.start + range.start..file.start + range.end),
        }
    }

    /// Reads part of a partial file into the scratch buffer.
    fn read_back(&mut self, index: u32, range: &Range<u64>) -> Result<(), Failure> {
        let Self { files, handles, directory, scratch, token, .. } = self;
        let file = files.get_mut(index).expect("only open files are read back");
        let size = file.range.end - file.range.start;
        let open = file.open.as_mut().expect("only open files are read back");
        scratch.resize(usize::try_from(range.end - range.start).expect("a group"), 0);
        let handle = handle_of(handles, directory, index, *token, open, size);
        let read = handle.and_then(|handle| read_exact_at(handle, scratch, range.start));
        read.map_err(|error| storage_failure(&open.path, &error))
    }

    fn on_mismatch(&mut self, index: u32, range: Range<u64>) {
        let can_repeat = self.policy.can_repeat;
        let Some(open) = self.open_file(index) else {
            return;
        };
        open.mismatches += 1;
        let is_sparse = open.is_sparse;
        if !can_repeat || open.mismatches > MISMATCHES_MAX {
            let path = &open.path;
            let text = format!("\"{path}\" arrived other than it was read; nothing of it is kept");
            return self.fail(index, Failure::new(Reason::Integrity, text));
        }
        // Perhaps it may not even be opened any more: it begins anew.
        if std::mem::take(&mut open.is_dressed)
            && let Some(partial) = open.partial.take()
        {
            self.directory.discard(&partial);
        }
        let lost = self.written.remove(&range);
        self.room.owed += if is_sparse { 0 } else { lost };
        self.total -= lost;
        self.reports.push(Report::Again(range));
    }

    fn try_complete(&mut self, index: u32) {
        let Some(file) = self.files.get_mut(index) else {
            return;
        };
        let size = file.range.end - file.range.start;
        let Some(open) = file.open.as_mut() else {
            return;
        };
        let (Some(root), true) = (open.root, open.tree.count() == group_count(size)) else {
            return;
        };
        let hash = open.tree.clone().root();
        if hash != root {
            let text =
                format!("the hash of \"{}\" is not the sender's; nothing of it is kept", open.path);
            return self.fail(index, Failure::new(Reason::Integrity, text));
        }
        let Self { directory, handles, token, .. } = self;
        let dressed = match open.is_dressed {
            true => Ok(()),
            false => handle_of(handles, directory, index, *token, open, size)
                .and_then(|handle| dress(handle, open.attributes, 0o600)),
        };
        handles.close(index);
        if let Err(error) = dressed {
            let failure = storage_failure(&open.path, &error);
            return self.fail(index, failure);
        }
        let open = file.open.take().expect("open above");
        let partial = open.partial.expect("it was opened");
        self.commits.file(index, open.path, partial, (size, hash));
    }

    fn fail(&mut self, index: u32, failure: Failure) {
        self.forget(index);
        self.reports.push(Report::Failed { index, failure });
    }

    fn forget(&mut self, index: u32) {
        let Some(file) = self.files.get_mut(index) else { return };
        if let Some(open) = file.open.take() {
            let missing = self.written.gaps(file.range.clone()).map(|gap| gap.end - gap.start);
            self.room.owed -= open.owed_of(missing.sum());
            self.handles.close(index);
            open.partial.iter().for_each(|partial| self.directory.discard(partial));
        }
    }
}

impl Drop for Sink {
    /// What is not committed is not kept.
    fn drop(&mut self) {
        for file in self.files.iter_mut() {
            if let Some(partial) = file.open.take().and_then(|open| open.partial) {
                self.directory.discard(&partial);
            }
        }
        self.commits.discard();
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::Attributes;
    use super::super::job::WriteBatch;
    use super::*;
    use std::fs;
    use std::path::PathBuf;

    const PLAIN: Attributes = Attributes { mode: 0o644, seconds: 1_000_000_000, nanoseconds: 5 };

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

        fn offer(&mut self, index: u32, path: &str, range: Range<u64>) -> Vec<Report> {
            let size = range.end - range.start;
            self.offer_kind(
                index,
                path,
                range,
                Kind::File { size, is_sparse: false, attributes: PLAIN },
            )
        }

        fn offer_kind(
            &mut self,
            index: u32,
            path: &str,
            range: Range<u64>,
            kind: Kind,
        ) -> Vec<Report> {
            let wanted = Some((TreePath::parse(path).expect("a path"), kind));
            self.run(Job::Offer { index, wanted, range })
        }

        /// What came of the job, beside its being done.
        fn run(&mut self, job: Job) -> Vec<Report> {
            let mut reports = self.sink.run(job);
            assert!(matches!(reports.pop(), Some(Report::Done { .. })), "the last report of each");
            reports.extend(self.sink.rest());
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
            fs::read_dir(area).map_or(0, Iterator::count)
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
        for (index, bytes) in [(0, &b"xyz"[..]), (2, b"uv")] {
            reports.extend(bench.expect_all(index, bytes));
        }
        assert_eq!(reports.len(), 2, "{reports:?}");
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
        assert_eq!(bench.sink.room.owed, 0);
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
        bench.write(0, b"new");
        bench.expect_all(0, b"new");
        let reports = bench.offer(1, "d", 3..6);
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
        bench.write(4, b"ha");
        assert_eq!(bench.partials(), 2);
        bench.run(Job::Forget { index: 0 });
        assert_eq!(bench.partials(), 1);
        let Bench { temp, sink } = bench;
        drop(sink);
        assert_eq!(fs::read_dir(temp.path()).expect("there").count(), 0);
    }

    fn directory() -> Kind {
        Kind::Directory { attributes: Attributes { mode: 0o500, ..PLAIN } }
    }

    fn failed(reports: &[Report], reason: Reason) -> bool {
        matches!(reports, [Report::Failed { failure, .. }] if failure.reason == reason)
    }

    #[test]
    fn a_tree_gets_its_attributes_and_only_what_was_made_here() {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};
        let mut bench = Bench::new(false, true);
        fs::create_dir(bench.path("old")).expect("made");
        for (index, path) in [(0, "old"), (1, "old/new"), (2, "old/new/deep")] {
            let reports = bench.offer_kind(index, path, 0..0, directory());
            let hash = Hash::of(b"");
            assert_eq!(reports, [Report::Accepted { index }, Report::Committed { index, hash }]);
        }
        let attributes = Attributes { mode: 0o440, ..PLAIN };
        let kind = Kind::File { size: 3, is_sparse: false, attributes };
        bench.offer_kind(3, "old/new/deep/file", 0..3, kind);
        bench.write(0, b"abc");
        bench.expect_all(3, b"abc");
        assert_eq!(bench.run(Job::Finish), [Report::Finished]);
        for (path, mode) in
            [("old/new", 0o500), ("old/new/deep", 0o500), ("old/new/deep/file", 0o440)]
        {
            let metadata = fs::metadata(bench.path(path)).expect("there");
            assert_eq!(metadata.permissions().mode() & 0o777, mode, "{path}");
            assert_eq!((metadata.mtime(), metadata.mtime_nsec()), (1_000_000_000, 5), "{path}");
        }
        let old = fs::metadata(bench.path("old")).expect("there");
        assert!(old.permissions().mode() & 0o200 != 0 && old.mtime() > 1_000_000_000);
    }

    #[test]
    fn nothing_is_written_through_a_link() {
        let mut bench = Bench::new(true, true);
        let outside = tempfile::tempdir().expect("a directory");
        std::os::unix::fs::symlink(outside.path(), bench.path("old link")).expect("linked");
        assert!(failed(&bench.offer(0, "old link/file", 0..3), Reason::Exists));
        assert!(failed(&bench.offer_kind(1, "old link/dir", 0..0, directory()), Reason::Exists));
        assert!(failed(&bench.offer_kind(2, "old link", 0..0, directory()), Reason::Exists));
        let target = outside.path().to_string_lossy().into_owned();
        bench.offer_kind(3, "dir", 0..0, directory());
        let link = Kind::Link { target: "../dir".into() };
        bench.offer_kind(4, "dir/link", 0..0, link);
        assert_eq!(fs::read_link(bench.path("dir/link")).expect("there"), PathBuf::from("../dir"));
        assert!(failed(&bench.offer(5, "dir/link/file", 0..3), Reason::Exists));
        assert_eq!(fs::read_dir(&target).expect("there").count(), 0);
    }

    #[test]
    fn a_file_without_its_directory_is_refused() {
        let mut bench = Bench::new(false, true);
        assert!(failed(&bench.offer(0, "nowhere/file", 0..3), Reason::Exists));
        bench.offer(1, "file", 3..6);
        bench.write(3, b"abc");
        bench.expect_all(1, b"abc");
        assert!(failed(&bench.offer(2, "file/below", 6..9), Reason::Exists));
    }

    #[test]
    fn holes_stay_holes() {
        use std::os::unix::fs::MetadataExt;
        let mut bytes = vec![0; 3 * GROUP as usize + 100];
        bytes[2_000_000..2_000_010].fill(7);
        let size = bytes.len() as u64;
        let mut bench = Bench::new(false, true);
        let kind = Kind::File { size, is_sparse: true, attributes: PLAIN };
        bench.offer_kind(0, "sparse", 0..size, kind);
        bench.expect_all(0, &bytes);
        for start in (0..bytes.len()).step_by(99_999) {
            bench.write(start as u64, &bytes[start..(start + 99_999).min(bytes.len())]);
        }
        assert!(fs::read(bench.path("sparse")).expect("there") == bytes);
        let blocks = fs::metadata(bench.path("sparse")).expect("there").blocks();
        assert!(blocks * 512 < 1 << 20, "{blocks} blocks");
        assert_eq!(bench.sink.room.owed, 0);
    }

    #[test]
    fn holes_need_no_room() {
        let mut bench = Bench::new(false, true);
        let sparse = |size| Kind::File { size, is_sparse: true, attributes: PLAIN };
        let huge = 3..3 + (1 << 55);
        bench.offer_kind(0, "wrong at first", 0..3, sparse(3));
        let reports = bench.offer_kind(1, "huge", huge.clone(), sparse(1 << 55));
        assert_eq!(reports, [Report::Accepted { index: 1 }]);
        let reports = bench.offer(2, "dense", huge.end..huge.end + 10);
        assert_eq!(reports, [Report::Accepted { index: 2 }]);
        bench.expect_all(0, b"abc");
        assert_eq!(bench.write(0, b"abd"), [Report::Again(0..3)]);
        assert_eq!(bench.sink.room.owed, 10);
        let hash = Hash::of(b"abc");
        assert_eq!(bench.write(0, b"abc"), [Report::Committed { index: 0, hash }]);
        bench.run(Job::Forget { index: 1 });
        assert_eq!(bench.sink.room.owed, 10);
        bench.run(Job::Forget { index: 2 });
        assert_eq!(bench.sink.room.owed, 0);
    }

    #[test]
    fn many_files_are_committed_together() {
        let mut bench = Bench::new(false, true);
        let mut reports = Vec::new();
        for index in 0..100u32 {
            let at = u64::from(index);
            let kind = Kind::File { size: 1, is_sparse: false, attributes: PLAIN };
            let wanted = Some((TreePath::parse(&format!("f{index}")).expect("a path"), kind));
            bench.sink.run(Job::Offer { index, wanted, range: at..at + 1 });
            let mut batch = WriteBatch::default();
            batch.push(at, b"x");
            bench.sink.run(Job::Write(batch));
            reports.extend(bench.sink.run(Job::ExpectRoot { index, hash: Hash::of(b"x") }));
        }
        let is_committed = |report: &Report| matches!(report, Report::Committed { .. });
        assert_eq!(reports.iter().filter(|report| is_committed(report)).count(), 0);
        assert!(!bench.path("f0").exists() && bench.partials() == 100);
        assert_eq!(bench.sink.rest().iter().filter(|report| is_committed(report)).count(), 100);
        assert_eq!(fs::read(bench.path("f99")).expect("there"), b"x");
        assert!(bench.sink.files.is_empty() && bench.sink.written.is_empty());
    }
}
