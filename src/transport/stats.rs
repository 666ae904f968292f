//! What a connection counted. No formatting here.

use super::ecn::EcnState;
use super::limits::LimitTimes;
use crate::base::time::Duration;
use crate::base::units::Share;
use crate::wire::frame::Marks;

/// Counters and estimates of one connection, as seen from one side.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stats {
    /// Datagrams sent, of any kind.
    pub datagrams_sent: u64,
    /// Bytes of UDP payload sent.
    pub bytes_sent: u64,
    /// Datagrams that arrived whole.
    pub datagrams_received: u64,
    /// Bytes of UDP payload that arrived whole.
    pub bytes_received: u64,
    /// Datagrams that arrived damaged and were dropped.
    pub damaged: u64,
    /// DATA packets sent.
    pub data_packets_sent: u64,
    /// DATA packets sent whose bytes had been sent before.
    pub retransmissions: u64,
    /// DATA packets that the peer had no use for: their bytes were there already.
    pub spurious_retransmissions: u64,
    /// Packets declared lost.
    pub packets_lost: u64,
    /// Ack-eliciting packets that were acknowledged.
    pub packets_acked: u64,
    /// Probe timeouts that fired.
    pub probe_timeouts: u64,
    /// File bytes known to be at the peer.
    pub delivered: u64,
    /// File bytes that the peer says are written; at the receiver, those written here.
    pub written: u64,
    /// Smoothed round-trip time.
    pub smoothed_rtt: Duration,
    /// Smallest round-trip time.
    pub min_rtt: Duration,
    /// Bytes that may be in flight.
    pub congestion_window: u64,
    /// Bytes in flight.
    pub bytes_in_flight: u64,
    /// Bytes of UDP payload in one datagram, at most.
    pub datagram_size: u16,
    /// How long what kept the sender from sending more.
    pub limits: LimitTimes,
    /// Marks of congestion.
    pub ecn: EcnStats,
}

/// Marks of congestion (RFC 3168).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EcnStats {
    /// Whether the path carries them.
    pub state: EcnState,
    /// Packets sent that may be marked.
    pub sent: u64,
    /// Of them, as the peer says, those that met congestion.
    pub met: u64,
    /// Packets received with each mark.
    pub received: Marks,
}

impl Stats {
    /// DATA packets sent whose bytes had not been sent before.
    #[must_use]
    pub fn first_sends(&self) -> u64 {
        self.data_packets_sent - self.retransmissions
    }

    /// Retransmissions that brought something.
    #[must_use]
    pub fn needed_retransmissions(&self) -> u64 {
        self.retransmissions - self.unneeded_retransmissions()
    }

    /// Retransmissions that brought nothing. A link that repeats datagrams makes the peer count more.
    #[must_use]
    pub fn unneeded_retransmissions(&self) -> u64 {
        self.spurious_retransmissions.min(self.retransmissions)
    }

    /// The share of decided packets that were lost: what the path looks like from here.
    #[must_use]
    pub fn observed_loss(&self) -> Share {
        Share::of(self.packets_lost, self.packets_lost + self.packets_acked)
    }
}
