//! How far a transfer is.

use crate::transport::stats::Stats;

/// Where a transfer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The other side has not answered.
    Connecting,
    /// Nothing goes: it is found out what would.
    Planning,
    /// Bytes go.
    Transferring,
    /// All bytes are there; the receiver verifies and stores them.
    Committing,
}

/// How far a transfer is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Where it is.
    pub phase: Phase,
    /// File bytes at the receiver.
    pub done: u64,
    /// File bytes offered.
    pub total: u64,
    /// Whether all that will be offered has been.
    pub is_total_known: bool,
    /// What the transport counted; nothing over TCP.
    pub stats: Option<Stats>,
}
