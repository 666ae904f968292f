//! `volley simulate`, as people call it.

#[expect(dead_code, reason = "each test file uses its part of the harness")]
mod common;

use common::{Bench, words};
use serde_json::Value;

fn simulate(line: &str) -> common::Outcome {
    Bench::new().volley(&words(&format!("simulate {line}")))
}

#[test]
fn the_table_shows_each_strategy_beside_its_textbook() {
    let shown = simulate("--seed 7 --size 2MB --back clean,delay=25ms").expect_code(2);
    shown.expect_words(&["--back"]);
    let shown = simulate("--seed 7 --size 2MB --back loss=0%").expect_code(0).stdout;
    for word in ["stop-and-wait", "go-back-n", "selective-repeat", "volley", "1/(C + T p/(1-p))"] {
        assert!(shown.contains(word), "no {word} in:\n{shown}");
    }
    assert!(shown.contains("seed 7"), "{shown}");
}

#[test]
fn the_same_seed_gives_the_same_words() {
    let line = "--seed 5 --size 1MB --repeat 3 --loss 5% --jitter 3ms --corrupt 1%";
    let [one, same] = [simulate(line), simulate(line)].map(|run| run.expect_code(0).stdout);
    assert_eq!(one, same);
    assert_ne!(one, simulate(&line.replace("5 ", "6 ")).stdout);
}

#[test]
fn programs_get_one_object() {
    let line = "--seed 5 --size 1MB --arq go-back-n,volley --cc fixed:9Mbit --flows 2 --json";
    let report = simulate(line).expect_code(0).json();
    let runs = report["runs"].as_array().expect("an array");
    let names: Vec<&Value> = runs.iter().map(|run| &run["strategy"]).collect();
    assert_eq!(names, ["go-back-n", "volley"]);
    assert!(runs.iter().all(|run| run["seconds"].as_f64() > Some(0.5)), "{report}");
}

#[test]
fn a_ladder_shows_what_is_lost_and_sent_again() {
    let line = "--ladder --arq go-back-n --window 6 --drop 6 --loss 0% --rate 1Mbit --seed 1";
    let shown = simulate(line).expect_code(0).stdout;
    for word in ["sender", "receiver", "X as listed", "the timer of 4 fires", ", again", "ACK 0-1"]
    {
        assert!(shown.contains(word), "no {word} in:\n{shown}");
    }
    assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
    let bench = Bench::new();
    let file = ["simulate", "--arq", "volley", "--seed", "1", "--ladder-svg", "out.svg"];
    bench.volley(&file).expect_code(0);
    let picture = std::fs::read_to_string(bench.from().join("out.svg")).expect("written");
    assert!(picture.starts_with("<svg") && picture.contains("HELLO"), "{picture}");
    simulate("--ladder").expect_code(2).expect_words(&["--arq"]);
}

/// Cheap, and with a formula for every strategy.
const SWEEP: &str = "--sweep loss=0%..20%:10% --back loss=0%,rate=1Gbit --size 300kB --seed 3";

#[test]
fn a_sweep_is_a_table_with_a_row_for_each_point() {
    let shown = simulate(&format!("{SWEEP} --arq go-back-n,volley")).expect_code(0).stdout;
    for word in ["go-back-n", "volley", "textbook", "off by", "Mbit/s", "W >= C", "seed 3"] {
        assert!(shown.contains(word), "no {word} in:\n{shown}");
    }
    let is_point = |line: &&str| line.starts_with("     ") && line.contains('.');
    assert_eq!(shown.lines().filter(is_point).count(), 3, "{shown}");
    assert!(!shown.contains("% loss"), "what is varied is no property of the link: {shown}");
    // The same numbers as without a sweep.
    let line = SWEEP.replace("--sweep loss=0%..20%:10%", "--loss 10%") + " --arq go-back-n --json";
    let alone = simulate(&line).expect_code(0).json();
    let swept = simulate(&format!("{SWEEP} --arq go-back-n --json")).expect_code(0).json();
    assert_eq!(swept["runs"][1]["loss"], 0.1);
    assert_eq!(swept["runs"][1]["seconds"], alone["runs"][0]["seconds"]);
    assert_eq!(swept["runs"][1]["textbook"], alone["runs"][0]["textbook"]);
}

#[test]
fn a_sweep_for_other_programs_is_a_line_for_each_point_and_strategy() {
    let line =
        format!("{SWEEP} --csv --repeat 2 --arq stop-and-wait,volley --cc cubic,fixed:5Mbit");
    let shown = simulate(&line).expect_code(0).stdout;
    assert_eq!(shown, simulate(&line).expect_code(0).stdout);
    let mut lines = shown.lines();
    let header: Vec<&str> = lines.next().expect("a header").split(',').collect();
    let expected = "loss,strategy,congestion_control,seconds,goodput_bits_per_second,\
                    goodput_bits_per_second_least,goodput_bits_per_second_most,efficiency,\
                    efficiency_least,efficiency_most,retransmissions_per_packet,\
                    textbook_efficiency,deviation,seed,repeat";
    assert_eq!(header.join(","), expected);
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
    assert_eq!(rows.len(), 9, "{shown}");
    assert!(rows.iter().all(|row| row.len() == header.len()), "{shown}");
    assert_eq!(rows[3][..3], ["0.1", "stop-and-wait", ""]);
    assert_eq!(rows[5][..3], ["0.1", "volley", "fixed:5Mbit"]);
    assert_eq!(rows[5][13..], ["3", "2"]);
}

#[test]
fn a_sweep_is_a_picture_too() {
    let bench = Bench::new();
    let draw = |sweep: &str, file: &str| {
        let line = format!("simulate --size 100kB --seed 3 --repeat 3 {sweep} --plot {file}");
        bench.volley(&words(&line)).expect_code(0);
        std::fs::read_to_string(bench.from().join(file)).expect("written")
    };
    for (sweep, label) in [
        ("--sweep loss=0%..20%:10%", "loss (%)"),
        ("--sweep delay=1ms,20ms", "delay of one way (ms)"),
        ("--sweep rate=1Mbit..8Mbit:x2", "rate (Mbit/s)"),
        ("--sweep window=1..8:x2", "window (frames)"),
        ("--sweep timeout=60ms,70ms", "timeout (ms)"),
    ] {
        let picture = draw(sweep, "one.svg");
        for word in [label, "efficiency (% of the line's time)".replace('\'', "&apos;").as_str()] {
            assert!(picture.contains(word), "no {word}: {picture}");
        }
        assert_eq!(picture, draw(sweep, "same.svg"), "{sweep}");
    }
    let shared = draw("--sweep loss=0%,5% --flows 2 --arq volley", "flows.svg");
    assert!(shared.contains("goodput (Mbit/s)"), "{shared}");
}

#[test]
fn what_never_ends_is_said_and_fails() {
    let run = simulate("--loss 100% --arq volley --seed 1").expect_code(1);
    assert!(run.stdout.contains("no end"), "{}", run.stdout);
    run.expect_words(&["did not come to an end"]);
    let line = "--sweep loss=99%,100% --arq volley --seed 1 --size 10kB --plot out.svg";
    let run = simulate(line).expect_code(1);
    assert!(run.stdout.contains("no end"), "{}", run.stdout);
}
