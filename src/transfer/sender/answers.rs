//! What the receiver says, and what it means for what is sent.

use super::{Item, Purpose, Sending};
use crate::transfer::entry::Kind;
use crate::transfer::hash::{Hash, group_count, group_range};
use crate::transfer::message::Message;
use crate::transfer::name::show_start;
use crate::transfer::outcome::{Done, Failure, Reason};
use crate::transfer::source_job::SourceJob;
use crate::wire::cursor::Malformed;
use std::ops::Range;

/// Separate pieces of the transfer space that nobody waits for, at most, of all entries without an outcome.
const UNWANTED_MAX: usize = 1 << 16;

impl Item {
    /// Where so many groups are in the transfer space, if a receiver may have kept them.
    fn groups(&self, first: u64, count: u64) -> Option<Range<u64>> {
        let (size, start) = (self.size(), self.range.start);
        let end = first.checked_add(count).filter(|end| *end <= group_count(size))?;
        let last = end.checked_sub(1).filter(|last| *last >= first)?;
        let range = group_range(first, size).start..group_range(last, size).end;
        Kind::is_identified(size).then_some(start + range.start..start + range.end)
    }
}

impl Purpose {
    /// Whether a receiver may say that.
    fn fits(self, message: &Message) -> bool {
        match message {
            Message::Would { .. } => self == Self::Plan,
            Message::Accept { .. }
            | Message::Again { .. }
            | Message::Committed { .. }
            | Message::Kept { .. } => self != Self::Plan,
            _ => true,
        }
    }
}

impl Sending {
    pub(super) fn on_message(&mut self, message: Message) -> Result<(), Malformed> {
        if !self.purpose.fits(&message) {
            return Err(Malformed("transfer message: not what it was asked"));
        }
        match message {
            Message::Accept { below } => {
                if below > self.items.next() {
                    return Err(Malformed("accept: more files than were offered"));
                }
                self.accepted = self.accepted.max(below);
                let last = below.checked_sub(1).and_then(|last| self.items.get(last));
                self.accepted_end = self.accepted_end.max(last.map_or(0, |item| item.range.end));
                while let Some(index) = self.proving.front().copied().filter(|index| *index < below)
                {
                    self.proving.pop_front();
                    self.jobs.push_back(SourceJob::Decided { index });
                }
            }
            Message::Committed { index, hash } => {
                self.known(index)?;
                let item = self.items.get_mut(index);
                let renamed = item.and_then(|item| item.renamed.take());
                self.settle_if_ours(index, hash, Done::Committed { hash, renamed })?;
            }
            Message::Same { index, hash } => {
                self.known(index)?;
                self.settle_if_ours(index, hash, Done::Same(hash))?;
            }
            Message::Left { index } => {
                self.known(index)?;
                self.settle(index, Ok(Done::Left));
            }
            Message::Renamed { index, path } => {
                self.known(index)?;
                if let Some(item) = self.items.get_mut(index) {
                    item.renamed = Some(show_start(&path));
                }
            }
            Message::Kept { index, first, values } => {
                self.on_kept(index, first, values.len() as u64)?;
            }
            Message::Again { index, first, count } => self.on_again(index, first, count)?,
            Message::Prove { index } => self.on_prove(index)?,
            Message::Finished => {
                if !self.is_offered {
                    return Err(Malformed("finished: before the end of the offers"));
                }
                self.is_finished = true;
            }
            Message::Reject { index, reason, text } => {
                self.known(index)?;
                let failure = Failure::new(reason, text);
                let item = self.items.get_mut(index).filter(|item| !item.is_settled);
                match item {
                    // It may not be what was offered any more: then that is why.
                    Some(item) if reason == Reason::Integrity => {
                        if item.rejected.replace(failure).is_none() {
                            self.jobs.push_back(SourceJob::Check { index });
                        }
                    }
                    _ => self.settle(index, Err(failure)),
                }
            }
            Message::Would { index, replaces, there } => self.on_would(index, replaces, there)?,
            _ => return Err(Malformed("transfer message: a receiver does not say this")),
        }
        Ok(())
    }

    /// The receiver compares a file with what it has.
    fn on_prove(&mut self, index: u32) -> Result<(), Malformed> {
        self.known(index)?;
        let is_open = |item: &&mut Item| !item.is_settled && item.root.is_none();
        if let Some(item) = self.items.get_mut(index).filter(is_open)
            && !std::mem::replace(&mut item.is_proving, true)
        {
            self.proving.push_back(index);
            self.jobs.push_back(SourceJob::Prove { index });
        }
        Ok(())
    }

    /// The receiver's word that it has the file counts only if it is about the hash that this side has
    /// computed and told, of bytes that have gone or are compared with it.
    fn settle_if_ours(&mut self, index: u32, hash: Hash, done: Done) -> Result<(), Malformed> {
        let Some(item) = self.items.get(index).filter(|_| self.is_open(index)) else {
            return Ok(());
        };
        let ours = item.root.ok_or(Malformed("outcome: before the hash of the file was told"))?;
        if matches!(done, Done::Committed { .. }) && !self.gone.contains_all(&item.range) {
            return Err(Malformed("committed: before the bytes of the file were sent"));
        }
        let text = "the receiver's hash of the file is not ours";
        let different = || Failure::new(Reason::Integrity, text);
        let outcome = if ours == hash { Ok(done) } else { Err(different()) };
        self.settle(index, outcome);
        Ok(())
    }

    /// Bytes of those groups need not go. That they are what is here is a claim: they are hashed all the same,
    /// and the receiver compares.
    fn on_kept(&mut self, index: u32, first: u64, count: u64) -> Result<(), Malformed> {
        self.known(index)?;
        let Some(item) = self.items.get(index).filter(|_| self.is_open(index)) else {
            return Ok(());
        };
        let range = item.groups(first, count).ok_or(Malformed("kept: no such groups"))?;
        self.ledger.resume(self.unwanted.insert(range.clone()));
        if self.unwanted.len() > UNWANTED_MAX {
            return Err(Malformed("kept: too many separate pieces"));
        }
        self.gone.insert(range.clone());
        self.cancelled.push(range);
        self.jobs.push_back(SourceJob::Keep { index, groups: first..first + count });
        Ok(())
    }

    /// Those groups are not what the receiver had said: their bytes go after all.
    fn on_again(&mut self, index: u32, first: u64, count: u64) -> Result<(), Malformed> {
        self.known(index)?;
        let Some(item) = self.items.get(index).filter(|_| self.is_open(index)) else {
            return Ok(());
        };
        let range = item.groups(first, count).filter(|range| self.unwanted.contains_all(range));
        let range = range.ok_or(Malformed("again: of groups that were not kept"))?;
        self.ledger.resume_less(self.unwanted.remove(&range));
        self.gone.remove(&range);
        self.restored.push(range);
        Ok(())
    }

    /// What would become of an entry.
    fn on_would(&mut self, index: u32, replaces: bool, there: u64) -> Result<(), Malformed> {
        self.known(index)?;
        let Some(item) = self.items.get_mut(index) else { return Ok(()) };
        if there > item.size() {
            return Err(Malformed("would: more than the file has"));
        }
        let renamed = item.renamed.take();
        self.settle(index, Ok(Done::Would { replaces, there, renamed }));
        Ok(())
    }
}
