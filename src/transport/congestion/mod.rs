//! How much may be in flight, and how fast it goes.

mod bbr;
mod cubic;
mod curve;
mod ebb;
mod fixed;
mod hystart;

use super::config::{CongestionChoice, INITIAL_WINDOW_PACKETS, KnownPath};
use super::delivery::DeliverySample;
use super::rtt::Rtt;
use crate::base::time::{Duration, Instant};
use std::fmt::Debug;

/// On a path shorter than this (loopback, one switch) the scheduler's jitter is longer than a round
/// trip: pacing would only measure it, and so would delay.
const UNPACED_RTT: Duration = Duration::from_micros(500);

/// One acknowledgement, as a controller sees it.
#[derive(Clone, Debug)]
pub struct AckSample<'a> {
    /// When it arrived.
    pub now: Instant,
    /// Packets that it acknowledged for the first time.
    pub packets: u32,
    /// Bytes that it acknowledged for the first time.
    pub bytes: u64,
    /// The largest packet number that it acknowledged for the first time.
    pub largest: u64,
    /// When that packet was sent.
    pub sent_at: Instant,
    /// The packet number that will be sent next.
    pub next: u64,
    /// Bytes that are still in flight.
    pub in_flight: u64,
    /// The sender had nothing more to send: its window was not the limit (RFC 9002 7.8).
    pub is_app_limited: bool,
    /// It brought a new round trip: the newest of `rtt`.
    pub tells_round_trip: bool,
    /// How fast the path delivered, if it tells that.
    pub delivery: Option<DeliverySample>,
    /// Round-trip times, this acknowledgement's included.
    pub rtt: &'a Rtt,
}

/// Packets that count as lost, as a controller sees them.
#[derive(Clone, Debug)]
pub struct LossSample<'a> {
    /// When they came to count as lost.
    pub now: Instant,
    /// How many.
    pub packets: u32,
    /// Their bytes.
    pub bytes: u64,
    /// How many runs of neighbours they are.
    pub runs: u32,
    /// When the newest of them was sent.
    pub sent_at: Instant,
    /// Bytes that were in flight then.
    pub prior_in_flight: u64,
    /// Bytes that have come to count as lost since, these included.
    pub lost_meanwhile: u64,
    /// The sender had nothing more to send then.
    pub is_app_limited: bool,
    /// Bytes that are still in flight.
    pub in_flight: u64,
    /// Round-trip times: the newest is that of a packet sent shortly after them.
    pub rtt: &'a Rtt,
}

/// Packets that met congestion, as a controller sees them.
#[derive(Clone, Debug)]
pub struct MarkSample<'a> {
    /// When that came to be known.
    pub now: Instant,
    /// When the oldest packet was sent that the same acknowledgement tells of.
    pub sent_at: Instant,
    /// Round-trip times.
    pub rtt: &'a Rtt,
}

/// How a window goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It doubles each round trip (RFC 9438 4.10).
    SlowStart,
    /// The delay grew: it grows more slowly, to see whether the delay stays (RFC 9406 4.2).
    ConservativeSlowStart,
    /// It grows as the time since the last congestion event says (RFC 9438 4).
    Avoidance,
    /// It follows a rate.
    Steady,
    /// It follows a measured rate, as in the phases after this one; sends half of that, until the queue of
    /// start-up is gone.
    Drain,
    /// Sends less than the rate, until others find room.
    ProbeDown,
    /// Sends at the rate.
    Cruise,
    /// Fills the path before a probe.
    Refill,
    /// Sends more than the rate, to see whether the path delivers more.
    ProbeUp,
    /// Has half of the path in flight, to see the round trip without a queue.
    ProbeRoundTrip,
}

/// A congestion controller.
pub trait Congestion: Debug + Send {
    /// The round trip is known before anything is sent: what goes first can be spread over it.
    /// So may be what the path was like before.
    fn on_handshake(&mut self, _rtt: &Rtt, _known: Option<KnownPath>) {}

    /// A packet goes, with that many bytes in flight before it.
    fn on_sent(&mut self, _now: Instant, _in_flight: u64) {}

    /// Something was acknowledged for the first time.
    fn on_ack(&mut self, sample: &AckSample<'_>);

    /// Packets were lost.
    fn on_loss(&mut self, sample: &LossSample<'_>);

    /// Whether marks make it send less: only then packets go that may be marked.
    fn answers_marks(&self) -> bool {
        false
    }

    /// A queue on the path marked packets that it would otherwise have lost, or soon would.
    fn on_mark(&mut self, _sample: &MarkSample<'_>) {}

    /// What was taken for lost had only been late: the packet sent at `sent_at` arrived.
    fn on_spurious_loss(&mut self, sent_at: Instant);

    /// Nothing came back for several probe timeouts (RFC 9002 7.6).
    fn on_persistent_congestion(&mut self);

    /// The largest datagram changed, in bytes of UDP payload.
    fn on_datagram_size(&mut self, bytes: u16);

    /// How the window goes on.
    fn phase(&self) -> Phase;

    /// Bytes that may be in flight.
    fn window(&self) -> u64;

    /// Bytes per second between trains.
    fn pacing_rate(&self, rtt: &Rtt) -> f64;
}

impl Phase {
    /// Whether a smaller window is an answer to something: one that follows a rate only follows it.
    #[must_use]
    pub fn is_of_window(self) -> bool {
        matches!(self, Self::SlowStart | Self::ConservativeSlowStart | Self::Avoidance)
    }
}

/// The controller that the user chose; what it draws it draws from `seed`.
#[must_use]
pub fn new(choice: CongestionChoice, datagram: u16, seed: [u8; 32]) -> Box<dyn Congestion> {
    match choice {
        CongestionChoice::Bbr => Box::new(bbr::Bbr::new(datagram, seed)),
        CongestionChoice::Cubic => Box::new(cubic::Cubic::new(datagram)),
        CongestionChoice::Ebb => Box::new(ebb::Ebb::new(datagram)),
        CongestionChoice::Fixed(rate) => Box::new(fixed::Fixed::new(rate)),
    }
}

/// RFC 9002 7.2, for any datagram size.
fn initial_window(datagram: u16) -> u64 {
    INITIAL_WINDOW_PACKETS * u64::from(datagram)
}

/// A window that was computed, as one that is kept to.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "positive, and a float cast saturates"
)]
fn whole_bytes(window: f64) -> u64 {
    window as u64
}

#[cfg(test)]
impl<'a> AckSample<'a> {
    /// Of one packet, the first.
    fn of_one(datagram: u16, rtt: &'a Rtt) -> Self {
        Self {
            now: Instant::ZERO,
            packets: 1,
            bytes: datagram.into(),
            largest: 0,
            sent_at: Instant::ZERO,
            next: 1,
            in_flight: 0,
            is_app_limited: false,
            tells_round_trip: true,
            delivery: None,
            rtt,
        }
    }
}

#[cfg(test)]
impl<'a> LossSample<'a> {
    /// Of one packet, the first.
    fn of_one(datagram: u16, rtt: &'a Rtt) -> Self {
        Self {
            now: Instant::ZERO,
            packets: 1,
            bytes: datagram.into(),
            runs: 1,
            sent_at: Instant::ZERO,
            prior_in_flight: 0,
            lost_meanwhile: datagram.into(),
            is_app_limited: false,
            in_flight: 0,
            rtt,
        }
    }
}
