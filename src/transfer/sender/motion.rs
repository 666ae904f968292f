//! How far a sender has come, and what it waits for.

use super::Sending;
use crate::transfer::stall::Motion;

impl Sending {
    /// How far it has come, where `delivered` bytes are at the receiver.
    #[must_use]
    pub fn motion(&self, delivered: u64) -> Motion {
        let ends = [self.is_offered, self.is_finished].into_iter().map(u64::from);
        let steps = self.ledger.entries() + u64::from(self.accepted) + ends.sum::<u64>();
        Motion { bytes: delivered, steps, offered: self.total + self.holes }
    }

    /// Whether its source looks at what is to be sent. What else the source does it says itself.
    #[must_use]
    pub fn is_at_work(&self) -> bool {
        self.is_walking
    }

    /// What the receiver does not do, if nothing moves.
    #[must_use]
    pub fn waits_for(&self, delivered: u64) -> &'static str {
        let is_there = delivered + self.spared() >= self.accepted_end;
        match () {
            () if self.items.is_empty() => "the receiver did not say that it has finished",
            () if self.accepted <= self.items.first() => {
                "the receiver answered, and accepted nothing"
            }
            () if !is_there => "the receiver accepted, and took no new bytes",
            () => "the receiver accepted, but stored nothing",
        }
    }
}
