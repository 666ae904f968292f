//! What streams do to a transfer: they cut and glue, they stall, and they end where nothing has ended.

#[expect(dead_code, reason = "each test file uses its part of the harness")]
mod common;

use common::relay::{Cut, TcpRelay};
use common::{Bench, CARRIERS, Running, note, words};
use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::time::Duration;
use volley::net::Interrupt;
use volley::net::tcp::record::{Record, RecordReader};
use volley::transfer::entry::{Attributes, Entry, Kind};
use volley::transfer::message::Message;
use volley::wire::handshake::Role;

/// What a process may have needed at its peak, whatever the size of the files, in KiB: a receiver keeps
/// at most 24 MiB for the disk.
const MEMORY_MAX: u64 = 60_000;

/// Sends `files` through a relay.
fn send_through(bench: &Bench, relay: &TcpRelay, files: &[&str]) -> Running {
    let words = [&["send"], files, &[&relay.address, "--open", "--tcp", "--retry", "0"]].concat();
    Running::start(&bench.from(), &words)
}

/// The lesson of sticky packets: a stream keeps bytes, not the pieces in which they were written.
#[test]
fn a_stream_may_be_cut_into_single_bytes_and_glued_together() {
    for (piece, size) in [(1, 3_000), (7, 20_000), (1_000, 300_000), (1 << 20, 3_000_000)] {
        let bench = Bench::new();
        bench.file("file", size);
        bench.file("empty", 0);
        let receiver = bench.receive(&["--once"]);
        let relay = TcpRelay::start(&receiver.address, piece, None);
        send_through(&bench, &relay, &["file", "empty"]).finish().expect_code(0);
        receiver.finish().expect_code(0);
        assert!(relay.passed() > size, "it went through the relay");
        bench.expect_arrived(&["file", "empty"]);
    }
}

#[test]
fn a_peer_that_leaves_in_the_middle_is_never_the_end_of_a_file() {
    for (cut, how) in [(Cut::Fin, "left before"), (Cut::Reset, "connection reset")] {
        for limit in [40, 1_000_000] {
            note(&format!("{cut:?} after {limit} bytes"));
            let bench = Bench::new();
            bench.long_file("file", 64 << 20);
            let receiver = bench.receive(&["--json"]);
            let relay = TcpRelay::start(&receiver.address, 10_000, Some((limit, cut)));
            let sent = send_through(&bench, &relay, &["file"]).finish_before_silence();
            sent.expect_code(4).expect_words(&["127.0.0.1", how, "send again when it is back"]);
            let said = ["127.0.0.1", how, "its user has to send again"];
            receiver.running.wait_for_words(&said);
            let told = receiver.stop();
            assert_eq!(told.json()["exit_code"], 4, "{}", told.stdout);
            bench.expect_names(&[]);
        }
    }
}

/// Many small files and a large one: while bytes go one way, answers go the other.
fn busy_both_ways(bench: &Bench, large: u64) -> Vec<String> {
    let mut names: Vec<String> = (0..100).map(|index| format!("file {index}")).collect();
    names.iter().for_each(|name| bench.file(name, 10_000));
    bench.long_file("large", large);
    names.push("large".into());
    names
}

#[expect(clippy::disallowed_methods, reason = "standing still is what is tested")]
fn stand_still(running: &Running, meanwhile: impl FnOnce()) {
    running.signal("STOP");
    std::thread::sleep(Duration::from_millis(150));
    meanwhile();
    running.signal("CONT");
    std::thread::sleep(Duration::from_millis(50));
}

/// Fails if a process needed too much; says whether both still run.
#[track_caller]
fn expect_bounded(sender: &Running, receiver: &Running) -> bool {
    let peaks = [sender, receiver].map(Running::peak_memory_kib);
    note(&format!("KiB at the peak of the sender and the receiver: {peaks:?}"));
    assert!(peaks.iter().flatten().all(|peak| *peak < MEMORY_MAX), "{peaks:?}");
    peaks.iter().all(Option::is_some)
}

#[test]
fn either_side_may_stand_still_again_and_again() {
    for carrier in CARRIERS {
        for is_sender in [true, false] {
            let bench = Bench::new();
            // Seconds of work, however fast the carrier.
            let large = if carrier.is_empty() { 120_000_000 } else { 400_000_000 };
            let names = busy_both_ways(&bench, large);
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let receiver = bench.receive(&["--once"]);
            let sender = bench.start_sending(&receiver, &names, carrier);
            bench.wait_for_first_bytes();
            for round in 0..4 {
                stand_still(if is_sender { &sender } else { &receiver.running }, || {
                    let runs = expect_bounded(&sender, &receiver.running);
                    assert!(runs || round > 0, "nothing was under way");
                });
            }
            sender.finish().expect_code(0);
            receiver.finish().expect_code(0);
            bench.expect_arrived(&names);
        }
    }
}

#[test]
fn a_stream_that_carries_a_kilobyte_at_a_time_fills_no_memory() {
    let bench = Bench::new();
    let names = busy_both_ways(&bench, 30_000_000);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let receiver = bench.receive(&["--once"]);
    let relay = TcpRelay::start(&receiver.address, 1_000, None);
    let sender = send_through(&bench, &relay, &names);
    common::wait_until("half of it has gone", || relay.passed() > 15_000_000);
    assert!(expect_bounded(&sender, &receiver.running), "it is under way");
    sender.finish().expect_code(0);
    receiver.finish().expect_code(0);
    bench.expect_arrived(&names);
}

#[test]
fn who_comes_second_to_a_receiver_for_one_transfer_is_told_the_truth() {
    for carrier in CARRIERS {
        let bench = Bench::new();
        bench.long_file("second", 4 << 30);
        bench.file("first", 5_000);
        let receiver = bench.receive(&["--once"]);
        let slow = [carrier, if carrier.is_empty() { &["--cc", "fixed:2Mbit"] } else { &[] }];
        let second = bench.start_sending(&receiver, &["second"], &slow.concat());
        bench.wait_for_first_bytes();
        bench.send(&receiver, &["first"], &words("")).expect_code(0);
        receiver.finish().expect_code(0);
        let told = second.finish().expect_code(4).expect_words(&["--once", "send again"]);
        assert!(!told.stderr.contains("interrupted"), "{}", told.stderr);
        bench.expect_arrived(&["first"]);
    }
}

/// Offers a file over TCP and sends `pieces` single bytes of it, none beside another. Says with what words
/// the receiver closes.
fn scatter(address: &str, pieces: usize) -> String {
    let stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
    let attributes = Attributes { mode: 0o644, seconds: 0, nanoseconds: 0 };
    let kind = Kind::File { size: 1 << 20, holes: None, attributes, source: None };
    let mut offer = Vec::new();
    Message::Offer(Entry { path: "scattered".into(), kind }).put(&mut offer);
    let offsets = (0..pieces as u64).map(|piece| 2 * piece);
    let data = offsets.map(|offset| Record::Data { offset, bytes: b"x" });
    let (mut said, mut record_bytes) = (Vec::new(), Vec::new());
    let hello = Record::Hello { versions: vec![1], role: Role::Sender };
    for record in [hello, Record::Messages(&offer)].into_iter().chain(data) {
        record.write_to(&mut record_bytes);
        said.extend_from_slice(&record_bytes);
    }
    (&stream).write_all(&said).expect("it reads");
    stream.shutdown(Shutdown::Write).expect("connected");
    let mut reader = RecordReader::new(&stream, Interrupt::default());
    reader.trust();
    loop {
        match reader.next(&mut |_| false).expect("a record") {
            Some(Record::Close { reason, .. }) => {
                return String::from_utf8_lossy(reason).into_owned();
            }
            Some(_) => {}
            None => panic!("the receiver leaves without a word"),
        }
    }
}

#[test]
fn a_sender_over_tcp_that_scatters_its_bytes_is_sent_away() {
    let bench = Bench::new();
    let receiver = bench.receive(&[]);
    let fault = "the sender broke the protocol: malformed DATA";
    let left = scatter(&receiver.address, 2);
    assert!(left.starts_with(fault), "{left}");
    receiver.stop();
    bench.expect_names(&[]);
}
