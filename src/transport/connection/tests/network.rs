//! Networks at their worst: the cases N of `tests/CASES.md` that a connection alone has to stand.

use super::*;
use crate::link::{Bottleneck, BurstLoss};

/// 10 Mbit/s with 15 ms each way and room for 25 packets: the link of the QUIC interop runner.
fn interop() -> LinkConfig {
    let rate = Rate::from_bits_per_second(10_000_000);
    let bottleneck = Some(Bottleneck { rate, queue: 25 * 1500 });
    LinkConfig { bottleneck, ..losing(0.0, 15 * MS) }
}

fn bursts(text: &str) -> Option<BurstLoss> {
    Some(text.parse::<BurstLoss>().expect("it is possible"))
}

/// What a link is from then on.
fn change(pair: &mut Pair, out: &LinkConfig, back: &LinkConfig, luck: u64) {
    pair.sender.line.change(Link::new(out, luck, Direction::Out));
    pair.receiver.line.change(Link::new(back, luck, Direction::Back));
}

/// A transfer of `size` bytes, in the middle.
fn in_the_middle(mut pair: Pair, size: u64) -> Pair {
    pair.connect();
    pair.sender().release(size);
    pair.receiver().set_total(size);
    pair.run_until(600, |pair| pair.taken.len() as u64 > size / 8);
    pair
}

fn finish(pair: &mut Pair, size: u64) {
    pair.run_until(3_000, |pair| !pair.receiver().space_in.is_incomplete());
    assert_eq!(pair.taken.len() as u64, size);
    assert!((0..size).zip(&pair.taken).all(|(at, byte)| *byte == pattern(at)));
}

#[test]
fn a_kilobyte_takes_one_handshake_and_less_than_three_round_trips() {
    let mut pair = Pair::over(CongestionChoice::Cubic, &interop(), 1);
    let took = pair.transfer(1024).since(Instant::ZERO);
    assert!(took < 3 * 30 * MS, "{took:?}");
    assert_eq!(pair.sender().hellos.len(), 1);
}

#[test]
fn ten_megabytes_fill_a_clean_link() {
    const SIZE: u64 = 10_000_000;
    let mut pair = Pair::over(CongestionChoice::Cubic, &interop(), 1);
    let took = pair.transfer(SIZE).since(Instant::ZERO);
    let rate = Rate::of(SIZE, took).bits_per_second();
    assert!(rate >= 8_500_000, "{rate}");
}

#[test]
fn a_round_trip_of_a_second_and_a_half_is_no_loss() {
    let link = LinkConfig { delay: 750 * MS, ..interop() };
    let mut pair = Pair::over(CongestionChoice::Cubic, &link, 1);
    pair.connect();
    pair.sender().release(10_000_000);
    pair.receiver().set_total(10_000_000);
    finish(&mut pair, 10_000_000);
    let (stats, dropped) = (pair.sender().stats(), pair.sender.line.link().counts().lost.total());
    assert!(stats.packets_lost <= dropped + 2, "{} for {dropped}: {stats:?}", stats.packets_lost);
}

#[test]
fn a_link_that_is_dark_two_seconds_of_seven_carries_ten_megabytes_in_a_minute() {
    let mut pair = in_the_middle(Pair::over(CongestionChoice::Cubic, &interop(), 1), 10_000_000);
    let dark = LinkConfig { loss: Share::new(1.0), ..interop() };
    for luck in 0.. {
        let is_dark = luck % 2 == 1;
        let link = if is_dark { &dark } else { &interop() };
        change(&mut pair, link, link, luck);
        let until = pair.now + Duration::from_secs(if is_dark { 2 } else { 5 });
        pair.run_until(60, |p| p.now >= until || !p.receiver().space_in.is_incomplete());
        if !pair.receiver().space_in.is_incomplete() {
            break;
        }
    }
    finish(&mut pair, 10_000_000);
    assert!(pair.now < Instant::ZERO + Duration::from_secs(60), "{}", pair.now);
}

/// RFC 1123 4.2.3.1: in TFTP each acknowledgement that came twice made all that followed go twice.
#[test]
fn acknowledgements_that_come_late_and_twice_make_nothing_go_twice() {
    let back = LinkConfig { duplication: Share::new(0.9999), ..losing(0.0, 25 * MS) };
    let fixed = CongestionChoice::Fixed(Rate::from_bits_per_second(20_000_000));
    let mut pair = in_the_middle(Pair::new(fixed, 0.0, 25 * MS, 1), 5_000_000);
    let before = pair.sender().stats();
    let late = LinkConfig { delay: 600 * MS, ..back };
    change(&mut pair, &losing(0.0, 25 * MS), &late, 2);
    finish(&mut pair, 5_000_000);
    let stats = pair.sender().stats();
    let sent = stats.data_packets_sent - before.data_packets_sent;
    let needed = (5_000_000 - 5_000_000 / 8) / 1452;
    assert!(sent * 2 <= needed * 3, "{sent} for {needed}");
    assert!(pair.receiver.line.link().counts().duplicated > 20);
}

/// Bursts of 50 in which nine of ten are lost, then 20 s of 99 %.
#[test]
fn long_bursts_and_twenty_seconds_of_99_percent_loss_are_survived() {
    for seed in 1..4 {
        let hard = LinkConfig { burst_loss: bursts("45%:50"), ..losing(0.0, 25 * MS) };
        let mut pair =
            in_the_middle(Pair::new(CongestionChoice::Cubic, 0.0, 25 * MS, seed), 1 << 20);
        change(&mut pair, &hard, &hard, seed);
        let worst = pair.now + Duration::from_secs(4);
        pair.run_until(60, |pair| pair.now >= worst);
        change(&mut pair, &losing(0.99, 25 * MS), &losing(0.99, 25 * MS), seed);
        let healed = pair.now + Duration::from_secs(20);
        pair.run_until(60, |pair| pair.now >= healed);
        change(&mut pair, &losing(0.0, 25 * MS), &losing(0.0, 25 * MS), seed);
        finish(&mut pair, 1 << 20);
        assert!(pair.now.since(healed) < Duration::from_secs(10), "{seed}: {}", pair.now);
    }
}

#[test]
fn an_outage_of_a_minute_ends_both_sides_as_silence() {
    let mut pair = in_the_middle(Pair::new(CongestionChoice::Cubic, 0.0, 25 * MS, 1), 50_000_000);
    let (dark, from) = (losing(1.0, 25 * MS), pair.now);
    change(&mut pair, &dark, &dark, 1);
    pair.run_until(60, |pair| pair.sender.end.is_some() && pair.receiver.end.is_some());
    let ends = [pair.sender.end.clone(), pair.receiver.end.clone()];
    assert_eq!(ends, [Some(End::Silent), Some(End::Silent)]);
    assert!(pair.now.since(from) <= IDLE_TIMEOUT + 200 * MS, "{}", pair.now);
}

/// The path loses what is too large and says nothing, as where ICMP is blocked.
#[test]
fn a_path_that_narrows_twice_and_says_nothing_is_followed_in_three_seconds() {
    let mut pair = in_the_middle(Pair::over(CongestionChoice::Cubic, &interop(), 1), 20_000_000);
    for (mtu, found) in [(1280, 1252), (1228, 1200)] {
        let (taken, narrowed) = (pair.taken.len() + 200_000, pair.now);
        pair.path_mtu = mtu - IP_AND_UDP;
        pair.run_until(60, |pair| pair.taken.len() >= taken);
        let took = pair.now.since(narrowed);
        assert!(took <= Duration::from_secs(3), "{mtu}: {took:?}");
        pair.run_until(60, |pair| pair.sender().stats().datagram_size == found);
    }
    finish(&mut pair, 20_000_000);
}

#[test]
fn a_path_below_the_smallest_datagram_is_given_up_as_unreachable() {
    let mut pair = Pair::over(CongestionChoice::Cubic, &interop(), 1);
    pair.path_mtu = 600 - IP_AND_UDP;
    pair.run_until(11, |pair| pair.sender.end.is_some());
    assert_eq!(pair.sender.end, Some(End::Unreachable));
}

#[test]
fn a_way_back_that_loses_half_and_has_a_hundredth_of_the_rate_carries_the_acknowledgements() {
    let narrow = Rate::from_bits_per_second(100_000);
    let bottleneck = Some(Bottleneck { rate: narrow, queue: 15_000 });
    let back = LinkConfig { bottleneck, ..losing(0.5, 15 * MS) };
    let mut pair = in_the_middle(Pair::over(CongestionChoice::Cubic, &interop(), 1), 4_000_000);
    change(&mut pair, &interop(), &back, 7);
    let from = pair.now;
    finish(&mut pair, 4_000_000);
    assert!(pair.now.since(from) < Duration::from_secs(60), "{}", pair.now);
    let (sent, answered) = (pair.sender().stats(), pair.receiver().stats());
    let (sent, answered) = (sent.bytes_sent, answered.bytes_sent);
    assert!(answered * 50 <= sent, "{answered} for {sent}");
}

/// Each side misses the other in its idle time, whichever way it is that carries nothing.
#[test]
fn a_way_that_dies_after_the_handshake_ends_both_sides_in_their_idle_time() {
    for is_out in [true, false] {
        let mut pair = Pair::new(CongestionChoice::Cubic, 0.0, 25 * MS, 1);
        pair.connect();
        pair.sender().release(5_000_000);
        pair.receiver().set_total(5_000_000);
        let (dead, alive) = (losing(1.0, 25 * MS), losing(0.0, 25 * MS));
        let (out, back) = if is_out { (&dead, &alive) } else { (&alive, &dead) };
        change(&mut pair, out, back, 1);
        let from = pair.now;
        pair.run_until(90, |pair| pair.sender.end.is_some() && pair.receiver.end.is_some());
        let took = pair.now.since(from);
        // Who is heard and hears nothing ends first; the other hears its farewell, or nothing any more.
        assert!(took <= 2 * IDLE_TIMEOUT + Duration::from_secs(1), "{is_out}: {took:?}");
    }
}

#[test]
fn a_rate_that_falls_to_a_hundredth_and_rises_again_is_followed() {
    const SIZE: u64 = 16_000_000;
    let at = |mbit: u64| {
        let rate = Rate::from_bits_per_second(mbit * 1_000_000);
        LinkConfig { bottleneck: Some(Bottleneck { rate, queue: 250_000 }), ..losing(0.0, 15 * MS) }
    };
    let mut pair = in_the_middle(Pair::over(CongestionChoice::Cubic, &at(100), 1), SIZE);
    change(&mut pair, &at(1), &at(1), 2);
    let slow = pair.now + Duration::from_secs(10);
    pair.run_until(60, |pair| pair.now >= slow);
    change(&mut pair, &at(100), &at(100), 3);
    finish(&mut pair, SIZE);
    let stats = pair.sender().stats();
    assert!(stats.spurious_retransmissions * 50 <= stats.data_packets_sent, "{stats:?}");
    assert!(stats.probe_timeouts * 100 <= stats.data_packets_sent, "{stats:?}");
    assert!(pair.now.since(slow) < Duration::from_secs(30), "{}", pair.now);
}

/// A queue in which everything waits for up to ten seconds.
#[test]
fn a_queue_of_ten_seconds_is_no_reason_to_send_again() {
    let rate = Rate::from_bits_per_second(1_000_000);
    let bloated = Some(Bottleneck { rate, queue: 1_250_000 });
    let link = LinkConfig { bottleneck: bloated, ..losing(0.0, 15 * MS) };
    let mut pair = Pair::over(CongestionChoice::Cubic, &link, 1);
    pair.transfer(5_000_000);
    let stats = pair.sender().stats();
    assert!(stats.spurious_retransmissions * 100 <= stats.data_packets_sent, "{stats:?}");
}

/// The last window, and each loss of a repetition in it, would cost a round trip for itself.
#[test]
fn what_is_lost_at_the_end_goes_several_times_and_takes_no_round_trip_each_time() {
    let rate = Rate::from_bits_per_second(100_000_000);
    let bottleneck = Some(Bottleneck { rate, queue: 600_000 });
    let link = LinkConfig { bottleneck, ..losing(0.3, 25 * MS) };
    let mut rounds: Vec<f64> = (1..=9)
        .map(|seed| {
            let rate = Rate::from_bits_per_second(60_000_000);
            let mut pair = Pair::over(CongestionChoice::Fixed(rate), &link, seed);
            pair.connect();
            pair.sender().release(3_000_000);
            pair.receiver().set_total(3_000_000);
            pair.run_until(60, |pair| pair.sender().space_out.is_all_sent());
            let all_sent = pair.now;
            finish(&mut pair, 3_000_000);
            pair.now.since(all_sent).as_secs_f64() / 0.05
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    assert!(rounds[4] < 4.0, "{rounds:?}");
}

/// Both machines sleep; for the monotonic clock that goes on it is an hour in which nothing happened.
#[test]
fn an_hour_in_which_nobody_was_served_is_an_end_by_silence_and_no_panic() {
    let mut pair = in_the_middle(Pair::new(CongestionChoice::Cubic, 0.0, 25 * MS, 1), 50_000_000);
    pair.now += Duration::from_secs(3600);
    pair.run_until(4_000, |pair| pair.sender.end.is_some() && pair.receiver.end.is_some());
    assert!(pair.sender.end.is_some());
}

#[test]
fn control_bytes_keep_to_the_window_on_a_path_that_loses() {
    let fixed = CongestionChoice::Fixed(Rate::from_bits_per_second(1_000_000));
    let mut pair = Pair::over(fixed, &losing(0.1, 25 * MS), 1);
    pair.connect();
    (0..64).for_each(|_| pair.sender().write_control(&[1; 25_000]));
    let mut most = 0;
    pair.run_until(60, |pair| {
        if pair.now > Instant::ZERO + 400 * MS {
            most = most.max(pair.sender().stats().bytes_in_flight);
        }
        pair.sender().control_waiting() == 0
    });
    assert!(most <= 30_000, "{most}");
}
