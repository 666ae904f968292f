//! Paths that an earlier transfer showed.

use super::*;
use crate::link::Bottleneck;
use crate::transport::config::KnownPath;

/// A path of so many Mbit/s and milliseconds of round trip; its queue holds what the path holds.
fn path(mbit: u64, round_trip: u32, loss: f64) -> LinkConfig {
    let rate = Rate::from_bits_per_second(mbit * 1_000_000);
    let queue = mbit * 1_000 / 8 * u64::from(round_trip);
    let bottleneck = Some(Bottleneck { rate, queue });
    LinkConfig { bottleneck, ..losing(loss, round_trip / 2 * MS) }
}

/// How long it takes, with what is known, and what there is to know afterwards; and packets that were lost.
fn run(link: &LinkConfig, known: Option<KnownPath>, size: u64) -> (Duration, KnownPath, u64) {
    run_with(link, known, size, 1)
}

fn run_with(
    link: &LinkConfig,
    known: Option<KnownPath>,
    size: u64,
    seed: u64,
) -> (Duration, KnownPath, u64) {
    let config = Config { known_path: known, ..config(CongestionChoice::Ebb) };
    let mut pair = Pair::with(config, link, seed);
    let took = pair.transfer(size).since(Instant::ZERO);
    let stats = pair.sender().stats();
    let known = KnownPath {
        round_trip: stats.min_rtt,
        window: stats.congestion_window,
        loss: stats.observed_loss(),
    };
    (took, known, stats.packets_lost)
}

#[test]
fn the_second_transfer_begins_faster() {
    for (link, size, saved) in [
        (path(20, 600, 0.01), 10_000_000, 1_500),
        (path(100, 200, 0.0), 20_000_000, 300),
        (path(100, 200, 0.2), 20_000_000, 300),
    ] {
        let (first, known, _) = run(&link, None, size);
        let (second, ..) = run(&link, Some(known), size);
        println!("{link}: {first:?}, then {second:?}");
        assert!(second + saved * MS < first, "{link}: {first:?}, then {second:?}");
    }
}

#[test]
fn a_path_that_carries_a_tenth_of_what_it_did_costs_one_round_trip() {
    let link = path(20, 100, 0.0);
    let (first, known, lost) = run(&link, None, 10_000_000);
    let wrong = KnownPath { window: known.window * 10, ..known };
    let (second, _, more) = run(&link, Some(wrong), 10_000_000);
    println!("{link}, once ten times as fast: {first:?}, then {second:?}, {more} lost");
    assert!(second < first.mul_f64(1.1), "{first:?}, then {second:?}");
    let jump = wrong.window / 2 / 1_472;
    assert!(more <= lost + jump * 11 / 10, "{lost}, then {more} packets lost of {jump}");
}

#[test]
fn a_path_with_another_round_trip_is_another_path() {
    let link = path(20, 100, 0.0);
    let (first, known, lost) = run(&link, None, 10_000_000);
    for other in [0.3, 3.0] {
        let round_trip = known.round_trip.mul_f64(other);
        let wrong = KnownPath { window: known.window * 10, round_trip, ..known };
        let (second, _, more) = run(&link, Some(wrong), 10_000_000);
        assert_eq!((second, more), (first, lost), "{other}");
    }
}

/// What the path loses anyway is no sign that it has changed, and what the jump sends makes no queue.
#[test]
fn a_path_that_loses_what_it_did_is_faster_the_second_time() {
    const SEEDS: u32 = 20;
    for loss in [0.05, 0.2, 0.3] {
        let link = path(100, 50, loss);
        let mut took = [Duration::ZERO; 2];
        for seed in 1..=SEEDS {
            let (first, known, _) = run_with(&link, None, 10_000_000, seed.into());
            let (second, ..) = run_with(&link, Some(known), 10_000_000, seed.into());
            took[0] += first;
            took[1] += second;
        }
        let [first, second] = took.map(|all| all / SEEDS);
        println!("{link}, {SEEDS} seeds: {first:?}, then {second:?}");
        assert!(second + 80 * MS < first, "{link}: {first:?}, then {second:?}");
    }
}
