//! What the receiver says, and what it means for what is sent.

use super::{Purpose, Sending};
use crate::transfer::entry::Kind;
use crate::transfer::hash::{Hash, group_count, group_range};
use crate::transfer::message::{AHEAD_MAX, Message};
use crate::transfer::name::show_start;
use crate::transfer::outcome::{Done, Failure, Reason};
use crate::transfer::source::Item;
use crate::wire::cursor::Malformed;

impl Purpose {
    /// Whether a receiver may say that.
    fn fits(self, message: &Message) -> bool {
        match message {
            Message::Would { .. } => self == Self::Plan,
            Message::Accept { .. } | Message::Committed { .. } | Message::Kept { .. } => {
                self != Self::Plan
            }
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
                if below > self.source.items().next() {
                    return Err(Malformed("accept: more files than were offered"));
                }
                self.accepted = self.accepted.max(below);
                let last = below.checked_sub(1).and_then(|last| self.source.items().get(last));
                self.accepted_end = self.accepted_end.max(last.map_or(0, |item| item.range().end));
            }
            Message::Committed { index, hash } => {
                self.known(index)?;
                let item = self.source.get_mut(index);
                let renamed = item.and_then(|item| item.renamed.take());
                self.settle_if_ours(index, hash, Done::Committed { hash, renamed });
            }
            Message::Same { index, hash } => {
                self.known(index)?;
                self.settle_if_ours(index, hash, Done::Same(hash));
            }
            Message::Left { index } => {
                self.known(index)?;
                self.settle(index, Ok(Done::Left));
            }
            Message::Renamed { index, path } => {
                self.known(index)?;
                if let Some(item) = self.source.get_mut(index) {
                    item.renamed = Some(show_start(&path));
                }
            }
            Message::Kept { index, first, values } => self.on_kept(index, first, &values)?,
            Message::Prove { index } => {
                self.known(index)?;
                let is_open = |item: &&mut Item| !item.is_settled && item.root.is_none();
                if let Some(item) = self.source.get_mut(index).filter(is_open)
                    && !std::mem::replace(&mut item.is_proving, true)
                {
                    self.to_prove.push_back(index);
                }
            }
            Message::Finished => {
                if !self.is_offered {
                    return Err(Malformed("finished: before the end of the offers"));
                }
                self.is_finished = true;
            }
            Message::Reject { index, reason, text } => {
                self.known(index)?;
                let failure = match self.source.check_unchanged(index) {
                    Err(changed) if reason == Reason::Integrity => changed,
                    _ => Failure::new(reason, text),
                };
                self.settle(index, Err(failure));
            }
            Message::Would { index, replaces, there } => self.on_would(index, replaces, there)?,
            _ => return Err(Malformed("transfer message: a receiver does not say this")),
        }
        Ok(())
    }

    /// Every byte went through our own hash, now or before an earlier transfer.
    fn settle_if_ours(&mut self, index: u32, hash: Hash, done: Done) {
        let ours = self.source.items().get(index).and_then(|item| item.root);
        let outcome = if ours == Some(hash) {
            Ok(done)
        } else {
            let text = "the receiver's hash of the file is not ours";
            Err(Failure::new(Reason::Integrity, text))
        };
        self.settle(index, outcome);
    }

    /// Bytes of those groups need not go.
    fn on_kept(&mut self, index: u32, first: u64, values: &[Hash]) -> Result<(), Malformed> {
        self.known(index)?;
        let Some(item) = self.source.items().get(index).filter(|item| !item.is_settled) else {
            return Ok(());
        };
        let (size, start) = (item.size(), item.range().start);
        let end = first + values.len() as u64;
        let is_too_far = self.source.ahead(index) + values.len() > AHEAD_MAX;
        if end > group_count(size) || !Kind::is_identified(size) || is_too_far {
            return Err(Malformed("kept: no such groups"));
        }
        let range = start + group_range(first, size).start..start + group_range(end - 1, size).end;
        self.ledger.resume(self.unwanted.insert(range.clone()));
        self.cancelled.push(range);
        let kept = self.source.keep(index, first, values);
        self.tell_hashed();
        // Its failure has been told.
        let _ = self.fail_unless(kept);
        Ok(())
    }

    /// What would become of an entry.
    fn on_would(&mut self, index: u32, replaces: bool, there: u64) -> Result<(), Malformed> {
        self.known(index)?;
        let Some(item) = self.source.get_mut(index) else { return Ok(()) };
        if there > item.size() {
            return Err(Malformed("would: more than the file has"));
        }
        let renamed = item.renamed.take();
        self.settle(index, Ok(Done::Would { replaces, there, renamed }));
        Ok(())
    }
}
