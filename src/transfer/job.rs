//! What a sink is told to do, and what it says it did.

use super::budget::Charge;
use super::entry::Kind;
use super::hash::Hash;
use super::name::TreePath;
use super::outcome::Failure;
use std::ops::Range;

/// Bytes of the transfer space, in pieces that are as long as they can be.
#[derive(Debug, Default)]
pub struct WriteBatch {
    bytes: Vec<u8>,
    /// Where each piece belongs, and where it is in `bytes`.
    pieces: Vec<(u64, Range<usize>)>,
    charge: Charge,
}

impl WriteBatch {
    /// None yet; they are going to count as part of that account.
    #[must_use]
    pub fn of(charge: Charge) -> Self {
        Self { charge, ..Self::default() }
    }

    /// Appends bytes that belong at `offset`.
    pub fn push(&mut self, offset: u64, bytes: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        self.charge.grow(bytes.len());
        match self.pieces.last_mut() {
            Some((first, piece)) if *first + (piece.end - piece.start) as u64 == offset => {
                piece.end = self.bytes.len();
            }
            _ => self.pieces.push((offset, start..self.bytes.len())),
        }
    }

    /// Bytes in all.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The pieces: where each belongs, and its bytes.
    pub fn pieces(&self) -> impl Iterator<Item = (u64, &[u8])> {
        self.pieces.iter().map(|(offset, piece)| (*offset, &self.bytes[piece.clone()]))
    }
}

/// What the sink is to do.
#[derive(Debug)]
pub enum Job {
    /// Those are the values of consecutive groups, says the sender.
    Expect {
        /// The file.
        index: u32,
        /// The first group.
        first: u64,
        /// Its value and those that follow.
        values: Vec<Hash>,
    },
    /// That is the hash of the file, says the sender.
    ExpectRoot {
        /// The file.
        index: u32,
        /// Its hash.
        hash: Hash,
    },
    /// Every entry has an outcome: put the last things right.
    Finish,
    /// Forget the file: it will not come.
    Forget {
        /// The file.
        index: u32,
    },
    /// The next entry, whose bytes are `range` of the transfer space.
    Offer {
        /// The entry; offers come in order.
        index: u32,
        /// Where it is to lie and what it is; nothing if it has been refused already.
        wanted: Option<(TreePath, Kind)>,
        /// Its bytes.
        range: Range<u64>,
    },
    /// Before any offer: nothing is to be done, only said.
    Plan,
    /// Bytes of files that were offered.
    Write(WriteBatch),
}

/// What the sink did.
#[derive(Debug, PartialEq, Eq)]
pub enum Report {
    /// The entry is wanted.
    Accepted {
        /// The entry.
        index: u32,
    },
    /// Those bytes are not what the sender says; they must come again.
    Again(Range<u64>),
    /// That group was said to be kept and is not what the sender has: its bytes must come after all.
    Changed {
        /// The file.
        index: u32,
        /// The group.
        group: u64,
    },
    /// The entry is verified, on stable storage, and has its name.
    Committed {
        /// The entry.
        index: u32,
        /// Its hash.
        hash: Hash,
    },
    /// A job is done. The last report of each.
    Done {
        /// Bytes of the job, where it was a [`Job::Write`].
        bytes: usize,
        /// Bytes of the transfer space that are in their files now.
        total: u64,
    },
    /// Those groups are here from an earlier transfer: their bytes need not come.
    Kept {
        /// The file.
        index: u32,
        /// The first group.
        first: u64,
        /// Its value and those that follow.
        values: Vec<Hash>,
    },
    /// Something else has the entry's name, and stays.
    Left {
        /// The entry.
        index: u32,
    },
    /// Something of the file's name and size is there: it is to be compared with the sender's.
    Prove {
        /// The file.
        index: u32,
    },
    /// The entry is going to have another name than was proposed.
    Renamed {
        /// The entry.
        index: u32,
        /// Its path.
        path: TreePath,
    },
    /// The same is there already, on stable storage.
    Same {
        /// The entry.
        index: u32,
        /// Its hash.
        hash: Hash,
    },
    /// The entry is not kept.
    Failed {
        /// The entry.
        index: u32,
        /// Why.
        failure: Failure,
    },
    /// The entry would come; in a plan.
    Would {
        /// The entry.
        index: u32,
        /// Whether something that has its name would make room for it.
        replaces: bool,
        /// Bytes of it that an earlier transfer brought.
        there: u64,
    },
    /// The last things are right.
    Finished,
}
