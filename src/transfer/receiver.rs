//! The receiving side of a transfer: messages and bytes in, jobs for the sink out. Never blocks.

mod messages;
mod motion;
mod offers;
mod outcomes;

use super::budget::{Account, Pool};
use super::early::Early;
use super::entry::{Entry, Sort};
use super::hash::Hash;
use super::hearing::Hearing;
use super::holes::Layout;
use super::job::{Job, WriteBatch};
use super::judge::{Judge, Takes};
use super::outcome::{Failure, FileOutcome, FileReport, Ledger, Reason, TransferReport};
use super::window::Window;
use crate::transport::stats::Stats;
use crate::wire::cursor::Malformed;
use std::collections::VecDeque;
use std::ops::Range;

/// Bytes that may wait for the disk: three times the credit's backlog, so that a sender that keeps to
/// its credit is hardly ever turned away.
pub const SINK_QUEUE_MAX: usize = 24 << 20;

/// Jobs that may wait for the disk; beyond that, messages wait in the carrier. Most are as small as an
/// offer, and come as fast as empty files do.
const JOBS_MAX: usize = 1 << 13;

/// A write is handed on when it is this long, at the latest.
const BATCH_LEN: usize = 512 << 10;

/// Fewer bytes than that are worth waiting a moment for more.
const GATHER_LEN: usize = 64 << 10;

/// Bytes of messages that may wait for room among the jobs.
const MESSAGES_MAX: usize = 64 << 10;

/// What the carrier should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Demand {
    /// Those bytes must come again.
    Again(Range<u64>),
    /// Those bytes are no longer waited for.
    Cancel(Range<u64>),
    /// The transfer space ends here.
    Total(u64),
    /// So many bytes have been written in all.
    Written(u64),
}

#[derive(Debug)]
struct Incoming {
    /// As people are shown it; the sender proposed it.
    name: String,
    sort: Sort,
    text_len: usize,
    /// Memory that it takes of what all transfers share.
    cost: usize,
    layout: Layout,
    range: Range<u64>,
    /// The name that it gets, where something else has its own.
    renamed: Option<String>,
    is_judged: bool,
    /// Its ROOT has been said.
    is_rooted: bool,
    is_settled: bool,
}

/// One transfer, seen from the side that keeps the files.
#[derive(Debug)]
pub struct Receiving {
    judge: Judge,
    /// Where one file is taken, it is complete only once it is known that nothing follows: its hash, until
    /// then.
    held_root: Option<(u32, Hash)>,
    /// Nothing is to be done, only said; and the sender says so.
    is_plan: bool,
    is_told_plan: bool,
    /// In a plan, where one file is taken: the same as above.
    held_would: Option<(u32, bool, u64)>,
    /// What was offered and not handed out, where only the list is wanted.
    list: Option<Vec<Entry>>,
    hearing: Hearing,
    /// The entries that have no outcome yet, and some that have.
    entries: Window<Incoming>,
    /// Bytes of their offers' texts.
    text_len: usize,
    /// Bytes of the transfer space offered so far, and bytes of holes, which are not in it.
    offered: u64,
    holes: u64,
    ledger: Ledger,
    /// Entries below this index have been judged.
    judged: u32,
    /// The sender has been told so of the entries below this one.
    told: u32,
    /// Where the bytes of the entries that have been judged end, and of those that the sender was told so of.
    judged_end: u64,
    told_end: u64,
    is_offer_complete: bool,
    /// The sink was told that every entry has an outcome; and has done what was left to do.
    is_finishing: bool,
    is_finished: bool,
    jobs: VecDeque<Job>,
    batch: WriteBatch,
    /// Memory for bytes that wait for the disk, and for what is remembered of entries.
    bytes: Account,
    account: Account,
    /// Bytes handed to the sink and not reported as written.
    queued: usize,
    /// Jobs made and not reported as done.
    waiting: usize,
    /// Bytes that came before their offer.
    early: Early,
    written: u64,
    /// Bytes of files that did not have to come, or failed.
    spared: u64,
    demands: Vec<Demand>,
    outgoing: Vec<u8>,
}

impl Receiving {
    /// A transfer that has not begun; hidden names are refused unless `takes_hidden`.
    #[must_use]
    pub fn new(takes_hidden: bool) -> Self {
        Self::taking(if takes_hidden { Takes::All } else { Takes::Visible })
    }

    /// A transfer that has not begun, of which one file is taken and nothing else; its name means nothing.
    #[must_use]
    pub fn one_file() -> Self {
        Self::taking(Takes::One)
    }

    /// A transfer of which only the list is wanted: what is offered.
    #[must_use]
    pub fn listing() -> Self {
        Self { list: Some(Vec::new()), ..Self::taking(Takes::Visible) }
    }

    fn taking(takes: Takes) -> Self {
        Self {
            judge: Judge::new(takes),
            held_root: None,
            is_plan: false,
            is_told_plan: false,
            held_would: None,
            list: None,
            hearing: Hearing::sender(),
            entries: Window::default(),
            text_len: 0,
            offered: 0,
            holes: 0,
            ledger: Ledger::default(),
            judged: 0,
            told: 0,
            judged_end: 0,
            told_end: 0,
            is_offer_complete: false,
            is_finishing: false,
            is_finished: false,
            jobs: VecDeque::new(),
            batch: WriteBatch::default(),
            bytes: Account::default(),
            account: Account::default(),
            queued: 0,
            waiting: 0,
            early: Early::default(),
            written: 0,
            spared: 0,
            demands: Vec::new(),
            outgoing: Vec::new(),
        }
    }

    /// The same, of which only what would come of it is wanted.
    #[must_use]
    pub fn planning(mut self) -> Self {
        self.plan();
        self
    }

    /// From now on, with which it begins, nothing is done.
    fn plan(&mut self) {
        self.is_plan = true;
        self.ledger = Ledger::planning();
        self.early = Early::default();
        self.push_job(Job::Plan);
    }

    /// Whether nothing is done, only said.
    #[must_use]
    pub fn is_plan(&self) -> bool {
        self.is_plan
    }

    /// What was offered since the last call, where only the list is wanted. Nobody has judged the paths.
    pub fn take_listed(&mut self) -> Vec<Entry> {
        let list = self.list.as_mut().filter(|_| !self.hearing.is_over());
        list.map(std::mem::take).unwrap_or_default()
    }

    /// The same, in memory that it shares with others.
    #[must_use]
    pub fn within(self, account: &Account) -> Self {
        let batch = WriteBatch::of(account.charge());
        Self { bytes: account.clone(), batch, ..self.remembering(account) }
    }

    /// The same, of which only what is remembered of entries is in that memory: where it has taken bytes, they
    /// are written before it takes more.
    #[must_use]
    pub fn remembering(self, account: &Account) -> Self {
        Self { account: account.clone(), ..self }
    }

    /// Where the sender's messages are to be appended.
    pub fn incoming(&mut self) -> &mut Vec<u8> {
        self.hearing.buffer()
    }

    /// Whether more messages should be appended: the sink keeps up with those that were.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.waiting < JOBS_MAX && self.hearing.waiting() < MESSAGES_MAX
    }

    /// Acts on the messages that are complete, as long as there is room.
    ///
    /// # Errors
    /// The sender broke the protocol, now or before.
    pub fn handle_messages(&mut self) -> Result<(), Failure> {
        while self.waiting < JOBS_MAX
            && let Some(message) = self.hearing.next_message()?
        {
            self.on_message(message).map_err(|malformed| self.violate(malformed))?;
        }
        self.hearing.verdict()
    }

    /// The sender broke the protocol, in whatever it says: from now on nothing is carried out or said, and
    /// the transfer has failed. What was handed to the sink before is reported as ever.
    pub fn violate(&mut self, malformed: Malformed) -> Failure {
        self.hearing.violate(malformed)
    }

    /// Takes file bytes; false if there is no room for them now.
    pub fn take_data(&mut self, offset: u64, bytes: &[u8]) -> bool {
        let end = offset + bytes.len() as u64;
        if bytes.is_empty() || self.list.is_some() || self.is_plan {
            return false;
        }
        if end > self.offered {
            return self.early.keep(offset, bytes);
        }
        let (held, len) = (self.queued + self.batch.len(), bytes.len());
        if held + len > SINK_QUEUE_MAX || !self.bytes.has_room(Pool::Bytes, len) {
            return false;
        }
        self.batch.push(offset, bytes);
        if self.batch.len() >= BATCH_LEN {
            self.flush();
        }
        true
    }

    /// Bytes taken become a job before anything that follows them.
    fn push_job(&mut self, job: Job) {
        self.flush();
        self.waiting += 1;
        self.jobs.push_back(job);
    }

    /// Makes a job of the bytes taken.
    pub fn flush(&mut self) {
        if !self.batch.is_empty() {
            self.queued += self.batch.len();
            self.waiting += 1;
            let next = WriteBatch::of(self.bytes.charge());
            self.jobs.push_back(Job::Write(std::mem::replace(&mut self.batch, next)));
        }
    }

    /// Whether there is nothing for the sink to do but to write a few bytes, and more are to come.
    #[must_use]
    pub fn is_gathering(&self) -> bool {
        let taken = self.written + (self.queued + self.batch.len()) as u64;
        let is_few = !self.batch.is_empty() && self.batch.len() < GATHER_LEN;
        self.jobs.is_empty() && is_few && taken < self.offered
    }

    /// The next thing for the sink to do.
    pub fn next_job(&mut self) -> Option<Job> {
        if self.hearing.is_over() {
            return None;
        }
        if self.jobs.is_empty() {
            self.flush();
        }
        self.jobs.pop_front()
    }

    /// What the carrier should know since the last call.
    pub fn take_demands(&mut self) -> Vec<Demand> {
        std::mem::take(&mut self.demands)
    }

    /// Whether every entry has an outcome, there are no more, and nothing is left to do.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.is_finished && !self.hearing.is_over()
    }

    /// Bytes that are here, and bytes offered so far.
    #[must_use]
    pub fn progress(&self) -> (u64, u64) {
        let done = self.written + self.ledger.resumed() + self.spared;
        (done.min(self.offered), self.offered)
    }

    /// Whether all is offered that will be.
    #[must_use]
    pub fn is_offered(&self) -> bool {
        self.is_offer_complete
    }

    /// The report of a transfer that is over; entries without an outcome failed as `failure` says.
    #[must_use]
    pub fn report(&self, failure: Option<Failure>, stats: Option<Stats>) -> TransferReport {
        let failure = self.hearing.verdict().err().or(failure);
        let mut ledger = self.ledger.clone();
        let otherwise = failure.clone().unwrap_or_else(|| Failure::new(Reason::Other, "not sent"));
        for (index, entry) in (self.entries.first()..).zip(self.entries.iter()) {
            if !entry.is_settled {
                note(&mut ledger, index, entry, Err(otherwise.clone()));
            }
        }
        TransferReport { is_list: self.list.is_some(), ..ledger.report(failure, stats) }
    }
}

fn note(ledger: &mut Ledger, index: u32, entry: &Incoming, outcome: FileOutcome) {
    let (size, holes) = (entry.layout.size(), entry.layout.holes().total());
    ledger.note(index, entry.sort, FileReport { name: entry.name.clone(), size, holes, outcome });
}

#[cfg(test)]
mod tests;
