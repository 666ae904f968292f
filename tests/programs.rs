//! What volley offers to programs and shells: flags as variables.

#[expect(dead_code, reason = "each test file uses its part of the harness")]
mod common;

use common::{Bench, Outcome, Running, free_port, words};

fn run_with(bench: &Bench, line: &str, variables: &[(&str, &str)]) -> Outcome {
    common::note(&format!("volley {line} with {variables:?}"));
    Running::start_with(&bench.from(), &words(line), variables).finish()
}

#[test]
fn a_variable_does_what_the_flag_does() {
    let bench = Bench::new();
    bench.file("file", 20_000);
    let receiver = bench.receive(&["--once"]);
    let line = format!("send file {}", receiver.address);
    let variables = [
        ("VOLLEY_OPEN", "yes"),
        ("VOLLEY_JSON", "1"),
        ("VOLLEY_LOSS", "3%"),
        ("VOLLEY_SEED", "5"),
        ("VOLLEY_TCP", "no"),
        ("VOLLEY_CC", ""),
    ];
    let report = run_with(&bench, &line, &variables).expect_code(0).json();
    common::expect_link(&report, 0.03, 5);
    receiver.finish().expect_code(0);
    bench.expect_arrived(&["file"]);
}

#[test]
fn the_command_line_wins_over_the_environment() {
    let bench = Bench::new();
    bench.file("file", 5_000);
    let receiver = bench.receive(&["--once"]);
    let line = format!("send file {} --open --json --loss 1% --seed 9", receiver.address);
    let variables = [("VOLLEY_OPEN", "0"), ("VOLLEY_LOSS", "99%"), ("VOLLEY_SEED", "nonsense")];
    let report = run_with(&bench, &line, &variables).expect_code(0).json();
    common::expect_link(&report, 0.01, 9);
    receiver.finish().expect_code(0);
}

#[test]
fn a_value_from_the_environment_that_makes_no_sense_names_its_variable() {
    let bench = Bench::new();
    bench.file("file", 5);
    let send = format!("send file 127.0.0.1:{} --open", free_port());
    for (line, name, value) in [
        (send.as_str(), "VOLLEY_LOSS", "5"),
        (&send, "VOLLEY_TCP", "perhaps"),
        (&send, "VOLLEY_CC", "bbr"),
        ("recv --open", "VOLLEY_PORT", "seven"),
        ("recv --open", "VOLLEY_OVERWRITE", "2"),
        ("demo", "VOLLEY_DELAY", "\u{1b}[2J"),
    ] {
        let failed = run_with(&bench, line, &[(name, value)]).expect_code(2).expect_words(&[name]);
        assert!(!failed.stderr.contains('\u{1b}'), "{failed:?}");
    }
    // Where the command line is to blame the environment is not mentioned.
    let line = format!("{send} --loss 5");
    let failed = run_with(&bench, &line, &[("VOLLEY_LOSS", "6")]).expect_code(2);
    assert!(!failed.stderr.contains("VOLLEY_"), "{failed:?}");
    // Loss over TCP makes no sense, wherever it comes from.
    let line = format!("{send} --tcp");
    let failed = run_with(&bench, &line, &[("VOLLEY_LOSS", "5%")]).expect_code(2);
    failed.expect_words(&["cannot be had with --tcp"]);
}
