//! A sink, job by job.

mod planning;

use super::super::entry::{Attributes, Kind, SourceId};
use super::super::hash::{group_range, group_value};
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
    Kind::File { size, is_sparse, attributes, source }
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
        let sink = Sink::new(directory, SinkPolicy { keeping, can_repeat }, 1);
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
    bench.sink.commits = Commits::new(bench.sink.maker.directory.clone(), keeping, 1);
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

/// A bench on which the groups of `there` have come and been written down, of a file with those contents.
fn interrupted(contents: &[u8], there: &[u64]) -> Bench {
    let mut bench = Bench::new(Existing::Refuse, true);
    let size = contents.len() as u64;
    bench.offer(0, "a", 0..size);
    bench.expect_all(0, contents);
    for group in there {
        let range = group_range(*group, size);
        bench.write(range.start, &contents[range.start as usize..range.end as usize]);
    }
    assert_eq!(bench.sink.checkpoint(), []);
    bench
}

fn kept(contents: &[u8], first: u64, count: u64) -> Report {
    let size = contents.len() as u64;
    let value = |group| {
        let range = group_range(group, size);
        group_value(group, &contents[range.start as usize..range.end as usize], size)
    };
    Report::Kept { index: 0, first, values: (first..first + count).map(value).collect() }
}

/// Sends what is missing, and sees that the file is whole.
fn go_on(bench: &mut Bench, contents: &[u8], missing: &[u64]) {
    let size = contents.len() as u64;
    let hash = Hash::of(contents);
    for group in missing {
        let range = group_range(*group, size);
        let part = &contents[range.start as usize..range.end as usize];
        let values = vec![group_value(*group, part, size)];
        assert_eq!(bench.run(Job::Expect { index: 0, first: *group, values }), []);
        assert_eq!(bench.write(range.start, part), []);
    }
    let reports = bench.run(Job::ExpectRoot { index: 0, hash });
    assert_eq!(reports, [Report::Committed { index: 0, hash }]);
    assert!(fs::read(bench.path("a")).expect("there") == contents);
    assert_eq!((bench.partials(), bench.sink.room.owed, bench.sink.maker.claims), (0, 0, 0));
}

#[test]
fn a_later_transfer_goes_on_where_the_earlier_one_ended() {
    let bytes = contents(5 * GROUP + 99);
    let mut bench = interrupted(&bytes, &[0, 1, 3]);
    bench.sink = bench.again();
    assert_eq!(bench.partials(), 2, "the bytes and the journal stay");
    let reports = bench.offer(0, "a", 0..bytes.len() as u64);
    let expected = [kept(&bytes, 0, 2), kept(&bytes, 3, 1), Report::Accepted { index: 0 }];
    assert_eq!(reports, expected);
    assert_eq!(bench.sink.room.owed, 2 * GROUP + 99);
    go_on(&mut bench, &bytes, &[2, 4, 5]);
}

#[test]
fn what_came_whole_but_for_its_name_needs_no_byte() {
    let bytes = contents(2 * GROUP);
    let mut bench = interrupted(&bytes[..], &[0]);
    bench.sink = bench.again();
    bench.offer(0, "a", 0..bytes.len() as u64);
    let part = &bytes[GROUP as usize..];
    bench.run(Job::Expect { index: 0, first: 1, values: vec![group_value(1, part, 2 * GROUP)] });
    bench.write(GROUP, part);
    bench.sink = bench.again();
    let reports = bench.offer(0, "a", 0..bytes.len() as u64);
    assert_eq!(reports, [kept(&bytes, 0, 2), Report::Accepted { index: 0 }]);
    go_on(&mut bench, &bytes, &[]);
}

/// The earlier one's peer may be gone without a word: nobody waits for it to be missed.
#[test]
fn a_later_transfer_takes_over_from_one_that_is_under_way() {
    let bytes = contents(3 * GROUP);
    let mut bench = interrupted(&bytes, &[0]);
    let next = bench.again();
    let mut earlier = std::mem::replace(&mut bench.sink, next);
    let mut batch = WriteBatch::default();
    // Not written down yet, but verified.
    batch.push(GROUP, &bytes[GROUP as usize..2 * GROUP as usize]);
    earlier.run(Job::Write(batch));
    let reports = bench.offer(0, "a", 0..bytes.len() as u64);
    assert_eq!(reports, [kept(&bytes, 0, 2), Report::Accepted { index: 0 }]);
    let mut batch = WriteBatch::default();
    batch.push(2 * GROUP, &[0xee; 1000]);
    let reports = earlier.run(Job::Write(batch));
    let Some(Report::Failed { failure, .. }) = reports.first() else { panic!("{reports:?}") };
    assert!(failure.text.contains("newer transfer"), "{}", failure.text);
    drop(earlier);
    go_on(&mut bench, &bytes, &[2]);
}

#[test]
fn what_was_changed_at_the_sender_is_never_mixed_with_what_was_there() {
    let bytes = contents(3 * GROUP);
    let size = bytes.len() as u64;
    for changed in ["source", "size"] {
        let mut bench = interrupted(&bytes, &[0, 1]);
        bench.sink = bench.again();
        let (source, size) = match changed {
            "source" => (SourceId([2; 16]), size),
            _ => (SourceId([1; 16]), size + 1),
        };
        let kind = Kind::File { size, is_sparse: false, attributes: PLAIN, source: Some(source) };
        assert_eq!(bench.offer_kind(0, "a", 0..size, kind), [Report::Accepted { index: 0 }]);
        bench.write(0, b"new");
        assert_eq!(bench.partials(), 2, "{changed}: the older one goes when the newer one comes");
    }
}

#[test]
fn bytes_that_proved_wrong_are_not_kept() {
    let bytes = contents(2 * GROUP);
    let mut bench = interrupted(&bytes, &[0]);
    bench.sink = bench.again();
    bench.offer(0, "a", 0..2 * GROUP);
    let part = &bytes[GROUP as usize..];
    bench.run(Job::Expect { index: 0, first: 1, values: vec![group_value(1, part, 2 * GROUP)] });
    bench.write(GROUP, part);
    let reports = bench.run(Job::ExpectRoot { index: 0, hash: Hash::of(b"evil") });
    assert!(failed(&reports, Reason::Integrity), "{reports:?}");
    assert_eq!(bench.partials(), 0);
}

#[test]
fn a_receiver_that_starts_again_keeps_what_can_be_gone_on_with_and_nothing_else() {
    let bytes = contents(2 * GROUP + 7);
    let mut bench = interrupted(&bytes, &[1]);
    bench.offer(1, "small", 2 * GROUP + 7..2 * GROUP + 10);
    bench.write(2 * GROUP + 7, b"ab");
    assert_eq!(bench.partials(), 3);
    // What a receiver leaves that is killed.
    let killed = tempfile::tempdir().expect("room");
    let area = super::super::name::PARTIAL_AREA;
    fs::create_dir(killed.path().join(area)).expect("made");
    for entry in fs::read_dir(bench.path(area)).expect("there") {
        let entry = entry.expect("readable");
        let copy = killed.path().join(area).join(entry.file_name());
        fs::copy(entry.path(), copy).expect("room");
    }
    let directory = Directory::open(killed.path()).expect("writable");
    assert_eq!(directory.waiting().files, 1);
    assert_eq!(fs::read_dir(killed.path().join(area)).expect("there").count(), 2);
}

/// What became of an offered file under whose name something is, and what is there then.
fn met(existing: Existing, there: &[u8], offered: &[u8]) -> (Vec<Report>, Bench) {
    let mut bench = Bench::new(existing, true);
    fs::write(bench.path("a.txt"), there).expect("written");
    let mut reports = bench.offer(0, "a.txt", 0..offered.len() as u64);
    // What came with the first flight.
    reports.extend(bench.write(0, offered));
    reports.extend(bench.expect_all(0, offered));
    if reports.iter().any(|report| matches!(report, Report::Again(_))) {
        reports.extend(bench.write(0, offered));
    }
    (reports, bench)
}

#[test]
fn what_is_the_same_is_left_as_it_is() {
    let bytes = contents(GROUP + 5);
    let hash = Hash::of(&bytes);
    for existing in [Existing::Refuse, Existing::Overwrite, Existing::Rename] {
        let (reports, bench) = met(existing, &bytes, &bytes);
        let expected = [
            Report::Prove { index: 0 },
            Report::Accepted { index: 0 },
            Report::Same { index: 0, hash },
        ];
        assert_eq!(reports, expected, "{existing:?}");
        assert_eq!(fs::read_dir(bench.temp.path()).expect("there").count(), 2);
    }
    let (reports, _) = met(Existing::Refuse, b"", b"");
    let hash = Hash::of(b"");
    assert_eq!(reports, [Report::Accepted { index: 0 }, Report::Same { index: 0, hash }]);
}

#[test]
fn what_differs_is_refused_replaced_left_or_kept_beside_it() {
    for (there, offered) in [(&b"old"[..], &b"new"[..]), (b"older", b"new")] {
        let read = |bench: &Bench, name| fs::read(bench.path(name)).expect("there");
        let (reports, bench) = met(Existing::Refuse, there, offered);
        assert!(failed(&reports[reports.len() - 1..], Reason::Exists), "{reports:?}");
        assert_eq!(read(&bench, "a.txt"), there);
        let (reports, bench) = met(Existing::Overwrite, there, offered);
        assert!(matches!(reports[..], [.., Report::Committed { .. }]), "{reports:?}");
        assert_eq!(read(&bench, "a.txt"), offered);
        let (reports, bench) = met(Existing::Skip, there, offered);
        assert_eq!(reports, [Report::Left { index: 0 }]);
        assert_eq!(read(&bench, "a.txt"), there);
        let (reports, bench) = met(Existing::Rename, there, offered);
        let path = TreePath::parse("a-1.txt").expect("a path");
        assert!(reports.contains(&Report::Renamed { index: 0, path }), "{reports:?}");
        assert!(matches!(reports[..], [.., Report::Committed { .. }]), "{reports:?}");
        assert_eq!((&read(&bench, "a.txt")[..], &read(&bench, "a-1.txt")[..]), (there, offered));
    }
}

/// What the sender says while both are compared it does not say again.
#[test]
fn what_was_told_during_a_comparison_is_known_after_it() {
    let (there, offered) = (contents(2 * GROUP), vec![9; 2 * GROUP as usize]);
    let mut bench = Bench::new(Existing::Overwrite, true);
    fs::write(bench.path("a"), &there).expect("written");
    let wanted = Some((TreePath::parse("a").expect("a path"), file(2 * GROUP, false, PLAIN)));
    bench.sink.run(Job::Offer { index: 0, wanted, range: 0..2 * GROUP });
    let values = offered.chunks(GROUP as usize).zip(0..);
    let values = values.map(|(part, group)| group_value(group, part, 2 * GROUP)).collect();
    bench.sink.run(Job::Expect { index: 0, first: 0, values });
    bench.sink.run(Job::ExpectRoot { index: 0, hash: Hash::of(&offered) });
    bench.sink.rest();
    let reports = bench.write(0, &offered);
    let hash = Hash::of(&offered);
    assert_eq!(reports.last(), Some(&Report::Committed { index: 0, hash }), "{reports:?}");
}

#[test]
fn what_is_thrown_away_was_verified_and_leaves_nothing() {
    let mut bench = Bench::new(Existing::Refuse, true);
    fs::write(bench.path("a"), b"old").expect("written");
    bench.sink = Sink::new(
        bench.sink.maker.directory.clone(),
        SinkPolicy { keeping: Keeping { discards: true, ..Keeping::default() }, can_repeat: true },
        2,
    );
    let bytes = contents(GROUP + 5);
    let end = bytes.len() as u64;
    let reports = bench.offer_kind(0, "d", 0..0, directory());
    assert!(matches!(reports[..], [Report::Accepted { .. }, Report::Committed { .. }]));
    bench.offer(1, "a", 0..end);
    bench.write(0, &vec![1; bytes.len()]);
    let reports = bench.expect_all(1, &bytes);
    assert!(reports.iter().any(|report| matches!(report, Report::Again(_))), "{reports:?}");
    let reports = bench.write(0, &bytes);
    assert_eq!(reports, [Report::Committed { index: 1, hash: Hash::of(&bytes) }]);
    let link = Kind::Link { target: "a".into() };
    bench.offer_kind(2, "l", end..end, link);
    bench.run(Job::Finish);
    assert_eq!(fs::read(bench.path("a")).expect("there"), b"old");
    assert_eq!((bench.partials(), fs::read_dir(bench.temp.path()).expect("there").count()), (0, 2));
}

#[test]
fn what_is_complete_does_not_wait_for_a_comparison_to_end() {
    let there = contents(40 * GROUP);
    let mut bench = Bench::new(Existing::Refuse, true);
    fs::write(bench.path("long"), &there).expect("written");
    let wanted = Some((TreePath::parse("long").expect("a path"), file(40 * GROUP, false, PLAIN)));
    bench.sink.run(Job::Offer { index: 0, wanted, range: 0..40 * GROUP });
    let wanted = Some((TreePath::parse("new").expect("a path"), file(3, false, PLAIN)));
    bench.sink.run(Job::Offer { index: 1, wanted, range: 40 * GROUP..40 * GROUP + 3 });
    let mut batch = WriteBatch::default();
    batch.push(40 * GROUP, b"abc");
    bench.sink.run(Job::Write(batch));
    let hash = Hash::of(b"abc");
    bench.sink.run(Job::ExpectRoot { index: 1, hash });
    assert_eq!(bench.sink.rest(), []);
    assert!(bench.sink.is_busy());
    assert_eq!(bench.sink.checkpoint(), [Report::Committed { index: 1, hash }]);
}

#[test]
fn over_a_stream_nothing_comes_before_it_is_wanted() {
    let mut bench = Bench::new(Existing::Overwrite, false);
    fs::write(bench.path("a"), b"old").expect("written");
    bench.offer(0, "a", 0..3);
    let reports = bench.write(0, b"new");
    assert!(failed(&reports, Reason::Other), "{reports:?}");
    assert_eq!(fs::read(bench.path("a")).expect("there"), b"old");
}

/// Who was cut off finds what he made, also after others have come and gone.
#[test]
fn the_directories_of_a_cut_off_transfer_are_not_forgotten_because_of_another() {
    use std::os::unix::fs::MetadataExt;
    let mut bench = Bench::new(Existing::Refuse, true);
    bench.offer_kind(0, "cut", 0..0, directory());
    bench.sink = bench.again();
    bench.offer_kind(0, "other", 0..0, directory());
    bench.run(Job::Finish);
    let directory_of = bench.sink.maker.directory.clone();
    bench.sink = Sink::new(directory_of, bench.sink.policy.clone(), 3);
    bench.offer_kind(0, "cut", 0..0, directory());
    bench.run(Job::Finish);
    for path in ["cut", "other"] {
        let metadata = fs::metadata(bench.path(path)).expect("there");
        assert_eq!((metadata.mtime(), metadata.mode() & 0o777), (1_000_000_000, 0o500), "{path}");
    }
    assert_eq!(bench.partials(), 0);
}

#[test]
fn one_that_was_given_another_name_before_is_found_under_it() {
    let mut bench = Bench::new(Existing::Rename, true);
    fs::write(bench.path("a.txt"), b"old").expect("written");
    fs::write(bench.path("a-1.txt"), b"new").expect("written");
    bench.offer(0, "a.txt", 0..3);
    let reports = bench.expect_all(0, b"new");
    let hash = Hash::of(b"new");
    assert_eq!(reports.last(), Some(&Report::Same { index: 0, hash }), "{reports:?}");
    assert!(!bench.path("a-2.txt").exists());
}

#[test]
fn where_an_earlier_transfer_wrote_something_else_zeros_are_no_hole() {
    let mut bytes = vec![0; 2 * GROUP as usize];
    bytes[..9].fill(7);
    let size = bytes.len() as u64;
    let mut bench = Bench::new(Existing::Refuse, false);
    bench.offer_kind(0, "a", 0..size, file(size, true, PLAIN));
    bench.expect_all(0, &bytes);
    bench.write(0, &bytes[..GROUP as usize]);
    // Not all of a group, so that nobody has noticed.
    bench.write(GROUP, &[0xee; 5000]);
    bench.sink = bench.again();
    let reports = bench.offer_kind(0, "a", 0..size, file(size, true, PLAIN));
    assert_eq!(reports, [kept(&bytes, 0, 1), Report::Accepted { index: 0 }]);
    go_on(&mut bench, &bytes, &[1]);
}

#[test]
fn what_has_its_name_already_is_not_gone_on_with() {
    let bytes = contents(2 * GROUP);
    let mut bench = interrupted(&bytes, &[0]);
    bench.sink = bench.again();
    // As a crash leaves it between the file's new name and the end of its old one.
    let area = bench.path(super::super::name::PARTIAL_AREA);
    let names = fs::read_dir(&area).expect("there").map(|entry| entry.expect("readable").path());
    let data = names.into_iter().find(|path| path.extension().is_some_and(|end| end == "part"));
    fs::hard_link(data.expect("it is kept"), bench.path("b")).expect("linked");
    let reports = bench.offer(0, "a", 0..bytes.len() as u64);
    assert_eq!(reports, [Report::Accepted { index: 0 }]);
    bench.write(0, &[0xee; 100]);
    assert_ne!(fs::read(bench.path("b")).expect("there")[..100], [0xee; 100]);
}

#[test]
fn a_journal_that_lost_its_file_is_in_nobodys_way() {
    let bytes = contents(2 * GROUP);
    let mut bench = interrupted(&bytes, &[0]);
    bench.sink = bench.again();
    let area = bench.path(super::super::name::PARTIAL_AREA);
    let names = fs::read_dir(&area).expect("there").map(|entry| entry.expect("readable").path());
    let data = names.into_iter().find(|path| path.extension().is_some_and(|end| end == "part"));
    fs::remove_file(data.expect("it is kept")).expect("there");
    let reports = bench.offer(0, "a", 0..bytes.len() as u64);
    assert_eq!(reports, [Report::Accepted { index: 0 }]);
    bench.write(0, &bytes[..GROUP as usize]);
    bench.run(Job::Expect {
        index: 0,
        first: 0,
        values: vec![group_value(0, &bytes[..GROUP as usize], 2 * GROUP)],
    });
    assert_eq!(bench.sink.checkpoint(), []);
    assert_eq!(bench.partials(), 2);
    go_on(&mut bench, &bytes, &[1]);
}

#[test]
fn a_file_of_which_nothing_is_verified_does_not_wait() {
    let mut bench = Bench::new(Existing::Refuse, true);
    bench.offer(0, "a", 0..2 * GROUP);
    bench.write(0, b"beginning");
    let killed = tempfile::tempdir().expect("room");
    let area = super::super::name::PARTIAL_AREA;
    fs::create_dir(killed.path().join(area)).expect("made");
    for entry in fs::read_dir(bench.path(area)).expect("there") {
        let entry = entry.expect("readable");
        fs::copy(entry.path(), killed.path().join(area).join(entry.file_name())).expect("room");
    }
    let directory = Directory::open(killed.path()).expect("writable");
    assert_eq!(directory.waiting().files, 0);
    assert_eq!(fs::read_dir(killed.path().join(area)).expect("there").count(), 0);
}
