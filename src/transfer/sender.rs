//! The sending side of a transfer: what to offer, what may go, how each file ended. Never waits.

use super::message::{Message, MessageReader};
use super::outcome::{Failure, FileOutcome, FileReport, Reason};
use super::source::{Hashed, Source, SourceFailure};
use crate::transport::config::FIRST_FLIGHT;
use crate::wire::cursor::Malformed;
use std::ops::Range;

/// One transfer, seen from the side that has the files.
#[derive(Debug)]
pub struct Sending {
    source: Source,
    messages: MessageReader,
    outcomes: Vec<Option<FileOutcome>>,
    /// Files without an outcome.
    unsettled: usize,
    roots: Vec<Option<super::hash::Hash>>,
    /// The receiver has judged the files below this index.
    accepted: usize,
    cancelled: Vec<Range<u64>>,
    outgoing: Vec<u8>,
}

impl Sending {
    /// A transfer of what `source` holds; its offer is the first thing it says.
    #[must_use]
    pub fn new(source: Source) -> Self {
        let count = source.files().len();
        let mut outgoing = Vec::new();
        for file in source.files() {
            let name = file.name().as_str().to_owned();
            Message::Offer { size: file.size(), name }.put(&mut outgoing);
        }
        Message::OfferEnd.put(&mut outgoing);
        let mut sending = Self {
            source,
            messages: MessageReader::default(),
            outcomes: vec![None; count],
            unsettled: count,
            roots: vec![None; count],
            accepted: 0,
            cancelled: Vec::new(),
            outgoing,
        };
        sending.tell_hashed();
        sending
    }

    /// Where the receiver's messages are to be appended.
    pub fn incoming(&mut self) -> &mut Vec<u8> {
        self.messages.buffer()
    }

    /// Acts on the messages that are complete.
    ///
    /// # Errors
    /// The receiver broke the protocol.
    pub fn handle_messages(&mut self) -> Result<(), Malformed> {
        while let Some(message) = self.messages.next_message()? {
            self.on_message(message)?;
        }
        Ok(())
    }

    fn on_message(&mut self, message: Message) -> Result<(), Malformed> {
        match message {
            Message::Accept { below } => {
                let below = below as usize;
                if below > self.outcomes.len() {
                    return Err(Malformed("accept: more files than were offered"));
                }
                self.accepted = self.accepted.max(below);
            }
            Message::Committed { index, hash } => {
                let index = self.known(index)?;
                // Every byte went through our own hash before the receiver could have it.
                let outcome = if self.roots[index] == Some(hash) {
                    Ok(hash)
                } else {
                    let text = "the receiver's hash of the file is not ours";
                    Err(Failure::new(Reason::Integrity, text))
                };
                self.settle(index, outcome);
            }
            Message::Reject { index, reason, text } => {
                let index = self.known(index)?;
                let failure = match self.source.check_unchanged(index) {
                    Err(changed) if reason == Reason::Integrity => changed,
                    _ => Failure::new(reason, text),
                };
                self.settle(index, Err(failure));
            }
            _ => return Err(Malformed("transfer message: a receiver does not say this")),
        }
        Ok(())
    }

    fn known(&self, index: u32) -> Result<usize, Malformed> {
        let index = index as usize;
        let is_known = index < self.outcomes.len();
        if is_known { Ok(index) } else { Err(Malformed("transfer message: no such file")) }
    }

    fn settle(&mut self, index: usize, outcome: FileOutcome) {
        if self.outcomes[index].is_some() {
            return;
        }
        // Whatever the outcome, no byte of the file is wanted any more.
        self.cancelled.push(self.source.files()[index].range());
        self.unsettled -= 1;
        self.outcomes[index] = Some(outcome);
    }

    /// Fills `buffer` with the bytes at `offset`.
    ///
    /// # Errors
    /// The file that holds them has failed; its range is among [`Sending::take_cancelled`].
    pub fn read(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), SourceFailure> {
        let read = self.source.read(offset, buffer);
        self.tell_hashed();
        if let Err(SourceFailure { index, failure }) = &read {
            let (reason, text) = (failure.reason, failure.text.clone());
            let number = u32::try_from(*index).expect("files are counted in 32 bits");
            Message::Failed { index: number, reason, text }.put(&mut self.outgoing);
            self.settle(*index, Err(failure.clone()));
        }
        read
    }

    fn tell_hashed(&mut self) {
        for (index, hashed) in self.source.take_hashed() {
            let number = u32::try_from(index).expect("files are counted in 32 bits");
            let message = match hashed {
                Hashed::Group(first, value) => {
                    Message::Groups { index: number, first, values: vec![value] }
                }
                Hashed::Root(hash) => {
                    self.roots[index] = Some(hash);
                    Message::Root { index: number, hash }
                }
            };
            message.put(&mut self.outgoing);
        }
    }

    /// How far the bytes of the transfer space may go: a first flight before the receiver has
    /// answered, then as far as it has.
    #[must_use]
    pub fn released(&self) -> u64 {
        let files = self.source.files();
        match self.accepted {
            0 => FIRST_FLIGHT.min(self.source.total()),
            accepted => files[accepted - 1].range().end.max(FIRST_FLIGHT.min(self.source.total())),
        }
    }

    /// The ranges that need not go any more, since the last call.
    pub fn take_cancelled(&mut self) -> Vec<Range<u64>> {
        std::mem::take(&mut self.cancelled)
    }

    /// Messages for the receiver since the last call.
    pub fn take_outgoing(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.outgoing)
    }

    /// The bytes at or after `at`, within one file, that the receiver has judged and still waits for.
    #[must_use]
    pub fn next_wanted(&self, at: u64) -> Option<Range<u64>> {
        let files = self.source.files();
        let first = files.partition_point(|file| file.range().end <= at);
        let mut judged = files.iter().zip(&self.outcomes).take(self.accepted).skip(first);
        let wanted = judged.find(|(file, outcome)| outcome.is_none() && file.size() > 0)?.0.range();
        Some(wanted.start.max(at)..wanted.end)
    }

    /// Whether the receiver has judged every file.
    #[must_use]
    pub fn is_judged(&self) -> bool {
        self.accepted == self.outcomes.len()
    }

    /// Whether every file has an outcome.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.unsettled == 0
    }

    /// Bytes in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.source.total()
    }

    /// All files; those without an outcome failed as `otherwise` says.
    #[must_use]
    pub fn reports(&self, otherwise: &Failure) -> Vec<FileReport> {
        let files = self.source.files().iter().zip(&self.outcomes);
        files
            .map(|(file, outcome)| FileReport {
                name: file.name().to_string(),
                size: file.size(),
                outcome: outcome.clone().unwrap_or_else(|| Err(otherwise.clone())),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer::hash::Hash;
    use std::fs;

    fn sending(contents: &[&[u8]]) -> (tempfile::TempDir, Sending) {
        let dir = tempfile::tempdir().expect("a directory");
        let paths: Vec<_> = (0..contents.len()).map(|i| dir.path().join(format!("f{i}"))).collect();
        for (path, bytes) in paths.iter().zip(contents) {
            fs::write(path, bytes).expect("written");
        }
        let source = Source::open(&paths).expect("readable");
        (dir, Sending::new(source))
    }

    fn say(sending: &mut Sending, message: &Message) -> Result<(), Malformed> {
        message.put(sending.incoming());
        sending.handle_messages()
    }

    #[test]
    fn a_first_flight_may_go_before_the_answer() {
        let (_dir, mut sending) = sending(&[&[1; 100_000], &[2; 100_000]]);
        assert_eq!(sending.released(), FIRST_FLIGHT);
        say(&mut sending, &Message::Accept { below: 1 }).expect("one file");
        assert_eq!(sending.released(), 100_000);
        say(&mut sending, &Message::Accept { below: 2 }).expect("both files");
        assert_eq!((sending.released(), sending.is_judged()), (200_000, true));
        assert!(say(&mut sending, &Message::Accept { below: 3 }).is_err());
    }

    #[test]
    fn committed_counts_only_with_our_own_hash() {
        let (_dir, mut sending) = sending(&[b"abc", b"def"]);
        sending.read(0, &mut [0; 6]).expect("readable");
        say(&mut sending, &Message::Committed { index: 0, hash: Hash::of(b"abc") }).expect("known");
        say(&mut sending, &Message::Committed { index: 1, hash: Hash::of(b"xyz") }).expect("known");
        let reports = sending.reports(&Failure::new(Reason::Other, ""));
        assert_eq!(reports[0].outcome, Ok(Hash::of(b"abc")));
        let failure = reports[1].outcome.as_ref().expect_err("another hash");
        assert_eq!(failure.reason, Reason::Integrity);
    }

    #[test]
    fn committed_before_the_bytes_went_is_a_lie() {
        let (_dir, mut sending) = sending(&[b"abc"]);
        say(&mut sending, &Message::Committed { index: 0, hash: Hash::of(b"abc") }).expect("known");
        assert!(sending.reports(&Failure::new(Reason::Other, ""))[0].outcome.is_err());
    }

    #[test]
    fn a_source_that_vanishes_fails_that_file_only() {
        let (dir, mut sending) = sending(&[&[1; 2 << 20], b"fine"]);
        sending.read(0, &mut [0; 10]).expect("there so far");
        let file = fs::File::options().write(true).open(dir.path().join("f0")).expect("there");
        file.set_len(5).expect("ours");
        sending.read(1 << 20, &mut [0; 10]).expect_err("shorter now");
        assert_eq!(sending.take_cancelled(), [0..2 << 20]);
        say(&mut sending, &Message::Accept { below: 2 }).expect("both files");
        assert_eq!(sending.next_wanted(0), Some(2 << 20..(2 << 20) + 4));
        sending.read(2 << 20, &mut [0; 4]).expect("the other file");
    }
}
