//! The sender, who has opened the connection, is seen at another address in the middle of it.

use super::*;
use crate::transport::config::PATH_PATIENCE;

const OTHER_PORT: PathId = PathId { host: 0, port: 9 };
const ELSEWHERE: PathId = PathId { host: 9, port: 0 };

const SIZE: u64 = 800_000;

/// A transfer in the middle.
fn in_the_middle(loss: f64, seed: u64) -> Pair {
    let fixed = CongestionChoice::Fixed(Rate::from_bits_per_second(20_000_000));
    let mut pair = Pair::new(fixed, loss, 20 * MS, seed);
    pair.connect();
    pair.sender().release(SIZE);
    pair.receiver().set_total(SIZE);
    pair.run_until(10, |pair| pair.taken.len() > 300_000);
    pair
}

/// Until the receiver follows; returns how long that takes.
fn follow(pair: &mut Pair, port: PathId) -> Duration {
    let moved = pair.now;
    pair.port = port;
    pair.run_until(60, |pair| pair.receiver().path() == port);
    pair.now.since(moved)
}

fn finish(pair: &mut Pair) {
    pair.run_until(60, |pair| !pair.receiver().space_in.is_incomplete());
    assert!((0..SIZE).zip(&pair.taken).all(|(at, byte)| *byte == pattern(at)));
}

#[test]
fn a_new_port_is_followed_in_two_round_trips_and_nothing_is_forgotten() {
    let mut pair = in_the_middle(0.0, 1);
    let before = pair.receiver().stats();
    let took = follow(&mut pair, OTHER_PORT);
    assert!(took < 2 * 40 * MS, "{took:?}");
    let after = pair.receiver().stats();
    assert_eq!(after.min_rtt, before.min_rtt);
    assert_eq!(after.datagram_size, 1472);
    finish(&mut pair);
}

#[test]
fn on_another_host_all_is_learnt_anew() {
    let mut pair = in_the_middle(0.0, 1);
    assert!(pair.receiver().rtt.is_sampled());
    follow(&mut pair, ELSEWHERE);
    assert!(!pair.receiver().rtt.is_sampled());
    assert_eq!(pair.receiver().stats().datagram_size, BASE_DATAGRAM);
    finish(&mut pair);
}

#[test]
fn frames_of_a_classic_strategy_keep_their_size_on_another_host() {
    let arq = ArqConfig { strategy: Strategy::SelectiveRepeat, ..ArqConfig::default() };
    let config = Config { arq, ..config(CongestionChoice::Cubic) };
    let mut pair = Pair::with(config, &losing(0.0, 20 * MS), 1);
    pair.transfer(100_000);
    follow(&mut pair, ELSEWHERE);
    let later = pair.now + Duration::from_secs(3);
    pair.run_until(60, |pair| pair.now >= later);
    assert_eq!(pair.receiver().stats().datagram_size, BASE_DATAGRAM);
}

#[test]
fn a_port_that_changes_often_on_a_lossy_path_is_followed() {
    for seed in 0..3 {
        let mut pair = in_the_middle(0.3, seed);
        for port in 1..5 {
            follow(&mut pair, PathId { host: 0, port });
        }
        finish(&mut pair);
    }
}

/// A packet of the sender's that is newer than all before it, sent by somebody else from elsewhere.
fn forge_to_receiver(pair: &mut Pair, path: PathId, frames: &[Frame<'_>]) {
    let mut packet = vec![0; HEADER_LEN];
    let header = Header {
        kind: PacketType::Control,
        connection_id: ConnectionId(22),
        packet_number: low_bits(pair.receiver().acks.expected() + 1_000),
        offset: 0,
    };
    header.write(&mut packet);
    for frame in frames {
        frame.put(&mut packet);
    }
    packet.resize(packet.len() + CRC_LEN, 0);
    protection::seal(&mut packet);
    pair.deliver(false, path, &packet);
}

#[test]
fn a_stranger_gets_a_challenge_or_three_and_moves_nothing() {
    let mut pair = in_the_middle(0.0, 1);
    let close = Frame::Close { code: 7, reason: b"believe me" };
    let guess = Frame::PathResponse([0; 8]);
    forge_to_receiver(&mut pair, ELSEWHERE, &[guess, close]);
    assert_eq!(pair.receiver().candidate_path(), Some(ELSEWHERE));
    let len = HEADER_LEN + 9 + 4 + 10 + CRC_LEN;
    let now = pair.now;
    let (mut sent, mut batch) = (0, Batch::default());
    for ms in 0..2_000u64 {
        let receiver = pair.receiver();
        receiver.handle_timeout(now + ms_of(ms));
        while receiver.poll_transmit(now + ms_of(ms), &mut batch) {
            sent += if batch.path() == ELSEWHERE { batch.bytes().len() } else { 0 };
        }
    }
    assert!((1..=3 * len).contains(&sent), "{sent} for {len}");
    let over = now + PATH_PATIENCE;
    pair.now = over;
    pair.receiver().handle_timeout(over);
    let receiver = pair.receiver();
    assert!(receiver.is_established() && receiver.candidate_path().is_none());
    assert_eq!(receiver.path(), PathId::default());
    finish(&mut pair);
}

fn ms_of(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn late_packets_from_where_the_sender_was_do_not_move_it_back() {
    let mut pair = in_the_middle(0.0, 1);
    let old = pair.receiver().acks.expected() - 1;
    follow(&mut pair, OTHER_PORT);
    let mut packet = vec![0; HEADER_LEN + 1 + CRC_LEN];
    let header = Header {
        kind: PacketType::Control,
        connection_id: ConnectionId(22),
        packet_number: low_bits(old),
        offset: 0,
    };
    header.write(&mut packet);
    protection::seal(&mut packet);
    pair.deliver(false, PathId::default(), &packet);
    assert_eq!(pair.receiver().candidate_path(), None);
}

#[test]
fn who_opened_the_connection_does_not_follow_the_other_side() {
    let mut pair = in_the_middle(0.0, 1);
    let mut packet = vec![0; HEADER_LEN + 1 + CRC_LEN];
    let header = Header {
        kind: PacketType::Control,
        connection_id: ConnectionId(11),
        packet_number: low_bits(pair.sender().acks.expected() + 5),
        offset: 0,
    };
    header.write(&mut packet);
    protection::seal(&mut packet);
    pair.deliver(true, ELSEWHERE, &packet);
    assert_eq!(pair.sender().candidate_path(), None);
}
