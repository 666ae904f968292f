//! How a file, and a whole transfer, ended.

use super::hash::Hash;
use crate::transport::stats::Stats;

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

/// How one file ended: its hash once committed.
pub type FileOutcome = Result<Hash, Failure>;

/// One file of a transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileReport {
    /// Its name, as people are shown it.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// How it ended.
    pub outcome: FileOutcome,
}

/// A whole transfer, when it is over.
#[derive(Clone, Debug)]
pub struct TransferReport {
    /// All files that were offered, in order.
    pub files: Vec<FileReport>,
    /// What ended the transfer before all files had an outcome.
    pub failure: Option<Failure>,
    /// What the transport counted; nothing over TCP.
    pub stats: Option<Stats>,
}

impl TransferReport {
    /// What the transfer as a whole failed with: nothing if every file is committed, the user's own
    /// interruption, the files' reason if they agree, else [`Reason::Other`].
    #[must_use]
    pub fn verdict(&self) -> Option<Reason> {
        let ended = self.failure.as_ref().map(|failure| failure.reason);
        if ended.is_some_and(Reason::is_order) {
            return ended;
        }
        let failures = self.files.iter().filter_map(|file| file.outcome.as_ref().err());
        let mut reasons = failures.chain(&self.failure).map(|failure| failure.reason);
        let first = reasons.next()?;
        Some(if reasons.all(|reason| reason == first) { first } else { Reason::Other })
    }

    /// Bytes of the files that are committed.
    #[must_use]
    pub fn committed_bytes(&self) -> u64 {
        self.files.iter().filter(|file| file.outcome.is_ok()).map(|file| file.size).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(outcomes: &[Option<Reason>], failure: Option<Reason>) -> TransferReport {
        let files = outcomes
            .iter()
            .map(|outcome| FileReport {
                name: "a".into(),
                size: 5,
                outcome: match outcome {
                    None => Ok(Hash::of(b"")),
                    Some(reason) => Err(Failure::new(*reason, "")),
                },
            })
            .collect();
        let failure = failure.map(|reason| Failure::new(reason, ""));
        TransferReport { files, failure, stats: None }
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
        assert_eq!(report(&[None, Some(Full)], None).committed_bytes(), 5);
    }

    #[test]
    fn every_reason_reads_back_from_its_code() {
        for reason in Reason::ALL {
            assert_eq!(Reason::from_code(reason.code().into()), reason);
        }
        assert_eq!(Reason::from_code(999), Reason::Other);
    }
}
