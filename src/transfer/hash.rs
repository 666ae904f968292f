//! BLAKE3 over groups of 1 MiB, aligned to each file.
//!
//! A group is a subtree of BLAKE3's tree (1,024 chunks), so the values of all groups combine to the
//! very hash that `b3sum` prints, and each group can be checked as soon as it is there.

use blake3::hazmat::{HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

/// Bytes of a group.
pub const GROUP: u64 = 1 << 20;

/// What a hole is hashed as.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// A BLAKE3 hash, or the chaining value of a group.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// The hash of some bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }
}

impl From<blake3::Hash> for Hash {
    fn from(hash: blake3::Hash) -> Self {
        Self(hash.into())
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Groups of a file of `size` bytes; an empty file has one empty group.
#[must_use]
pub fn group_count(size: u64) -> u64 {
    size.div_ceil(GROUP).max(1)
}

/// The bytes of a group in a file of `size` bytes.
#[must_use]
pub fn group_range(group: u64, size: u64) -> Range<u64> {
    let start = group.saturating_mul(GROUP).min(size);
    start..start.saturating_add(GROUP).min(size)
}

/// The value of a group: its subtree's chaining value, or the hash where it is the whole file.
#[must_use]
pub fn group_value(group: u64, bytes: &[u8], size: u64) -> Hash {
    let mut hasher = GroupHasher::new(group, size);
    hasher.update(bytes);
    hasher.value()
}

/// The value of a group that is all zeros.
#[must_use]
pub fn zeros_value(group: u64, size: u64) -> Hash {
    let range = group_range(group, size);
    let mut left = usize::try_from(range.end - range.start).expect("a group");
    let mut hasher = GroupHasher::new(group, size);
    while left > 0 {
        let len = left.min(ZEROS.len());
        hasher.update(&ZEROS[..len]);
        left -= len;
    }
    hasher.value()
}

/// The value of a group whose bytes come in pieces.
#[derive(Clone, Debug)]
pub struct GroupHasher {
    hasher: blake3::Hasher,
    is_whole_file: bool,
}

impl GroupHasher {
    /// No bytes yet of that group of a file of `size` bytes.
    #[must_use]
    pub fn new(group: u64, size: u64) -> Self {
        let mut hasher = blake3::Hasher::new();
        let is_whole_file = size <= GROUP;
        if !is_whole_file {
            hasher.set_input_offset(group * GROUP);
        }
        Self { hasher, is_whole_file }
    }

    /// The next of its bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
    }

    /// Its value.
    #[must_use]
    pub fn value(&self) -> Hash {
        if self.is_whole_file {
            return self.hasher.finalize().into();
        }
        Hash(self.hasher.finalize_non_root())
    }
}

/// Combines the values of a file's groups, in order, to its hash.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    /// Complete subtrees, the largest first; their sizes are the binary digits of `count`.
    subtrees: Vec<Hash>,
    count: u64,
}

impl Tree {
    /// Groups taken so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Takes the next group's value.
    pub fn push(&mut self, value: Hash) {
        // The last merge is left open: it may be the root's.
        while self.subtrees.len() > self.count.count_ones() as usize {
            self.merge_last_two();
        }
        self.subtrees.push(value);
        self.count += 1;
    }

    /// The hash of the file whose groups were all taken.
    ///
    /// # Panics
    /// If none was: even an empty file has a group.
    #[must_use]
    pub fn root(mut self) -> Hash {
        while self.subtrees.len() > 2 {
            self.merge_last_two();
        }
        match self.subtrees[..] {
            [only] => only,
            [left, right] => Hash(*merge_subtrees_root(&left.0, &right.0, Mode::Hash).as_bytes()),
            _ => panic!("a file has at least one group"),
        }
    }

    fn merge_last_two(&mut self) {
        let right = self.subtrees.pop().expect("two subtrees");
        let left = self.subtrees.pop().expect("two subtrees");
        self.subtrees.push(Hash(merge_subtrees_non_root(&left.0, &right.0, Mode::Hash)));
    }
}

/// The values of a file's groups, which become known in any order.
#[derive(Clone, Debug, Default)]
pub struct Groups {
    /// Those before the first one that is not known.
    tree: Tree,
    /// Those behind it.
    ahead: BTreeMap<u64, Hash>,
}

impl Groups {
    /// The first group whose value is not known.
    #[must_use]
    pub fn frontier(&self) -> u64 {
        self.tree.count()
    }

    /// Whether the value of that group is known.
    #[must_use]
    pub fn knows(&self, group: u64) -> bool {
        group < self.frontier() || self.ahead.contains_key(&group)
    }

    /// Values known behind the first one that is not.
    #[must_use]
    pub fn ahead(&self) -> usize {
        self.ahead.len()
    }

    /// Takes the value of a group. Of one that is known the first word counts.
    pub fn put(&mut self, group: u64, value: Hash) {
        if group > self.frontier() {
            self.ahead.entry(group).or_insert(value);
        } else if group == self.frontier() {
            self.tree.push(value);
            while let Some(value) = self.ahead.remove(&self.tree.count()) {
                self.tree.push(value);
            }
        }
    }

    /// The hash of a file of so many groups, once all of them are known.
    #[must_use]
    pub fn root(&self, groups: u64) -> Option<Hash> {
        (self.frontier() == groups).then(|| self.tree.clone().root())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_come_in_any_order_combine_to_the_same() {
        let values: Vec<Hash> = (0..7u8).map(|at| Hash([at; 32])).collect();
        let in_order = |order: [u64; 7]| {
            let mut groups = Groups::default();
            for group in order {
                assert!(groups.root(7).is_none() && !groups.knows(group));
                groups.put(group, values[group as usize]);
                groups.put(group, Hash([99; 32]));
                assert!(groups.knows(group));
            }
            (groups.root(7), groups.ahead())
        };
        let straight = in_order([0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(in_order([6, 2, 0, 1, 5, 4, 3]), straight);
        assert_eq!(straight.1, 0);
    }

    #[test]
    fn groups_combine_to_the_hash_of_the_whole() {
        let longest = 9 * GROUP + 5;
        let bytes: Vec<u8> = (0..longest).map(|at| (at * at % 251) as u8).collect();
        let ends = [0, 1, 1023, GROUP - 1, GROUP, GROUP + 1, 2 * GROUP, 3 * GROUP + 7];
        for size in ends.into_iter().chain((4..10).map(|n| n * GROUP - 1)).chain([longest]) {
            let file = &bytes[..size as usize];
            let mut tree = Tree::default();
            for group in 0..group_count(size) {
                let range = group_range(group, size);
                let part = &file[range.start as usize..range.end as usize];
                tree.push(group_value(group, part, size));
            }
            assert_eq!(tree.root(), Hash::of(file), "{size} bytes");
        }
    }

    #[test]
    fn the_value_of_zeros_is_that_of_a_group_of_them() {
        for size in [1, GROUP, 2 * GROUP, 3 * GROUP + 70_001] {
            for group in 0..group_count(size) {
                let range = group_range(group, size);
                let zeros = vec![0; usize::try_from(range.end - range.start).expect("a group")];
                assert_eq!(zeros_value(group, size), group_value(group, &zeros, size));
            }
        }
    }

    #[test]
    fn the_hash_prints_as_b3sum_prints_it() {
        assert_eq!(
            Hash::of(b"").to_string(),
            "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
        );
    }

    #[test]
    fn group_ranges_never_overflow() {
        assert_eq!(group_range(u64::MAX, 10), 10..10);
        assert_eq!(group_count(u64::MAX), 1 << 44);
    }
}
