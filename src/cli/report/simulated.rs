//! What happens in a simulation, as runs of a report.

use crate::base::range_set::RangeSet;
use crate::base::time::Instant;
use crate::net::Interrupt;
use crate::report::run::{Bounds, Packets, Path, Run, Sample, Samples, Totals};
use crate::report::summary::{LinkSummary, Way};
use crate::sim::record::{Record, Side, What};
use crate::sim::{self, FlowOutcome, IP_AND_UDP, Order, Outcome};
use crate::transfer::outcome::Failure;
use crate::transport::arq::Strategy;
use crate::wire::describe::{Kind, Packet};
use std::ops::ControlFlow;

/// Runs a simulation to its end, as `sim::run` does, and watches each of its flows.
///
/// # Errors
/// The user asked to end.
pub fn run(
    order: &Order,
    label: &str,
    bounds: Bounds,
    interrupt: &Interrupt,
) -> Result<(Outcome, Vec<Run>), Failure> {
    let strategy = order.arq.strategy;
    let mut flows: Vec<Watched> =
        (0..order.flows).map(|_| Watched::new(strategy, bounds)).collect();
    let outcome = sim::watch(order, &mut |record| {
        flows[record.flow].see(&record);
        if interrupt.get().is_none() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    if let Some(failure) = interrupt.failure() {
        return Err(failure);
    }
    let runs = flows.into_iter().enumerate();
    let runs = runs.map(|(flow, watched)| watched.run(flow, order, &outcome, label)).collect();
    Ok((outcome, runs))
}

/// What has been seen of one flow.
struct Watched {
    /// A congestion controller chooses the window.
    is_controlled: bool,
    samples: Samples,
    packets: Packets,
    received: RangeSet,
    path: Option<Path>,
    latest: Instant,
}

impl Watched {
    fn new(strategy: Strategy, bounds: Bounds) -> Self {
        Self {
            is_controlled: strategy == Strategy::Volley,
            samples: Samples::new(bounds),
            packets: Packets::new(bounds),
            received: RangeSet::new(),
            path: None,
            latest: Instant::ZERO,
        }
    }

    fn see(&mut self, record: &Record) {
        let at = record.at;
        self.latest = at;
        match &record.what {
            What::Sent { packet: Packet { kind: Kind::Data(_), number, .. }, fate } => {
                if !fate.is_kept_whole() {
                    self.packets.lost_on_link(at, *number);
                }
            }
            What::Noticed(event) if record.side == Side::Sender => {
                self.packets.traced(at, event);
            }
            What::Received {
                packet: Packet { kind: Kind::Data(range), .. },
                is_damaged: false,
            } if record.side == Side::Receiver => {
                self.received.insert(range.clone());
                self.sample(at);
            }
            What::Sampled { congestion_window, bytes_in_flight, smoothed_rtt } => {
                self.path = Some(Path {
                    congestion_window: self.is_controlled.then_some(*congestion_window),
                    bytes_in_flight: *bytes_in_flight,
                    smoothed_rtt: *smoothed_rtt,
                });
                self.sample(at);
            }
            What::Completed | What::Noticed(_) | What::Received { .. } | What::Sent { .. } => {}
        }
    }

    fn sample(&mut self, at: Instant) {
        self.samples.push(Sample { at, delivered: self.received.total(), path: self.path });
    }

    fn run(self, flow: usize, order: &Order, outcome: &Outcome, label: &str) -> Run {
        let FlowOutcome { elapsed, stats, .. } = &outcome.flows[flow];
        let label = match order.flows {
            1 => label.to_owned(),
            flows => format!("{label}, {} of {flows}", flow + 1),
        };
        Run {
            label,
            link: Some(LinkSummary {
                out: Way { config: order.out.clone(), counts: outcome.out },
                back: Way { config: order.back.clone(), counts: outcome.back },
                seed: order.seed,
                found_damaged: outcome.out.corrupted + outcome.back.corrupted,
            }),
            totals: Totals {
                delivered: self.received.total(),
                elapsed: elapsed.unwrap_or(self.latest.since(Instant::ZERO)),
                broken_off: elapsed.is_none().then(|| "the link takes too much".into()),
                wire_bytes: Some(stats.bytes_sent + stats.datagrams_sent * IP_AND_UDP as u64),
                retransmissions: Some(stats.retransmissions),
            },
            samples: self.samples,
            packets: self.packets,
            notes: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::Duration;
    use crate::base::units::{Rate, Share};
    use crate::link::{Bottleneck, LinkConfig};
    use crate::report::run::{Kind as Mark, Report};
    use crate::transport::arq::ArqConfig;
    use crate::transport::config::CongestionChoice;

    fn order(strategy: Strategy, flows: usize) -> Order {
        let rate = Rate::from_bits_per_second(10_000_000);
        let link = LinkConfig {
            loss: Share::new(0.03),
            corruption: Share::new(0.01),
            delay: Duration::from_millis(10),
            bottleneck: Some(Bottleneck { rate, queue: 30_000 }),
            ..LinkConfig::default()
        };
        let mut order = Order {
            congestion: CongestionChoice::Cubic,
            arq: ArqConfig { strategy, ..ArqConfig::default() },
            size: 300_000,
            flows,
            out: link.clone(),
            back: link,
            seed: 11,
            limit: Duration::from_secs(1000),
        };
        order.follow_textbook();
        order
    }

    #[test]
    fn to_be_watched_changes_nothing() {
        for strategy in [Strategy::Volley, Strategy::StopAndWait, Strategy::GoBackN] {
            let order = order(strategy, 1);
            let unseen = sim::run(&order);
            let (seen, _) =
                run(&order, "", Report::bounds(1), &Interrupt::default()).expect("it ends");
            assert_eq!(
                (seen.elapsed(), seen.out, seen.back),
                (unseen.elapsed(), unseen.out, unseen.back)
            );
            assert_eq!(seen.flows[0].stats, unseen.flows[0].stats);
        }
    }

    #[test]
    fn the_marks_are_what_the_connection_and_the_link_counted() {
        for (strategy, flows) in [(Strategy::Volley, 2), (Strategy::SelectiveRepeat, 1)] {
            let (outcome, runs) =
                run(&order(strategy, flows), "x", Report::bounds(1), &Interrupt::default())
                    .expect("it ends");
            assert_eq!(runs.len(), flows);
            for (run, flow) in runs.iter().zip(&outcome.flows) {
                let total = |kind| run.packets.of(kind).total();
                let stats = &flow.stats;
                assert_eq!(total(Mark::SentAgain), stats.retransmissions);
                assert_eq!(total(Mark::Sent) + total(Mark::SentAgain), stats.data_packets_sent);
                assert_eq!(run.totals.delivered, 300_000);
                assert_eq!(run.totals.elapsed, flow.elapsed.expect("it is over"));
                assert!(total(Mark::LostOnLink) > 3 && total(Mark::DeclaredLost) > 3);
                let windows = run.samples.goodput(run.totals.elapsed);
                assert!(windows.iter().any(|(_, rate)| rate.bits_per_second() > 1_000_000));
            }
        }
    }
}
