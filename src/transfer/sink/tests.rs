//! A sink, job by job.

mod beside;
mod existing;
mod going_on;
mod planning;

use super::super::disk::{Call, Disk};
use super::super::entry::{Attributes, Kind, SourceId};
use super::super::hash::{group_range, group_value};
use super::super::holes::Holes;
use super::super::job::WriteBatch;
use super::super::keeping::Existing;
use super::super::name::TreePath;
use super::verifying::MISMATCHES_MAX;
use super::*;
use std::fs;
use std::ops::Range;
use std::path::PathBuf;

const PLAIN: Attributes = Attributes { mode: 0o644, seconds: 1_000_000_000, nanoseconds: 5 };

fn file(size: u64, is_sparse: bool, attributes: Attributes) -> Kind {
    let source = Kind::is_identified(size).then_some(SourceId([1; 16]));
    let holes = is_sparse.then(Holes::default);
    Kind::File { size, holes, attributes, source }
}

struct Bench {
    temp: tempfile::TempDir,
    sink: Sink,
}

impl Bench {
    fn new(existing: Existing, can_repeat: bool) -> Self {
        let temp = tempfile::tempdir().expect("a directory");
        let directory = Arc::new(Directory::open(temp.path()).expect("writable"));
        let keeping = Keeping { existing, ..Keeping::default() };
        let sink =
            Sink::new(directory, SinkPolicy { keeping, can_repeat, ..SinkPolicy::default() }, 1);
        Self { temp, sink }
    }

    fn offer(&mut self, index: u32, path: &str, range: Range<u64>) -> Vec<Report> {
        let size = range.end - range.start;
        self.offer_kind(index, path, range, file(size, false, PLAIN))
    }

    fn offer_kind(&mut self, index: u32, path: &str, range: Range<u64>, kind: Kind) -> Vec<Report> {
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

    /// Another transfer into the same directory.
    fn again(&self) -> Sink {
        Sink::new(self.sink.maker.directory.clone(), self.sink.policy.clone(), 2)
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
        let mut bench = Bench::new(Existing::Refuse, true);
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
    let mut bench = Bench::new(Existing::Refuse, true);
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
    let mut bench = Bench::new(Existing::Refuse, true);
    bench.offer(0, "a", 0..4);
    bench.expect_all(0, b"good");
    assert_eq!(bench.write(0, b"gobd"), [Report::Again(0..4)]);
    assert!(!bench.path("a").exists());
    let hash = Hash::of(b"good");
    assert_eq!(bench.write(0, b"good"), [Report::Committed { index: 0, hash }]);
}

/// A file that is complete but for its name, and whose bytes on the disk change before it gets that.
fn spoilt_before_its_name(verify: bool) -> (Bench, Vec<Report>) {
    let mut bench = Bench::new(Existing::Refuse, true);
    let keeping = Keeping { verify, ..Keeping::default() };
    bench.sink.commits =
        Commits::new(bench.sink.maker.directory.clone(), keeping, Owner::default());
    for (index, path) in [(0, "bad"), (1, "good")] {
        let wanted = Some((TreePath::parse(path).expect("a path"), file(4, false, PLAIN)));
        let range = u64::from(index) * 4..u64::from(index) * 4 + 4;
        bench.sink.run(Job::Offer { index, wanted, range });
    }
    let mut batch = WriteBatch::default();
    batch.push(0, b"goodgood");
    bench.sink.run(Job::Write(batch));
    for index in 0..2 {
        let reports = bench.sink.run(Job::ExpectRoot { index, hash: Hash::of(b"good") });
        assert!(matches!(reports[..], [Report::Done { .. }]), "{reports:?}");
    }
    let partial = format!("{}/{:016x}-0", super::super::name::PARTIAL_AREA, 1);
    fs::write(bench.path(&partial), b"evil").expect("it is there");
    let reports = bench.sink.rest();
    (bench, reports)
}

#[test]
fn what_the_disk_has_changed_is_found_where_it_is_read_back() {
    let (bench, reports) = spoilt_before_its_name(true);
    let [Report::Failed { index: 0, failure }, Report::Committed { index: 1, .. }] = &reports[..]
    else {
        panic!("{reports:?}")
    };
    assert_eq!(failure.reason, Reason::Integrity);
    assert!(failure.text.contains("read back") && failure.text.contains("\"bad\""), "{failure}");
    assert!(!bench.path("bad").exists() && bench.partials() == 0);
    assert_eq!(fs::read(bench.path("good")).expect("there"), b"good");
    // Only then: what was verified on its way is not read once more.
    let (bench, reports) = spoilt_before_its_name(false);
    assert!(matches!(reports[..], [Report::Committed { .. }, Report::Committed { .. }]));
    assert_eq!(fs::read(bench.path("bad")).expect("there"), b"evil");
}

#[test]
fn verified_bytes_are_not_written_over() {
    let bytes = contents(GROUP + 10);
    let mut bench = Bench::new(Existing::Refuse, true);
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
        let mut bench = Bench::new(Existing::Refuse, can_repeat);
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
    let mut bench = Bench::new(Existing::Refuse, true);
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
    let mut bench = Bench::new(Existing::Refuse, true);
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
    let mut bench = Bench::new(Existing::Overwrite, true);
    fs::write(bench.path("a"), b"older").expect("written");
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
    let mut bench = Bench::new(Existing::Refuse, true);
    let reports = bench.offer(0, "huge", 0..1 << 55);
    assert!(matches!(&reports[..], [Report::Failed { failure, .. }]
        if failure.reason == Reason::Full && failure.text.contains("free")));
}

#[test]
fn a_sender_that_announces_too_much_loses_the_file() {
    let mut bench = Bench::new(Existing::Refuse, true);
    bench.offer(0, "a", 0..4);
    let values = vec![Hash::of(b"x"), Hash::of(b"y")];
    let reports = bench.run(Job::Expect { index: 0, first: 0, values });
    assert!(matches!(reports[..], [Report::Failed { .. }]));
    assert_eq!(bench.write(0, b"late"), []);
}

#[test]
fn what_is_not_committed_leaves_nothing() {
    let mut bench = Bench::new(Existing::Refuse, true);
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
    let mut bench = Bench::new(Existing::Refuse, true);
    fs::create_dir(bench.path("old")).expect("made");
    for (index, path) in [(0, "old"), (1, "old/new"), (2, "old/new/deep")] {
        let reports = bench.offer_kind(index, path, 0..0, directory());
        let hash = Hash::of(b"");
        assert_eq!(reports, [Report::Accepted { index }, Report::Committed { index, hash }]);
    }
    let attributes = Attributes { mode: 0o440, ..PLAIN };
    let kind = file(3, false, attributes);
    bench.offer_kind(3, "old/new/deep/file", 0..3, kind);
    bench.write(0, b"abc");
    bench.expect_all(3, b"abc");
    assert_eq!(bench.run(Job::Finish), [Report::Finished]);
    for (path, mode) in [("old/new", 0o500), ("old/new/deep", 0o500), ("old/new/deep/file", 0o440)]
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
    let mut bench = Bench::new(Existing::Overwrite, true);
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
    let mut bench = Bench::new(Existing::Refuse, true);
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
    let mut bench = Bench::new(Existing::Refuse, true);
    let kind = file(size, true, PLAIN);
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
fn for_a_hole_that_does_not_travel_zeros_are_hashed() {
    let size = 5 * GROUP + 77;
    let hole = GROUP / 2..size - 77;
    let mut bytes = vec![0; size as usize];
    bytes[..GROUP as usize / 2].fill(7);
    bytes[hole.end as usize..].fill(9);
    for lie in [false, true] {
        let mut bench = Bench::new(Existing::Refuse, true);
        let holes = Holes::new(size, [hole.clone()]);
        let Kind::File { attributes, source, .. } = file(size, true, PLAIN) else {
            panic!("it is")
        };
        let kind = Kind::File { size, holes, attributes, source };
        bench.offer_kind(0, "hollow", 0..GROUP / 2 + 77, kind);
        bench.write(0, &bytes[..GROUP as usize / 2]);
        bench.write(GROUP / 2, &bytes[hole.end as usize..]);
        // What a sender says of a hole is not even looked at.
        bench.run(Job::Expect { index: 0, first: 2, values: vec![Hash([1; 32])] });
        bytes[hole.start as usize] = u8::from(lie);
        let mut reports = bench.expect_all(0, &bytes);
        reports.extend(bench.sink.rest());
        if lie {
            assert!(!bench.path("hollow").exists() && !reports.is_empty());
        } else {
            assert!(fs::read(bench.path("hollow")).expect("there") == bytes, "{reports:?}");
        }
        assert!(lie || bench.sink.files.is_empty());
    }
}

#[test]
fn holes_need_no_room() {
    let mut bench = Bench::new(Existing::Refuse, true);
    let sparse = |size| file(size, true, PLAIN);
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
    let mut bench = Bench::new(Existing::Refuse, true);
    let mut reports = Vec::new();
    for index in 0..100u32 {
        let at = u64::from(index);
        let kind = file(1, false, PLAIN);
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
