//! Trains whose bytes have to be fetched before they leave.

use super::*;

#[test]
fn what_is_fetched_slowly_counts_as_sent_when_it_leaves() {
    let mut pair = Pair::new(CongestionChoice::Cubic, 0.0, 25 * MS, 1);
    pair.connect();
    pair.sender().release(60_000);
    let (now, mut train, mut other) = (pair.now, Batch::default(), Batch::default());
    let sender = pair.sender();
    while {
        assert!(sender.poll_unfilled(now, &mut train, true));
        train.slots().is_empty()
    } {}
    let (number, in_flight) = (sender.sent.next_number(), sender.sent.bytes_in_flight());
    assert!(!sender.poll_unfilled(now, &mut other, false), "no second train is asked for");
    let later = now + 1_000 * MS;
    assert!(sender.depart(later, &mut train));
    assert_eq!(sender.sent.get(number).expect("outstanding").sent_at, later);
    assert_eq!(sender.sent.bytes_in_flight(), in_flight + train.bytes().len() as u64);
}

#[test]
fn what_could_not_be_fetched_was_never_sent() {
    let mut pair = Pair::new(CongestionChoice::Cubic, 0.0, 25 * MS, 1);
    pair.connect();
    pair.sender().release(60_000);
    let (now, mut train) = (pair.now, Batch::default());
    let sender = pair.sender();
    while {
        assert!(sender.poll_unfilled(now, &mut train, true));
        train.slots().is_empty()
    } {}
    let number = sender.sent.next_number();
    assert!(sender.reserved > 0);
    sender.abandon(&train);
    assert_eq!((sender.reserved, sender.sent.next_number()), (0, number));
    assert_eq!(sender.stats().data_packets_sent, 0);
    let next = sender.space_out.next(10_000).expect("still to go");
    assert_eq!(next.range.start, train.slots()[0].offset);
}

#[test]
fn a_frame_is_not_repeated_before_it_has_left() {
    let arq = ArqConfig { strategy: Strategy::StopAndWait, ..ArqConfig::default() };
    let config = Config { arq, ..config(CongestionChoice::Cubic) };
    let mut pair = Pair::with(config, &losing(0.0, 25 * MS), 1);
    pair.connect();
    pair.sender().release(60_000);
    let (now, mut train, mut other) = (pair.now, Batch::default(), Batch::default());
    let sender = pair.sender();
    while {
        assert!(sender.poll_unfilled(now, &mut train, true));
        train.slots().is_empty()
    } {}
    let later = now + 5_000 * MS;
    sender.handle_timeout(later);
    while sender.poll_unfilled(later, &mut other, true) {
        assert!(other.slots().is_empty(), "it is still being fetched");
    }
    assert!(sender.depart(later, &mut train));
    assert_eq!(sender.stats().retransmissions, 0);
    let much_later = later + 5_000 * MS;
    sender.handle_timeout(much_later);
    while {
        assert!(sender.poll_unfilled(much_later, &mut other, true));
        other.slots().is_empty()
    } {}
    assert!(other.slots()[0].again, "now it is repeated");
}
