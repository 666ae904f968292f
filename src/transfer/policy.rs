//! What the receiver's user wants done with what comes.

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

/// How a sink treats what it receives.
#[derive(Clone, Copy, Debug, Default)]
pub struct SinkPolicy {
    /// What becomes of an entry whose name something else has.
    pub existing: Existing,
    /// Nothing is kept: what is complete is thrown away, and counts as committed.
    pub discards: bool,
    /// Wrong bytes may come again: the carrier can repeat a range.
    pub can_repeat: bool,
}
