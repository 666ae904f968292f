//! The receiver's view of the transfer space: what arrived, and what is still missing.

use super::config::{BYTES_PER_RANGE, CREDIT_BACKLOG, RECEIVED_RANGES_MAX};
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

/// Which bytes have been handed on, and how far DATA may reach.
#[derive(Clone, Debug)]
pub struct RecvSpace {
    received: RangeSet,
    /// No byte at or above this offset is taken in: the credit. It never shrinks.
    limit: u64,
    /// Bytes below the limit that are missing.
    missing: u64,
    /// The most that were allowed to be.
    allowed: u64,
    /// The end of the highest byte received.
    reached: u64,
    total: Option<u64>,
    /// What counts as received though it never came.
    cancelled: RangeSet,
    written: u64,
    duplicates: u64,
}

impl Default for RecvSpace {
    /// Nothing has arrived, and as much as the backlog may come.
    fn default() -> Self {
        Self {
            received: RangeSet::new(),
            limit: CREDIT_BACKLOG,
            missing: CREDIT_BACKLOG,
            allowed: CREDIT_BACKLOG,
            reached: 0,
            total: None,
            cancelled: RangeSet::new(),
            written: 0,
            duplicates: 0,
        }
    }
}

impl RecvSpace {
    /// Judges the bytes of a DATA packet.
    pub fn judge(&mut self, range: &Range<u64>) -> Arrival {
        let limit = self.total.map_or(self.limit, |total| total.min(self.limit));
        if range.end > limit || range.is_empty() {
            return Arrival::Refused;
        }
        if self.received.contains_all(range) {
            // What nobody wants may have been sent once: that is no copy.
            self.duplicates +=
                u64::from(self.cancelled.intersection(range.clone()).next().is_none());
            return Arrival::Duplicate;
        }
        let needs_room = !self.received.covers_or_touches(range);
        if needs_room && self.received.len() >= self.ranges_max() {
            return Arrival::Refused;
        }
        Arrival::New
    }

    /// The bytes have been handed on; they lie below the limit.
    pub fn take(&mut self, range: Range<u64>) {
        self.reached = self.reached.max(range.end);
        self.missing -= self.received.insert(range);
    }

    /// Nobody will send those bytes, or wants them: they no longer count as missing.
    pub fn cancel(&mut self, range: Range<u64>) {
        for gap in self.received.gaps(range.clone()).collect::<Vec<_>>() {
            self.cancelled.insert(gap);
        }
        self.missing -= self.received.insert(range.start..range.end.min(self.limit));
        self.received.insert(range.start.max(self.limit)..range.end);
    }

    /// Moves the limit to the offset below which `allowed` bytes are missing, if that is further. Each
    /// stretch that was cancelled beyond the limit is passed once.
    pub fn extend(&mut self, allowed: u64) {
        self.allowed = self.allowed.max(allowed);
        while self.missing < allowed {
            let gap = self.received.gaps(self.limit..u64::MAX).next();
            let Some(gap) = gap else { break };
            let more = (gap.end - gap.start).min(allowed - self.missing);
            self.missing += more;
            self.limit = gap.start + more;
        }
    }

    /// Ranges that are kept apart: as many as the credit given explains.
    #[must_use]
    pub fn ranges_max(&self) -> usize {
        let explained = usize::try_from(self.allowed / BYTES_PER_RANGE).unwrap_or(usize::MAX);
        explained.min(RECEIVED_RANGES_MAX)
    }

    /// No byte at or above this offset is taken in.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Bytes that were handed on and are not written yet.
    #[must_use]
    pub fn unwritten(&self) -> u64 {
        self.received.total().saturating_sub(self.cancelled.total() + self.written)
    }

    /// Bytes that had been handed on did not survive: they are missing again.
    pub fn reject(&mut self, range: &Range<u64>) {
        let below = range.start..range.end.min(self.limit);
        self.missing += self.received.remove(&below);
        self.received.remove(range);
        self.cancelled.remove(range);
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
    use proptest::prelude::*;

    fn space(allowed: u64) -> RecvSpace {
        let mut space = RecvSpace { limit: 0, missing: 0, ..RecvSpace::default() };
        space.extend(allowed);
        space
    }

    #[test]
    fn what_nobody_wants_is_no_copy_when_it_comes() {
        let mut space = RecvSpace::default();
        space.take(0..1_000);
        space.cancel(500..3_000);
        assert_eq!(space.judge(&(1_000..2_000)), Arrival::Duplicate);
        assert_eq!(space.duplicates(), 0);
        assert_eq!(space.judge(&(0..1_000)), Arrival::Duplicate);
        assert_eq!((space.duplicates(), space.unwritten()), (1, 1_000));
        space.reject(&(1_000..2_000));
        assert_eq!(space.judge(&(1_000..2_000)), Arrival::New);
    }

    #[test]
    fn bytes_are_new_once() {
        let mut space = space(100);
        assert_eq!(space.judge(&(10..20)), Arrival::New);
        space.take(10..20);
        assert_eq!(space.judge(&(12..18)), Arrival::Duplicate);
        assert_eq!(space.judge(&(15..25)), Arrival::New);
        assert_eq!(space.duplicates(), 1);
    }

    #[test]
    fn nothing_beyond_credit_or_end_is_taken() {
        let mut space = space(100);
        assert_eq!(space.judge(&(0..101)), Arrival::Refused);
        assert_eq!(space.judge(&(5..5)), Arrival::Refused);
        space.set_total(50);
        assert_eq!(space.judge(&(40..51)), Arrival::Refused);
        assert_eq!(space.judge(&(40..50)), Arrival::New);
    }

    #[test]
    fn gaps_are_bounded_but_filling_one_is_always_possible() {
        let mut space = space(1 << 40);
        assert_eq!(RecvSpace::default().ranges_max(), 2048);
        assert_eq!(space.ranges_max(), RECEIVED_RANGES_MAX);
        for index in 0..RECEIVED_RANGES_MAX as u64 {
            space.take(index * 10 + 1..index * 10 + 2);
        }
        let beyond = RECEIVED_RANGES_MAX as u64 * 10;
        assert_eq!(space.judge(&(beyond..beyond + 1)), Arrival::Refused);
        assert_eq!(space.judge(&(2..11)), Arrival::New);
    }

    #[test]
    fn the_limit_reaches_past_what_nobody_waits_for() {
        let mut space = space(100);
        assert_eq!(space.limit(), 100);
        space.cancel(0..1_000);
        space.extend(100);
        assert_eq!(space.limit(), 1_100);
        space.take(1_050..1_100);
        space.extend(20);
        assert_eq!(space.limit(), 1_100, "it never shrinks");
        space.extend(100);
        assert_eq!(space.limit(), 1_150);
        space.cancel(1_200..5_000);
        space.extend(170);
        assert_eq!((space.limit(), space.missing), (5_020, 170));
        assert_eq!(space.unwritten(), 50);
        space.set_written(50);
        assert_eq!(space.unwritten(), 0);
    }

    proptest! {
        #[test]
        fn the_limit_is_where_a_search_from_the_start_finds_it(
            steps in prop::collection::vec((0u8..4, 0u64..200, 0u64..40), 0..60),
        ) {
            let mut space = space(0);
            let mut granted = 0;
            for (kind, start, len) in steps {
                let range = start..start + len;
                match kind {
                    0 if space.judge(&range) == Arrival::New => space.take(range),
                    1 => space.cancel(range),
                    2 => space.reject(&range),
                    _ => space.extend(len),
                }
                let missing = |end: u64| (0..end).filter(|at| !space.received.contains(*at)).count() as u64;
                prop_assert_eq!(space.missing, missing(space.limit));
                prop_assert!(space.limit >= granted);
                if kind == 3 && space.limit > granted {
                    prop_assert_eq!(space.missing, len);
                    prop_assert_eq!(missing(space.limit - 1), len - 1);
                }
                granted = space.limit;
            }
        }
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
