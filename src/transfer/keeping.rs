//! How a receiver keeps what it receives, as its user wants it.

use super::handover::Handover;
use super::manifest::Manifest;

/// What becomes of an entry whose name something else has. What is the same is left as it is, whatever is
/// asked for here; a directory is never replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Existing {
    /// It replaces what is there.
    Overwrite,
    /// It fails.
    #[default]
    Refuse,
    /// It gets another name.
    Rename,
    /// It is not wanted; what is there is not even looked into.
    Skip,
}

/// How a receiver keeps what it receives.
#[derive(Clone, Debug, Default)]
pub struct Keeping {
    /// What becomes of an entry whose name something else has.
    pub existing: Existing,
    /// Nothing is kept: what is complete is thrown away, and counts as committed.
    pub discards: bool,
    /// Read each file back from the disk before it gets its name.
    pub verify: bool,
    /// Hand the only file over in place of giving it its name.
    pub handover: Option<Handover>,
    /// Add each file to this list.
    pub manifest: Option<Manifest>,
}
