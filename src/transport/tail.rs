//! The tail: at the end of a transfer there is room on the path, and nothing new to fill it with. What was lost
//! there and is sent again would cost a round trip each time that it is lost once more; so it goes several times, as
//! often as the path's loss makes that worth it.

use super::send_space::SendSpace;
use std::collections::VecDeque;
use std::ops::Range;

/// So many pieces are waiting to be copied, at most. More are as good as new bytes: the path is not idle.
const PIECES_MAX: usize = 4096;

/// All copies of a piece are lost once in so many times.
const ALL_LOST_ONCE_IN: f64 = 128.0;

/// No piece is copied more often.
const COPIES_MAX: u8 = 2;

/// All copies together are no more than this share of what was sent for the first time, and so many besides: what
/// was taken for lost and was only late is not multiplied.
const SHARE: u64 = 4;
const COPIES_FREE: u64 = 16;

/// A path that seems to lose less is taken to lose that much: something was lost.
const LOSS_MIN: f64 = 0.001;

/// Pieces of the transfer space that are sent again, and how many more copies of each are to go.
#[derive(Clone, Debug, Default)]
pub struct Tail {
    pieces: VecDeque<(Range<u64>, u8)>,
    /// Copies that went.
    copied: u64,
}

impl Tail {
    /// A piece was lost, and goes again over a path that loses that share: copies of it may follow.
    pub fn insure(&mut self, piece: Range<u64>, loss: f64) {
        if self.pieces.len() < PIECES_MAX {
            self.pieces.push_back((piece, copies(loss)));
        }
    }

    /// Whether there is a copy to send, after `first` packets of bytes that had not been sent before. Forgets what
    /// has arrived.
    pub fn has_next(&mut self, space: &SendSpace, first: u64) -> bool {
        if self.copied >= first / SHARE + COPIES_FREE {
            return false;
        }
        while let Some((piece, copies)) = self.pieces.front() {
            if *copies > 0 && !space.has_delivered(piece) {
                return true;
            }
            self.pieces.pop_front();
        }
        false
    }

    /// The next piece to copy, of `max` bytes at most: each in turn, so that one burst of losses does not take all
    /// copies of one.
    pub fn next(&mut self, max: u64, space: &SendSpace, first: u64) -> Option<Range<u64>> {
        if !self.has_next(space, first) {
            return None;
        }
        let (piece, copies) = self.pieces.pop_front()?;
        self.copied += 1;
        let copy = piece.start..piece.end.min(piece.start.saturating_add(max));
        self.pieces.push_back((piece, copies - 1));
        Some(copy)
    }
}

/// How many copies beside the first.
fn copies(loss: f64) -> u8 {
    let in_all = ALL_LOST_ONCE_IN.ln() / -loss.clamp(LOSS_MIN, 0.5).ln();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 7")]
    let beside = (in_all.ceil() - 1.0).max(0.0) as u8;
    beside.min(COPIES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_loses_more_gets_more_copies() {
        let losses = [0.0, 0.001, 0.01, 0.05, 0.2, 0.3, 1.0];
        assert_eq!(losses.map(copies), [0, 0, 1, 1, 2, 2, 2]);
    }

    #[test]
    fn copies_go_in_turn_and_end_when_the_piece_is_there() {
        let mut space = SendSpace::default();
        space.release(3_000);
        while space.next(1_000).is_some() {}
        let mut tail = Tail::default();
        tail.insure(0..1_000, 0.2);
        tail.insure(1_000..2_000, 0.01);
        assert_eq!(tail.next(1_000, &space, 3), Some(0..1_000));
        assert_eq!(tail.next(700, &space, 3), Some(1_000..1_700));
        assert_eq!(tail.next(1_000, &space, 3), Some(0..1_000));
        space.on_acked(&(0..1_000));
        assert_eq!(tail.next(1_000, &space, 3), None);
    }

    #[test]
    fn copies_are_no_more_than_a_share_of_what_went_first() {
        let space = SendSpace::default();
        let mut tail = Tail::default();
        (0..100).for_each(|index| tail.insure(index..index + 1, 0.2));
        let copies = std::iter::from_fn(|| tail.next(1, &space, 80)).count();
        assert_eq!(copies, 36);
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut tail = Tail::default();
        for index in 0..2 * PIECES_MAX as u64 {
            tail.insure(index..index + 1, 0.2);
        }
        assert_eq!(tail.pieces.len(), PIECES_MAX);
    }
}
