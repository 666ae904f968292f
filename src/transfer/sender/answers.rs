//! What the receiver says, and what it means for what is sent.

use super::reports::Proof;
use super::{Item, Purpose, Sending};
use crate::transfer::entry::Kind;
use crate::transfer::exchange::{ReceiverWord, SenderState};
use crate::transfer::hash::{Hash, group_count};
use crate::transfer::message::Message;
use crate::transfer::name::show_start;
use crate::transfer::outcome::{Done, Failure, Reason};
use crate::transfer::source_job::SourceJob;
use crate::wire::cursor::Malformed;
use std::ops::Range;

/// Separate pieces of the transfer space that nobody waits for, at most, of all entries without an outcome.
const UNWANTED_MAX: usize = 1 << 16;

impl Item {
    /// Whether it is without an outcome, and the receiver has not rejected it.
    pub(super) fn is_open(&self) -> bool {
        !self.is_settled && self.rejected.is_none()
    }

    /// Where so many groups are in the transfer space, if a receiver may have kept them.
    fn groups(&self, first: u64, count: u64) -> Option<Range<u64>> {
        let (size, start) = (self.layout.size(), self.range.start);
        let end = first.checked_add(count).filter(|end| *end <= group_count(size))?;
        let last = end.checked_sub(1).filter(|last| *last >= first)?;
        let [first, last] = [first, last].map(|group| self.layout.group_in_space(group));
        let is_some = Kind::is_identified(size) && first.start < last.end;
        is_some.then_some(start + first.start..start + last.end)
    }
}

impl Purpose {
    /// Whether a receiver may say that.
    fn fits(self, message: &Message) -> bool {
        match message {
            Message::Finished => true,
            Message::Would { .. } => self == Self::Plan,
            Message::Accept { .. }
            | Message::Again { .. }
            | Message::Committed { .. }
            | Message::Kept { .. } => self == Self::Transfer,
            _ => self != Self::List,
        }
    }
}

impl Sending {
    pub(super) fn on_message(&mut self, message: Message) -> Result<(), Malformed> {
        if self.is_finished {
            return Err(Malformed("transfer message: after FINISHED"));
        }
        if !self.purpose.fits(&message) {
            return Err(Malformed("transfer message: not what it was asked"));
        }
        if let Some((word, index)) = ReceiverWord::of(&message)
            && !word.judge(self.state_of(index))?
        {
            return Ok(());
        }
        match message {
            Message::Accept { below } => self.on_accept(below)?,
            Message::Committed { index, hash } => {
                let item = self.items.get_mut(index);
                let renamed = item.and_then(|item| item.renamed.take());
                self.settle_if_ours(index, hash, Done::Committed { hash, renamed });
            }
            Message::Same { index, hash } => self.settle_if_ours(index, hash, Done::Same(hash)),
            Message::Left { index } => self.settle(index, Ok(Done::Left)),
            Message::Renamed { index, path } => {
                if let Some(item) = self.items.get_mut(index) {
                    item.renamed = Some(show_start(&path));
                }
            }
            Message::Kept { index, first, values } => {
                self.on_kept(index, first, values.len() as u64)?;
            }
            Message::Again { index, first, count } => self.on_again(index, first, count)?,
            Message::Prove { index } => self.on_prove(index),
            Message::Finished => {
                if !self.is_offered || self.items.iter().any(Item::is_open) {
                    return Err(Malformed("FINISHED: not every entry has an outcome"));
                }
                self.is_finished = true;
            }
            Message::Reject { index, reason, text } => {
                let failure = Failure::new(reason, text);
                match self.items.get_mut(index) {
                    // It may not be what was offered any more: then that is why.
                    Some(item) if reason == Reason::Integrity => {
                        item.rejected = Some(failure);
                        self.jobs.push_back(SourceJob::Check { index });
                    }
                    _ => self.settle(index, Err(failure)),
                }
            }
            Message::Would { index, replaces, there } => self.on_would(index, replaces, there)?,
            _ => return Err(Malformed("transfer message: a receiver does not say this")),
        }
        Ok(())
    }

    /// What is known of an entry.
    pub(super) fn state_of(&self, index: u32) -> SenderState {
        if !self.items.knows(index) {
            return SenderState::Unknown;
        }
        let Some(item) = self.items.get(index).filter(|item| item.is_open()) else {
            return SenderState::Settled;
        };
        let is_gone = item.range.is_empty() || self.gone.contains_all(&item.range);
        match (index < self.accepted, item.root.is_some(), is_gone) {
            (false, false, _) => SenderState::Offered,
            (false, true, false) => SenderState::Hashed,
            (false, true, true) => SenderState::Gone,
            (true, false, _) => SenderState::Accepted,
            (true, true, false) => SenderState::AcceptedHashed,
            (true, true, true) => SenderState::AcceptedGone,
        }
    }

    fn on_accept(&mut self, below: u32) -> Result<(), Malformed> {
        if below > self.items.next() || below <= self.accepted {
            return Err(Malformed("ACCEPT: of more than was offered, or of no more than before"));
        }
        let fresh = std::mem::replace(&mut self.accepted, below)..below;
        let last = self.items.get(below - 1);
        self.accepted_end = self.accepted_end.max(last.map_or(0, |item| item.range.end));
        while let Some(index) = self.proving.front().copied().filter(|index| *index < below) {
            self.proving.pop_front();
            self.decide(index);
        }
        for index in fresh.start.max(self.items.first())..fresh.end {
            let item = self.items.get(index).filter(|item| item.is_open());
            if item.is_some_and(|item| item.layout.holes().total() > 0) {
                self.jobs.push_back(SourceJob::Hollow { index });
            }
        }
        Ok(())
    }

    /// The receiver compares a file with what it has.
    fn on_prove(&mut self, index: u32) {
        if let Some(item) = self.items.get_mut(index)
            && item.proof == Proof::None
        {
            item.proof = Proof::Asked;
            self.proving.push_back(index);
            self.jobs.push_back(SourceJob::Prove { index });
        }
    }

    /// The receiver has compared enough: not all of the file is hashed for that any more.
    fn decide(&mut self, index: u32) {
        if let Some(item) = self.items.get_mut(index)
            && item.proof == Proof::Asked
        {
            item.proof = Proof::Decided;
            self.jobs.push_back(SourceJob::Decided { index });
        }
    }

    /// The receiver's word that it has the file counts only if it is about the hash that this side has
    /// computed and told.
    fn settle_if_ours(&mut self, index: u32, hash: Hash, done: Done) {
        let ours = self.items.get(index).and_then(|item| item.root);
        let text = "the receiver's hash of the file is not ours";
        let different = || Failure::new(Reason::Integrity, text);
        let outcome = if ours == Some(hash) { Ok(done) } else { Err(different()) };
        self.settle(index, outcome);
    }

    /// Bytes of those groups need not go. That they are what is here is a claim: they are hashed all the same,
    /// and the receiver compares.
    fn on_kept(&mut self, index: u32, first: u64, count: u64) -> Result<(), Malformed> {
        let item = self.items.get(index).expect("it is open");
        let range = item.groups(first, count).ok_or(Malformed("KEPT: no such groups"))?;
        let fresh = self.unwanted.insert(range.clone());
        if fresh < range.end - range.start {
            return Err(Malformed("KEPT: groups that were kept before"));
        }
        self.ledger.resume(fresh);
        if self.unwanted.len() > UNWANTED_MAX {
            return Err(Malformed("KEPT: too many separate pieces"));
        }
        self.gone.insert(range.clone());
        self.cancelled.push(range);
        // Before these groups are to be hashed, or they would be given up with the others.
        self.decide(index);
        self.jobs.push_back(SourceJob::Keep { index, groups: first..first + count });
        Ok(())
    }

    /// Those groups are not what the receiver had said: their bytes go after all.
    fn on_again(&mut self, index: u32, first: u64, count: u64) -> Result<(), Malformed> {
        let item = self.items.get(index).expect("it is open");
        let range = item.groups(first, count).filter(|range| self.unwanted.contains_all(range));
        let range = range.ok_or(Malformed("AGAIN: of groups that were not kept"))?;
        self.ledger.resume_less(self.unwanted.remove(&range));
        self.gone.remove(&range);
        self.restored.push(range);
        Ok(())
    }

    /// What would become of an entry.
    fn on_would(&mut self, index: u32, replaces: bool, there: u64) -> Result<(), Malformed> {
        let item = self.items.get_mut(index).expect("it is open");
        if there > item.layout.size() {
            return Err(Malformed("WOULD: more than the file has"));
        }
        let renamed = item.renamed.take();
        self.settle(index, Ok(Done::Would { replaces, there, renamed }));
        Ok(())
    }
}
