//! Packets on their way out: a train of equal datagrams in one buffer.

use super::path::PathId;
use crate::base::ecn::Ecn;
use crate::wire::header::{HEADER_LEN, Header};
use crate::wire::protection::{self, CRC_LEN};
use std::ops::Range;

/// Bytes of header and trailer around a payload.
pub const PACKET_OVERHEAD: usize = HEADER_LEN + CRC_LEN;

/// A place in the train that waits for file bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Where the file bytes belong in [`Batch::bytes`].
    pub payload: Range<usize>,
    /// Which bytes of the transfer space they are.
    pub offset: u64,
    /// Whether they were sent before.
    pub again: bool,
    /// The frame of a classic strategy that they are.
    pub frame: Option<u64>,
}

impl Slot {
    /// The bytes of the transfer space that belong there.
    #[must_use]
    pub fn range(&self) -> Range<u64> {
        self.offset..self.offset + self.payload.len() as u64
    }
}

/// One or more datagrams, all of [`Batch::segment_size`] but the last, which may be shorter.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    segment_size: usize,
    slots: Vec<Slot>,
    path: PathId,
    ecn: Ecn,
}

impl Batch {
    /// The datagrams, one behind the other.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where they go.
    #[must_use]
    pub fn path(&self) -> PathId {
        self.path
    }

    /// What their IP packets say of congestion.
    #[must_use]
    pub fn ecn(&self) -> Ecn {
        self.ecn
    }

    /// Bytes of each datagram but the last.
    #[must_use]
    pub fn segment_size(&self) -> usize {
        self.segment_size
    }

    /// The datagrams, one by one.
    pub fn datagrams(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes.chunks(self.segment_size.max(1))
    }

    /// The places that wait for file bytes.
    #[must_use]
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// Calls `fill` with the offset and the place of each payload.
    ///
    /// # Errors
    /// The first error of `fill`; the batch must not be sent then.
    pub fn fill<E>(
        &mut self,
        mut fill: impl FnMut(u64, &mut [u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        for slot in &self.slots {
            fill(slot.offset, &mut self.bytes[slot.payload.clone()])?;
        }
        Ok(())
    }

    /// Writes every packet's trailer; the payloads must be in place.
    pub fn seal(&mut self) {
        for packet in self.bytes.chunks_mut(self.segment_size.max(1)) {
            protection::seal(packet);
        }
    }

    /// Empties the batch; what follows goes to `path`.
    pub(super) fn begin(&mut self, path: PathId) {
        self.clear();
        (self.path, self.ecn) = (path, Ecn::NotEct);
    }

    /// What its IP packets are to say.
    pub(super) fn set_ecn(&mut self, ecn: Ecn) {
        self.ecn = ecn;
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.slots.clear();
        self.segment_size = 0;
    }

    /// Appends a packet with room for its header, and for `len` file bytes from `offset` on.
    pub(super) fn push_data(&mut self, offset: u64, len: usize, again: bool, frame: Option<u64>) {
        let start = self.bytes.len();
        let payload = start + HEADER_LEN..start + HEADER_LEN + len;
        self.bytes.resize(payload.end + CRC_LEN, 0);
        if self.slots.is_empty() {
            self.segment_size = len + PACKET_OVERHEAD;
        }
        assert!(
            start.is_multiple_of(self.segment_size) && len + PACKET_OVERHEAD <= self.segment_size,
            "a train's datagrams are equal but for the last"
        );
        self.slots.push(Slot { payload, offset, again, frame });
    }

    /// Writes the header of the packet with that slot.
    pub(super) fn put_header(&mut self, index: usize, header: Header) {
        let start = index * self.segment_size;
        header.write(&mut self.bytes[start..]);
    }

    /// Makes the batch one packet with `contents`, padded with zeros to `size` bytes.
    pub(super) fn set_packet(&mut self, header: Header, contents: &[u8], size: usize) {
        self.clear();
        self.bytes.resize(HEADER_LEN, 0);
        header.write(&mut self.bytes);
        self.bytes.extend_from_slice(contents);
        let len = (self.bytes.len() + CRC_LEN).max(size);
        self.bytes.resize(len, 0);
        self.segment_size = len;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::header::{ConnectionId, PacketType};

    #[test]
    fn a_filled_and_sealed_train_opens_packet_by_packet() {
        let mut batch = Batch::default();
        for (number, len) in [(0u8, 10), (1, 10), (2, 4)] {
            batch.push_data(u64::from(number) * 10, len, false, None);
        }
        for (index, number) in (0..3u32).enumerate() {
            let offset = batch.slots()[index].offset;
            let (kind, connection_id) = (PacketType::Data, ConnectionId(1));
            batch.put_header(index, Header { kind, connection_id, packet_number: number, offset });
        }
        batch
            .fill(|offset, payload| {
                payload.fill(u8::try_from(offset).expect("small"));
                Ok::<(), ()>(())
            })
            .expect("never fails");
        batch.seal();
        let opened: Vec<&[u8]> =
            batch.datagrams().map(|packet| protection::open(packet).expect("sealed")).collect();
        assert_eq!(opened, [&[0; 10][..], &[10; 10], &[20; 4]]);
    }
}
