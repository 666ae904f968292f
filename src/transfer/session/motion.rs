//! How far a transfer is, and whether it moves.

use super::{Phase, Progress, Session, Side};
use crate::base::time::Instant;
use crate::transfer::ending::wordless;
use crate::transfer::stall::StallClock;

/// What watches whether it moves.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Watch {
    /// Since both sides can speak.
    stall: Option<StallClock>,
    /// It has moved since the owner was last told.
    has_moved: bool,
}

impl Watch {
    /// From now on both sides can speak, and the peer `owes_word`.
    pub(super) fn begin(&mut self, now: Instant, owes_word: bool) {
        self.stall = Some(StallClock::new(now, owes_word));
    }

    /// Something came, whatever it is.
    pub(super) fn on_heard(&mut self, now: Instant) {
        if let Some(stall) = &mut self.stall {
            stall.on_heard(now);
        }
    }

    /// When the peer has had its time.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.stall.and_then(|stall| stall.deadline())
    }
}

impl Session {
    /// An initiator that sends says what; one that receives has said so by coming.
    pub(super) fn is_owed_word(&self) -> bool {
        matches!(self.side, Side::Receiving(_)) && !self.connection.is_initiator()
    }

    pub(super) fn watch_motion(&mut self, now: Instant) {
        let Some(stall) = &mut self.motion.stall else { return };
        let (motion, has_word) = match &self.side {
            Side::Receiving(receiving) => (receiving.motion(), receiving.has_word()),
            Side::Sending(sending) => (sending.motion(self.connection.stats().delivered), true),
        };
        if has_word {
            stall.on_word();
        }
        self.motion.has_moved |= stall.note(motion);
        if stall.is_wordless(now) && self.failure.is_none() {
            self.refuse(wordless());
        }
    }

    /// Whether the transfer has moved since the last call.
    pub fn take_moved(&mut self) -> bool {
        std::mem::take(&mut self.motion.has_moved)
    }

    /// How far the transfer is.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let stats = self.connection.stats();
        let ((done, total), is_total_known) = match &self.side {
            Side::Receiving(receiving) => (receiving.progress(), receiving.is_offered()),
            Side::Sending(sending) => ((stats.delivered, sending.total()), sending.is_offered()),
        };
        let phase = match () {
            () if self.connection.is_connecting() => Phase::Connecting,
            () if self.is_plan() => Phase::Planning,
            // A receiver that is not told yet what comes has nothing to commit.
            () if done < total || !is_total_known => Phase::Transferring,
            () => Phase::Committing,
        };
        Progress { phase, done, total, is_total_known, stats: Some(stats) }
    }
}
