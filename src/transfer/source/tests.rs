//! A source, read by read.

use super::*;
use crate::transfer::outcome::Reason;
use std::fs::{self, File};
use std::path::PathBuf;

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
    let mut source = Source::new(&Selection { paths, ..Selection::default() });
    source.run(SourceJob::Walk { entries: contents.len(), text: usize::MAX, checks: false });
    (dir, source)
}

/// What reading makes known; it succeeds.
fn read(source: &mut Source, offset: u64, buffer: &mut [u8]) -> Vec<SourceReport> {
    let (is_whole, reports) = source.read(offset, buffer);
    assert!(is_whole, "{reports:?}");
    reports
}

#[test]
fn reads_cross_files_and_hash_each() {
    let long: Vec<u8> = (0..GROUP + 100).map(|at| (at % 251) as u8).collect();
    for has_memory in [true, false] {
        let (_dir, mut source) = source_of(&[b"abc", b"", &long]);
        let rooms = take_memory(&source, has_memory);
        let total = usize::try_from(source.total).expect("small");
        let mut all = vec![0; total];
        let mut roots = Vec::new();
        for start in (0..total).step_by(1000) {
            let end = (start + 1000).min(total);
            for report in read(&mut source, start as u64, &mut all[start..end]) {
                if let SourceReport::Root { index, hash } = report {
                    roots.push((index, hash));
                }
            }
        }
        assert_eq!(all, [b"abc", &long[..]].concat());
        assert_eq!(roots, [(0, Hash::of(b"abc")), (2, Hash::of(&long))]);
        assert_eq!(source.cache.bytes.is_empty(), !has_memory);
        drop(rooms);
    }
}

/// All the memory that there is, where the source is to have none.
fn take_memory(source: &Source, has_memory: bool) -> Vec<GroupRoom> {
    let rest = std::iter::from_fn(|| source.cache.memory.take());
    if has_memory { Vec::new() } else { rest.collect() }
}

#[test]
fn an_older_part_is_read_again_without_hashing_it_again() {
    let long = vec![5; 3 << 20];
    let (_dir, mut source) = source_of(&[&long]);
    let mut part = [0; 1000];
    let offsets = [0, GROUP, 2 * GROUP].into_iter();
    let hashed = offsets.map(|offset| read(&mut source, offset, &mut part).len());
    assert_eq!(hashed.sum::<usize>(), 4);
    assert!(read(&mut source, 10, &mut part).is_empty());
    assert_eq!(part, [5; 1000]);
}

#[test]
fn what_does_not_go_is_hashed_aside_and_as_soon_as_what_goes() {
    let long: Vec<u8> = (0..8 * GROUP + 7).map(|at| (at / 1000 % 251) as u8).collect();
    let (_dir, mut source) = source_of(&[&long]);
    source.run(SourceJob::Keep { index: 0, groups: 2..5 });
    assert!(source.is_busy() && !source.is_rest_due());
    let mut piece = vec![0; 1 << 19];
    let mut root = None;
    let mut note = |reports: Vec<SourceReport>| {
        for report in reports {
            if let SourceReport::Root { hash, .. } = report {
                root = Some(hash);
            }
        }
    };
    note(read(&mut source, 5 << 20, &mut piece[..PIECE / 2]));
    assert!(!source.is_rest_due());
    note(read(&mut source, 5 << 20, &mut piece[..PIECE]));
    assert!(source.is_rest_due(), "a piece has gone");
    note(source.rest());
    assert!(!source.is_rest_due());
    for group in [0, 1, 6, 7] {
        note(read(&mut source, group << 20, &mut piece));
    }
    note(read(&mut source, 8 << 20, &mut piece[..7]));
    while source.is_busy() {
        note(source.rest());
    }
    assert_eq!(root, Some(Hash::of(&long)));
}

#[test]
fn a_group_that_goes_while_it_is_hashed_aside_is_told_once() {
    let (_dir, mut source) = source_of(&[&vec![1; 2 << 20]]);
    source.run(SourceJob::Keep { index: 0, groups: 0..1 });
    assert!(source.rest().is_empty(), "a part of it");
    let mut reports = read(&mut source, 0, &mut vec![0; 2 << 20]);
    while source.is_busy() {
        reports.extend(source.rest());
    }
    let groups = reports.iter().filter(|report| matches!(report, SourceReport::Group { .. }));
    assert_eq!((groups.count(), reports.len()), (2, 3), "{reports:?}");
}

#[test]
fn a_comparison_that_is_decided_is_not_gone_on_with() {
    let (_dir, mut source) = source_of(&[&vec![1; 12 << 20]]);
    source.run(SourceJob::Prove { index: 0 });
    let reports: Vec<_> = (0..10).flat_map(|_| source.rest()).collect();
    assert!(matches!(reports[..], [SourceReport::Group { group: 0, .. }]), "{reports:?}");
    source.run(SourceJob::Decided { index: 0 });
    assert!(source.rest().is_empty() && !source.is_busy());
}

#[test]
fn bytes_that_nobody_waits_for_are_not_read() {
    let (dir, mut source) = source_of(&[b"abc", b"def"]);
    source.run(SourceJob::Forget { index: 0 });
    fs::remove_file(dir.path().join("file0")).expect("there");
    let mut bytes = [1; 6];
    read(&mut source, 0, &mut bytes);
    assert_eq!(&bytes, b"\0\0\0def");
}

#[test]
fn a_source_that_changes_is_noticed_with_its_next_group() {
    for (change, word) in [
        ("longer", "longer"),
        ("shorter", "shorter"),
        ("same", "written to"),
        ("gone", "removed"),
        ("replaced", "replaced"),
    ] {
        let (dir, mut source) = source_of(&[&vec![1; 3 << 20]]);
        read(&mut source, 0, &mut [0; 100]);
        let path = dir.path().join("file0");
        match change {
            "longer" => fs::write(&path, vec![1; 4 << 20]).expect("written"),
            "shorter" => fs::write(&path, b"x").expect("written"),
            "gone" => fs::remove_file(&path).expect("there"),
            "replaced" => {
                fs::write(dir.path().join("other"), vec![1; 3 << 20]).expect("written");
                fs::rename(dir.path().join("other"), &path).expect("there");
            }
            _ => {
                let file = File::options().write(true).open(&path).expect("there");
                std::os::unix::fs::FileExt::write_all_at(&file, b"y", 5).expect("written");
                let past = std::time::SystemTime::UNIX_EPOCH;
                file.set_modified(past).expect("allowed");
            }
        }
        let (is_whole, reports) = source.read(GROUP, &mut [0; 100]);
        let [SourceReport::Failed { index: 0, failure }] = &reports[..] else {
            panic!("{change}: {reports:?}")
        };
        assert!(!is_whole && failure.reason == Reason::Source);
        assert!(failure.text.contains(word), "{}", failure.text);
    }
}

/// A file whose groups 1 and 2, and half of 3, are a hole, as it was offered.
fn hollow() -> (tempfile::TempDir, Source) {
    use std::os::unix::fs::FileExt;
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("hollow");
    let file = File::create(&path).expect("room");
    file.set_len(4 * GROUP).expect("there are holes");
    file.write_all_at(&[5; GROUP as usize], 0).expect("room");
    file.write_all_at(&[6; GROUP as usize / 2], 7 * GROUP / 2).expect("room");
    let mut source = Source::new(&Selection { paths: vec![path], ..Selection::default() });
    source.run(SourceJob::Walk { entries: 1, text: usize::MAX, checks: false });
    assert_eq!(source.total, 3 * GROUP / 2);
    (dir, source)
}

/// All that is told of it.
fn read_hollow(source: &mut Source) -> Vec<SourceReport> {
    let mut reports = source.run(SourceJob::Hollow { index: 0 });
    let mut bytes = vec![0; 3 * GROUP as usize / 2];
    reports.extend(source.read(0, &mut bytes).1);
    while source.is_busy() {
        reports.extend(source.rest());
    }
    reports
}

#[test]
fn of_a_hole_nothing_goes_and_no_value_is_told() {
    let (dir, mut source) = hollow();
    let hash = Hash::of(&fs::read(dir.path().join("hollow")).expect("readable"));
    let (mut groups, mut roots) = (Vec::new(), Vec::new());
    for report in read_hollow(&mut source) {
        match report {
            SourceReport::Group { group, .. } => groups.push(group),
            SourceReport::Root { hash, .. } => roots.push(hash),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((groups, roots), (vec![0, 3], vec![hash]));
}

#[test]
fn a_hole_that_was_filled_is_found_whatever_the_times_say() {
    use std::os::unix::fs::FileExt;
    for at in [2 * GROUP, 3 * GROUP + 5] {
        let (dir, mut source) = hollow();
        let path = dir.path().join("hollow");
        let file = File::options().write(true).open(&path).expect("ours");
        file.write_all_at(b"x", at).expect("room");
        let stamp = source.items.get(0).map(|item| item.place.clone()).expect("found");
        let stamp = Stamp::of_file(&stamp.open(&source.disk).expect("there")).expect("there");
        source.items.get_mut(0).expect("found").take_for(stamp);
        let reports = read_hollow(&mut source);
        let failure = reports.into_iter().find_map(|report| match report {
            SourceReport::Failed { failure, .. } => Some(failure),
            _ => None,
        });
        let failure = failure.expect("it is not what was offered");
        assert!(failure.text.contains("changed while it was sent"), "{}", failure.text);
    }
}
