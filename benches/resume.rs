//! A large file whose transfer is killed on both sides at 60 %, and goes on: when the first new byte is written, and what
//! it costs that both sides read and compare what was kept, beside a transfer of the rest alone and beside reading the kept part once.
//!
//! Each of these is measured with empty caches of the system, where it lets us empty them (as root), and as the
//! caches are after the kill. `VOLLEY_BENCH_MB` sets the file's size (2000), `VOLLEY_BENCH_ROUNDS` the rounds
//! (1), `VOLLEY_BENCH_DIR` where the files are (that for temporary files; three times the size must be free).
//! Sender and receiver share one disk and one machine's cores here, as two machines do not.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    reason = "a benchmark measures real time and prints it"
)]

#[expect(dead_code, reason = "each benchmark uses its part of this")]
mod common;

use common::{Receiver, number, transfer, write_file};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The part of the file that has come when both sides are killed, in percent.
const KEPT: u64 = 60;

/// A journal has so many bytes for its head, and for each group of 1 MiB.
const RECORD: u64 = 64;

/// So many bytes written by a receiver that goes on are those of a file.
const SOME: u64 = 64 << 10;

/// Bytes read at once, and bytes of a page.
const PIECE: usize = 1 << 20;
const PAGE: usize = 4096;

/// One transfer that went on, and what it is compared with.
struct Run {
    /// Until the first new byte was written, and until all was done.
    first: Duration,
    total: Duration,
    /// The rest sent as a file of its own.
    alone: Duration,
    /// Reading what was kept: of one side, and of both sides at the same time.
    once: Duration,
    both: Duration,
}

fn main() {
    let size = 1_000_000 * number("VOLLEY_BENCH_MB", 2000);
    let rounds = number("VOLLEY_BENCH_ROUNDS", 1);
    let parent =
        std::env::var_os("VOLLEY_BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = tempfile::tempdir_in(parent).expect("a directory to work in");
    println!("{size} bytes in {}, killed at {KEPT} %; seconds", dir.path().display());
    let states: &[(&str, bool)] = if forget_files() {
        &[("cold", true), ("warm", false)]
    } else {
        println!("the system does not let this program empty its caches: nothing is cold");
        &[("warm", false)]
    };
    write_file(&dir.path().join("source"), size);
    println!(
        "{:<9} {:>10} {:>7} {:>10} {:>7} {:>9} {:>14} {:>9}",
        "", "first byte", "all", "rest alone", "added", "read once", "of read once", "read both"
    );
    for _ in 0..rounds {
        for (state, is_cold) in states {
            for (carrier, options) in [("UDP", &[][..]), ("TCP", &["--tcp"])] {
                show(&format!("{carrier} {state}"), &measure(dir.path(), options, *is_cold));
            }
        }
    }
}

fn show(name: &str, run: &Run) {
    let Run { first, total, alone, once, both } = run;
    let [first, total, alone, once, both] =
        [first, total, alone, once, both].map(Duration::as_secs_f64);
    let added = total - alone;
    println!(
        "{name:<9} {first:>10.2} {total:>7.2} {alone:>10.2} {added:>7.2} {once:>9.2} {:>14.2} {both:>9.2}",
        added / once
    );
}

fn measure(dir: &Path, options: &[&str], is_cold: bool) -> Run {
    let (source, inbox, rest) = (dir.join("source"), dir.join("inbox"), dir.join("rest"));
    let received = inbox.join("source");
    fs::create_dir(&inbox).expect("a fresh directory");
    cut_off(&source, &inbox, options);
    let kept = kept(&inbox);
    let forget = || match is_cold {
        true => assert!(forget_files(), "it was allowed before"),
        false => rustix::fs::sync(),
    };
    let both = || {
        std::thread::scope(|scope| {
            scope.spawn(|| read(&source, kept));
            scope.spawn(|| read(&received, kept));
        });
    };
    // What goes on is measured first: to read would warm the caches.
    forget();
    let (first, total) = go_on(&source, &inbox, options);
    forget();
    let once = time(|| read(&source, kept));
    forget();
    let both = time(both);
    fs::remove_file(&received).expect("received");
    write_file(&rest, fs::metadata(&source).expect("ours").len() - kept);
    forget();
    let alone = transfer(&rest, &inbox, options).0;
    fs::remove_dir_all(&inbox).expect("ours");
    fs::remove_file(&rest).expect("ours");
    Run { first, total, alone, once, both }
}

/// Sends, and kills both sides once so much is written down.
fn cut_off(source: &Path, inbox: &Path, options: &[&str]) {
    let wanted = fs::metadata(source).expect("ours").len() / 100 * KEPT;
    let mut receiver = Receiver::start(inbox);
    let mut sender = receiver.start_sender(source, options);
    while kept(inbox) < wanted {
        assert!(sender.try_wait().expect("a child").is_none(), "it was to be killed before");
        std::thread::sleep(Duration::from_millis(2));
    }
    for process in [&mut sender, &mut receiver.process] {
        process.kill().expect("ours");
        process.wait().expect("a child");
    }
}

/// Bytes that the receiver in `inbox` has written down as verified.
fn kept(inbox: &Path) -> u64 {
    let entries = fs::read_dir(inbox.join(".volley-partial")).into_iter().flatten();
    let mut paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let journal = paths.find(|path| path.extension().is_some_and(|found| found == "journal"));
    let len = journal.and_then(|path| fs::metadata(path).ok()).map_or(0, |found| found.len());
    (len / RECORD).saturating_sub(1) << 20
}

/// Sends again: when the first new byte was written, and when all was done.
fn go_on(source: &Path, inbox: &Path, options: &[&str]) -> (Duration, Duration) {
    let receiver = Receiver::start(inbox);
    let before = written(receiver.process.id());
    let start = Instant::now();
    let mut sender = receiver.start_sender(source, options);
    let mut first = None;
    let status = loop {
        if first.is_none() && written(receiver.process.id()) >= before + SOME {
            first = Some(start.elapsed());
        }
        if let Some(status) = sender.try_wait().expect("a child") {
            break status;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let total = start.elapsed();
    assert!(status.success(), "the sender failed");
    receiver.finish();
    (first.unwrap_or(total), total)
}

/// Bytes that a process has written to files.
fn written(process: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{process}/io")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("wchar:"));
    line.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
}

/// Empties the system's caches of files; false if it does not let us.
fn forget_files() -> bool {
    rustix::fs::sync();
    fs::write("/proc/sys/vm/drop_caches", "3").is_ok()
}

/// Reads the first bytes of a file.
fn read(path: &Path, len: u64) {
    let file = File::open(path).expect("ours");
    // From a page on: elsewhere some processors copy at a quarter of their speed.
    let mut memory = vec![0; PIECE + PAGE];
    let start = memory.as_ptr().align_offset(PAGE);
    let mut at = 0;
    while at < len {
        at += file.read_at(&mut memory[start..start + PIECE], at).expect("readable") as u64;
    }
}

fn time(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}
