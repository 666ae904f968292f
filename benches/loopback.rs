//! File to file over loopback: a plain copy, volley over TCP and volley over UDP, interleaved; with the
//! largest memory of each side. Quote the ratios: machines differ, and this one may be busy.
//!
//! `VOLLEY_BENCH_MB` sets the file's size (1000), `VOLLEY_BENCH_ROUNDS` the rounds (3),
//! `VOLLEY_BENCH_DIR` where the files are (`/dev/shm` where it exists).
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    reason = "a benchmark measures real time and prints it"
)]

mod common;

use common::{default_dir, number, write_file};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// One run: bytes per second, and the largest memory of sender and receiver in MiB.
struct Run {
    rate: f64,
    memory: [u64; 2],
}

fn main() {
    let size = 1_000_000 * number("VOLLEY_BENCH_MB", 1000);
    let rounds = number("VOLLEY_BENCH_ROUNDS", 3);
    let parent = std::env::var_os("VOLLEY_BENCH_DIR").map_or_else(default_dir, PathBuf::from);
    let dir = tempfile::tempdir_in(parent).expect("a directory to work in");
    let source = dir.path().join("source");
    write_file(&source, size);
    let inbox = dir.path().join("inbox");
    std::fs::create_dir(&inbox).expect("a fresh directory");

    println!("{size} bytes in {}, {rounds} rounds, medians", dir.path().display());
    // The first round warms memory that the system has never handed out before.
    let mut runs: [Vec<Run>; 3] = Default::default();
    for round in 0..=rounds {
        let results = [
            copy(&source, &inbox),
            transfer(&source, &inbox, &["--tcp"]),
            transfer(&source, &inbox, &[]),
        ];
        if round > 0 {
            runs.iter_mut().zip(results).for_each(|(runs, run)| runs.push(run));
        }
    }
    let base = median(&runs[0]);
    println!(
        "{:<12} {:>8} {:>8} {:>14} {:>14}",
        "", "GB/s", "of copy", "sender MiB", "receiver MiB"
    );
    for (name, runs) in ["copy", "volley TCP", "volley UDP"].into_iter().zip(&runs) {
        let rate = median(runs);
        let memory = [0, 1].map(|side| runs.iter().map(|run| run.memory[side]).max().unwrap_or(0));
        println!(
            "{name:<12} {:>8.2} {:>8.2} {:>14} {:>14}",
            rate / 1e9,
            rate / base,
            memory[0],
            memory[1]
        );
    }
}

fn median(runs: &[Run]) -> f64 {
    let mut rates: Vec<f64> = runs.iter().map(|run| run.rate).collect();
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

fn copy(source: &Path, inbox: &Path) -> Run {
    let target = inbox.join("copy");
    let start = Instant::now();
    let bytes = std::fs::copy(source, &target).expect("space");
    let rate = bytes as f64 / start.elapsed().as_secs_f64();
    std::fs::remove_file(target).expect("ours");
    Run { rate, memory: [0; 2] }
}

fn transfer(source: &Path, inbox: &Path, options: &[&str]) -> Run {
    let (elapsed, memory) = common::transfer(source, inbox, options);
    let target = inbox.join("source");
    let size = std::fs::metadata(&target).expect("received").len();
    std::fs::remove_file(target).expect("ours");
    Run { rate: size as f64 / elapsed.as_secs_f64(), memory }
}
