//! What happened to each packet, for people who want to see it.

use super::congestion::{Congestion, Phase};
use super::loss::LossRule;
use super::timers::Timer;
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
    /// There are new bytes and room for them, but the receiver's credit ends.
    Blocked {
        /// No byte at or above this offset may go.
        limit: u64,
    },
    /// The congestion controller is in another phase, or its window is smaller.
    Congestion {
        /// How the window goes on.
        phase: Phase,
        /// Bytes that may be in flight.
        window: u64,
        /// And before.
        before: u64,
    },
    /// The handshake is over.
    Connected,
    /// The receiver allows more.
    Credit {
        /// Bytes below this offset may go.
        limit: u64,
    },
    /// A DATA packet was handed out for sending.
    DataSent {
        /// The packet's number.
        number: u64,
        /// The bytes of the transfer space that it carries.
        range: Range<u64>,
        /// Whether those bytes had been sent before.
        again: bool,
        /// Which frame of a classic strategy it is.
        frame: Option<u64>,
    },
    /// The largest datagram changed.
    DatagramSize {
        /// Bytes of UDP payload.
        bytes: u16,
    },
    /// A DATA packet arrived for nothing.
    Discarded {
        /// The packet's number.
        number: u64,
        /// The bytes that it carried.
        range: Range<u64>,
        /// Why.
        reason: Discard,
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
    /// Packets met congestion, as the peer says.
    Marked {
        /// How many more than before.
        packets: u64,
    },
    /// A probe of a larger datagram was handed out for sending.
    MtuProbe {
        /// The packet's number.
        number: u64,
        /// Its size, in bytes of UDP payload.
        bytes: u16,
    },
    /// A packet that had been declared lost was acknowledged.
    Spurious {
        /// The packet's number.
        number: u64,
    },
    /// A deadline has passed. The pacer's does not count: it is no more than the rate.
    TimerFired {
        /// What it was for.
        timer: Timer,
    },
}

/// Why file bytes are thrown away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discard {
    /// They are there already.
    Duplicate,
    /// There is no room for them.
    NoRoom,
    /// The strategy keeps nothing out of order, and an earlier byte is missing.
    OutOfOrder {
        /// The first byte that is missing.
        missing: u64,
    },
}

/// A bounded record of events; records nothing unless asked to.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    enabled: bool,
    events: Vec<(Instant, TraceEvent)>,
    /// The congestion controller's phase and window when they were looked at last.
    congestion: Option<(Phase, u64)>,
    /// The credit at which the sender was last seen to wait.
    blocked: Option<u64>,
}

impl Trace {
    /// A record that is kept only if `enabled`.
    #[must_use]
    pub fn new(enabled: bool) -> Self {
        Self { enabled, ..Self::default() }
    }

    /// Records the event that `event` makes.
    pub fn record(&mut self, now: Instant, event: impl FnOnce() -> TraceEvent) {
        if self.enabled && self.events.len() < EVENTS_MAX {
            self.events.push((now, event()));
        }
    }

    /// Records what a congestion controller decided since the last call, if it is worth a word: a
    /// fixed rate's window follows the round trip and decides nothing.
    pub fn watch(&mut self, now: Instant, congestion: &dyn Congestion) {
        if !self.enabled {
            return;
        }
        let (phase, window) = (congestion.phase(), congestion.window());
        let last = self.congestion.replace((phase, window));
        let before = last.map_or(window, |(_, window)| window);
        let is_cut = window < before && phase.is_of_window();
        if is_cut || last.is_none_or(|(last, _)| last != phase) {
            self.record(now, || TraceEvent::Congestion { phase, window, before });
        }
    }

    /// Records that the sender waits for credit beyond `limit`, once for each limit.
    pub fn blocked(&mut self, now: Instant, limit: u64) {
        if self.enabled && self.blocked.replace(limit) != Some(limit) {
            self.record(now, || TraceEvent::Blocked { limit });
        }
    }

    /// Takes what was recorded.
    pub fn take(&mut self) -> Vec<(Instant, TraceEvent)> {
        std::mem::take(&mut self.events)
    }
}
