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

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const VOLLEY: &str = env!("CARGO_BIN_EXE_volley");

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

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

fn default_dir() -> PathBuf {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() }
}

fn write_file(path: &Path, size: u64) {
    let block: Vec<u8> =
        (0..1u32 << 20).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut file = std::fs::File::create(path).expect("writable");
    let mut left = size;
    while left > 0 {
        let len = left.min(block.len() as u64);
        file.write_all(&block[..usize::try_from(len).expect("a block")]).expect("space");
        left -= len;
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
    let mut receiver = volley()
        .args(["recv", "--open", "--once", "--bind", "127.0.0.1:0"])
        .arg(inbox)
        .stderr(Stdio::piped())
        .spawn()
        .expect("volley was built");
    let mut words = BufReader::new(receiver.stderr.take().expect("piped"));
    let address = listening_address(&mut words);
    let start = Instant::now();
    let mut sender = volley()
        .arg("send")
        .arg(source)
        .args([&address, "--open", "-q"])
        .args(options)
        .spawn()
        .expect("volley was built");
    let memory = watch_memory(&mut sender, &receiver);
    let elapsed = start.elapsed();
    let _ = words.read_to_end(&mut Vec::new());
    assert!(receiver.wait().expect("a child").success(), "the receiver failed");
    let target = inbox.join("source");
    let size = std::fs::metadata(&target).expect("received").len();
    std::fs::remove_file(target).expect("ours");
    Run { rate: size as f64 / elapsed.as_secs_f64(), memory }
}

/// The program, without the flags that the environment of this benchmark may hold.
fn volley() -> Command {
    let mut command = Command::new(VOLLEY);
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"VOLLEY_") {
            command.env_remove(name);
        }
    }
    command
}

/// The address in the line that says what to type.
fn listening_address(words: &mut impl BufRead) -> String {
    let lines = words.lines().map_while(Result::ok);
    let line =
        lines.into_iter().find(|line| line.contains("volley send FILE...")).expect("a greeting");
    line.split_whitespace().nth(3).expect("an address").to_owned()
}

/// Waits for the sender; the largest memory of both meanwhile, in MiB.
fn watch_memory(sender: &mut Child, receiver: &Child) -> [u64; 2] {
    let mut most = [0; 2];
    loop {
        let ended = sender.try_wait().expect("a child");
        for (most, process) in most.iter_mut().zip([sender.id(), receiver.id()]) {
            *most = peak_memory(process).unwrap_or(0).max(*most);
        }
        if let Some(status) = ended {
            assert!(status.success(), "the sender failed");
            return most;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What Linux calls the high water mark of a process's resident memory, in MiB.
fn peak_memory(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes / 1024)
}
