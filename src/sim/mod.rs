//! Floor 4: transfers in virtual time.
//!
//! A [`World`] holds pairs of the product's own connections, one imperfect link each way between
//! them, and a clock that jumps to when something happens next. Nothing in it asks the operating
//! system for anything, so a seed repeats a run to the last event. What happens can be watched
//! ([`watch`], [`record`]), and for the classic strategies the textbook's prediction stands beside it
//! ([`theory`]).

pub mod judge;
pub mod record;
pub mod theory;
mod world;

pub use world::{Sight, World};

use crate::base::time::{Duration, Instant};
use crate::base::units::Share;
use crate::link::{LinkConfig, LinkCounts};
use crate::transport::arq::{ArqConfig, Strategy};
use crate::transport::config::CongestionChoice;
use crate::transport::error::End;
use crate::transport::stats::Stats;
use record::Record;
use std::ops::ControlFlow;

/// Bytes of the IPv4 and UDP headers that a link carries with each datagram.
pub const IP_AND_UDP: usize = 28;

/// Bytes of the IP packet of one full frame of a classic strategy.
pub const FRAME_IP_BYTES: u64 = 1228;

/// What to simulate.
#[derive(Clone, Debug)]
pub struct Order {
    /// How senders choose their rate.
    pub congestion: CongestionChoice,
    /// Who decides what is sent again.
    pub arq: ArqConfig,
    /// Bytes of file that each flow carries.
    pub size: u64,
    /// Transfers side by side over the same link.
    pub flows: usize,
    /// From the senders to the receivers.
    pub out: LinkConfig,
    /// From the receivers to the senders.
    pub back: LinkConfig,
    /// What all luck is drawn from.
    pub seed: u64,
    /// Virtual time after which a run that is not over is given up.
    pub limit: Duration,
}

/// One of several flows over the same link.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plan {
    /// How its sender chooses its rate.
    pub congestion: CongestionChoice,
    /// How long after the others it begins.
    pub begins: Duration,
    /// How much longer its round trip is than the link's.
    pub farther: Duration,
}

impl Plan {
    /// From the beginning, and no farther away than the link is long.
    #[must_use]
    pub fn of(congestion: CongestionChoice) -> Self {
        Self { congestion, begins: Duration::ZERO, farther: Duration::ZERO }
    }
}

impl Order {
    /// As many equal flows as are asked for.
    fn plans(&self) -> Vec<Plan> {
        vec![Plan::of(self.congestion); self.flows]
    }

    /// A classic strategy as the textbook has it: its sender transmits when the line is free, and
    /// waits for an acknowledgement just as long as one takes.
    pub fn follow_textbook(&mut self) {
        if self.arq.strategy == Strategy::Volley {
            return;
        }
        self.arq.line = self.arq.line.or_else(|| self.out.bottleneck.map(|narrow| narrow.rate));
        if self.arq.timeout.is_none() && self.arq.line.is_some() {
            self.arq.timeout = Some(theory::Path::of(self).round_trip());
        }
    }
}

/// How one flow went.
#[derive(Clone, Debug)]
pub struct FlowOutcome {
    /// What the sender counted.
    pub stats: Stats,
    /// File bytes that the receiver has.
    pub taken: u64,
    /// DATA packets that brought the receiver something new.
    pub fresh_packets: u64,
    /// From the first HELLO to the last byte at the receiver; nothing if it was not complete.
    pub elapsed: Option<Duration>,
    /// From the first to the last arrival of something new at the receiver.
    pub span: Duration,
    /// Why the connection ended, if it did.
    pub end: Option<End>,
}

/// How a simulation went.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Each flow.
    pub flows: Vec<FlowOutcome>,
    /// What the link did on the way out.
    pub out: LinkCounts,
    /// What it did on the way back.
    pub back: LinkCounts,
}

impl Outcome {
    /// The slowest flow's time; nothing if one was not complete.
    #[must_use]
    pub fn elapsed(&self) -> Option<Duration> {
        let times: Option<Vec<Duration>> = self.flows.iter().map(|flow| flow.elapsed).collect();
        times?.into_iter().max()
    }

    /// The share of the line's capacity that carried something new, while something new came.
    #[must_use]
    pub fn efficiency(&self, order: &Order) -> Option<Share> {
        let rate = order.out.bottleneck?.rate;
        let [flow] = &self.flows[..] else { return None };
        // The first arrival begins the span and is not part of it.
        let packets = flow.fresh_packets.checked_sub(1)?;
        let size = u64::from(flow.stats.datagram_size) + IP_AND_UDP as u64;
        let carried = (packets * size * 8) as f64;
        let possible = rate.bits_per_second() as f64 * flow.span.as_secs_f64();
        (possible > 0.0).then(|| Share::new(carried / possible))
    }
}

/// Runs a simulation to its end.
#[must_use]
pub fn run(order: &Order) -> Outcome {
    run_unless(order, || false)
}

/// Runs a simulation to its end, or until `is_over`.
#[must_use]
pub fn run_unless(order: &Order, is_over: impl Fn() -> bool) -> Outcome {
    let mut world = World::new(order);
    let until = Instant::ZERO + order.limit;
    while !is_over() && !world.is_complete() && world.step(until) {}
    world.outcome()
}

/// Runs a simulation and tells `sink` what happens as it happens, so that no run is too long to be
/// watched; until its end, or until `sink` has seen enough.
pub fn watch(order: &Order, sink: &mut dyn FnMut(Record) -> ControlFlow<()>) -> Outcome {
    let mut world = World::recording(order);
    let until = Instant::ZERO + order.limit;
    while !world.is_complete() && world.step(until) {
        if world.take_records().into_iter().try_for_each(&mut *sink).is_break() {
            break;
        }
    }
    world.outcome()
}

#[cfg(test)]
mod tests;
