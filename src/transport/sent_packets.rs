//! What was sent and is neither acknowledged nor declared lost.

use super::delivery::Snapshot;
use crate::base::time::Instant;
use std::collections::VecDeque;
use std::ops::Range;

/// What a packet carried that must arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Bytes of the transfer space.
    Data(Range<u64>),
    /// What is missing; an older one is no use, but a new one must go.
    Have,
    /// A probe of a larger datagram: not in flight, and its loss means nothing but "too large".
    MtuProbe,
    /// Nothing that would have to be sent again.
    Ping,
    /// Bytes of the control stream.
    Stream(Range<u64>),
}

/// One ack-eliciting packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentPacket {
    /// Its packet number.
    pub number: u64,
    /// When it was handed out for sending.
    pub sent_at: Instant,
    /// Bytes of UDP payload.
    pub size: u16,
    /// It went marked ECT(0).
    pub is_marked: bool,
    /// What it carried.
    pub content: Content,
    /// What was delivered when it was sent.
    pub delivery: Snapshot,
}

impl SentPacket {
    fn in_flight_bytes(&self) -> u64 {
        if self.content == Content::MtuProbe { 0 } else { u64::from(self.size) }
    }
}

/// A window of packet numbers: each holds the packet while it is outstanding.
#[derive(Clone, Debug, Default)]
pub struct SentPackets {
    window: VecDeque<Option<SentPacket>>,
    /// Packet number of the window's front.
    base: u64,
    bytes_in_flight: u64,
    outstanding: usize,
}

impl SentPackets {
    /// The number that the next packet gets.
    #[must_use]
    pub fn next_number(&self) -> u64 {
        self.base + self.window.len() as u64
    }

    /// Packet numbers from the oldest outstanding packet on.
    #[must_use]
    pub fn span(&self) -> u64 {
        self.window.len() as u64
    }

    /// Bytes sent, neither acknowledged nor declared lost.
    #[must_use]
    pub fn bytes_in_flight(&self) -> u64 {
        self.bytes_in_flight
    }

    /// Whether nothing is outstanding.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.outstanding == 0
    }

    /// Uses up a number for a packet that elicits no acknowledgement.
    pub fn skip(&mut self) {
        self.window.push_back(None);
        self.advance();
    }

    /// Takes a packet into the window; its number must be [`SentPackets::next_number`].
    pub fn push(&mut self, packet: SentPacket) {
        assert_eq!(packet.number, self.next_number(), "packet numbers rise by one");
        self.bytes_in_flight += packet.in_flight_bytes();
        self.outstanding += 1;
        self.window.push_back(Some(packet));
    }

    /// The outstanding packet of that number.
    #[must_use]
    pub fn get(&self, number: u64) -> Option<&SentPacket> {
        let index = usize::try_from(number.checked_sub(self.base)?).ok()?;
        self.window.get(index)?.as_ref()
    }

    /// Takes the packet of that number out: it is acknowledged, lost or was never sent.
    pub fn take(&mut self, number: u64) -> Option<SentPacket> {
        let index = usize::try_from(number.checked_sub(self.base)?).ok()?;
        let packet = self.window.get_mut(index)?.take()?;
        self.bytes_in_flight -= packet.in_flight_bytes();
        self.outstanding -= 1;
        self.advance();
        Some(packet)
    }

    /// Outstanding packets, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &SentPacket> {
        self.window.iter().flatten()
    }

    fn advance(&mut self) {
        while let Some(None) = self.window.front() {
            self.window.pop_front();
            self.base += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(number: u64, content: Content) -> SentPacket {
        let delivery = Snapshot::default();
        SentPacket {
            number,
            sent_at: Instant::ZERO,
            size: 100,
            is_marked: false,
            content,
            delivery,
        }
    }

    #[test]
    fn the_window_follows_the_oldest_outstanding_packet() {
        let mut sent = SentPackets::default();
        sent.push(packet(0, Content::Ping));
        sent.skip();
        sent.push(packet(2, Content::Data(0..80)));
        assert_eq!((sent.bytes_in_flight(), sent.next_number()), (200, 3));
        assert!(sent.take(1).is_none());
        assert!(sent.take(0).is_some());
        assert_eq!(sent.base, 2);
        assert!(sent.take(0).is_none(), "only once");
        assert_eq!(sent.iter().map(|packet| packet.number).collect::<Vec<_>>(), [2]);
        sent.take(2);
        assert!(sent.is_empty());
        assert_eq!((sent.bytes_in_flight(), sent.next_number()), (0, 3));
    }

    #[test]
    fn numbers_never_sent_are_not_there() {
        let mut sent = SentPackets::default();
        assert!(sent.get(0).is_none() && sent.take(u64::MAX).is_none());
    }

    #[test]
    fn an_mtu_probe_is_not_in_flight() {
        let mut sent = SentPackets::default();
        sent.push(packet(0, Content::MtuProbe));
        assert_eq!(sent.bytes_in_flight(), 0);
        assert!(!sent.is_empty());
    }
}
