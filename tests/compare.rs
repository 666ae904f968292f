//! `volley compare`, as people call it.

#[expect(dead_code, reason = "each test file uses its part of the harness")]
mod common;

use common::{Bench, words};

#[test]
fn both_transports_run_in_turn_over_the_path_to_a_listener() {
    let bench = Bench::new();
    let receiver = bench.receive(&["--overwrite"]);
    let line = format!("compare --size 3MB --repeat 2 {} --open --json", receiver.address);
    let report = bench.volley(&words(&line)).expect_code(0).json();
    assert_eq!((&report["venue"], &report["bytes"]), (&"path".into(), &3_000_000.into()));
    let contenders = report["contenders"].as_array().expect("an array");
    assert!(contenders.len() >= 2, "{report}");
    for (place, contender) in contenders.iter().enumerate() {
        assert_eq!(contender["carrier"], if place == 0 { "udp" } else { "tcp" }, "{report}");
        let runs = contender["runs"].as_array().expect("an array");
        assert_eq!(runs.len(), 2, "{report}");
        assert!(runs.iter().all(|run| run["ended"] == "complete"), "{report}");
    }
    let verdict = report["verdict"][0].as_str().expect("a sentence");
    assert!(verdict.contains("UDP volley") && verdict.contains("TCP"), "{verdict}");
}

#[test]
fn a_host_where_nobody_listens_is_a_failure_of_every_run() {
    let bench = Bench::new();
    let line = format!("compare --size 1MB 127.0.0.1:{} --open", common::free_port());
    let run = bench.volley(&words(&line)).expect_code(1);
    assert!(run.stdout.contains("failed: 127.0.0.1"), "{}", run.stdout);
    assert!(run.stdout.contains("Nothing came through"), "{}", run.stdout);
}
