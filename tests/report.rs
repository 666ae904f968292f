//! `--report`: what the file holds, and how it gets where it belongs.

#[expect(dead_code, reason = "each test file uses its part of the harness")]
mod common;

use common::{Bench, free_port, words};
use serde_json::Value;
use std::fs;

/// The report in the sender's directory.
fn page(bench: &Bench) -> String {
    fs::read_to_string(bench.from().join("report.html")).expect("there is a report")
}

/// Its first run.
fn run(page: &str) -> Value {
    let (_, rest) = page.split_once("id=\"data\">").expect("there are data");
    let (text, _) = rest.split_once("</script>").expect("they end");
    serde_json::from_str::<Value>(text).expect("JSON")["runs"][0].take()
}

fn total(run: &Value, kind: &str) -> u64 {
    run["packets"]["marks"][kind]["total"].as_u64().expect("a number")
}

#[track_caller]
fn holds(page: &str, words: &[&str]) {
    for word in words {
        assert!(page.contains(word), "no \"{word}\"");
    }
}

#[test]
fn a_simulation_shows_its_runs_and_repeats_itself() {
    let bench = Bench::new();
    fs::write(bench.from().join("report.html"), "an old one").expect("written");
    let line = "simulate --size 100KB --arq go-back-n,volley --report report.html";
    bench.volley(&words(line)).expect_code(0).expect_words(&["report: report.html"]);
    let first = page(&bench);
    holds(&first, &["<!doctype html>", ">go-back-n</th>", ">volley</th>", "Configured: 2 % loss"]);
    let (_, command) = first.split_once("<code>volley ").expect("a command");
    let (command, _) = command.split_once("</code>").expect("it ends");
    assert!(command.starts_with("simulate --seed "), "{command}");
    bench.volley(&words(command)).expect_code(0);
    let again = page(&bench);
    assert_eq!(run(&again), run(&first));
    let names: Vec<_> = fs::read_dir(bench.from()).expect("listed").collect();
    assert_eq!(names.len(), 1, "nothing else is left there: {names:?}");
}

#[test]
fn a_transfer_over_a_lossy_link_shows_its_losses() {
    let bench = Bench::new();
    bench.file("file", 300_000);
    let receiver = bench.receive(&words("--once"));
    let options = words("--loss 10% --seed 5 --cc fixed:20Mbit --report report.html");
    bench.send(&receiver, &["file"], &options).expect_code(0).expect_words(&["report.html"]);
    receiver.finish().expect_code(0);
    let page = page(&bench);
    holds(&page, &["volley sent file", "10 % loss each way, seed 5", "Seed 5 repeats the luck"]);
    let run = run(&page);
    assert!(total(&run, "lost") > 5 && total(&run, "declared") > 0 && total(&run, "again") > 5);
    assert!(total(&run, "sent") >= 200 && total(&run, "acked") >= 200);
    assert_eq!(run["packets"]["end"], 300_000);
    assert!(!run["cwnd"][0].as_array().expect("a list").is_empty());
}

#[test]
fn tcp_shows_goodput_and_says_what_it_does_not_know() {
    let bench = Bench::new();
    bench.file("file", 300_000);
    let receiver = bench.receive(&words("--once"));
    let options = words("--tcp --report report.html");
    bench.send(&receiver, &["file"], &options).expect_code(0);
    receiver.finish().expect_code(0);
    let page = page(&bench);
    holds(&page, &["<b>TCP</b>: The kernel keeps", "No imperfect link was put in"]);
    assert!(!page.contains("id=\"sequence\"") && !page.contains("id=\"rtt\""));
    assert!(run(&page)["goodput"][1][0].as_u64() > Some(0));
}

#[test]
fn a_transfer_that_is_broken_off_has_a_report_too() {
    let bench = Bench::new();
    bench.file("file", 10_000_000);
    let receiver = bench.receive(&[]);
    let options = words("--cc fixed:1Mbit --timeout 1s --report report.html");
    bench.send(&receiver, &["file"], &options).expect_code(124);
    receiver.stop();
    holds(&page(&bench), &["broken off after", "the time of --timeout is up"]);
}

#[test]
fn where_no_report_can_be_written_nothing_is_begun() {
    let bench = Bench::new();
    bench.file("file", 5);
    fs::create_dir(bench.from().join("folder")).expect("made");
    let port = free_port();
    for (path, told) in [
        ("nowhere/report.html", "there is no such directory"),
        ("folder", "it is a directory"),
        ("/dev/null", "not a regular file"),
        ("file/report.html", "Not a directory"),
    ] {
        for command in
            ["demo".into(), "simulate".into(), format!("send file 127.0.0.1:{port} --open")]
        {
            let line = format!("{command} --report {path}");
            let ended = bench.volley(&words(&line)).expect_code(1);
            assert!(ended.stdout.is_empty(), "{}", ended.stdout);
            ended.expect_words(&["cannot write the report", told]);
        }
    }
}

#[test]
fn a_link_to_a_report_stays_a_link() {
    let bench = Bench::new();
    fs::write(bench.from().join("old.html"), "an old one").expect("written");
    std::os::unix::fs::symlink("old.html", bench.from().join("report.html")).expect("linked");
    bench.volley(&words("simulate --size 10KB --report report.html")).expect_code(0);
    let kind = fs::symlink_metadata(bench.from().join("report.html")).expect("there").file_type();
    assert!(kind.is_symlink());
    let behind = fs::read_to_string(bench.from().join("old.html")).expect("there");
    assert!(behind.starts_with("<!doctype html>"));
}
