//! What the sender says, and what it means for what is received.

use super::{Demand, Receiving};
use crate::transfer::entry::Sort;
use crate::transfer::exchange::{ReceiverState, SenderWord};
use crate::transfer::hash::{Hash, group_count};
use crate::transfer::job::Job;
use crate::transfer::message::Message;
use crate::transfer::outcome::{Failure, FileReport};
use crate::wire::cursor::Malformed;

impl Receiving {
    pub(super) fn on_message(&mut self, message: Message) -> Result<(), Malformed> {
        if let Some((word, index)) = SenderWord::of(&message)
            && !word.judge(self.state_of(index))?
        {
            return Ok(());
        }
        match message {
            Message::Offer(entry) => self.on_offer(entry)?,
            Message::OfferEnd => self.on_offer_end()?,
            Message::Lacking { name, reason, text } => {
                self.before_the_end()?;
                let outcome = Err(Failure::new(reason, text));
                let report = FileReport { name, size: 0, holes: 0, outcome };
                self.ledger.note(self.entries.next(), Sort::File, report);
            }
            Message::Plan => self.on_plan()?,
            Message::Groups { index, first, values } => {
                let count = group_count(self.file_size(index));
                if count < 2 || first + values.len() as u64 > count {
                    return Err(Malformed("GROUPS: the file has no such groups"));
                }
                self.push_job(Job::Expect { index, first, values });
            }
            Message::Root { index, hash } => self.on_root(index, hash)?,
            Message::Failed { index, reason, text } => {
                self.push_job(Job::Forget { index });
                let text = format!("the sender gave up: {text}");
                self.settle(index, Err(Failure::new(reason, text)));
            }
            _ => return Err(Malformed("transfer message: a sender does not say this")),
        }
        Ok(())
    }

    fn on_offer_end(&mut self) -> Result<(), Malformed> {
        self.before_the_end()?;
        self.is_offer_complete = true;
        self.demands.push(Demand::Total(self.offered));
        if let Some((index, hash)) = self.held_root.take() {
            self.push_job(Job::ExpectRoot { index, hash });
        }
        if let Some((index, replaces, there)) = self.held_would.take() {
            self.foretell(index, replaces, there);
        }
        self.finish();
        Ok(())
    }

    fn on_root(&mut self, index: u32, hash: Hash) -> Result<(), Malformed> {
        if self.file_size(index) == 0 {
            return Err(Malformed("ROOT: the entry has no bytes"));
        }
        if let Some(entry) = self.entries.get_mut(index) {
            entry.is_rooted = true;
        }
        if self.judge.takes_one() && !self.is_offer_complete {
            self.held_root = Some((index, hash));
        } else {
            self.push_job(Job::ExpectRoot { index, hash });
        }
        Ok(())
    }

    fn on_plan(&mut self) -> Result<(), Malformed> {
        let is_late = self.is_offer_complete || self.entries.next() > 0;
        if is_late || self.list.is_some() || std::mem::replace(&mut self.is_told_plan, true) {
            return Err(Malformed("PLAN: not once, and before the offers"));
        }
        if !self.is_plan {
            self.plan();
        }
        Ok(())
    }

    /// What belongs to the offers comes before their end.
    pub(super) fn before_the_end(&self) -> Result<(), Malformed> {
        match self.is_offer_complete {
            true => Err(Malformed("transfer message: after OFFER_END")),
            false => Ok(()),
        }
    }

    /// What is known of an entry.
    pub(super) fn state_of(&self, index: u32) -> ReceiverState {
        match self.entries.get(index) {
            _ if !self.entries.knows(index) => ReceiverState::Unknown,
            Some(entry) if !entry.is_settled && entry.is_rooted => ReceiverState::Rooted,
            Some(entry) if !entry.is_settled => ReceiverState::Open,
            _ => ReceiverState::Settled,
        }
    }

    /// Bytes of an entry.
    fn file_size(&self, index: u32) -> u64 {
        self.entries.get(index).map_or(0, |entry| entry.layout.size())
    }

    /// The bytes that the sender was told may come end here.
    #[must_use]
    pub fn accepted_end(&self) -> u64 {
        self.told_end
    }
}
