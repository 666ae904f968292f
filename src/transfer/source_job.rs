//! What a source is told to do, and what it says it did: between a [`super::sender::Sending`], which never
//! waits, and its [`super::source::Source`], which reads the disk. The mirror of [`super::job`].

use super::entry::Kind;
use super::hash::Hash;
use super::name::TreePath;
use super::outcome::Failure;
use crate::transport::batch::Batch;
use std::ops::Range;

/// What the source is to do.
#[derive(Debug)]
pub enum SourceJob {
    /// Say whether the file is still the one that was offered, and can be read.
    Check {
        /// The file.
        index: u32,
    },
    /// The receiver has compared enough of the file.
    Decided {
        /// The file.
        index: u32,
    },
    /// Fill the payloads of a train in.
    Fill(Batch),
    /// Nobody waits for the entry any more.
    Forget {
        /// The entry.
        index: u32,
    },
    /// The receiver takes the file: hash its holes, of which nothing goes, beside what goes.
    Hollow {
        /// The file.
        index: u32,
    },
    /// Those groups do not go, as the receiver says that it has them: hash them beside what goes.
    Keep {
        /// The file.
        index: u32,
        /// Its groups.
        groups: Range<u64>,
    },
    /// Hash the file beside what goes: the receiver compares.
    Prove {
        /// The file.
        index: u32,
    },
    /// Look at more of what is to be sent, until so much of it was found.
    Walk {
        /// Entries.
        entries: usize,
        /// Bytes of their offers.
        text: usize,
        /// Whether to see that each file can be read, as in a plan.
        checks: bool,
    },
}

/// What the source did.
#[derive(Debug)]
pub enum SourceReport {
    /// Whether the file is still the one that was offered.
    Checked {
        /// The file.
        index: u32,
        /// If not, how it differs.
        result: Result<(), Failure>,
    },
    /// The file cannot be read as it was offered.
    Failed {
        /// The file.
        index: u32,
        /// Why.
        failure: Failure,
    },
    /// The train that was to be filled.
    Filled {
        /// The train.
        batch: Batch,
        /// Whether all payloads are in place. If not, a [`SourceReport::Failed`] came before.
        is_whole: bool,
    },
    /// The next entry; its index is one more than that of the one before.
    Found {
        /// Its path.
        path: TreePath,
        /// What it is.
        kind: Kind,
    },
    /// The value of a group, of several.
    Group {
        /// The file.
        index: u32,
        /// The group.
        group: u64,
        /// Its value.
        value: Hash,
    },
    /// Something that was to be sent cannot be offered.
    Lacking {
        /// What, as people are shown it.
        name: String,
        /// Why.
        failure: Failure,
    },
    /// The hash of the file, all of which was read and did not change meanwhile.
    Root {
        /// The file.
        index: u32,
        /// Its hash.
        hash: Hash,
    },
    /// A link is left out.
    SkippedLink,
    /// What is neither file nor directory nor link is left out.
    SkippedSpecial {
        /// What, as people are shown it.
        name: String,
    },
    /// A [`SourceJob::Walk`] is done.
    Walked {
        /// There is nothing more.
        is_end: bool,
    },
}
