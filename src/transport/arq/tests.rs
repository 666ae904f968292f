//! What a textbook's sender does, step by step.

use super::*;

const fn at(ms: u64) -> Instant {
    Instant::from_nanos(ms * 1_000_000)
}

fn sender_of(strategy: Strategy, window: u32) -> Box<dyn Arq> {
    sender(&ArqConfig { strategy, window, ..ArqConfig::default() }).expect("a classic one")
}

/// All frames that may go now.
fn burst(arq: &mut dyn Arq, deadline: Instant) -> Vec<u64> {
    std::iter::from_fn(|| arq.next(deadline, true)).collect()
}

#[test]
fn stop_and_wait_has_one_frame_outstanding() {
    let mut arq = sender_of(Strategy::StopAndWait, 8);
    assert_eq!(burst(&mut *arq, at(10)), [0]);
    arq.on_ack(5);
    assert_eq!((burst(&mut *arq, at(11)), arq.timer()), (vec![], Some(at(10))));
    arq.on_ack(0);
    assert_eq!((burst(&mut *arq, at(20)), arq.timer()), (vec![1], Some(at(20))));
    assert_eq!((arq.on_timeout(), burst(&mut *arq, at(30))), (Some(1), vec![1]));
    arq.on_ack(1);
    assert_eq!((arq.timer(), arq.next(at(40), false)), (None, None));
}

#[test]
fn an_acknowledgement_after_the_timeout_still_counts() {
    for strategy in [Strategy::StopAndWait, Strategy::GoBackN, Strategy::SelectiveRepeat] {
        let mut arq = sender_of(strategy, 1);
        assert_eq!(arq.next(at(10), true), Some(0));
        assert_eq!(arq.on_timeout(), Some(0));
        arq.on_ack(0);
        assert_eq!((arq.timer(), arq.next(at(20), false)), (None, None), "{strategy:?}");
        assert_eq!(arq.next(at(20), true), Some(1));
    }
}

#[test]
fn go_back_n_sends_everything_after_the_lost_frame_again() {
    let mut arq = sender_of(Strategy::GoBackN, 4);
    assert_eq!(burst(&mut *arq, at(10)), [0, 1, 2, 3]);
    arq.on_ack(0);
    assert_eq!(burst(&mut *arq, at(20)), [4]);
    assert_eq!((arq.timer(), arq.on_timeout()), (Some(at(10)), Some(1)));
    assert_eq!(burst(&mut *arq, at(30)), [1, 2, 3, 4]);
    arq.on_ack(3);
    assert_eq!((burst(&mut *arq, at(40)), arq.timer()), (vec![5, 6, 7], Some(at(30))));
}

#[test]
fn selective_repeat_sends_the_lost_frame_again_and_no_other() {
    let mut arq = sender_of(Strategy::SelectiveRepeat, 3);
    assert_eq!(burst(&mut *arq, at(10)), [0, 1, 2]);
    arq.on_ack(1);
    arq.on_ack(2);
    assert_eq!(burst(&mut *arq, at(20)), [3, 4], "an old gap does not stop new frames");
    assert_eq!((arq.timer(), arq.on_timeout()), (Some(at(10)), Some(0)));
    assert_eq!(burst(&mut *arq, at(30)), [0]);
    assert_eq!(arq.timer(), Some(at(20)));
}

#[test]
fn only_selective_repeat_keeps_what_is_out_of_order() {
    for (strategy, wanted) in [
        (Strategy::StopAndWait, false),
        (Strategy::GoBackN, false),
        (Strategy::SelectiveRepeat, true),
        (Strategy::Volley, true),
    ] {
        assert_eq!(keeps(strategy, &(101..200), 100), wanted);
        assert!(keeps(strategy, &(100..200), 100) && keeps(strategy, &(0..100), 100));
    }
}

#[test]
fn the_time_of_a_frame_that_had_to_be_fetched_begins_when_it_leaves() {
    for strategy in [Strategy::StopAndWait, Strategy::GoBackN, Strategy::SelectiveRepeat] {
        let mut arq = sender_of(strategy, 1);
        assert_eq!(arq.next(at(1_000), true), Some(0));
        arq.on_sent(0, at(30));
        arq.on_sent(1, at(5));
        assert_eq!(arq.timer(), Some(at(30)), "{strategy:?}");
        assert_eq!(arq.on_timeout(), Some(0));
        arq.on_sent(0, at(40));
        assert_eq!(arq.timer(), None, "{strategy:?}: its turn comes again");
    }
}
