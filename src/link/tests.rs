//! What is configured is what is observed, and a seed repeats it.

use super::config::{QueueSize, parse_drops};
use super::preset::PRESETS;
use super::*;
use crate::base::time::{Duration, nanos};
use crate::base::units::Rate;

const MS: Duration = Duration::from_millis(1);
const DATAGRAMS: usize = 100_000;

/// What happens to datagrams of 1000 bytes that go in one every `gap`.
fn fates(config: &LinkConfig, seed: u64, gap: Duration) -> Vec<(Instant, Fate)> {
    let mut link = Link::new(config, seed, Direction::Out);
    let gap = nanos(gap);
    let times = (0..DATAGRAMS as u64).map(|n| Instant::from_nanos(n * gap));
    times.map(|now| (now, link.carry(now, 1000, Ecn::NotEct))).collect()
}

fn lost(fates: &[(Instant, Fate)]) -> Vec<bool> {
    fates.iter().map(|(_, fate)| matches!(fate, Fate::Lost(_))).collect()
}

fn arrivals(fates: &[(Instant, Fate)]) -> Vec<(Instant, Arrival)> {
    let arrives = |(now, fate): &(Instant, Fate)| match fate {
        Fate::Arrives(arrival) => Some((*now, *arrival)),
        Fate::Lost(_) => None,
    };
    fates.iter().filter_map(arrives).collect()
}

#[track_caller]
fn expect_share(count: usize, share: f64) {
    let n = DATAGRAMS as f64;
    let sigma = (n * share * (1.0 - share)).sqrt();
    assert!((count as f64 - n * share).abs() <= 3.0 * sigma, "{count} of {n} for {share}");
}

fn losing(share: f64) -> LinkConfig {
    LinkConfig { loss: Share::new(share), ..LinkConfig::default() }
}

#[test]
fn a_seed_repeats_and_directions_are_drawn_apart() {
    let losses = |seed, direction| -> Vec<bool> {
        let mut link = Link::new(&losing(0.5), seed, direction);
        (0..DATAGRAMS)
            .map(|_| matches!(link.carry(Instant::ZERO, 1, Ecn::NotEct), Fate::Lost(_)))
            .collect()
    };
    assert_eq!(losses(7, Direction::Out), losses(7, Direction::Out));
    for (seed, direction) in [(8, Direction::Out), (7, Direction::Back)] {
        let (one, other) = (losses(7, Direction::Out), losses(seed, direction));
        let same = one.iter().zip(other).filter(|(a, b)| **a == *b).count();
        assert!((49_000..51_000).contains(&same), "{same} of 100000 agree");
    }
}

#[test]
fn observed_shares_are_within_three_sigma() {
    for share in [0.0, 0.001, 0.01, 0.05, 0.4, 1.0] {
        let wanted = Share::new(share);
        expect_share(lost(&fates(&losing(share), 42, MS)).iter().filter(|l| **l).count(), share);
        let config = LinkConfig { corruption: wanted, ..LinkConfig::default() };
        let found = arrivals(&fates(&config, 42, MS));
        expect_share(found.iter().filter(|(_, arrival)| arrival.flip.is_some()).count(), share);
        let config = LinkConfig { duplication: wanted, ..LinkConfig::default() };
        let found = arrivals(&fates(&config, 42, MS));
        expect_share(found.iter().filter(|(_, arrival)| arrival.is_doubled).count(), share);
        let reordering = Reordering { share: wanted, by: 20 * MS };
        let config = LinkConfig { reordering, ..LinkConfig::default() };
        let found = arrivals(&fates(&config, 42, MS));
        let held = found.iter().filter(|(now, arrival)| arrival.at == *now + 20 * MS).count();
        expect_share(held, share);
    }
}

#[test]
fn each_kind_of_luck_is_drawn_apart() {
    let all = LinkConfig {
        corruption: Share::new(0.5),
        duplication: Share::new(0.5),
        reordering: Reordering { share: Share::new(0.5), by: MS },
        burst_loss: Some("10%:3".parse().expect("it is possible")),
        ..losing(0.05)
    };
    let chance = |fates: &[(Instant, Fate)]| -> Vec<usize> {
        let is_chance = |(index, (_, fate)): (usize, &(Instant, Fate))| {
            (*fate == Fate::Lost(Cause::Chance)).then_some(index)
        };
        fates.iter().enumerate().filter_map(is_chance).collect()
    };
    let alone = lost(&fates(&losing(0.05), 3, MS));
    let beside = chance(&fates(&all, 3, MS));
    assert!(beside.len() > 4000 && beside.iter().all(|index| alone[*index]));
}

/// The share is a mean of runs, so its variance is that of independent losses times about 2 L - 1.
#[test]
fn bursts_have_the_share_and_the_length_that_were_asked_for() {
    for (text, share, length) in [("1%:10", 0.01, 10.0), ("20%:3", 0.2, 3.0), ("5%:1", 0.05, 1.0)] {
        let config = LinkConfig {
            burst_loss: Some(text.parse().expect("it is possible")),
            ..LinkConfig::default()
        };
        let lost = lost(&fates(&config, 1, MS));
        let count = lost.iter().filter(|lost| **lost).count() as f64;
        let n = DATAGRAMS as f64;
        let sigma = (n * share * (1.0 - share) * (2.0 * length - 1.0)).sqrt();
        assert!((count - n * share).abs() <= 3.0 * sigma, "{text}: {count}");
        let bursts = lost.windows(2).filter(|pair| !pair[0] && pair[1]).count() as f64;
        let mean = count / bursts;
        // A geometric length of mean L has the standard deviation sqrt(L (L - 1)).
        let sigma = (length * (length - 1.0)).sqrt() / bursts.sqrt();
        // Two bursts of length 1 in a row look like one.
        let joined = length / (1.0 - share / (1.0 - share) / length);
        let bounds = (length - 3.0 * sigma)..=(joined + 3.0 * sigma);
        assert!(bounds.contains(&mean) || length <= 1.0 && mean < 1.1, "{text}: {mean}");
    }
}

#[test]
fn listed_datagrams_are_lost_and_no_others() {
    let drops = parse_drops("7,9-12,100000").expect("it reads");
    let config = LinkConfig { drops, ..LinkConfig::default() };
    let lost = lost(&fates(&config, 1, MS));
    let numbers: Vec<usize> = (1..=DATAGRAMS).filter(|number| lost[number - 1]).collect();
    assert_eq!(numbers, [7, 9, 10, 11, 12, 100_000]);
}

#[test]
fn what_exceeds_the_mtu_does_not_fit_through() {
    let config = LinkConfig { mtu: Some(1500), ..LinkConfig::default() };
    let mut link = Link::new(&config, 1, Direction::Out);
    assert!(matches!(link.carry(Instant::ZERO, 1500, Ecn::NotEct), Fate::Arrives(_)));
    assert_eq!(link.carry(Instant::ZERO, 1501, Ecn::NotEct), Fate::Lost(Cause::Oversize));
}

#[test]
fn delay_and_jitter_keep_their_mean_their_bounds_and_the_order() {
    let config = LinkConfig { delay: 25 * MS, jitter: 5 * MS, ..LinkConfig::default() };
    let found = arrivals(&fates(&config, 1, MS));
    assert!(found.windows(2).all(|pair| pair[0].1.at <= pair[1].1.at), "the order changed");
    let delays: Vec<f64> =
        found.iter().map(|(now, arrival)| arrival.at.since(*now).as_secs_f64() * 1e3).collect();
    assert!(delays.iter().all(|delay| (20.0..=30.0).contains(delay)));
    let mean = delays.iter().sum::<f64>() / delays.len() as f64;
    // Between two draws the delay changes evenly: as good as one draw each 10 ms, of J / sqrt(3).
    let sigma = 5.0 / 3f64.sqrt() / (DATAGRAMS as f64 / 10.0).sqrt();
    assert!((mean - 25.0).abs() <= 3.0 * sigma, "{mean}");
    assert!(delays.iter().any(|delay| *delay < 21.0) && delays.iter().any(|delay| *delay > 29.0));
}

#[test]
fn a_bottleneck_lets_its_rate_through_and_its_queue_wait() {
    let rate = Rate::from_bits_per_second(7_000_000);
    let config = LinkConfig {
        bottleneck: Some(Bottleneck { rate, queue: 50_000 }),
        ..LinkConfig::default()
    };
    // Twice as much goes in as can leave.
    let found = arrivals(&fates(&config, 1, Duration::from_nanos(571_428)));
    let span = found.last().expect("some arrive").1.at.since(Instant::ZERO);
    let observed = Rate::of(found.len() as u64 * 1000, span).bits_per_second() as f64;
    assert!((observed / 7e6 - 1.0).abs() < 1e-4, "{observed}");
    let longest = found.iter().map(|(now, arrival)| arrival.at.since(*now)).max();
    let full = Duration::from_secs_f64(50_000.0 * 8.0 / 7e6);
    assert!(longest <= Some(full) && longest > Some(full - 2 * MS), "{longest:?} of {full:?}");
}

#[test]
fn an_idle_bottleneck_takes_what_its_queue_could_not_hold() {
    let rate = Rate::from_bits_per_second(8_000);
    let config =
        LinkConfig { bottleneck: Some(Bottleneck { rate, queue: 10 }), ..LinkConfig::default() };
    let mut link = Link::new(&config, 1, Direction::Out);
    let Fate::Arrives(arrival) = link.carry(Instant::ZERO, 1000, Ecn::NotEct) else {
        panic!("it is idle")
    };
    assert_eq!(arrival.at, Instant::ZERO + Duration::from_secs(1));
    assert_eq!(link.carry(Instant::ZERO, 1, Ecn::NotEct), Fate::Lost(Cause::Queue));
    assert_eq!((link.backlog(Instant::ZERO), link.backlog(arrival.at)), (1000, 0));
}

#[test]
fn every_preset_does_what_it_says() {
    for preset in PRESETS {
        for config in preset.ways() {
            let Bottleneck { rate, queue } = config.bottleneck.expect("every preset has a rate");
            // At half of the rate, nothing waits and only chance takes datagrams.
            let gap = Duration::from_secs_f64(2.0 * 8000.0 / rate.bits_per_second() as f64);
            let found = fates(&config, 9, gap);
            let burst = config.burst_loss.map_or(0.0, |bursts| bursts.share().get());
            let share = 1.0 - (1.0 - config.loss.get()) * (1.0 - burst);
            let length = config.burst_loss.map_or(1.0, BurstLoss::mean_length);
            let count = lost(&found).iter().filter(|lost| **lost).count() as f64;
            let n = DATAGRAMS as f64;
            let sigma = (n * share * (1.0 - share) * (2.0 * length - 1.0)).sqrt();
            assert!((count - n * share).abs() <= 3.0 * sigma, "{}: {count}", preset.name);
            let delays = arrivals(&found);
            let own = gap / 2;
            let mean = delays.iter().map(|(now, a)| a.at.since(*now).as_secs_f64()).sum::<f64>()
                / delays.len() as f64;
            let wanted = (config.delay + own).as_secs_f64();
            let steps = n * gap.as_secs_f64() / (2.0 * config.jitter.as_secs_f64()).max(1e-9);
            let sigma = config.jitter.as_secs_f64() / 3f64.sqrt() / steps.max(1.0).sqrt();
            assert!((mean - wanted).abs() <= 3.0 * sigma + 1e-6, "{}: {mean}", preset.name);
            // All at once, the queue is what is let through.
            let mut link = Link::new(&config, 9, Direction::Out);
            let fits = (0..10_000_000 / 1500)
                .filter(|_| {
                    link.carry(Instant::ZERO, 1500, Ecn::NotEct) != Fate::Lost(Cause::Queue)
                })
                .count() as u64;
            assert!(
                fits * 1500 <= queue && (fits + 1) * 1500 > queue.min(10_000_000) - 1500,
                "{}",
                preset.name
            );
        }
    }
}

#[test]
fn what_is_impossible_is_refused_with_what_to_write() {
    for text in ["1%", "1%:0", "1%:0.5", "100%:5", "5:5", "1%:x", "1%:1e9", "80%:2"] {
        assert!(text.parse::<BurstLoss>().is_err(), "{text}");
    }
    for text in ["1", "1%:", "1%:5", "x%"] {
        assert!(text.parse::<Reordering>().is_err(), "{text}");
    }
    for text in ["1", "bdp", "-1bdp", "1e9bdp", "64"] {
        assert!(text.parse::<QueueSize>().is_err(), "{text}");
    }
    for text in ["", "0", "5-3", "1,,2", "a", "1-18446744073709551615"] {
        assert!(parse_drops(text).is_err(), "{text}");
    }
}

#[test]
fn a_link_says_what_it_does() {
    assert_eq!(LinkConfig::default().to_string(), "nothing");
    let rate = Rate::from_bits_per_second(8_000_000);
    let config = LinkConfig {
        loss: Share::new(0.01),
        burst_loss: Some("1%:10".parse().expect("it is possible")),
        drops: parse_drops("7,9-12").expect("it reads"),
        delay: 25 * MS,
        jitter: 5 * MS,
        bottleneck: Some(Bottleneck { rate, queue: QueueSize::DEFAULT.bytes(rate, 50 * MS) }),
        mark: Some(Share::new(0.2)),
        policer: Some(Bottleneck { rate, queue: 64 << 10 }),
        reordering: "2%:7ms".parse().expect("it reads"),
        duplication: Share::new(0.03),
        corruption: Share::new(0.04),
        mtu: Some(1280),
    };
    assert_eq!(
        config.to_string(),
        "1 % loss, 1 % loss in bursts of 10, datagrams 7,9-12 lost, 25 ms ± 5 ms delay, 8 Mbit/s \
         with a queue of 48.8 KiB that marks from 20 % on, policed to 8 Mbit/s and 64 KiB at once, \
         2 % held back by 7 ms, 3 % duplicated, 4 % corrupted, MTU 1280"
    );
}

#[test]
fn the_draws_of_a_seed_never_change() {
    let all = LinkConfig {
        burst_loss: Some("5%:2".parse().expect("it is possible")),
        reordering: Reordering { share: Share::new(0.05), by: MS },
        duplication: Share::new(0.05),
        corruption: Share::new(0.05),
        ..losing(0.05)
    };
    let mut firsts = [None; 5];
    for (index, (now, fate)) in fates(&all, 1, MS).into_iter().enumerate() {
        let struck = match fate {
            Fate::Lost(Cause::Chance) => [true, false, false, false, false],
            Fate::Lost(_) => [false, true, false, false, false],
            Fate::Arrives(a) => [false, false, a.at > now, a.flip.is_some(), a.is_doubled],
        };
        for (first, struck) in firsts.iter_mut().zip(struck) {
            *first = first.or(struck.then_some(index));
        }
    }
    assert_eq!(firsts, FIRST_OF_EACH_KIND_OF_SEED_1);
    let losses = lost(&fates(&losing(0.05), 1, MS));
    let first: Vec<usize> = (0..DATAGRAMS).filter(|index| losses[*index]).take(5).collect();
    assert_eq!(first, FIRST_LOSSES_OF_SEED_1);
}

/// Seeds are printed, shared and put into exercise sheets: they must outlive versions.
const FIRST_LOSSES_OF_SEED_1: [usize; 5] = [44, 55, 81, 86, 105];

/// Chance, burst, reordering, corruption, duplication.
const FIRST_OF_EACH_KIND_OF_SEED_1: [Option<usize>; 5] =
    [Some(44), Some(61), Some(17), Some(26), Some(59)];

#[test]
fn what_waits_in_the_queue_is_counted() {
    let rate = Rate::from_bits_per_second(8_000_000);
    let bottleneck = Some(Bottleneck { rate, queue: 2000 });
    let mut link =
        Link::new(&LinkConfig { bottleneck, ..LinkConfig::default() }, 1, Direction::Out);
    for _ in 0..5 {
        link.carry(Instant::ZERO, 1000, Ecn::NotEct);
    }
    let counts = link.counts();
    assert_eq!((counts.offered_bytes, counts.queued, counts.lost.queue), (5000, 2, 3));
    assert_eq!((counts.waited, counts.mean_wait()), (MS, MS / 2));
}

#[test]
fn a_policer_lets_its_rate_pass_and_holds_nothing_back() {
    let policer = Some(Bottleneck { rate: Rate::from_bits_per_second(12_000_000), queue: 15_000 });
    let mut link = Link::new(&LinkConfig { policer, ..LinkConfig::default() }, 1, Direction::Out);
    let mut passed = 0;
    // Twice the rate for a second.
    for index in 0..2_000 {
        let now = Instant::from_nanos(index * 500_000);
        if let Some(at) = link.carry(now, 1500, Ecn::NotEct).arrival() {
            assert_eq!(at, now);
            passed += 1;
        }
    }
    assert!((1_000..=1_011).contains(&passed), "the rate, and what the bucket held: {passed}");
    assert_eq!(link.counts().lost.queue, 2_000 - passed);
}

#[test]
fn a_queue_marks_what_takes_marks_while_it_is_rather_full() {
    let bottleneck =
        Some(Bottleneck { rate: Rate::from_bits_per_second(8_000_000), queue: 10_000 });
    let config = LinkConfig { bottleneck, mark: Some(Share::new(0.5)), ..LinkConfig::default() };
    for (ecn, expected) in [(Ecn::Ect0, 4), (Ecn::Ect1, 4), (Ecn::Ce, 4), (Ecn::NotEct, 0)] {
        let mut link = Link::new(&config, 1, Direction::Out);
        let fates: Vec<Fate> = (0..12).map(|_| link.carry(Instant::ZERO, 1_000, ecn)).collect();
        let is_marked =
            |fate: &Fate| matches!(fate, Fate::Arrives(Arrival { is_marked: true, .. }));
        assert!(!fates[..6].iter().any(is_marked), "5,000 bytes are half of the queue");
        assert_eq!(fates.iter().filter(|fate| is_marked(fate)).count(), expected);
        assert_eq!(fates[10..], [Fate::Lost(Cause::Queue); 2], "there is no room");
        assert_eq!(link.counts().marked, expected as u64);
    }
}
