//! The paths on which controllers are judged.

use super::{Change, Scenario, Seat};
use crate::base::time::Duration;
use crate::base::units::{Rate, Share};
use crate::link::config::QueueSize;
use crate::link::{Bottleneck, LinkConfig, Reordering};
use crate::transport::config::CongestionChoice;

/// Of the path that most scenarios change in one respect: 100 Mbit/s and 50 ms.
const MBIT: u64 = 100;
const MILLIS: u64 = 50;

/// Bytes of a queue in round trips of the path, however few.
fn queue(mbit: u64, millis: u64, bdp: f64) -> u64 {
    QueueSize::Bdp(bdp).bytes(rate(mbit), ms(millis))
}

fn rate(mbit: u64) -> Rate {
    Rate::from_bits_per_second(mbit * 1_000_000)
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// One flow over a link of that rate, round trip, random loss in percent and queue in BDP.
#[must_use]
pub fn one(mbit: u64, millis: u64, percent: f64, bdp: f64) -> Scenario {
    let bottleneck = Some(Bottleneck { rate: rate(mbit), queue: queue(mbit, millis, bdp) });
    let delay = ms(millis) / 2;
    let back = LinkConfig { delay, bottleneck, ..LinkConfig::default() };
    let out = LinkConfig { loss: Share::new(percent / 100.0), ..back.clone() };
    // As long as start-up and a steady state take, at the least.
    let length = secs(16).max(80 * ms(millis));
    Scenario {
        name: format!("{mbit} Mbit/s {millis} ms {percent} % {bdp} BDP"),
        out,
        back,
        round_trip: ms(millis),
        seats: vec![Seat { rival: None, begins: Duration::ZERO }],
        changes: Vec::new(),
        length,
    }
}

fn usual(percent: f64, bdp: f64) -> Scenario {
    one(MBIT, MILLIS, percent, bdp)
}

/// The same link, with something about it changed.
fn with(name: &str, base: Scenario, change: impl FnOnce(&mut Scenario)) -> Scenario {
    let mut scenario = base;
    scenario.name = name.to_owned();
    change(&mut scenario);
    scenario
}

/// Beside a rival, which begins so many seconds before.
fn beside(rival: CongestionChoice, early: u64, percent: f64, bdp: f64) -> Scenario {
    let late = if early > 0 { format!(", {early} s late") } else { String::new() };
    let loss = if percent > 0.0 { format!(", {percent} %") } else { String::new() };
    with(&format!("beside {rival} at {bdp} BDP{late}{loss}"), usual(percent, bdp), |it| {
        it.seats[0].begins = secs(early);
        it.seats.push(Seat { rival: Some(rival), begins: Duration::ZERO });
        it.length = secs(40);
    })
}

/// A queue that marks from that part of it on.
fn marking(mbit: u64, from: f64) -> Scenario {
    let share = Share::new(from);
    with(
        &format!("{mbit} Mbit/s {MILLIS} ms, marks from {share} on"),
        one(mbit, MILLIS, 0.0, 1.0),
        |it| {
            (it.out.mark, it.back.mark) = (Some(share), Some(share));
        },
    )
}

fn four(percent: f64, bdp: f64) -> Scenario {
    with(&format!("four at {bdp} BDP, {percent} %"), usual(percent, bdp), |it| {
        let seat = |index| Seat { rival: None, begins: secs(2 * index) };
        it.seats = (0..4u64).map(seat).collect();
        it.length = secs(60);
    })
}

fn policed(percent: f64) -> Scenario {
    with(&format!("policer 20 Mbit/s 200 KB, {percent} %"), usual(percent, 1.0), |it| {
        it.out.policer = Some(Bottleneck { rate: rate(20), queue: 200_000 });
        it.length = secs(20);
    })
}

fn bursts(text: &str) -> Scenario {
    with(&format!("bursts {text}"), usual(0.0, 1.0), |it| {
        it.out.burst_loss = Some(text.parse().expect("the table is tested"));
    })
}

fn jitter(text: Option<&str>) -> Scenario {
    let and = text.map_or(String::new(), |text| format!(", bursts {text}"));
    with(&format!("jitter 4 ms of 10 ms{and}"), one(MBIT, 10, 0.0, 5.0), |it| {
        (it.out.jitter, it.back.jitter) = (ms(4), ms(4));
        it.out.burst_loss = text.map(|text| text.parse().expect("the table is tested"));
    })
}

/// The link's rate becomes another after so many seconds each, and then another.
fn steps(percent: f64, rates: &[u64], each: u64) -> Scenario {
    let names: Vec<String> = rates.iter().map(u64::to_string).collect();
    let name = format!("steps of {} Mbit/s, {percent} %", names.join("-"));
    with(&name, one(rates[0], MILLIS, percent, 1.0), |it| {
        let mut at = 0;
        for mbit in &rates[1..] {
            at += each;
            let to = one(*mbit, MILLIS, percent, 1.0);
            it.changes.push(Change { at: secs(at), out: to.out, back: to.back });
        }
        it.length = secs(at + each);
    })
}

fn blackout() -> Scenario {
    with("blackout of 2 s", usual(0.0, 1.0), |it| {
        let nothing = |link: &LinkConfig| LinkConfig { loss: Share::new(1.0), ..link.clone() };
        let (out, back) = (nothing(&it.out), nothing(&it.back));
        it.changes.push(Change { at: secs(8), out, back });
        it.changes.push(Change { at: secs(10), out: it.out.clone(), back: it.back.clone() });
        it.length = secs(24);
    })
}

/// The way back has a hundredth of the rate.
fn narrow_back(percent: f64) -> Scenario {
    with(&format!("reverse 1/100, {percent} %"), usual(percent, 1.0), |it| {
        it.back.bottleneck = one(1, MILLIS, 0.0, 4.0).back.bottleneck;
    })
}

fn disturbed() -> Vec<Scenario> {
    vec![
        bursts("1%:10"),
        bursts("1%:100"),
        bursts("5%:10"),
        jitter(None),
        jitter(Some("1%:3")),
        with("reordering 5 % by 10 ms", usual(0.0, 1.0), |it| {
            it.out.reordering = Reordering { share: Share::new(0.05), by: ms(10) };
        }),
        with("40 % of acknowledgements lost", usual(0.0, 1.0), |it| {
            it.back.loss = Share::new(0.4);
        }),
        narrow_back(0.0),
        narrow_back(5.0),
        steps(0.0, &[100, 50, 100], 10),
        steps(1.0, &[50, 100], 10),
        blackout(),
        policed(0.0),
        policed(1.0),
    ]
}

/// Every scenario.
#[must_use]
pub fn all() -> Vec<Scenario> {
    let mut all = Vec::new();
    for (mbit, millis) in [
        (10, 5),
        (10, 50),
        (10, 200),
        (10, 600),
        (100, 5),
        (100, 50),
        (100, 200),
        (100, 600),
        (1000, 5),
        (1000, 20),
    ] {
        for percent in [0.0, 0.1, 1.0, 5.0, 10.0, 20.0, 30.0] {
            all.push(one(mbit, millis, percent, 1.0));
        }
    }
    all.extend([0.02, 0.05, 0.1, 0.2, 0.5, 2.0, 4.0, 8.0].map(|bdp| usual(0.0, bdp)));
    all.extend([1.0, 4.0, 8.0].map(|bdp| one(MBIT, 5, 0.0, bdp)));
    all.extend([0.05, 0.2, 0.5].map(|from| marking(MBIT, from)));
    all.push(one(500, 200, 0.5, 1.0));
    all.push(one(20, 600, 1.0, 1.0));
    let cubic = CongestionChoice::Cubic;
    for bdp in [0.2, 1.0, 4.0] {
        all.extend([0, 10].map(|early| beside(cubic, early, 0.0, bdp)));
        all.push(beside(cubic, 0, 1.0, bdp));
        all.extend([0.0, 1.0].map(|percent| four(percent, bdp)));
    }
    all.extend(disturbed());
    all
}

/// As many of them as every change of the code can wait for, on slower and shorter paths.
#[must_use]
pub fn few() -> Vec<Scenario> {
    let cubic = CongestionChoice::Cubic;
    let mut few: Vec<Scenario> =
        [0.0, 1.0, 20.0].map(|percent| one(20, 50, percent, 1.0)).into_iter().collect();
    few.push(one(20, 50, 0.0, 0.1));
    few.push(one(20, 50, 0.0, 4.0));
    few.push(marking(20, 0.2));
    for bdp in [0.2, 1.0, 4.0] {
        few.push(with(&format!("beside cubic at {bdp} BDP"), one(20, 50, 0.0, bdp), |it| {
            it.seats.push(Seat { rival: Some(cubic), begins: Duration::ZERO });
        }));
    }
    few.push(with("four at 1 BDP, 1 %", one(20, 50, 1.0, 1.0), |it| {
        it.seats = (0..4).map(|index| Seat { rival: None, begins: secs(index) }).collect();
    }));
    few.push(with("policer 20 Mbit/s 200 KB", policed(0.0), |it| it.length = secs(10)));
    few
}
