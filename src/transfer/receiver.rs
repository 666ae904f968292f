//! The receiving side of a transfer: messages and bytes in, jobs for the sink out. Never blocks.

use super::job::{Job, Report, WriteBatch};
use super::message::{FILES_MAX, Message, MessageReader};
use super::name::{FileName, NAME_MAX};
use super::outcome::{Failure, FileOutcome, FileReport, Reason};
use crate::base::text::escape;
use crate::transport::config::FIRST_FLIGHT;
use crate::wire::cursor::Malformed;
use crate::wire::header::OFFSET_END;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

/// Bytes that may wait for the disk: three times the credit's backlog, so that a sender that keeps to
/// its credit is hardly ever turned away.
pub const SINK_QUEUE_MAX: usize = 24 << 20;

/// Jobs that may wait for the disk; beyond that, messages wait in the carrier.
const JOBS_MAX: usize = 1 << 10;

/// A write is handed on when it is this long, at the latest.
const BATCH_LEN: usize = 512 << 10;

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
    range: Range<u64>,
    is_judged: bool,
    outcome: Option<FileOutcome>,
}

/// One transfer, seen from the side that keeps the files.
#[derive(Debug, Default)]
pub struct Receiving {
    takes_hidden: bool,
    messages: MessageReader,
    files: Vec<Incoming>,
    /// Files without an outcome.
    unsettled: usize,
    /// Files below this index have been judged, and the sender knows.
    judged: usize,
    is_offer_complete: bool,
    jobs: VecDeque<Job>,
    batch: WriteBatch,
    /// Bytes handed to the sink and not reported as written.
    queued: usize,
    /// Jobs made and not reported as done.
    waiting: usize,
    /// Bytes that came before their offer, by their end and offset: an offer looks at those that it covers.
    early: BTreeMap<(u64, u64), Vec<u8>>,
    early_len: usize,
    written: u64,
    demands: Vec<Demand>,
    outgoing: Vec<u8>,
}

impl Receiving {
    /// A transfer that has not begun; hidden names are refused unless `takes_hidden`.
    #[must_use]
    pub fn new(takes_hidden: bool) -> Self {
        Self { takes_hidden, ..Self::default() }
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
            Message::Offer { size, name } => self.on_offer(size, &name)?,
            Message::OfferEnd => {
                self.is_offer_complete = true;
                self.demands.push(Demand::Total(self.offered()));
            }
            Message::Groups { index, first, values } => {
                self.known(index)?;
                self.push_job(Job::Expect { index, first, values });
            }
            Message::Root { index, hash } => {
                self.known(index)?;
                self.push_job(Job::ExpectRoot { index, hash });
            }
            Message::Failed { index, reason, text } => {
                self.known(index)?;
                self.push_job(Job::Forget { index });
                let text = format!("the sender gave up: {text}");
                self.settle(index, Err(Failure::new(reason, text)));
            }
            Message::Accept { .. } | Message::Committed { .. } | Message::Reject { .. } => {
                return Err(Malformed("transfer message: a sender does not say this"));
            }
        }
        Ok(())
    }

    fn known(&self, index: u32) -> Result<(), Malformed> {
        let is_known = (index as usize) < self.files.len();
        if is_known { Ok(()) } else { Err(Malformed("transfer message: no such file")) }
    }

    fn on_offer(&mut self, size: u64, name: &str) -> Result<(), Malformed> {
        let start = self.offered();
        let end = start.checked_add(size).filter(|end| *end <= OFFSET_END);
        let end = end.ok_or(Malformed("offer: beyond the transfer space"))?;
        if self.is_offer_complete || self.files.len() >= FILES_MAX {
            return Err(Malformed("offer: too many files"));
        }
        let index = u32::try_from(self.files.len()).expect("at most FILES_MAX");
        let proposed = escape(&name[..name.floor_char_boundary(NAME_MAX)]);
        let name = self.judge_name(name);
        let range = start..end;
        self.unsettled += 1;
        self.files.push(Incoming {
            name: proposed,
            range: range.clone(),
            is_judged: false,
            outcome: None,
        });
        self.push_job(Job::Offer { index, name: name.as_ref().ok().cloned(), range });
        if let Err(failure) = name {
            self.reject(index, failure);
        }
        self.take_early();
        Ok(())
    }

    fn judge_name(&self, name: &str) -> Result<FileName, Failure> {
        let parsed = FileName::parse(name);
        let name = parsed.map_err(|error| Failure::new(Reason::Refused, error.to_string()))?;
        if name.is_hidden() && !self.takes_hidden {
            let text = format!("\"{name}\" is a hidden name; start recv with --hidden to take it");
            return Err(Failure::new(Reason::Refused, text));
        }
        Ok(name)
    }

    /// Bytes of the transfer space offered so far.
    fn offered(&self) -> u64 {
        self.files.last().map_or(0, |file| file.range.end)
    }

    /// Takes file bytes; false if there is no room for them now.
    pub fn take_data(&mut self, offset: u64, bytes: &[u8]) -> bool {
        let end = offset + bytes.len() as u64;
        if bytes.is_empty() {
            return false;
        }
        if end > self.offered() {
            if self.early_len + bytes.len() > usize::try_from(FIRST_FLIGHT).unwrap_or(0) {
                return false;
            }
            self.early_len += bytes.len();
            if let Some(same) = self.early.insert((end, offset), bytes.to_vec()) {
                self.early_len -= same.len();
            }
            return true;
        }
        if self.queued + self.batch.len() + bytes.len() > SINK_QUEUE_MAX {
            return false;
        }
        self.batch.push(offset, bytes);
        if self.batch.len() >= BATCH_LEN {
            self.flush();
        }
        true
    }

    fn take_early(&mut self) {
        let offered = self.offered();
        while let Some(first) = self.early.first_entry().filter(|first| first.key().0 <= offered) {
            let ((_, offset), bytes) = first.remove_entry();
            self.early_len -= bytes.len();
            self.batch.push(offset, &bytes);
        }
    }

    /// Bytes taken become a job before anything that follows them.
    fn push_job(&mut self, job: Job) {
        self.flush();
        self.waiting += 1;
        self.jobs.push_back(job);
    }

    fn flush(&mut self) {
        if !self.batch.is_empty() {
            self.queued += self.batch.len();
            self.waiting += 1;
            self.jobs.push_back(Job::Write(std::mem::take(&mut self.batch)));
        }
    }

    /// The next thing for the sink to do.
    pub fn next_job(&mut self) -> Option<Job> {
        if self.jobs.is_empty() {
            self.flush();
        }
        self.jobs.pop_front()
    }

    /// The sink did something.
    pub fn on_report(&mut self, report: Report) {
        match report {
            Report::Accepted { index } => self.judge(index),
            Report::Again(range) => self.demands.push(Demand::Again(range)),
            Report::Committed { index, hash } => {
                Message::Committed { index, hash }.put(&mut self.outgoing);
                self.settle(index, Ok(hash));
            }
            Report::Failed { index, failure } => self.reject(index, failure),
            Report::Done { bytes, total } => {
                self.queued -= bytes;
                self.waiting -= 1;
                self.written = total;
                self.demands.push(Demand::Written(self.written));
            }
        }
    }

    fn reject(&mut self, index: u32, failure: Failure) {
        let (reason, text) = (failure.reason, failure.text.clone());
        Message::Reject { index, reason, text }.put(&mut self.outgoing);
        self.settle(index, Err(failure));
    }

    fn settle(&mut self, index: u32, outcome: FileOutcome) {
        let file = &mut self.files[index as usize];
        if file.outcome.is_none() {
            self.unsettled -= 1;
            if outcome.is_err() {
                self.demands.push(Demand::Cancel(file.range.clone()));
            }
            file.outcome = Some(outcome);
        }
        self.judge(index);
    }

    /// Tells the sender how far the files have been judged.
    fn judge(&mut self, index: u32) {
        self.files[index as usize].is_judged = true;
        let before = self.judged;
        while self.files.get(self.judged).is_some_and(|file| file.is_judged) {
            self.judged += 1;
        }
        if self.judged > before {
            let below = u32::try_from(self.judged).expect("at most FILES_MAX");
            Message::Accept { below }.put(&mut self.outgoing);
        }
    }

    /// What the carrier should know since the last call.
    pub fn take_demands(&mut self) -> Vec<Demand> {
        std::mem::take(&mut self.demands)
    }

    /// Messages for the sender since the last call.
    pub fn take_outgoing(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.outgoing)
    }

    /// Whether every file has an outcome, and there are no more.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.is_offer_complete && self.unsettled == 0
    }

    /// Bytes written, and bytes offered so far.
    #[must_use]
    pub fn progress(&self) -> (u64, u64) {
        (self.written, self.offered())
    }

    /// All files; those without an outcome failed as `otherwise` says.
    #[must_use]
    pub fn reports(&self, otherwise: &Failure) -> Vec<FileReport> {
        let files = self.files.iter();
        files
            .map(|file| FileReport {
                name: file.name.clone(),
                size: file.range.end - file.range.start,
                outcome: file.outcome.clone().unwrap_or_else(|| Err(otherwise.clone())),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer::hash::Hash;

    fn say(receiving: &mut Receiving, message: &Message) -> Result<(), Malformed> {
        message.put(receiving.incoming());
        receiving.handle_messages()
    }

    fn offer(size: u64, name: &str) -> Message {
        Message::Offer { size, name: name.into() }
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
        assert_eq!((receiving.early.len(), receiving.early_len), (0, 0));
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
    fn messages_wait_for_a_disk_that_stalls() {
        let mut receiving = Receiving::new(false);
        for _ in 0..2 * JOBS_MAX {
            offer(1, "a").put(receiving.incoming());
        }
        receiving.handle_messages().expect("well-formed");
        assert!(!receiving.has_room() && receiving.files.len() == JOBS_MAX);
        while receiving.next_job().is_some() {
            receiving.on_report(Report::Done { bytes: 0, total: 0 });
        }
        receiving.handle_messages().expect("well-formed");
        assert_eq!(receiving.files.len(), 2 * JOBS_MAX);
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
        assert!(receiving.is_complete());
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
