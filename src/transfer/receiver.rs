//! The receiving side of a transfer: messages and bytes in, jobs for the sink out. Never blocks.

mod offers;
mod outcomes;

use super::backlog::Backlog;
use super::early::Early;
use super::entry::{Entry, Sort};
use super::hash::Hash;
use super::job::{Job, WriteBatch};
use super::judge::{Judge, Takes};
use super::message::{Message, MessageReader};
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
    range: Range<u64>,
    /// The name that it gets, where something else has its own.
    renamed: Option<String>,
    is_judged: bool,
    is_settled: bool,
}

/// One transfer, seen from the side that keeps the files.
#[derive(Debug, Default)]
pub struct Receiving {
    judge: Judge,
    /// Where one file is taken, it is complete only once it is known that nothing follows: its hash, until
    /// then.
    held_root: Option<(u32, Hash)>,
    /// Nothing is to be done, only said.
    is_plan: bool,
    /// In a plan, where one file is taken: the same as above.
    held_would: Option<(u32, bool, u64)>,
    /// What was offered and not handed out, where only the list is wanted.
    list: Option<Vec<Entry>>,
    messages: MessageReader,
    /// The entries that have no outcome yet, and some that have.
    entries: Window<Incoming>,
    /// Bytes of their offers' texts.
    text_len: usize,
    /// Bytes of the transfer space offered so far.
    offered: u64,
    ledger: Ledger,
    /// Entries below this index have been judged.
    judged: u32,
    /// The sender has been told so of the entries below this one.
    told: u32,
    is_offer_complete: bool,
    /// The sink was told that every entry has an outcome; and has done what was left to do.
    is_finishing: bool,
    is_finished: bool,
    jobs: VecDeque<Job>,
    batch: WriteBatch,
    backlog: Backlog,
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
        let takes = if takes_hidden { Takes::All } else { Takes::Visible };
        Self { judge: Judge::new(takes), ..Self::default() }
    }

    /// A transfer that has not begun, of which one file is taken and nothing else; its name means nothing.
    #[must_use]
    pub fn one_file() -> Self {
        Self { judge: Judge::new(Takes::One), ..Self::default() }
    }

    /// A transfer of which only the list is wanted: what is offered.
    #[must_use]
    pub fn listing() -> Self {
        Self { list: Some(Vec::new()), ..Self::default() }
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
        self.list.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// The same, in memory that it shares with others.
    #[must_use]
    pub fn within(self, backlog: &Backlog) -> Self {
        Self { backlog: backlog.clone(), batch: WriteBatch::of(backlog.share()), ..self }
    }

    /// Where the sender's messages are to be appended.
    pub fn incoming(&mut self) -> &mut Vec<u8> {
        self.messages.buffer()
    }

    /// Whether more messages should be appended: the sink keeps up with those that were.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.waiting < JOBS_MAX && self.messages.waiting() < MESSAGES_MAX
    }

    /// Acts on the messages that are complete, as long as there is room.
    ///
    /// # Errors
    /// The sender broke the protocol.
    pub fn handle_messages(&mut self) -> Result<(), Malformed> {
        while self.waiting < JOBS_MAX {
            let Some(message) = self.messages.next_message()? else {
                break;
            };
            self.on_message(message)?;
        }
        Ok(())
    }

    fn on_message(&mut self, message: Message) -> Result<(), Malformed> {
        match message {
            Message::Offer(entry) => self.on_offer(entry)?,
            Message::OfferEnd => {
                self.is_offer_complete = true;
                self.demands.push(Demand::Total(self.offered));
                if let Some((index, hash)) = self.held_root.take() {
                    self.push_job(Job::ExpectRoot { index, hash });
                }
                if let Some((index, replaces, there)) = self.held_would.take() {
                    self.foretell(index, replaces, there);
                }
                self.finish();
            }
            Message::Lacking { name, reason, text } => {
                let outcome = Err(Failure::new(reason, text));
                let report = FileReport { name, size: 0, outcome };
                self.ledger.note(self.entries.next(), Sort::File, report);
            }
            Message::Plan => self.on_plan()?,
            Message::Groups { index, first, values } => {
                self.known(index)?;
                self.push_job(Job::Expect { index, first, values });
            }
            Message::Root { index, hash } => {
                self.known(index)?;
                if self.judge.takes_one() && !self.is_offer_complete {
                    self.held_root = Some((index, hash));
                } else {
                    self.push_job(Job::ExpectRoot { index, hash });
                }
            }
            Message::Failed { index, reason, text } => {
                self.known(index)?;
                self.push_job(Job::Forget { index });
                let text = format!("the sender gave up: {text}");
                self.settle(index, Err(Failure::new(reason, text)));
            }
            Message::Accept { .. }
            | Message::Committed { .. }
            | Message::Finished
            | Message::Kept { .. }
            | Message::Left { .. }
            | Message::Prove { .. }
            | Message::Reject { .. }
            | Message::Renamed { .. }
            | Message::Same { .. }
            | Message::Would { .. } => {
                return Err(Malformed("transfer message: a sender does not say this"));
            }
        }
        Ok(())
    }

    fn known(&self, index: u32) -> Result<(), Malformed> {
        let is_known = self.entries.knows(index);
        if is_known { Ok(()) } else { Err(Malformed("transfer message: no such file")) }
    }

    fn on_plan(&mut self) -> Result<(), Malformed> {
        if self.list.is_some() || self.is_offer_complete || self.entries.next() > 0 {
            return Err(Malformed("plan: not before the offers"));
        }
        if !self.is_plan {
            self.plan();
        }
        Ok(())
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
        if held + len > SINK_QUEUE_MAX || !self.backlog.has_room(held, len) {
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
            let next = WriteBatch::of(self.backlog.share());
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
        self.is_finished
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
    let size = entry.range.end - entry.range.start;
    ledger.note(index, entry.sort, FileReport { name: entry.name.clone(), size, outcome });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer::backlog::{BACKLOG_MAX, BACKLOG_OF_ANY};
    use crate::transfer::entry::{Attributes, Kind, SourceId};
    use crate::transfer::job::Report;
    use crate::transfer::message::{UNSETTLED_MAX, UNSETTLED_TEXT_MAX};

    fn say(receiving: &mut Receiving, message: &Message) -> Result<(), Malformed> {
        message.put(receiving.incoming());
        receiving.handle_messages()
    }

    fn offer(size: u64, path: &str) -> Message {
        let attributes = Attributes { mode: 0o644, seconds: 0, nanoseconds: 0 };
        let source = Kind::is_identified(size).then_some(SourceId([1; 16]));
        let kind = Kind::File { size, is_sparse: false, attributes, source };
        Message::Offer(Entry { path: path.into(), kind })
    }

    fn answers(receiving: &mut Receiving) -> Vec<Message> {
        let mut reader = MessageReader::default();
        reader.buffer().extend(receiving.take_outgoing());
        std::iter::from_fn(|| reader.next_message().expect("well-formed")).collect()
    }

    #[test]
    fn empty_data_is_refused() {
        let mut receiving = Receiving::new(false);
        assert!(!receiving.take_data(5, &[]));
        say(&mut receiving, &offer(10, "a")).expect("a file");
        assert!(!receiving.take_data(5, &[]));
    }

    #[test]
    fn a_plan_is_the_first_job_and_takes_no_bytes() {
        let mut planning = Receiving::new(false);
        say(&mut planning, &Message::Plan).expect("first");
        say(&mut planning, &offer(10, "a")).expect("a file");
        assert!(!planning.take_data(0, &[1; 10]));
        assert!(matches!(planning.next_job(), Some(Job::Plan)));
        assert!(matches!(planning.next_job(), Some(Job::Offer { .. })));
        planning.on_report(Report::Would { index: 0, replaces: true, there: 3 });
        let would = Message::Would { index: 0, replaces: true, there: 3 };
        assert_eq!(answers(&mut planning), [would]);
        say(&mut planning, &Message::OfferEnd).expect("the end");
        assert!(matches!(planning.next_job(), Some(Job::Finish)));
        assert_eq!(planning.report(None, None).counts.planned.expect("a plan").replacing, 1);
    }

    #[test]
    fn a_plan_begins_before_the_offers_or_never() {
        let mut late = Receiving::new(false);
        say(&mut late, &offer(10, "a")).expect("a file");
        assert!(say(&mut late, &Message::Plan).is_err());
        let mut over = Receiving::new(false);
        say(&mut over, &Message::OfferEnd).expect("the end");
        assert!(say(&mut over, &Message::Plan).is_err());
        assert!(say(&mut Receiving::listing(), &Message::Plan).is_err());
        // Of its own accord, and then told so.
        let mut own = Receiving::new(false).planning();
        say(&mut own, &Message::Plan).expect("first");
        assert!(matches!(own.next_job(), Some(Job::Plan)));
        assert!(own.next_job().is_none());
    }

    #[test]
    fn where_one_file_is_taken_a_plan_knows_at_the_end() {
        for second in [false, true] {
            let mut planning = Receiving::one_file().planning();
            say(&mut planning, &offer(3, "a")).expect("a file");
            planning.on_report(Report::Would { index: 0, replaces: false, there: 0 });
            assert_eq!(answers(&mut planning), []);
            if second {
                say(&mut planning, &offer(3, "b")).expect("a file");
            }
            say(&mut planning, &Message::OfferEnd).expect("the end");
            let told = answers(&mut planning);
            let comes = told.iter().any(|answer| matches!(answer, Message::Would { .. }));
            assert_eq!(comes, !second, "{told:?}");
        }
    }

    fn roots(receiving: &mut Receiving) -> usize {
        let jobs = std::iter::from_fn(|| receiving.next_job());
        jobs.filter(|job| matches!(job, Job::ExpectRoot { .. })).count()
    }

    #[test]
    fn the_only_file_is_complete_once_nothing_can_follow() {
        let mut receiving = Receiving::one_file();
        say(&mut receiving, &offer(3, ".a")).expect("a file");
        say(&mut receiving, &Message::Root { index: 0, hash: Hash::of(b"abc") }).expect("known");
        assert_eq!(roots(&mut receiving), 0);
        say(&mut receiving, &Message::OfferEnd).expect("the end");
        assert_eq!(roots(&mut receiving), 1);
    }

    #[test]
    fn of_two_files_where_one_is_taken_neither_is() {
        let mut receiving = Receiving::one_file();
        say(&mut receiving, &offer(3, "a")).expect("a file");
        say(&mut receiving, &Message::Root { index: 0, hash: Hash::of(b"abc") }).expect("known");
        say(&mut receiving, &offer(3, "b")).expect("a file");
        say(&mut receiving, &Message::OfferEnd).expect("the end");
        let refused = |answer: &Message| matches!(answer, Message::Reject { reason, .. } if *reason == Reason::Refused);
        assert_eq!(answers(&mut receiving).iter().filter(|answer| refused(answer)).count(), 2);
        let report = receiving.report(None, None);
        assert_eq!((report.counts.failed, report.verdict()), (2, Some(Reason::Refused)));
    }

    #[test]
    fn bytes_before_their_offer_wait_within_a_bound() {
        let mut receiving = Receiving::new(false);
        assert!(receiving.take_data(0, &[1; 1000]));
        assert!(receiving.next_job().is_none());
        assert!(!receiving.take_data(1000, &[1; 64 * 1024]));
        say(&mut receiving, &offer(5000, "a")).expect("a file");
        assert!(matches!(receiving.next_job(), Some(Job::Offer { index: 0, .. })));
        assert!(matches!(receiving.next_job(), Some(Job::Write(batch)) if batch.len() == 1000));
    }

    #[test]
    fn an_offer_takes_the_early_bytes_that_it_covers() {
        let mut receiving = Receiving::new(false);
        assert!(receiving.take_data(90, &[3; 20]));
        assert!(receiving.take_data(40, &[2; 20]));
        assert!(receiving.take_data(0, &[1; 20]));
        assert!(receiving.take_data(0, &[1; 20]), "it came again");
        for covered in [40, 20] {
            say(&mut receiving, &offer(60, "a")).expect("a file");
            assert!(matches!(receiving.next_job(), Some(Job::Offer { .. })));
            let job = receiving.next_job();
            assert!(matches!(&job, Some(Job::Write(batch)) if batch.len() == covered), "{job:?}");
        }
        assert!(receiving.early.is_empty());
    }

    #[test]
    fn a_slow_disk_makes_the_carrier_wait() {
        let mut receiving = Receiving::new(false);
        say(&mut receiving, &offer(1 << 30, "a")).expect("a file");
        let mut taken = 0;
        while receiving.take_data(taken, &[0; 60_000]) {
            taken += 60_000;
        }
        assert!(taken as usize <= SINK_QUEUE_MAX);
        receiving.next_job();
        let mut total = 0;
        while let Some(Job::Write(batch)) = receiving.next_job() {
            total += batch.len() as u64;
            receiving.on_report(Report::Done { bytes: batch.len(), total });
        }
        assert!(receiving.take_data(taken, &[0; 60_000]));
        assert!(receiving.take_demands().contains(&Demand::Written(taken)));
    }

    #[test]
    fn slow_disks_share_the_memory_of_their_listener() {
        let backlog = Backlog::default();
        let mut all: Vec<Receiving> =
            (0..31).map(|_| Receiving::new(false).within(&backlog)).collect();
        let mut fill = |receiving: &mut Receiving| {
            let mut taken = 0;
            while receiving.take_data(taken, &[0; 1 << 15]) {
                taken += 1 << 15;
            }
            taken
        };
        for receiving in &mut all {
            say(receiving, &offer(1 << 30, "a")).expect("a file");
        }
        let first: Vec<u64> = all.iter_mut().map(&mut fill).collect();
        assert_eq!(first[0] as usize, SINK_QUEUE_MAX);
        assert_eq!(first[30] as usize, BACKLOG_OF_ANY, "who comes last finds some too");
        assert!(first.iter().sum::<u64>() as usize <= BACKLOG_MAX + 31 * BACKLOG_OF_ANY);
        all.drain(..30);
        let last = &mut all[0];
        assert!(last.take_data(first[30], &[0; 1 << 20]), "what the others held is free again");
    }

    #[test]
    fn few_bytes_are_gathered_while_more_are_to_come() {
        let mut receiving = Receiving::new(false);
        say(&mut receiving, &offer(1 << 20, "a")).expect("a file");
        assert!(!receiving.is_gathering(), "there is an offer to hand on");
        receiving.next_job();
        let mut take = |offset, len| {
            assert!(receiving.take_data(offset, &vec![0; len]));
            receiving.is_gathering()
        };
        assert!(take(0, 1_000));
        assert!(take(1_000, GATHER_LEN - 1_001));
        assert!(!take(GATHER_LEN as u64 - 1, 1), "it is worth a write");
        receiving.next_job();
        let offset = GATHER_LEN as u64;
        assert!(receiving.take_data(offset, &[0; 1]) && receiving.is_gathering());
        receiving.flush();
        assert!(!receiving.is_gathering(), "it is a job now");
        receiving.next_job();
        assert!(receiving.take_data(offset + 1, &vec![0; (1 << 20) - GATHER_LEN - 2]));
        receiving.next_job();
        assert!(receiving.take_data((1 << 20) - 1, &[0; 1]) && !receiving.is_gathering());
    }

    #[test]
    fn messages_wait_for_a_disk_that_stalls() {
        let mut receiving = Receiving::new(false);
        for number in 0..2 * JOBS_MAX {
            offer(1, &number.to_string()).put(receiving.incoming());
        }
        receiving.handle_messages().expect("well-formed");
        assert!(!receiving.has_room() && receiving.entries.len() == JOBS_MAX);
        while receiving.next_job().is_some() {
            receiving.on_report(Report::Done { bytes: 0, total: 0 });
        }
        receiving.handle_messages().expect("well-formed");
        assert_eq!(receiving.entries.len(), 2 * JOBS_MAX);
    }

    /// Does nothing, and says that it is done.
    fn idle(receiving: &mut Receiving) {
        while receiving.next_job().is_some() {
            receiving.on_report(Report::Done { bytes: 0, total: 0 });
        }
    }

    #[test]
    fn entries_without_an_outcome_are_bounded_and_those_with_one_are_forgotten() {
        let mut receiving = Receiving::new(false);
        let hash = Hash::of(b"");
        for number in 0..u32::try_from(UNSETTLED_MAX).expect("few") {
            say(&mut receiving, &offer(0, &number.to_string())).expect("room");
            idle(&mut receiving);
        }
        for index in 0..1_000 {
            receiving.on_report(Report::Committed { index, hash });
        }
        assert_eq!(receiving.entries.len(), UNSETTLED_MAX - 1_000);
        for number in 0..1_000 {
            say(&mut receiving, &offer(0, &format!("more {number}"))).expect("room again");
            idle(&mut receiving);
        }
        assert!(say(&mut receiving, &offer(0, "one too many")).is_err());
    }

    #[test]
    fn the_texts_of_entries_without_an_outcome_are_bounded() {
        let mut receiving = Receiving::new(false);
        let long =
            |number: usize| format!("{number:05}{}", format!("/{}", "n".repeat(250)).repeat(15));
        let fit = UNSETTLED_TEXT_MAX / long(0).len();
        for number in 0..fit {
            say(&mut receiving, &offer(0, &long(number))).expect("room");
            idle(&mut receiving);
        }
        assert_eq!(receiving.entries.len(), fit);
        assert!(say(&mut receiving, &offer(0, &long(fit))).is_err());
    }

    #[test]
    fn no_path_is_offered_twice() {
        let mut receiving = Receiving::new(false);
        for path in ["a", "b/a", "a", "A"] {
            say(&mut receiving, &offer(1, path)).expect("an offer");
        }
        let refused: Vec<_> = answers(&mut receiving)
            .into_iter()
            .filter_map(|answer| match answer {
                Message::Reject { index, text, .. } => Some((index, text)),
                _ => None,
            })
            .collect();
        assert!(matches!(&refused[..], [(2, text)] if text.contains("twice")), "{refused:?}");
    }

    #[test]
    fn links_are_judged_like_paths() {
        let mut receiving = Receiving::new(false);
        for target in ["../../etc/passwd", "/etc/passwd", "b", "../b"] {
            let kind = Kind::Link { target: target.into() };
            let path = format!("d/link to {}", target.len());
            say(&mut receiving, &Message::Offer(Entry { path, kind })).expect("an offer");
        }
        let refused = answers(&mut receiving);
        let is_refused = |index| {
            refused
                .iter()
                .any(|answer| matches!(answer, Message::Reject { index: at, .. } if *at == index))
        };
        assert!(is_refused(0) && is_refused(1) && !is_refused(2) && !is_refused(3));
    }

    #[test]
    fn names_are_judged_here_whatever_the_sender_checked() {
        let mut receiving = Receiving::new(false);
        for name in ["../evil", ".bashrc", "good"] {
            say(&mut receiving, &offer(1, name)).expect("an offer");
        }
        receiving.on_report(Report::Accepted { index: 2 });
        let answers = answers(&mut receiving);
        let refused = |index| {
            answers.iter().any(|answer| {
                matches!(answer,
                Message::Reject { index: at, reason: Reason::Refused, .. } if *at == index)
            })
        };
        assert!(refused(0) && refused(1) && !refused(2));
        assert_eq!(answers.last(), Some(&Message::Accept { below: 3 }));
    }

    #[test]
    fn who_wants_only_the_list_has_no_work_and_is_done_with_the_last_offer() {
        let mut receiving = Receiving::listing();
        for path in ["../evil", ".hidden", "a", "a"] {
            say(&mut receiving, &offer(5, path)).expect("an offer");
        }
        let paths: Vec<String> =
            receiving.take_listed().into_iter().map(|entry| entry.path).collect();
        assert_eq!(paths, ["../evil", ".hidden", "a", "a"]);
        assert!(!receiving.take_data(0, b"bytes") && !receiving.take_data(40, b"early"));
        let index = 0;
        assert!(say(&mut receiving, &Message::Root { index, hash: Hash::of(b"") }).is_err());
        let mut receiving = Receiving::listing();
        say(&mut receiving, &offer(5, "a")).expect("an offer");
        say(&mut receiving, &Message::OfferEnd).expect("the end");
        assert_eq!(answers(&mut receiving), [Message::Finished]);
        assert!(receiving.is_complete() && receiving.next_job().is_none());
    }

    #[test]
    fn hidden_names_are_taken_where_the_user_said_so() {
        let mut receiving = Receiving::new(true);
        say(&mut receiving, &offer(1, ".bashrc")).expect("an offer");
        assert_eq!(answers(&mut receiving), []);
    }

    #[test]
    fn it_is_complete_when_every_file_has_an_outcome() {
        let mut receiving = Receiving::new(false);
        say(&mut receiving, &offer(1, "a")).expect("an offer");
        say(&mut receiving, &offer(1, "b")).expect("an offer");
        receiving.on_report(Report::Committed { index: 0, hash: Hash::of(b"a") });
        let text = "gone".to_owned();
        say(&mut receiving, &Message::Failed { index: 1, reason: Reason::Source, text })
            .expect("known");
        assert!(!receiving.is_complete(), "more could be offered");
        say(&mut receiving, &Message::OfferEnd).expect("the end");
        assert!(!receiving.is_complete(), "the sink has something left to do");
        let jobs: Vec<_> = std::iter::from_fn(|| receiving.next_job()).collect();
        assert!(matches!(jobs.last(), Some(Job::Finish)), "{jobs:?}");
        receiving.on_report(Report::Finished);
        assert!(receiving.is_complete());
        assert_eq!(answers(&mut receiving).last(), Some(&Message::Accept { below: 2 }));
        assert!(receiving.take_demands().contains(&Demand::Cancel(1..2)));
    }

    #[test]
    fn a_sender_that_breaks_the_protocol_is_noticed() {
        let break_it = |messages: &[Message]| {
            let mut receiving = Receiving::new(false);
            messages.iter().try_for_each(|message| say(&mut receiving, message))
        };
        assert!(break_it(&[Message::OfferEnd, offer(1, "late")]).is_err());
        assert!(break_it(&[Message::Root { index: 0, hash: Hash::of(b"") }]).is_err());
        assert!(break_it(&[Message::Accept { below: 1 }]).is_err());
        assert!(break_it(&[offer(1 << 56, "a"), offer(1, "b")]).is_err());
    }
}
