//! What takes minutes: large files, hard links, and the time-outs.
//!
//! `cargo test --release --test campaign -- --ignored`
//!
//! Environment variables that make it longer, or other:
//!
//! - `VOLLEY_CAMPAIGN=N` repeats each transfer over a lossy link N times, each with its own seed;
//! - `VOLLEY_SEED=N` is the first seed, 1 unless given; the others follow it.
//!
//! The files above 4 GiB need 10 GB in the temporary directory (`TMPDIR`).

#[expect(dead_code, reason = "each test file uses its part of the harness")]
mod common;

use common::{Bench, CARRIERS, Receiver, Running, expect_link, free_port, note, seed, words};
use std::net::UdpSocket;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Bytes of the file that goes through lossy links.
const LARGE: u64 = 100_000_000;

/// What the largest transfers need on the disk, in KiB.
const ROOM_KIB: u64 = 10_000_000;

/// Heavy tests run one at a time: side by side they would only measure one another.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    // What failed in another test does not matter here.
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How often each transfer over a lossy link is repeated.
fn rounds() -> u64 {
    let given = std::env::var("VOLLEY_CAMPAIGN").ok();
    given.map_or(1, |rounds| rounds.parse().expect("VOLLEY_CAMPAIGN is a number"))
}

/// What `work` made, and how long it took.
#[expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a time-out towards the user can only be seen on the user's clock"
)]
fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = std::time::Instant::now();
    let made = work();
    (made, start.elapsed())
}

#[track_caller]
fn expect_within(took: Duration, least: u64, most: u64) {
    note(&format!("it took {took:?}"));
    let [least, most] = [least, most].map(Duration::from_secs);
    assert!((least..=most).contains(&took), "{took:?} is not within {least:?} to {most:?}");
}

/// A large file through a link that loses `percent` of the datagrams, each way.
fn survive(percent: u32) {
    let _turn = alone();
    let bench = Bench::new();
    bench.file("large", LARGE);
    for round in 0..rounds() {
        let seed = seed() + round;
        note(&format!("{percent} % loss, seed {seed}"));
        let receiver = bench.receive(&["--once", "--overwrite", "--json"]);
        let link = format!("--loss {percent}% --delay 2ms --seed {seed}");
        let options = format!("{link} --cc fixed:200Mbit --json");
        let sent = bench.send(&receiver, &["large"], &words(&options)).expect_code(0).json();
        let received = receiver.finish().expect_code(0).json();
        bench.expect_arrived(&["large"]);
        assert_eq!(sent["files"][0]["blake3"], received["files"][0]["blake3"]);
        expect_link(&sent, f64::from(percent) / 100.0, seed);
        let offered = sent["link"]["out"]["offered"].as_u64().expect("a number");
        assert!(offered > LARGE / 1_500, "{sent}");
    }
}

#[test]
#[ignore = "a campaign"]
fn a_large_file_survives_0_percent_loss() {
    survive(0);
}

#[test]
#[ignore = "a campaign"]
fn a_large_file_survives_1_percent_loss() {
    survive(1);
}

#[test]
#[ignore = "a campaign"]
fn a_large_file_survives_5_percent_loss() {
    survive(5);
}

#[test]
#[ignore = "a campaign"]
fn a_large_file_survives_20_percent_loss() {
    survive(20);
}

#[test]
#[ignore = "a campaign"]
fn a_large_file_survives_40_percent_loss() {
    survive(40);
}

#[test]
#[ignore = "a campaign"]
fn a_large_file_arrives_over_a_clean_link_by_udp_and_tcp() {
    let _turn = alone();
    for carrier in CARRIERS {
        let bench = Bench::new();
        bench.file("large", LARGE);
        let receiver = bench.receive(&["--once"]);
        bench.send(&receiver, &["large"], carrier).expect_code(0);
        receiver.finish().expect_code(0);
        bench.expect_arrived(&["large"]);
    }
}

/// Sends a file of about 4 GiB, which takes room at the receiver only.
fn cross_32_bits(size: u64, carrier: &[&str]) {
    let _turn = alone();
    expect_room();
    let bench = Bench::new();
    bench.sparse_file("sparse", size);
    let receiver = bench.receive(&["--once"]);
    bench.send(&receiver, &["sparse"], carrier).expect_code(0);
    receiver.finish().expect_code(0);
    bench.expect_arrived(&["sparse"]);
}

/// Fails where the temporary directory is too small for the test.
fn expect_room() {
    let place = std::env::temp_dir();
    let asked = Command::new("df").arg("-Pk").arg(&place).output().expect("df is there");
    let shown = String::from_utf8_lossy(&asked.stdout).into_owned();
    let free = shown.lines().nth(1).and_then(|line| line.split_whitespace().nth(3));
    let free: u64 = free.and_then(|free| free.parse().ok()).expect("as POSIX says");
    assert!(
        free >= ROOM_KIB,
        "this test needs {ROOM_KIB} KiB in {}, where {free} are free; set TMPDIR",
        place.display()
    );
}

#[test]
#[ignore = "a campaign"]
fn a_file_of_one_byte_less_than_4_gib_arrives() {
    cross_32_bits((1 << 32) - 1, CARRIERS[0]);
}

#[test]
#[ignore = "a campaign"]
fn a_file_of_4_gib_arrives() {
    cross_32_bits(1 << 32, CARRIERS[0]);
}

#[test]
#[ignore = "a campaign"]
fn a_file_of_one_byte_more_than_4_gib_arrives() {
    cross_32_bits((1 << 32) + 1, CARRIERS[0]);
}

#[test]
#[ignore = "a campaign"]
fn a_file_of_one_byte_more_than_4_gib_arrives_over_tcp() {
    cross_32_bits((1 << 32) + 1, CARRIERS[1]);
}

#[test]
#[ignore = "a campaign"]
fn a_clean_link_carries_little_beside_the_file() {
    const SIZE: u32 = 10_000_000;
    let _turn = alone();
    let bench = Bench::new();
    bench.file("file", SIZE.into());
    let receiver = bench.receive(&["--once"]);
    let sent = bench.send(&receiver, &["file"], &["--json"]).expect_code(0).json();
    receiver.finish().expect_code(0);
    let bytes = sent["transport"]["udp_payload_bytes_sent"].as_f64().expect("a number");
    let share = bytes / f64::from(SIZE);
    note(&format!("{share} bytes of UDP payload for each byte of the file"));
    // Less than one would mean that not all was counted.
    assert!((1.0..=1.035).contains(&share), "{share}: {sent}");
}

#[test]
#[ignore = "a campaign"]
fn a_port_that_stays_silent_is_given_up_after_ten_seconds() {
    let port = free_port();
    let _socket = UdpSocket::bind(("127.0.0.1", port)).expect("free");
    let bench = Bench::new();
    bench.file("file", 5);
    let line = format!("send file 127.0.0.1:{port} --open");
    let (sent, took) = timed(|| bench.volley(&words(&line)));
    let port = port.to_string();
    let said =
        ["no answer from 127.0.0.1 on UDP port", &port, "for 10 s", "volley recv", "firewall"];
    sent.expect_code(3).expect_words(&said);
    expect_within(took, 9, 13);
}

/// A transfer of some seconds, in the middle.
fn in_the_middle(receiver_options: &[&str]) -> (Bench, Receiver, Running) {
    let bench = Bench::new();
    bench.file("file", 2_000_000);
    let receiver = bench.receive(receiver_options);
    let sender = bench.start_sending(&receiver, &["file"], &["--cc", "fixed:2Mbit"]);
    bench.wait_for_first_bytes();
    (bench, receiver, sender)
}

#[test]
#[ignore = "a campaign"]
fn a_receiver_that_falls_silent_is_missed_after_30_seconds() {
    let (_bench, receiver, sender) = in_the_middle(&[]);
    receiver.running.signal("STOP");
    let (sent, took) = timed(|| sender.finish());
    let port = receiver.address.rsplit(':').next().expect("a port");
    let said = format!("nothing received from 127.0.0.1 on UDP port {port} for 30 s");
    sent.expect_code(4).expect_words(&[&said, "send again"]);
    expect_within(took, 25, 35);
    receiver.running.signal("CONT");
}

#[test]
#[ignore = "a campaign"]
fn a_sender_that_falls_silent_is_missed_after_30_seconds() {
    let (_bench, receiver, sender) = in_the_middle(&["--json"]);
    sender.signal("STOP");
    let said = ["nothing received from 127.0.0.1 on UDP port", "for 30 s", "send again"];
    let ((), took) = timed(|| receiver.running.wait_long_for_words(&said));
    expect_within(took, 25, 35);
    assert_eq!(receiver.stop().json()["exit_code"], 4);
}

#[test]
#[ignore = "a campaign"]
fn a_blackout_of_20_seconds_is_survived() {
    let (bench, receiver, sender) = in_the_middle(&["--once"]);
    receiver.running.signal("STOP");
    pause(Duration::from_secs(20));
    receiver.running.signal("CONT");
    sender.finish().expect_code(0);
    receiver.finish().expect_code(0);
    bench.expect_arrived(&["file"]);
}

#[expect(clippy::disallowed_methods, reason = "nothing happens that could be waited for")]
fn pause(span: Duration) {
    std::thread::sleep(span);
}
