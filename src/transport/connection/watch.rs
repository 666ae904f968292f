//! What can be seen of a connection from outside: what it counted, traced and holds.

use super::Connection;
use crate::base::time::Instant;
use crate::transport::stats::{EcnStats, Stats};
use crate::transport::trace::TraceEvent;

/// What a connection holds in memory, in entries unless said otherwise: all that a peer or a link can
/// make grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Packet numbers from the oldest outstanding packet on.
    pub outstanding: u64,
    /// Packets that were overtaken or declared lost, and may turn up.
    pub overtaken: usize,
    /// Ranges of packet numbers received.
    pub ack_ranges: usize,
    /// Ranges of the transfer space: lost or delivered, and received.
    pub ranges: usize,
    /// Bytes of the control stream that are not acknowledged or not sent.
    pub control_out: usize,
    /// Bytes of the control stream that are not read.
    pub control_in: usize,
    /// Frames of a classic strategy that are not acknowledged.
    pub frames: usize,
    /// Packets that carried such frames and may be acknowledged.
    pub frame_packets: usize,
}

impl Connection {
    /// What it holds in memory.
    #[must_use]
    pub fn held(&self) -> Held {
        let (frames, frame_packets) = self.frames.as_ref().map_or((0, 0), super::Frames::held);
        Held {
            outstanding: self.sent.span(),
            overtaken: self.loss.held(),
            ack_ranges: self.acks.held(),
            ranges: self.space_out.fragments() + self.space_in.fragments(),
            control_out: self.control_out.held(),
            control_in: self.control_in.held(),
            frames,
            frame_packets,
        }
    }

    /// Datagrams that arrived damaged and were dropped.
    #[must_use]
    pub fn damaged(&self) -> u64 {
        self.stats.damaged
    }

    /// What was counted so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            delivered: self.space_out.delivered(),
            written: self.stats.written.max(self.space_in.written()),
            smoothed_rtt: self.rtt.smoothed(),
            min_rtt: self.rtt.min(),
            congestion_window: self.congestion.window(),
            bytes_in_flight: self.sent.bytes_in_flight(),
            datagram_size: self.mtu.current(),
            limits: self.limits.times(),
            ecn: EcnStats {
                state: self.marking.state(),
                sent: self.marking.sent(),
                met: self.marking.counted().ce,
                received: self.acks.marks(),
            },
            ..self.stats
        }
    }

    /// What was traced since the last call; nothing unless the configuration asks for it.
    pub fn take_trace(&mut self) -> Vec<(Instant, TraceEvent)> {
        self.trace.take()
    }
}
