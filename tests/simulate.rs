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

#[test]
fn what_never_ends_is_said_and_fails() {
    let run = simulate("--loss 100% --arq volley --seed 1").expect_code(1);
    assert!(run.stdout.contains("no end"), "{}", run.stdout);
    run.expect_words(&["did not come to an end"]);
}
