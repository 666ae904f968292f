//! Something that happened in a transfer, as traces and explanations take it: plain data, whoever saw it.

use super::ladder::Side;
use crate::base::time::{Duration, Instant};
use crate::link::Cause;
use crate::transport::trace::TraceEvent;
use crate::wire::describe::Packet;

/// One thing that happened.
#[derive(Clone, Copy, Debug)]
pub struct Happening<'a> {
    /// When.
    pub at: Instant,
    /// In which transfer, counted from 1.
    pub transfer: u64,
    /// On which side. What the link does is said of the side that sends.
    pub side: Side,
    /// What.
    pub what: What<'a>,
}

/// What happened.
#[derive(Clone, Copy, Debug)]
pub enum What<'a> {
    /// The receiver has every byte.
    Completed,
    /// A packet arrived, and its checksum does not match.
    Damaged(&'a Packet),
    /// The link took a packet.
    Dropped {
        /// The low 32 bits of its number.
        number: u32,
        /// All about it; nothing where only a DATA packet's number is known.
        packet: Option<&'a Packet>,
        /// What took it.
        cause: Cause,
    },
    /// What the sender thinks of the path.
    Measured {
        /// Bytes that may be in flight.
        congestion_window: u64,
        /// Bytes in flight.
        bytes_in_flight: u64,
        /// Smoothed round-trip time.
        smoothed_rtt: Duration,
    },
    /// A connection drew a conclusion.
    Noticed(&'a TraceEvent),
    /// A packet arrived whole.
    Received(&'a Packet),
    /// A packet went into the link.
    Sent(&'a Packet),
}
