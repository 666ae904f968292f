//! Links that do worse things to datagrams than losing one now and then.

use super::*;
use crate::link::{Bottleneck, Reordering};

/// 50 Mbit/s, fixed: how the rate is found is not at stake here.
const FIXED: CongestionChoice = CongestionChoice::Fixed(Rate::from_bits_per_second(50_000_000));

/// Sends `size` bytes over `link` and returns the pair with all of them arrived.
fn carry(link: &LinkConfig, congestion: CongestionChoice, size: u64) -> Pair {
    let mut pair = Pair::over(congestion, link, 1);
    pair.transfer(size);
    pair
}

/// Retransmissions that were not needed, as a share of all packets with data.
fn spurious(pair: &mut Pair) -> f64 {
    let stats = pair.sender().stats();
    stats.spurious_retransmissions as f64 / stats.data_packets_sent as f64
}

#[test]
fn damaged_datagrams_are_all_counted_and_dropped() {
    let link = LinkConfig { corruption: Share::new(0.3), ..losing(0.0, 10 * MS) };
    let mut pair = carry(&link, FIXED, 2_000_000);
    // Nothing more is sent; what is on its way arrives.
    let end = pair.now + Duration::from_secs(1);
    while let Some(next) = pair.next_arrival().filter(|next| *next < end) {
        pair.now = next;
        pair.arrive();
    }
    let found = [pair.receiver().damaged() + pair.damaged_early, pair.sender().damaged()];
    let lines = [&pair.sender.line, &pair.receiver.line];
    assert_eq!(lines.map(|line| line.link().counts().corrupted), found);
    assert!(found[0] > 400, "{found:?}");
}

#[test]
fn duplicates_cause_no_new_sends() {
    let clean = losing(0.0, 10 * MS);
    let doubling = LinkConfig { duplication: Share::new(0.5), ..clean.clone() };
    let mut once = carry(&clean, FIXED, 5_000_000);
    let mut twice = carry(&doubling, FIXED, 5_000_000);
    let sent = [&mut once, &mut twice].map(|pair| pair.sender().stats());
    assert_eq!(sent[1].retransmissions, 0);
    assert_eq!(sent[0].data_packets_sent, sent[1].data_packets_sent);
    assert!(twice.sender.line.link().counts().duplicated > 1000);
}

/// Half of all packets are overtaken by about 130 others.
#[test]
fn deep_reordering_is_adapted_to() {
    let reordering = Reordering { share: Share::new(0.5), by: 31 * MS };
    for delay in [Duration::ZERO, 10 * MS, 50 * MS] {
        let link = LinkConfig { reordering, ..losing(0.0, delay) };
        let mut pair = Pair::over(FIXED, &link, 1);
        pair.connect();
        pair.sender().release(20_000_000);
        pair.receiver().set_total(20_000_000);
        pair.run_until(60, |pair| pair.taken.len() > 3_000_000);
        let adapting = pair.sender().stats();
        pair.transfer(20_000_000);
        let stats = pair.sender().stats();
        let spurious = stats.spurious_retransmissions - adapting.spurious_retransmissions;
        let sent = stats.data_packets_sent - adapting.data_packets_sent;
        assert!(spurious * 100 < sent, "{delay:?}: {spurious} of {sent} spurious");
    }
}

#[test]
fn bursts_jitter_and_a_narrow_queue_are_survived() {
    let rate = Rate::from_bits_per_second(20_000_000);
    let link = LinkConfig {
        burst_loss: Some("5%:30".parse().expect("it is possible")),
        jitter: 20 * MS,
        bottleneck: Some(Bottleneck { rate, queue: 30_000 }),
        corruption: Share::new(0.01),
        duplication: Share::new(0.01),
        reordering: Reordering { share: Share::new(0.01), by: 10 * MS },
        ..losing(0.01, 25 * MS)
    };
    let mut pair = carry(&link, CongestionChoice::Cubic, 2_000_000);
    assert!(spurious(&mut pair) < 0.05, "{:?}", pair.sender().stats());
}

#[test]
fn jitter_alone_causes_hardly_any_retransmission() {
    let link = LinkConfig { jitter: 20 * MS, ..losing(0.0, 25 * MS) };
    let mut pair = carry(&link, FIXED, 5_000_000);
    assert!(spurious(&mut pair) < 0.01, "{:?}", pair.sender().stats());
}
