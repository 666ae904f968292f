//! How far a receiver has come, and what it waits for.

use super::Receiving;
use crate::transfer::stall::Motion;

impl Receiving {
    /// How far it has come.
    #[must_use]
    pub fn motion(&self) -> Motion {
        let ends = [self.is_offer_complete, self.is_finished].into_iter().map(u64::from);
        let steps = self.ledger.entries() + ends.sum::<u64>();
        Motion { bytes: self.written, steps, offered: self.offered + self.holes }
    }

    /// Whether the sender has said what it comes for.
    #[must_use]
    pub fn has_word(&self) -> bool {
        self.is_plan || self.is_offer_complete || self.entries.next() > 0 || self.motion().steps > 0
    }

    /// Whether its disk has something to do.
    #[must_use]
    pub fn is_at_work(&self) -> bool {
        self.waiting > 0
    }

    /// What the sender does not do, if nothing moves.
    #[must_use]
    pub fn waits_for(&self) -> &'static str {
        match () {
            () if self.is_complete() => "the sender did not hear how its files ended",
            () if self.progress().0 < self.offered => "the sender sent nothing new",
            () if !self.is_offer_complete => "the sender offered nothing more",
            () => "the sender did not say what its files hash to",
        }
    }
}
