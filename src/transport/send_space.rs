//! The sender's view of the transfer space: what goes next, what must go again, what is there.

use super::config::{AGAIN_MIN, AGAIN_TIMES, FIRST_FLIGHT, LEAST_PIECE};
use crate::base::range_set::RangeSet;
use crate::wire::frame::Have;
use std::ops::Range;

/// What a packet takes on the way beside its file bytes.
const PACKET_COST: u64 = 48;

/// One stretch of the transfer space to send in one packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Its bytes.
    pub range: Range<u64>,
    /// Whether they were sent before.
    pub again: bool,
}

/// Which bytes are new, lost or delivered.
#[derive(Clone, Debug)]
pub struct SendSpace {
    /// Bytes below this were sent at least once.
    fresh: u64,
    /// The transfer allows sending below this.
    released: u64,
    /// The receiver allows sending below this.
    credit: u64,
    lost: RangeSet,
    /// What arrived, and what was cancelled.
    delivered: RangeSet,
    /// What the receiver has, by its last word: of what it says is missing only this is looked through, for as much
    /// as it is may have been cancelled, in as many pieces as there are files.
    arrived: RangeSet,
    /// Counted as delivered, whatever the receiver still believes to be missing.
    cancelled: RangeSet,
    /// Bytes, and the packets they take, that were delivered and are missing again by the receiver's word.
    revoked: u64,
    /// The next new piece may be as small as the credit makes it.
    is_pressed: bool,
}

impl Default for SendSpace {
    /// The first flight needs no word from the receiver.
    fn default() -> Self {
        Self {
            fresh: 0,
            released: 0,
            credit: FIRST_FLIGHT,
            lost: RangeSet::new(),
            delivered: RangeSet::new(),
            arrived: RangeSet::new(),
            cancelled: RangeSet::new(),
            revoked: 0,
            is_pressed: false,
        }
    }
}

impl SendSpace {
    /// Allows sending below `end`.
    pub fn release(&mut self, end: u64) {
        self.released = self.released.max(end);
    }

    /// The receiver allows sending below `limit`.
    pub fn on_credit(&mut self, limit: u64) {
        self.credit = self.credit.max(limit);
    }

    /// The receiver allows sending below this.
    #[must_use]
    pub fn credit(&self) -> u64 {
        self.credit
    }

    /// Whether there is something that may be sent.
    #[must_use]
    pub fn has_next(&self) -> bool {
        let fresh = self.next_fresh();
        !self.lost.is_empty() || fresh < self.sendable_end(fresh)
    }

    /// Whether all that was released has been sent at least once.
    #[must_use]
    pub fn is_all_sent(&self) -> bool {
        self.next_fresh() >= self.released
    }

    /// Whether only the receiver's credit keeps new bytes back.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        let fresh = self.next_fresh();
        self.lost.is_empty() && fresh < self.released && fresh >= self.sendable_end(fresh)
    }

    /// The receiver has been asked for more credit and has given none: what it allows goes, however little
    /// that is (RFC 9293 3.8.6.2.1, the override timeout).
    pub fn press(&mut self) {
        self.is_pressed = true;
    }

    /// The next stretch of at most `max` bytes: what was lost first, then what is new.
    pub fn next(&mut self, max: u64) -> Option<Segment> {
        if let Some(range) = self.next_lost(max) {
            return Some(Segment { range, again: true });
        }
        self.fresh = self.next_fresh();
        let end = self.sendable_end(self.fresh).min(self.fresh + max);
        if self.fresh >= end {
            return None;
        }
        self.is_pressed = false;
        // Nor are those that were cancelled further on.
        let range = self.delivered.gaps(self.fresh..end).next()?;
        self.fresh = range.end;
        Some(Segment { range, again: false })
    }

    /// Takes what was lost within the next `max` bytes, with what lies between: one packet, not one for each
    /// byte that a receiver says it lacks. Nobody may have what was cancelled to read.
    fn next_lost(&mut self, max: u64) -> Option<Range<u64>> {
        let first = self.lost.first()?;
        let wanted = self.cancelled.gaps(first.start..first.start.saturating_add(max)).next()?;
        let last = self.lost.last_below(wanted.end)?;
        let range = first.start..last.end.min(wanted.end);
        self.lost.remove(&range);
        Some(range)
    }

    /// How far new bytes from `fresh` on may go. A receiver that grants byte by byte gets no packets of one
    /// byte: a piece waits until it is worth a packet, or is all there is (RFC 9293 3.8.6.2.1).
    fn sendable_end(&self, fresh: u64) -> u64 {
        let is_silly = self.credit < self.released
            && self.credit < fresh.saturating_add(LEAST_PIECE)
            && !self.is_pressed;
        if is_silly { fresh } else { self.released.min(self.credit) }
    }

    /// Where the next new byte is: those that were cancelled before they were sent are not sent.
    fn next_fresh(&self) -> u64 {
        self.delivered.range_at(self.fresh).map_or(self.fresh, |done| done.end)
    }

    /// Whether nobody waits for any of those bytes.
    #[must_use]
    pub fn has_delivered(&self, range: &Range<u64>) -> bool {
        self.delivered.contains_all(range)
    }

    /// A packet with those bytes was acknowledged.
    pub fn on_acked(&mut self, range: &Range<u64>) {
        self.arrived.insert(range.clone());
        self.deliver(range);
    }

    fn deliver(&mut self, range: &Range<u64>) {
        self.delivered.insert(range.clone());
        self.lost.remove(range);
    }

    /// A packet with those bytes was lost.
    pub fn on_lost(&mut self, range: &Range<u64>) {
        for gap in self.delivered.gaps(range.clone()).collect::<Vec<_>>() {
            self.lost.insert(gap);
        }
    }

    /// Nobody wants those bytes any more.
    pub fn cancel(&mut self, range: &Range<u64>) {
        self.cancelled.insert(range.clone());
        self.deliver(range);
    }

    /// The receiver wants those bytes after all.
    pub fn restore(&mut self, range: &Range<u64>) {
        for restored in self.cancelled.intersection(range.start..range.end.min(self.fresh)) {
            self.lost.insert(restored);
        }
        for restored in self.cancelled.intersection(range.clone()) {
            self.delivered.remove(&restored);
            self.arrived.remove(&restored);
        }
        self.cancelled.remove(range);
    }

    /// What the receiver says is missing rules: all else below its upper end is there, and what had
    /// been acknowledged but did not survive goes out again.
    pub fn on_have(&mut self, have: &Have) {
        let mut held_from = 0;
        for missing in &have.missing {
            self.on_held(held_from..missing.start);
            held_from = missing.end;
            self.on_missing(missing);
        }
        self.on_held(held_from..have.upper);
    }

    /// Whether the receiver has asked for more again than can have gone wrong there: each file may be
    /// compared in vain once, and three groups of it may arrive damaged.
    #[must_use]
    pub fn is_asked_too_much(&self) -> bool {
        self.revoked > AGAIN_MIN + AGAIN_TIMES * self.fresh
    }

    /// Nobody has what was never sent, whatever the receiver says.
    fn on_held(&mut self, range: Range<u64>) {
        self.on_acked(&(range.start..range.end.min(self.fresh)));
    }

    /// Ranges kept apart.
    #[must_use]
    pub fn fragments(&self) -> usize {
        self.delivered.len().max(self.arrived.len()).max(self.lost.len())
    }

    /// Those of the bytes that had arrived go out again, unless they were cancelled; others are on their way.
    fn on_missing(&mut self, range: &Range<u64>) {
        let Self { arrived, cancelled, delivered, lost, revoked, .. } = self;
        for had in arrived.intersection(range.clone()) {
            for wanted in cancelled.gaps(had) {
                *revoked += wanted.end - wanted.start + PACKET_COST;
                delivered.remove(&wanted);
                lost.insert(wanted);
            }
        }
        arrived.remove(range);
    }

    /// Bytes known to be at the receiver.
    #[must_use]
    pub fn delivered(&self) -> u64 {
        self.delivered.total()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space(released: u64) -> SendSpace {
        let mut space = SendSpace::default();
        space.release(released);
        space.on_credit(u64::MAX);
        space
    }

    fn next(space: &mut SendSpace, max: u64) -> Option<(Range<u64>, bool)> {
        space.next(max).map(|segment| (segment.range, segment.again))
    }

    #[test]
    fn lost_bytes_go_before_new_ones() {
        let mut space = space(300);
        assert_eq!(next(&mut space, 100), Some((0..100, false)));
        assert_eq!(next(&mut space, 100), Some((100..200, false)));
        space.on_lost(&(0..100));
        assert_eq!(next(&mut space, 60), Some((0..60, true)));
        assert_eq!(next(&mut space, 60), Some((60..100, true)));
        assert_eq!(next(&mut space, 100), Some((200..300, false)));
        assert_eq!(next(&mut space, 100), None);
    }

    #[test]
    fn what_arrived_by_another_packet_is_not_sent_again() {
        let mut space = space(100);
        next(&mut space, 100);
        space.on_lost(&(0..100));
        space.on_acked(&(20..50));
        assert_eq!(next(&mut space, 40), Some((0..20, true)));
        assert_eq!(next(&mut space, 100), Some((50..100, true)));
        space.on_acked(&(0..100));
        space.on_lost(&(0..100));
        assert!(!space.has_next());
        assert_eq!(space.delivered(), 100);
    }

    #[test]
    fn credit_and_release_both_hold_back() {
        let mut space = SendSpace::default();
        space.release(100_000);
        assert_eq!(next(&mut space, 100_000), Some((0..FIRST_FLIGHT, false)));
        assert!(space.is_blocked() && !space.has_next());
        space.on_credit(70_000);
        assert_eq!(next(&mut space, 100_000), Some((FIRST_FLIGHT..70_000, false)));
        assert!(space.is_blocked());
        space.on_credit(500_000);
        assert_eq!(next(&mut space, 100_000), Some((70_000..100_000, false)));
        assert!(!space.is_blocked(), "nothing more is released");
    }

    #[test]
    fn the_receivers_word_rules() {
        let mut space = space(400);
        while next(&mut space, 100).is_some() {}
        space.on_acked(&(0..100));
        space.on_lost(&(200..300));
        let have = Have { written: 0, upper: 400, missing: vec![50..100, 350..400] };
        space.on_have(&have);
        assert_eq!(next(&mut space, 100), Some((50..100, true)), "acknowledged, then dropped");
        assert_eq!(next(&mut space, 100), None, "200..300 is there, 350..400 is still in flight");
        assert_eq!(space.delivered(), 300);
    }

    #[test]
    fn bytes_already_known_to_be_lost_stay_so_when_others_are_revoked() {
        let mut space = space(300);
        while next(&mut space, 100).is_some() {}
        space.on_acked(&(0..100));
        space.on_lost(&(100..200));
        space.on_have(&Have { written: 0, upper: 300, missing: vec![0..200] });
        assert_eq!(next(&mut space, 300), Some((0..200, true)));
    }

    #[test]
    fn cancelled_bytes_are_never_sent() {
        let mut space = space(300);
        next(&mut space, 50);
        space.cancel(&(50..200));
        space.cancel(&(250..280));
        assert_eq!(next(&mut space, 300), Some((200..250, false)));
        assert_eq!(next(&mut space, 300), Some((280..300, false)));
    }

    #[test]
    fn nothing_is_left_where_all_that_is_left_was_cancelled() {
        let mut space = SendSpace::default();
        space.release(FIRST_FLIGHT + 200);
        while next(&mut space, 1_024).is_some() {}
        assert!(space.is_blocked());
        space.cancel(&(FIRST_FLIGHT..FIRST_FLIGHT + 200));
        assert!(!space.has_next() && !space.is_blocked());
        space.on_credit(u64::MAX);
        assert!(!space.has_next());
        assert_eq!(next(&mut space, 1_000), None);
    }

    #[test]
    fn what_lies_between_lost_bytes_goes_along_but_for_what_was_cancelled() {
        let mut space = space(10_000);
        while next(&mut space, 1_000).is_some() {}
        space.on_acked(&(0..10_000));
        space.cancel(&(5_100..5_200));
        let missing = (0..5_000).map(|at| at * 2..at * 2 + 1).collect();
        space.on_have(&Have { written: 0, upper: 10_000, missing });
        let pieces: Vec<_> = std::iter::from_fn(|| next(&mut space, 1_452)).collect();
        assert_eq!(pieces.len(), 8, "{pieces:?}");
        assert!(pieces.iter().all(|(range, _)| range.end <= 5_100 || range.start >= 5_200));
        assert!(!space.has_next());
    }

    #[test]
    fn credit_in_crumbs_is_saved_up() {
        let mut space = SendSpace::default();
        space.release(FIRST_FLIGHT + 5_000);
        let mut sizes = Vec::new();
        for credit in FIRST_FLIGHT..FIRST_FLIGHT + 5_000 {
            space.on_credit(credit);
            while let Some((range, _)) = next(&mut space, 1_452) {
                sizes.push(range.end - range.start);
            }
        }
        assert!(sizes.iter().all(|size| *size >= LEAST_PIECE), "{sizes:?}");
        assert!(space.is_blocked() && !space.has_next());
        space.press();
        let (range, _) = next(&mut space, 1_452).expect("whatever there is");
        assert_eq!(range.end, FIRST_FLIGHT + 4_999);
        space.on_credit(FIRST_FLIGHT + 5_000);
        assert!(next(&mut space, 1_452).is_some(), "the last piece is as small as it is");
    }

    #[test]
    fn a_receiver_may_not_ask_for_the_same_for_ever() {
        let mut space = space(5_000_000);
        while next(&mut space, 1_452).is_some() {}
        let mut again = 0;
        let everything = Have { written: 0, upper: 5_000_000, missing: vec![0..5_000_000] };
        while !space.is_asked_too_much() {
            space.on_acked(&(0..5_000_000));
            space.on_have(&everything);
            while let Some((range, _)) = next(&mut space, 1_452) {
                again += range.end - range.start;
            }
        }
        assert!(again > 4 * 5_000_000 && again <= 6 * 5_000_000, "{again}");
    }

    #[test]
    fn what_was_cancelled_can_be_wanted_after_all() {
        let mut space = space(300);
        next(&mut space, 100);
        space.cancel(&(0..200));
        space.on_have(&Have { written: 0, upper: 300, missing: vec![0..300] });
        assert_eq!(next(&mut space, 300), Some((200..300, false)));
        space.on_acked(&(200..300));
        space.restore(&(50..300));
        assert_eq!(next(&mut space, 300), Some((50..200, true)));
        assert_eq!((next(&mut space, 300), space.delivered()), (None, 150));
    }
}
