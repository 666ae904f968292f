//! What an Ethernet frame from a host holds: an IP packet for the link, or something that is not.

use super::devices::HARDWARE;
use crate::base::ecn::Ecn;
use std::ops::Range;

/// Bytes in front of the packet: two addresses and a type.
pub const HEADER: usize = 14;

const IPV4: [u8; 2] = [0x08, 0x00];
const IPV6: [u8; 2] = [0x86, 0xdd];

const TCP: u8 = 6;
const UDP: u8 = 17;

/// To multicast routers, of which this link has none: RFC 3376 4.2.14, RFC 3810 5.2.14.
const V4_ROUTERS: [u8; 4] = [224, 0, 0, 22];
const V6_ROUTERS: [u8; 16] = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x16];

/// The kind of packet in a frame, as its header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind([u8; 2]);

impl Kind {
    /// The header of a frame with such a packet, from one host to the other.
    #[must_use]
    pub fn header(self) -> [u8; HEADER] {
        let mut header = [0; HEADER];
        header[..6].copy_from_slice(&HARDWARE);
        header[6..12].copy_from_slice(&HARDWARE);
        header[12..].copy_from_slice(&self.0);
        header
    }
}

/// The packet in `frame`, if it is for the link to carry.
#[must_use]
pub fn packet(frame: &[u8]) -> Option<(Kind, &[u8])> {
    let (header, packet) = frame.split_at_checked(HEADER)?;
    let kind = [header[12], header[13]];
    let is_for_routers = match kind {
        IPV4 => packet.get(16..20)? == V4_ROUTERS,
        IPV6 => packet.get(24..40)? == V6_ROUTERS,
        _ => return None,
    };
    (!is_for_routers).then_some((Kind(kind), packet))
}

/// What a packet says of congestion (RFC 791, RFC 8200 and RFC 3168 5).
#[must_use]
pub fn ecn(packet: &[u8]) -> Ecn {
    let bits = |byte: &u8| if is_v6(packet) { byte >> 4 } else { *byte };
    packet.get(1).map(bits).map_or(Ecn::NotEct, Ecn::from_bits)
}

/// Makes a packet say that it met congestion.
pub fn mark(packet: &mut [u8]) {
    let is_v6 = is_v6(packet);
    let Some(header) = packet.first_chunk_mut::<12>() else { return };
    if is_v6 {
        header[1] |= Ecn::Ce.bits() << 4;
        return;
    }
    let word = |header: &[u8; 12], at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    let (before, checksum) = (word(header, 0), word(header, 10));
    header[1] |= Ecn::Ce.bits();
    // RFC 1624, equation 3, in ones' complement.
    let add = |one: u16, other: u16| {
        let (sum, carries) = one.overflowing_add(other);
        sum + u16::from(carries)
    };
    let checksum = !add(add(!checksum, !before), word(header, 0));
    header[10..].copy_from_slice(&checksum.to_be_bytes());
}

fn is_v6(packet: &[u8]) -> bool {
    packet.first().is_some_and(|byte| byte >> 4 == 6)
}

/// Where in a packet a whole TCP segment or UDP datagram is, with its header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A TCP segment.
    Tcp(Range<usize>),
    /// A UDP datagram.
    Udp(Range<usize>),
}

impl Place {
    /// Finds it, if there is one.
    #[must_use]
    pub fn find(packet: &[u8]) -> Option<Self> {
        let length = |at: usize| {
            Some(usize::from(u16::from_be_bytes(packet.get(at..at + 2)?.try_into().ok()?)))
        };
        let (protocol, place) = match packet.first()? >> 4 {
            4 => {
                let header = usize::from(packet[0] & 0xf) * 4;
                // More fragments, or a fragment's offset: RFC 791 3.1.
                if length(6)? & 0x3fff != 0 {
                    return None;
                }
                (*packet.get(9)?, header..length(2)?)
            }
            6 => (*packet.get(6)?, 40..40 + length(4)?),
            _ => return None,
        };
        let holds = |least| place.end <= packet.len() && place.start + least <= place.end;
        match protocol {
            TCP if holds(20) => Some(Self::Tcp(place)),
            UDP if holds(8) => Some(Self::Udp(place)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A UDP datagram over IPv4 with "hello" in it.
    const GREETING: [u8; 33] = [
        0x45, 0, 0, 33, 0, 0, 0x40, 0, 64, 17, 0, 0, 198, 18, 0, 1, 198, 18, 0, 2, // IPv4
        0x30, 0x39, 0, 7, 0, 13, 0xff, 0x99, // UDP
        b'h', b'e', b'l', b'l', b'o',
    ];

    fn framed(kind: [u8; 2], packet: &[u8]) -> Vec<u8> {
        [&Kind(kind).header()[..], packet].concat()
    }

    #[test]
    fn only_packets_of_programs_are_for_the_link() {
        let frame = framed(IPV4, &GREETING);
        assert_eq!(packet(&frame), Some((Kind(IPV4), &GREETING[..])));
        let mut report = GREETING;
        report[16..20].copy_from_slice(&V4_ROUTERS);
        let arp = [0x08, 0x06];
        for (kind, sent) in [(arp, &GREETING[..]), (IPV4, &report), (IPV4, &[]), (IPV6, &GREETING)]
        {
            assert_eq!(packet(&framed(kind, sent)), None, "{kind:?}");
        }
        assert_eq!(packet(&[0; HEADER - 1]), None);
    }

    #[test]
    fn a_mark_is_in_the_header_and_its_checksum_holds() {
        /// RFC 1071: right if it is zero.
        fn checksum(header: &[u8]) -> u16 {
            let words = header.chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(word[1]));
            let sum: u32 = words.sum();
            !u16::try_from((sum & 0xffff) + (sum >> 16)).expect("a short header")
        }
        for before in [Ecn::NotEct, Ecn::Ect0, Ecn::Ect1, Ecn::Ce] {
            let mut packet = GREETING;
            packet[1] = 0xb8 | before.bits();
            let right = checksum(&packet[..20]);
            packet[10..12].copy_from_slice(&right.to_be_bytes());
            assert_eq!((ecn(&packet), checksum(&packet[..20])), (before, 0));
            mark(&mut packet);
            assert_eq!((ecn(&packet), checksum(&packet[..20])), (Ecn::Ce, 0));
            assert_eq!((packet[1], &packet[12..]), (0xbb, &GREETING[12..]));
        }
        let mut packet = [0x60; 40];
        (packet[1], packet[2]) = (0x25, 0x67);
        assert_eq!(ecn(&packet), Ecn::Ect0);
        mark(&mut packet);
        assert_eq!((ecn(&packet), packet[1]), (Ecn::Ce, 0x35));
        for len in 0..12 {
            mark(&mut packet[..len]);
            let _ = ecn(&packet[..len]);
        }
    }

    #[test]
    fn no_packet_is_believed_to_be_longer_than_it_is() {
        for len in 0..GREETING.len() {
            assert_eq!(Place::find(&GREETING[..len]), None, "{len}");
        }
        // A fragment holds no whole datagram.
        let mut fragment = GREETING;
        fragment[6] = 0x20;
        assert_eq!(Place::find(&fragment), None);
        assert_eq!(Place::find(&GREETING), Some(Place::Udp(20..33)));
    }
}
