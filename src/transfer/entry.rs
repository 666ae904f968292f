//! What a transfer is made of: files, directories and symbolic links, as the sender offers them.

use super::hash::GROUP;
use super::holes::{Holes, Layout};
use std::time::{Duration, SystemTime};

/// The bits of a mode that travel: who may read, write and execute. Not setuid, setgid, sticky.
pub const MODE_MASK: u16 = 0o777;

const NANOSECONDS_MAX: u32 = 999_999_999;

/// One entry as it is offered. Its path is a proposal, not to be trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it is to lie, below the receiver's directory.
    pub path: String,
    /// What it is.
    pub kind: Kind,
}

impl Entry {
    /// Bytes of its path and of what it says.
    #[must_use]
    pub fn text_len(&self) -> usize {
        self.path.len() + self.kind.text_len()
    }
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A directory. What lies in it is offered after it.
    Directory {
        /// Who may do what, and how old it is.
        attributes: Attributes,
    },
    /// A regular file.
    File {
        /// Bytes.
        size: u64,
        /// Whether it has holes, which need no room; those of them that do not travel.
        holes: Option<Holes>,
        /// Who may do what, and how old it is.
        attributes: Attributes,
        /// Which file it is at the sender, of more than one group: a later transfer of the same one goes on
        /// from where this one ends.
        source: Option<SourceId>,
    },
    /// A symbolic link.
    Link {
        /// What it says. Not to be trusted.
        target: String,
    },
}

/// Tells a file at the sender from others, and from itself after it was changed. Means nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceId(pub [u8; 16]);

/// What an entry is, and no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link.
    Link,
}

impl Kind {
    /// What it is, and no more.
    #[must_use]
    pub fn sort(&self) -> Sort {
        match self {
            Self::Directory { .. } => Sort::Directory,
            Self::File { .. } => Sort::File,
            Self::Link { .. } => Sort::Link,
        }
    }

    /// Whether an offer of a file of that size says which one it is: there is something to resume.
    #[must_use]
    pub fn is_identified(size: u64) -> bool {
        size > GROUP
    }

    /// Bytes of what it says.
    #[must_use]
    pub fn text_len(&self) -> usize {
        match self {
            Self::Directory { .. } => 0,
            Self::File { holes, .. } => holes.as_ref().map_or(0, Holes::encoded_len),
            Self::Link { target } => target.len(),
        }
    }

    /// Bytes of a file.
    #[must_use]
    pub fn size(&self) -> u64 {
        match self {
            Self::File { size, .. } => *size,
            Self::Directory { .. } | Self::Link { .. } => 0,
        }
    }

    /// Where its bytes are, in the file and in the transfer space.
    #[must_use]
    pub fn layout(&self) -> Layout {
        match self {
            Self::File { size, holes, .. } => Layout::new(*size, holes.clone().unwrap_or_default()),
            Self::Directory { .. } | Self::Link { .. } => Layout::default(),
        }
    }
}

/// What is kept of an entry beside its contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// Who may do what; only bits of [`MODE_MASK`].
    pub mode: u16,
    /// When it was last written to: seconds since the beginning of 1970, before it negative.
    pub seconds: i64,
    /// What came after these seconds; below 10^9.
    pub nanoseconds: u32,
}

impl Attributes {
    /// Attributes from the wire; nothing if they are none.
    #[must_use]
    pub fn checked(mode: u64, seconds: i64, nanoseconds: u64) -> Option<Self> {
        let mode = u16::try_from(mode).ok().filter(|mode| mode & !MODE_MASK == 0)?;
        let nanoseconds = u32::try_from(nanoseconds).ok().filter(|n| *n <= NANOSECONDS_MAX)?;
        Some(Self { mode, seconds, nanoseconds })
    }

    /// The attributes of what was last written to at that time.
    #[must_use]
    pub fn at(mode: u16, modified: SystemTime) -> Self {
        let (seconds, nanoseconds) = match modified.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => (i64::try_from(since.as_secs()).unwrap_or(i64::MAX), since.subsec_nanos()),
            Err(before) => {
                let before = before.duration();
                let seconds = -i64::try_from(before.as_secs()).unwrap_or(i64::MAX);
                match before.subsec_nanos() {
                    0 => (seconds, 0),
                    part => (seconds - 1, NANOSECONDS_MAX + 1 - part),
                }
            }
        };
        Self { mode, seconds, nanoseconds }
    }

    /// The time of the last change; the nearest one that the system knows, where it does not know that one.
    #[must_use]
    pub fn modified(&self) -> SystemTime {
        let whole = Duration::from_secs(self.seconds.unsigned_abs());
        let second = match self.seconds >= 0 {
            true => SystemTime::UNIX_EPOCH.checked_add(whole),
            false => SystemTime::UNIX_EPOCH.checked_sub(whole),
        };
        let part = Duration::from_nanos(self.nanoseconds.min(NANOSECONDS_MAX).into());
        second.and_then(|at| at.checked_add(part)).unwrap_or(SystemTime::UNIX_EPOCH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_harmless_is_taken() {
        assert!(Attributes::checked(0o777, i64::MIN, 999_999_999).is_some());
        for mode in [0o1000, 0o2755, 0o4755, u64::MAX] {
            assert_eq!(Attributes::checked(mode, 0, 0), None, "{mode:o}");
        }
        assert_eq!(Attributes::checked(0, 0, 1_000_000_000), None);
    }

    #[test]
    fn times_before_1970_and_after_2106_are_as_exact_as_others() {
        for (seconds, nanoseconds) in [(0, 0), (7, 5), (-1, 999_999_999), (-5, 1), (1 << 33, 3)] {
            let attributes = Attributes { mode: 0, seconds, nanoseconds };
            assert_eq!(Attributes::at(0, attributes.modified()), attributes);
        }
        let before = SystemTime::UNIX_EPOCH - Duration::from_millis(1_250);
        let attributes = Attributes::at(0, before);
        assert_eq!((attributes.seconds, attributes.nanoseconds), (-2, 750_000_000));
    }
}
