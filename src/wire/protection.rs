//! The trailer: what shows that a packet arrived as it was sent.
//!
//! In open mode a CRC-32 over header and contents finds what the network broke; it does not stop
//! anyone who wants to forge a packet.

use super::header::HEADER_LEN;

/// Bytes of the open mode's trailer.
pub const CRC_LEN: usize = 4;

/// Writes the CRC-32 of all but the last four bytes of `packet` into those four.
///
/// # Panics
/// If `packet` is shorter than its trailer.
pub fn seal(packet: &mut [u8]) {
    let (body, trailer) = packet.split_at_mut(packet.len() - CRC_LEN);
    trailer.copy_from_slice(&crc32fast::hash(body).to_be_bytes());
}

/// The contents between header and trailer, if the packet arrived as it was sent.
#[must_use]
pub fn open(packet: &[u8]) -> Option<&[u8]> {
    let (body, trailer) = packet.split_last_chunk::<CRC_LEN>()?;
    let contents = body.get(HEADER_LEN..)?;
    (crc32fast::hash(body).to_be_bytes() == *trailer).then_some(contents)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_sealed_packet_opens_to_its_contents() {
        let mut packet = vec![7; HEADER_LEN + 3 + CRC_LEN];
        seal(&mut packet);
        assert_eq!(open(&packet), Some(&[7, 7, 7][..]));
    }

    proptest! {
        #[test]
        fn a_changed_bit_is_found(len in 20usize..200, bit in any::<prop::sample::Index>()) {
            let mut packet = vec![0x5a; len];
            seal(&mut packet);
            let bit = bit.index(len * 8);
            packet[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(open(&packet), None);
        }

        #[test]
        fn any_bytes_open_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = open(&bytes);
        }
    }
}
