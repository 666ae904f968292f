//! The simulator against the textbook, and against itself.

use super::*;
use crate::base::units::Rate;
use crate::link::Bottleneck;

const MBIT: u64 = 1_000_000;
const MS: Duration = Duration::from_millis(1);

/// A line of `mbit` Mbit/s with `ms` one way, which loses that share on the way out.
fn order(strategy: Strategy, window: u32, mbit: u64, ms: u64, loss: f64) -> Order {
    let rate = Rate::from_bits_per_second(mbit * MBIT);
    let delay = Duration::from_millis(ms);
    let bottleneck = Some(Bottleneck { rate, queue: 1 << 30 });
    let out = LinkConfig { loss: Share::new(loss), delay, bottleneck, ..LinkConfig::default() };
    let back = LinkConfig { delay, ..LinkConfig::default() };
    // Enough frames for the law of large numbers, and for both ends of the transfer not to matter.
    let cycle = 1 + 2 * ms * mbit * 1000 / (8 * FRAME_IP_BYTES);
    let mut order = Order {
        congestion: CongestionChoice::Cubic,
        arq: ArqConfig { strategy, window, ..ArqConfig::default() },
        size: 1180 * (15_000 + 120 * cycle),
        flows: 1,
        out,
        back,
        seed: 1,
        limit: Duration::from_secs(1_000_000),
    };
    order.follow_textbook();
    order
}

/// The measured efficiency as a multiple of the predicted one.
#[track_caller]
fn measured_over_predicted(order: &Order) -> f64 {
    let outcome = run(order);
    assert!(outcome.elapsed().is_some(), "incomplete: {outcome:?}");
    let measured = outcome.efficiency(order).expect("the line has a rate").get();
    measured / predict_for(order)
}

fn predict_for(order: &Order) -> f64 {
    theory::predict(order).expect("there is a formula").efficiency
}

#[test]
fn the_classic_strategies_do_what_their_formulas_say() {
    for strategy in [Strategy::StopAndWait, Strategy::GoBackN, Strategy::SelectiveRepeat] {
        for (window, mbit, ms, loss) in [
            (8, 10, 0, 0.1),
            (8, 10, 5, 0.0),
            (8, 10, 5, 0.02),
            (16, 10, 5, 0.3),
            (20, 10, 2, 0.05),
            (64, 10, 5, 0.1),
            (100, 50, 5, 0.01),
            (200, 100, 5, 0.3),
            (30, 100, 20, 0.2),
            (1000, 100, 20, 0.005),
        ] {
            let order = order(strategy, window, mbit, ms, loss);
            let ratio = measured_over_predicted(&order);
            let what = format!("{strategy:?}, W {window}, {mbit} Mbit/s, {ms} ms, {loss}");
            assert!((ratio - 1.0).abs() <= 0.02, "{what}: {ratio:.4}");
        }
    }
}

#[test]
fn lost_acknowledgements_are_accounted_for() {
    for strategy in [Strategy::StopAndWait, Strategy::SelectiveRepeat] {
        for loss in [0.05, 0.2] {
            let mut order = order(strategy, 40, 10, 5, loss);
            order.back.loss = Share::new(loss);
            let ratio = measured_over_predicted(&order);
            assert!((ratio - 1.0).abs() <= 0.02, "{strategy:?} {loss}: {ratio}");
        }
    }
}

#[test]
fn a_timer_that_waits_for_later_acknowledgements_has_no_formula() {
    let mut order = order(Strategy::SelectiveRepeat, 40, 10, 5, 0.0);
    order.back.loss = Share::new(0.2);
    assert!(theory::predict(&order).is_some());
    order.arq.timeout = Some(2 * theory::Path::of(&order).round_trip());
    assert_eq!(theory::predict(&order), None);
    // Most lost acknowledgements cost nothing then.
    let efficiency = run(&order).efficiency(&order).expect("the line has a rate").get();
    assert!(efficiency > 0.99, "{efficiency}");
}

#[test]
fn a_seed_repeats_a_run_to_the_last_event() {
    for strategy in [Strategy::Volley, Strategy::GoBackN] {
        let recorded = |seed| {
            let mut order = order(strategy, 16, 10, 5, 0.1);
            (order.seed, order.size) = (seed, 600_000);
            let mut records = Vec::new();
            let outcome = watch(&order, &mut |record| {
                records.push(record);
                ControlFlow::Continue(())
            });
            assert_eq!(outcome.elapsed(), run(&order).elapsed(), "watching changes nothing");
            records
        };
        let (one, same, other) = (recorded(1), recorded(1), recorded(2));
        assert!(one.len() > 1000 && one == same && one != other, "{strategy:?}");
    }
}

#[test]
fn flows_share_a_line() {
    let mut order = order(Strategy::Volley, 16, 20, 10, 0.0);
    (order.flows, order.size) = (4, 3_000_000);
    let outcome = run(&order);
    let elapsed = outcome.elapsed().expect("complete").as_secs_f64();
    assert!((4.8..7.0).contains(&elapsed), "{elapsed}");
    let times = outcome.flows.iter().map(|flow| flow.elapsed.expect("complete").as_secs_f64());
    let least = times.fold(f64::MAX, f64::min);
    assert!(least > 0.5 * elapsed, "{least} and {elapsed}");
}

#[test]
fn of_256_that_share_a_lossy_line_the_slowest_has_half_of_the_median_at_least() {
    let mut order = order(Strategy::Volley, 16, 100, 10, 0.01);
    (order.flows, order.size) = (256, 400_000);
    order.back.loss = Share::new(0.01);
    // A tenth of a second of the line's rate waits at most, as at a router.
    order.out.bottleneck.as_mut().expect("it has one").queue = 100 * MBIT / 80;
    let outcome = run(&order);
    let rate = |flow: &FlowOutcome| 1.0 / flow.elapsed.expect("complete").as_secs_f64();
    let mut rates: Vec<f64> = outcome.flows.iter().map(rate).collect();
    rates.sort_by(f64::total_cmp);
    assert!(rates[0] >= 0.5 * rates[128], "{rates:?}");
}

#[test]
fn a_line_that_takes_nothing_ends_in_time() {
    let mut order = order(Strategy::Volley, 16, 20, 10, 1.0);
    order.limit = Duration::from_secs(60);
    let outcome = run(&order);
    assert_eq!(outcome.elapsed(), None);
    assert_eq!(outcome.flows[0].end, Some(End::Unreachable));
}

#[test]
fn flows_with_plans_begin_when_they_are_to_and_are_as_far_away() {
    let mut order = order(Strategy::Volley, 16, 20, 10, 0.0);
    (order.flows, order.size) = (2, 1 << 40);
    let begins = Duration::from_secs(2);
    let late = Plan { begins, farther: 30 * MS, ..Plan::of(order.congestion) };
    let mut world = World::shared(&order, &[Plan::of(order.congestion), late]);
    world.run_until(Instant::ZERO + begins);
    assert_eq!(world.sights().nth(1).map(|sight| sight.taken), Some(0));
    world.run_until(Instant::ZERO + 2 * begins);
    let shortest = world.connections(1)[0].as_ref().map(|sender| sender.stats().min_rtt);
    assert!(shortest.is_some_and(|rtt| rtt >= 50 * MS), "{shortest:?}");
}

/// A transfer over 50 ms, with a queue of so much of what the path holds.
fn carry(mbit: u64, megabytes: u64, bdp: f64, change: impl FnOnce(&mut Order)) -> Outcome {
    let path = judge::one(mbit, 50, 0.0, bdp);
    let mut order = Order {
        congestion: CongestionChoice::Ebb,
        arq: ArqConfig::default(),
        size: megabytes * 1_000_000,
        flows: 1,
        out: path.out,
        back: path.back,
        seed: 3,
        limit: Duration::from_secs(120),
    };
    change(&mut order);
    run(&order)
}

#[test]
fn start_up_does_not_flood_a_queue_of_a_few_packets() {
    let outcome = carry(100, 20, 0.1, |_| {});
    assert!(outcome.elapsed().is_some(), "incomplete");
    let lost = outcome.out.lost.queue;
    assert!(lost < 600, "{lost} packets lost in a queue of 41");
}

/// With two probes at each timeout this seed's connection was given up.
#[test]
fn a_connection_outlasts_a_hundred_packets_lost_in_a_row() {
    let outcome = carry(20, 15, 1.0, |order| {
        order.out.burst_loss = Some("1%:100".parse().expect("well-formed"));
    });
    assert!(outcome.elapsed().is_some(), "{:?}", outcome.flows[0].end);
}
