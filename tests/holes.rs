//! Files with holes: these do not travel, arrive as holes, and count only while they are there.
//!
//! `VOLLEY_HOLE_GIB=N` sets how large the hole of the campaign is, 20 unless given:
//! `cargo test --release --test holes -- --ignored --show-output` says how long it took.

#[expect(dead_code, reason = "each test file uses its part of the harness")]
mod common;

use common::{Bench, CARRIERS, Outcome, note, wait_until};
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;
use volley::base::time::Instant;
use volley::os::clock::Clock;
use volley::transfer::hash::{GROUP, Hash, zeros_value};

const MIB: u64 = 1 << 20;

/// Bytes on both sides of the hole, and of it.
const BEFORE: u64 = 8 * MIB;
const HOLE: u64 = 200 * MIB + 12_345;
const BEHIND: u64 = 16 * MIB;

/// So slowly that there is a middle.
const SLOWLY: [&str; 2] = ["--max-rate", "60Mbit"];

/// A file with a hole in its middle.
fn make_hollow(bench: &Bench) {
    make_with_hole(bench, HOLE);
}

/// A file with a hole of that length in its middle.
fn make_with_hole(bench: &Bench, hole: u64) {
    bench.file("hollow", BEFORE);
    let file = open(&bench.from().join("hollow"));
    file.set_len(BEFORE + hole + BEHIND).expect("there are holes");
    let behind: Vec<u8> = (0..BEHIND).map(|at| (at % 251) as u8).collect();
    file.write_all_at(&behind, BEFORE + hole).expect("room");
}

fn open(path: &PathBuf) -> File {
    File::options().read(true).write(true).open(path).expect("it is there")
}

fn number(outcome: &Outcome, what: &str) -> u64 {
    outcome.json()[what].as_u64().expect("a number")
}

/// Bytes that it takes on the disk.
fn taken(path: &PathBuf) -> u64 {
    fs::metadata(path).expect("it is there").blocks() * 512
}

/// What waits of a file, and groups of it that are written down.
fn waiting(bench: &Bench) -> (Option<PathBuf>, u64) {
    let entries = fs::read_dir(bench.to().join(".volley-partial")).into_iter().flatten();
    let paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    let find = |end: &str| paths.iter().find(|path| path.to_string_lossy().ends_with(end)).cloned();
    let journal = find(".journal").and_then(|path| fs::metadata(path).ok());
    (find(".part"), journal.map_or(0, |journal| (journal.len() / 64).saturating_sub(1)))
}

/// Sends slowly, and kills the sender once something from behind the hole is written down.
fn cut_off(bench: &Bench, receiver: &common::Receiver, carrier: &[&str]) -> PathBuf {
    let options = [carrier, &SLOWLY].concat();
    let mut sender = bench.start_sending(receiver, &["hollow"], &options);
    let enough = BEFORE / MIB + 2;
    wait_until("something behind the hole is written down", || waiting(bench).1 >= enough);
    assert!(!sender.has_ended(), "it was to be killed in the middle");
    sender.kill();
    waiting(bench).0.expect("it waits")
}

#[test]
fn a_hole_does_not_travel_and_stays_one() {
    for carrier in CARRIERS {
        note(&format!("{carrier:?}"));
        send_three_bytes(1 << 30, carrier);
    }
}

/// Sends a file of that size of which three bytes are no hole. Says how many bytes went over the wire, where that is
/// known, and how many seconds it took.
fn send_three_bytes(size: u64, carrier: &[&str]) -> (Option<u64>, f64) {
    let bench = Bench::new();
    let file = File::create(bench.from().join("hollow")).expect("room");
    file.set_len(size).expect("there are holes");
    for at in [0, size / 2 + 77, size - 1] {
        file.write_all_at(b"x", at).expect("room");
    }
    let receiver = bench.receive(&["--once", "--json"]);
    let sent = bench.send(&receiver, &["hollow"], &[carrier, &["--json"]].concat());
    let sent = sent.expect_code(0);
    assert_eq!(number(&sent, "bytes"), size);
    assert!(number(&sent, "hole_bytes") > size - MIB, "{sent:?}");
    let said = sent.json();
    let on_the_wire = said["transport"]["udp_payload_bytes_sent"].as_u64();
    assert!(on_the_wire.unwrap_or_default() < 1_000_000, "{on_the_wire:?}");
    let received = receiver.finish().expect_code(0);
    assert_eq!(number(&received, "hole_bytes"), number(&sent, "hole_bytes"));
    bench.expect_arrived(&["hollow"]);
    assert!(taken(&bench.to().join("hollow")) < MIB);
    (on_the_wire, said["seconds"].as_f64().expect("it says how long it took"))
}

#[test]
#[ignore = "a campaign"]
fn twenty_gibibytes_of_hole_cost_little_more_than_their_hash() {
    let given = std::env::var("VOLLEY_HOLE_GIB").ok();
    let hole = given.map_or(20, |size| size.parse().expect("a number")) << 30;
    let clock = Clock::start();
    let values = (0..hole / GROUP).filter(|group| zeros_value(*group, hole) == Hash([0; 32]));
    assert_eq!(values.count(), 0);
    let alone = clock.now().since(Instant::ZERO).as_secs_f64();
    note(&format!("{hole} zeros are hashed in {alone:.1} s"));
    for carrier in CARRIERS {
        let (on_the_wire, seconds) = send_three_bytes(hole, carrier);
        note(&format!("{carrier:?}: {seconds:.1} s, {on_the_wire:?} bytes on the wire"));
        let bench = Bench::new();
        make_with_hole(&bench, hole);
        let receiver = bench.receive(&["--once"]);
        cut_off(&bench, &receiver, carrier);
        let sent = bench.send(&receiver, &["hollow"], &[carrier, &["--json"]].concat());
        let sent = sent.expect_code(0);
        assert!(number(&sent, "resumed_bytes") >= BEFORE, "{sent:?}");
        note(&format!("{carrier:?}: gone on with in {} s", sent.json()["seconds"]));
        receiver.finish().expect_code(0);
        bench.expect_arrived(&["hollow"]);
        assert!(taken(&bench.to().join("hollow")) < BEFORE + BEHIND + MIB);
    }
}

#[test]
fn a_file_that_is_one_hole_arrives() {
    for (carrier, size) in CARRIERS.into_iter().flat_map(|one| [(one, 100_000), (one, 70 * MIB)]) {
        let bench = Bench::new();
        let file = File::create(bench.from().join("hollow")).expect("room");
        file.set_len(size).expect("there are holes");
        let receiver = bench.receive(&["--once"]);
        let sent = bench.send(&receiver, &["hollow"], &[carrier, &["--json"]].concat());
        assert_eq!(number(&sent.expect_code(0), "hole_bytes"), size);
        receiver.finish().expect_code(0).expect_words(&["holes"]);
        bench.expect_arrived(&["hollow"]);
    }
}

#[test]
fn a_transfer_goes_on_in_the_middle_of_a_hole() {
    for carrier in CARRIERS {
        note(&format!("{carrier:?}"));
        let bench = Bench::new();
        make_hollow(&bench);
        let receiver = bench.receive(&["--once"]);
        cut_off(&bench, &receiver, carrier);
        let sent = bench.send(&receiver, &["hollow"], &[carrier, &["--json"]].concat());
        let sent = sent.expect_code(0);
        assert!(number(&sent, "resumed_bytes") >= BEFORE, "{sent:?}");
        receiver.finish().expect_code(0).expect_words(&["resumed", "holes"]);
        bench.expect_arrived(&["hollow"]);
        assert!(taken(&bench.to().join("hollow")) < BEFORE + BEHIND + MIB);
    }
}

#[test]
fn what_waits_where_a_hole_is_does_not_arrive() {
    for carrier in CARRIERS {
        note(&format!("{carrier:?}"));
        let bench = Bench::new();
        make_hollow(&bench);
        let receiver = bench.receive(&["--once"]);
        let part = open(&cut_off(&bench, &receiver, carrier));
        for at in [BEFORE + 5, BEFORE + HOLE / 2, BEFORE + HOLE - MIB, BEFORE + HOLE + BEHIND] {
            part.write_all_at(b"not a hole", at).expect("room");
        }
        drop(part);
        let sent = bench.send(&receiver, &["hollow"], &[carrier, &["--json"]].concat());
        assert!(number(&sent.expect_code(0), "resumed_bytes") >= BEFORE - MIB);
        receiver.finish().expect_code(0);
        bench.expect_arrived(&["hollow"]);
    }
}

#[test]
fn a_hole_that_is_filled_meanwhile_is_a_change() {
    for carrier in CARRIERS {
        note(&format!("{carrier:?}"));
        let bench = Bench::new();
        make_hollow(&bench);
        let receiver = bench.receive(&["--once"]);
        let options = [carrier, &SLOWLY].concat();
        let sender = bench.start_sending(&receiver, &["hollow"], &options);
        wait_until("something is written down", || waiting(&bench).1 >= 2);
        let source = open(&bench.from().join("hollow"));
        source.write_all_at(b"not a hole", BEFORE + HOLE / 2).expect("room");
        sender.finish().expect_code(9).expect_words(&["changed while it was sent"]);
        receiver.finish().expect_code(9);
        assert!(!bench.to().join("hollow").exists());
    }
}
