//! The sending side of a transfer: what to offer, what may go, how each entry ended. Never waits, neither
//! for the other side nor for the disk: a [`super::source::Source`] does the [`SourceJob`]s.
//!
//! Offers go a little ahead of the bytes: [`Sending::offer`] has more of what is to be sent looked at whenever
//! the carrier has room for control bytes, until as many entries as a receiver takes are without an
//! outcome. So memory does not depend on how many there are.

mod answers;
mod motion;
mod reports;

use self::reports::Item;
use super::entry::Sort;
use super::hearing::Hearing;
use super::manifest::Manifest;
use super::message::Message;
use super::outcome::{Done, Failure, FileOutcome, FileReport, Ledger, Reason, TransferReport};
use super::source_job::SourceJob;
use super::walk::Selection;
use super::window::Window;
use crate::base::range_set::RangeSet;
use crate::transport::config::FIRST_FLIGHT;
use crate::transport::stats::Stats;
use crate::wire::cursor::Malformed;
use std::collections::VecDeque;
use std::ops::Range;

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
    purpose: Purpose,
    /// The source is looking for more.
    is_walking: bool,
    /// The end has been offered.
    is_offered: bool,
    /// The entries without an outcome, and some with one.
    items: Window<Item>,
    /// Bytes of their offers' texts.
    text_len: usize,
    /// Bytes of the transfer space so far, and bytes of holes, which are not in it.
    total: u64,
    holes: u64,
    hearing: Hearing,
    ledger: Ledger,
    manifest: Option<Manifest>,
    /// The receiver has judged the entries below this index, whose bytes end at this offset.
    accepted: u32,
    accepted_end: u64,
    /// The receiver has nothing left to do.
    is_finished: bool,
    /// Files whose hash the receiver wants to know before it says whether it wants them.
    proving: VecDeque<u32>,
    /// Bytes that nobody waits for; of entries that may be without an outcome.
    unwanted: RangeSet,
    /// Bytes that have gone, or that the receiver says it has: no file is committed before all of its are.
    gone: RangeSet,
    /// Those of the unwanted ones that the carrier has not been told of.
    cancelled: Vec<Range<u64>>,
    /// Bytes that go after all.
    restored: Vec<Range<u64>>,
    /// Bytes of files that did not have to go, or failed.
    spared: u64,
    jobs: VecDeque<SourceJob>,
    outgoing: Vec<u8>,
}

impl Sending {
    /// A transfer of what was selected; its source must be of the same selection.
    #[must_use]
    pub fn new(selection: &Selection) -> Self {
        Self::with(Purpose::Transfer, selection)
    }

    /// A transfer that only tells what was selected.
    #[must_use]
    pub fn listing(selection: &Selection) -> Self {
        Self::with(Purpose::List, selection)
    }

    /// A transfer that only asks what would become of what was selected.
    #[must_use]
    pub fn planning(selection: &Selection) -> Self {
        let mut outgoing = Vec::new();
        Message::Plan.put(&mut outgoing);
        let ledger = Ledger::planning();
        Self { ledger, outgoing, manifest: None, ..Self::with(Purpose::Plan, selection) }
    }

    fn with(purpose: Purpose, selection: &Selection) -> Self {
        Self {
            purpose,
            is_walking: false,
            is_offered: false,
            items: Window::default(),
            text_len: 0,
            total: 0,
            holes: 0,
            hearing: Hearing::receiver(),
            ledger: Ledger::default(),
            manifest: selection.manifest.clone(),
            accepted: 0,
            accepted_end: 0,
            is_finished: false,
            proving: VecDeque::new(),
            unwanted: RangeSet::new(),
            gone: RangeSet::new(),
            cancelled: Vec::new(),
            restored: Vec::new(),
            spared: 0,
            jobs: VecDeque::new(),
            outgoing: Vec::new(),
        }
    }

    /// Whether nothing is done, only said.
    #[must_use]
    pub fn is_plan(&self) -> bool {
        self.purpose == Purpose::Plan
    }

    /// Forgets the oldest entries that have an outcome.
    fn forget_settled(&mut self) {
        self.items.forget(|item| {
            self.text_len -= if item.is_settled { item.text_len } else { 0 };
            item.is_settled
        });
        let start = self.start();
        self.unwanted.remove_below(start);
        self.gone.remove_below(start);
    }

    /// Where the bytes of the entries that are kept begin.
    fn start(&self) -> u64 {
        self.items.iter().next().map_or(self.total, |item| item.range.start)
    }

    /// Where the receiver's messages are to be appended.
    pub fn incoming(&mut self) -> &mut Vec<u8> {
        self.hearing.buffer()
    }

    /// Acts on the messages that are complete.
    ///
    /// # Errors
    /// The receiver broke the protocol, now or before.
    pub fn handle_messages(&mut self) -> Result<(), Failure> {
        while let Some(message) = self.hearing.next_message()? {
            self.on_message(message).map_err(|malformed| self.violate(malformed))?;
        }
        Ok(())
    }

    /// The receiver broke the protocol, in whatever it says: from now on nothing that it says counts,
    /// nothing is said to it, and the transfer has failed.
    pub fn violate(&mut self, malformed: Malformed) -> Failure {
        self.hearing.violate(malformed)
    }

    fn settle(&mut self, index: u32, outcome: FileOutcome) {
        let Some(item) = self.items.get_mut(index).filter(|item| !item.is_settled) else {
            return;
        };
        item.is_settled = true;
        self.jobs.push_back(SourceJob::Forget { index });
        if !item.range.is_empty() {
            // Whatever the outcome, no byte of the file is wanted any more.
            self.cancelled.push(item.range.clone());
            self.unwanted.insert(item.range.clone());
        }
        if let (Sort::File, Some(manifest)) = (item.sort, &self.manifest)
            && let Some(hash) = outcome.as_ref().ok().and_then(Done::hash)
        {
            manifest.add(&item.path, *hash);
        }
        if !matches!(outcome, Ok(Done::Committed { .. })) {
            self.spared += item.range.end - item.range.start;
        }
        note(&mut self.ledger, index, item, outcome);
        self.forget_settled();
    }

    /// Those bytes go, for the first time or again.
    pub fn on_sent(&mut self, range: Range<u64>) {
        self.gone.insert(range);
        self.gone.remove_below(self.start());
    }

    /// How far the bytes of the transfer space may go: a first flight before the receiver has
    /// answered, then as far as it has.
    #[must_use]
    pub fn released(&self) -> u64 {
        if self.purpose != Purpose::Transfer {
            return 0;
        }
        self.accepted_end.max(FIRST_FLIGHT.min(self.total))
    }

    /// The ranges that need not go any more, since the last call.
    pub fn take_cancelled(&mut self) -> Vec<Range<u64>> {
        std::mem::take(&mut self.cancelled)
    }

    /// The ranges that were not to go and have to go after all, since the last call.
    pub fn take_restored(&mut self) -> Vec<Range<u64>> {
        std::mem::take(&mut self.restored)
    }

    /// Messages for the receiver since the last call.
    pub fn take_outgoing(&mut self) -> Vec<u8> {
        if self.hearing.is_over() {
            return Vec::new();
        }
        std::mem::take(&mut self.outgoing)
    }

    /// The next bytes at or after `at`, at most `max`, that the receiver has judged and still waits for.
    #[must_use]
    pub fn next_wanted(&self, at: u64, max: u64) -> Option<Range<u64>> {
        let from = at.max(self.start());
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
        self.is_finished && self.items.is_empty() && !self.hearing.is_over()
    }

    /// Bytes offered so far.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Whether nothing will be added to [`Sending::total`].
    #[must_use]
    pub fn is_offered(&self) -> bool {
        self.is_offered
    }

    /// The report of a transfer that is over; entries without an outcome failed as `failure` says.
    #[must_use]
    pub fn report(&self, failure: Option<Failure>, stats: Option<Stats>) -> TransferReport {
        let failure = self.hearing.verdict().err().or(failure);
        let mut ledger = self.ledger.clone();
        let otherwise = failure.clone().unwrap_or_else(|| Failure::new(Reason::Other, "not sent"));
        for (index, item) in (self.items.first()..).zip(self.items.iter()) {
            if !item.is_settled {
                note(&mut ledger, index, item, Err(otherwise.clone()));
            }
        }
        TransferReport { is_list: self.purpose == Purpose::List, ..ledger.report(failure, stats) }
    }
}

fn note(ledger: &mut Ledger, index: u32, item: &Item, outcome: FileOutcome) {
    let (size, holes) = (item.layout.size(), item.layout.holes().total());
    let report = FileReport { name: item.path.to_string(), size, holes, outcome };
    ledger.note(index, item.sort, report);
}

#[cfg(test)]
mod tests;
