//! A small reliable ordered stream in each direction, carried in STREAM frames.

use super::config::{CONTROL_WINDOW, PIECES_MAX};
use crate::base::range_set::RangeSet;
use std::collections::VecDeque;
use std::ops::Range;

/// The outgoing half: bytes stay until they are acknowledged.
#[derive(Clone, Debug, Default)]
pub struct ControlSender {
    /// From `base` to the end of what was written.
    buffer: VecDeque<u8>,
    base: u64,
    /// Sent at least once below this.
    sent: u64,
    lost: RangeSet,
    acked: RangeSet,
}

impl ControlSender {
    /// Appends to the stream.
    pub fn write(&mut self, bytes: &[u8]) {
        self.buffer.extend(bytes);
    }

    /// Bytes that were written and have not been acknowledged.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.buffer.len()
    }

    /// Bytes not acknowledged or not sent.
    #[must_use]
    pub fn held(&self) -> usize {
        self.buffer.len()
    }

    /// Whether [`ControlSender::next`] has something.
    #[must_use]
    pub fn has_next(&self) -> bool {
        !self.lost.is_empty() || self.sent < self.sendable_end()
    }

    /// The next piece to send, of at most `room` bytes.
    pub fn next(&mut self, room: usize) -> Option<(u64, Vec<u8>)> {
        let piece = match self.lost.pop_front(room as u64) {
            Some(piece) => piece,
            None => {
                let end = self.sendable_end().min(self.sent + room as u64);
                let piece = self.sent..end;
                self.sent = end;
                piece
            }
        };
        (!piece.is_empty()).then(|| (piece.start, self.copy(&piece)))
    }

    /// The oldest piece that is not acknowledged, to be sent once more.
    pub fn again(&self, room: usize) -> Option<(u64, Vec<u8>)> {
        let end = self.sent.min(self.base + room as u64);
        (self.base < end).then(|| (self.base, self.copy(&(self.base..end))))
    }

    /// A packet with that piece was acknowledged.
    pub fn on_acked(&mut self, piece: &Range<u64>) {
        self.lost.remove(piece);
        self.acked.insert(piece.clone());
        if let Some(front) = self.acked.range_at(self.base) {
            let done = usize::try_from(front.end - self.base).expect("within the buffer");
            self.buffer.drain(..done);
            self.base = front.end;
            self.acked.remove_below(front.end);
        }
    }

    /// A packet with that piece was lost.
    pub fn on_lost(&mut self, piece: &Range<u64>) {
        let unacked = piece.start.max(self.base)..piece.end;
        let missing: Vec<Range<u64>> = self.acked.gaps(unacked).collect();
        for gap in missing {
            self.lost.insert(gap);
        }
    }

    fn sendable_end(&self) -> u64 {
        self.base + (self.buffer.len() as u64).min(CONTROL_WINDOW)
    }

    fn copy(&self, piece: &Range<u64>) -> Vec<u8> {
        let index = |offset: u64| usize::try_from(offset - self.base).expect("within the buffer");
        self.buffer.range(index(piece.start)..index(piece.end)).copied().collect()
    }
}

/// The incoming half: holds at most [`CONTROL_WINDOW`] bytes.
#[derive(Clone, Debug, Default)]
pub struct ControlReceiver {
    /// From `read` on; bytes not in `filled` mean nothing.
    buffer: VecDeque<u8>,
    read: u64,
    filled: RangeSet,
}

/// The piece lies beyond the window, or there are too many pieces: what was received has not been read yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowExceeded;

impl ControlReceiver {
    /// Takes a piece in.
    ///
    /// # Errors
    /// It lies beyond the window; it must come again.
    pub fn on_piece(&mut self, offset: u64, data: &[u8]) -> Result<(), WindowExceeded> {
        let end = offset.checked_add(data.len() as u64).ok_or(WindowExceeded)?;
        if end > self.read + CONTROL_WINDOW {
            return Err(WindowExceeded);
        }
        let skip = usize::try_from(self.read.saturating_sub(offset)).unwrap_or(usize::MAX);
        let Some(fresh) = data.get(skip..) else {
            return Ok(());
        };
        let start = offset.max(self.read);
        let is_apart = !self.filled.covers_or_touches(&(start..end)) && start > self.read;
        if is_apart && self.filled.len() >= PIECES_MAX {
            return Err(WindowExceeded);
        }
        let index = usize::try_from(start - self.read).expect("within the window");
        if self.buffer.len() < index + fresh.len() {
            self.buffer.resize(index + fresh.len(), 0);
        }
        for (slot, byte) in self.buffer.range_mut(index..).zip(fresh) {
            *slot = *byte;
        }
        self.filled.insert(start..start + fresh.len() as u64);
        Ok(())
    }

    /// Bytes of room taken by what is not read.
    #[must_use]
    pub fn held(&self) -> usize {
        self.buffer.len()
    }

    /// Pieces kept apart.
    #[must_use]
    pub fn pieces(&self) -> usize {
        self.filled.len()
    }

    /// Moves what is there in order to the end of `out`.
    pub fn read(&mut self, out: &mut Vec<u8>) {
        let Some(front) = self.filled.range_at(self.read) else {
            return;
        };
        let ready = usize::try_from(front.end - self.read).expect("within the window");
        out.extend(self.buffer.drain(..ready));
        self.read = front.end;
        self.filled.remove_below(front.end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_lost_piece_goes_out_again_and_an_acknowledged_one_does_not() {
        let mut sender = ControlSender::default();
        sender.write(b"abcdef");
        assert_eq!(sender.next(3), Some((0, b"abc".to_vec())));
        assert_eq!(sender.next(3), Some((3, b"def".to_vec())));
        assert!(!sender.has_next());
        assert_eq!(sender.again(2), Some((0, b"ab".to_vec())));
        sender.on_acked(&(3..6));
        sender.on_lost(&(0..6));
        assert_eq!(sender.next(9), Some((0, b"abc".to_vec())));
        sender.on_acked(&(0..3));
        assert!(sender.waiting() == 0 && !sender.has_next());
    }

    #[test]
    fn the_window_bounds_both_halves() {
        let mut sender = ControlSender::default();
        sender.write(&vec![7; 100_000]);
        let mut sent = 0;
        while let Some((_, piece)) = sender.next(1_000) {
            sent += piece.len() as u64;
        }
        assert_eq!(sent, CONTROL_WINDOW);
        let mut receiver = ControlReceiver::default();
        assert_eq!(receiver.on_piece(CONTROL_WINDOW, &[1]), Err(WindowExceeded));
        assert_eq!(receiver.on_piece(u64::MAX, &[1]), Err(WindowExceeded));
    }

    #[test]
    fn pieces_apart_are_bounded_but_the_next_one_is_always_taken() {
        let mut receiver = ControlReceiver::default();
        for index in 1..=PIECES_MAX as u64 {
            assert_eq!(receiver.on_piece(index * 2, &[1]), Ok(()));
        }
        assert_eq!(receiver.on_piece(60_000, &[1]), Err(WindowExceeded));
        assert_eq!(receiver.on_piece(3, &[1]), Ok(()), "it closes a gap");
        assert_eq!(receiver.on_piece(0, &[1]), Ok(()));
        let mut read = Vec::new();
        receiver.read(&mut read);
        assert_eq!((read.len(), receiver.pieces()), (1, PIECES_MAX - 1));
    }

    proptest! {
        #[test]
        fn any_order_of_pieces_reads_as_written(
            cuts in prop::collection::vec((0usize..300, 1usize..50), 0..60),
        ) {
            let text: Vec<u8> = (0..300u16).map(|i| i.to_le_bytes()[0]).collect();
            let mut receiver = ControlReceiver::default();
            let mut read = Vec::new();
            let pieces = cuts.into_iter().chain((0..300).step_by(40).map(|start| (start, 40)));
            for (start, len) in pieces {
                let end = (start + len).min(300);
                receiver.on_piece(start as u64, &text[start..end]).expect("inside the window");
                receiver.read(&mut read);
                prop_assert_eq!(&read[..], &text[..read.len()]);
            }
            prop_assert_eq!(read, text);
        }
    }
}
