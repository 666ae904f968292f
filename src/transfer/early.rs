//! Bytes of a first flight that arrive before the offer of their file.

use super::job::WriteBatch;
use crate::transport::config::FIRST_FLIGHT;
use std::collections::BTreeMap;

/// Bytes without an offer, as many as a first flight has.
#[derive(Debug, Default)]
pub(super) struct Early {
    /// By their end and offset: an offer looks at those that it covers.
    pieces: BTreeMap<(u64, u64), Vec<u8>>,
    len: usize,
}

impl Early {
    /// Keeps bytes; false if there is no room for them.
    pub(super) fn keep(&mut self, offset: u64, bytes: &[u8]) -> bool {
        if self.len + bytes.len() > usize::try_from(FIRST_FLIGHT).unwrap_or(0) {
            return false;
        }
        self.len += bytes.len();
        let end = offset + bytes.len() as u64;
        if let Some(same) = self.pieces.insert((end, offset), bytes.to_vec()) {
            self.len -= same.len();
        }
        true
    }

    /// Hands out what ends within the first `offered` bytes of the transfer space.
    pub(super) fn release(&mut self, offered: u64, batch: &mut WriteBatch) {
        while let Some(first) = self.pieces.first_entry().filter(|first| first.key().0 <= offered) {
            let ((_, offset), bytes) = first.remove_entry();
            self.len -= bytes.len();
            batch.push(offset, &bytes);
        }
    }

    /// Whether nothing is kept.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty() && self.len == 0
    }
}
