//! `volley compare`, as people call it.

#[expect(dead_code, reason = "each test file uses its part of the harness")]
mod common;

use common::{Bench, words};

#[test]
fn both_transports_run_in_turn_over_the_path_to_a_listener() {
    let bench = Bench::new();
    let receiver = bench.receive(&["--discard"]);
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

#[test]
fn kernel_tcp_meets_the_loss_of_a_lab_and_the_verdict_names_it() {
    let bench = Bench::new();
    if !bench.has_lab() {
        return;
    }
    let link = "--rate 50Mbit --delay 10ms --loss 3% --seed 1";
    let line = format!("compare {link} --size 3MB --limit 3s --cc fixed:48Mbit --report out.html");
    let shown = bench.volley(&words(&line)).expect_code(0);
    for word in ["real time", "UDP volley at 48 Mbit/s", "TCP cubic", "cut off"] {
        assert!(shown.stdout.contains(word), "no {word} in:\n{}", shown.stdout);
    }
    let told = shown.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(told.contains("Loss is the reason why TCP cubic"), "{}", shown.stdout);
    let page = std::fs::read_to_string(bench.from().join("out.html")).expect("written");
    // What repeats it is what was typed, not what the processes inside were started with.
    assert!(page.contains(&format!("volley {line}")) && page.contains("Loss is the reason"));
}

#[test]
fn programs_get_what_the_link_did_to_each_run() {
    let bench = Bench::new();
    if !bench.has_lab() {
        return;
    }
    let line = "compare --rate 100Mbit --delay 2ms --loss 0% --size 2MB --seed 1 --all --json";
    let report = bench.volley(&words(line)).expect_code(0).json();
    assert_eq!(report["venue"], "lab", "{report}");
    for contender in report["contenders"].as_array().expect("an array") {
        let run = &contender["runs"][0];
        let carried = run["link"]["out"]["offered_ip_bytes"].as_u64().expect("a number");
        let bytes = run["bytes"].as_u64().expect("a number");
        // All that arrived has been on the link, and not much more where nothing is lost.
        assert!(carried > bytes, "{contender}");
        assert_eq!(run["link"]["out"]["lost_by_cause"]["chance"], 0, "{contender}");
        if run["ended"] == "complete" {
            assert_eq!(bytes, 2_000_000, "{contender}");
        }
    }
}
