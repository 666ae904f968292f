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
