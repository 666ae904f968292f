//! Transfers that are cut off, and go on.
//!
//! The campaign kills one side of a transfer of 1 GiB again and again:
//! `cargo test --release --test resume -- --ignored`
//!
//! - `VOLLEY_KILLS=N` kills N times, 20 unless given;
//! - `VOLLEY_SEED=N` draws when and whom, 1 unless given.

#[expect(dead_code, reason = "each test file uses its part of the harness")]
mod common;

use common::{
    Bench, CARRIERS, Outcome, Receiver, Running, free_port, note, seed, wait_until, words,
};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, SeedableRng};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;

/// Bytes of a file that is long enough to be killed in the middle of.
const LONG: u64 = 40 << 20;

/// So fast that there is a middle.
const SLOWLY: &str = "--cc fixed:400Mbit --rate 400Mbit --queue 1MiB";

const MIB: u64 = 1 << 20;

/// The halves of unfinished files, by the ends of their names.
fn halves(bench: &Bench, end: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(bench.to().join(".volley-partial")).into_iter().flatten();
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    paths.filter(|path| path.to_string_lossy().ends_with(end)).collect()
}

/// Bytes that have come of the only unfinished file.
fn come(bench: &Bench) -> u64 {
    let sizes = halves(bench, ".part").into_iter().filter_map(|path| fs::metadata(path).ok());
    sizes.map(|metadata| metadata.blocks() * 512).max().unwrap_or(0)
}

/// Bytes of it that are written down.
fn written_down(bench: &Bench) -> u64 {
    let sizes = halves(bench, ".journal").into_iter().filter_map(|path| fs::metadata(path).ok());
    sizes.map(|metadata| (metadata.len() / 64).saturating_sub(1) * MIB).max().unwrap_or(0)
}

/// Starts a receiver at a port that it can be started at again.
fn receive_at(bench: &Bench, port: u16, options: &[&str]) -> Receiver {
    let port = port.to_string();
    let start = ["recv", ".", "--open", "--bind", "127.0.0.1", "--port", &port];
    Receiver::listen(Running::start(&bench.to(), &[&start, options].concat()))
}

fn resumed(outcome: &Outcome) -> u64 {
    outcome.json()["resumed_bytes"].as_u64().expect("a number")
}

/// Sends and kills the sender once something is written down.
fn cut_off(bench: &Bench, receiver: &Receiver, options: &str) {
    let mut sender = bench.start_sending(receiver, &["long"], &words(options));
    wait_until("something is written down", || written_down(bench) >= 4 * MIB);
    assert!(!sender.has_ended(), "it was to be killed in the middle");
    sender.kill();
}

#[test]
fn a_sender_that_was_killed_goes_on_over_either_carrier() {
    for options in [&[][..], &["--tcp"]] {
        let bench = Bench::new();
        bench.file("long", LONG);
        let receiver = bench.receive(&["--once"]);
        cut_off(&bench, &receiver, SLOWLY);
        let sent = bench.send(&receiver, &["long"], &[options, &["--json"]].concat());
        let sent = sent.expect_code(0);
        assert!(resumed(&sent) >= 4 * MIB, "{sent:?}");
        receiver.finish().expect_code(0).expect_words(&["resumed"]);
        bench.expect_arrived(&["long"]);
    }
}

/// What waits is a claim: both sides look before it counts.
#[test]
fn a_bit_that_was_flipped_while_a_file_waited_comes_again() {
    for options in CARRIERS {
        let bench = Bench::new();
        bench.file("long", LONG);
        let receiver = bench.receive(&["--once"]);
        cut_off(&bench, &receiver, SLOWLY);
        let waiting = halves(&bench, ".part").pop().expect("it waits");
        let waiting = fs::File::options().read(true).write(true).open(waiting).expect("ours");
        let mut byte = [0];
        waiting.read_exact_at(&mut byte, MIB + 77).expect("it has come");
        waiting.write_all_at(&[byte[0] ^ 1], MIB + 77).expect("ours");
        drop(waiting);
        let sent = bench.send(&receiver, &["long"], &[options, &["--json"]].concat());
        assert!(resumed(&sent.expect_code(0)) >= 3 * MIB);
        receiver.finish().expect_code(0);
        bench.expect_arrived(&["long"]);
    }
}

#[test]
fn what_began_over_tcp_goes_on_over_udp() {
    let bench = Bench::new();
    // TCP cannot be slowed down; so it is stopped in time.
    bench.file("long", 256 << 20);
    let receiver = bench.receive(&["--once"]);
    let mut sender = bench.start_sending(&receiver, &["long"], &["--tcp"]);
    wait_until("something is written down", || written_down(&bench) >= 4 * MIB);
    sender.kill();
    let sent = bench.send(&receiver, &["long"], &["--json"]).expect_code(0);
    receiver.finish().expect_code(0);
    bench.expect_arrived(&["long"]);
    assert!(resumed(&sent) >= 4 * MIB, "{sent:?}");
}

#[test]
fn a_receiver_that_was_killed_goes_on_and_says_at_its_start_that_it_can() {
    let bench = Bench::new();
    bench.file("long", LONG);
    let port = free_port();
    let mut receiver = receive_at(&bench, port, &[]);
    let options = format!("{SLOWLY} --retry 0");
    let sender = bench.start_sending(&receiver, &["long"], &words(&options));
    wait_until("something is written down", || written_down(&bench) >= 4 * MIB);
    receiver.running.kill();
    let cut = sender.finish().expect_code(4);
    assert!(cut.stderr.contains("send again"), "{}", cut.stderr);
    let receiver = receive_at(&bench, port, &["--once"]);
    receiver.wait_for("1 unfinished file");
    let sent = bench.send(&receiver, &["long"], &["--json"]).expect_code(0);
    assert!(resumed(&sent) >= 4 * MIB, "{sent:?}");
    receiver.finish().expect_code(0);
    bench.expect_arrived(&["long"]);
}

#[test]
fn ctrl_c_on_either_side_keeps_all_that_is_verified() {
    for side in ["sender", "receiver"] {
        let bench = Bench::new();
        bench.file("long", LONG);
        let port = free_port();
        let receiver = receive_at(&bench, port, &[]);
        let sender = bench.start_sending(&receiver, &["long"], &words(SLOWLY));
        wait_until("bytes arrive", || come(&bench) >= 6 * MIB);
        let receiver = if side == "sender" {
            sender.signal("INT");
            sender.finish().expect_code(130).expect_words(&["the same command goes on"]);
            receiver
        } else {
            receiver.stop();
            sender.finish().expect_code(4);
            receive_at(&bench, port, &[])
        };
        let sent = bench.send(&receiver, &["long"], &["--json"]).expect_code(0);
        // All but the megabyte that was not whole, and what was in no file yet.
        assert!(resumed(&sent) >= 4 * MIB, "{side}: {sent:?}");
        receiver.stop();
        bench.expect_arrived(&["long"]);
    }
}

#[test]
fn a_getter_that_was_killed_goes_on_over_either_carrier() {
    for carrier in CARRIERS {
        let bench = Bench::new();
        bench.file("long", LONG);
        let sharer = bench.share(&["long"], &words("--once --cc fixed:400Mbit --rate 400Mbit"));
        let mut getter = bench.start_getting(&sharer, &[]);
        wait_until("something is written down", || written_down(&bench) >= 4 * MIB);
        getter.kill();
        let got = bench.get(&sharer, &[carrier, &["--json"]].concat()).expect_code(0);
        assert!(resumed(&got) >= 4 * MIB, "{got:?}");
        sharer.finish().expect_code(0);
        bench.expect_arrived(&["long"]);
    }
}

/// The same command tries again by itself, and nobody sends again what is there.
#[test]
fn a_lost_receiver_is_gone_on_with_when_it_is_back() {
    let bench = Bench::new();
    bench.file("long", LONG);
    let port = free_port();
    let mut receiver = receive_at(&bench, port, &[]);
    let sender = bench.start_sending(&receiver, &["long"], &words(&format!("{SLOWLY} --json")));
    wait_until("something is written down", || written_down(&bench) >= 4 * MIB);
    receiver.running.kill();
    let receiver = receive_at(&bench, port, &["--once"]);
    let sent = sender.finish().expect_code(0);
    assert!(resumed(&sent) >= 4 * MIB, "{sent:?}");
    receiver.finish().expect_code(0);
    bench.expect_arrived(&["long"]);
}

#[test]
fn a_file_that_was_changed_meanwhile_begins_anew() {
    let bench = Bench::new();
    bench.file("long", LONG);
    let receiver = bench.receive(&["--once"]);
    cut_off(&bench, &receiver, SLOWLY);
    // As long, as old, and not the same.
    let path = bench.from().join("long");
    let modified = fs::metadata(&path).and_then(|metadata| metadata.modified()).expect("there");
    bench.file("other", LONG);
    fs::rename(bench.from().join("other"), &path).expect("renamed");
    let file = fs::File::options().write(true).open(&path).expect("ours");
    file.set_modified(modified).expect("ours");
    let sent = bench.send(&receiver, &["long"], &["--json"]).expect_code(0);
    assert_eq!(resumed(&sent), 0);
    receiver.finish().expect_code(0);
    bench.expect_arrived(&["long"]);
}

#[test]
fn a_directory_goes_on_with_the_files_that_it_lacks() {
    for carrier in CARRIERS {
        let bench = Bench::new();
        fs::create_dir(bench.from().join("d")).expect("made");
        bench.file("d/long", LONG);
        for number in 0..50 {
            bench.file(&format!("d/small{number}"), 100 * number);
        }
        let receiver = bench.receive(&["--once"]);
        let mut sender = bench.start_sending(&receiver, &["d"], &words(SLOWLY));
        wait_until("something is written down", || written_down(&bench) >= 4 * MIB);
        sender.kill();
        let sent = bench.send(&receiver, &["d"], &[carrier, &["--json"]].concat()).expect_code(0);
        let counts = &sent.json()["counts"];
        let of = |what: &str| counts[what].as_u64().expect("a number");
        assert_eq!(of("files") + of("same"), 51, "{counts}");
        assert!(resumed(&sent) >= 4 * MIB, "{sent:?}");
        receiver.finish().expect_code(0);
        common::tree::expect_same(&bench.from().join("d"), &bench.to().join("d"), true);
    }
}

#[test]
fn what_is_there_is_not_sent_again() {
    for carrier in CARRIERS {
        let bench = Bench::new();
        bench.file("a", 5_000_000);
        bench.file("b", 10);
        bench.file("c", 0);
        let receiver = bench.receive(&[]);
        bench.send(&receiver, &["a", "b", "c"], carrier).expect_code(0);
        let before = fs::metadata(bench.to().join("a")).expect("there");
        let again = bench.send(&receiver, &["a", "b", "c"], carrier).expect_code(0);
        again.expect_words(&["nothing had to be sent", "3 files", "same contents"]);
        let after = fs::metadata(bench.to().join("a")).expect("there");
        assert_eq!((before.ino(), before.ctime_nsec()), (after.ino(), after.ctime_nsec()));
        receiver.stop();
        bench.expect_arrived(&["a", "b", "c"]);
    }
}

#[test]
fn what_has_the_name_and_other_contents_is_treated_as_the_receiver_was_told() {
    for carrier in CARRIERS {
        for (option, code, expected) in [
            (&[][..], 7, "old"),
            (&["--overwrite"], 0, "new"),
            (&["--skip-existing"], 0, "old"),
            (&["--rename"], 0, "old"),
        ] {
            let bench = Bench::new();
            fs::write(bench.from().join("a.txt"), "new").expect("room");
            fs::write(bench.to().join("a.txt"), "old").expect("room");
            let receiver = bench.receive(option);
            let sent = bench.send(&receiver, &["a.txt"], carrier).expect_code(code);
            let there = fs::read_to_string(bench.to().join("a.txt")).expect("there");
            assert_eq!(there, expected, "{option:?}");
            match option {
                ["--rename"] => {
                    sent.expect_words(&["a.txt as a-1.txt"]);
                    let beside = fs::read_to_string(bench.to().join("a-1.txt")).expect("there");
                    assert_eq!(beside, "new");
                }
                ["--skip-existing"] => drop(sent.expect_words(&["left alone", "--skip-existing"])),
                [] => drop(sent.expect_words(&["--overwrite", "--rename"])),
                _ => {}
            }
            receiver.stop();
        }
    }
}

fn kills() -> u32 {
    let given = std::env::var("VOLLEY_KILLS").ok();
    given.map_or(20, |kills| kills.parse().expect("VOLLEY_KILLS is a number"))
}

/// When the first byte came that an earlier transfer had not brought, in seconds since the program began.
fn first_new_byte(events: &str) -> Option<f64> {
    let events = events.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut progress = events.filter(|event| event["event"] == "progress").map(|event| {
        (event["bytes"].as_u64().expect("a number"), event["time"].as_f64().expect("a number"))
    });
    let (before, _) = progress.next()?;
    progress.find(|(bytes, _)| *bytes > before).map(|(_, time)| time)
}

/// Whoever is killed, whenever: the next transfer goes on, and at most 64 MiB come again.
#[test]
#[ignore = "a campaign"]
fn a_gibibyte_survives_being_killed_again_and_again() {
    const SIZE: u64 = 1 << 30;
    const AGAIN_MAX: u64 = 64 * MIB;
    let bench = Bench::new();
    bench.file("long", SIZE);
    let mut draws = Xoshiro256PlusPlus::seed_from_u64(seed());
    let port = free_port();
    let mut receiver = receive_at(&bench, port, &[]);
    let (mut most, mut slowest, mut whole) = (0, 0.0_f64, 0);
    for kill in 0..kills() {
        let kept = written_down(&bench);
        let carrier: &[&str] = if draws.next_u32() % 2 == 0 { &[] } else { &["--tcp"] };
        let options = [carrier, &["--jsonl"]].concat();
        let mut sender = bench.start_sending(&receiver, &["long"], &options);
        let until = kept + draws.next_u64() % (SIZE / 8);
        wait_until("it is time to kill", || come(&bench) >= until || sender.has_ended());
        if draws.next_u32() % 2 == 0 {
            sender.kill();
            let arrived = come(&bench);
            // What is on its way is written before the receiver misses its peer.
            most = most.max(arrived.saturating_sub(written_down(&bench)));
        } else {
            receiver.running.kill();
            most = most.max(come(&bench).saturating_sub(written_down(&bench)));
            // It may have ended in time.
            sender.kill();
            receiver = receive_at(&bench, port, &[]);
            let events = sender.finish().stdout;
            slowest = slowest.max(first_new_byte(&events).unwrap_or(0.0));
        }
        if bench.to().join("long").exists() {
            bench.expect_equal(&["long"]);
            fs::remove_file(bench.to().join("long")).expect("ours");
            whole += 1;
        }
        note(&format!("kill {kill}: {} MiB written down", written_down(&bench) / MIB));
        assert!(most <= AGAIN_MAX, "{most} bytes had come and would come again");
    }
    bench.send(&receiver, &["long"], &[]).expect_code(0);
    receiver.stop();
    bench.expect_arrived(&["long"]);
    let most = most / MIB;
    note(&format!("{whole} whole meanwhile; at most {most} MiB again; first byte in {slowest} s"));
}

/// What a full disk refuses, and what goes on once there is room: in a file system in memory that only the
/// lab sees.
#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_keeps_what_came_and_the_same_command_goes_on_once_there_is_room() {
    let bench = Bench::new();
    if !bench.has_lab() {
        return;
    }
    bench.file("dense", 20 * MIB);
    bench.file("holey", 12 * MIB);
    let holey = fs::File::options().write(true).open(bench.from().join("holey")).expect("made");
    // For a file with holes room is not asked for before.
    holey.set_len(40 * MIB).expect("ours");
    let volley = env!("CARGO_BIN_EXE_volley");
    let line = format!(
        "mount -t tmpfs -o size=8m none ../to || exit; $B {volley} recv --open ../to & \
         until $B grep -qi :1BCD /proc/net/udp /proc/net/udp6; do sleep 0.05; done; \
         for file in dense holey; do \
           $A {volley} send $file $IPB --open --json; echo $?; \
         done; \
         mount -o remount,size=100m ../to; \
         for file in dense holey; do \
           $A {volley} send $file $IPB --open --json; echo $?; cmp $file ../to/$file; \
         done; kill $!; wait"
    );
    let done = Running::start(&bench.from(), &["lab", "--quiet", "--", &line]).finish();
    note(&format!("{done:?}"));
    let said: Vec<&str> = done.stdout.lines().collect();
    let codes: Vec<&str> = said.iter().copied().filter(|line| line.parse::<u8>().is_ok()).collect();
    assert_eq!(codes, ["8", "8", "0", "0"]);
    assert!(done.stderr.matches("make room there and send again").count() >= 2, "{}", done.stderr);
    let reports = said.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let resumed: Vec<u64> = reports.filter_map(|report| report["resumed_bytes"].as_u64()).collect();
    assert!(resumed.last().is_some_and(|bytes| *bytes >= 4 * MIB), "{resumed:?}");
}
