//! Which lost packet carried the bytes that go out again.

use std::collections::BTreeMap;
use std::ops::Range;

/// Lost packets remembered.
pub(super) const LOST_MAX: usize = 1 << 14;

/// Packets declared lost whose bytes have not gone again.
#[derive(Debug, Default)]
pub(super) struct LostBytes {
    /// The bytes' end and the packet's number, by the bytes' start.
    lost: BTreeMap<u64, (u64, u64)>,
}

impl LostBytes {
    /// A packet was declared lost, with those bytes if it had any.
    pub(super) fn lose(&mut self, number: u64, range: Option<&Range<u64>>) {
        if let Some(range) = range {
            self.lost.insert(range.start, (range.end, number));
        }
        if self.lost.len() > LOST_MAX {
            // What lies furthest back has most likely arrived late, and will never go again.
            self.lost.pop_first();
        }
    }

    /// The lost packet whose bytes go again in `range`, as far as `range` begins within them.
    pub(super) fn find(&mut self, range: &Range<u64>) -> Option<u64> {
        let (_, (end, number)) = self.lost.range(..=range.start).next_back()?;
        let found = (*end > range.start).then_some(*number);
        while let Some((start, (end, _))) = self.lost.range(..range.end).next_back() {
            if *end > range.end || *end <= range.start {
                break;
            }
            let start = *start;
            self.lost.remove(&start);
        }
        found
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.lost.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_go_again_name_the_packet_that_had_them() {
        let mut lost = LostBytes::default();
        lost.lose(1, Some(&(10..20)));
        lost.lose(2, Some(&(20..30)));
        assert_eq!(lost.find(&(10..15)), Some(1));
        assert_eq!(lost.find(&(15..28)), Some(1), "and a part of 2");
        assert_eq!(lost.find(&(28..30)), Some(2));
        assert_eq!(lost.find(&(28..30)), None, "nobody said that they are lost again");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut lost = LostBytes::default();
        for number in 0..2 * LOST_MAX as u64 {
            lost.lose(number, Some(&(number * 10..number * 10 + 10)));
        }
        assert_eq!(lost.len(), LOST_MAX);
    }
}
