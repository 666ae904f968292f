//! UDP and TCP over five links: `cargo bench --bench compare`.
//!
//! Prints the README's table: the goodput that each way reached, in Mbit/s, as `volley compare` found it
//! in a lab. A run is cut off after ten seconds and counts with how far it came.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use serde_json::Value;
use std::process::Command;

/// What a link is called, its options, and the rate that a user would name for it.
const LINKS: [(&str, &str, &str); 5] = [
    ("100 Mbit/s, 10 ms", "--rate 100Mbit --delay 5ms --loss 0%", "fixed:97Mbit"),
    ("100 Mbit/s, 50 ms", "--rate 100Mbit --delay 25ms --loss 0%", "fixed:97Mbit"),
    ("100 Mbit/s, 50 ms, 1 % loss", "--rate 100Mbit --delay 25ms --loss 1%", "fixed:97Mbit"),
    ("100 Mbit/s, 50 ms, 5 % loss", "--rate 100Mbit --delay 25ms --loss 5%", "fixed:97Mbit"),
    ("20 Mbit/s, 600 ms, 1 % loss", "--rate 20Mbit --delay 300ms --loss 1%", "fixed:19Mbit"),
];

fn main() {
    let mut has_heading = false;
    for (name, link, fixed) in LINKS {
        let report = compare(link, fixed);
        let contenders = report["contenders"].as_array().expect("an array");
        if !has_heading {
            has_heading = true;
            let names: Vec<String> = contenders.iter().map(name_of).collect();
            println!("| link | can carry | {} |", names.join(" | "));
            println!("|---|{}", "---|".repeat(names.len() + 1));
        }
        let possible = mbit(&report["possible_bits_per_second"]);
        let reached: Vec<String> = contenders.iter().map(cell).collect();
        println!("| {name} | {possible} | {} |", reached.join(" | "));
    }
    println!("\n`*` cut off after 10 s");
}

fn compare(link: &str, fixed: &str) -> Value {
    let line = format!("compare --json --quiet --seed 1 --size 20MB {link} --cc ebb,cubic,{fixed}");
    let volley = Command::new(env!("CARGO_BIN_EXE_volley"))
        .args(line.split_whitespace())
        .output()
        .expect("volley can be started");
    let report: Value = serde_json::from_slice(&volley.stdout).expect("an object");
    assert_eq!(report["venue"], "lab", "there is no lab here: {line}");
    report
}

/// The rate differs from link to link.
fn name_of(contender: &Value) -> String {
    let name = contender["name"].as_str().expect("a name");
    name.split(" at ")
        .next()
        .filter(|short| *short != name)
        .map_or_else(|| name.to_owned(), |short| format!("{short}, fixed rate"))
}

fn cell(contender: &Value) -> String {
    let runs = contender["runs"].as_array().expect("an array");
    let is_cut_off = runs.iter().any(|run| run["ended"] == "cut off");
    mbit(&contender["goodput_bits_per_second"]) + if is_cut_off { "\\*" } else { "" }
}

fn mbit(value: &Value) -> String {
    value.as_f64().map_or_else(|| "-".into(), |bits| format!("{:.1}", bits / 1e6))
}
