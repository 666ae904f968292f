//! A plan: what it says, that it changes nothing, and that a transfer does what it says.

use super::*;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

/// Bytes of a file that a later transfer can go on with, and of what has come of it.
const LONG: u64 = 3 * GROUP;
const COME: u64 = 2 * GROUP;

/// What is offered: a path, what of a file it holds, and where a link leads.
enum Offered {
    Directory(&'static str),
    File(&'static str, &'static str),
    Link(&'static str, &'static str),
}

use Offered::{Directory as Dir, File, Link};

/// Every case: what is offered, and what is said where what is there is to refuse it, to make room for it,
/// to stay beside it, and to stay in its place. `!` is a failure, `>` a replacement, `=` is the same, `-` is
/// left alone, `+` comes, under another name if one follows.
const CASES: [(Offered, [&str; 4]); 17] = [
    (File("new", "1"), ["+"; 4]),
    (File("same", "same"), ["=", "=", "=", "-"]),
    (File("empty", ""), ["=", "=", "=", "-"]),
    (File("other", "longer than that"), ["!", ">", "+other-2", "-"]),
    (File("of one size", "abc"), ["!", ">", "+of one size-1", "-"]),
    // Nothing has that name, until the one above gets it.
    (File("other-2", "x"), ["+", "+", "+other-2-1", "+"]),
    (File("directory", "1"), ["!", "!", "+directory-1", "-"]),
    (File("directory/new", "1"), ["+"; 4]),
    (File("link", "1"), ["!", ">", "+link-1", "-"]),
    (File("other/below", "1"), ["!"; 4]),
    (Dir("directory"), ["="; 4]),
    (Dir("made"), ["+"; 4]),
    (Dir("same"), ["!"; 4]),
    (File("made/new", "1"), ["+"; 4]),
    (Link("new link", "new"), ["+"; 4]),
    (Link("same link", "same"), ["=", "=", "=", "-"]),
    (Link("other link", "new"), ["!", ">", "+other link-1", "-"]),
];

const POLICIES: [Existing; 4] =
    [Existing::Refuse, Existing::Overwrite, Existing::Rename, Existing::Skip];

fn furnished(existing: Existing) -> Bench {
    let bench = Bench::new(existing, true);
    for (name, contents) in
        [("same", "same"), ("empty", ""), ("other", "1"), ("other-1", "1"), ("of one size", "ABC")]
    {
        fs::write(bench.path(name), contents).expect("room");
    }
    fs::create_dir(bench.path("directory")).expect("room");
    for link in ["link", "same link", "other link"] {
        symlink("same", bench.path(link)).expect("room");
    }
    bench
}

/// All that is below a directory, with all that changes when somebody touches it.
fn snapshot(below: &Path) -> Vec<String> {
    let mut all = Vec::new();
    let mut left = vec![below.to_owned()];
    while let Some(path) = left.pop() {
        let metadata = path.symlink_metadata().expect("there");
        let times =
            [metadata.mtime(), metadata.mtime_nsec(), metadata.ctime(), metadata.ctime_nsec()];
        all.push(format!("{path:?} {} {times:?} {}", metadata.ino(), metadata.len()));
        if metadata.is_dir() {
            left.extend(fs::read_dir(path).expect("ours").map(|entry| entry.expect("ours").path()));
        }
    }
    all.sort();
    all
}

/// What is said of one entry, in the signs of the cases.
fn sign(reports: &[Report]) -> String {
    let mut renamed = String::new();
    for report in reports {
        return match report {
            Report::Renamed { path, .. } => {
                renamed = path.to_string();
                continue;
            }
            Report::Would { replaces: true, .. } => format!(">{renamed}"),
            Report::Would { .. } | Report::Committed { .. } => format!("+{renamed}"),
            Report::Same { .. } => "=".into(),
            Report::Left { .. } => "-".into(),
            Report::Failed { failure, .. } => {
                assert_eq!(failure.reason, Reason::Exists, "{failure}");
                "!".into()
            }
            _ => continue,
        };
    }
    panic!("no outcome: {reports:?}")
}

/// Goes through all cases with a sink that was told so, or was not.
fn signs(bench: &mut Bench) -> Vec<String> {
    let mut start = 0;
    let mut all = Vec::new();
    for (index, (offered, _)) in (0..).zip(&CASES) {
        let (path, kind, contents) = match offered {
            Dir(path) => (path, Kind::Directory { attributes: PLAIN }, ""),
            File(path, contents) => (path, file(contents.len() as u64, false, PLAIN), *contents),
            Link(path, target) => (path, Kind::Link { target: (*target).into() }, ""),
        };
        let end = start + kind.layout().space();
        let mut reports = bench.offer_kind(index, path, start..end, kind);
        reports.extend(bench.expect_all(index, contents.as_bytes()));
        if !contents.is_empty() {
            reports.extend(bench.write(start, contents.as_bytes()));
        }
        all.push(sign(&reports));
        start = end;
    }
    all
}

#[test]
fn a_transfer_does_what_a_plan_says_and_a_plan_does_nothing() {
    for (column, existing) in POLICIES.into_iter().enumerate() {
        let mut bench = furnished(existing);
        let before = snapshot(bench.temp.path());
        bench.run(Job::Plan);
        let said = signs(&mut bench);
        bench.run(Job::Finish);
        assert_eq!(said, CASES.map(|(_, signs)| signs[column]), "{existing:?}");
        assert_eq!(snapshot(bench.temp.path()), before, "{existing:?}");
        bench.sink = bench.again();
        let done = signs(&mut bench);
        // What makes room is not told again, and a directory that is there counts as one that came.
        let told = said.iter().zip(&CASES).map(|(sign, (offered, _))| match offered {
            Dir(_) => sign.replace('=', "+"),
            File(..) | Link(..) => sign.replace('>', "+"),
        });
        let told: Vec<String> = told.collect();
        assert_eq!(done, told, "{existing:?}");
    }
}

#[test]
fn what_is_thrown_away_would_come() {
    let mut bench = furnished(Existing::Refuse);
    bench.sink.policy.keeping.discards = true;
    bench.run(Job::Plan);
    assert_eq!(signs(&mut bench), ["+"; CASES.len()]);
}

fn plan_long(sink: &mut Sink) -> Vec<Report> {
    sink.run(Job::Plan);
    let wanted = Some((TreePath::parse("long").expect("a path"), file(LONG, false, PLAIN)));
    let mut reports = sink.run(Job::Offer { index: 0, wanted, range: 0..LONG });
    reports.retain(|report| !matches!(report, Report::Done { .. }));
    reports
}

#[test]
fn what_an_earlier_transfer_brought_is_seen_and_one_under_way_is_not_disturbed() {
    let bytes = contents(LONG);
    let mut bench = Bench::new(Existing::Refuse, true);
    bench.offer(0, "long", 0..LONG);
    bench.expect_all(0, &bytes);
    bench.write(0, &bytes[..COME as usize]);
    bench.sink.checkpoint();
    let before = snapshot(bench.temp.path());
    let would = [Report::Would { index: 0, replaces: false, there: COME }];
    assert_eq!(plan_long(&mut bench.again()), would);
    // From a directory that is only looked at, too: that of another program.
    let looked_at = Arc::new(Directory::look(bench.temp.path()).expect("ours"));
    let mut other = Sink::new(looked_at, bench.sink.policy.clone(), 3);
    assert_eq!(plan_long(&mut other), would);
    drop(other);
    assert_eq!(snapshot(bench.temp.path()), before);
    let reports = bench.write(COME, &bytes[COME as usize..]);
    assert_eq!(reports, [Report::Committed { index: 0, hash: Hash::of(&bytes) }]);
}

#[test]
fn a_torn_record_is_not_counted_and_stays() {
    let bytes = contents(LONG);
    let mut bench = Bench::new(Existing::Refuse, true);
    bench.offer(0, "long", 0..LONG);
    bench.expect_all(0, &bytes);
    bench.write(0, &bytes[..COME as usize]);
    bench.sink.checkpoint();
    let area = bench.path(super::super::super::name::PARTIAL_AREA);
    let mut names = fs::read_dir(area).expect("there").map(|entry| entry.expect("there").path());
    let journal = names.find(|path| path.extension().is_some_and(|end| end == "journal"));
    let journal = journal.expect("it was written down");
    let torn = fs::read(&journal).expect("ours");
    fs::write(&journal, &torn[..torn.len() - 1]).expect("ours");
    let before = snapshot(bench.temp.path());
    let would = [Report::Would { index: 0, replaces: false, there: GROUP }];
    assert_eq!(plan_long(&mut bench.again()), would);
    assert_eq!(snapshot(bench.temp.path()), before);
}

#[test]
fn room_is_promised_once() {
    let mut bench = Bench::new(Existing::Refuse, true);
    let Some(free) = bench.sink.maker.directory.free_space() else { return };
    bench.run(Job::Plan);
    let size = free / 10 * 6;
    assert!(matches!(bench.offer(0, "a", 0..size)[..], [Report::Would { .. }]));
    let reports = bench.offer(1, "b", size..2 * size);
    assert!(
        matches!(&reports[..], [Report::Failed { failure, .. }] if failure.reason == Reason::Full),
        "{reports:?}"
    );
}

#[test]
fn to_look_at_a_directory_changes_nothing() {
    let bench = furnished(Existing::Refuse);
    let path = bench.temp.path().to_owned();
    let area = path.join(super::super::super::name::PARTIAL_AREA);
    let Bench { temp, sink } = bench;
    drop(sink);
    assert!(!area.exists());
    let before = snapshot(&path);
    drop(Directory::look(&path).expect("ours"));
    assert_eq!(snapshot(&path), before);
    fs::create_dir(&area).expect("room");
    let before = snapshot(&path);
    drop(Directory::look(&path).expect("ours"));
    assert_eq!(snapshot(&path), before);
    assert!(Directory::look(&temp.path().join("same")).is_err());
    assert!(Directory::look(&temp.path().join("missing")).is_err());
}
