//! Marks of congestion, on paths that carry them and on paths that do not.

use super::*;
use crate::link::Bottleneck;
use crate::transport::ecn::EcnState;
use crate::transport::stats::EcnStats;

const SIZE: u64 = 3_000_000;

/// 20 Mbit/s, 20 ms each way, and a queue of two round trips.
fn narrow(mark: Option<f64>) -> LinkConfig {
    let rate = Rate::from_bits_per_second(20_000_000);
    let bottleneck = Some(Bottleneck { rate, queue: 200_000 });
    LinkConfig { bottleneck, mark: mark.map(Share::new), ..losing(0.0, 20 * MS) }
}

/// What a router makes of the marks that pass it; nothing where it drops the packet.
type Router = fn(Ecn) -> Option<Ecn>;

/// A transfer over a path with that router.
fn over(router: Router, congestion: CongestionChoice) -> Pair {
    let mut pair = Pair::over(congestion, &narrow(None), 1);
    pair.router = router;
    pair.transfer(SIZE);
    pair
}

#[track_caller]
fn expect(pair: &mut Pair, state: EcnState) -> EcnStats {
    let stats = pair.sender().stats().ecn;
    assert_eq!(stats.state, state, "{stats:?}");
    stats
}

#[test]
fn all_that_is_in_flight_goes_marked_where_the_path_carries_marks() {
    for congestion in [CongestionChoice::Ebb, CongestionChoice::Cubic] {
        let mut pair = over(Some, congestion);
        let ecn = expect(&mut pair, EcnState::Capable);
        let stats = pair.sender().stats();
        assert!(ecn.sent > stats.data_packets_sent - 30, "all but those before the first answer");
        let received = pair.receiver().stats().ecn.received;
        assert_eq!((ecn.met, received.ce, received.ect1), (0, 0, 0));
        assert!(received.ect0 > SIZE / 1_500);
        assert_eq!(pair.receiver().stats().ecn.state, EcnState::Capable);
    }
}

#[test]
fn a_mark_makes_room_in_the_queue_before_anything_is_lost() {
    for congestion in [CongestionChoice::Ebb, CongestionChoice::Cubic] {
        let run = |mark| {
            let mut pair = Pair::over(congestion, &narrow(mark), 1);
            let end = pair.transfer(4 * SIZE).since(Instant::ZERO);
            let (stats, link) = (pair.sender().stats(), pair.sender.line.link().counts());
            (end, stats, link)
        };
        let (plain, marked) = (run(None), run(Some(0.1)));
        assert_eq!(plain.1.ecn.met, 0);
        assert!(marked.2.marked > 0 && marked.1.ecn.met == marked.2.marked, "{:?}", marked.1.ecn);
        assert_eq!((marked.2.lost.total(), marked.1.retransmissions), (0, 0), "{congestion}");
        assert!(marked.2.mean_wait() < plain.2.mean_wait(), "{congestion}");
        let longer = marked.0.as_secs_f64() / plain.0.as_secs_f64();
        assert!(longer < 1.1, "{congestion}: {longer}");
    }
}

#[test]
fn a_path_that_wipes_marks_is_found_out() {
    let mut pair = over(|_| Some(Ecn::NotEct), CongestionChoice::Ebb);
    let ecn = expect(&mut pair, EcnState::Failed);
    assert!((10..80).contains(&ecn.sent), "{ecn:?}");
}

#[test]
fn a_path_that_drops_what_may_be_marked_is_found_out() {
    let mut pair = over(|ecn| (!ecn.takes_marks()).then_some(ecn), CongestionChoice::Ebb);
    let ecn = expect(&mut pair, EcnState::Unknown);
    assert!(ecn.sent < 80, "{ecn:?}");
    assert!(pair.now < Instant::ZERO + Duration::from_secs(10), "{}", pair.now);
}

#[test]
fn a_path_that_marks_all_or_says_something_else_is_found_out() {
    for router in [(|_| Some(Ecn::Ce)) as Router, |_| Some(Ecn::Ect1)] {
        let mut pair = over(router, CongestionChoice::Ebb);
        expect(&mut pair, EcnState::Failed);
        assert!(pair.now < Instant::ZERO + Duration::from_secs(10), "{}", pair.now);
    }
}

#[test]
fn who_does_not_answer_marks_asks_for_none() {
    let mut pair = over(Some, CongestionChoice::Fixed(Rate::from_bits_per_second(10_000_000)));
    assert_eq!(expect(&mut pair, EcnState::Off).sent, 0);
    let arq = ArqConfig { strategy: Strategy::SelectiveRepeat, ..ArqConfig::default() };
    let classic = Config { arq, ..config(CongestionChoice::Ebb) };
    let mut pair = Pair::with(classic, &narrow(Some(0.1)), 1);
    pair.transfer(100_000);
    assert_eq!(expect(&mut pair, EcnState::Off).sent, 0);
}

/// Marks are believed within what was sent: beyond, the peer or somebody in its name lies.
#[test]
fn counts_that_cannot_be_end_marks_and_nothing_else() {
    const MOST: u64 = (1 << 62) - 1;
    for (ect0, ce) in [(0, 0), (MOST, 0), (0, MOST), (MOST, MOST)] {
        let mut pair = Pair::over(CongestionChoice::Ebb, &narrow(None), 1);
        pair.connect();
        pair.sender().release(SIZE);
        pair.receiver().set_total(SIZE);
        pair.run_until(10, |pair| pair.sender().stats().ecn.state == EcnState::Capable);
        pair.run_until(10, |pair| pair.taken.len() > 1_000_000);
        let largest = pair.sender().sent.next_number() - 1;
        let before = pair.sender().congestion.window();
        let (marks, ranges) = (Marks { ect0, ect1: 0, ce }, vec![largest..largest + 1]);
        forge(&mut pair, &[Frame::Ack(Ack { delay: MS, duplicates: 0, marks, ranges })]);
        expect(&mut pair, EcnState::Failed);
        assert!(pair.sender().congestion.window() >= before, "{ect0} {ce}");
        pair.run_until(60, |pair| !pair.receiver().space_in.is_incomplete());
        expect(&mut pair, EcnState::Failed);
    }
}

#[test]
fn on_another_host_marks_are_tested_again() {
    let mut pair = Pair::over(CongestionChoice::Ebb, &narrow(None), 1);
    pair.connect();
    pair.sender().release(1 << 40);
    pair.receiver().write_control(&[7; 100]);
    pair.run_until(10, |pair| pair.receiver().stats().ecn.state == EcnState::Capable);
    pair.router = |_| Some(Ecn::NotEct);
    pair.port = PathId { host: 9, port: 0 };
    pair.run_until(10, |pair| pair.receiver().path().host == 9);
    assert_eq!(pair.receiver().stats().ecn.state, EcnState::Testing);
    pair.run_until(20, |pair| pair.receiver().stats().ecn.state == EcnState::Failed);
}
