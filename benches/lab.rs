//! How well `volley lab` keeps what it is asked for, by programs that know nothing of it: the rate and the
//! loss by iperf3, the delay by ping, and how much kernel TCP it carries at all. Then what a transfer over
//! such a link, where datagrams arrive one by one, costs the processors of both sides.
//!
//! `VOLLEY_BENCH_SECONDS` sets how long each measurement takes (3).
#![expect(clippy::print_stdout, reason = "a benchmark prints what it measures")]

use serde_json::Value;
use std::process::{Command, Output};

/// UDP payload that fills an IPv4 packet of 1500 bytes.
const PAYLOAD: f64 = 1472.0;
const PACKET: f64 = 1500.0;

fn main() {
    for tool in ["true", "iperf3 --version", "ping -V"] {
        let tried = lab("", tool);
        if !tried.status.success() {
            let said = String::from_utf8_lossy(&tried.stderr);
            return println!("nothing measured, `{tool}` does not run in a lab: {said}");
        }
    }
    let seconds = std::env::var("VOLLEY_BENCH_SECONDS").ok().and_then(|text| text.parse().ok());
    let seconds: u32 = seconds.unwrap_or(3);
    for megabits in [1.0, 10.0, 100.0, 400.0] {
        rate(seconds, megabits);
    }
    for milliseconds in [0, 10, 100] {
        delay(seconds, milliseconds);
    }
    for percent in [0.1, 1.0, 10.0] {
        loss(seconds, percent);
    }
    most(seconds);
    for carrier in ["--cc fixed:97Mbit", "--tcp"] {
        processor_time(carrier);
    }
}

/// A third more is offered than the link lets through: what comes out is the rate. The queue, a tenth
/// of a second of it, fills in the first second and drains after the last one.
fn rate(seconds: u32, asked: f64) {
    let queue = asked * 12.5;
    let options = format!("--rate {asked}Mbit --queue {queue}KB --back clean");
    let line = iperf(&format!("-u -l {PAYLOAD} -b {}M -t {}", asked * 1.33, seconds + 2));
    let report = json(&lab(&options, &line));
    let intervals = report["server_output_json"]["intervals"].as_array().expect("a list");
    let middle = &intervals[1..intervals.len() - 1];
    let total = |what: &str| -> f64 {
        middle.iter().map(|interval| interval["sum"][what].as_f64().expect("a number")).sum()
    };
    let rate = total("bytes") * 8.0 / total("seconds") * PACKET / PAYLOAD / 1e6;
    println!("rate   asked for {asked} Mbit/s: {rate:.3}, {:+.2} %", (rate / asked - 1.0) * 100.0);
}

fn delay(seconds: u32, asked: u32) {
    let line = format!("$A ping -i 0.01 -w {seconds} $IPB");
    let output = lab(&format!("--delay {asked}ms"), &line);
    let text = String::from_utf8_lossy(&output.stdout);
    let times = text.split("time=").skip(1).filter_map(|rest| rest.split(' ').next()?.parse().ok());
    let mut late: Vec<f64> = times.map(|time: f64| time - f64::from(2 * asked)).collect();
    late.sort_by(f64::total_cmp);
    let at = |percent: usize| late[(late.len() - 1) * percent / 100];
    println!(
        "delay  asked for {asked} ms each way, {} round trips; beyond that, in ms: least {:+.3}, median {:+.3}, \
         90 % {:+.3}, most {:+.3}",
        late.len(),
        at(0),
        at(50),
        at(90),
        at(100)
    );
}

/// What the link itself counted: a receiver that loses datagrams of its own would count them, too.
fn loss(seconds: u32, asked: f64) {
    let line = iperf(&format!("-u -l {PAYLOAD} -b 50M -t {seconds}")) + " > /dev/null";
    let report = json(&lab(&format!("--loss {asked}% --seed 1 --json"), &line));
    let count = |what: &str| report["link"]["out"][what].as_f64().expect("a number");
    let (lost, sent, share) = (count("lost"), count("offered"), asked / 100.0);
    let sigma = (sent * share * (1.0 - share)).sqrt();
    println!(
        "loss   asked for {asked} %, {sent} packets: {:.3} %, {:+.2} sigma",
        lost / sent * 100.0,
        (lost - sent * share) / sigma
    );
}

fn most(seconds: u32) {
    let report = json(&lab("", &iperf(&format!("-t {seconds}"))));
    let end = &report["end"];
    let rate = end["sum_received"]["bits_per_second"].as_f64().expect("a number");
    let again = &end["sum_sent"]["retransmits"];
    println!(
        "most   kernel TCP over a link that does nothing: {:.0} Mbit/s, {again} sent again",
        rate / 1e6
    );
}

/// 50 MB over 100 Mbit/s: what sender and receiver spent, by the shell's own account of its children.
fn processor_time(carrier: &str) {
    const SIZE: usize = 50_000_000;
    let dir = tempfile::tempdir().expect("a directory to work in");
    let path = |name: &str| dir.path().join(name).display().to_string();
    std::fs::write(path("file"), vec![1; SIZE]).expect("space");
    std::fs::create_dir(path("to")).expect("a fresh directory");
    let volley = env!("CARGO_BIN_EXE_volley");
    let line = format!(
        "$B sh -c '{volley} recv --open --once -q {to}; times' > {received} & \
         until $B grep -q :1BCD /proc/net/udp /proc/net/udp6; do sleep 0.05; done; \
         $A sh -c '{volley} send --open -q {carrier} {file} $IPB; times' > {sent}; wait",
        to = path("to"),
        file = path("file"),
        received = path("received"),
        sent = path("sent"),
    );
    let output = lab("--rate 100Mbit --delay 5ms", &line);
    assert!(output.status.success(), "{output:?}");
    let [sender, receiver] = ["sent", "received"].map(|side| {
        let times = std::fs::read_to_string(path(side)).expect("written");
        children_seconds(&times).unwrap_or_else(|| panic!("no times: {times}"))
    });
    println!(
        "cost   50 MB at 100 Mbit/s, {carrier}: {sender:.2} s of processor time at the sender, {receiver:.2} s \
         at the receiver"
    );
}

/// User and system time in the second line of what `times` prints, as in `0m0.25s 0m1.50s`.
fn children_seconds(times: &str) -> Option<f64> {
    let parse = |time: &str| {
        let (minutes, seconds) = time.strip_suffix('s')?.split_once('m')?;
        Some(60.0 * minutes.parse::<f64>().ok()? + seconds.parse::<f64>().ok()?)
    };
    times.lines().nth(1)?.split_whitespace().map(parse).sum()
}

/// A server in B and a client in A.
fn iperf(options: &str) -> String {
    format!(
        "$B iperf3 -s -1 -J > /dev/null & \
         until $B grep -q :1451 /proc/net/tcp /proc/net/tcp6; do sleep 0.05; done; \
         $A iperf3 -c $IPB -J --get-server-output {options}"
    )
}

fn lab(options: &str, line: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_volley"))
        .args(["lab", "--quiet"])
        .args(options.split_whitespace())
        .args(["--", line])
        .output()
        .expect("volley was built")
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}
