//! Bounds-checked reading and plain appending of integers and byte strings.

/// The bytes do not form what they should. The peer's fault, or the network's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed {0}")]
pub struct Malformed(pub &'static str);

/// The largest variable-length integer: 2^62 - 1 (RFC 9000 16).
pub const VARINT_MAX: u64 = (1 << 62) - 1;

/// Reads from the front of a slice; every read says what it failed to find.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Reader<'a> {
    /// Reads `bytes`, which should be a `what`.
    #[must_use]
    pub fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Self { rest: bytes, what }
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// What is left.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The error that names what is being read.
    #[must_use]
    pub fn malformed(&self) -> Malformed {
        Malformed(self.what)
    }

    /// The next `len` bytes.
    ///
    /// # Errors
    /// Fewer are left.
    pub fn bytes(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(self.malformed())?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next `N` bytes as an array.
    ///
    /// # Errors
    /// Fewer are left.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(self.malformed())?;
        self.rest = rest;
        Ok(*taken)
    }

    /// One byte.
    ///
    /// # Errors
    /// None is left.
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(self.array::<1>()?[0])
    }

    /// Two bytes.
    ///
    /// # Errors
    /// Fewer are left.
    pub fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_be_bytes)
    }

    /// Four bytes.
    ///
    /// # Errors
    /// Fewer are left.
    pub fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    /// A variable-length integer (RFC 9000 16): the top two bits of the first byte give the length.
    ///
    /// # Errors
    /// Fewer bytes are left than the first one announces.
    pub fn varint(&mut self) -> Result<u64, Malformed> {
        let first = *self.rest.first().ok_or(self.malformed())?;
        let len = 1 << (first >> 6);
        let mut value = u64::from(first & 0x3f);
        for byte in &self.bytes(len)?[1..] {
            value = value << 8 | u64::from(*byte);
        }
        Ok(value)
    }

    /// A variable-length integer that counts or measures something in memory.
    ///
    /// # Errors
    /// As for [`Reader::varint`], or the number is above `max`.
    pub fn varint_up_to(&mut self, max: usize) -> Result<usize, Malformed> {
        let value = usize::try_from(self.varint()?).map_err(|_| self.malformed())?;
        if value <= max { Ok(value) } else { Err(self.malformed()) }
    }

    /// A byte string behind its own length in one byte.
    ///
    /// # Errors
    /// It is longer than `max` or than what is left.
    pub fn short_string(&mut self, max: usize) -> Result<&'a [u8], Malformed> {
        let len = usize::from(self.u8()?);
        if len > max {
            return Err(self.malformed());
        }
        self.bytes(len)
    }
}

/// Appends a variable-length integer in its shortest form. Values above [`VARINT_MAX`] are a
/// programming error.
pub fn put_varint(out: &mut Vec<u8>, value: u64) {
    assert!(value <= VARINT_MAX, "a varint holds 62 bits");
    match varint_len(value) {
        1 => out.extend_from_slice(&value.to_be_bytes()[7..]),
        2 => out.extend_from_slice(&(value | 1 << 14).to_be_bytes()[6..]),
        4 => out.extend_from_slice(&(value | 2 << 30).to_be_bytes()[4..]),
        _ => out.extend_from_slice(&(value | 3 << 62).to_be_bytes()),
    }
}

/// Bytes that [`put_varint`] takes for `value`.
#[must_use]
pub const fn varint_len(value: u64) -> usize {
    match value {
        0..0x40 => 1,
        0x40..0x4000 => 2,
        0x4000..0x4000_0000 => 4,
        _ => 8,
    }
}

/// Appends a byte string behind its own length in one byte; only the first 255 bytes of it.
pub fn put_short_string(out: &mut Vec<u8>, bytes: &[u8]) {
    let len = u8::try_from(bytes.len()).unwrap_or(u8::MAX);
    out.push(len);
    out.extend_from_slice(&bytes[..usize::from(len)]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn varints_match_the_examples_of_rfc_9000_a1() {
        for (bytes, value) in [
            (&[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c][..], 151_288_809_941_952_652),
            (&[0x9d, 0x7f, 0x3e, 0x7d][..], 494_878_333),
            (&[0x7b, 0xbd][..], 15_293),
            (&[0x25][..], 37),
        ] {
            assert_eq!(Reader::new(bytes, "varint").varint(), Ok(value));
            let mut out = Vec::new();
            put_varint(&mut out, value);
            assert_eq!(out, bytes);
        }
    }

    #[test]
    fn a_read_past_the_end_names_what_was_read() {
        let mut reader = Reader::new(&[0xc0, 0], "header");
        assert_eq!(reader.varint(), Err(Malformed("header")));
        assert_eq!(reader.u32(), Err(Malformed("header")));
        assert_eq!(reader.u16(), Ok(0xc000));
        assert_eq!(reader.u8(), Err(Malformed("header")));
    }

    proptest! {
        #[test]
        fn varints_read_back(value in 0..=VARINT_MAX) {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            prop_assert_eq!(out.len(), varint_len(value));
            prop_assert_eq!(Reader::new(&out, "varint").varint(), Ok(value));
        }
    }
}
