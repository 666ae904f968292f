//! Which message about an entry may be said when: one table for each side. PROTOCOL.md shows the same ones,
//! and a test plays every message in every state.

use super::message::Message;
use crate::wire::cursor::Malformed;
use Verdict::{Ignore as I, Take as T, Violation as V};

/// What comes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is carried out.
    Take,
    /// It crossed something said meanwhile, or has been said: nothing comes of it.
    Ignore,
    /// Who says that breaks the protocol.
    Violation,
}

/// An entry, as the sender of files sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SenderState {
    /// Not offered.
    Unknown,
    /// Offered; its hash is not known yet.
    Offered,
    /// Its hash is known; not all of its bytes have gone.
    Hashed,
    /// Its hash is known, and each of its bytes has gone or need not.
    Gone,
    /// As `Offered`, and covered by an ACCEPT.
    Accepted,
    /// As `Hashed`, and covered by an ACCEPT.
    AcceptedHashed,
    /// As `Gone`, and covered by an ACCEPT.
    AcceptedGone,
    /// It has an outcome.
    Settled,
}

/// What a receiver says of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of the messages")]
pub enum ReceiverWord {
    Again,
    Committed,
    Kept,
    Left,
    Prove,
    Reject,
    Renamed,
    Same,
    Would,
}

/// The states of the columns of [`AT_SENDER`].
pub const SENDER_STATES: [SenderState; 8] = [
    SenderState::Unknown,
    SenderState::Offered,
    SenderState::Hashed,
    SenderState::Gone,
    SenderState::Accepted,
    SenderState::AcceptedHashed,
    SenderState::AcceptedGone,
    SenderState::Settled,
];

/// What a sender of files makes of a receiver's word. What only a plan has, or has not, is another matter.
pub const AT_SENDER: [(ReceiverWord, &str, [Verdict; 8]); 9] = [
    (ReceiverWord::Again, "AGAIN", [V, T, T, T, T, T, T, I]),
    (ReceiverWord::Committed, "COMMITTED", [V, V, V, T, V, V, T, I]),
    (ReceiverWord::Kept, "KEPT", [V, T, T, T, V, V, V, I]),
    (ReceiverWord::Left, "LEFT", [V, T, T, T, T, T, T, I]),
    (ReceiverWord::Prove, "PROVE", [V, T, I, I, V, V, V, I]),
    (ReceiverWord::Reject, "REJECT", [V, T, T, T, T, T, T, I]),
    (ReceiverWord::Renamed, "RENAMED", [V, T, T, T, T, T, T, I]),
    (ReceiverWord::Same, "SAME", [V, V, T, T, V, T, T, I]),
    (ReceiverWord::Would, "WOULD", [V, T, T, T, V, V, V, I]),
];

/// An entry, as the receiver sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiverState {
    /// Not offered.
    Unknown,
    /// Offered, and not settled.
    Open,
    /// The same, and its ROOT has been said.
    Rooted,
    /// It has an outcome.
    Settled,
}

/// What a sender says of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of the messages")]
pub enum SenderWord {
    Failed,
    Groups,
    Root,
}

/// The states of the columns of [`AT_RECEIVER`].
pub const RECEIVER_STATES: [ReceiverState; 4] =
    [ReceiverState::Unknown, ReceiverState::Open, ReceiverState::Rooted, ReceiverState::Settled];

/// What a receiver makes of a sender's word.
pub const AT_RECEIVER: [(SenderWord, &str, [Verdict; 4]); 3] = [
    (SenderWord::Failed, "FAILED", [V, T, T, I]),
    (SenderWord::Groups, "GROUPS", [V, T, T, I]),
    (SenderWord::Root, "ROOT", [V, T, V, I]),
];

impl ReceiverWord {
    /// The word that a message is, and the entry that it is about.
    pub(super) fn of(message: &Message) -> Option<(Self, u32)> {
        Some(match message {
            Message::Again { index, .. } => (Self::Again, *index),
            Message::Committed { index, .. } => (Self::Committed, *index),
            Message::Kept { index, .. } => (Self::Kept, *index),
            Message::Left { index } => (Self::Left, *index),
            Message::Prove { index } => (Self::Prove, *index),
            Message::Reject { index, .. } => (Self::Reject, *index),
            Message::Renamed { index, .. } => (Self::Renamed, *index),
            Message::Same { index, .. } => (Self::Same, *index),
            Message::Would { index, .. } => (Self::Would, *index),
            _ => return None,
        })
    }

    /// What a sender of files makes of it in that state of the entry: whether it is carried out.
    ///
    /// # Errors
    /// It is a violation.
    pub(super) fn judge(self, state: SenderState) -> Result<bool, Malformed> {
        let row = AT_SENDER.iter().find(|(word, ..)| *word == self).expect("every word has a row");
        let column = SENDER_STATES.iter().position(|column| *column == state);
        verdict(row.2[column.expect("every state has a column")], row.1)
    }
}

impl SenderWord {
    /// The word that a message is, and the entry that it is about.
    pub(super) fn of(message: &Message) -> Option<(Self, u32)> {
        Some(match message {
            Message::Failed { index, .. } => (Self::Failed, *index),
            Message::Groups { index, .. } => (Self::Groups, *index),
            Message::Root { index, .. } => (Self::Root, *index),
            _ => return None,
        })
    }

    /// What a receiver makes of it in that state of the entry: whether it is carried out.
    ///
    /// # Errors
    /// It is a violation.
    pub(super) fn judge(self, state: ReceiverState) -> Result<bool, Malformed> {
        let row =
            AT_RECEIVER.iter().find(|(word, ..)| *word == self).expect("every word has a row");
        let column = RECEIVER_STATES.iter().position(|column| *column == state);
        verdict(row.2[column.expect("every state has a column")], row.1)
    }
}

fn verdict(verdict: Verdict, word: &'static str) -> Result<bool, Malformed> {
    match verdict {
        Verdict::Take => Ok(true),
        Verdict::Ignore => Ok(false),
        Verdict::Violation => Err(Malformed(word)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(verdict: Verdict) -> &'static str {
        match verdict {
            Verdict::Take => "take",
            Verdict::Ignore => "ignore",
            Verdict::Violation => "**CLOSE 1**",
        }
    }

    fn line(cells: impl Iterator<Item = &'static str>) -> String {
        format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "))
    }

    #[test]
    fn the_protocols_page_shows_these_tables() {
        let page = include_str!("../../PROTOCOL.md");
        for (_, word, verdicts) in AT_SENDER {
            let row = line([word].into_iter().chain(verdicts.map(show)));
            assert!(page.contains(&row), "PROTOCOL.md has no row\n{row}");
        }
        for (_, word, verdicts) in AT_RECEIVER {
            let row = line([word].into_iter().chain(verdicts.map(show)));
            assert!(page.contains(&row), "PROTOCOL.md has no row\n{row}");
        }
    }
}
