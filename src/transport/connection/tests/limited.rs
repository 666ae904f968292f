//! What the users allow at most, whatever the controller would do.

use super::*;
use crate::link::Bottleneck;

fn mbit(mbit: u64) -> Rate {
    Rate::from_bits_per_second(mbit * 1_000_000)
}

/// A pair whose sides allow so much, on a path of 200 Mbit/s and 25 ms each way that loses that share.
fn pair(congestion: CongestionChoice, loss: f64, most: [Option<Rate>; 2]) -> Pair {
    let bottleneck = Some(Bottleneck { rate: mbit(200), queue: 1 << 20 });
    let link = LinkConfig { bottleneck, ..losing(loss, 25 * MS) };
    let mut pair = Pair::with(Config { max_rate: most[0], ..config(congestion) }, &link, 1);
    pair.responder.max_rate = most[1];
    pair.connect();
    pair.sender().release(1 << 40);
    pair
}

/// Bytes of IP packets that the sender has put on the line.
fn on_the_line(pair: &mut Pair) -> u64 {
    let stats = pair.sender().stats();
    stats.bytes_sent + stats.datagrams_sent * IP_AND_UDP as u64
}

/// What it sends in each of ten seconds, as a multiple of `rate`, after one second.
fn shares(pair: &mut Pair, rate: Rate) -> Vec<f64> {
    let mut before = 0;
    let mut shares: Vec<f64> = (0..11)
        .map(|_| {
            let from = pair.now;
            pair.run_until(120, |pair| pair.now >= from + Duration::from_secs(1));
            // What was gathered is not looked at.
            pair.taken.clear();
            let sent = on_the_line(pair);
            let wanted = rate.bytes_per_second() * pair.now.since(from).as_secs_f64();
            let share = (sent - before) as f64 / wanted;
            before = sent;
            share
        })
        .collect();
    shares.remove(0);
    shares
}

#[track_caller]
fn expect_steady(pair: &mut Pair, rate: Rate, what: &str) {
    let shares = shares(pair, rate);
    assert!(shares.iter().all(|share| (0.98..=1.02).contains(share)), "{what}: {shares:?}");
}

#[test]
fn the_lesser_of_what_both_sides_allow_is_kept_within_2_percent() {
    let choices =
        [CongestionChoice::Ebb, CongestionChoice::Cubic, CongestionChoice::Fixed(mbit(50))];
    for congestion in choices {
        for most in [[Some(5), None], [None, Some(5)], [Some(20), Some(5)], [Some(5), Some(20)]] {
            let mut pair = pair(congestion, 0.0, most.map(|most| most.map(mbit)));
            expect_steady(&mut pair, mbit(5), &format!("{congestion} {most:?}"));
        }
    }
}

#[test]
fn what_goes_again_is_within_the_limit() {
    let mut pair = pair(CongestionChoice::Ebb, 0.1, [Some(mbit(10)), None]);
    expect_steady(&mut pair, mbit(10), "10 % loss");
}

#[test]
fn a_fixed_rate_below_the_limit_stays_what_it_is() {
    let fixed = CongestionChoice::Fixed(mbit(10));
    let mut one = pair(fixed, 0.0, [Some(mbit(20)), Some(mbit(30))]);
    let mut other = pair(fixed, 0.0, [None, None]);
    assert_eq!(shares(&mut one, mbit(10)), shares(&mut other, mbit(10)));
}

/// RFC 9002 7.8: a window that is not used does not grow.
#[test]
fn a_window_that_the_limit_leaves_unused_does_not_grow() {
    for congestion in [CongestionChoice::Ebb, CongestionChoice::Cubic] {
        let mut pair = pair(congestion, 0.0, [Some(mbit(10)), None]);
        shares(&mut pair, mbit(10));
        let early = pair.sender().congestion.window();
        for _ in 0..3 {
            shares(&mut pair, mbit(10));
        }
        let late = pair.sender().congestion.window();
        // 10 Mbit/s over 50 ms.
        assert!(late <= early.max(4 * 62_500), "{congestion}: {early} {late}");
    }
}

/// The least that may be asked for still moves a transfer.
#[test]
fn the_least_limit_is_kept_too() {
    let least = crate::wire::handshake::MAX_RATE_LEAST;
    let mut pair = pair(CongestionChoice::Ebb, 0.0, [None, Some(least)]);
    // The handshake and the search for the MTU go ahead of it, and are made up for.
    shares(&mut pair, least);
    expect_steady(&mut pair, least, "64 kbit/s");
}

/// Control bytes are a part of what goes: a tree of small files is mostly that.
#[test]
fn control_bytes_are_held_back_as_well() {
    let mut pair = pair(CongestionChoice::Ebb, 0.0, [Some(mbit(1)), None]);
    pair.sender().space_out = SendSpace::default();
    let (begun, before) = (pair.now, on_the_line(&mut pair));
    for _ in 0..40 {
        pair.sender().write_control(&[7; 25_000]);
    }
    pair.run_until(60, |pair| pair.sender().control_waiting() == 0);
    let sent = Rate::of(on_the_line(&mut pair) - before, pair.now.since(begun));
    let share = sent.bits_per_second() as f64 / 1e6;
    assert!((0.9..=1.02).contains(&share), "{sent}");
}

#[test]
fn a_classic_strategy_is_held_back_as_well() {
    let arq =
        ArqConfig { strategy: Strategy::SelectiveRepeat, window: 500, ..ArqConfig::default() };
    let config = Config { arq, max_rate: Some(mbit(5)), ..config(CongestionChoice::Cubic) };
    let mut pair = Pair::with(config, &losing(0.0, 25 * MS), 1);
    pair.connect();
    pair.sender().release(1 << 40);
    expect_steady(&mut pair, mbit(5), "selective repeat");
}
