//! What the files hold: each byte depends on its offset, so that a byte in the wrong place is noticed.
//!
//! Eight of them are the offset of the first. Words of eight make loops that the compiler turns into
//! vectors.

/// Fills a payload with what is at that offset.
pub(super) fn write(offset: u64, payload: &mut [u8]) {
    let (words, rest) = payload.as_chunks_mut();
    let mut at = offset;
    for word in words {
        *word = at.to_le_bytes();
        at = at.wrapping_add(8);
    }
    let len = rest.len();
    rest.copy_from_slice(&at.to_le_bytes()[..len]);
}

/// Whether a payload is what is at that offset.
pub(super) fn is_in(offset: u64, payload: &[u8]) -> bool {
    let (words, rest) = payload.as_chunks();
    let (mut at, mut difference) = (offset, 0);
    for word in words {
        difference |= u64::from_le_bytes(*word) ^ at;
        at = at.wrapping_add(8);
    }
    difference == 0 && *rest == at.to_le_bytes()[..rest.len()]
}
