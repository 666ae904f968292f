//! What is asked of the source, and what its reports mean.

use super::{Purpose, Sending};
use crate::transfer::entry::{Entry, Kind, Sort};
use crate::transfer::hash::Hash;
use crate::transfer::holes::{HOLES_LEN_MAX, Layout};
use crate::transfer::message::{Message, UNSETTLED_MAX, UNSETTLED_TEXT_MAX};
use crate::transfer::name::{PATH_MAX, TreePath};
use crate::transfer::outcome::{Failure, FileReport};
use crate::transfer::source_job::{SourceJob, SourceReport};
use std::ops::Range;

/// Bytes of the texts of one offer, at most.
const OFFER_TEXT_MAX: usize = PATH_MAX + HOLES_LEN_MAX;

/// Whether a file is read to be compared with what is at the receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// It is not.
    None,
    /// All of it is.
    Asked,
    /// It was, until the receiver had compared enough.
    Decided,
}

/// One entry to send.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) path: TreePath,
    pub(super) sort: Sort,
    /// Where its bytes are in the transfer space.
    pub(super) range: Range<u64>,
    /// Where these are in the file.
    pub(super) layout: Layout,
    pub(super) text_len: usize,
    /// What its bytes hash to, once this side has read all of them.
    pub(super) root: Option<Hash>,
    pub(super) proof: Proof,
    /// The name that it gets at the receiver, where something else has its own.
    pub(super) renamed: Option<String>,
    /// Why the receiver does not take it: the source is asked whether it knows better.
    pub(super) rejected: Option<Failure>,
    /// It has an outcome: nobody waits for its bytes.
    pub(super) is_settled: bool,
}

impl Sending {
    /// Has more looked at to be offered, as long as its texts fit into `room` bytes.
    pub fn offer(&mut self, room: usize) {
        if room > 0 && self.has_more() {
            let entries = self.room_for_entries();
            self.is_walking = true;
            let checks = self.purpose == Purpose::Plan;
            self.jobs.push_back(SourceJob::Walk { entries, text: room, checks });
        }
    }

    /// Whether [`Sending::offer`] would have more looked at.
    #[must_use]
    pub fn has_more(&self) -> bool {
        let has_more = !self.is_offered && !self.is_walking && self.room_for_entries() > 0;
        has_more && !self.hearing.is_over()
    }

    /// How many more entries may be without an outcome, whatever their texts.
    fn room_for_entries(&self) -> usize {
        let text = UNSETTLED_TEXT_MAX.saturating_sub(self.text_len) / OFFER_TEXT_MAX;
        text.min(UNSETTLED_MAX.saturating_sub(self.items.len()))
    }

    /// The next thing for the source to do.
    pub fn next_job(&mut self) -> Option<SourceJob> {
        if self.hearing.is_over() {
            return None;
        }
        self.jobs.pop_front()
    }

    /// The source did something. Trains that it filled are the carrier's.
    pub fn on_report(&mut self, report: SourceReport) {
        match report {
            SourceReport::Checked { index, result } => self.on_checked(index, result),
            SourceReport::Failed { index, failure } => self.fail(index, failure),
            SourceReport::Filled { .. } => {}
            SourceReport::Found { path, kind } => self.offer_one(path, kind),
            SourceReport::Group { index, group, value } => {
                if self.is_open(index) {
                    let values = vec![value];
                    Message::Groups { index, first: group, values }.put(&mut self.outgoing);
                }
            }
            SourceReport::Lacking { name, failure } => self.lack(name, failure),
            SourceReport::Root { index, hash } => {
                if self.is_open(index)
                    && let Some(item) = self.items.get_mut(index)
                {
                    item.root = Some(hash);
                    Message::Root { index, hash }.put(&mut self.outgoing);
                }
            }
            SourceReport::SkippedLink => self.ledger.skipped_link(),
            SourceReport::SkippedSpecial { name } => self.ledger.skipped_special(name),
            SourceReport::Walked { is_end } => {
                self.is_walking = false;
                if is_end {
                    Message::OfferEnd.put(&mut self.outgoing);
                    self.is_offered = true;
                }
            }
        }
    }

    /// Whether the entry is without an outcome, and the receiver has not rejected it.
    pub(super) fn is_open(&self, index: u32) -> bool {
        self.items.get(index).is_some_and(Item::is_open)
    }

    /// Something cannot be offered: the receiver has to know that not all is there.
    fn lack(&mut self, name: String, failure: Failure) {
        let (reason, text) = (failure.reason, failure.text.clone());
        Message::Lacking { name: name.clone(), reason, text }.put(&mut self.outgoing);
        let report = FileReport { name, size: 0, holes: 0, outcome: Err(failure) };
        self.ledger.note(self.items.next(), Sort::File, report);
    }

    fn offer_one(&mut self, path: TreePath, kind: Kind) {
        let layout = kind.layout();
        let end = self.total + layout.space();
        self.holes += layout.holes().total();
        // What has no bytes is never read, and its hash is known.
        let root = match &kind {
            Kind::File { size: 1.., .. } => None,
            Kind::File { size: 0, .. } | Kind::Directory { .. } => Some(Hash::of(b"")),
            Kind::Link { target } => Some(Hash::of(target.as_bytes())),
        };
        let sort = kind.sort();
        let entry = Entry { path: path.as_str().to_owned(), kind };
        let text_len = entry.text_len();
        Message::Offer(entry).put(&mut self.outgoing);
        self.text_len += text_len;
        let index = self.items.push(Item {
            path,
            sort,
            range: self.total..end,
            layout,
            text_len,
            root,
            proof: Proof::None,
            renamed: None,
            rejected: None,
            is_settled: self.purpose == Purpose::List,
        });
        self.total = end;
        if self.purpose == Purpose::List {
            self.jobs.push_back(SourceJob::Forget { index });
            self.forget_settled();
            self.ledger.list();
        }
    }

    /// The source has looked again.
    fn on_checked(&mut self, index: u32, result: Result<(), Failure>) {
        let rejected = self.items.get_mut(index).and_then(|item| item.rejected.take());
        match (rejected, result) {
            (Some(_), Err(failure)) | (Some(failure), Ok(())) => self.settle(index, Err(failure)),
            (None, Err(failure)) => self.fail(index, failure),
            (None, Ok(())) => {}
        }
    }

    /// A file cannot be read as it was offered.
    fn fail(&mut self, index: u32, failure: Failure) {
        if self.is_open(index) {
            let (reason, text) = (failure.reason, failure.text.clone());
            Message::Failed { index, reason, text }.put(&mut self.outgoing);
            self.settle(index, Err(failure));
        }
    }
}
