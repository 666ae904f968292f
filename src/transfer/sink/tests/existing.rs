//! What is there already, and what becomes of what would take its place.

use super::*;

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
        SinkPolicy {
            keeping: Keeping { discards: true, ..Keeping::default() },
            can_repeat: true,
            ..SinkPolicy::default()
        },
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

/// A bench whose disk answers to the looks at "a" in this order; `None` is what the system says.
fn troubled(existing: Existing, answers: &[Option<i32>]) -> Bench {
    let answers = std::sync::Mutex::new(VecDeque::from(answers.to_vec()));
    let listener = move |call: &Call<'_>| match call {
        Call::Look("a") => {
            let answer = answers.lock().expect("nobody panics").pop_front().flatten();
            answer.map_or(Ok(()), |errno| Err(io::Error::from_raw_os_error(errno)))
        }
        _ => Ok(()),
    };
    let mut bench = Bench::new(existing, true);
    let disk = Disk::watched(Arc::new(listener));
    let directory = Directory::open_on(disk, bench.temp.path()).expect("writable");
    bench.sink = Sink::new(Arc::new(directory), bench.sink.policy.clone(), 3);
    bench
}

const EIO: i32 = 5;
const EMFILE: i32 = 24;

#[test]
fn who_finds_no_file_to_open_waits_and_calls_nothing_different() {
    for existing in [Existing::Refuse, Existing::Overwrite, Existing::Rename] {
        let mut bench = troubled(existing, &[None, Some(EMFILE), Some(EMFILE)]);
        fs::write(bench.path("a"), b"same").expect("written");
        assert_eq!(bench.offer(0, "a", 0..4), [Report::Prove { index: 0 }]);
        assert!(!bench.sink.is_busy(), "nothing to do before somebody closes a file");
        assert_eq!(
            bench.expect_all(0, b"same"),
            [Report::Accepted { index: 0 }, Report::Same { index: 0, hash: Hash::of(b"same") }]
        );
    }
}

#[test]
fn who_never_finds_a_file_to_open_is_told_that_this_side_is_busy() {
    let mut bench = troubled(Existing::Rename, &[&[None][..], &[Some(EMFILE); 100]].concat());
    fs::write(bench.path("a"), b"same").expect("written");
    bench.offer(0, "a", 0..4);
    let reports: Vec<Report> = (0..100).flat_map(|_| bench.sink.rest()).collect();
    assert!(failed(&reports, Reason::Refused), "{reports:?}");
}

#[test]
fn what_cannot_be_read_is_not_called_different() {
    for existing in [Existing::Refuse, Existing::Rename] {
        let mut bench = troubled(existing, &[None, Some(EIO)]);
        fs::write(bench.path("a"), b"same").expect("written");
        let reports = bench.offer(0, "a", 0..4);
        assert!(failed(&reports[1..], Reason::Other), "{reports:?}");
        let Some(Report::Failed { failure, .. }) = reports.last() else { unreachable!() };
        assert!(failure.text.contains("cannot read what is at \"a\""), "{failure}");
    }
    // Whatever it is, its user wants it to make room.
    let mut bench = troubled(Existing::Overwrite, &[None, Some(EIO)]);
    fs::write(bench.path("a"), b"same").expect("written");
    let reports = bench.offer(0, "a", 0..4);
    assert_eq!(reports, [Report::Prove { index: 0 }, Report::Accepted { index: 0 }]);
}

#[test]
fn what_is_gone_before_it_is_compared_is_in_nobodys_way() {
    let mut bench = Bench::new(Existing::Refuse, true);
    fs::write(bench.path("a"), b"same").expect("written");
    let wanted = Some((TreePath::parse("a").expect("a path"), file(4, false, PLAIN)));
    bench.sink.run(Job::Offer { index: 0, wanted, range: 0..4 });
    fs::remove_file(bench.path("a")).expect("there");
    assert_eq!(bench.sink.rest(), [Report::Accepted { index: 0 }]);
}

#[test]
fn a_link_that_cannot_be_read_is_not_called_different() {
    let mut bench = troubled(Existing::Rename, &[None, Some(EIO)]);
    std::os::unix::fs::symlink("there", bench.path("a")).expect("made");
    let reports = bench.offer_kind(0, "a", 0..0, Kind::Link { target: "there".into() });
    assert!(failed(&reports, Reason::Other), "{reports:?}");
}

/// What the sender says while one name is looked into holds for the next one, too.
#[test]
fn the_next_name_may_be_taken_by_something_else_as_well() {
    let (offered, others) = (contents(GROUP + 9), vec![1; GROUP as usize + 9]);
    let len = offered.len() as u64;
    for last in [&others, &offered] {
        let mut bench = Bench::new(Existing::Rename, true);
        for (name, there) in [("a", &others), ("a-1", &others), ("a-2", last)] {
            fs::write(bench.path(name), there).expect("written");
        }
        let wanted = Some((TreePath::parse("a").expect("a path"), file(len, false, PLAIN)));
        bench.sink.run(Job::Offer { index: 0, wanted, range: 0..len });
        let mut batch = WriteBatch::default();
        batch.push(0, &offered[..100]);
        bench.sink.run(Job::Write(batch));
        let mut reports = bench.expect_all(0, &offered);
        while bench.sink.is_busy() {
            reports.extend(bench.sink.rest());
        }
        let hash = Hash::of(&offered);
        if last == &offered {
            assert_eq!(reports.last(), Some(&Report::Same { index: 0, hash }), "{reports:?}");
            continue;
        }
        assert_eq!(reports.last(), Some(&Report::Again(0..100)), "{reports:?}");
        let reports = bench.write(0, &offered);
        assert_eq!(reports, [Report::Committed { index: 0, hash }]);
        assert!(fs::read(bench.path("a-3")).expect("there") == offered);
    }
}

/// Two transfers of one name, both under way before either has it: what the second one hears.
fn second(existing: Existing, first: &[u8], offered: &[u8]) -> (Vec<Report>, Bench) {
    let mut bench = Bench::new(existing, true);
    let mut earlier = bench.again();
    for sink in [&mut earlier, &mut bench.sink] {
        let wanted = Some((TreePath::parse("a").expect("a path"), file(4, false, PLAIN)));
        let reports = sink.run(Job::Offer { index: 0, wanted, range: 0..4 });
        assert!(matches!(reports[..], [Report::Accepted { .. }, Report::Done { .. }]));
    }
    let hash = Hash::of(first);
    earlier.run(Job::ExpectRoot { index: 0, hash });
    let mut batch = WriteBatch::default();
    batch.push(0, first);
    earlier.run(Job::Write(batch));
    assert_eq!(earlier.rest(), [Report::Committed { index: 0, hash }]);
    let mut reports = bench.expect_all(0, offered);
    reports.extend(bench.write(0, offered));
    bench.run(Job::Finish);
    (reports, bench)
}

#[test]
fn who_comes_second_with_the_same_contents_hears_that_they_are_there() {
    let hash = Hash::of(b"same");
    for existing in [Existing::Refuse, Existing::Rename] {
        let (reports, bench) = second(existing, b"same", b"same");
        assert_eq!(reports, [Report::Same { index: 0, hash }], "{existing:?}");
        assert_eq!((bench.partials(), bench.path("a-1").exists()), (0, false));
    }
    for offered in [b"same", b"else"] {
        let (reports, bench) = second(Existing::Skip, b"same", offered);
        assert_eq!(reports, [Report::Left { index: 0 }]);
        assert_eq!(
            (bench.partials(), fs::read(bench.path("a")).expect("there")),
            (0, b"same".into())
        );
    }
    let (reports, _) = second(Existing::Refuse, b"same", b"else");
    assert!(failed(&reports, Reason::Exists), "{reports:?}");
    let (reports, bench) = second(Existing::Rename, b"same", b"else");
    assert!(
        matches!(reports[..], [Report::Renamed { .. }, Report::Committed { .. }]),
        "{reports:?}"
    );
    assert_eq!(fs::read(bench.path("a-1")).expect("there"), b"else");
}

#[test]
fn the_same_link_may_be_there_before_this_one_has_its_name() {
    let mut bench = Bench::new(Existing::Refuse, true);
    let link = Kind::Link { target: "there".into() };
    let wanted = Some((TreePath::parse("a").expect("a path"), link));
    bench.sink.run(Job::Offer { index: 0, wanted, range: 0..0 });
    std::os::unix::fs::symlink("there", bench.path("a")).expect("free");
    let hash = Hash::of(b"there");
    assert_eq!(bench.sink.rest(), [Report::Same { index: 0, hash }]);
    assert_eq!(bench.partials(), 0);
}
