//! Runs in virtual time, where there is no lab: volley's own CUBIC stands in for TCP's.

use super::ways::Way;
use super::{View, totals};
use crate::base::time::Duration;
use crate::cli::Stop;
use crate::cli::report::simulated;
use crate::net::{Impairment, Interrupt};
use crate::report::comparison::{Ended, Trial};
use crate::report::run::Run;
use crate::sim::{self, Order, Outcome};
use crate::transport::arq::ArqConfig;
use crate::transport::config::CongestionChoice;
use std::ops::ControlFlow;

/// Simulated links, and what goes over them.
#[derive(Debug)]
pub(super) struct Arena {
    link: Impairment,
    size: u64,
    limit: Duration,
}

impl Arena {
    pub(super) fn new(link: Impairment, size: u64, limit: Duration) -> Self {
        Self { link, size, limit }
    }

    pub(super) fn link(&self) -> &Impairment {
        &self.link
    }

    /// One run, and what a report shows of it.
    ///
    /// # Errors
    /// The user asked to end.
    pub(super) fn hold(
        &self,
        way: &Way,
        round: u32,
        view: &View<'_>,
        interrupt: &Interrupt,
    ) -> Result<(Trial, Option<Run>), Stop> {
        let (congestion, arq) = match way {
            Way::Udp { congestion, arq } => (*congestion, *arq),
            Way::Tcp { .. } => (CongestionChoice::Cubic, ArqConfig::default()),
        };
        let order = Order {
            congestion,
            arq,
            size: self.size,
            flows: 1,
            out: self.link.out.clone(),
            back: self.link.back.clone(),
            seed: self.link.seed.wrapping_add(round.into()),
            limit: self.limit,
        };
        let (outcome, run) = match view.bounds {
            None => (watch(&order, interrupt), None),
            Some(bounds) => {
                let (outcome, mut runs) = simulated::run(&order, &way.name(), bounds, interrupt)?;
                (outcome, runs.pop())
            }
        };
        if let Some(failure) = interrupt.failure() {
            return Err(failure.into());
        }
        let flow = &outcome.flows[0];
        let (ended, elapsed) = match (flow.elapsed, &flow.end) {
            (Some(elapsed), _) => (Ended::Complete, elapsed),
            (None, None) => (Ended::CutOff, self.limit),
            (None, Some(end)) => (Ended::Failed(end.to_string()), self.limit),
        };
        let trial = Trial {
            link: Some([outcome.out, outcome.back]),
            packets_sent: Some(outcome.out.offered),
            retransmissions: Some(flow.stats.retransmissions),
            min_rtt: Some(flow.stats.min_rtt),
            ..Trial::of(ended, elapsed, flow.taken)
        };
        let run = run.map(|run| Run { totals: totals(&trial), ..run });
        Ok((trial, run))
    }
}

/// Runs to the end, or until the user asks to end.
fn watch(order: &Order, interrupt: &Interrupt) -> Outcome {
    sim::watch(order, &mut |_| match interrupt.get() {
        None => ControlFlow::Continue(()),
        Some(_) => ControlFlow::Break(()),
    })
}
