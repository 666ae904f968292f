//! What happened in a simulation, one event at a time.

use crate::base::time::{Duration, Instant};
use crate::link::Fate;
use crate::transport::trace::TraceEvent;
use crate::wire::cursor::Reader;
use crate::wire::frame::{Frame, read_frame};
use crate::wire::header::{Header, PacketType};
use crate::wire::protection::{self, CRC_LEN};
use std::ops::Range;

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
    /// The sender's connection drew a conclusion.
    Noticed(TraceEvent),
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

/// A packet as a person would name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The low 32 bits of its number.
    pub number: u32,
    /// What it is.
    pub kind: Kind,
    /// Bytes of UDP payload.
    pub size: usize,
}

/// What a packet is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It carries those bytes of the transfer space.
    Data(Range<u64>),
    /// It carries frames.
    Control(Vec<Element>),
    /// It opens a connection: HELLO, WELCOME and the like.
    Handshake(&'static str),
    /// It cannot be read.
    Unreadable,
}

/// A frame as a person would name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Element {
    /// Which packet numbers arrived, lowest first.
    Ack(Vec<Range<u64>>),
    /// Another frame.
    Other(&'static str),
}

impl Packet {
    /// Reads a datagram, damaged or not.
    #[must_use]
    pub fn read(datagram: &[u8]) -> Self {
        let size = datagram.len();
        let Ok(header) = Header::read(datagram) else {
            return Self { number: 0, kind: Kind::Unreadable, size };
        };
        let kind = match header.kind {
            PacketType::Data => {
                let len = size.saturating_sub(crate::wire::header::HEADER_LEN + CRC_LEN) as u64;
                Kind::Data(header.offset..header.offset + len)
            }
            PacketType::Control => protection::open(datagram)
                .map_or(Kind::Unreadable, |contents| Kind::Control(elements(contents))),
            PacketType::Hello => Kind::Handshake("HELLO"),
            PacketType::Welcome => Kind::Handshake("WELCOME"),
            PacketType::Refuse => Kind::Handshake("REFUSE"),
            PacketType::Retry => Kind::Handshake("RETRY"),
            PacketType::Versions => Kind::Handshake("VERSIONS"),
        };
        Self { number: header.packet_number, kind, size }
    }
}

fn elements(contents: &[u8]) -> Vec<Element> {
    let mut reader = Reader::new(contents, "frame");
    let mut elements = Vec::new();
    while let Ok(Some(frame)) = read_frame(&mut reader) {
        elements.push(match frame {
            Frame::Ack(ack) => Element::Ack(ack.ranges.into_iter().rev().collect()),
            Frame::Close { .. } => Element::Other("CLOSE"),
            Frame::Credit { .. } => Element::Other("CREDIT"),
            Frame::Have(_) => Element::Other("HAVE"),
            Frame::PathChallenge(_) => Element::Other("PATH_CHALLENGE"),
            Frame::PathResponse(_) => Element::Other("PATH_RESPONSE"),
            Frame::Ping => Element::Other("PING"),
            Frame::Stream { .. } => Element::Other("STREAM"),
        });
    }
    elements
}
