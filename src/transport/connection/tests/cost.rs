//! What the dearest datagrams cost: steps counted in large sets, never more than their bytes allow.

use super::*;
use crate::base::range_set::RangeSet;
use crate::base::work::steps;
use crate::transport::config::{FRAMES_MAX, PIECES_MAX, RECEIVED_RANGES_MAX};
use crate::transport::sent_packets::Content;
use crate::wire::frame::{ACK_SPAN_MAX, HAVE_RANGES_MAX, Have};

/// Steps that a datagram may cost beside those for its bytes: an ACK and a HAVE may be due.
const FLAT: u64 = 1_200;

/// Steps for each byte.
const PER_BYTE: u64 = 8;

/// An established connection that somebody talks to who keeps to no rule.
struct Victim {
    connection: Connection,
    now: Instant,
    number: u64,
}

impl Victim {
    fn new(role: Role) -> Self {
        let hello = Hello {
            connection_id: ConnectionId(11),
            versions: vec![VERSION],
            suite: Suite::Open,
            role,
            parameters: parameters(&config(CongestionChoice::Cubic)),
            cookie: Vec::new(),
        };
        let config = config(CongestionChoice::Cubic);
        let connection = Connection::respond(Instant::ZERO, config, ConnectionId(22), &hello, 0);
        let mut victim = Self { connection, now: Instant::ZERO, number: 0 };
        victim.control(&[Frame::Ping]);
        victim
    }

    /// Takes a datagram in, and sends all that goes because of it; returns its bytes and its steps.
    fn feed(&mut self, kind: PacketType, offset: u64, contents: &[u8]) -> (u64, u64) {
        let header = Header {
            kind,
            connection_id: ConnectionId(22),
            packet_number: low_bits(self.number),
            offset,
        };
        self.number += 1;
        let mut packet = vec![0; HEADER_LEN];
        header.write(&mut packet);
        packet.extend_from_slice(contents);
        packet.extend_from_slice(&[0; CRC_LEN]);
        protection::seal(&mut packet);
        self.now += MS;
        let before = steps();
        self.connection.handle_datagram(
            self.now,
            PathId::default(),
            Ecn::NotEct,
            &packet,
            &mut |_, _| true,
        );
        self.connection.handle_timeout(self.now);
        let mut batch = Batch::default();
        while self.connection.poll_transmit(self.now, &mut batch) {}
        self.connection.read_control(&mut Vec::new());
        (packet.len() as u64, steps() - before)
    }

    /// The same, at a price.
    fn take(&mut self, kind: PacketType, offset: u64, contents: &[u8]) {
        let (len, cost) = self.feed(kind, offset, contents);
        assert!(cost <= FLAT + PER_BYTE * len, "{cost} steps for {len} bytes");
        assert!(self.connection.is_established());
    }

    fn control(&mut self, frames: &[Frame<'_>]) {
        self.take(PacketType::Control, 0, &bytes_of(frames));
    }

    /// That many packets are outstanding, a kilobyte of the transfer space in each.
    fn send(&mut self, count: u64) {
        self.connection.release(1 << 30);
        self.connection.space_out.on_credit(1 << 30);
        for _ in 0..count {
            let range = self.connection.space_out.next(1_000).expect("released").range;
            self.connection.record_sent(self.now, 1_020, Content::Data(range), Ecn::NotEct);
        }
    }

    /// Acknowledges every `step`-th number below `end`, `count` of them, but for those left out.
    fn ack(&self, end: u64, step: u64, count: u64) -> Ack {
        let numbers = (0..count).map(|index| end - 1 - index * step);
        let sent = numbers.filter(|number| !self.connection.skipped.numbers().contains(number));
        Ack {
            delay: Duration::ZERO,
            duplicates: 0,
            marks: Marks::default(),
            ranges: sent.map(|at| at..at + 1).collect(),
        }
    }
}

/// A sender that remembers all the losses and overtaken packets that it can.
fn sender_with_losses() -> Victim {
    let mut victim = Victim::new(Role::Receiver);
    for _ in 0..4 {
        victim.send(ACK_SPAN_MAX);
        let end = victim.connection.sent.next_number();
        let ack = victim.ack(end, 2, ACK_SPAN_MAX / 2);
        // What acknowledges so much for the first time costs a part of what the sending did.
        victim.feed(PacketType::Control, 0, &bytes_of(&[Frame::Ack(ack)]));
        victim.now += Duration::from_secs(2);
    }
    victim.feed(PacketType::Control, 0, &bytes_of(&[Frame::Ping]));
    assert!(victim.connection.loss.held() >= 1 << 14, "{}", victim.connection.loss.held());
    victim
}

#[test]
fn acknowledgements_that_say_nothing_new_cost_what_they_are_long() {
    let mut victim = sender_with_losses();
    let end = victim.connection.sent.next_number();
    for step in [2, 3, 50, 6_000, 65_000] {
        let ack = victim.ack(end, step, (ACK_SPAN_MAX / step).max(2));
        for _ in 0..3 {
            victim.control(&[Frame::Ack(ack.clone())]);
        }
        let most = (60_000 / bytes_of(&[Frame::Ack(ack.clone())]).len()).min(FRAMES_MAX as usize);
        victim.control(&vec![Frame::Ack(ack); most]);
    }
    // The shortest ones, which reach far.
    let ack = victim.ack(end, 1, 1);
    victim.control(&vec![Frame::Ack(ack); FRAMES_MAX as usize]);
    let low = victim.ack(end - 2, 59_997, 2);
    victim.control(&vec![Frame::Ack(low); FRAMES_MAX as usize]);
}

fn bytes_of(frames: &[Frame<'_>]) -> Vec<u8> {
    let mut contents = Vec::new();
    frames.iter().for_each(|frame| frame.put(&mut contents));
    contents
}

#[test]
fn pieces_and_challenges_cost_what_they_are_long() {
    let mut victim = Victim::new(Role::Sender);
    for shift in [2, 1] {
        for packet in 0..120 {
            let offsets = (0..FRAMES_MAX as u64).map(|at| (packet * 256 + at) * 2 + shift);
            let frames: Vec<Frame<'_>> =
                offsets.map(|offset| Frame::Stream { offset, data: b"x" }).collect();
            victim.control(&frames);
            assert!(victim.connection.events.len() <= 4);
        }
    }
    assert_eq!(victim.connection.control_in.pieces(), PIECES_MAX);
    victim.control(&vec![Frame::PathChallenge([1; 8]); FRAMES_MAX as usize]);
    victim.control(&vec![Frame::Ping; FRAMES_MAX as usize]);
}

#[test]
fn data_that_leaves_every_gap_there_may_be_costs_what_it_is_long() {
    let mut victim = Victim::new(Role::Sender);
    // As when it has drained a gigabit over 600 ms.
    victim.connection.space_in.extend(1 << 28);
    for index in 0..RECEIVED_RANGES_MAX as u64 + 100 {
        victim.take(PacketType::Data, index * 2 + 1, b"x");
        victim.connection.on_written(victim.now, 0);
    }
    assert_eq!(victim.connection.held().ranges, RECEIVED_RANGES_MAX);
    for index in 0..1_000 {
        victim.take(PacketType::Data, index * 2, b"x");
        let before = steps();
        victim.connection.on_written(victim.now, index * 2);
        assert!(steps() - before < 20, "the disk's reports cost nothing");
    }
}

#[test]
fn packets_of_alternating_numbers_cost_what_they_are_long() {
    let mut victim = Victim::new(Role::Sender);
    for index in 0..40_000u64 {
        // Every second number, the lowest and the highest that are taken in by turns.
        victim.number = if index % 2 == 0 { 70_000 + index } else { 6_000 + index * 2 };
        victim.control(&[Frame::Ping]);
    }
}

#[test]
fn words_of_what_is_missing_cost_what_they_are_long() {
    let mut victim = Victim::new(Role::Receiver);
    victim.send(2_000);
    for round in 0..4 {
        let missing = (0..HAVE_RANGES_MAX as u64).map(|at| at * 2 + round % 2);
        let missing = missing.map(|at| at..at + 1).collect();
        victim.control(&[Frame::Have(Have { written: 0, upper: 1 << 20, missing })]);
    }
}

/// Of many small files every second one is not wanted: what is missing between them is named in a few bytes.
#[test]
fn a_word_of_much_that_is_missing_costs_what_it_is_long() {
    let mut victim = Victim::new(Role::Receiver);
    victim.send(100);
    for index in 1..20_000 {
        victim.connection.cancel_outgoing(&(index * 20..index * 20 + 10));
    }
    for upper in [400_000, 399_990] {
        let missing = vec![100..upper];
        victim.control(&[Frame::Have(Have { written: 0, upper, missing })]);
    }
}

#[test]
fn a_packet_of_too_many_frames_breaks_the_protocol() {
    for frames in [
        vec![Frame::Ping; FRAMES_MAX as usize + 1],
        vec![Frame::Have(Have { written: 0, upper: 0, missing: Vec::new() }); 2],
    ] {
        let mut victim = Victim::new(Role::Receiver);
        victim.feed(PacketType::Control, 0, &bytes_of(&frames));
        assert!(!victim.connection.is_established());
    }
}

/// A receiver that acknowledges everything and says all the time that nothing is there.
#[test]
fn a_receiver_that_never_has_enough_is_left() {
    const SIZE: u64 = 1_000_000;
    let mut victim = Victim::new(Role::Receiver);
    victim.connection.release(SIZE);
    let credit = Frame::Credit { limit: SIZE };
    victim.feed(PacketType::Control, 0, &bytes_of(&[credit]));
    for _ in 0..100_000 {
        let next = victim.connection.sent.next_number();
        let skipped = victim.connection.skipped.numbers().iter().map(|number| *number..number + 1);
        let skipped: RangeSet = skipped.collect();
        let ranges: Vec<_> = skipped.gaps(next.saturating_sub(1_000)..next).collect();
        let ranges = ranges.into_iter().rev().collect();
        let ack = Ack { delay: Duration::ZERO, duplicates: 0, marks: Marks::default(), ranges };
        let missing = vec![0..SIZE];
        let have = Have { written: 0, upper: SIZE, missing };
        victim.feed(PacketType::Control, 0, &bytes_of(&[Frame::Ack(ack), Frame::Have(have)]));
        if !victim.connection.is_established() {
            break;
        }
    }
    let stats = victim.connection.stats();
    assert!(!victim.connection.is_established());
    assert!(stats.bytes_sent < 11 * SIZE, "{} bytes of {SIZE}", stats.bytes_sent);
}

/// Who acknowledges what has not arrived, to be sent more, acknowledges numbers that were left out.
#[test]
fn acknowledgements_of_what_was_never_received_end_the_connection() {
    const SIZE: u64 = 20_000_000;
    let mut victim = Victim::new(Role::Receiver);
    victim.connection.release(SIZE);
    victim.feed(PacketType::Control, 0, &bytes_of(&[Frame::Credit { limit: SIZE }]));
    while victim.connection.is_established() {
        let next = victim.connection.sent.next_number();
        assert!(next < 10_000, "nothing was noticed");
        let ranges = vec![next.saturating_sub(100)..next];
        let ack = Ack { delay: Duration::ZERO, duplicates: 0, marks: Marks::default(), ranges };
        victim.feed(PacketType::Control, 0, &bytes_of(&[Frame::Ack(ack)]));
    }
    assert!(!victim.connection.skipped.numbers().is_empty());
}

#[test]
fn an_honest_receiver_does_not_notice_numbers_left_out() {
    let fixed = CongestionChoice::Fixed(Rate::from_bits_per_second(100_000_000));
    let mut pair = Pair::new(fixed, 0.0, 10 * MS, 1);
    pair.transfer(8_000_000);
    let stats = pair.sender().stats();
    assert_eq!((stats.retransmissions, stats.packets_lost), (0, 0));
    assert!(!pair.sender().skipped.numbers().is_empty());
}
