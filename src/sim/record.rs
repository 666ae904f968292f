//! What happened in a simulation, one event at a time.

use crate::base::time::{Duration, Instant};
use crate::link::Fate;
use crate::transport::Connection;
use crate::transport::trace::TraceEvent;
use crate::wire::describe::Packet;
use crate::wire::protection;

/// Which side of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Has the file.
    Sender,
    /// Wants it.
    Receiver,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// When.
    pub at: Instant,
    /// In which transfer.
    pub flow: usize,
    /// On which side.
    pub side: Side,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// A packet went into the link.
    Sent {
        /// Which one.
        packet: Packet,
        /// What becomes of it.
        fate: Fate,
    },
    /// A packet came out of the link.
    Received {
        /// Which one.
        packet: Packet,
        /// It was dropped, for its checksum was wrong.
        is_damaged: bool,
    },
    /// The connection on this side drew a conclusion.
    Noticed(TraceEvent),
    /// The receiver has everything.
    Completed,
    /// What the sender thinks of the path.
    Sampled {
        /// Bytes that may be in flight.
        congestion_window: u64,
        /// Bytes in flight.
        bytes_in_flight: u64,
        /// Smoothed round-trip time.
        smoothed_rtt: Duration,
    },
}

/// Keeps what happens until it is taken; nothing unless it is on.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    is_on: bool,
    records: Vec<Record>,
}

impl Recorder {
    /// One that is on.
    pub(super) fn on() -> Self {
        Self { is_on: true, records: Vec::new() }
    }

    pub(super) fn is_on(&self) -> bool {
        self.is_on
    }

    /// What happened since the last call, in order.
    pub(super) fn take(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.records)
    }

    pub(super) fn sent(
        &mut self,
        at: Instant,
        flow: usize,
        side: Side,
        datagram: &[u8],
        fate: Fate,
    ) {
        if self.is_on {
            let what = What::Sent { packet: Packet::read(datagram), fate };
            self.records.push(Record { at, flow, side, what });
        }
    }

    pub(super) fn received(&mut self, at: Instant, flow: usize, side: Side, datagram: &[u8]) {
        if self.is_on {
            let is_damaged = protection::open(datagram).is_none();
            let what = What::Received { packet: Packet::read(datagram), is_damaged };
            self.records.push(Record { at, flow, side, what });
        }
    }

    /// Takes what a connection has traced.
    pub(super) fn noticed(&mut self, flow: usize, side: Side, connection: &mut Connection) {
        if self.is_on {
            let events = connection.take_trace().into_iter();
            self.records.extend(events.map(|(at, event)| Record {
                at,
                flow,
                side,
                what: What::Noticed(event),
            }));
        }
    }

    pub(super) fn sampled(&mut self, at: Instant, flow: usize, sender: &Connection) {
        if self.is_on {
            let stats = sender.stats();
            let what = What::Sampled {
                congestion_window: stats.congestion_window,
                bytes_in_flight: stats.bytes_in_flight,
                smoothed_rtt: stats.smoothed_rtt,
            };
            self.records.push(Record { at, flow, side: Side::Sender, what });
        }
    }

    pub(super) fn completed(&mut self, at: Instant, flow: usize) {
        if self.is_on {
            self.records.push(Record { at, flow, side: Side::Receiver, what: What::Completed });
        }
    }
}
