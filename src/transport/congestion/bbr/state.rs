//! The states, and what each sends.

use super::STARTUP_GAIN;
use crate::base::time::{Duration, Instant};

/// In one probe the bound grows by no more than 2^30 packets a round.
const CLIMB_ROUNDS: u32 = 30;

/// How the bound on what is in flight rises in a probe: by one packet in the first round, then by two, by four.
#[derive(Clone, Copy, Debug)]
pub(super) struct Climb {
    rounds: u32,
    acked: f64,
    /// Bytes to be acknowledged for one packet more.
    each: f64,
}

impl Climb {
    pub(super) fn new(cwnd: f64, datagram: f64) -> Self {
        let mut climb = Self { rounds: 0, acked: 0.0, each: f64::INFINITY };
        climb.steepen(cwnd, datagram);
        climb
    }

    pub(super) fn steepen(&mut self, cwnd: f64, datagram: f64) {
        self.each = (cwnd / f64::from(1u32 << self.rounds)).max(datagram);
        self.rounds = (self.rounds + 1).min(CLIMB_ROUNDS);
    }

    /// Packets more.
    pub(super) fn on_acked(&mut self, bytes: f64) -> f64 {
        self.acked += bytes;
        let packets = (self.acked / self.each).floor();
        self.acked -= packets * self.each;
        packets
    }
}

/// What the flow is trying.
#[derive(Clone, Copy, Debug)]
pub(super) enum State {
    /// Doubles the rate each round until the path is full.
    Startup,
    /// Sends half of the rate until the queue of start-up is gone.
    Drain {
        /// The count of rounds when it began.
        since: u64,
    },
    /// Sends less than the rate until the queue of the probe is gone and others find room.
    Down,
    /// Sends at the rate.
    Cruise,
    /// Fills the path, so that the probe begins at its edge.
    Refill,
    /// Probes the rate: sends more.
    Up(Climb),
    /// Probes the round trip: has half of the path in flight, at the most.
    ProbeRtt {
        /// When that is enough; unknown until no more is in flight.
        until: Option<Instant>,
        has_round_passed: bool,
    },
}

impl State {
    pub(super) fn pacing_gain(self) -> f64 {
        match self {
            Self::Startup => STARTUP_GAIN,
            Self::Drain { .. } => 0.5,
            Self::Down => 0.9,
            Self::Cruise | Self::Refill | Self::ProbeRtt { .. } => 1.0,
            Self::Up(_) => 1.25,
        }
    }

    /// What may be in flight, of what the path holds with an empty queue.
    pub(super) fn window_gain(self) -> f64 {
        match self {
            Self::Up(_) => 2.25,
            Self::ProbeRtt { .. } => 0.5,
            Self::Startup | Self::Drain { .. } | Self::Down | Self::Cruise | Self::Refill => 2.0,
        }
    }

    /// Whether it sends what it can, so that losses say nothing new.
    pub(super) fn probes_rate(self) -> bool {
        matches!(self, Self::Startup | Self::Refill | Self::Up(_))
    }

    /// Whether it is a part of the probing cycle.
    pub(super) fn is_cycle(self) -> bool {
        matches!(self, Self::Down | Self::Cruise | Self::Refill | Self::Up(_))
    }
}

/// What acknowledgements tell of a probe of the rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Feedback {
    None,
    /// It has begun, and what is acknowledged was sent before.
    Awaited,
    Arriving,
    /// It is over, and its last round is being acknowledged.
    Ending,
}

/// The cycle of probes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cycle {
    pub(super) begun: Instant,
    pub(super) wait: Duration,
    /// Since the last probe.
    pub(super) rounds: u32,
    pub(super) feedback: Feedback,
    /// Losses belong to a probe that has not been answered.
    pub(super) is_open: bool,
    /// The last probe lost too much.
    pub(super) was_too_high: bool,
    /// The last probe ended early, since the one before had lost too much.
    pub(super) was_cautious: bool,
}

impl Cycle {
    pub(super) fn new() -> Self {
        Self {
            begun: Instant::ZERO,
            wait: Duration::ZERO,
            rounds: 0,
            feedback: Feedback::None,
            is_open: false,
            was_too_high: false,
            was_cautious: false,
        }
    }
}
