//! What an Ethernet frame from a host holds: the IP packet, ready for the link.

use super::devices::HARDWARE;
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

/// The packet in `frame` that is for the link to carry. Its checksum is finished, which the kernel
/// leaves to the device.
pub fn packet(frame: &mut [u8]) -> Option<(Kind, &mut [u8])> {
    let (header, packet) = frame.split_at_mut_checked(HEADER)?;
    let kind = [header[12], header[13]];
    let is_for_routers = match kind {
        IPV4 => packet.get(16..20)? == V4_ROUTERS,
        IPV6 => packet.get(24..40)? == V6_ROUTERS,
        _ => return None,
    };
    if is_for_routers {
        return None;
    }
    finish_checksum(packet);
    Some((Kind(kind), packet))
}

/// Where in a packet what is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Both addresses.
    pub addresses: Range<usize>,
    /// TCP's or UDP's number.
    pub protocol: u8,
    /// The TCP segment or UDP datagram, with its header.
    pub segment: Range<usize>,
}

impl Layout {
    /// The layout of a packet that holds a whole TCP segment or UDP datagram.
    #[must_use]
    pub fn of(packet: &[u8]) -> Option<Self> {
        let length = |at: usize| {
            Some(usize::from(u16::from_be_bytes(packet.get(at..at + 2)?.try_into().ok()?)))
        };
        let (addresses, protocol, segment) = match packet.first()? >> 4 {
            4 => {
                let header = usize::from(packet[0] & 0xf) * 4;
                // More fragments, or a fragment's offset: RFC 791 3.1.
                if length(6)? & 0x3fff != 0 {
                    return None;
                }
                (12..20, *packet.get(9)?, header..length(2)?)
            }
            6 => (8..40, *packet.get(6)?, 40..40 + length(4)?),
            _ => return None,
        };
        let least = match protocol {
            TCP => 20,
            UDP => 8,
            _ => return None,
        };
        let fits = segment.end <= packet.len() && segment.start + least <= segment.end;
        fits.then_some(Self { addresses, protocol, segment })
    }

    /// Whether it is TCP, else it is UDP.
    #[must_use]
    pub fn is_tcp(&self) -> bool {
        self.protocol == TCP
    }
}

/// A device that computes checksums is given the sum of the pseudo header in their place (RFC 9293
/// 3.1). Where that is what is there, what is missing is added.
fn finish_checksum(packet: &mut [u8]) {
    let Some(layout) = Layout::of(packet) else { return };
    let at = layout.segment.start + if layout.is_tcp() { 16 } else { 6 };
    let length = layout.segment.len() as u64;
    let pseudo = sum(&packet[layout.addresses]) + u64::from(layout.protocol) + length;
    if packet[at..at + 2] != fold(pseudo).to_be_bytes() {
        return;
    }
    // The field holds the pseudo header's sum already, so that the sum of all is that of both.
    let checksum = match (!fold(sum(&packet[layout.segment])), layout.protocol) {
        // RFC 768: zero would mean that there is none.
        (0, UDP) => 0xffff,
        (checksum, _) => checksum,
    };
    packet[at..at + 2].copy_from_slice(&checksum.to_be_bytes());
}

/// The sum of 16-bit words (RFC 1071).
fn sum(bytes: &[u8]) -> u64 {
    let words = bytes.chunks_exact(4);
    let rest = words.remainder();
    let mut last = [0; 4];
    last[..rest.len()].copy_from_slice(rest);
    // 32 bits at a time: two sums in one, which folding adds (RFC 1071 2 B, "parallel summation").
    let word = |word: &[u8]| u64::from(u32::from_be_bytes([word[0], word[1], word[2], word[3]]));
    words.map(word).sum::<u64>() + word(&last)
}

fn fold(mut sum: u64) -> u16 {
    loop {
        match u16::try_from(sum) {
            Ok(folded) => return folded,
            Err(_) => sum = (sum & 0xffff) + (sum >> 16),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A UDP datagram over IPv4 with "hello" in it and a checksum that is right.
    const GREETING: [u8; 33] = [
        0x45, 0, 0, 33, 0, 0, 0x40, 0, 64, 17, 0, 0, 198, 18, 0, 1, 198, 18, 0, 2, // IPv4
        0x30, 0x39, 0, 7, 0, 13, 0xff, 0x99, // UDP
        b'h', b'e', b'l', b'l', b'o',
    ];

    fn framed(kind: [u8; 2], packet: &[u8]) -> Vec<u8> {
        [&Kind(kind).header()[..], packet].concat()
    }

    /// The packet with the sum of the pseudo header in the place of its checksum.
    fn unfinished(packet: &[u8], at: usize) -> Vec<u8> {
        let layout = Layout::of(packet).expect("whole");
        let pseudo = sum(&packet[layout.addresses.clone()])
            + u64::from(layout.protocol)
            + layout.segment.len() as u64;
        let mut packet = packet.to_vec();
        packet[at..at + 2].copy_from_slice(&fold(pseudo).to_be_bytes());
        packet
    }

    /// Zero where the checksum is right.
    fn fault(packet: &[u8]) -> u16 {
        let layout = Layout::of(packet).expect("whole");
        let pseudo = sum(&packet[layout.addresses.clone()]) + u64::from(layout.protocol);
        !fold(pseudo + layout.segment.len() as u64 + sum(&packet[layout.segment]))
    }

    #[test]
    fn an_unfinished_checksum_is_finished_and_a_finished_one_left() {
        let unfinished = unfinished(&GREETING, 26);
        assert_ne!(fault(&unfinished), 0);
        for sent in [unfinished, GREETING.to_vec()] {
            let mut frame = framed(IPV4, &sent);
            let (kind, finished) = packet(&mut frame).expect("for the link");
            assert_eq!((kind, fault(finished)), (Kind(IPV4), 0));
        }
        // One that is wrong is the sender's business.
        let mut wrong = GREETING;
        wrong[26] ^= 1;
        let mut frame = framed(IPV4, &wrong);
        assert_eq!(packet(&mut frame).map(|(_, packet)| packet.to_vec()), Some(wrong.to_vec()));
    }

    #[test]
    fn checksums_of_tcp_over_ipv6_are_finished_too() {
        let mut sent = vec![0; 40 + 20 + 7];
        (sent[0], sent[5], sent[6], sent[7]) = (0x60, 27, TCP, 64);
        (sent[23], sent[39], sent[52]) = (1, 2, 0x50);
        sent[60..].copy_from_slice(b"segment");
        let mut frame = framed(IPV6, &unfinished(&sent, 56));
        let (_, finished) = packet(&mut frame).expect("for the link");
        assert_eq!(fault(finished), 0);
    }

    #[test]
    fn sums_do_not_depend_on_how_many_words_are_added_at_a_time() {
        let bytes: Vec<u8> = (0..=255).collect();
        for len in 0..bytes.len() {
            let words = bytes[..len].chunks(2).map(|word| {
                u64::from(word[0]) << 8 | u64::from(word.get(1).copied().unwrap_or_default())
            });
            assert_eq!(fold(sum(&bytes[..len])), fold(words.sum()), "{len}");
        }
    }

    #[test]
    fn only_packets_of_programs_are_for_the_link() {
        let mut report = GREETING;
        report[16..20].copy_from_slice(&V4_ROUTERS);
        let arp = [0x08, 0x06];
        for (kind, sent) in [(arp, &GREETING[..]), (IPV4, &report), (IPV4, &[]), (IPV6, &GREETING)]
        {
            let mut frame = framed(kind, sent);
            assert_eq!(packet(&mut frame), None, "{kind:?}");
        }
        assert_eq!(packet(&mut [0; HEADER - 1]), None);
    }

    #[test]
    fn no_packet_is_believed_to_be_longer_than_it_is() {
        for len in 0..GREETING.len() {
            assert_eq!(Layout::of(&GREETING[..len]), None, "{len}");
        }
        // A fragment holds no whole datagram.
        let mut fragment = GREETING;
        fragment[6] = 0x20;
        assert_eq!(Layout::of(&fragment), None);
        assert_eq!(Layout::of(&GREETING).map(|layout| layout.segment), Some(20..33));
    }
}
