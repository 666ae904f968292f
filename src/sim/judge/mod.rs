//! The judge of congestion controllers: what each makes of many paths, alone and beside others.
//!
//! A [`Scenario`] is a link, what happens to it, and who shares it. [`measure`] runs one with one
//! controller and one seed; [`judge`] runs several seeds and takes the median. Everything is drawn from
//! the seed, so that a table changes only where an algorithm does.
//!
//! A table's columns: `whole` and `half` are the file bytes that arrived, of what the link can carry, from the
//! beginning and in the second half; `worst` is the latter of the unluckiest seed. Of the second half are
//! also `queue`, the mean wait in round trips, `own %`, the packets lost in the queue, `wire`, the bytes sent,
//! of those that the path's loss explains, and, beside others, what each flow got in percent, and Jain's index.

mod figures;
mod scenarios;

pub use figures::{Figures, Verdict};
pub use scenarios::{all, few, one};

use super::{Order, Plan, World};
use crate::base::time::{Duration, Instant};
use crate::link::{LinkConfig, LinkCounts};
use crate::transport::arq::ArqConfig;
use crate::transport::config::CongestionChoice;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

/// What a full packet brings of the file, of what it takes of the line.
pub const PAYLOAD_SHARE: f64 = 1452.0 / 1500.0;

/// One flow of a scenario.
#[derive(Clone, Copy, Debug)]
pub struct Seat {
    /// Its controller; the one that is judged where there is none.
    pub rival: Option<CongestionChoice>,
    /// When it begins.
    pub begins: Duration,
}

/// From a moment on the link is another.
#[derive(Clone, Debug)]
pub struct Change {
    /// When.
    pub at: Duration,
    /// On the way out.
    pub out: LinkConfig,
    /// On the way back.
    pub back: LinkConfig,
}

/// A path and who shares it.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What it is called.
    pub name: String,
    /// From the senders to the receivers.
    pub out: LinkConfig,
    /// From the receivers to the senders.
    pub back: LinkConfig,
    /// Of the empty path.
    pub round_trip: Duration,
    /// Who shares it.
    pub seats: Vec<Seat>,
    /// What happens to it, in order.
    pub changes: Vec<Change>,
    /// How long it is watched.
    pub length: Duration,
}

impl Scenario {
    /// Where the second half begins: not before the link has changed last.
    fn half(&self) -> Duration {
        let changed = self.changes.last().map_or(Duration::ZERO, |change| change.at);
        changed.max(self.length / 2)
    }

    /// File bytes that the link can carry from one moment to another.
    fn capacity(&self, from: Duration, to: Duration) -> f64 {
        let mut carried = 0.0;
        let mut link = &self.out;
        let mut begun = from;
        for change in &self.changes {
            if change.at > begun && change.at < to {
                carried += goodput(link) * (change.at - begun).as_secs_f64();
                begun = change.at;
            }
            if change.at <= begun {
                link = &change.out;
            }
        }
        carried + goodput(link) * to.saturating_sub(begun).as_secs_f64()
    }

    /// Starts and round trips vary by seed: without, a path without luck is one sample.
    fn plans(&self, subject: CongestionChoice, seed: u64) -> Vec<Plan> {
        let mut draws = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut up_to = |span: Duration| span.mul_f64(draws.random::<f64>());
        let seats = self.seats.iter();
        seats
            .map(|seat| Plan {
                congestion: seat.rival.unwrap_or(subject),
                begins: seat.begins + up_to(2 * self.round_trip),
                farther: up_to(self.round_trip / 10),
            })
            .collect()
    }
}

/// File bytes per second that a link lets through.
fn goodput(link: &LinkConfig) -> f64 {
    let rates = [link.bottleneck, link.policer].into_iter().flatten();
    let rate = rates.map(|narrow| narrow.rate.bytes_per_second()).fold(f64::INFINITY, f64::min);
    rate * (1.0 - link.random_loss().get()) * PAYLOAD_SHARE
}

/// What was seen until a moment.
#[derive(Clone, Debug, Default)]
struct Mark {
    taken: Vec<u64>,
    counts: LinkCounts,
}

/// Runs a scenario once.
#[must_use]
pub fn measure(scenario: &Scenario, subject: CongestionChoice, seed: u64) -> Figures {
    let order = Order {
        congestion: subject,
        arq: ArqConfig::default(),
        size: 1 << 50,
        flows: scenario.seats.len(),
        out: scenario.out.clone(),
        back: scenario.back.clone(),
        seed,
        limit: scenario.length,
    };
    let mut world = World::shared(&order, &scenario.plans(subject, seed));
    let mut before = LinkCounts::default();
    let mut half = Mark::default();
    let mut stops: Vec<(Duration, Option<&Change>)> =
        scenario.changes.iter().map(|change| (change.at, Some(change))).collect();
    stops.push((scenario.half(), None));
    stops.sort_by_key(|(at, change)| (*at, change.is_none()));
    for (at, change) in stops {
        world.run_until(Instant::ZERO + at);
        if let Some(change) = change {
            before = sum(before, world.link_counts()[0]);
            world.change_link(&change.out, &change.back, seed);
        } else {
            half = mark(&world, before);
        }
    }
    world.run_until(Instant::ZERO + scenario.length);
    Figures::new(scenario, &half, &mark(&world, before))
}

/// Runs a scenario with each of the seeds.
#[must_use]
pub fn judge(scenario: &Scenario, subject: CongestionChoice, seeds: u64) -> Verdict {
    Verdict::new((1..=seeds).map(|seed| measure(scenario, subject, seed)).collect())
}

fn mark(world: &World, before: LinkCounts) -> Mark {
    Mark {
        taken: world.sights().map(|sight| sight.taken).collect(),
        counts: sum(before, world.link_counts()[0]),
    }
}

fn sum(one: LinkCounts, other: LinkCounts) -> LinkCounts {
    let mut sum = one;
    sum.offered += other.offered;
    sum.offered_bytes += other.offered_bytes;
    sum.lost.queue += other.lost.queue;
    sum.queued += other.queued;
    sum.waited += other.waited;
    sum
}
