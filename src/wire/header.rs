//! The header that every packet begins with: 16 bytes, in the clear.

use super::cursor::{Malformed, Reader};

/// Bytes of the header.
pub const HEADER_LEN: usize = 16;

/// Version of the header's own layout, in the top two bits of the first byte.
pub const HEADER_VERSION: u8 = 1;

/// The largest offset that the header can carry, exclusive: 2^56.
pub const OFFSET_END: u64 = 1 << 56;

/// Names a connection to the side that chose it and receives packets with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u32);

impl ConnectionId {
    /// In the first packet of a connection, when the other side has not chosen yet.
    pub const NONE: Self = Self(0);
}

/// What follows the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketType {
    /// Frames.
    Control,
    /// File bytes at the header's offset.
    Data,
    /// The answer to a packet of a connection that its receiver does not know.
    Gone,
    /// First packet of the initiator.
    Hello,
    /// The responder's reasoned no.
    Refuse,
    /// The responder asks the initiator to prove its address.
    Retry,
    /// The responder speaks none of the versions offered.
    Versions,
    /// The responder's yes.
    Welcome,
}

impl PacketType {
    const ALL: [(Self, u8); 8] = [
        (Self::Hello, 0x00),
        (Self::Welcome, 0x01),
        (Self::Retry, 0x02),
        (Self::Versions, 0x03),
        (Self::Refuse, 0x04),
        (Self::Gone, 0x05),
        (Self::Control, 0x08),
        (Self::Data, 0x09),
    ];

    fn code(self) -> u8 {
        let found = Self::ALL.iter().find(|(kind, _)| *kind == self);
        found.expect("every type is in the table").1
    }

    fn from_code(code: u8) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == code).map(|(kind, _)| *kind)
    }
}

/// The first 16 bytes of a packet.
///
/// | bytes | field |
/// |---|---|
/// | 0 | header version (2 bits), key phase (1 bit), type (5 bits) |
/// | 1..5 | connection id of the side that receives the packet |
/// | 5..9 | packet number, low 32 bits |
/// | 9..16 | offset in the transfer space; zero where there is none |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What follows.
    pub kind: PacketType,
    /// Whom the packet is for.
    pub connection_id: ConnectionId,
    /// Low 32 bits of the packet number; [`full_packet_number`] finds the rest.
    pub packet_number: u32,
    /// Where the payload of a DATA packet belongs, below [`OFFSET_END`].
    pub offset: u64,
}

impl Header {
    /// Writes the header over the first [`HEADER_LEN`] bytes of `packet`.
    ///
    /// # Panics
    /// If `packet` is shorter than a header.
    pub fn write(&self, packet: &mut [u8]) {
        debug_assert!(self.offset < OFFSET_END, "offsets are 56 bits");
        packet[0] = HEADER_VERSION << 6 | self.kind.code();
        packet[1..5].copy_from_slice(&self.connection_id.0.to_be_bytes());
        packet[5..9].copy_from_slice(&self.packet_number.to_be_bytes());
        packet[9..16].copy_from_slice(&self.offset.to_be_bytes()[1..]);
    }

    /// Reads the header off the front of a packet.
    ///
    /// # Errors
    /// Too short, another header version, a key phase in open mode, or an unknown type.
    pub fn read(packet: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(packet, "packet header");
        let first = reader.u8()?;
        if first >> 5 != HEADER_VERSION << 1 {
            return Err(reader.malformed());
        }
        let kind = PacketType::from_code(first & 0x1f).ok_or(reader.malformed())?;
        let connection_id = ConnectionId(reader.u32()?);
        let packet_number = reader.u32()?;
        let mut offset = [0; 8];
        offset[1..].copy_from_slice(&reader.array::<7>()?);
        Ok(Self { kind, connection_id, packet_number, offset: u64::from_be_bytes(offset) })
    }
}

/// The connection id of a packet of any version, for finding its connection before all else.
#[must_use]
pub fn peek_connection_id(packet: &[u8]) -> Option<ConnectionId> {
    let bytes = packet.get(1..5)?;
    Some(ConnectionId(u32::from_be_bytes(bytes.try_into().ok()?)))
}

/// The packet number whose low 32 bits are `low` and that is nearest to `expected`
/// (RFC 9000 A.3), below 2^62.
#[must_use]
pub fn full_packet_number(expected: u64, low: u32) -> u64 {
    const WINDOW: u64 = 1 << 32;
    const HALF: u64 = WINDOW / 2;
    let candidate = expected & !(WINDOW - 1) | u64::from(low);
    if candidate + HALF <= expected && candidate + WINDOW < 1 << 62 {
        candidate + WINDOW
    } else if candidate > expected + HALF && candidate >= WINDOW {
        candidate - WINDOW
    } else {
        candidate
    }
}

/// The low 32 bits of a packet number, as the header carries them.
#[must_use]
pub fn low_bits(packet_number: u64) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "the cut is the meaning")]
    let low = packet_number as u32;
    low
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_layout_is_fixed_to_the_byte() {
        let header = Header {
            kind: PacketType::Data,
            connection_id: ConnectionId(0x0102_0304),
            packet_number: 0x0506_0708,
            offset: 0x0a_0b0c_0d0e_0f10,
        };
        let mut packet = [0; HEADER_LEN];
        header.write(&mut packet);
        assert_eq!(
            packet,
            [0x49, 1, 2, 3, 4, 5, 6, 7, 8, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x10]
        );
        assert_eq!(Header::read(&packet), Ok(header));
        assert_eq!(peek_connection_id(&packet), Some(ConnectionId(0x0102_0304)));
    }

    #[test]
    fn other_versions_types_and_short_packets_are_refused() {
        let mut packet = [0; HEADER_LEN];
        for first in [0x09, 0x89, 0x69, 0x47, 0x5f] {
            packet[0] = first;
            assert!(Header::read(&packet).is_err(), "{first:#x}");
        }
        packet[0] = 0x49;
        assert!(Header::read(&packet[..15]).is_err());
    }

    #[test]
    fn packet_numbers_are_found_across_the_wrap() {
        assert_eq!(full_packet_number(0, 0), 0);
        assert_eq!(full_packet_number(0xffff_ffff, 0), 0x1_0000_0000);
        assert_eq!(full_packet_number(0x1_0000_0005, 0xffff_fffe), 0xffff_fffe);
        assert_eq!(full_packet_number(0x1_0000_0000, 0x10), 0x1_0000_0010);
    }

    proptest! {
        #[test]
        fn a_number_near_the_expected_one_is_restored(
            expected in 0u64..1 << 61,
            ahead in -0x7fff_ffffi64..0x7fff_ffff,
        ) {
            let number = expected.saturating_add_signed(ahead);
            prop_assert_eq!(full_packet_number(expected, low_bits(number)), number);
        }

        #[test]
        fn any_bytes_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(header) = Header::read(&bytes) {
                let mut again = [0; HEADER_LEN];
                header.write(&mut again);
                prop_assert_eq!(&again[..], &bytes[..HEADER_LEN]);
            }
        }
    }
}
