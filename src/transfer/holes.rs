//! Holes of a file, and where its other bytes are in the transfer space.
//!
//! A hole has no place there: the offer says where it is, and both sides hash zeros for it.

use super::hash::{GROUP, group_range};
use crate::wire::cursor::{Malformed, Reader, VARINT_MAX, put_varint, varint_len};
use std::ops::Range;
use std::sync::Arc;

/// A hole is whole blocks of so many bytes; only the last one of a file may be shorter.
pub const BLOCK: u64 = 1 << 16;

/// Holes of one file, at most. The bytes of further ones travel.
pub const HOLES_MAX: usize = 1 << 12;

/// Bytes that they take in an offer, at most.
pub const HOLES_LEN_MAX: usize = 12_000;

/// Bytes of all holes of one transfer, at most: each side has to hash as many zeros.
pub const HOLE_BYTES_MAX: u64 = 1 << 42;

/// Some holes of a file: in order, apart, and within it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holes(Arc<[Hole]>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hole {
    start: u64,
    end: u64,
    /// Bytes of the holes in front of it.
    before: u64,
}

impl Holes {
    /// Those holes of a file of `size` bytes; nothing, if they are not in order, apart, whole blocks and within
    /// it, or too many.
    pub fn new(size: u64, ranges: impl IntoIterator<Item = Range<u64>>) -> Option<Self> {
        let mut holes: Vec<Hole> = Vec::new();
        for Range { start, end } in ranges {
            let last = holes.last().copied();
            let is_apart = last.is_none_or(|last| last.end < start);
            let is_whole = start % BLOCK == 0 && (end % BLOCK == 0 || end == size);
            if start >= end || end > size || !is_apart || !is_whole || holes.len() == HOLES_MAX {
                return None;
            }
            let before = last.map_or(0, |last| last.before + (last.end - last.start));
            holes.push(Hole { start, end, before });
        }
        Some(Self(holes.into()))
    }

    /// The same as far as an offer has room for them.
    pub(super) fn fitting(size: u64, mut ranges: Vec<Range<u64>>) -> Self {
        let mut len = varint_len(HOLES_MAX as u64);
        let mut at = 0;
        let fit = ranges.iter().take(HOLES_MAX).take_while(|range| {
            let (skip, blocks) = in_blocks(at, range);
            at = range.end;
            len += varint_len(skip) + varint_len(blocks);
            len <= HOLES_LEN_MAX
        });
        ranges.truncate(fit.count());
        Self::new(size, ranges).unwrap_or_default()
    }

    /// Where they are.
    pub fn ranges(&self) -> impl Iterator<Item = Range<u64>> {
        self.0.iter().map(|hole| hole.start..hole.end)
    }

    /// Bytes of all of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.last().map_or(0, |last| last.before + (last.end - last.start))
    }

    /// Bytes that they take in an offer.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        let mut out = Vec::new();
        self.put(&mut out);
        out.len()
    }

    /// Bytes that they take in memory.
    #[must_use]
    pub fn memory(&self) -> usize {
        size_of_val(&*self.0)
    }

    /// Appends them: how many there are, then of each how many blocks it lies behind the one before, and has.
    pub fn put(&self, out: &mut Vec<u8>) {
        put_varint(out, self.0.len() as u64);
        let mut at = 0;
        for range in self.ranges() {
            let (skip, blocks) = in_blocks(at, &range);
            put_varint(out, skip);
            put_varint(out, blocks);
            at = range.end;
        }
    }

    /// Reads the holes of a file of `size` bytes.
    ///
    /// # Errors
    /// They are not holes of such a file, or more than there may be.
    pub fn read(reader: &mut Reader<'_>, size: u64) -> Result<Self, Malformed> {
        let len = reader.rest().len();
        let count = reader.varint_up_to(HOLES_MAX)?;
        let mut at = 0;
        let mut ranges = Vec::with_capacity(count);
        for _ in 0..count {
            let (skip, blocks) = (reader.varint()?, reader.varint()?);
            let start = skip.checked_mul(BLOCK).and_then(|skip| skip.checked_add(at));
            let len = blocks.checked_mul(BLOCK).filter(|len| *len <= VARINT_MAX);
            let (Some(start), Some(len)) = (start, len) else { return Err(reader.malformed()) };
            let end = start.saturating_add(len);
            // The last block of a file may be shorter.
            at = if end > size && end - size < BLOCK { size } else { end };
            ranges.push(start..at);
        }
        let is_too_long = len - reader.rest().len() > HOLES_LEN_MAX;
        Self::new(size, ranges).filter(|_| !is_too_long).ok_or(reader.malformed())
    }
}

/// How many blocks a hole lies behind `at`, and has.
fn in_blocks(at: u64, range: &Range<u64>) -> (u64, u64) {
    ((range.start - at) / BLOCK, (range.end - range.start).div_ceil(BLOCK))
}

/// Where the bytes of a file are, in the file and in the transfer space from its first one on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    size: u64,
    holes: Holes,
}

impl Layout {
    /// That of a file of `size` bytes with these holes.
    #[must_use]
    pub fn new(size: u64, holes: Holes) -> Self {
        Self { size, holes }
    }

    /// Bytes of the file.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Bytes of it that travel.
    #[must_use]
    pub fn space(&self) -> u64 {
        self.size - self.holes.total()
    }

    /// Its holes.
    #[must_use]
    pub fn holes(&self) -> &Holes {
        &self.holes
    }

    /// Where a part of the file is in the transfer space: nowhere, if it is a hole.
    #[must_use]
    pub fn in_space(&self, part: &Range<u64>) -> Range<u64> {
        self.space_before(part.start)..self.space_before(part.end)
    }

    /// Where a group is in the transfer space.
    #[must_use]
    pub fn group_in_space(&self, group: u64) -> Range<u64> {
        self.in_space(&group_range(group, self.size))
    }

    /// Whether a group is a hole, or part of one.
    #[must_use]
    pub fn is_hole(&self, group: u64) -> bool {
        let range = group_range(group, self.size);
        self.holes_in(&range).next().is_some_and(|hole| hole == range)
    }

    /// The first group at or after `group` that is no hole; how many there are, if all are.
    #[must_use]
    pub fn next_data(&self, group: u64) -> u64 {
        let range = group_range(group, self.size);
        let hole = self.holes_in(&(range.start..self.size)).next();
        match hole.filter(|hole| hole.start == range.start && self.is_hole(group)) {
            Some(hole) if hole.end == self.size => self.size.div_ceil(GROUP),
            Some(hole) => hole.end / GROUP,
            None => group,
        }
    }

    /// From where to where the file goes on in one piece, from a byte of the transfer space on.
    #[must_use]
    pub fn stretch(&self, at: u64) -> Range<u64> {
        let holes = &self.holes.0;
        let next = holes.partition_point(|hole| hole.start - hole.before <= at);
        let before = next.checked_sub(1).map(|last| holes[last]);
        let skipped = before.map_or(0, |last| last.before + (last.end - last.start));
        at + skipped..holes.get(next).map_or(self.size, |hole| hole.start)
    }

    /// What a part of the transfer space is in the file, piece by piece.
    pub fn stretches(&self, part: Range<u64>) -> impl Iterator<Item = Range<u64>> {
        let mut at = part.start;
        std::iter::from_fn(move || {
            let stretch = (at < part.end).then(|| self.stretch(at))?;
            let len = (stretch.end - stretch.start).min(part.end - at);
            at += len;
            Some(stretch.start..stretch.start + len)
        })
    }

    /// What of a part of the file is in holes.
    pub fn holes_in(&self, part: &Range<u64>) -> impl Iterator<Item = Range<u64>> {
        let Range { start, end } = *part;
        let first = self.holes.0.partition_point(|hole| hole.end <= start);
        let holes = self.holes.0[first..].iter().take_while(move |hole| hole.start < end);
        holes.map(move |hole| hole.start.max(start)..hole.end.min(end))
    }

    /// Bytes of the file before that position which travel.
    fn space_before(&self, position: u64) -> u64 {
        let next = self.holes.0.partition_point(|hole| hole.start < position);
        let last = next.checked_sub(1).map(|last| self.holes.0[last]);
        position - last.map_or(0, |last| last.before + (last.end.min(position) - last.start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SIZE: u64 = 40 * BLOCK + 5;

    fn read(bytes: &[u8], size: u64) -> Result<Holes, Malformed> {
        let mut reader = Reader::new(bytes, "holes");
        let holes = Holes::read(&mut reader, size)?;
        assert!(reader.is_empty());
        Ok(holes)
    }

    fn encoded(numbers: &[u64]) -> Vec<u8> {
        let mut out = Vec::new();
        numbers.iter().for_each(|number| put_varint(&mut out, *number));
        out
    }

    #[test]
    fn holes_read_back() {
        let all = [0..BLOCK, 3 * BLOCK..20 * BLOCK, 40 * BLOCK..SIZE];
        let holes = Holes::new(SIZE, all.clone()).expect("in order");
        let mut out = Vec::new();
        holes.put(&mut out);
        assert_eq!(out, encoded(&[3, 0, 1, 2, 17, 20, 1]));
        assert_eq!((out.len(), holes.total()), (holes.encoded_len(), 18 * BLOCK + 5));
        let found = read(&out, SIZE).expect("the same");
        assert_eq!(found.ranges().collect::<Vec<_>>(), all);
    }

    #[test]
    fn what_is_no_list_of_holes_of_that_file_is_malformed() {
        for (what, numbers) in [
            ("an empty one", &[1, 3, 0][..]),
            ("one that begins where another ends", &[2, 0, 1, 0, 1]),
            ("one beyond the end", &[1, 41, 1]),
            ("one that ends a block beyond the end", &[1, 0, 42]),
            ("one after the end", &[1, 1 << 40, 1]),
            ("one that wraps around", &[1, 1, VARINT_MAX]),
            ("one whose end wraps around", &[1, (1 << 46) - 1, (1 << 46) - 1]),
            ("fewer than announced", &[2, 0, 1]),
            ("more than there may be", &[HOLES_MAX as u64 + 1]),
            ("a number as large as they come", &[VARINT_MAX]),
        ] {
            assert!(read(&encoded(numbers), SIZE).is_err(), "{what}");
        }
        assert!(read(&encoded(&[1, 0, 41]), SIZE).is_ok(), "all of it");
        assert!(read(&encoded(&[0]), 0).is_ok() && read(&encoded(&[1, 0, 1]), 0).is_err());
        let far = 1 << 24;
        let numbers: Vec<u64> = std::iter::once(2_000).chain([far; 4_000]).collect();
        let long = encoded(&numbers);
        assert!(long.len() > HOLES_LEN_MAX && read(&long, 1 << 61).is_err(), "{}", long.len());
    }

    #[test]
    fn more_holes_than_an_offer_has_room_for_are_cut_off() {
        let many =
            |step: u64| (0..5_000).map(|at| at * step..at * step + BLOCK).collect::<Vec<_>>();
        for (step, count) in [(2 * BLOCK, HOLES_MAX), (BLOCK << 20, 2_400)] {
            let holes = Holes::fitting(step * 5_000, many(step));
            assert_eq!(holes.0.len(), count);
            assert!(holes.encoded_len() <= HOLES_LEN_MAX);
        }
    }

    #[test]
    fn groups_that_are_holes_are_passed_over() {
        let size = 40 * GROUP + 5;
        let holes = Holes::new(size, [BLOCK..3 * GROUP + BLOCK, 10 * GROUP..size]);
        let layout = Layout::new(size, holes.expect("in order"));
        let are: Vec<u64> = (0..=40).filter(|group| !layout.is_hole(*group)).collect();
        assert_eq!(are, [0, 3, 4, 5, 6, 7, 8, 9]);
        for group in 0..=40 {
            let next = (group..41).find(|group| !layout.is_hole(*group)).unwrap_or(41);
            assert_eq!(layout.next_data(group), next, "{group}");
        }
    }

    proptest! {
        #[test]
        fn each_byte_that_travels_has_its_place(
            lens in prop::collection::vec((1u64..4, 1u64..4), 0..8),
            tail in 0u64..3,
        ) {
            let mut at = 0;
            let mut ranges = Vec::new();
            for (skip, len) in &lens {
                ranges.push(at + skip * BLOCK..at + (skip + len) * BLOCK);
                at += (skip + len) * BLOCK;
            }
            let size = at + tail * 1_000;
            let layout = Layout::new(size, Holes::new(size, ranges.clone()).expect("in order"));
            let is_hole = |at: u64| ranges.iter().any(|range| range.contains(&at));
            let steps = (0..size).step_by(BLOCK as usize / 2).chain([size.saturating_sub(1)]);
            let mut space = 0;
            let mut last = 0;
            for position in steps.filter(|position| *position < size) {
                space += if is_hole(last) { 0 } else { position - last };
                last = position;
                let part = layout.in_space(&(position..position + 1));
                prop_assert_eq!(part.start, space);
                prop_assert_eq!(part.is_empty(), is_hole(position));
                if !is_hole(position) {
                    prop_assert_eq!(layout.stretch(space).start, position);
                }
            }
            let all: Vec<_> = layout.stretches(0..layout.space()).collect();
            prop_assert_eq!(all.iter().map(|part| part.end - part.start).sum::<u64>(), layout.space());
            prop_assert!(all.iter().all(|part| layout.holes_in(part).next().is_none()));
        }
    }
}
