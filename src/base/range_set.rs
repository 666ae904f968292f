//! A set of integers kept as disjoint, non-adjacent half-open ranges.
//!
//! Packet numbers that arrived, bytes that were acknowledged, bytes that are still missing: all are
//! such sets. The set itself has no limit; owners that a peer can grow ask [`RangeSet::len`] and
//! [`RangeSet::covers_or_touches`] before they insert.

use super::work::step;
use std::collections::BTreeMap;
use std::ops::Range;

/// Disjoint, non-adjacent, non-empty half-open ranges of `u64` in ascending order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RangeSet {
    /// start -> end
    ranges: BTreeMap<u64, u64>,
    total: u64,
}

impl RangeSet {
    /// The empty set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of ranges (not of integers).
    #[must_use]
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Whether the set holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Number of integers in the set.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The lowest range.
    #[must_use]
    pub fn first(&self) -> Option<Range<u64>> {
        self.ranges.first_key_value().map(|(&start, &end)| start..end)
    }

    /// The highest range.
    #[must_use]
    pub fn last(&self) -> Option<Range<u64>> {
        self.ranges.last_key_value().map(|(&start, &end)| start..end)
    }

    /// All ranges in ascending order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Range<u64>> + '_ {
        self.ranges.iter().map(|(&start, &end)| start..end)
    }

    /// The ranges that begin below `bound`, in descending order.
    pub fn iter_down_from(&self, bound: u64) -> impl Iterator<Item = Range<u64>> + '_ {
        self.ranges.range(..bound).rev().inspect(|_| step()).map(|(&start, &end)| start..end)
    }

    /// The ranges that end after `from`, in ascending order. The first may begin before `from`.
    pub fn iter_from(&self, from: u64) -> impl Iterator<Item = Range<u64>> + '_ {
        let begin = self.range_at(from).map_or(from, |range| range.start);
        self.ranges.range(begin..).inspect(|_| step()).map(|(&start, &end)| start..end)
    }

    /// The range that holds `value`.
    #[must_use]
    pub fn range_at(&self, value: u64) -> Option<Range<u64>> {
        step();
        // Nearly always it is the highest, which is found without a search.
        let (&start, &end) = match self.ranges.last_key_value()? {
            last if *last.0 <= value => last,
            _ => self.ranges.range(..=value).next_back()?,
        };
        (value < end).then_some(start..end)
    }

    /// The highest range that begins below `bound`.
    #[must_use]
    pub fn last_below(&self, bound: u64) -> Option<Range<u64>> {
        self.iter_down_from(bound).next()
    }

    /// Whether `value` is in the set.
    #[must_use]
    pub fn contains(&self, value: u64) -> bool {
        self.range_at(value).is_some()
    }

    /// Whether all of `range` is in the set. An empty range is.
    #[must_use]
    pub fn contains_all(&self, range: &Range<u64>) -> bool {
        range.is_empty() || self.range_at(range.start).is_some_and(|held| held.end >= range.end)
    }

    /// Whether inserting `range` would not add to [`RangeSet::len`].
    #[must_use]
    pub fn covers_or_touches(&self, range: &Range<u64>) -> bool {
        let below = self.ranges.range(..=range.end).next_back();
        below.is_some_and(|(_, &end)| end >= range.start)
    }

    /// Adds `range`; returns how many integers were new.
    pub fn insert(&mut self, range: Range<u64>) -> u64 {
        if range.is_empty() {
            return 0;
        }
        // Nearly always the highest one grows.
        if let Some(mut last) = self.ranges.last_entry()
            && (*last.key()..=*last.get()).contains(&range.start)
        {
            let added = range.end.saturating_sub(*last.get());
            *last.get_mut() += added;
            self.total += added;
            return added;
        }
        let (mut start, mut end) = (range.start, range.end);
        let mut swallowed = 0;
        while let Some((&held_start, &held_end)) = self.ranges.range(..=end).next_back() {
            step();
            if held_end < start {
                break;
            }
            swallowed += held_end - held_start;
            start = start.min(held_start);
            end = end.max(held_end);
            self.ranges.remove(&held_start);
        }
        self.ranges.insert(start, end);
        let added = (end - start) - swallowed;
        self.total += added;
        added
    }

    /// Takes `range` out; returns how many integers were in the set.
    pub fn remove(&mut self, range: &Range<u64>) -> u64 {
        if range.is_empty() {
            return 0;
        }
        let mut removed = 0;
        while let Some((&held_start, &held_end)) = self.ranges.range(..range.end).next_back() {
            step();
            if held_end <= range.start {
                break;
            }
            self.ranges.remove(&held_start);
            if held_start < range.start {
                self.ranges.insert(held_start, range.start);
            }
            if held_end > range.end {
                self.ranges.insert(range.end, held_end);
            }
            removed += held_end.min(range.end) - held_start.max(range.start);
        }
        self.total -= removed;
        removed
    }

    /// Takes all integers below `bound` out.
    pub fn remove_below(&mut self, bound: u64) {
        self.remove(&(0..bound));
    }

    /// Takes up to `limit` integers off the low end as one range.
    pub fn pop_front(&mut self, limit: u64) -> Option<Range<u64>> {
        let first = self.first()?;
        let taken = first.start..first.end.min(first.start.saturating_add(limit));
        self.remove(&taken);
        Some(taken)
    }

    /// The parts of `within` that the set holds, in ascending order.
    pub fn intersection(&self, within: Range<u64>) -> impl Iterator<Item = Range<u64>> + '_ {
        let held = self.iter_from(within.start).take_while(move |range| range.start < within.end);
        held.map(move |range| range.start.max(within.start)..range.end.min(within.end))
    }

    /// The parts of `within` that the set does not hold, in ascending order.
    pub fn gaps(&self, within: Range<u64>) -> impl Iterator<Item = Range<u64>> + '_ {
        let mut at = within.start;
        let end = within.end;
        let mut held = self.iter_from(within.start);
        std::iter::from_fn(move || {
            while at < end {
                let next = held.next().unwrap_or(end..end);
                let gap = at..next.start.min(end);
                at = at.max(next.end);
                if !gap.is_empty() {
                    return Some(gap);
                }
            }
            None
        })
    }
}

impl FromIterator<Range<u64>> for RangeSet {
    fn from_iter<I: IntoIterator<Item = Range<u64>>>(ranges: I) -> Self {
        let mut set = Self::new();
        for range in ranges {
            set.insert(range);
        }
        set
    }
}

/// Members passed one by one before the next one is searched for.
const PASSED_MAX: usize = 8;

/// Those of a set's members that lie in `ranges` (highest first); `from` gives the members from a number on,
/// lowest first. Each range costs a few steps or one search, however many members there are.
pub fn members_within<I: Iterator<Item = u64>>(
    from: impl Fn(u64) -> I,
    ranges: &[Range<u64>],
) -> Vec<u64> {
    let mut found = Vec::new();
    let Some(lowest) = ranges.last() else {
        return found;
    };
    let counted = |first| from(first).inspect(|_| step()).peekable();
    let mut members = counted(lowest.start);
    for range in ranges.iter().rev() {
        let mut passed = 0;
        while passed < PASSED_MAX && members.next_if(|member| *member < range.start).is_some() {
            passed += 1;
        }
        if passed == PASSED_MAX {
            members = counted(range.start);
        }
        found.extend(std::iter::from_fn(|| members.next_if(|member| *member < range.end)));
        if members.peek().is_none() {
            break;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn set(ranges: &[Range<u64>]) -> RangeSet {
        ranges.iter().cloned().collect()
    }

    #[test]
    fn touching_ranges_become_one() {
        assert_eq!(set(&[0..5, 10..15, 5..10]).iter().collect::<Vec<_>>(), [0..15]);
    }

    #[test]
    fn removing_the_middle_leaves_both_ends() {
        let mut held = set(&[0..10]);
        assert_eq!(held.remove(&(3..5)), 2);
        assert_eq!(held.iter().collect::<Vec<_>>(), [0..3, 5..10]);
    }

    #[test]
    fn gaps_are_what_is_missing_within_bounds() {
        let held = set(&[2..4, 6..8]);
        assert_eq!(held.gaps(0..10).collect::<Vec<_>>(), [0..2, 4..6, 8..10]);
        assert_eq!(held.gaps(3..7).collect::<Vec<_>>(), [4..6]);
        assert_eq!(held.gaps(2..4).count(), 0);
        assert_eq!(RangeSet::new().gaps(1..3).collect::<Vec<_>>(), [1..3]);
    }

    #[test]
    fn pop_front_takes_at_most_the_limit_of_one_range() {
        let mut held = set(&[0..3, 10..20]);
        assert_eq!(held.pop_front(5), Some(0..3));
        assert_eq!(held.pop_front(5), Some(10..15));
        assert_eq!(held.total(), 5);
    }

    #[test]
    fn a_touching_range_needs_no_room() {
        let held = set(&[10..20]);
        assert!(held.covers_or_touches(&(20..25)));
        assert!(held.covers_or_touches(&(5..10)));
        assert!(held.covers_or_touches(&(12..13)));
        assert!(!held.covers_or_touches(&(21..25)));
        assert!(!held.covers_or_touches(&(0..9)));
    }

    proptest! {
        #[test]
        fn members_within_ranges_are_those_that_a_search_for_each_finds(
            members in prop::collection::btree_set(0u64..300, 0..120),
            ranges in prop::collection::vec((0u64..300, 1u64..40), 0..30),
        ) {
            let held: RangeSet = ranges.into_iter().map(|(start, len)| start..start + len).collect();
            let ranges: Vec<_> = held.iter().rev().collect();
            let found = members_within(|from| members.range(from..).copied(), &ranges);
            let expected: Vec<u64> = members.iter().copied().filter(|at| held.contains(*at)).collect();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn agrees_with_a_set_of_integers(
            steps in prop::collection::vec((any::<bool>(), 0u64..64, 0u64..16), 0..60),
            within in (0u64..80, 0u64..80),
        ) {
            let (mut ranges, mut model) = (RangeSet::new(), BTreeSet::new());
            for (insert, start, len) in steps {
                let span = start..start + len;
                if insert {
                    let new = span.clone().filter(|v| model.insert(*v)).count() as u64;
                    prop_assert_eq!(ranges.insert(span), new);
                } else {
                    let gone = span.clone().filter(|v| model.remove(v)).count() as u64;
                    prop_assert_eq!(ranges.remove(&span), gone);
                }
                prop_assert_eq!(ranges.total(), model.len() as u64);
            }
            let flat: Vec<u64> = ranges.iter().flatten().collect();
            prop_assert_eq!(flat, model.iter().copied().collect::<Vec<_>>());
            let (a, b) = within;
            let missing: Vec<u64> = ranges.gaps(a..b).flatten().collect();
            let inside: Vec<u64> = ranges.intersection(a..b).flatten().collect();
            prop_assert_eq!(inside, (a..b).filter(|v| model.contains(v)).collect::<Vec<_>>());
            prop_assert_eq!(missing, (a..b).filter(|v| !model.contains(v)).collect::<Vec<_>>());
            for value in 0..90 {
                prop_assert_eq!(ranges.contains(value), model.contains(&value));
            }
        }
    }
}
