//! Peers and strangers at their worst: the cases A and M of `tests/CASES.md` that a connection alone has
//! to stand.

use super::*;
use crate::transport::config::AMPLIFICATION_MAX;
use crate::wire::handshake::{RefuseCode, put_refuse, put_versions};

/// A sealed packet.
fn packet(kind: PacketType, id: u32, number: u64, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![0; HEADER_LEN];
    let connection_id = ConnectionId(id);
    Header { kind, connection_id, packet_number: low_bits(number), offset: 0 }.write(&mut packet);
    packet.extend_from_slice(body);
    packet.resize(packet.len() + CRC_LEN, 0);
    protection::seal(&mut packet);
    packet
}

fn control(id: u32, number: u64, frames: &[Frame<'_>]) -> Vec<u8> {
    let mut body = Vec::new();
    frames.iter().for_each(|frame| frame.put(&mut body));
    packet(PacketType::Control, id, number, &body)
}

/// What one side sends at this moment: its datagrams, and where each goes.
fn said(connection: &mut Connection, now: Instant) -> Vec<(PathId, Vec<u8>)> {
    let (mut said, mut batch) = (Vec::new(), Batch::default());
    while connection.poll_transmit(now, &mut batch) {
        said.extend(batch.datagrams().map(|datagram| (batch.path(), datagram.to_vec())));
    }
    said
}

/// What a datagram changes where it is taken in: numbers seen, bytes, the window, the round trip.
fn state(pair: &mut Pair) -> String {
    let taken = pair.taken.len();
    let both = [&pair.sender, &pair.receiver].map(|side| {
        let connection = side.connection.as_ref().expect("connected");
        let stats = connection.stats();
        let seen = (connection.acks.expected(), connection.acks.held(), connection.acks.deadline());
        let kept = (connection.held(), connection.path(), connection.candidate_path());
        let sent = (stats.datagrams_sent, stats.packets_acked, stats.packets_lost);
        let rate = (stats.congestion_window, stats.smoothed_rtt, stats.spurious_retransmissions);
        format!("{seen:?} {kept:?} {sent:?} {rate:?} {:?}", (&side.end, side.control.len()))
    });
    format!("{taken} {both:?}")
}

/// Two that have exchanged bytes and control bytes, with nothing on its way.
fn at_rest(seed: u64) -> Pair {
    let mut pair = Pair::new(CongestionChoice::Cubic, 0.02, 10 * MS, seed);
    pair.captured = Some(Vec::new());
    pair.connect();
    pair.sender().write_control(&[7; 10_000]);
    pair.receiver().write_control(&[8; 10_000]);
    pair.transfer(500_000);
    let later = pair.now + Duration::from_secs(4);
    pair.run_until(600, |pair| pair.now >= later && pair.next_arrival().is_none());
    // What is due at this moment goes, and is on its way.
    pair.transmit(true);
    pair.transmit(false);
    pair
}

#[test]
fn what_is_sent_again_by_others_is_as_if_it_had_not_come() {
    for seed in 1..4 {
        let mut pair = at_rest(seed);
        let captured = pair.captured.take().expect("asked for");
        assert!(captured.len() > 400, "{}", captured.len());
        let before = state(&mut pair);
        for _ in 0..3 {
            for (to_sender, path, datagram) in &captured {
                pair.deliver(*to_sender, *path, datagram);
            }
            pair.transmit(true);
            pair.transmit(false);
        }
        assert_eq!(state(&mut pair), before, "seed {seed}");
    }
}

/// Each datagram arrives again at once, and all of them once more in every second.
#[test]
fn what_is_sent_again_at_once_brings_nothing_twice() {
    let mut pair = Pair::new(CongestionChoice::Cubic, 0.02, 10 * MS, 1);
    pair.echoes = true;
    pair.transfer(1_000_000);
    let stats = pair.sender().stats();
    assert_eq!(stats.spurious_retransmissions, 0, "a copy is no proof that it was sent twice");
    assert!(stats.retransmissions <= stats.packets_lost, "{stats:?}");
}

#[test]
fn answers_to_a_handshake_mean_nothing_after_it() {
    let mut pair = at_rest(1);
    let before = state(&mut pair);
    let (mut versions, mut refusal, mut welcome) = (Vec::new(), Vec::new(), Vec::new());
    put_versions(&mut versions, &[99]);
    put_refuse(&mut refusal, RefuseCode::Busy, "go away");
    let parameters = Parameters {
        max_datagram: 1200,
        max_ack_delay: Duration::from_secs(1),
        ..parameters(&config(CongestionChoice::Cubic))
    };
    Welcome { connection_id: ConnectionId(66), version: VERSION, parameters }.put(&mut welcome);
    for (kind, body) in [
        (PacketType::Versions, &versions),
        (PacketType::Refuse, &refusal),
        (PacketType::Welcome, &welcome),
        (PacketType::Retry, &vec![4, 1, 2, 3, 4]),
    ] {
        for number in [0, 1, 900] {
            for (to_sender, id) in [(true, 11), (false, 22)] {
                pair.deliver(to_sender, PathId::default(), &packet(kind, id, number, body));
            }
        }
    }
    let hello = Hello {
        connection_id: ConnectionId(66),
        versions: vec![VERSION],
        suite: Suite::Open,
        role: Role::Receiver,
        parameters,
        cookie: Vec::new(),
    };
    let mut body = Vec::new();
    hello.put(&mut body);
    body.resize(HELLO_LEN, 0);
    pair.deliver(false, PathId::default(), &packet(PacketType::Hello, 0, 0, &body));
    pair.transmit(true);
    pair.transmit(false);
    assert_eq!(state(&mut pair), before);
    assert_eq!(pair.sender().peer_id, ConnectionId(22));
}

/// A number that jumps: what follows is taken, what lies too far behind is not, and nothing grows.
#[test]
fn a_packet_number_may_jump_and_the_one_who_jumps_back_is_not_heard() {
    let mut pair = at_rest(1);
    let expected = pair.receiver().acks.expected();
    let far = expected + (1 << 30);
    let ping = [Frame::Ping];
    pair.deliver(false, PathId::default(), &control(22, far, &ping));
    assert_eq!(pair.receiver().acks.expected(), far + 1);
    let held = pair.receiver().acks.held();
    for number in [expected, expected + 1, far - 70_000] {
        pair.deliver(false, PathId::default(), &control(22, number, &ping));
    }
    assert_eq!(pair.receiver().acks.expected(), far + 1);
    assert_eq!(pair.receiver().acks.held(), held);
    // The honest sender never sent what is acknowledged now: it leaves, and says so.
    pair.run_until(600, |pair| pair.sender.end.is_some() && pair.receiver.end.is_some());
    assert!(matches!(pair.sender.end, Some(End::Protocol(_))), "{:?}", pair.sender.end);
}

#[test]
fn of_many_challenges_the_newest_is_answered_and_no_other() {
    let mut pair = at_rest(1);
    let (now, expected) = (pair.now, pair.sender().acks.expected());
    said(pair.sender(), now);
    for number in 0..1_000u64 {
        let of = |index: u64| Frame::PathChallenge((number * 100 + index).to_be_bytes());
        let frames: Vec<Frame<'_>> = (0..100).map(of).collect();
        let datagram = control(11, expected + number, &frames);
        pair.sender().handle_datagram(
            now,
            PathId::default(),
            Ecn::NotEct,
            &datagram,
            &mut |_, _| false,
        );
    }
    let answers = said(pair.sender(), now);
    let total: usize = answers.iter().map(|(_, datagram)| datagram.len()).sum();
    assert!(answers.len() <= 2 && total <= 2 * usize::from(BASE_DATAGRAM), "{answers:?}");
    let newest = 99_999u64.to_be_bytes();
    let body = &answers[0].1[HEADER_LEN..];
    assert!(body.windows(8).any(|bytes| bytes == newest), "the newest");
}

/// A stranger who has seen one packet lets the next ones come from a thousand hosts.
#[test]
fn a_thousand_addresses_in_a_second_cost_a_challenge_at_a_time_and_three_times_what_came() {
    let mut pair = at_rest(1);
    let (now, expected) = (pair.now, pair.receiver().acks.expected());
    said(pair.receiver(), now);
    let (mut came, mut went) = (0, 0);
    for step in 0..1_000u64 {
        let path = PathId { host: u128::from(step) + 9, port: 9 };
        let now = now + MS * u32::try_from(step).expect("small");
        let datagram = control(22, expected + step, &[Frame::Ping]);
        came += datagram.len() as u64;
        let receiver = pair.receiver();
        receiver.handle_datagram(now, path, Ecn::NotEct, &datagram, &mut |_, _| false);
        receiver.handle_timeout(now);
        let to_others = said(receiver, now).into_iter().filter(|(to, _)| *to != PathId::default());
        went += to_others.map(|(_, datagram)| datagram.len() as u64).sum::<u64>();
        assert_eq!(receiver.path(), PathId::default(), "nobody moves it");
    }
    assert!(went > 0 && went <= AMPLIFICATION_MAX * came, "{went} for {came}");
}

/// The silly window: the receiver lets one more byte come at a time.
#[test]
fn a_window_that_opens_by_single_bytes_needs_no_memory() {
    let mut pair = Pair::new(CongestionChoice::Cubic, 0.0, MS, 1);
    pair.has_room = false;
    pair.connect();
    pair.sender().release(1 << 30);
    let (mut now, mut number) = (pair.now, 1_000);
    let mut limit = pair.sender().space_out.credit();
    for _ in 0..3_000 {
        let sender = pair.sender();
        (now, number, limit) = (now + MS, number + 1, limit + 1);
        sender.handle_timeout(now);
        let mut frames = vec![Frame::Credit { limit }];
        for (_, datagram) in said(sender, now) {
            let low = Header::read(&datagram).expect("well-formed").packet_number;
            let ranges = vec![u64::from(low)..u64::from(low) + 1];
            frames.push(Frame::Ack(Ack {
                delay: MS,
                duplicates: 0,
                marks: Marks::default(),
                ranges,
            }));
        }
        let datagram = control(11, number, &frames);
        sender.handle_datagram(now, PathId::default(), Ecn::NotEct, &datagram, &mut |_, _| false);
    }
    let held = pair.sender().held();
    assert!(held.ranges < 100 && held.outstanding < 100, "{held:?}");
    assert!(pair.sender().is_established());
}

/// The least and the most that a peer may say of itself; what it may not is refused in `wire`.
#[test]
fn whatever_a_peer_says_of_itself_the_bytes_arrive() {
    for max_datagram in [1200, u16::MAX] {
        for max_ack_delay in [Duration::ZERO, Duration::from_secs(1)] {
            for socket_buffer in [0, 1, (1 << 62) - 1] {
                let mut pair = Pair::new(CongestionChoice::Cubic, 0.02, MS, 1);
                pair.run_until(5, |pair| pair.sender().is_established());
                let strategy = Strategy::Volley;
                let says = Parameters {
                    max_datagram,
                    max_ack_delay,
                    socket_buffer,
                    strategy,
                    max_rate: None,
                };
                pair.sender().set_peer(says);
                pair.transfer(300_000);
                assert!(
                    pair.now < Instant::ZERO + Duration::from_secs(20),
                    "{says:?}: {}",
                    pair.now
                );
            }
        }
    }
}

/// Credit beyond everything, a HAVE that knows nothing, acknowledgements that wait the longest.
#[test]
fn numbers_at_their_limits_end_the_connection_or_mean_nothing() {
    const MOST: u64 = (1 << 62) - 1;
    let marks = Marks { ect0: MOST, ect1: MOST, ce: MOST };
    let (delay, duplicates) = (Duration::from_micros(MOST), MOST);
    let ack = |ranges| Frame::Ack(Ack { delay, duplicates, marks, ranges });
    let have =
        |written, upper, missing| Frame::Have(crate::wire::frame::Have { written, upper, missing });
    let hard = [
        vec![Frame::Credit { limit: MOST }],
        vec![Frame::Credit { limit: 0 }],
        vec![ack(vec![0..1])],
        vec![ack(vec![MOST - 1..MOST])],
        vec![have(MOST, MOST, vec![])],
        vec![have(0, MOST, vec![0..MOST])],
        vec![have(0, 0, vec![])],
        vec![Frame::Stream { offset: MOST, data: b"x" }],
        vec![Frame::Stream { offset: 0, data: b"" }],
        vec![Frame::Close { code: u16::MAX, reason: &[0xff; 200] }],
    ];
    for frames in hard {
        let mut pair = Pair::new(CongestionChoice::Cubic, 0.0, MS, 1);
        pair.connect();
        pair.sender().release(100_000);
        pair.receiver().set_total(100_000);
        forge(&mut pair, &frames);
        let until = pair.now + Duration::from_secs(40);
        pair.run_until(60, |pair| pair.now >= until || pair.sender.end.is_some());
        let held = pair.sender().held();
        assert!(held.ranges <= 2 && held.control_in == 0, "{frames:?}: {held:?}");
    }
}

/// What a datagram comes to that was damaged in one of these ways on its way.
fn damaged(datagram: &[u8], next: &[u8], how: usize, draw: usize) -> Vec<u8> {
    let mut bytes = datagram.to_vec();
    let at = draw % bytes.len();
    match how {
        0 => bytes[at] ^= 1 << (draw % 8),
        1 => bytes[at] = bytes[at].wrapping_add(1 + u8::try_from(draw % 255).expect("small")),
        2 => bytes.truncate(at),
        3 => bytes.extend_from_slice(&next[..next.len().min(1 + draw % 20)]),
        _ => bytes.extend_from_slice(next),
    }
    bytes
}

#[test]
fn whatever_is_done_to_a_datagram_it_is_dropped_or_as_it_was() {
    let mut pair = at_rest(1);
    let captured = pair.captured.take().expect("asked for");
    let mut fresh = Pair::new(CongestionChoice::Cubic, 0.0, 10 * MS, 1);
    fresh.connect();
    fresh.sender().release(500_000);
    fresh.receiver().set_total(500_000);
    for (index, pair_of) in captured.windows(2).enumerate() {
        let [(to_sender, path, datagram), (_, _, next)] = pair_of else { unreachable!() };
        for how in 0..5 {
            let bytes = damaged(datagram, next, how, index * 7919 + how);
            let before = [&fresh.sender, &fresh.receiver].map(|side| {
                side.connection.as_ref().map(|one| (one.acks.expected(), one.stats().delivered))
            });
            fresh.deliver(*to_sender, *path, &bytes);
            let after = [&fresh.sender, &fresh.receiver].map(|side| {
                side.connection.as_ref().map(|one| (one.acks.expected(), one.stats().delivered))
            });
            assert_eq!(after, before, "datagram {index}, way {how}");
        }
    }
    assert!(fresh.taken.is_empty());
    fresh.transfer(500_000);
}

/// Integers that lie at the edges of what is encoded, and beyond what is meant.
const EDGES: [u64; 14] = [
    0,
    1,
    63,
    64,
    (1 << 14) - 1,
    1 << 14,
    (1 << 30) - 1,
    1 << 30,
    (1 << 31) - 1,
    1 << 31,
    (1 << 32) - 1,
    1 << 32,
    (1 << 56) - 1,
    (1 << 62) - 1,
];

#[test]
fn every_place_of_every_frame_at_its_extremes_reads_or_is_refused() {
    use crate::wire::cursor::{Reader, put_varint};
    use crate::wire::frame::{Have, read_frame};
    let ranges = vec![90..100, 70..80, 5..6];
    let marks = Marks { ect0: 20, ect1: 0, ce: 1 };
    let frames = [
        Frame::Ack(Ack {
            delay: MS,
            duplicates: 3,
            marks: Marks::default(),
            ranges: ranges.clone(),
        }),
        Frame::Ack(Ack {
            delay: MS,
            duplicates: 3,
            marks,
            ranges: (0..99).rev().map(|n| 3 * n..3 * n + 1).collect(),
        }),
        Frame::Have(Have { written: 7, upper: 200, missing: ranges.into_iter().rev().collect() }),
        Frame::Stream { offset: 9, data: b"control bytes" },
        Frame::Credit { limit: 1 << 20 },
        Frame::Close { code: 3, reason: b"because" },
        Frame::PathChallenge([9; 8]),
    ];
    let (mut read, mut refused) = (0, 0);
    for frame in frames {
        let mut bytes = Vec::new();
        frame.put(&mut bytes);
        for at in 1..bytes.len() {
            for edge in EDGES {
                for keep in [0, 1, 2, 4, 8] {
                    let mut changed = bytes[..at].to_vec();
                    put_varint(&mut changed, edge);
                    changed.extend_from_slice(bytes.get(at + keep..).unwrap_or_default());
                    let mut reader = Reader::new(&changed, "frame");
                    // Whatever it says, what is read of it is no more than it holds.
                    match read_frame(&mut reader) {
                        Ok(Some(Frame::Ack(ack))) => assert!(ack.ranges.len() <= changed.len() * 8),
                        Ok(Some(Frame::Have(have))) => assert!(have.missing.len() <= changed.len()),
                        Ok(_) => {}
                        Err(_) => refused += 1,
                    }
                    read += 1;
                }
            }
        }
    }
    assert!(read > 5_000 && refused > read / 4, "{refused} of {read}");
}

#[test]
fn ten_thousand_idle_connections_are_small_and_end_by_themselves() {
    let config = config(CongestionChoice::Cubic);
    let hello = Hello {
        connection_id: ConnectionId(1),
        versions: vec![VERSION],
        suite: Suite::Open,
        role: Role::Sender,
        parameters: parameters(&config),
        cookie: Vec::new(),
    };
    let idle: Vec<Connection> = (2..10_002)
        .map(|id| {
            let id = ConnectionId(id);
            let mut one = Connection::respond(Instant::ZERO, config, id, &hello, 0);
            one.handle_datagram(
                Instant::ZERO,
                PathId::default(),
                Ecn::NotEct,
                &control(id.0, 0, &[]),
                &mut |_, _| false,
            );
            assert!(one.is_validated());
            one
        })
        .collect();
    assert!(size_of::<Connection>() <= 8 << 10, "{}", size_of::<Connection>());
    let mut latest = Instant::ZERO;
    for mut one in idle {
        let mut batch = Batch::default();
        while let Some(due) = one.poll_timeout() {
            latest = latest.max(due);
            one.handle_timeout(due);
            while one.poll_transmit(due, &mut batch) {}
        }
        assert!(one.is_ended());
    }
    assert!(latest <= Instant::ZERO + IDLE_TIMEOUT, "{latest}");
}

#[test]
fn connections_that_come_and_go_hold_nothing() {
    for seed in 0..300 {
        let mut pair = Pair::new(CongestionChoice::Cubic, 0.05, MS, seed);
        pair.transfer(2_000);
        pair.sender().close(0, "");
        pair.run_until(120, |pair| pair.sender.end.is_some() && pair.receiver.end.is_some());
        for side in [pair.sender, pair.receiver] {
            let connection = side.connection.expect("it was there");
            assert!(connection.is_ended() && connection.poll_timeout().is_none());
            let held = connection.held();
            assert_eq!((held.control_in, held.frames), (0, 0), "{seed}: {held:?}");
        }
    }
}
