//! The sending side of a transfer: what to offer, what may go, how each entry ended. Never waits for the
//! other side.
//!
//! Offers go a little ahead of the bytes: [`Sending::offer`] looks at more of what is to be sent whenever
//! the carrier has room for control bytes, until as many entries as a receiver takes are without an
//! outcome. So memory does not depend on how many there are.

mod answers;
mod motion;

use super::disk::Disk;
use super::entry::{Entry, Kind, Sort};
use super::hash::Hash;
use super::manifest::Manifest;
use super::message::{ENTRIES_MAX, Message, MessageReader};
use super::outcome::{Done, Failure, FileOutcome, FileReport, Ledger, Reason, TransferReport};
use super::source::{Hashed, Item, Source, SourceFailure};
use super::walk::{Candidate, Selection, Step, Walk};
use crate::base::range_set::RangeSet;
use crate::transport::config::FIRST_FLIGHT;
use crate::transport::stats::Stats;
use crate::wire::cursor::Malformed;
use std::collections::VecDeque;
use std::ops::Range;

/// Entries looked at in one call, so that others get their turn.
const STEPS_MAX: usize = 256;

/// Groups hashed in one call for the receiver to compare, for the same reason.
const PROOFS_MAX: usize = 4;

/// What entries are offered for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// To be looked at: none is judged or sent.
    List,
    /// To be judged: none is sent.
    Plan,
    /// To be sent.
    Transfer,
}

/// One transfer, seen from the side that has the files.
#[derive(Debug)]
pub struct Sending {
    walk: Walk,
    /// The end has been offered.
    is_offered: bool,
    /// The last look at what is to be sent ended before there was a reason to.
    has_more: bool,
    purpose: Purpose,
    source: Source,
    messages: MessageReader,
    ledger: Ledger,
    manifest: Option<Manifest>,
    /// The receiver has judged the entries below this index, whose bytes end at this offset.
    accepted: u32,
    accepted_end: u64,
    /// The receiver has nothing left to do.
    is_finished: bool,
    /// Files whose hash the receiver wants to know before it says whether it wants them.
    to_prove: VecDeque<u32>,
    /// Bytes that nobody waits for; of entries that may be without an outcome.
    unwanted: RangeSet,
    /// Those of them that the carrier has not been told of.
    cancelled: Vec<Range<u64>>,
    /// Bytes of files that did not have to go, or failed.
    spared: u64,
    outgoing: Vec<u8>,
}

impl Sending {
    /// A transfer of what was selected.
    ///
    /// # Errors
    /// Something of it is missing, unreadable or neither file nor directory, or two would have the
    /// same name.
    pub fn new(selection: &Selection) -> Result<Self, Failure> {
        Self::new_on(Disk::default(), selection)
    }

    /// As [`Sending::new`], with every call told to `disk`.
    ///
    /// # Errors
    /// As [`Sending::new`].
    pub fn new_on(disk: Disk, selection: &Selection) -> Result<Self, Failure> {
        Ok(Self {
            walk: Walk::start(disk.clone(), selection)?,
            is_offered: false,
            has_more: true,
            purpose: Purpose::Transfer,
            source: Source::new(disk),
            messages: MessageReader::default(),
            ledger: Ledger::default(),
            manifest: selection.manifest.clone(),
            accepted: 0,
            accepted_end: 0,
            is_finished: false,
            to_prove: VecDeque::new(),
            unwanted: RangeSet::new(),
            cancelled: Vec::new(),
            spared: 0,
            outgoing: Vec::new(),
        })
    }

    /// A transfer that only tells what was selected.
    ///
    /// # Errors
    /// As [`Sending::new`].
    pub fn listing(selection: &Selection) -> Result<Self, Failure> {
        Ok(Self { purpose: Purpose::List, ..Self::new(selection)? })
    }

    /// A transfer that only asks what would become of what was selected.
    ///
    /// # Errors
    /// As [`Sending::new`].
    pub fn planning(selection: &Selection) -> Result<Self, Failure> {
        let mut outgoing = Vec::new();
        Message::Plan.put(&mut outgoing);
        let (purpose, ledger) = (Purpose::Plan, Ledger::planning());
        Ok(Self { purpose, ledger, outgoing, manifest: None, ..Self::new(selection)? })
    }

    /// Whether nothing is done, only said.
    #[must_use]
    pub fn is_plan(&self) -> bool {
        self.purpose == Purpose::Plan
    }

    /// Offers more, as long as its offers fit into `room` bytes.
    pub fn offer(&mut self, room: usize) {
        self.prove();
        self.has_more = !self.to_prove.is_empty();
        let start = self.outgoing.len();
        for _ in 0..STEPS_MAX {
            let is_full = self.outgoing.len() - start >= room;
            if self.is_offered || is_full || self.source.is_full() {
                return;
            }
            self.step();
        }
        self.has_more = true;
    }

    /// Whether [`Sending::offer`] stopped though it could go on.
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.has_more
    }

    /// Hashes a little more of what the receiver wants to compare.
    fn prove(&mut self) {
        for _ in 0..PROOFS_MAX {
            let Some(index) = self.to_prove.front().copied() else { return };
            // The receiver has seen enough.
            if index < self.accepted {
                self.to_prove.pop_front();
                continue;
            }
            let hashed = self.source.hash_on(index);
            self.tell_hashed();
            if self.fail_unless(hashed).unwrap_or(true) {
                self.to_prove.pop_front();
            }
        }
    }

    fn step(&mut self) {
        let next = self.source.items().next();
        match self.walk.step() {
            Step::End => {
                Message::OfferEnd.put(&mut self.outgoing);
                self.is_offered = true;
            }
            Step::Failed { name, failure } => self.lack(name, failure),
            Step::Found(candidate) if next == ENTRIES_MAX => {
                let text = format!(
                    "one transfer carries at most {ENTRIES_MAX} files and directories; send the rest \
                     in another"
                );
                self.lack(candidate.path.to_string(), Failure::new(Reason::Other, text));
                self.walk.stop();
            }
            Step::Found(candidate) => self.offer_one(&candidate),
            Step::Nothing => {}
            Step::SkippedLink => self.ledger.skipped_link(),
            Step::SkippedSpecial { name } => self.ledger.skipped_special(name),
        }
    }

    /// Something cannot be offered: the receiver has to know that not all is there.
    fn lack(&mut self, name: String, failure: Failure) {
        let (reason, text) = (failure.reason, failure.text.clone());
        Message::Lacking { name: name.clone(), reason, text }.put(&mut self.outgoing);
        let report = FileReport { name, size: 0, outcome: Err(failure) };
        self.ledger.note(self.source.items().next(), Sort::File, report);
    }

    fn offer_one(&mut self, candidate: &Candidate) {
        let path = candidate.path.as_str().to_owned();
        let entry = Entry { path, kind: candidate.kind.clone() };
        let text_len = entry.text_len();
        Message::Offer(entry).put(&mut self.outgoing);
        let index = self.source.push(candidate, text_len);
        let item = self.source.get_mut(index).expect("just pushed");
        // What has no bytes is never read, and its hash is known.
        item.root = match &candidate.kind {
            Kind::File { size: 1.., .. } => None,
            Kind::File { size: 0, .. } | Kind::Directory { .. } => Some(Hash::of(b"")),
            Kind::Link { target } => Some(Hash::of(target.as_bytes())),
        };
        match self.purpose {
            Purpose::List => {
                item.is_settled = true;
                self.source.forget_settled();
                self.ledger.list();
            }
            Purpose::Plan => {
                let readable = self.source.check_readable(index);
                // Its failure has been told.
                let _ = self.fail_unless(readable);
            }
            Purpose::Transfer => {}
        }
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

    fn known(&self, index: u32) -> Result<(), Malformed> {
        let is_known = self.source.items().knows(index);
        if is_known { Ok(()) } else { Err(Malformed("transfer message: no such file")) }
    }

    fn settle(&mut self, index: u32, outcome: FileOutcome) {
        let Some(item) = self.source.get_mut(index).filter(|item| !item.is_settled) else {
            return;
        };
        item.is_settled = true;
        if !item.range().is_empty() {
            // Whatever the outcome, no byte of the file is wanted any more.
            self.cancelled.push(item.range());
            self.unwanted.insert(item.range());
        }
        if let (Sort::File, Some(manifest)) = (item.sort, &self.manifest)
            && let Some(hash) = outcome.as_ref().ok().and_then(Done::hash)
        {
            manifest.add(&item.path, *hash);
        }
        if !matches!(outcome, Ok(Done::Committed { .. })) {
            self.spared += item.size();
        }
        note(&mut self.ledger, index, item, outcome);
        self.source.forget_settled();
        self.unwanted.remove_below(self.source.start());
    }

    /// Fills `buffer` with the bytes at `offset`.
    ///
    /// # Errors
    /// The file that holds them has failed; its range is among [`Sending::take_cancelled`].
    pub fn read(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), SourceFailure> {
        let read = self.source.read(offset, buffer);
        self.tell_hashed();
        self.fail_unless(read)
    }

    /// The file of which something could not be read has failed.
    fn fail_unless<T>(&mut self, read: Result<T, SourceFailure>) -> Result<T, SourceFailure> {
        if let Err(SourceFailure { index, failure }) = &read {
            let (reason, text) = (failure.reason, failure.text.clone());
            Message::Failed { index: *index, reason, text }.put(&mut self.outgoing);
            self.settle(*index, Err(failure.clone()));
        }
        read
    }

    fn tell_hashed(&mut self) {
        for (index, hashed) in self.source.take_hashed() {
            let message = match hashed {
                Hashed::Group(first, value) => {
                    Message::Groups { index, first, values: vec![value] }
                }
                Hashed::Root(hash) => Message::Root { index, hash },
            };
            message.put(&mut self.outgoing);
        }
    }

    /// How far the bytes of the transfer space may go: a first flight before the receiver has
    /// answered, then as far as it has.
    #[must_use]
    pub fn released(&self) -> u64 {
        if self.purpose != Purpose::Transfer {
            return 0;
        }
        self.accepted_end.max(FIRST_FLIGHT.min(self.source.total()))
    }

    /// The ranges that need not go any more, since the last call.
    pub fn take_cancelled(&mut self) -> Vec<Range<u64>> {
        std::mem::take(&mut self.cancelled)
    }

    /// Messages for the receiver since the last call.
    pub fn take_outgoing(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.outgoing)
    }

    /// The next bytes at or after `at`, at most `max`, that the receiver has judged and still waits for.
    #[must_use]
    pub fn next_wanted(&self, at: u64, max: u64) -> Option<Range<u64>> {
        let from = at.max(self.source.start());
        let mut wanted = self.unwanted.gaps(from..self.accepted_end.max(from));
        wanted.next().map(|range| range.start..range.end.min(range.start + max))
    }

    /// Bytes that need not go: an earlier transfer brought them, or their files have another outcome.
    #[must_use]
    pub fn spared(&self) -> u64 {
        self.ledger.resumed() + self.spared
    }

    /// Whether every entry has an outcome, and the receiver nothing left to do.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.is_finished && self.source.items().is_empty()
    }

    /// Bytes offered so far.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.source.total()
    }

    /// Whether nothing will be added to [`Sending::total`].
    #[must_use]
    pub fn is_offered(&self) -> bool {
        self.is_offered
    }

    /// The report of a transfer that is over; entries without an outcome failed as `failure` says.
    #[must_use]
    pub fn report(&self, failure: Option<Failure>, stats: Option<Stats>) -> TransferReport {
        let mut ledger = self.ledger.clone();
        let otherwise = failure.clone().unwrap_or_else(|| Failure::new(Reason::Other, "not sent"));
        for (index, item) in (self.source.items().first()..).zip(self.source.items().iter()) {
            if !item.is_settled {
                note(&mut ledger, index, item, Err(otherwise.clone()));
            }
        }
        TransferReport { is_list: self.purpose == Purpose::List, ..ledger.report(failure, stats) }
    }
}

fn note(ledger: &mut Ledger, index: u32, item: &Item, outcome: FileOutcome) {
    let report = FileReport { name: item.path.to_string(), size: item.size(), outcome };
    ledger.note(index, item.sort, report);
}

#[cfg(test)]
mod tests;
