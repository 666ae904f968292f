//! Those who send anything to a listener, or come and go: they cost those who are served nothing, and leave
//! nothing behind.

#[expect(dead_code, reason = "each test file uses its part of the harness")]
mod common;

use common::{Bench, CARRIERS, Receiver, Running, note, seed, wait_until};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, SeedableRng};
use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use volley::base::time::Duration;
use volley::transport::handshake::question;
use volley::wire::frame::Frame;
use volley::wire::handshake::{HELLO_LEN, Hello, Parameters, Role, Strategy, Suite, VERSION};
use volley::wire::header::{ConnectionId, HEADER_LEN, Header, PacketType};
use volley::wire::protection::{self, CRC_LEN};

/// A well-formed packet with that body.
fn sealed(kind: PacketType, id: u32, number: u32, body: &[u8], len: usize) -> Vec<u8> {
    let mut packet = vec![0; HEADER_LEN];
    let connection_id = ConnectionId(id);
    Header { kind, connection_id, packet_number: number, offset: 0 }.write(&mut packet);
    packet.extend_from_slice(body);
    packet.resize((packet.len() + CRC_LEN).max(len), 0);
    protection::seal(&mut packet);
    packet
}

/// What somebody sends who has no connection here.
fn useless(draws: &mut Xoshiro256PlusPlus) -> Vec<u8> {
    let mut bytes = vec![0; 1200];
    draws.fill_bytes(&mut bytes);
    let (id, number) = (draws.next_u32(), draws.next_u32() % 5_000);
    let mut close = Vec::new();
    Frame::Close { code: 0, reason: b"believe me" }.put(&mut close);
    match draws.next_u32() % 6 {
        0 => Vec::new(),
        1 => vec![bytes[0]],
        2 => bytes,
        3 => sealed(PacketType::Control, id, number, &close, 0),
        4 => sealed(PacketType::Data, id, number, &bytes[..1000], 0),
        _ => sealed(PacketType::Refuse, id, number, &close, 0),
    }
}

/// At most so many, without a pause.
const FLOOD: usize = 300_000;

#[test]
fn a_flood_of_datagrams_of_no_use_stops_no_transfer_and_changes_no_byte() {
    let bench = Bench::new();
    bench.file("file", 3_000_000);
    let receiver = bench.receive(&["--once"]);
    let sender = bench.start_sending(&receiver, &["file"], &["--cc", "fixed:20Mbit"]);
    bench.wait_for_first_bytes();
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback");
    let mut draws = Xoshiro256PlusPlus::seed_from_u64(seed());
    let mut running = Some(sender);
    let mut went = 0;
    while went < FLOOD && running.as_mut().is_some_and(|sender| !sender.has_ended()) {
        for _ in 0..1_000 {
            // What does not fit into the listener's buffer is lost, as any datagram may be.
            let _ = socket.send_to(&useless(&mut draws), &receiver.address);
            went += 1;
        }
    }
    note(&format!("{went} datagrams"));
    running.take().expect("not taken").finish().expect_code(0);
    receiver.finish_by_farewell().expect_code(0);
    bench.expect_arrived(&["file"]);
}

/// A HELLO that leads to nothing, in one of several ways.
fn hopeless(draws: &mut Xoshiro256PlusPlus) -> Vec<u8> {
    let parameters = Parameters {
        max_datagram: 1200,
        max_ack_delay: Duration::ZERO,
        socket_buffer: 0,
        strategy: Strategy::Volley,
        max_rate: None,
    };
    let id = ConnectionId(draws.next_u32() | 1);
    let hello = |versions: Vec<u16>, role| {
        let (suite, cookie) = (Suite::Open, vec![7; 16]);
        let hello = Hello { connection_id: id, versions, suite, role, parameters, cookie };
        let mut body = Vec::new();
        hello.put(&mut body);
        body
    };
    match draws.next_u32() % 5 {
        0 => question(id),
        1 => sealed(PacketType::Hello, 0, 0, &hello(vec![99, 98], Role::Sender), HELLO_LEN),
        2 => sealed(PacketType::Hello, 0, 0, &hello(vec![VERSION], Role::Receiver), HELLO_LEN),
        3 => sealed(PacketType::Hello, 0, 0, &hello(vec![VERSION], Role::Sender)[..20], HELLO_LEN),
        _ => sealed(PacketType::Hello, 0, 0, &hello(vec![VERSION], Role::Sender), 1_000),
    }
}

/// Open descriptors of a process.
fn descriptors(process: &Running) -> usize {
    fs::read_dir(format!("/proc/{}/fd", process.id())).map_or(0, Iterator::count)
}

/// Sends a file over both carriers, so that all is there that a listener ever needs; says how many
/// descriptors and how much memory that is.
fn settled(bench: &Bench, receiver: &Receiver) -> (usize, u64) {
    for (carrier, name) in CARRIERS.iter().zip(["first", "second"]) {
        bench.file(name, 100_000);
        bench.send(receiver, &[name], carrier).expect_code(0);
    }
    let mut before = 0;
    wait_until("it has closed what it opened for them", || {
        let now = descriptors(&receiver.running);
        std::mem::replace(&mut before, now) == now
    });
    (before, receiver.running.peak_memory_kib().expect("it runs"))
}

/// Memory that strangers may cost for a time, in KiB: 64 connections that are half open, and buffers.
const GROWTH_MAX: u64 = 16 << 10;

#[cfg(target_os = "linux")] // Only there a process says what it holds.
#[test]
fn handshakes_that_fail_leave_neither_memory_nor_descriptors() {
    let bench = Bench::new();
    let receiver = bench.receive(&[]);
    let (open, peak) = settled(&bench, &receiver);
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback");
    let mut draws = Xoshiro256PlusPlus::seed_from_u64(seed());
    for _ in 0..30_000 {
        let _ = socket.send_to(&hopeless(&mut draws), &receiver.address);
    }
    let listener: SocketAddr = receiver.address.parse().expect("an address");
    for round in 0..300 {
        let mut stream = TcpStream::connect(listener).expect("it listens");
        let mut greeting = [0; 40];
        draws.fill_bytes(&mut greeting);
        // Whole, in part, or nothing at all.
        let _ = stream.write_all(&greeting[..round % 41]);
    }
    wait_until("it has closed what it opened for them", || descriptors(&receiver.running) <= open);
    let grown = receiver.running.peak_memory_kib().expect("it runs") - peak;
    assert!(grown <= GROWTH_MAX, "{grown} KiB");
    bench.file("after", 100_000);
    bench.send(&receiver, &["after"], &[]).expect_code(0);
    receiver.stop();
    bench.expect_arrived(&["first", "second", "after"]);
}

#[cfg(target_os = "linux")] // Only there a process says what it holds.
#[test]
fn forty_transfers_one_after_the_other_leave_no_descriptor() {
    let bench = Bench::new();
    let receiver = bench.receive(&["--overwrite"]);
    let (open, peak) = settled(&bench, &receiver);
    for round in 0..40 {
        bench.file("file", 1_000 + round);
        let carrier = CARRIERS[usize::try_from(round % 2).expect("small")];
        bench.send(&receiver, &["file"], carrier).expect_code(0);
    }
    wait_until("it has closed what it opened for them", || descriptors(&receiver.running) <= open);
    let grown = receiver.running.peak_memory_kib().expect("it runs") - peak;
    assert!(grown <= GROWTH_MAX, "{grown} KiB");
    receiver.stop();
    bench.expect_arrived(&["first", "second", "file"]);
}

/// Who has a name, and who comes with another file of that name at the same moment.
#[test]
fn of_two_senders_of_one_name_one_wins_whole_and_the_other_is_told() {
    for (round, size) in [(0, 900_000u64), (1, 900_000), (2, 3_000_000), (3, 3_000_000)] {
        let bench = Bench::new();
        let receiver = bench.receive(&[]);
        let carriers = [CARRIERS[round % 2], CARRIERS[round / 2 % 2]];
        let senders = ["a", "b"].map(|side| {
            fs::create_dir(bench.from().join(side)).expect("made");
            bench.file(&format!("{side}/same name"), size);
            side
        });
        let running: Vec<Running> = senders
            .iter()
            .zip(carriers)
            .map(|(side, carrier)| {
                let path = format!("{side}/same name");
                let options = [carrier, &["--retry", "0"][..]].concat();
                bench.start_sending(&receiver, &[&path], &options)
            })
            .collect();
        let codes: Vec<Option<i32>> = running.into_iter().map(|one| one.finish().code).collect();
        receiver.stop();
        let found = fs::read(bench.to().join("same name")).expect("one has won");
        let winner = senders.map(|side| {
            fs::read(bench.from().join(side).join("same name")).expect("made") == found
        });
        for (won, code) in winner.into_iter().zip(&codes) {
            let expected = if won { Some(0) } else { Some(7) };
            assert_eq!(*code, expected, "round {round}: {codes:?} {winner:?}");
        }
        assert_eq!(winner.iter().filter(|won| **won).count(), 1, "round {round}");
    }
}
