//! What a program has only so much of: open files. Whoever finds none left waits, or is told so.
//!
//! `VOLLEY_FILES=N` sets how many files the campaign sends, 10,000 unless given.

#[expect(dead_code, reason = "each test file uses its part of the harness")]
mod common;

use common::process::RECEIVE;
use common::{Bench, CARRIERS, Receiver, Running, note, side_by_side};
use std::fs;

/// A receiver that may have so many files open.
fn receive_with(bench: &Bench, open_files: usize, options: &[&str]) -> Receiver {
    let line = [&RECEIVE[..], options].concat();
    let limit = format!("ulimit -n {open_files}");
    Receiver::listen(Running::start_prepared(&bench.to(), &limit, &line))
}

#[test]
fn thousands_of_files_that_are_there_are_compared_with_few_open() {
    let bench = Bench::new();
    fs::create_dir_all(bench.from().join("d")).expect("room");
    fs::create_dir_all(bench.to().join("d")).expect("room");
    let count = 2_000;
    for number in 0..count {
        let (name, contents) = (format!("d/{number}"), format!("contents of {number}"));
        fs::write(bench.from().join(&name), &contents).expect("room");
        fs::write(bench.to().join(&name), &contents).expect("room");
    }
    for policy in [&[][..], &["--rename"], &["--overwrite"], &["--skip-existing"]] {
        for carrier in CARRIERS {
            note(&format!("{policy:?} {carrier:?}"));
            let receiver = receive_with(&bench, 64, policy);
            let options = [&["--json"], carrier].concat();
            let sent = bench.send(&receiver, &["d"], &options).expect_code(0).json();
            let same = if policy == ["--skip-existing"] { "left" } else { "same" };
            assert_eq!(sent["counts"][same], count, "{}", sent["counts"]);
            drop(receiver);
            assert_eq!(fs::read_dir(bench.to().join("d")).expect("there").count(), count);
        }
    }
}

#[test]
fn who_finds_no_file_to_open_is_told_that_this_side_is_busy() {
    let bench = Bench::new();
    let names: Vec<String> = (0..12).map(|number| format!("file {number}")).collect();
    names.iter().for_each(|name| bench.file(name, 2_000_000));
    for carrier in CARRIERS {
        note(&format!("{carrier:?}"));
        let receiver = receive_with(&bench, 64, &["--overwrite"]);
        let options = [&["--rate", "8Mbit"], carrier].concat();
        let options = if carrier.is_empty() { &options[..] } else { carrier };
        let start = |name: &String| bench.start_sending(&receiver, &[name], options);
        let senders: Vec<Running> = names.iter().map(start).collect();
        let ended: Vec<_> = senders.into_iter().map(Running::finish).collect();
        for (name, outcome) in names.iter().zip(&ended) {
            match outcome.code {
                Some(0) => bench.expect_equal(&[name]),
                Some(6) => assert!(outcome.stderr.contains("again later"), "{}", outcome.stderr),
                code => panic!("{code:?}: {}", outcome.stderr),
            }
        }
        assert!(ended.iter().filter(|outcome| outcome.code == Some(0)).count() >= 3);
    }
}

/// Senders at once.
const SENDERS: usize = 12;

#[test]
#[ignore = "a campaign"]
fn ten_thousand_files_of_the_same_contents_go_once_whoever_sends_them_again() {
    let given = std::env::var("VOLLEY_FILES").ok();
    let count: u64 = given.map_or(10_000, |count| count.parse().expect("a number"));
    for carrier in CARRIERS {
        note(&format!("{carrier:?}"));
        let bench = Bench::new();
        fs::create_dir(bench.from().join("d")).expect("room");
        (0..count).for_each(|number| bench.file(&format!("d/{number}"), 3_000));
        let receiver = receive_with(&bench, 64, &[]);
        let options = [&["--json"], carrier].concat();
        for what in ["files", "same"] {
            let sent = bench.send(&receiver, &["d"], &options).expect_code(0).json();
            assert_eq!(sent["counts"][what], count, "{}", sent["counts"]);
        }
        let ended = side_by_side(SENDERS, SENDERS, |_| bench.send(&receiver, &["d"], &options));
        let served = ended.iter().filter(|sent| sent.code == Some(0)).count();
        note(&format!("{served} of {SENDERS} at once were served"));
        assert!(served > 0);
        for sent in ended {
            if sent.code == Some(0) {
                assert_eq!(sent.json()["counts"]["same"], count);
            } else {
                sent.expect_code(6).expect_words(&["again later"]);
            }
        }
        bench.send(&receiver, &["d"], &options).expect_code(0);
        receiver.stop();
        assert_eq!(fs::read_dir(bench.to().join("d")).expect("there").count() as u64, count);
        bench.expect_equal(&["d/0", &format!("d/{}", count - 1)]);
    }
}
