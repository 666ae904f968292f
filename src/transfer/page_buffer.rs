//! Memory into which files are read, from the beginning of a page on.
//!
//! A large block of the C library's begins 16 bytes behind one, and there some processors let the system
//! copy at a quarter of its speed.

use std::ops::Deref;

/// Bytes of a page; where they are larger, their fractions serve as well.
const PAGE: usize = 4096;

/// Bytes that were read.
#[derive(Debug, Default)]
pub(super) struct PageBuffer {
    memory: Vec<u8>,
    start: usize,
    len: usize,
}

impl PageBuffer {
    /// Room for `len` bytes, with whatever was there before.
    pub(super) fn room(&mut self, len: usize) -> &mut [u8] {
        if self.memory.len() < len + PAGE {
            self.memory = vec![0; len + PAGE];
            self.start = self.memory.as_ptr().align_offset(PAGE);
        }
        self.len = len;
        &mut self.memory[self.start..self.start + len]
    }
}

impl Deref for PageBuffer {
    type Target = [u8];

    /// What was read into the room asked for last.
    fn deref(&self) -> &[u8] {
        &self.memory[self.start..self.start + self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_begins_with_a_page_and_keeps_what_was_read() {
        let mut buffer = PageBuffer::default();
        assert!(buffer.is_empty());
        for len in [1, 1 << 20, 5, 3 << 20] {
            buffer.room(len).fill(7);
            assert_eq!((buffer.len(), buffer.as_ptr().align_offset(PAGE)), (len, 0));
            assert!(buffer.iter().all(|byte| *byte == 7));
        }
    }
}
