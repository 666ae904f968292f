//! How a file, and a whole transfer, ended.

use super::entry::Sort;
use super::hash::Hash;
use crate::transport::stats::Stats;
use std::collections::{BTreeMap, BTreeSet};

/// Committed files that a report names one by one.
const NAMED_FILES_MAX: usize = 10_000;

/// Files left out that a report names one by one.
const NAMED_SPECIAL_MAX: usize = 8;

/// Failures that a report names one by one.
const NAMED_FAILURES_MAX: usize = 1_000;

/// Why a file or a transfer failed. The numbers are the program's exit codes and go over the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// Nothing of the below.
    Other = 1,
    /// Nobody answered.
    Unreachable = 3,
    /// The peer fell silent or left.
    Interrupted = 4,
    /// What arrived is not what was sent.
    Integrity = 5,
    /// The other side does not want it.
    Refused = 6,
    /// There is something under that name already.
    Exists = 7,
    /// No space left.
    Full = 8,
    /// The source is missing, unreadable or changed.
    Source = 9,
    /// The sides speak different versions.
    Version = 10,
    /// The time that the user gave it is up.
    Deadline = 124,
    /// The user's terminal was closed.
    HungUp = 129,
    /// The user pressed Ctrl-C.
    User = 130,
    /// The system asked the program to end.
    Terminated = 143,
}

impl Reason {
    const ALL: [Self; 13] = [
        Self::Other,
        Self::Unreachable,
        Self::Interrupted,
        Self::Integrity,
        Self::Refused,
        Self::Exists,
        Self::Full,
        Self::Source,
        Self::Version,
        Self::Deadline,
        Self::HungUp,
        Self::User,
        Self::Terminated,
    ];

    /// The number that stands for it.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }

    /// Whether somebody on this side ended the transfer, and nothing about it failed.
    #[must_use]
    pub fn is_order(self) -> bool {
        matches!(self, Self::Deadline | Self::HungUp | Self::User | Self::Terminated)
    }

    /// The reason that a number from the wire stands for; unknown ones are [`Reason::Other`].
    #[must_use]
    pub fn from_code(code: u16) -> Self {
        let known = Self::ALL.into_iter().find(|reason| u16::from(reason.code()) == code);
        known.unwrap_or(Self::Other)
    }
}

/// Why something failed, with a sentence for a person.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Failure {
    /// What kind.
    pub reason: Reason,
    /// What happened. Escaped where it came from the peer.
    pub text: String,
}

impl Failure {
    /// A failure with its sentence.
    pub fn new(reason: Reason, text: impl Into<String>) -> Self {
        Self { reason, text: text.into() }
    }
}

/// How an entry ended that did not fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// It came, and is committed.
    Committed {
        /// Its hash.
        hash: Hash,
        /// The name that it got, as people are shown it, where something else has its own.
        renamed: Option<String>,
    },
    /// The same was there already.
    Same(Hash),
    /// Something of that name was there, and stays, as the receiver's user wants it.
    Left,
    /// It would come; in a plan, where nothing is done.
    Would {
        /// Whether something that has its name would make room for it.
        replaces: bool,
        /// Bytes of it that an earlier transfer brought.
        there: u64,
        /// The name that it would get, as people are shown it, where something else has its own.
        renamed: Option<String>,
    },
}

impl Done {
    /// It came, and is committed under its own name.
    #[must_use]
    pub fn committed(hash: Hash) -> Self {
        Self::Committed { hash, renamed: None }
    }

    /// The hash of what is there, where that is known to be what was sent.
    #[must_use]
    pub fn hash(&self) -> Option<&Hash> {
        match self {
            Self::Committed { hash, .. } | Self::Same(hash) => Some(hash),
            Self::Left | Self::Would { .. } => None,
        }
    }

    /// The name that it got, or would get, where something else has its own.
    #[must_use]
    pub fn renamed(&self) -> Option<&str> {
        match self {
            Self::Committed { renamed, .. } | Self::Would { renamed, .. } => renamed.as_deref(),
            Self::Left | Self::Same(_) => None,
        }
    }
}

/// How one entry ended.
pub type FileOutcome = Result<Done, Failure>;

/// One file of a transfer, or another entry that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileReport {
    /// Its path, as people are shown it.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// Bytes of them that are holes, and do not travel.
    pub holes: u64,
    /// How it ended.
    pub outcome: FileOutcome,
}

/// What would come of a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Planned {
    /// Files that would come.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files of which an earlier transfer brought something.
    pub resumed_files: u64,
    /// Bytes of them that it brought.
    pub resumed: u64,
    /// Directories that would be made.
    pub directories: u64,
    /// Symbolic links that would come.
    pub links: u64,
    /// Files and links for which something of their name would make room.
    pub replacing: u64,
    /// Files and links that would get another name.
    pub renamed: u64,
}

impl Planned {
    fn note(&mut self, sort: Sort, size: u64, (replaces, there, is_renamed): (bool, u64, bool)) {
        match sort {
            Sort::Directory => self.directories += 1,
            Sort::File => {
                self.files += 1;
                self.bytes += size;
            }
            Sort::Link => self.links += 1,
        }
        self.resumed_files += u64::from(there > 0);
        self.resumed += there;
        self.replacing += u64::from(replaces);
        self.renamed += u64::from(is_renamed);
    }
}

/// What became of all entries of a transfer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Entries that were offered, or would have been.
    pub entries: u64,
    /// Files that came and are committed.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes of them that are holes, and did not travel.
    pub holes: u64,
    /// Bytes of them that an earlier transfer had brought.
    pub resumed: u64,
    /// Files and links that were there already, the same.
    pub same: u64,
    /// The files' bytes.
    pub same_bytes: u64,
    /// Entries in whose place something else stays, as the receiver's user wants it.
    pub left: u64,
    /// Directories that are there.
    pub directories: u64,
    /// Symbolic links that came and are committed.
    pub links: u64,
    /// Entries that failed.
    pub failed: u64,
    /// What they failed with.
    pub reasons: BTreeSet<Reason>,
    /// Entries that were offered to be looked at, and nothing more.
    pub listed: u64,
    /// What would become of them, where nothing is done.
    pub planned: Option<Planned>,
    /// Symbolic links that the sender left out.
    pub skipped_links: u64,
    /// What the sender left out because it is neither file nor directory nor link.
    pub skipped_special: u64,
    /// The first of them, as people are shown them.
    pub special: Vec<String>,
}

/// Takes note of outcomes as they come, in memory that does not grow with them.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    counts: Counts,
    /// Those that are named, by their place in the order offered and of their coming.
    named: BTreeMap<(u32, u64), FileReport>,
    named_files: usize,
    named_failures: usize,
}

impl Ledger {
    /// That of a plan: nothing is done.
    #[must_use]
    pub fn planning() -> Self {
        let counts = Counts { planned: Some(Planned::default()), ..Counts::default() };
        Self { counts, ..Self::default() }
    }

    /// Entries so far that have an outcome, or were offered to be looked at only.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.counts.entries
    }

    /// An entry is offered to be looked at only. Says how many there are now.
    pub fn list(&mut self) -> u64 {
        self.counts.listed += 1;
        self.counts.listed
    }

    /// A symbolic link is left out.
    pub fn skipped_link(&mut self) {
        self.counts.skipped_links += 1;
    }

    /// A special file is left out.
    pub fn skipped_special(&mut self, name: String) {
        self.counts.skipped_special += 1;
        if self.counts.special.len() < NAMED_SPECIAL_MAX {
            self.counts.special.push(name);
        }
    }

    /// So many bytes of a file need not come: an earlier transfer brought them.
    pub fn resume(&mut self, bytes: u64) {
        self.counts.resumed += bytes;
    }

    /// So many of them have to come after all.
    pub fn resume_less(&mut self, bytes: u64) {
        self.counts.resumed -= bytes;
    }

    /// Bytes that need not come, because an earlier transfer brought them.
    #[must_use]
    pub fn resumed(&self) -> u64 {
        self.counts.resumed
    }

    /// The entry of that index has an outcome.
    pub fn note(&mut self, index: u32, sort: Sort, report: FileReport) {
        let counts = &mut self.counts;
        counts.entries += 1;
        let (named, max) = match (&report.outcome, sort) {
            (Err(failure), _) => {
                counts.failed += 1;
                counts.reasons.insert(failure.reason);
                (&mut self.named_failures, NAMED_FAILURES_MAX)
            }
            (Ok(Done::Would { replaces, there, renamed }), sort) => {
                let what = (*replaces, *there, renamed.is_some());
                counts.planned.get_or_insert_default().note(sort, report.size, what);
                if sort == Sort::Directory {
                    return;
                }
                (&mut self.named_files, NAMED_FILES_MAX)
            }
            (Ok(_), Sort::Directory) => {
                counts.directories += 1;
                return;
            }
            (Ok(Done::Same(_)), sort) => {
                counts.same += 1;
                counts.same_bytes += report.size;
                if sort == Sort::Link {
                    return;
                }
                (&mut self.named_files, NAMED_FILES_MAX)
            }
            (Ok(Done::Left), _) => {
                counts.left += 1;
                (&mut self.named_files, NAMED_FILES_MAX)
            }
            (Ok(Done::Committed { .. }), Sort::File) => {
                counts.files += 1;
                counts.bytes += report.size;
                counts.holes += report.holes;
                (&mut self.named_files, NAMED_FILES_MAX)
            }
            (Ok(Done::Committed { .. }), Sort::Link) => {
                counts.links += 1;
                return;
            }
        };
        if *named < max {
            *named += 1;
            self.named.insert((index, self.counts.entries), report);
        }
    }

    /// The report of a transfer that is over.
    #[must_use]
    pub fn report(self, failure: Option<Failure>, stats: Option<Stats>) -> TransferReport {
        let files = self.named.into_values().collect();
        TransferReport { files, counts: self.counts, failure, stats, is_list: false }
    }
}

/// A whole transfer, when it is over.
#[derive(Clone, Debug)]
pub struct TransferReport {
    /// Files and failures in the order offered; of very many, the first.
    pub files: Vec<FileReport>,
    /// What became of all of them.
    pub counts: Counts,
    /// What ended the transfer before all entries had an outcome.
    pub failure: Option<Failure>,
    /// What the transport counted; nothing over TCP.
    pub stats: Option<Stats>,
    /// Whether only the list was wanted.
    pub is_list: bool,
}

impl TransferReport {
    /// What the transfer as a whole failed with: nothing if every entry is committed, the user's own
    /// interruption, the entries' reason if they agree, else [`Reason::Other`].
    #[must_use]
    pub fn verdict(&self) -> Option<Reason> {
        let ended = self.failure.as_ref().map(|failure| failure.reason);
        if ended.is_some_and(Reason::is_order) {
            return ended;
        }
        let mut reasons = self.counts.reasons.iter().copied().chain(ended);
        let first = reasons.next()?;
        Some(if reasons.all(|reason| reason == first) { first } else { Reason::Other })
    }

    /// Bytes of the committed files that went in this transfer, not in an earlier one.
    #[must_use]
    pub fn moved_bytes(&self) -> u64 {
        self.counts.bytes.saturating_sub(self.counts.resumed + self.counts.holes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(outcomes: &[Option<Reason>], failure: Option<Reason>) -> TransferReport {
        let mut ledger = Ledger::default();
        for (index, outcome) in (0..).zip(outcomes) {
            let outcome = match outcome {
                None => Ok(Done::committed(Hash::of(b""))),
                Some(reason) => Err(Failure::new(*reason, "")),
            };
            ledger.note(
                index,
                Sort::File,
                FileReport { name: "a".into(), size: 5, holes: 0, outcome },
            );
        }
        ledger.report(failure.map(|reason| Failure::new(reason, "")), None)
    }

    #[test]
    fn different_reasons_make_the_general_one() {
        use Reason::{Exists, Full, Interrupted, Other};
        assert_eq!(report(&[None, None], None).verdict(), None);
        assert_eq!(report(&[], None).verdict(), None);
        assert_eq!(report(&[None, Some(Exists), Some(Exists)], None).verdict(), Some(Exists));
        assert_eq!(report(&[Some(Full), Some(Exists)], None).verdict(), Some(Other));
        assert_eq!(report(&[Some(Full)], Some(Reason::User)).verdict(), Some(Reason::User));
        assert_eq!(report(&[None], Some(Interrupted)).verdict(), Some(Interrupted));
        assert_eq!(report(&[None, Some(Full)], None).counts.bytes, 5);
    }

    #[test]
    fn what_is_named_is_bounded_and_what_is_counted_is_not() {
        let mut ledger = Ledger::default();
        for index in (0..20_000u32).rev() {
            let failed = Err(Failure::new(Reason::Exists, ""));
            let outcome = if index % 2 == 0 { Ok(Done::committed(Hash::of(b""))) } else { failed };
            ledger.note(
                index,
                Sort::File,
                FileReport { name: index.to_string(), size: 1, holes: 0, outcome },
            );
        }
        let report = ledger.report(None, None);
        assert_eq!(report.files.len(), NAMED_FILES_MAX + NAMED_FAILURES_MAX);
        assert!(report.files.is_sorted_by_key(|file| file.name.parse::<u32>().expect("a number")));
        let Counts { entries, files, bytes, failed, .. } = report.counts;
        assert_eq!((entries, files, bytes, failed), (20_000, 10_000, 10_000, 10_000));
    }

    #[test]
    fn every_reason_reads_back_from_its_code() {
        for reason in Reason::ALL {
            assert_eq!(Reason::from_code(reason.code().into()), reason);
        }
        assert_eq!(Reason::from_code(999), Reason::Other);
    }
}
