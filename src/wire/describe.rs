//! What a datagram is, as a person would name it: for diagrams, traces and explanations.

use super::cursor::Reader;
use super::frame::{Frame, read_frame};
use super::header::{HEADER_LEN, Header, PacketType};
use super::protection::{self, CRC_LEN};
use std::ops::Range;

/// A packet.
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

/// A frame.
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
                let len = size.saturating_sub(HEADER_LEN + CRC_LEN) as u64;
                Kind::Data(header.offset..header.offset + len)
            }
            PacketType::Control => protection::open(datagram)
                .map_or(Kind::Unreadable, |contents| Kind::Control(elements(contents))),
            PacketType::Hello => Kind::Handshake("HELLO"),
            PacketType::Gone => Kind::Handshake("GONE"),
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
            Frame::Working { .. } => Element::Other("WORKING"),
        });
    }
    elements
}
