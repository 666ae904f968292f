//! Packet numbers that are left out on purpose. Who acknowledges one of them acknowledges what he has not
//! received, to be sent more than the path carries (RFC 9000 21.4).

use crate::base::range_set::members_within;
use std::collections::BTreeSet;
use std::ops::Range;

/// The first packets have all their numbers, and so have as many after each that was left out.
const SPAN_MIN: u64 = 1024;

/// The numbers left out that are remembered: those of the last 65,536 at least, as far as an ACK reaches.
const REMEMBERED_MAX: usize = 64;

/// Which numbers are left out.
#[derive(Clone, Debug)]
pub struct Skipped {
    secret: [u8; 32],
    /// Numbers drawn so far.
    count: u64,
    /// The next number at or above this is left out.
    next: u64,
    numbers: BTreeSet<u64>,
}

impl Skipped {
    /// Draws from `secret`, so that nobody else knows which.
    #[must_use]
    pub fn new(secret: [u8; 32]) -> Self {
        let mut skipped = Self { secret, count: 0, next: 0, numbers: BTreeSet::new() };
        skipped.next = skipped.draw();
        skipped
    }

    /// A distance of one to four spans.
    fn draw(&mut self) -> u64 {
        self.count += 1;
        let input = [b"skip".as_slice(), &self.count.to_le_bytes()].concat();
        let hash = blake3::keyed_hash(&self.secret, &input);
        let bytes = *hash.as_bytes().first_chunk().expect("a hash is longer");
        SPAN_MIN + u64::from_le_bytes(bytes) % (3 * SPAN_MIN)
    }

    /// Whether the next packet leaves out this number, and takes the one after.
    pub fn leaves_out(&mut self, number: u64) -> bool {
        if number < self.next {
            return false;
        }
        self.next = number + self.draw();
        self.numbers.insert(number);
        if self.numbers.len() > REMEMBERED_MAX {
            self.numbers.pop_first();
        }
        true
    }

    /// Whether an acknowledgement's ranges (highest first) hold a number that was left out.
    #[must_use]
    pub fn is_in(&self, ranges: &[Range<u64>]) -> bool {
        !members_within(|from| self.numbers.range(from..).copied(), ranges).is_empty()
    }

    /// Those that are remembered.
    #[cfg(test)]
    pub fn numbers(&self) -> &BTreeSet<u64> {
        &self.numbers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_left_out_now_and_then_and_remembered_as_far_as_an_acknowledgement_reaches() {
        let mut skipped = Skipped::new([7; 32]);
        let out: Vec<u64> = (0..1_000_000).filter(|number| skipped.leaves_out(*number)).collect();
        assert!(out[0] >= SPAN_MIN && (300..800).contains(&out.len()), "{}", out.len());
        assert!(out.windows(2).all(|pair| (SPAN_MIN..4 * SPAN_MIN).contains(&(pair[1] - pair[0]))));
        let last = out[out.len() - 1];
        let lowest = *skipped.numbers().first().expect("some");
        assert!(lowest <= last - (1 << 16) && skipped.numbers().len() == REMEMBERED_MAX);
        assert!(skipped.is_in(&[last..last + 1, 5..6]) && skipped.is_in(&[lowest - 3..last]));
        assert!(!skipped.is_in(&[last + 1..last + 900, lowest + 1..lowest + 2]));
        let mut other = Skipped::new([8; 32]);
        let others: Vec<u64> = (0..1_000_000).filter(|number| other.leaves_out(*number)).collect();
        assert_ne!(out, others);
    }
}
