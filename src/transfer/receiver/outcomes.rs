//! What the sink did, and what the sender hears of it.

use super::{Demand, Receiving, note};
use crate::transfer::budget::Pool;
use crate::transfer::hash::Hash;
use crate::transfer::job::{Job, Report};
use crate::transfer::message::Message;
use crate::transfer::outcome::{Done, Failure, FileOutcome};

impl Receiving {
    /// The sink did something.
    pub fn on_report(&mut self, report: Report) {
        match report {
            Report::Accepted { index } => self.judge(index),
            Report::Again(range) => self.demands.push(Demand::Again(range)),
            Report::Changed { index, group } => self.want_again(index, group),
            Report::Committed { index, hash } => {
                Message::Committed { index, hash }.put(&mut self.outgoing);
                let entry = self.entries.get_mut(index);
                let renamed = entry.and_then(|entry| entry.renamed.take());
                self.settle(index, Ok(Done::Committed { hash, renamed }));
            }
            Report::Failed { index, failure } => self.reject(index, failure),
            Report::Kept { index, first, values } => self.keep(index, first, values),
            Report::Left { index } => {
                Message::Left { index }.put(&mut self.outgoing);
                self.settle(index, Ok(Done::Left));
            }
            Report::Prove { index } => Message::Prove { index }.put(&mut self.outgoing),
            Report::Renamed { index, path } => {
                if let Some(entry) = self.entries.get_mut(index) {
                    entry.renamed = Some(path.to_string());
                }
                let path = path.as_str().to_owned();
                Message::Renamed { index, path }.put(&mut self.outgoing);
            }
            Report::Same { index, hash } => {
                Message::Same { index, hash }.put(&mut self.outgoing);
                self.settle(index, Ok(Done::Same(hash)));
            }
            Report::Would { index, replaces, there } => self.foretell(index, replaces, there),
            Report::Finished => {
                self.tell_judged();
                Message::Finished.put(&mut self.outgoing);
                self.is_finished = true;
            }
            Report::Done { bytes, total } => {
                self.queued -= bytes;
                self.waiting -= 1;
                self.written = total;
                self.demands.push(Demand::Written(self.written));
            }
        }
    }

    /// Bytes of those groups are not waited for.
    fn keep(&mut self, index: u32, first: u64, values: Vec<Hash>) {
        let Some(entry) = self.entries.get(index) else { return };
        let (start, last) = (entry.range.start, (first + values.len() as u64).saturating_sub(1));
        let [first_in, last_in] = [first, last].map(|group| entry.layout.group_in_space(group));
        self.ledger.resume(last_in.end - first_in.start);
        self.demands.push(Demand::Cancel(start + first_in.start..start + last_in.end));
        Message::Kept { index, first, values }.put(&mut self.outgoing);
    }

    /// Bytes of that group have to come after all.
    fn want_again(&mut self, index: u32, group: u64) {
        let Some(entry) = self.entries.get(index).filter(|entry| !entry.is_settled) else { return };
        let (start, range) = (entry.range.start, entry.layout.group_in_space(group));
        self.ledger.resume_less(range.end - range.start);
        self.demands.push(Demand::Again(start + range.start..start + range.end));
        Message::Again { index, first: group, count: 1 }.put(&mut self.outgoing);
    }

    /// The entry would come.
    pub(super) fn foretell(&mut self, index: u32, replaces: bool, there: u64) {
        if self.judge.takes_one() && !self.is_offer_complete {
            self.held_would = Some((index, replaces, there));
            return;
        }
        let Some(entry) = self.entries.get_mut(index).filter(|entry| !entry.is_settled) else {
            return;
        };
        let renamed = entry.renamed.take();
        Message::Would { index, replaces, there }.put(&mut self.outgoing);
        self.settle(index, Ok(Done::Would { replaces, there, renamed }));
    }

    pub(super) fn reject(&mut self, index: u32, failure: Failure) {
        let (reason, text) = (failure.reason, failure.text.clone());
        Message::Reject { index, reason, text }.put(&mut self.outgoing);
        self.settle(index, Err(failure));
    }

    pub(super) fn settle(&mut self, index: u32, outcome: FileOutcome) {
        let Some(entry) = self.entries.get_mut(index).filter(|entry| !entry.is_settled) else {
            return;
        };
        entry.is_settled = true;
        let is_written = matches!(outcome, Ok(Done::Committed { .. }));
        if !is_written && !entry.range.is_empty() {
            self.demands.push(Demand::Cancel(entry.range.clone()));
            self.spared += entry.range.end - entry.range.start;
        }
        note(&mut self.ledger, index, entry, outcome);
        self.judge(index);
        self.entries.forget(|entry| {
            if entry.is_settled {
                self.text_len -= entry.text_len;
                self.account.give(Pool::State, entry.cost);
            }
            entry.is_settled
        });
        self.finish();
    }

    /// Takes note of how far entries have been judged.
    fn judge(&mut self, index: u32) {
        if let Some(entry) = self.entries.get_mut(index) {
            entry.is_judged = true;
        }
        while let Some(entry) = self.entries.get(self.judged).filter(|entry| entry.is_judged) {
            self.judged_end = entry.range.end;
            self.judged += 1;
        }
    }

    /// Once every entry has an outcome, the sink has one thing left to do.
    pub(super) fn finish(&mut self) {
        if self.is_offer_complete && self.entries.is_empty() && !self.is_finishing {
            self.is_finishing = true;
            if self.list.is_some() {
                return self.on_report(Report::Finished);
            }
            self.push_job(Job::Finish);
        }
    }

    /// Messages for the sender since the last call.
    pub fn take_outgoing(&mut self) -> Vec<u8> {
        if self.hearing.is_over() {
            return Vec::new();
        }
        self.tell_judged();
        std::mem::take(&mut self.outgoing)
    }

    /// Says how far entries have been judged: behind the refusals that were known by then, and before the end.
    fn tell_judged(&mut self) {
        if self.judged > self.told && !self.is_plan {
            (self.told, self.told_end) = (self.judged, self.judged_end);
            Message::Accept { below: self.judged }.put(&mut self.outgoing);
        }
    }
}
