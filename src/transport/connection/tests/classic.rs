//! The classic strategies in the place of volley's own.

use super::*;
use crate::transport::arq::Strategy;

const CLASSIC: [Strategy; 3] =
    [Strategy::StopAndWait, Strategy::GoBackN, Strategy::SelectiveRepeat];

fn pair(strategy: Strategy, link: &LinkConfig, seed: u64) -> Pair {
    let arq = ArqConfig { strategy, window: 16, ..ArqConfig::default() };
    Pair::with(Config { arq, ..config(CongestionChoice::Cubic) }, link, seed)
}

#[test]
fn a_clean_path_carries_every_frame_once() {
    for strategy in CLASSIC {
        let mut pair = pair(strategy, &losing(0.0, 5 * MS), 1);
        pair.transfer(200_000);
        let stats = pair.sender().stats();
        assert_eq!((stats.retransmissions, stats.data_packets_sent), (0, 170), "{strategy:?}");
    }
}

#[test]
fn loss_and_reordering_are_survived() {
    for strategy in CLASSIC {
        for loss in [0.05, 0.3] {
            let link = LinkConfig {
                reordering: "5%:3ms".parse().expect("it reads"),
                duplication: Share::new(0.05),
                ..losing(loss, 5 * MS)
            };
            let mut pair = pair(strategy, &link, 2);
            pair.transfer(200_000);
            assert!(pair.sender().stats().retransmissions > 5, "{strategy:?}");
        }
    }
}

#[test]
fn go_back_n_repeats_more_than_selective_repeat() {
    let repeated = [Strategy::GoBackN, Strategy::SelectiveRepeat].map(|strategy| {
        let mut pair = pair(strategy, &losing(0.05, 10 * MS), 3);
        pair.transfer(1_000_000);
        pair.sender().stats().retransmissions
    });
    assert!(repeated[0] > 4 * repeated[1], "{repeated:?}");
}

#[test]
fn control_bytes_pass_beside_the_frames() {
    for strategy in CLASSIC {
        let mut pair = pair(strategy, &losing(0.2, 5 * MS), 4);
        pair.connect();
        pair.sender().write_control(&[7; 5_000]);
        pair.receiver().write_control(&[8; 5_000]);
        pair.sender().release(50_000);
        pair.run_until(60, |pair| {
            let (sent, received) = (pair.sender.control.len(), pair.receiver.control.len());
            (sent, received) == (5_000, 5_000)
        });
    }
}

/// The frame before the end of the first flight is shorter than the others.
#[test]
fn a_short_frame_that_goes_again_does_not_cut_those_behind_it() {
    for strategy in [Strategy::GoBackN, Strategy::SelectiveRepeat] {
        for lost in 55..61 {
            let drops = crate::link::config::parse_drops(&lost.to_string()).expect("a number");
            let link = LinkConfig { drops, ..losing(0.0, 5 * MS) };
            let arq = ArqConfig { strategy, window: 64, ..ArqConfig::default() };
            let config = Config { arq, ..config(CongestionChoice::Cubic) };
            let mut pair = Pair::with(config, &link, 1);
            pair.sender().release(100_000);
            pair.transfer(100_000);
        }
    }
}

/// As when the file that comes last exists at the receiver already.
#[test]
fn bytes_that_were_cancelled_are_not_asked_of_a_strategy() {
    for strategy in CLASSIC {
        for cancelled in [0..100_000, 40_000..100_000, 40_000..60_000] {
            let mut pair = pair(strategy, &losing(0.1, 5 * MS), 1);
            pair.connect();
            pair.sender().cancel_outgoing(&cancelled);
            pair.receiver().cancel_incoming(cancelled.clone());
            pair.sender().release(100_000);
            pair.receiver().set_total(100_000);
            pair.run_until(60, |pair| pair.sender().stats().delivered == 100_000);
            assert!(pair.receiver().has_everything());
        }
    }
}

/// Frames that are outstanding when they are cancelled say nothing of those before them.
#[test]
fn bytes_that_are_cancelled_on_their_way_do_not_stand_for_those_before_them() {
    for strategy in CLASSIC {
        for seed in 0..40 {
            let mut pair = pair(strategy, &losing(0.5, 20 * MS), seed);
            pair.connect();
            pair.sender().release(20_000);
            pair.receiver().set_total(20_000);
            pair.run_until(60, |pair| pair.sender().stats().data_packets_sent > 5);
            let cancelled = 5_000..20_000;
            pair.sender().cancel_outgoing(&cancelled);
            pair.receiver().cancel_incoming(cancelled);
            pair.run_until(240, |pair| !pair.receiver().space_in.is_incomplete());
        }
    }
}
