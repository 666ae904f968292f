//! What takes minutes: large files, hard links, and the time-outs.
//!
//! `cargo test --release --test campaign -- --ignored`
//!
//! Environment variables that make it longer, or other:
//!
//! - `VOLLEY_CAMPAIGN=N` repeats each transfer over a lossy link N times, each with its own seed;
//! - `VOLLEY_TREES=N` sends N random trees over each carrier, 1,000 unless given;
//! - `VOLLEY_SOAK=N` lets one listener serve N rounds of senders over faulty links, 40 unless given;
//! - `VOLLEY_SEED=N` is the first seed, 1 unless given; the others follow it.
//!
//! The files above 4 GiB need 10 GB in the temporary directory (`TMPDIR`).

#[expect(dead_code, reason = "each test file uses its part of the harness")]
mod common;

use common::tree::{expect_same, make_empty_files, make_random};
use common::{
    Bench, CARRIERS, Outcome, Receiver, Running, expect_all_done, expect_link, free_port, note,
    seed, side_by_side, wait_until, words,
};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, SeedableRng};
use std::io::Write;
use std::net::{TcpStream, UdpSocket};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use volley::net::Interrupt;
use volley::net::tcp::record::{Record, RecordReader};
use volley::transfer::entry::{Attributes, Entry, Kind};
use volley::transfer::message::Message;
use volley::wire::handshake::Role;

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
    bench.long_file("sparse", size);
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

/// Datagrams and streams that no volley would send, until it is over; returns how many there were.
fn send_garbage(address: &str, is_over: &AtomicBool) -> u64 {
    let mut draws = Xoshiro256PlusPlus::seed_from_u64(seed());
    let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback");
    let mut garbage = vec![0; 4_000];
    let mut count = 0;
    while !is_over.load(Ordering::Relaxed) {
        draws.fill_bytes(&mut garbage);
        for datagram in garbage.chunks(1_200) {
            let _ = socket.send_to(datagram, address);
        }
        let stream = TcpStream::connect(address).expect("it listens");
        // It may hang up in the middle of this.
        let _ = (&stream).write_all(&garbage);
        count += 1;
        pause(Duration::from_millis(5));
    }
    count
}

/// Runs `COUNT` senders at once beside some that are killed, stall, or send garbage.
fn crowd(bench: &Bench, receiver: &Receiver, names: &[String]) -> Vec<Outcome> {
    // Those that will be killed, and those that stall, one over each carrier.
    let others = ["killed udp", "killed tcp", "stalled udp", "stalled tcp"];
    others.iter().for_each(|name| bench.long_file(name, 8 << 30));
    let start_other = |index: usize| {
        let options = [CARRIERS[0], &["--cc", "fixed:20Mbit"]].concat();
        let options = if index.is_multiple_of(2) { &options[..] } else { CARRIERS[1] };
        bench.start_sending(receiver, &[others[index]], options)
    };
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let garbage = scope.spawn(|| send_garbage(&receiver.address, &is_over));
        let mut trouble: Vec<Running> = (0..others.len()).map(start_other).collect();
        let start = |(index, name): (usize, &String)| {
            let options = [CARRIERS[index % 2], &["--json"]].concat();
            bench.start_sending(receiver, &[name], &options)
        };
        let senders: Vec<Running> = names.iter().enumerate().map(start).collect();
        pause(Duration::from_millis(200));
        trouble[..2].iter_mut().for_each(Running::kill);
        trouble[2..].iter().for_each(|stalled| stalled.signal("STOP"));
        let outcomes = senders.into_iter().map(Running::finish).collect();
        is_over.store(true, Ordering::Relaxed);
        note(&format!("{} pieces of garbage", garbage.join().expect("the listener was there")));
        outcomes
    })
}

#[test]
#[ignore = "a campaign"]
fn forty_eight_senders_share_a_listener_fairly_whatever_others_do() {
    const COUNT: usize = 48;
    const SIZE: u32 = 16 << 20;
    let _turn = alone();
    let bench = Bench::new();
    let receiver = bench.receive(&words(&format!("--loss 1% --seed {}", seed())));
    let names: Vec<String> = (0..COUNT).map(|index| format!("file {index}")).collect();
    names.iter().for_each(|name| bench.file(name, SIZE.into()));
    let outcomes = crowd(&bench, &receiver, &names);
    expect_all_done(&outcomes, COUNT);
    receiver.stop();
    bench.expect_arrived(&names.iter().map(String::as_str).collect::<Vec<_>>());
    // In MB/s, from a sender's first packet to the outcome of its file. Each is compared with those
    // under the same conditions: only datagrams get lost, and our CUBIC slows down for it.
    let rate = |outcome: &Outcome| {
        f64::from(SIZE) / 1e6 / outcome.json()["seconds"].as_f64().expect("a number")
    };
    let mut all: Vec<f64> = outcomes.iter().map(rate).collect();
    all.sort_by(f64::total_cmp);
    note(&format!("the slowest of all to the median: {:.2}", all[0] / all[COUNT / 2]));
    for (name, first) in [("UDP", 0), ("TCP", 1)] {
        let mut rates: Vec<f64> = outcomes.iter().skip(first).step_by(2).map(rate).collect();
        rates.sort_by(f64::total_cmp);
        let (slowest, median) = (rates[0], rates[rates.len() / 2]);
        note(&format!("{name}: {rates:.2?} MB/s, slowest {slowest:.2}, median {median:.2}"));
        assert!(slowest >= median / 2.0, "{name}: slowest {slowest:.2}, median {median:.2} MB/s");
    }
}

/// A transfer of some seconds, in the middle.
fn in_the_middle(receiver_options: &[&str]) -> (Bench, Receiver, Running) {
    let bench = Bench::new();
    bench.file("file", 2_000_000);
    let receiver = bench.receive(receiver_options);
    let options = ["--cc", "fixed:2Mbit", "--retry", "0"];
    let sender = bench.start_sending(&receiver, &["file"], &options);
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

/// The same over TCP.
fn in_the_middle_of_a_stream(size: u64, receiver_options: &[&str]) -> (Bench, Receiver, Running) {
    let bench = Bench::new();
    bench.long_file("file", size);
    let receiver = bench.receive(receiver_options);
    let sender = bench.start_sending(&receiver, &["file"], &["--tcp", "--retry", "0"]);
    bench.wait_for_first_bytes();
    (bench, receiver, sender)
}

#[test]
#[ignore = "a campaign"]
fn a_receiver_that_falls_silent_is_missed_after_30_seconds_over_tcp() {
    let (_bench, receiver, sender) = in_the_middle_of_a_stream(8 << 30, &[]);
    receiver.running.signal("STOP");
    let (sent, took) = timed(|| sender.finish());
    let port = receiver.address.rsplit(':').next().expect("a port");
    let said = format!("nothing received from 127.0.0.1 on TCP port {port} for 30 s");
    sent.expect_code(4).expect_words(&[&said, "send again"]);
    expect_within(took, 25, 35);
    receiver.running.signal("CONT");
}

#[test]
#[ignore = "a campaign"]
fn a_sender_that_falls_silent_is_missed_after_30_seconds_over_tcp() {
    let (_bench, receiver, sender) = in_the_middle_of_a_stream(8 << 30, &["--json"]);
    sender.signal("STOP");
    let said = ["nothing received from 127.0.0.1 on TCP port", "for 30 s", "send again"];
    let ((), took) = timed(|| receiver.running.wait_long_for_words(&said));
    expect_within(took, 25, 35);
    assert_eq!(receiver.stop().json()["exit_code"], 4);
}

/// A sender that has nothing to send but signs of life, as one whose disk is busy.
#[test]
#[ignore = "a campaign"]
fn a_stream_lives_as_long_as_both_sides_show_that_they_do() {
    const LIFE: Record<'_> = Record::Messages(b"");
    let bench = Bench::new();
    let receiver = bench.receive(&[]);
    let stream = TcpStream::connect(&receiver.address).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_millis(100))).expect("a socket");
    let write = |record: Record<'_>| {
        let mut bytes = Vec::new();
        record.write_to(&mut bytes);
        (&stream).write_all(&bytes).expect("it is there");
    };
    let mut reader = RecordReader::new(&stream, Interrupt::default());
    reader.trust();
    write(Record::Hello { versions: vec![1], role: Role::Sender });
    let first = reader.next(&mut |_| false).expect("a record");
    assert_eq!(first, Some(Record::Welcome { version: 1 }));
    let mut offer = Vec::new();
    let attributes = Attributes { mode: 0o644, seconds: 0, nanoseconds: 0 };
    let kind = Kind::File { size: 1, holes: None, attributes, source: None };
    Message::Offer(Entry { path: "file".into(), kind }).put(&mut offer);
    write(Record::Messages(&offer));
    let mut next = || match reader.next(&mut |_| false).expect("a record") {
        Some(Record::Messages(messages)) => Ok(messages.is_empty()),
        Some(Record::Close { code, reason }) => {
            Err((code, String::from_utf8_lossy(reason).into_owned()))
        }
        other => panic!("{other:?}"),
    };
    // Less than the minute in which something has to move.
    for _ in 0..4 {
        write(LIFE);
        // The receiver has nothing to say either, every 5 s.
        while !next().expect("it waits") {}
    }
    let (end, took) = timed(|| {
        loop {
            if let Err(end) = next() {
                break end;
            }
        }
    });
    assert_eq!(end.0, 4);
    assert!(end.1.contains("nothing received"), "{}", end.1);
    expect_within(took, 25, 35);
}

/// Lets the receiver stand still for 20 s, and everything arrive all the same.
fn survive_a_blackout((bench, receiver, sender): (Bench, Receiver, Running)) {
    receiver.running.signal("STOP");
    pause(Duration::from_secs(20));
    receiver.running.signal("CONT");
    sender.finish().expect_code(0);
    receiver.finish().expect_code(0);
    bench.expect_arrived(&["file"]);
}

#[test]
#[ignore = "a campaign"]
fn a_blackout_of_20_seconds_is_survived() {
    survive_a_blackout(in_the_middle(&["--once"]));
}

#[test]
#[ignore = "a campaign"]
fn a_blackout_of_20_seconds_is_survived_over_tcp() {
    survive_a_blackout(in_the_middle_of_a_stream(1 << 30, &["--once"]));
}

#[expect(clippy::disallowed_methods, reason = "nothing happens that could be waited for")]
fn pause(span: Duration) {
    std::thread::sleep(span);
}

/// Bytes of memory that either side may need for a tree of any size, in KiB.
const TREE_MEMORY_MAX: u64 = 128 << 10;

#[test]
#[ignore = "a campaign"]
fn two_hundred_thousand_empty_files_need_little_memory() {
    let _turn = alone();
    for carrier in CARRIERS {
        let bench = Bench::new();
        make_empty_files(&bench.from().join("tree"), 200_000);
        let receiver = bench.receive(&["--once"]);
        let mut sender = bench.start_sending(&receiver, &["tree"], carrier);
        let mut peaks = [0; 2];
        wait_until("the sender ends", || {
            for (peak, process) in peaks.iter_mut().zip([&sender, &receiver.running]) {
                *peak = process.peak_memory_kib().unwrap_or(0).max(*peak);
            }
            sender.has_ended()
        });
        note(&format!("KiB at the peak of the sender and the receiver: {peaks:?}"));
        assert!(peaks.iter().all(|peak| (1..TREE_MEMORY_MAX).contains(peak)), "{peaks:?}");
        let sent = sender.finish().expect_code(0);
        assert!(sent.stderr.contains("sent 200000 files, 201 directories"), "{}", sent.stderr);
        receiver.finish().expect_code(0);
        expect_same(&bench.from().join("tree"), &bench.to().join("tree"), true);
    }
}

#[test]
#[ignore = "a campaign"]
fn random_trees_are_the_same_over_both_carriers() {
    let _turn = alone();
    let given = std::env::var("VOLLEY_TREES").ok();
    let trees = given.map_or(1_000, |trees| trees.parse().expect("VOLLEY_TREES is a number"));
    for seed in seed()..seed() + trees {
        let bench = Bench::new();
        make_random(&bench.from().join("tree"), seed);
        for (carrier, name) in CARRIERS.iter().zip(["udp", "tcp"]) {
            let receiver = bench.receive(&["--once"]);
            bench.send(&receiver, &["tree"], &[carrier, &["--links"][..]].concat()).expect_code(0);
            receiver.finish().expect_code(0);
            expect_same(&bench.from().join("tree"), &bench.to().join("tree"), true);
            std::fs::rename(bench.to().join("tree"), bench.to().join(name)).expect("it is there");
        }
    }
}

/// Memory of a receiver that serves 256, in KiB: two megabytes each, for a record and a group over TCP.
const CLIENTS_MEMORY_MAX: u64 = 512 << 10;

/// How long the transfers took that a receiver told of with `--jsonl`, in order.
fn seconds_of_complete(events: &str) -> Vec<f64> {
    let parse = |line: &str| serde_json::from_str::<serde_json::Value>(line).expect("an object");
    let mut seconds: Vec<f64> = events
        .lines()
        .map(parse)
        .filter(|event| event["event"] == "complete")
        .map(|event| event["result"]["seconds"].as_f64().expect("a number"))
        .collect();
    seconds.sort_by(f64::total_cmp);
    seconds
}

/// `--show-output` shows how the receiver's time was shared. What is asserted of that is in virtual time,
/// in `sim/tests.rs`: here, 257 programs share a machine as well.
#[test]
#[ignore = "a campaign"]
fn two_hundred_and_fifty_six_senders_at_once_all_arrive() {
    const COUNT: usize = 256;
    let _turn = alone();
    let bench = Bench::new();
    let names: Vec<String> = (0..COUNT).map(|index| format!("file {index}")).collect();
    names.iter().for_each(|name| bench.file(name, 1 << 20));
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for (carrier, link) in CARRIERS.iter().zip(["--loss 1% --delay 10ms --seed ", ""]) {
        let receiver = bench.receive(&["--jsonl", "--overwrite"]);
        let send = |index: usize| {
            let seed = seed() + index as u64;
            let link = if link.is_empty() { String::new() } else { format!("{link}{seed}") };
            bench.send(&receiver, &[names[index]], &[&words(&link), *carrier].concat())
        };
        expect_all_done(&side_by_side(COUNT, COUNT, send), COUNT);
        let peak = receiver.running.peak_memory_kib().expect("it runs");
        let seconds = seconds_of_complete(&receiver.stop().stdout);
        bench.expect_arrived(&names);
        assert_eq!(seconds.len(), COUNT);
        let at = |percent: usize| seconds[(COUNT - 1) * percent / 100];
        note(&format!(
            "{carrier:?} {link}: seconds from {:.2} to {:.2}, half of them in {:.2}; the slowest at {:.2} of \
             the median rate; the receiver's memory {} MiB",
            at(0),
            at(100),
            at(50),
            at(50) / at(100),
            peak >> 10
        ));
        assert!(peak < CLIENTS_MEMORY_MAX, "{peak} KiB");
    }
}

/// Rounds of the soak.
fn soak() -> usize {
    let given = std::env::var("VOLLEY_SOAK").ok();
    given.map_or(40, |rounds| rounds.parse().expect("VOLLEY_SOAK is a number"))
}

/// What a listener may need more than after its first rounds, however many there are, in KiB.
const SOAK_GROWTH_MAX: u64 = 24 << 10;

/// Three senders at a time, again and again, over links that lose, repeat, damage and hold back.
#[test]
#[ignore = "a campaign"]
fn a_listener_serves_through_faults_for_as_long_as_asked_and_does_not_grow() {
    const FAULTS: [&str; 6] = [
        "--tcp",
        "--cc cubic",
        "--loss 5% --delay 5ms",
        "--corrupt 2% --duplicate 5% --jitter 3ms --delay 5ms",
        "--reorder 20% --rate 20Mbit",
        "--burst-loss 2%:5 --delay 10ms",
    ];
    let _turn = alone();
    let bench = Bench::new();
    let receiver = bench.receive(&["--overwrite"]);
    let names = ["a", "b", "c"];
    let mut settled = u64::MAX;
    for round in 0..soak().max(FAULTS.len()) {
        names.iter().for_each(|name| bench.file(name, 200_000 + 40_000 * (round % 20) as u64));
        let send = |index: usize| {
            let mut options = FAULTS[(round + 2 * index) % FAULTS.len()].to_owned();
            // Of all seeds, some lose a whole handshake.
            if options.contains("--delay") || options.contains("--rate") {
                options += &format!(" --seed {}", seed() + (names.len() * round + index) as u64);
            }
            bench.send(&receiver, &[names[index]], &words(&options))
        };
        expect_all_done(&side_by_side(names.len(), names.len(), send), names.len());
        bench.expect_equal(&names);
        let peak = receiver.running.peak_memory_kib().expect("it runs");
        if round < FAULTS.len() {
            settled = peak;
        }
        let grown = peak.saturating_sub(settled);
        assert!(grown <= SOAK_GROWTH_MAX, "{grown} KiB more in round {round}");
    }
    receiver.stop();
    bench.expect_arrived(&names);
}
