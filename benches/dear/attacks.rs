//! What a peer can build that costs its reader most.

use super::peer::{Peer, hello, packet};
use std::io::Write;
use std::net::{TcpStream, UdpSocket};
use std::time::Duration;
use volley::net::tcp::record::Record;
use volley::transfer::entry::{Attributes, Entry, Kind};
use volley::transfer::hash::{GROUP, Hash};
use volley::transfer::message::Message;
use volley::transfer::outcome::Reason;
use volley::wire::frame::{Ack, Frame, Have, Marks};
use volley::wire::handshake::{Role, VERSION};
use volley::wire::header::{ConnectionId, Header, PacketType};

/// Frames in a packet, at most, and bytes of a full one's contents.
const FRAMES: usize = 256;
const CONTENTS: usize = 1_452;

/// What is offered by who shares, of which the attacks that need some of it fetch so much.
pub(crate) const SHARED: u64 = 64 << 20;
const FETCHED: u64 = 4 << 20;

/// Who listens: a receiver of files, or who shares some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Receiver,
    Sharer,
}

/// One kind of packet: what has to be done before, and how the next one is sent.
pub(crate) struct Attack {
    pub(crate) name: &'static str,
    pub(crate) target: Target,
    pub(crate) prepare: fn(&mut Peer),
    pub(crate) next: fn(&mut Peer, u64),
}

const fn on_receiver(name: &'static str, next: fn(&mut Peer, u64)) -> Attack {
    Attack { name, target: Target::Receiver, prepare: greet, next }
}

const fn on_sharer(name: &'static str, prepare: fn(&mut Peer), next: fn(&mut Peer, u64)) -> Attack {
    Attack { name, target: Target::Sharer, prepare, next }
}

/// All that go over UDP.
pub(crate) const ATTACKS: &[Attack] = &[
    on_receiver("one PING", |peer, _| peer.control(&[Frame::Ping])),
    on_receiver("256 PINGs", |peer, _| peer.control(&[const { Frame::Ping }; FRAMES])),
    on_receiver("161 challenges", |peer, _| {
        peer.control(&[const { Frame::PathChallenge([1; 8]) }; CONTENTS / 9]);
    }),
    on_receiver("control bytes one by one, backwards", reversed),
    on_receiver("offers of empty files", offers),
    on_receiver("offers that fail", failures),
    on_receiver("values of groups", values),
    on_receiver("file bytes, every second one", |peer, turn| {
        if turn == 0 {
            peer.say(&[offer("gaps".to_owned(), 1 << 30)]);
        }
        peer.send(PacketType::Data, turn * 2 % (6 << 20) + 1, b"x");
    }),
    on_receiver("from another address", |peer, _| {
        let elsewhere = UdpSocket::bind("127.0.0.1:0").expect("loopback");
        let header = control(peer.id, peer.number);
        peer.number += 1;
        let bytes = packet(header, &[1], 0);
        let _ = elsewhere.send_to(&bytes, peer.socket.peer_addr().expect("connected"));
        peer.sent.0 += 1;
        peer.sent.1 += bytes.len() as u64 + 28;
    }),
    on_receiver("of an unknown connection", |peer, turn| {
        let id = ConnectionId(u32::try_from(turn).expect("few").wrapping_mul(0x9e37_79b9) | 1);
        peer.send_raw(&packet(control(id, 0), &[], 0));
    }),
    on_receiver("HELLO", |peer, turn| peer.send_raw(&hello(fresh(turn), Role::Sender, Vec::new()))),
    on_receiver("HELLO with a wrong cookie", |peer, turn| {
        peer.send_raw(&hello(fresh(turn), Role::Sender, vec![7; 16]));
    }),
    on_sharer("ACK, 700 ranges of old numbers", fetch, |peer, _| acknowledge(peer, 2)),
    on_sharer("ACK, 700 ranges, half of them lost", fetch_half, |peer, _| acknowledge(peer, 2)),
    on_sharer("ACK, 256 that reach far", fetch, |peer, _| {
        let last = peer.received.last().expect("some came").end;
        let first = peer.received.first().expect("some came").start;
        let ranges = vec![last - 1..last, first..first + 1];
        let ack = Ack { delay: Duration::ZERO, duplicates: 0, marks: Marks::default(), ranges };
        peer.control(&vec![Frame::Ack(ack); 140]);
    }),
    on_sharer("HAVE, every second byte", fetch, |peer, turn| have(peer, turn, 2)),
    on_sharer("HAVE, a byte of each packet", fetch, |peer, turn| have(peer, turn, 5_000)),
    on_sharer("PROVE, again and again", Peer::wait_for_offer, |peer, _| {
        peer.say(&vec![Message::Prove { index: 0 }; CONTENTS / 3 - 10]);
    }),
    on_sharer("one PING, to a sender", Peer::wait_for_offer, |peer, _| {
        peer.control(&[Frame::Ping]);
    }),
];

fn control(connection_id: ConnectionId, packet_number: u32) -> Header {
    Header { kind: PacketType::Control, connection_id, packet_number, offset: 0 }
}

fn fresh(turn: u64) -> u32 {
    u32::try_from(turn + 1_000).expect("few")
}

/// Says something, so that nobody waits for the first word.
fn greet(peer: &mut Peer) {
    peer.say(&[lacking()]);
}

pub(crate) fn lacking() -> Message {
    Message::Lacking { name: "x".to_owned(), reason: Reason::Other, text: String::new() }
}

fn offer(path: String, size: u64) -> Message {
    let attributes = Attributes { mode: 0o644, seconds: 0, nanoseconds: 0 };
    let source = Kind::is_identified(size).then_some(volley::transfer::entry::SourceId([1; 16]));
    Message::Offer(Entry { path, kind: Kind::File { size, holes: None, attributes, source } })
}

/// A kilobyte of messages, cut into bytes of which the last go first.
fn reversed(peer: &mut Peer, turn: u64) {
    const BLOCK: u64 = 1_000;
    const AT_ONCE: u64 = 200;
    let mut block = Vec::new();
    while (block.len() as u64) < BLOCK {
        lacking().put(&mut block);
    }
    block.truncate(usize::try_from(BLOCK).expect("small"));
    let part = turn % (BLOCK / AT_ONCE);
    let end = BLOCK - part * AT_ONCE;
    let frames: Vec<Frame<'_>> = (end - AT_ONCE..end)
        .rev()
        .map(|at| {
            let place = usize::try_from(at).expect("small");
            Frame::Stream { offset: peer.said + at, data: &block[place..=place] }
        })
        .collect();
    peer.control(&frames);
    if end == AT_ONCE {
        peer.said += BLOCK;
    }
}

fn offers(peer: &mut Peer, turn: u64) {
    let name = |at: u64| offer(format!("{:x}", turn * 100 + at), 0);
    peer.say(&(0..90).map(name).collect::<Vec<_>>());
}

fn failures(peer: &mut Peer, turn: u64) {
    let one = |at: u64| {
        let index = u32::try_from(turn * 60 + at).expect("few");
        let failed = Message::Failed { index, reason: Reason::Source, text: String::new() };
        [offer(format!("f{index:x}"), 1), failed]
    };
    peer.say(&(0..60).flat_map(one).collect::<Vec<_>>());
}

fn values(peer: &mut Peer, turn: u64) {
    if turn == 0 {
        peer.say(&[offer("values".to_owned(), (1 << 20) * GROUP)]);
    }
    let one = |at: u64| Message::Groups {
        index: 0,
        first: (turn * 38 + at) * 2 % 60_000,
        values: vec![Hash([1; 32])],
    };
    peer.say(&(0..38).map(one).collect::<Vec<_>>());
}

/// Has some of what is shared sent.
fn fetch(peer: &mut Peer) {
    peer.wait_for_offer();
    peer.say(&[Message::Accept { below: 1 }]);
    peer.control(&[Frame::Credit { limit: SHARED }]);
    peer.fetch(FETCHED);
}

fn fetch_half(peer: &mut Peer) {
    peer.loses = true;
    fetch(peer);
}

/// Names every `step`-th number, whether it arrived or not, from the last one down.
fn acknowledge(peer: &mut Peer, step: u64) {
    let mut ranges: Vec<std::ops::Range<u64>> = Vec::new();
    for range in peer.received.iter_down_from(u64::MAX) {
        for number in range.rev() {
            if ranges.last().is_none_or(|last| number + step <= last.start) {
                ranges.push(number..number + 1);
            }
        }
        if ranges.len() >= 700 {
            break;
        }
    }
    ranges.truncate(700);
    peer.control(&[Frame::Ack(Ack {
        delay: Duration::ZERO,
        duplicates: 0,
        marks: Marks::default(),
        ranges,
    })]);
}

/// Names a byte as missing every `step` bytes, others each time.
fn have(peer: &mut Peer, turn: u64, step: u64) {
    let count = if step < 64 { 710 } else { 470 };
    let count = count.min(peer.reached / step - 1);
    let first = turn % 2 * (step / 2);
    let missing: Vec<_> = (0..count).map(|at| first + at * step..first + at * step + 1).collect();
    peer.control(&[Frame::Have(Have { written: 0, upper: peer.reached, missing })]);
}

/// A kind of record.
pub(crate) struct Records {
    pub(crate) name: &'static str,
    pub(crate) next: fn(u64) -> Vec<u8>,
}

/// All that go over TCP, several in one write.
pub(crate) const RECORDS: &[Records] = &[
    Records { name: "records of nothing", next: |_| many(&Record::Messages(&[])) },
    Records { name: "WORKING", next: |turn| many(&Record::Working { counter: turn }) },
    Records { name: "messages in records of one byte", next: |_| one_by_one() },
];

fn many(record: &Record<'_>) -> Vec<u8> {
    let mut one = Vec::new();
    record.write_to(&mut one);
    one.repeat(CONTENTS / one.len())
}

fn one_by_one() -> Vec<u8> {
    let (mut bytes, mut all, mut one) = (Vec::new(), Vec::new(), Vec::new());
    (0..40).for_each(|_| lacking().put(&mut bytes));
    for byte in bytes {
        Record::Messages(&[byte]).write_to(&mut one);
        all.append(&mut one);
    }
    all
}

/// A stream to a receiver, over which it has been greeted.
pub(crate) fn stream(address: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("it listens");
    let (mut hello, mut words, mut first) = (Vec::new(), Vec::new(), Vec::new());
    Record::Hello { versions: vec![VERSION], role: Role::Sender }.write_to(&mut hello);
    lacking().put(&mut words);
    Record::Messages(&words).write_to(&mut first);
    stream.write_all(&[hello, first].concat()).expect("it is there");
    stream
}
