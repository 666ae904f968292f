//! What a program has only so much of: open files. Whoever finds none left waits, or is told so.

#[expect(dead_code, reason = "each test file uses its part of the harness")]
mod common;

use common::process::RECEIVE;
use common::{Bench, CARRIERS, Receiver, Running, note};
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
