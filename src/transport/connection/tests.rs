//! Two connections and two links in virtual time.

use super::*;
use crate::base::ecn::Ecn;
use crate::base::time::Duration;
use crate::base::units::{Rate, Share};
use crate::link::line::Line;
use crate::link::{Direction, Link, LinkConfig};
use crate::transport::arq::ArqConfig;
use crate::transport::batch::Batch;
use crate::transport::config::{
    BASE_DATAGRAM, CongestionChoice, GONE_SPAN, HELLO_INTERVAL, OUTSTANDING_SPAN_RECEIVER,
    REFUSED_HELLO_SPAN, REFUSED_SPAN,
};
use crate::transport::path::PathId;
use crate::wire::frame::{Ack, Frame, Marks};
use crate::wire::handshake::HELLO_LEN;
use crate::wire::header::{HEADER_LEN, Header, PacketType, low_bits};
use crate::wire::protection::{self, CRC_LEN};

mod classic;
mod cost;
mod fetching;
mod hostile;
mod impaired;
mod known;
mod limited;
mod marked;
mod moving;
mod network;

const MS: Duration = Duration::from_millis(1);

/// Bytes of the headers in front of a datagram.
const IP_AND_UDP: usize = 28;

fn losing(loss: f64, delay: Duration) -> LinkConfig {
    LinkConfig { loss: Share::new(loss), delay, ..LinkConfig::default() }
}

fn config(congestion: CongestionChoice) -> Config {
    Config {
        congestion,
        known_path: None,
        max_rate: None,
        arq: ArqConfig::default(),
        max_datagram: 1472,
        socket_buffer: 4 << 20,
        max_train: 44,
        trace: false,
        path: PathId::default(),
        secret: [1; 32],
    }
}

struct Side {
    connection: Option<Connection>,
    control: Vec<u8>,
    end: Option<End>,
    /// What it sends through.
    line: Line<PathId>,
}

/// A sender that initiates, and a receiver that takes what comes.
struct Pair {
    now: Instant,
    sender: Side,
    receiver: Side,
    taken: Vec<u8>,
    /// Whether the receiver has room for file bytes.
    has_room: bool,
    /// Whether the owners read the control stream.
    reads_control: bool,
    path_mtu: usize,
    /// Where the sender is, seen from the receiver.
    port: PathId,
    /// Damaged datagrams that arrived before there was a connection to count them.
    damaged_early: u64,
    /// What arrived at the sender or not, by which path, where somebody keeps it.
    captured: Option<Vec<(bool, PathId, Vec<u8>)>>,
    /// Whether each datagram arrives twice.
    echoes: bool,
    /// What becomes of marks on the way; nothing where the datagram does.
    router: fn(Ecn) -> Option<Ecn>,
    /// What the responder is told.
    responder: Config,
}

impl Pair {
    fn new(congestion: CongestionChoice, loss: f64, delay: Duration, seed: u64) -> Self {
        Self::over(congestion, &losing(loss, delay), seed)
    }

    fn over(congestion: CongestionChoice, link: &LinkConfig, seed: u64) -> Self {
        Self::with(config(congestion), link, seed)
    }

    fn with(config: Config, link: &LinkConfig, seed: u64) -> Self {
        let responder = self::config(CongestionChoice::Cubic);
        let side = |connection, direction| Side {
            connection,
            control: Vec::new(),
            end: None,
            line: Line::new(Link::new(link, seed, direction)),
        };
        let initiator = Connection::initiate(Instant::ZERO, config, ConnectionId(11), Role::Sender);
        Self {
            now: Instant::ZERO,
            sender: side(Some(initiator), Direction::Out),
            receiver: side(None, Direction::Back),
            taken: Vec::new(),
            has_room: true,
            reads_control: true,
            path_mtu: 1472,
            port: PathId::default(),
            damaged_early: 0,
            captured: None,
            echoes: false,
            router: Some,
            responder,
        }
    }

    fn sender(&mut self) -> &mut Connection {
        self.sender.connection.as_mut().expect("exists from the start")
    }

    fn receiver(&mut self) -> &mut Connection {
        self.receiver.connection.as_mut().expect("a HELLO has arrived")
    }

    /// Sends everything that is due on one side.
    fn transmit(&mut self, from_sender: bool) {
        let side = if from_sender { &mut self.sender } else { &mut self.receiver };
        let Some(connection) = &mut side.connection else {
            return;
        };
        let mut batch = Batch::default();
        while connection.poll_transmit(self.now, &mut batch) {
            batch
                .fill(|offset, payload| {
                    for (byte, at) in payload.iter_mut().zip(offset..) {
                        *byte = pattern(at);
                    }
                    Ok::<(), ()>(())
                })
                .expect("never fails");
            batch.seal();
            let path = if from_sender { self.port } else { batch.path() };
            for datagram in batch.datagrams() {
                if datagram.len() <= self.path_mtu {
                    let size = datagram.len() + IP_AND_UDP;
                    side.line.put(self.now, size, (path, batch.ecn()), datagram);
                }
            }
        }
    }

    fn deliver(&mut self, to_sender: bool, path: PathId, datagram: &[u8]) {
        self.deliver_with(to_sender, path, Ecn::NotEct, datagram);
    }

    fn deliver_with(&mut self, to_sender: bool, path: PathId, ecn: Ecn, datagram: &[u8]) {
        let Self { now, sender, receiver, taken, has_room, responder, .. } = self;
        let side = if to_sender { sender } else { receiver };
        if side.connection.is_none() {
            let Some(content) = protection::open(datagram) else {
                self.damaged_early += 1;
                return;
            };
            let hello = Hello::read(content).expect("well-formed");
            let number = Header::read(datagram).expect("well-formed").packet_number;
            let id = ConnectionId(22);
            side.connection = Some(Connection::respond(*now, *responder, id, &hello, number));
            return;
        }
        let connection = side.connection.as_mut().expect("just made");
        connection.handle_datagram(*now, path, ecn, datagram, &mut |offset, payload| {
            let start = usize::try_from(offset).expect("small");
            taken.resize(taken.len().max(start + payload.len()), 0);
            taken[start..start + payload.len()].copy_from_slice(payload);
            *has_room
        });
        if *has_room {
            let written = taken.len() as u64;
            connection.on_written(*now, written);
        }
    }

    /// One step: what is due now, or the jump to when something is.
    fn step(&mut self) -> bool {
        let goes_on = self.advance();
        for side in [&mut self.sender, &mut self.receiver] {
            let Some(connection) = &mut side.connection else {
                continue;
            };
            if self.reads_control {
                connection.read_control(&mut side.control);
            }
            while let Some(event) = connection.poll_event() {
                if let Event::Ended(end) = event {
                    assert!(side.end.is_none(), "one end only");
                    side.end = Some(end);
                }
            }
        }
        goes_on
    }

    fn advance(&mut self) -> bool {
        self.transmit(true);
        self.transmit(false);
        let sides = [&self.sender.connection, &self.receiver.connection];
        let deadline = sides.into_iter().flatten().filter_map(Connection::poll_timeout).min();
        let Some(next) = [self.next_arrival(), deadline].into_iter().flatten().min() else {
            return false;
        };
        self.now = self.now.max(next);
        for connection in
            [&mut self.sender.connection, &mut self.receiver.connection].into_iter().flatten()
        {
            connection.handle_timeout(self.now);
        }
        self.arrive();
        true
    }

    fn next_arrival(&self) -> Option<Instant> {
        [&self.sender.line, &self.receiver.line].into_iter().filter_map(Line::next).min()
    }

    /// Delivers what has come out of the links.
    fn arrive(&mut self) {
        let mut datagram = Vec::new();
        while let Some((path, ecn)) = self.sender.line.take(self.now, &mut datagram) {
            self.pass_on(false, path, ecn, &datagram);
        }
        while let Some((path, ecn)) = self.receiver.line.take(self.now, &mut datagram) {
            if path == self.port {
                self.pass_on(true, PathId::default(), ecn, &datagram);
            }
        }
    }

    /// Delivers a datagram as often as it is to arrive, and keeps a copy for those who want one.
    fn pass_on(&mut self, to_sender: bool, path: PathId, ecn: Ecn, datagram: &[u8]) {
        let Some(ecn) = (self.router)(ecn) else { return };
        for _ in 0..=u8::from(self.echoes) {
            self.deliver_with(to_sender, path, ecn, datagram);
        }
        if let Some(captured) = &mut self.captured {
            captured.push((to_sender, path, datagram.to_vec()));
        }
    }

    fn run_until(&mut self, seconds: u64, mut done: impl FnMut(&mut Self) -> bool) {
        let limit = Instant::from_nanos(seconds * 1_000_000_000);
        while !done(self) {
            let goes_on = self.step();
            assert!((goes_on && self.now < limit) || done(self), "stuck at {}", self.now);
        }
    }

    fn connect(&mut self) {
        self.run_until(30, |pair| {
            pair.sender().is_established()
                && pair.receiver.connection.as_ref().is_some_and(Connection::is_validated)
        });
    }

    /// Moves `len` bytes and closes from the sender's side; returns when the last byte was there.
    fn transfer(&mut self, len: u64) -> Instant {
        self.connect();
        self.sender().release(len);
        self.receiver().set_total(len);
        self.run_until(600, |pair| !pair.receiver().space_in.is_incomplete());
        assert!((0..len).zip(&self.taken).all(|(at, byte)| *byte == pattern(at)));
        self.now
    }
}

/// The byte at that place: neighbours differ, and so do places a page, a datagram or a flight apart.
fn pattern(at: u64) -> u8 {
    let mixed = (at / 8 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ mixed >> 29).to_le_bytes()[(at % 8) as usize]
}

#[test]
fn a_clean_path_carries_everything_once() {
    let mut pair = Pair::new(CongestionChoice::Cubic, 0.0, 25 * MS, 1);
    pair.transfer(3_000_000);
    let stats = pair.sender().stats();
    assert_eq!((stats.retransmissions, stats.packets_lost), (0, 0));
    assert_eq!(stats.datagram_size, 1472);
    assert!(stats.bytes_sent < 3_000_000 * 1035 / 1000, "{}", stats.bytes_sent);
    assert!(stats.smoothed_rtt >= 50 * MS && stats.smoothed_rtt < 60 * MS);
}

#[test]
fn every_loss_rate_is_survived() {
    for (loss, seed) in [(0.01, 1), (0.05, 2), (0.2, 3), (0.4, 4), (0.4, 5), (0.4, 6)] {
        let fixed = CongestionChoice::Fixed(Rate::from_bits_per_second(20_000_000));
        let mut pair = Pair::new(fixed, loss, 25 * MS, seed);
        pair.transfer(1_000_000);
        let stats = pair.sender().stats();
        let observed = stats.observed_loss().get();
        assert!((observed - loss).abs() < 0.25 * loss + 0.01, "{loss}: {observed}");
        let spurious = stats.spurious_retransmissions;
        assert!(spurious * 10 <= stats.retransmissions, "{loss}: {spurious} spurious");
    }
}

#[test]
fn the_control_stream_arrives_in_order_both_ways_under_loss() {
    let mut pair = Pair::new(CongestionChoice::Cubic, 0.3, 10 * MS, 9);
    pair.connect();
    let text: Vec<u8> = (0..40_000u64).map(pattern).collect();
    pair.sender().write_control(&text);
    pair.receiver().write_control(&text);
    let len = text.len();
    pair.run_until(120, |p| p.sender.control.len() == len && p.receiver.control.len() == len);
    assert!(pair.sender.control == text && pair.receiver.control == text);
    pair.run_until(120, |pair| pair.sender().control_waiting() == 0);
}

#[test]
fn nobody_there_is_known_after_ten_seconds() {
    let mut pair = Pair::new(CongestionChoice::Cubic, 1.0, MS, 1);
    pair.run_until(11, |pair| pair.sender.end.is_some());
    assert_eq!(pair.sender.end, Some(End::Unreachable));
    assert_eq!(pair.now, Instant::ZERO + HANDSHAKE_TIMEOUT);
}

#[test]
fn a_silent_peer_is_known_after_thirty_seconds() {
    let mut pair = Pair::new(CongestionChoice::Cubic, 0.0, 25 * MS, 1);
    pair.connect();
    pair.sender().release(50_000_000);
    pair.run_until(5, |pair| pair.taken.len() > 1_000_000);
    let died = pair.now;
    pair.receiver.line.change(Link::new(&losing(1.0, MS), 1, Direction::Back));
    pair.run_until(60, |pair| pair.sender.end.is_some());
    assert_eq!(pair.sender.end, Some(End::Silent));
    assert!(pair.now.since(died) <= IDLE_TIMEOUT + 100 * MS);
}

#[test]
fn a_blackout_of_twenty_seconds_is_survived() {
    let mut pair = Pair::new(CongestionChoice::Cubic, 0.0, 25 * MS, 1);
    pair.connect();
    pair.sender().release(8_000_000);
    pair.receiver().set_total(8_000_000);
    pair.run_until(5, |pair| pair.taken.len() > 100_000);
    for side in [&mut pair.sender, &mut pair.receiver] {
        side.line.change(Link::new(&losing(1.0, 25 * MS), 1, Direction::Out));
    }
    let end = pair.now + Duration::from_secs(20);
    pair.run_until(60, |pair| pair.now >= end);
    for side in [&mut pair.sender, &mut pair.receiver] {
        side.line.change(Link::new(&losing(0.0, 25 * MS), 1, Direction::Out));
    }
    pair.run_until(60, |pair| pair.taken.len() > 1_000_000);
    assert!(pair.now.since(end) < Duration::from_secs(6), "{:?}", pair.now.since(end));
}

/// Steps during which every datagram of one side is refused, as by a host whose program has ended;
/// until `done`.
fn run_refused(
    pair: &mut Pair,
    of_sender: bool,
    quoted: &[u8],
    mut done: impl FnMut(&Pair) -> bool,
) {
    let limit = pair.now + Duration::from_secs(60);
    while !done(pair) {
        assert!(pair.now < limit, "stuck");
        let side = if of_sender { &mut pair.sender } else { &mut pair.receiver };
        let before = side.connection.as_ref().map_or(0, |one| one.stats().datagrams_sent);
        pair.step();
        let now = pair.now;
        let side = if of_sender { &mut pair.sender } else { &mut pair.receiver };
        let connection = side.connection.as_mut().expect("it sends");
        for _ in before..connection.stats().datagrams_sent {
            connection.handle_refusal(now, quoted);
        }
    }
}

fn die(side: &mut Side) {
    side.line.change(Link::new(&losing(1.0, MS), 1, Direction::Back));
}

#[test]
fn hellos_that_are_refused_tell_that_nobody_listens() {
    let mut pair = Pair::new(CongestionChoice::Cubic, 1.0, MS, 1);
    run_refused(&mut pair, true, &[], |pair| pair.sender.end.is_some());
    assert_eq!(pair.sender.end, Some(End::NobodyListens));
    let took = pair.now.since(Instant::ZERO);
    assert!((REFUSED_HELLO_SPAN..=REFUSED_HELLO_SPAN + HELLO_INTERVAL).contains(&took), "{took:?}");
}

#[test]
fn a_refusal_that_quotes_what_was_never_sent_means_nothing() {
    let mut pair = Pair::new(CongestionChoice::Cubic, 1.0, MS, 1);
    let mut quoted = [0; HEADER_LEN + 4];
    let header = Header {
        kind: PacketType::Hello,
        connection_id: ConnectionId::NONE,
        packet_number: 0,
        offset: 0,
    };
    header.write(&mut quoted);
    run_refused(&mut pair, true, &quoted, |pair| pair.sender.end.is_some());
    assert_eq!(pair.sender.end, Some(End::Unreachable));
    quoted[HEADER_LEN..].copy_from_slice(&11u32.to_be_bytes());
    let mut pair = Pair::new(CongestionChoice::Cubic, 1.0, MS, 1);
    run_refused(&mut pair, true, &quoted, |pair| pair.sender.end.is_some());
    assert_eq!(pair.sender.end, Some(End::NobodyListens));
}

/// How long a side takes to miss the other, whose program has ended on a host that says so.
fn time_to_miss(is_sender: bool) -> Duration {
    let mut pair = Pair::new(CongestionChoice::Cubic, 0.0, 25 * MS, 1);
    pair.connect();
    pair.sender().release(50_000_000);
    pair.run_until(5, |pair| pair.taken.len() > 1_000_000);
    let died = pair.now;
    // Nothing goes either way, and what is on its way is lost; what the survivor sends is refused.
    for side in [&mut pair.sender, &mut pair.receiver] {
        side.line = Line::new(Link::new(&losing(1.0, MS), 1, Direction::Back));
    }
    let side =
        |pair: &Pair| if is_sender { pair.sender.end.clone() } else { pair.receiver.end.clone() };
    run_refused(&mut pair, is_sender, &[], |pair| side(pair).is_some());
    assert_eq!(side(&pair), Some(End::Gone));
    pair.now.since(died)
}

#[test]
fn a_peer_whose_program_has_ended_is_missed_within_seconds_on_either_side() {
    for is_sender in [true, false] {
        let took = time_to_miss(is_sender);
        assert!((REFUSED_SPAN..Duration::from_secs(9)).contains(&took), "{is_sender}: {took:?}");
    }
}

#[test]
fn forged_refusals_do_no_harm_while_the_peer_is_heard() {
    let mut pair = Pair::new(CongestionChoice::Cubic, 0.0, 25 * MS, 1);
    pair.connect();
    let end = pair.now + Duration::from_secs(20);
    run_refused(&mut pair, true, &[], |pair| pair.now >= end || pair.sender.end.is_some());
    assert_eq!(pair.sender.end, None);
}

#[test]
fn a_blackout_that_begins_with_refusals_is_survived() {
    let mut pair = Pair::new(CongestionChoice::Cubic, 0.0, 25 * MS, 1);
    pair.connect();
    pair.sender().release(8_000_000);
    pair.run_until(5, |pair| pair.taken.len() > 100_000);
    die(&mut pair.sender);
    die(&mut pair.receiver);
    let (now, end) = (pair.now, pair.now + Duration::from_secs(20));
    (0..100).for_each(|_| pair.sender().handle_refusal(now, &[]));
    pair.run_until(60, |pair| pair.now >= end);
    let whole = losing(0.0, 25 * MS);
    pair.sender.line.change(Link::new(&whole, 1, Direction::Out));
    pair.receiver.line.change(Link::new(&whole, 1, Direction::Back));
    pair.run_until(60, |pair| pair.taken.len() > 1_000_000);
}

#[test]
fn a_peer_that_knows_nothing_of_the_connection_any_more_is_left_soon() {
    let mut pair = Pair::new(CongestionChoice::Cubic, 0.0, 25 * MS, 1);
    pair.connect();
    pair.sender().release(8_000_000);
    pair.run_until(5, |pair| pair.taken.len() > 100_000);
    die(&mut pair.sender);
    die(&mut pair.receiver);
    let (start, peer_id) = (pair.now, pair.sender().peer_id);
    pair.sender().handle_gone(start, ConnectionId(peer_id.0 ^ 1));
    assert!(pair.sender().refusals.count() == 0, "another connection's");
    // Its answers to what is sent to it.
    while pair.sender.end.is_none() {
        assert!(pair.now < start + Duration::from_secs(5), "stuck");
        let before = pair.sender().stats().datagrams_sent;
        pair.step();
        let (now, after) = (pair.now, pair.sender().stats().datagrams_sent);
        (before..after).for_each(|_| pair.sender().handle_gone(now, peer_id));
    }
    assert_eq!(pair.sender.end, Some(End::Forgotten));
    let took = pair.now.since(start);
    // Here an answer comes no sooner than the next timer.
    assert!((GONE_SPAN..Duration::from_secs(3)).contains(&took), "{took:?}");
}

#[test]
fn who_is_said_to_have_forgotten_and_answers_has_not() {
    let mut pair = Pair::new(CongestionChoice::Cubic, 0.0, 25 * MS, 1);
    pair.connect();
    pair.sender().release(8_000_000);
    let peer_id = pair.sender().peer_id;
    pair.run_until(60, |pair| {
        let now = pair.now;
        pair.sender().handle_gone(now, peer_id);
        pair.taken.len() == 8_000_000 || pair.sender.end.is_some()
    });
    assert_eq!(pair.sender.end, None);
}

#[test]
fn an_idle_connection_stays() {
    let mut pair = Pair::new(CongestionChoice::Cubic, 0.1, 25 * MS, 3);
    pair.connect();
    let end = pair.now + Duration::from_secs(300);
    pair.run_until(400, |pair| pair.now >= end);
    assert!(pair.sender.end.is_none() && pair.receiver.end.is_none());
}

#[test]
fn closing_reaches_the_peer_and_ends_both_sides_soon() {
    let mut pair = Pair::new(CongestionChoice::Cubic, 0.3, 25 * MS, 5);
    pair.connect();
    let start = pair.now;
    pair.sender().close(7, "target exists");
    pair.run_until(60, |pair| pair.sender.end.is_some());
    assert_eq!(pair.sender.end, Some(End::Local));
    assert!(pair.now.since(start) < 50 * MS, "no round trip is waited for");
    pair.run_until(60, |pair| pair.receiver.end.is_some());
    let expected = End::Peer { code: 7, reason: "target exists".into() };
    assert_eq!(pair.receiver.end, Some(expected));
}

#[test]
fn a_receiver_without_room_gets_the_bytes_later() {
    let mut pair = Pair::new(CongestionChoice::Cubic, 0.0, 5 * MS, 1);
    pair.connect();
    pair.sender().release(200_000);
    pair.receiver().set_total(200_000);
    pair.has_room = false;
    let later = pair.now + 500 * MS;
    pair.run_until(10, |pair| pair.now >= later);
    pair.has_room = true;
    pair.run_until(60, |pair| !pair.receiver().space_in.is_incomplete());
}

#[test]
fn rejected_bytes_come_again() {
    let mut pair = Pair::new(CongestionChoice::Cubic, 0.0, 5 * MS, 1);
    pair.transfer(500_000);
    pair.receiver().reject(&(100_000..200_000));
    pair.run_until(60, |pair| !pair.receiver().space_in.is_incomplete());
    assert!(pair.sender().stats().retransmissions >= 68);
}

#[test]
fn cancelled_bytes_are_waited_for_by_nobody() {
    let mut pair = Pair::new(CongestionChoice::Cubic, 0.05, 5 * MS, 1);
    pair.connect();
    pair.sender().cancel_outgoing(&(100_000..900_000));
    pair.receiver().cancel_incoming(100_000..900_000);
    pair.sender().release(1_000_000);
    pair.receiver().set_total(1_000_000);
    pair.run_until(60, |pair| !pair.receiver().space_in.is_incomplete());
    assert!(pair.sender().stats().data_packets_sent < 200);
}

#[test]
fn a_narrow_path_is_found_and_used() {
    let mut pair = Pair::new(CongestionChoice::Cubic, 0.0, 10 * MS, 1);
    pair.path_mtu = 1400;
    pair.transfer(2_000_000);
    assert_eq!(pair.sender().stats().datagram_size, 1392);
    assert_eq!(pair.sender().stats().retransmissions, 0, "a lost probe is not data");
}

#[test]
fn control_bytes_pass_a_path_that_became_narrower() {
    let mut pair = Pair::new(CongestionChoice::Cubic, 0.0, 10 * MS, 1);
    pair.transfer(100_000);
    assert_eq!(pair.receiver().stats().datagram_size, 1472);
    pair.path_mtu = 1300;
    // In a small window it takes long until many are lost.
    pair.sender().congestion.on_persistent_congestion();
    pair.receiver().congestion.on_persistent_congestion();
    let text: Vec<u8> = (0..40_000u64).map(pattern).collect();
    pair.sender().write_control(&text);
    pair.receiver().write_control(&text);
    let len = text.len();
    let narrowed = pair.now;
    pair.run_until(20, |p| p.sender.control.len() == len && p.receiver.control.len() == len);
    assert!(pair.now.since(narrowed) < Duration::from_secs(1), "{}", pair.now);
    pair.run_until(20, |pair| pair.sender().stats().datagram_size == 1252);
}

#[test]
fn a_packet_that_nobody_acknowledges_fits_the_narrowest_path() {
    let mut pair = Pair::new(CongestionChoice::Cubic, 0.0, 10 * MS, 1);
    pair.transfer(100_000);
    assert_eq!(pair.receiver().stats().datagram_size, 1472);
    let now = pair.now;
    let mut batch = Batch::default();
    let receiver = pair.receiver();
    (0..6_000).for_each(|number| receiver.acks.on_packet(now, 1_000 + number * 3, true, None));
    receiver.acks.report_all();
    let mut largest = 0;
    while receiver.poll_transmit(now, &mut batch) {
        largest = largest.max(batch.bytes().len());
    }
    assert!((1_100..=usize::from(BASE_DATAGRAM)).contains(&largest), "{largest}");
}

#[test]
fn the_handshake_survives_thirty_percent_loss_both_ways() {
    let mut slowest = Duration::ZERO;
    for seed in 0..200 {
        let mut pair = Pair::new(CongestionChoice::Cubic, 0.3, 25 * MS, seed);
        pair.connect();
        slowest = slowest.max(pair.now.since(Instant::ZERO));
    }
    assert!(slowest < Duration::from_secs(9), "{slowest:?}");
}

#[test]
fn before_it_is_answered_a_responder_sends_no_more_than_it_received() {
    let hello_to = |connection: &mut Connection, number: u32, len: usize| {
        let header = Header {
            kind: PacketType::Hello,
            connection_id: ConnectionId::NONE,
            packet_number: number,
            offset: 0,
        };
        let mut packet = vec![0; len];
        header.write(&mut packet);
        protection::seal(&mut packet);
        connection.handle_datagram(
            Instant::ZERO,
            PathId::default(),
            Ecn::NotEct,
            &packet,
            &mut |_, _| false,
        );
    };
    let hello = Hello {
        connection_id: ConnectionId(1),
        versions: vec![VERSION],
        suite: Suite::Open,
        role: Role::Receiver,
        parameters: parameters(&config(CongestionChoice::Cubic)),
        cookie: Vec::new(),
    };
    let config = config(CongestionChoice::Cubic);
    let mut responder = Connection::respond(Instant::ZERO, config, ConnectionId(2), &hello, 0);
    responder.write_control(&[1; 5_000]);
    responder.release(1 << 20);
    let mut batch = Batch::default();
    for number in 1..20 {
        let mut sent = 0;
        while responder.poll_transmit(Instant::ZERO, &mut batch) {
            sent += batch.bytes().len();
        }
        assert!(sent > 0 && sent <= HELLO_LEN, "{sent}");
        hello_to(&mut responder, number, HELLO_LEN);
    }
    while responder.poll_transmit(Instant::ZERO, &mut batch) {}
    hello_to(&mut responder, 20, HELLO_LEN - 1);
    assert!(!responder.poll_transmit(Instant::ZERO, &mut batch), "a short HELLO gets no answer");
    let mut now = Instant::ZERO;
    while let Some(due) = responder.poll_timeout() {
        now = now.max(due);
        responder.handle_timeout(now);
    }
    assert!(responder.is_ended());
    assert_eq!(now, Instant::ZERO + HANDSHAKE_TIMEOUT, "half-open connections end");
}

/// A sealed CONTROL packet for the sender of `pair`.
fn forge(pair: &mut Pair, frames: &[Frame<'_>]) {
    let mut packet = vec![0; HEADER_LEN];
    let header = Header {
        kind: PacketType::Control,
        connection_id: ConnectionId(11),
        packet_number: low_bits(pair.sender().acks.expected() + 1),
        offset: 0,
    };
    header.write(&mut packet);
    for frame in frames {
        frame.put(&mut packet);
    }
    packet.resize(packet.len() + CRC_LEN, 0);
    protection::seal(&mut packet);
    pair.deliver(true, PathId::default(), &packet);
}

#[test]
fn acknowledging_what_was_never_sent_ends_the_connection() {
    let mut pair = Pair::new(CongestionChoice::Cubic, 0.0, MS, 1);
    pair.connect();
    let ranges = vec![1_000_000..1_000_001];
    forge(
        &mut pair,
        &[Frame::Ack(Ack { delay: MS, duplicates: 0, marks: Marks::default(), ranges })],
    );
    pair.run_until(5, |pair| pair.sender.end.is_some() && pair.receiver.end.is_some());
    assert!(matches!(pair.sender.end, Some(End::Protocol(_))));
    assert!(matches!(pair.receiver.end, Some(End::Peer { .. })));
}

#[test]
fn control_bytes_beyond_the_window_are_as_if_they_had_not_come() {
    let mut pair = Pair::new(CongestionChoice::Cubic, 0.0, MS, 1);
    pair.connect();
    let expected = pair.sender().acks.expected();
    forge(&mut pair, &[Frame::Stream { offset: 1 << 20, data: b"x" }]);
    assert_eq!(pair.sender().acks.expected(), expected);
}

#[test]
fn a_reader_that_lags_behind_makes_the_writer_wait() {
    let mut pair = Pair::new(CongestionChoice::Cubic, 0.0, MS, 1);
    pair.connect();
    let text: Vec<u8> = (0..400_000u64).map(pattern).collect();
    pair.sender().write_control(&text);
    pair.reads_control = false;
    let later = pair.now + Duration::from_secs(20);
    pair.run_until(60, |pair| pair.now >= later);
    assert!(pair.receiver.end.is_none() && pair.sender.end.is_none());
    pair.reads_control = true;
    pair.run_until(120, |pair| pair.receiver.control.len() == text.len());
    assert!(pair.receiver.control == text);
}

#[test]
fn a_peer_that_acknowledges_nothing_is_left() {
    let mut pair = Pair::new(CongestionChoice::Cubic, 0.0, MS, 1);
    pair.connect();
    let now = pair.now;
    let receiver = pair.receiver();
    let mut batch = Batch::default();
    for number in 0..2 * OUTSTANDING_SPAN_RECEIVER {
        receiver.acks.on_packet(now, 1_000 + number, true, None);
        receiver.ping_due = true;
        while receiver.poll_transmit(now, &mut batch) {}
    }
    assert!(!receiver.is_established());
}

#[test]
fn a_sender_takes_no_file_bytes() {
    let mut pair = Pair::new(CongestionChoice::Cubic, 0.0, MS, 1);
    pair.connect();
    let mut packet = vec![0; HEADER_LEN + 10 + CRC_LEN];
    let header = Header {
        kind: PacketType::Data,
        connection_id: ConnectionId(11),
        packet_number: 900,
        offset: 0,
    };
    header.write(&mut packet);
    protection::seal(&mut packet);
    pair.deliver(true, PathId::default(), &packet);
    assert!(pair.taken.is_empty());
}

#[test]
fn a_hello_goes_four_times_a_second() {
    let mut pair = Pair::new(CongestionChoice::Cubic, 1.0, MS, 1);
    pair.run_until(3, |pair| pair.now >= Instant::ZERO + HELLO_INTERVAL * 5);
    assert_eq!(pair.sender().stats().datagrams_sent, 5);
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = |seed| {
        let mut pair = Pair::new(CongestionChoice::Cubic, 0.05, 20 * MS, seed);
        let done = pair.transfer(300_000);
        (done, pair.sender().stats())
    };
    assert_eq!(run(3), run(3));
    assert_ne!(run(3), run(4));
}
