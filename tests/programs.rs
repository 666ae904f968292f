//! What volley offers to programs and shells: variables, completion scripts, manual pages.

#[expect(dead_code, reason = "each test file uses its part of the harness")]
mod common;

use common::{Bench, Outcome, Running, free_port, words};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// Every command, with its other name.
const COMMANDS: [&str; 9] =
    ["demo", "lab", "relay", "recv", "receive", "send", "simulate", "completions", "man"];

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
        (&send, "VOLLEY_CC", "vegas"),
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

#[test]
fn every_shell_gets_a_script_with_all_commands() {
    let bench = Bench::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = bench.volley(&["completions", shell]).expect_code(0).stdout;
        for command in COMMANDS {
            assert!(script.contains(command), "{shell}: no {command}");
        }
        assert!(script.contains("overwrite") && script.contains("loss"), "{shell}");
        if let Some(fault) = syntax_fault(shell, &script) {
            panic!("{shell}: {fault}");
        }
    }
    bench.volley(&["completions", "csh"]).expect_code(2).expect_words(&["bash", "zsh", "fish"]);
}

/// What the shell itself says about the script; nothing where it is not installed.
fn syntax_fault(shell: &str, script: &str) -> Option<String> {
    matches!(shell, "bash" | "zsh" | "fish").then(|| feed(shell, &["-n"], script))??
}

/// Feeds `text` to a program; its complaints, if it has any. `None` where it is not installed.
fn feed(program: &str, arguments: &[&str], text: &str) -> Option<Option<String>> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let Ok(mut child) = command.spawn() else {
        common::note(&format!("{program} is not installed: not tried"));
        return None;
    };
    let mut input = child.stdin.take().expect("piped");
    input.write_all(text.as_bytes()).expect("it reads");
    drop(input);
    let output = child.wait_with_output().expect("our child");
    let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
    Some((!output.status.success() || !complaints.is_empty()).then_some(complaints))
}

#[test]
fn bash_completes_commands_and_flags() {
    let bench = Bench::new();
    let script = bench.volley(&["completions", "bash"]).expect_code(0).stdout;
    let ask = "COMP_WORDS=(volley recv --over); COMP_CWORD=2; _volley volley --over recv; \
               echo \"${COMPREPLY[@]}\"";
    let Ok(output) = Command::new("bash").args(["-c", &format!("{script}\n{ask}")]).output() else {
        return common::note("bash is not installed: not tried");
    };
    let (answer, complaints) = (output.stdout, output.stderr);
    assert_eq!(String::from_utf8_lossy(&answer).trim(), "--overwrite", "{complaints:?}");
}

#[test]
fn every_command_has_a_manual_page() {
    let bench = Bench::new();
    bench.volley(&["man", "."]).expect_code(0);
    let mut together = String::new();
    for (name, words) in [
        ("volley.1", &["volley-send(1)", "volley-recv(1)", "VOLLEY_LOSS", "10 version"][..]),
        ("volley-compare.1", &["-\\-limit", "VOLLEY_LOSS"]),
        ("volley-completions.1", &["SHELL", "fish"]),
        ("volley-demo.1", &["-\\-delay", "VOLLEY_LOSS"]),
        ("volley-get.1", &["-\\-list", "-\\-retry", "VOLLEY_LOSS", "10 version"]),
        ("volley-lab.1", &["COMMAND", "IPB", "VOLLEY_LOSS"]),
        ("volley-man.1", &["DIR"]),
        ("volley-recv.1", &["-\\-overwrite", "-\\-port", "7117", "VOLLEY_LOSS", "10 version"]),
        ("volley-relay.1", &["-\\-listen", "VOLLEY_LOSS"]),
        ("volley-simulate.1", &["-\\-ladder", "VOLLEY_LOSS"]),
        ("volley-share.1", &["-\\-once", "-\\-port", "VOLLEY_LOSS", "10 version"]),
        ("volley-send.1", &["-\\-loss", "PATH... DEST", "VOLLEY_LOSS", "10 version"]),
    ] {
        let page = fs::read_to_string(bench.from().join(name)).expect(name);
        assert!(page.contains(".TH ") && page.contains(".SH NAME"), "{name}: {page}");
        let plain = page.replace("\\-", "-");
        for word in words {
            assert!(plain.contains(&word.replace("\\-", "-")), "{name}: no {word} in {page}");
        }
        if let Some(Some(fault)) = feed("groff", &["-man", "-ww", "-z", "-"], &page) {
            panic!("{name}: {fault}");
        }
        together += page.trim_end();
        together.push('\n');
    }
    assert_eq!(count(&bench.from()), 12, "a page for each command, and nothing else");
    let printed = bench.volley(&["man"]).expect_code(0).stdout;
    assert_eq!(printed.matches(".SH NAME").count(), 12);
    assert_eq!(printed.len(), together.len());
    bench.volley(&["man", "missing"]).expect_code(1).expect_words(&["missing", "volley.1"]);
}

fn count(directory: &Path) -> usize {
    fs::read_dir(directory).expect("it can be listed").count()
}
