//! Transfers that go on where an earlier one ended.

use super::super::super::journal::{Journal, Key};
use super::*;

/// A bench on which the groups of `there` have come and been written down, of a file with those contents.
pub(super) fn interrupted(contents: &[u8], there: &[u64]) -> Bench {
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
        let kind = Kind::File { size, holes: None, attributes: PLAIN, source: Some(source) };
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
    let area = super::super::super::name::PARTIAL_AREA;
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
    let area = bench.path(super::super::super::name::PARTIAL_AREA);
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
    let area = bench.path(super::super::super::name::PARTIAL_AREA);
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
    let area = super::super::super::name::PARTIAL_AREA;
    fs::create_dir(killed.path().join(area)).expect("made");
    for entry in fs::read_dir(bench.path(area)).expect("there") {
        let entry = entry.expect("readable");
        fs::copy(entry.path(), killed.path().join(area).join(entry.file_name())).expect("room");
    }
    let directory = Directory::open(killed.path()).expect("writable");
    assert_eq!(directory.waiting().files, 0);
    assert_eq!(fs::read_dir(killed.path().join(area)).expect("there").count(), 0);
}

/// Tells the values of all groups, or only of the last, and the hash, and sees what comes of it.
fn compared(bench: &mut Bench, contents: &[u8], tells_values: bool) -> Vec<Report> {
    let mut reports = match tells_values {
        true => bench.expect_all(0, contents),
        false => {
            let size = contents.len() as u64;
            let first = group_count(size) - 1;
            let part = &contents[group_range(first, size).start as usize..];
            let values = vec![group_value(first, part, size)];
            let mut reports = bench.run(Job::Expect { index: 0, first, values });
            reports.extend(bench.run(Job::ExpectRoot { index: 0, hash: Hash::of(contents) }));
            reports
        }
    };
    while bench.sink.is_busy() {
        reports.extend(bench.sink.rest());
    }
    reports
}

/// The only file in the partial area whose name ends so.
fn in_area(bench: &Bench, end: &str) -> PathBuf {
    let area = bench.path(super::super::super::name::PARTIAL_AREA);
    let mut names = fs::read_dir(area).expect("there").map(|entry| entry.expect("readable").path());
    names.find(|path| path.extension().is_some_and(|found| found == end)).expect("it is kept")
}

/// What is done to what waits: to the bytes, or to what was written down of them.
fn spoil(bench: &Bench, how: &str, size: u64) {
    let data = in_area(bench, "part");
    match how {
        "a flipped bit" => {
            let mut bytes = fs::read(&data).expect("there");
            bytes[GROUP as usize + 77] ^= 1;
            fs::write(data, bytes).expect("ours");
        }
        "a lost end" => {
            let file = fs::File::options().write(true).open(data).expect("ours");
            file.set_len(GROUP + 5).expect("ours");
        }
        _ => {
            let key = Key::new(&TreePath::parse("a").expect("a path"), SourceId([1; 16]));
            let path = in_area(bench, "journal");
            let file = fs::File::options().read(true).write(true).open(path).expect("ours");
            file.set_len(0).expect("ours");
            let file = OpenedFile::new(file, "journal", &Disk::default());
            let mut journal = Journal::begin(file, key, size).expect("room");
            let groups: Vec<_> = (0..group_count(size)).map(|at| (at, Hash::of(b"lie"))).collect();
            journal.append(&groups).expect("room");
        }
    }
}

/// Sends the groups of which the sink said that they are not what they were said to be, and sees that then the
/// file is whole.
fn come_again(bench: &mut Bench, contents: &[u8], reports: &[Report]) {
    let size = contents.len() as u64;
    let mut last = Vec::new();
    assert!(!reports.is_empty());
    for report in reports {
        let Report::Changed { index: 0, group } = report else { panic!("{reports:?}") };
        assert_eq!(last, []);
        let range = group_range(*group, size);
        last = bench.write(range.start, &contents[range.start as usize..range.end as usize]);
    }
    assert_eq!(last, [Report::Committed { index: 0, hash: Hash::of(contents) }]);
    assert!(fs::read(bench.path("a")).expect("there") == contents);
    assert_eq!((bench.partials(), bench.sink.room.owed, bench.sink.maker.claims), (0, 0, 0));
}

#[test]
fn what_waits_is_a_claim_and_wrong_bytes_never_get_a_name() {
    let bytes = contents(3 * GROUP + 9);
    for how in ["a flipped bit", "a lost end", "a journal that claims what is not there"] {
        for tells_values in [true, false] {
            let mut bench = interrupted(&bytes, &[0, 1, 2]);
            bench.sink = bench.again();
            spoil(&bench, how, bytes.len() as u64);
            bench.offer(0, "a", 0..bytes.len() as u64);
            let mut reports = bench.write(3 * GROUP, &bytes[3 * GROUP as usize..]);
            reports.extend(compared(&mut bench, &bytes, tells_values));
            // The last group, which that journal claims as well, is told in any case.
            if tells_values || how.starts_with("a journal") {
                come_again(&mut bench, &bytes, &reports);
                continue;
            }
            assert!(failed(&reports, Reason::Integrity), "{how}: {reports:?}");
            assert_eq!((bench.partials(), bench.path("a").exists()), (0, false), "{how}");
            // The next time it begins anew.
            bench.sink = bench.again();
            let reports = bench.offer(0, "a", 0..bytes.len() as u64);
            assert_eq!(reports, [Report::Accepted { index: 0 }]);
            bench.write(0, &bytes);
            let reports = compared(&mut bench, &bytes, true);
            assert_eq!(reports, [Report::Committed { index: 0, hash: Hash::of(&bytes) }]);
        }
    }
}

/// Whoever has the name and the source id of a file can leave something under both.
#[test]
fn a_strangers_partial_file_is_not_taken_for_ours() {
    let (theirs, ours) = (vec![9; 2 * GROUP as usize], contents(2 * GROUP));
    for tells_values in [true, false] {
        let mut bench = interrupted(&theirs, &[0]);
        bench.sink = bench.again();
        let reports = bench.offer(0, "a", 0..2 * GROUP);
        assert_eq!(reports, [kept(&theirs, 0, 1), Report::Accepted { index: 0 }]);
        let mut reports = bench.write(GROUP, &ours[GROUP as usize..]);
        reports.extend(compared(&mut bench, &ours, tells_values));
        if tells_values {
            come_again(&mut bench, &ours, &reports);
            continue;
        }
        assert!(failed(&reports, Reason::Integrity), "{reports:?}");
        assert_eq!((bench.partials(), bench.path("a").exists()), (0, false));
    }
}

/// An error of the system is no answer: there may well be something, and it is not begun anew beside it.
#[test]
fn what_cannot_be_looked_for_is_told_and_not_taken_for_missing() {
    let bytes = contents(2 * GROUP);
    for (end, is_plan) in
        [(".part", false), (".journal", false), (".part", true), (".journal", true)]
    {
        let mut bench = interrupted(&bytes, &[0]);
        let disk = Disk::watched(Arc::new(move |call: &Call<'_>| match call {
            Call::Look(path) if path.ends_with(end) => Err(io::ErrorKind::PermissionDenied.into()),
            _ => Ok(()),
        }));
        bench.sink = bench.again();
        let directory = Directory::open_on(disk, bench.temp.path()).expect("writable");
        let mut other = Sink::new(Arc::new(directory), bench.sink.policy.clone(), 3);
        if is_plan {
            other.run(Job::Plan);
        }
        let wanted = Some((TreePath::parse("a").expect("a path"), file(2 * GROUP, false, PLAIN)));
        let reports = other.run(Job::Offer { index: 0, wanted, range: 0..2 * GROUP });
        let told = reports.iter().any(|report| {
            matches!(report, Report::Failed { failure, .. } if failure.text.contains("denied"))
        });
        assert!(told, "{end}, {is_plan}: {reports:?}");
        drop(other);
        let reports = bench.offer(0, "a", 0..2 * GROUP);
        assert_eq!(reports, [kept(&bytes, 0, 1), Report::Accepted { index: 0 }]);
    }
}
