//! The receiver's view of the transfer space: what arrived, and what is still missing.

use super::config::RECEIVED_RANGES_MAX;
use crate::base::range_set::RangeSet;
use crate::wire::frame::Have;
use std::ops::Range;

/// What the bytes of a DATA packet are to the receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// All of them were there before.
    Duplicate,
    /// Some of them are new.
    New,
    /// They lie beyond the credit, or would leave too many gaps: as if they had never come.
    Refused,
}

/// Which bytes have been handed on.
#[derive(Clone, Debug, Default)]
pub struct RecvSpace {
    received: RangeSet,
    /// The end of the highest byte received.
    reached: u64,
    total: Option<u64>,
    /// Bytes that count as received though nobody sent them.
    cancelled: u64,
    written: u64,
    duplicates: u64,
}

impl RecvSpace {
    /// Judges the bytes of a DATA packet, which reach at most up to `credit`.
    pub fn judge(&mut self, range: &Range<u64>, credit: u64) -> Arrival {
        let limit = self.total.map_or(credit, |total| total.min(credit));
        if range.end > limit || range.is_empty() {
            return Arrival::Refused;
        }
        if self.received.contains_all(range) {
            self.duplicates += 1;
            return Arrival::Duplicate;
        }
        let needs_room = !self.received.covers_or_touches(range);
        if needs_room && self.received.len() >= RECEIVED_RANGES_MAX {
            return Arrival::Refused;
        }
        Arrival::New
    }

    /// The bytes have been handed on.
    pub fn take(&mut self, range: Range<u64>) {
        self.reached = self.reached.max(range.end);
        self.received.insert(range);
    }

    /// Nobody will send those bytes, or wants them: they no longer count as missing.
    pub fn cancel(&mut self, range: Range<u64>) {
        self.cancelled += self.received.insert(range);
    }

    /// Bytes that were handed on and are not written yet.
    #[must_use]
    pub fn unwritten(&self) -> u64 {
        self.received.total().saturating_sub(self.cancelled + self.written)
    }

    /// The offset below which at most `allowed` bytes are missing.
    #[must_use]
    pub fn reach(&self, allowed: u64) -> u64 {
        let end = self.received.last().map_or(0, |range| range.end);
        let missing = end - self.received.total();
        if let Some(beyond) = allowed.checked_sub(missing) {
            return end.saturating_add(beyond);
        }
        let mut left = allowed;
        for gap in self.received.gaps(0..end) {
            match left.checked_sub(gap.end - gap.start) {
                Some(less) => left = less,
                None => return gap.start + left,
            }
        }
        end
    }

    /// Bytes that had been handed on did not survive: they are missing again.
    pub fn reject(&mut self, range: &Range<u64>) {
        self.received.remove(range);
    }

    /// The transfer space ends here.
    pub fn set_total(&mut self, total: u64) {
        self.total = Some(total);
    }

    /// That many bytes have been written.
    pub fn set_written(&mut self, written: u64) {
        self.written = written;
    }

    /// Bytes written.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Ranges kept apart.
    #[must_use]
    pub fn fragments(&self) -> usize {
        self.received.len()
    }

    /// The end of the bytes that are all there.
    #[must_use]
    pub fn frontier(&self) -> u64 {
        self.received.range_at(0).map_or(0, |range| range.end)
    }

    /// DATA packets that brought nothing new.
    #[must_use]
    pub fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// Whether something below the known end is missing.
    #[must_use]
    pub fn is_incomplete(&self) -> bool {
        let end = self.total.unwrap_or(self.reached);
        self.total.is_none() || !self.received.contains_all(&(0..end))
    }

    /// The frame that says what is missing, of at most `room` bytes.
    #[must_use]
    pub fn have(&self, room: usize) -> Have {
        let upper = self.total.unwrap_or(self.reached);
        Have::fitting(self.written, upper, self.received.gaps(0..upper), room)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CREDIT: u64 = 1 << 40;

    #[test]
    fn bytes_are_new_once() {
        let mut space = RecvSpace::default();
        assert_eq!(space.judge(&(10..20), CREDIT), Arrival::New);
        space.take(10..20);
        assert_eq!(space.judge(&(12..18), CREDIT), Arrival::Duplicate);
        assert_eq!(space.judge(&(15..25), CREDIT), Arrival::New);
        assert_eq!(space.duplicates(), 1);
    }

    #[test]
    fn nothing_beyond_credit_or_end_is_taken() {
        let mut space = RecvSpace::default();
        assert_eq!(space.judge(&(0..101), 100), Arrival::Refused);
        assert_eq!(space.judge(&(5..5), 100), Arrival::Refused);
        space.set_total(50);
        assert_eq!(space.judge(&(40..51), 100), Arrival::Refused);
        assert_eq!(space.judge(&(40..50), 100), Arrival::New);
    }

    #[test]
    fn gaps_are_bounded_but_filling_one_is_always_possible() {
        let mut space = RecvSpace::default();
        for index in 0..RECEIVED_RANGES_MAX as u64 {
            space.take(index * 10 + 1..index * 10 + 2);
        }
        let beyond = RECEIVED_RANGES_MAX as u64 * 10;
        assert_eq!(space.judge(&(beyond..beyond + 1), CREDIT), Arrival::Refused);
        assert_eq!(space.judge(&(2..11), CREDIT), Arrival::New);
    }

    #[test]
    fn credit_reaches_past_what_nobody_waits_for() {
        let mut space = RecvSpace::default();
        assert_eq!(space.reach(100), 100);
        space.cancel(0..1_000);
        assert_eq!(space.reach(100), 1_100);
        space.take(1_050..1_100);
        assert_eq!(space.reach(100), 1_150);
        assert_eq!(space.reach(20), 1_020);
        space.take(5_000..5_001);
        assert_eq!(space.reach(70), 1_120);
        assert_eq!(space.unwritten(), 51);
        space.set_written(51);
        assert_eq!(space.unwritten(), 0);
    }

    #[test]
    fn rejected_bytes_are_missing_again() {
        let mut space = RecvSpace::default();
        space.set_total(100);
        space.take(0..100);
        assert!(!space.is_incomplete());
        space.reject(&(20..30));
        assert!(space.is_incomplete());
        assert_eq!(space.have(1_000).missing, [20..30]);
    }

    #[test]
    fn before_the_end_is_known_gaps_below_the_highest_byte_are_missing() {
        let mut space = RecvSpace::default();
        space.take(50..60);
        let have = space.have(1_000);
        assert_eq!((have.upper, have.missing), (60, vec![0..50]));
        assert!(space.is_incomplete());
    }
}
