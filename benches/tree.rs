//! Many small files over loopback: `cp -r`, an rsync daemon where rsync is installed, volley over TCP and
//! over UDP, interleaved, with the largest memory of each side of volley. Quote the ratios: machines
//! differ, and this one may be busy.
//!
//! `VOLLEY_BENCH_FILES` sets how many files (10,000), `VOLLEY_BENCH_MAX` how large the largest is (10,700 bytes, so
//! that ten thousand are 53 MB), `VOLLEY_BENCH_ROUNDS` the rounds (5), `VOLLEY_BENCH_DIR` where the
//! files are (`/dev/shm` where it exists), `VOLLEY_BENCH_LINK` options of `volley send`, such as
//! `--rate 100Mbit --delay 25ms --cc fixed:95Mbit`; then volley over UDP goes alone, and is compared with the time that
//! the bytes alone would take at the rate of `VOLLEY_BENCH_RATE` (100 Mbit/s of IP packets).
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    reason = "a benchmark measures real time and prints it"
)]

#[expect(dead_code, reason = "each benchmark uses its part of this")]
mod common;

use common::{default_dir, number};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Files in one directory.
const TOGETHER: u64 = 100;

/// File bytes in an IP packet of 1,500, and its bytes.
const PAYLOAD: (f64, f64) = (1452.0, 1500.0);

/// One run: seconds, and the largest memory of sender and receiver in MiB.
#[derive(Clone, Copy)]
struct Run {
    seconds: f64,
    memory: [u64; 2],
}

fn main() {
    let files = number("VOLLEY_BENCH_FILES", 10_000);
    let rounds = number("VOLLEY_BENCH_ROUNDS", 5);
    let parent = std::env::var_os("VOLLEY_BENCH_DIR").map_or_else(default_dir, PathBuf::from);
    let dir = tempfile::tempdir_in(parent).expect("a directory to work in");
    let source = dir.path().join("source");
    let bytes = make_tree(&source, files, number("VOLLEY_BENCH_MAX", 10_700));
    println!("{files} files, {bytes} bytes, in {}, {rounds} rounds, medians", dir.path().display());
    let inbox = dir.path().join("inbox");
    std::fs::create_dir(&inbox).expect("a fresh directory");
    if let Ok(link) = std::env::var("VOLLEY_BENCH_LINK") {
        let options: Vec<&str> = link.split_whitespace().collect();
        let runs: Vec<Run> = (0..rounds).map(|_| transfer(&source, &inbox, &options)).collect();
        let rate = number("VOLLEY_BENCH_RATE", 100_000_000) as f64;
        let own = bytes as f64 / PAYLOAD.0 * PAYLOAD.1 * 8.0 / rate;
        let seconds = median(&runs);
        return println!(
            "{link}: {seconds:.3} s, the bytes alone {own:.3} s, {:.3} times",
            seconds / own
        );
    }
    compare(&source, &inbox, rounds);
}

fn compare(source: &Path, inbox: &Path, rounds: u64) {
    let rsync = Daemon::start(inbox);
    let mut runs: Vec<(&str, Vec<Run>)> = ["cp -r", "rsync daemon", "volley TCP", "volley UDP"]
        .map(|name| (name, Vec::new()))
        .to_vec();
    // The first round warms memory that the system has never handed out before.
    for round in 0..=rounds {
        let results = [
            Some(time(inbox, Command::new("cp").arg("-r").arg(source).arg(inbox))),
            rsync.as_ref().map(|daemon| daemon.copy(source, inbox)),
            Some(transfer(source, inbox, &["--tcp"])),
            Some(transfer(source, inbox, &[])),
        ];
        if round > 0 {
            runs.iter_mut().zip(results).for_each(|((_, runs), run)| runs.extend(run));
        }
    }
    let base = median(&runs[0].1);
    println!("{:<13} {:>8} {:>9} {:>11} {:>13}", "", "s", "of cp -r", "sender MiB", "receiver MiB");
    for (name, runs) in runs.iter().filter(|(_, runs)| !runs.is_empty()) {
        let seconds = median(runs);
        let memory = [0, 1].map(|side| runs.iter().map(|run| run.memory[side]).max().unwrap_or(0));
        println!(
            "{name:<13} {seconds:>8.3} {:>9.2} {:>11} {:>13}",
            seconds / base,
            memory[0],
            memory[1]
        );
    }
}

/// Makes files whose sizes are spread evenly from 0 to `max`; says how many bytes they are in all.
fn make_tree(root: &Path, files: u64, max: u64) -> u64 {
    let bytes: Vec<u8> =
        (0..=max).map(|at| at.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect();
    let mut all = 0;
    for number in 0..files {
        let directory = root.join(format!("d{}", number / TOGETHER));
        if number % TOGETHER == 0 {
            std::fs::create_dir_all(&directory).expect("space");
        }
        // Steps of the golden ratio fill the range evenly whatever the count.
        let place = number.wrapping_mul(2_654_435_769) & 0xffff_ffff;
        let size = (place * (max + 1)) >> 32;
        let part = &bytes[..usize::try_from(size).expect("small")];
        all += part.len() as u64;
        std::fs::write(directory.join(format!("f{number}")), part).expect("space");
    }
    all
}

fn median(runs: &[Run]) -> f64 {
    let mut seconds: Vec<f64> = runs.iter().map(|run| run.seconds).collect();
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

/// Runs a command that copies the tree into `inbox`, and takes the copy away.
fn time(inbox: &Path, command: &mut Command) -> Run {
    let start = Instant::now();
    assert!(command.status().expect("it can be run").success(), "{command:?} failed");
    let seconds = start.elapsed().as_secs_f64();
    std::fs::remove_dir_all(inbox.join("source")).expect("it is there");
    Run { seconds, memory: [0; 2] }
}

/// An rsync daemon that writes into a directory.
struct Daemon {
    process: Child,
    port: u16,
    _settings: tempfile::NamedTempFile,
}

impl Daemon {
    /// Nothing where rsync is not installed.
    fn start(inbox: &Path) -> Option<Self> {
        let port = std::net::TcpListener::bind("127.0.0.1:0").ok()?.local_addr().ok()?.port();
        let settings = tempfile::NamedTempFile::new().expect("space");
        let path = inbox.display();
        let text = format!(
            "use chroot = no\nuid = root\ngid = root\n[inbox]\npath = {path}\nread only = no\n"
        );
        std::fs::write(settings.path(), text).expect("space");
        let process = Command::new("rsync")
            .args(["--daemon", "--no-detach", "--address=127.0.0.1"])
            .arg(format!("--port={port}"))
            .arg(format!("--config={}", settings.path().display()))
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::sleep(Duration::from_millis(10));
        }
        Some(Self { process, port, _settings: settings })
    }

    fn copy(&self, source: &Path, inbox: &Path) -> Run {
        let to = format!("rsync://127.0.0.1:{}/inbox/", self.port);
        time(inbox, Command::new("rsync").arg("-rtp").arg(source).arg(to))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// One run of volley's.
fn transfer(source: &Path, inbox: &Path, options: &[&str]) -> Run {
    let (elapsed, memory) = common::transfer(source, inbox, options);
    std::fs::remove_dir_all(inbox.join("source")).expect("received");
    Run { seconds: elapsed.as_secs_f64(), memory }
}
