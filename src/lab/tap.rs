//! What became of each packet, told to whoever watches.

use super::frame::Place;
use crate::base::time::Instant;
use crate::link::{Direction, Fate};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

/// Bytes of a UDP datagram that are told: a header of ours fits.
const HEAD: usize = 24;

/// A packet on its way into the link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// When it came to the link.
    pub at: Instant,
    /// Which way: out is from A to B.
    pub direction: Direction,
    /// Bytes of the IP packet.
    pub size: usize,
    /// What becomes of it.
    pub fate: Fate,
    /// What it holds.
    pub content: Content,
}

/// What a packet holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A TCP segment (RFC 9293 3.1).
    Tcp(Segment),
    /// A UDP datagram.
    Udp {
        /// From and to.
        ports: [u16; 2],
        /// Bytes of payload.
        payload: usize,
        /// The first of them; the rest of this is zero.
        head: [u8; HEAD],
    },
    /// Anything else.
    Other,
}

/// A TCP segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// From and to.
    pub ports: [u16; 2],
    /// The sequence number of its first byte.
    pub sequence: u32,
    /// The next byte that its sender expects.
    pub acknowledgment: u32,
    /// FIN is bit 0, then SYN, RST, PSH, ACK, URG, ECE, CWR.
    pub flags: u8,
    /// The window that its sender announces, not scaled.
    pub window: u16,
    /// Bytes of payload.
    pub payload: usize,
}

/// Where packets are told of.
#[derive(Debug)]
pub struct Watch {
    sightings: Receiver<Sighting>,
    untold: Arc<AtomicU64>,
}

impl Watch {
    /// The packets, each way in the order in which they came. Ends when the lab has.
    #[must_use]
    pub fn sightings(&self) -> &Receiver<Sighting> {
        &self.sightings
    }

    /// Packets that were not told of, because there was no room.
    #[must_use]
    pub fn untold(&self) -> u64 {
        self.untold.load(Ordering::Relaxed)
    }
}

/// Tells of packets, from any thread.
#[derive(Clone, Debug)]
pub struct Tap {
    sightings: SyncSender<Sighting>,
    untold: Arc<AtomicU64>,
}

impl Tap {
    /// A tap that holds up to `capacity` sightings that nobody has asked for.
    #[must_use]
    pub fn new(capacity: usize) -> (Self, Watch) {
        let (sightings, receiver) = sync_channel(capacity);
        let untold: Arc<AtomicU64> = Arc::default();
        let watch = Watch { sightings: receiver, untold: untold.clone() };
        (Self { sightings, untold }, watch)
    }

    /// Tells of a packet, and whether anybody still wants to know.
    pub fn tell(&self, at: Instant, direction: Direction, packet: &[u8], fate: Fate) -> bool {
        let content = Content::of(packet);
        let sighting = Sighting { at, direction, size: packet.len(), fate, content };
        match self.sightings.try_send(sighting) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                self.untold.fetch_add(1, Ordering::Relaxed);
                true
            }
            Err(TrySendError::Disconnected(_)) => false,
        }
    }
}

impl Content {
    fn of(packet: &[u8]) -> Self {
        match Place::find(packet) {
            Some(Place::Tcp(place)) => Self::Tcp(Segment::read(&packet[place])),
            Some(Place::Udp(place)) => {
                let datagram = &packet[place];
                let payload = &datagram[8..];
                let mut head = [0; HEAD];
                let told = payload.len().min(HEAD);
                head[..told].copy_from_slice(&payload[..told]);
                let ports = [short(datagram, 0), short(datagram, 2)];
                Self::Udp { ports, payload: payload.len(), head }
            }
            None => Self::Other,
        }
    }
}

impl Segment {
    /// It opens a connection.
    #[must_use]
    pub fn is_syn(&self) -> bool {
        self.flags & 0b10 != 0
    }

    fn read(bytes: &[u8]) -> Self {
        let long = |at| u32::from(short(bytes, at)) << 16 | u32::from(short(bytes, at + 2));
        let header = usize::from(bytes[12] >> 4) * 4;
        Self {
            ports: [short(bytes, 0), short(bytes, 2)],
            sequence: long(4),
            acknowledgment: long(8),
            flags: bytes[13],
            window: short(bytes, 14),
            payload: bytes.len().saturating_sub(header),
        }
    }
}

fn short(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::Cause;

    #[test]
    fn a_tcp_segment_is_told_with_its_numbers() {
        let mut packet = vec![0; 20 + 32 + 10];
        (packet[0], packet[3], packet[9]) = (0x45, 62, 6);
        let segment = [
            0x14, 0x51, 0, 80, 0, 1, 0, 2, 0, 3, 0, 4, 0x80, 0x18, 0x02, 0x00, // to the window
        ];
        packet[20..36].copy_from_slice(&segment);
        let told = Segment {
            ports: [5201, 80],
            sequence: 0x0001_0002,
            acknowledgment: 0x0003_0004,
            flags: 0x18,
            window: 512,
            payload: 10,
        };
        assert_eq!(Content::of(&packet), Content::Tcp(told));
    }

    #[test]
    fn what_does_not_fit_is_counted_and_nobody_is_told_who_left() {
        let (tap, watch) = Tap::new(1);
        let tell = || tap.tell(Instant::ZERO, Direction::Out, &[], Fate::Lost(Cause::Chance));
        assert!(tell() && tell() && watch.untold() == 1);
        drop(watch);
        assert!(!tell());
    }
}
