//! What happened to each packet, for people who want to see it.

use super::loss::LossRule;
use crate::base::time::Instant;
use std::ops::Range;

/// Events kept until they are taken; what comes beyond is not recorded.
const EVENTS_MAX: usize = 1 << 18;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TraceEvent {
    /// The peer acknowledged a packet for the first time.
    Acked {
        /// The packet's number.
        number: u64,
    },
    /// A DATA packet was handed out for sending.
    DataSent {
        /// The packet's number.
        number: u64,
        /// The bytes of the transfer space that it carries.
        range: Range<u64>,
        /// Whether those bytes had been sent before.
        again: bool,
    },
    /// A packet was declared lost. Probes of larger datagrams do not count.
    Lost {
        /// The packet's number.
        number: u64,
        /// The bytes of the transfer space that it carried, if any.
        range: Option<Range<u64>>,
        /// Why.
        rule: LossRule,
    },
    /// Nothing was acknowledged for too long.
    ProbeTimeout,
}

/// A bounded record of events; records nothing unless asked to.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    enabled: bool,
    events: Vec<(Instant, TraceEvent)>,
}

impl Trace {
    /// A record that is kept only if `enabled`.
    #[must_use]
    pub fn new(enabled: bool) -> Self {
        Self { enabled, events: Vec::new() }
    }

    /// Records the event that `event` makes.
    pub fn record(&mut self, now: Instant, event: impl FnOnce() -> TraceEvent) {
        if self.enabled && self.events.len() < EVENTS_MAX {
            self.events.push((now, event()));
        }
    }

    /// Takes what was recorded.
    pub fn take(&mut self) -> Vec<(Instant, TraceEvent)> {
        std::mem::take(&mut self.events)
    }
}
