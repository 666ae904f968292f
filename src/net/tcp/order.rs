//! The order of file bytes in a stream: each once, lowest first, none that nobody waits for.

use crate::base::range_set::RangeSet;
use crate::transfer::receiver::Demand;
use crate::wire::cursor::Malformed;
use std::ops::Range;

/// Which bytes may come next.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// All below has come, or need not.
    at: u64,
    /// Nobody waits for those, at or above `at`.
    cancelled: RangeSet,
    /// Those are to come once more.
    again: RangeSet,
}

impl Order {
    /// The receiver has changed its mind about bytes.
    pub(super) fn heed(&mut self, demand: Demand) {
        match demand {
            Demand::Again(range) => {
                self.cancelled.remove(&range);
                self.again.insert(range);
            }
            Demand::Cancel(range) => {
                self.cancelled.insert(range);
                self.cancelled.remove_below(self.at);
            }
            Demand::Total(_) | Demand::Written(_) => {}
        }
    }

    /// Bytes came, of which those below `accepted_end` were asked for.
    ///
    /// # Errors
    /// It was not their turn.
    pub(super) fn on_data(
        &mut self,
        range: Range<u64>,
        accepted_end: u64,
    ) -> Result<(), Malformed> {
        if range.is_empty() || range.end > accepted_end {
            return Err(Malformed("DATA: bytes that were not asked for"));
        }
        if self.again.contains_all(&range) {
            self.again.remove(&range);
            return Ok(());
        }
        if range.start < self.at {
            return Err(Malformed("DATA: bytes that came before"));
        }
        let skipped = self.at..range.start;
        if !skipped.is_empty() && !self.cancelled.contains_all(&skipped) {
            return Err(Malformed("DATA: bytes are left out"));
        }
        self.at = range.end;
        self.cancelled.remove_below(self.at);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_comes_once_in_order_but_for_those_that_nobody_waits_for() {
        let mut order = Order::default();
        assert!(order.on_data(0..10, 9).is_err(), "beyond what was asked for");
        assert!(order.on_data(5..10, 100).is_err(), "a gap");
        assert_eq!(order.on_data(0..10, 100), Ok(()));
        assert!(order.on_data(0..10, 100).is_err(), "doubled");
        assert!(order.on_data(9..20, 100).is_err(), "in part doubled");
        assert!(order.on_data(10..10, 100).is_err(), "none");
        order.heed(Demand::Cancel(10..30));
        assert!(order.on_data(31..40, 100).is_err(), "more than that left out");
        assert_eq!(order.on_data(20..40, 100), Ok(()), "on their way when they were cancelled");
        order.heed(Demand::Again(0..10));
        assert_eq!(order.on_data(0..10, 100), Ok(()));
        assert!(order.on_data(0..10, 100).is_err(), "asked for once");
    }
}
