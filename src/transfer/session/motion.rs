//! How far a transfer is, and whether it moves.

use super::{Phase, Progress, Session, Side};
use crate::base::time::{Instant, earlier};
use crate::transfer::ending::{stalled, wordless};
use crate::transfer::stall::{StallClock, WorkClock};

/// What watches whether it moves.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Watch {
    /// Since both sides can speak.
    stall: Option<StallClock>,
    work: WorkClock,
    /// Steps of its work that this side has done, as far as the owner has told.
    steps: u64,
    /// It has work to do that is no job of the transfer's, as far as the owner has told.
    is_busy: bool,
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

    /// When the peer has had its time, or is to hear that this side works.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let stall = self.stall.and_then(|stall| stall.deadline());
        earlier(stall, self.work.deadline())
    }
}

impl Session {
    /// An initiator that sends says what; one that receives has said so by coming.
    pub(super) fn is_owed_word(&self) -> bool {
        matches!(self.side, Side::Receiving(_)) && !self.connection.is_initiator()
    }

    /// What works for this session has done so many steps in all, and has more to do.
    pub fn on_work(&mut self, now: Instant, (steps, is_busy): (u64, bool)) {
        (self.motion.steps, self.motion.is_busy) = (steps, is_busy);
        self.watch_motion(now);
    }

    pub(super) fn watch_motion(&mut self, now: Instant) {
        let Some(stall) = &mut self.motion.stall else { return };
        let (motion, has_word, is_at_work) = match &self.side {
            Side::Receiving(one) => (one.motion(), one.has_word(), one.is_at_work()),
            Side::Sending(sending) => {
                let motion = sending.motion(self.connection.stats().delivered);
                (motion, true, sending.is_at_work())
            }
        };
        let is_at_work = is_at_work || self.motion.is_busy;
        if has_word {
            stall.on_word();
        }
        self.motion.has_moved |= stall.note(now, motion, is_at_work);
        stall.on_peer_work(self.connection.peer_work());
        if self.failure.is_some() || !self.connection.is_established() {
            return;
        }
        if let Some(counter) = self.motion.work.note(now, is_at_work, self.motion.steps) {
            self.connection.say_working(counter);
        }
        if stall.is_wordless(now) {
            self.refuse(wordless());
        } else if stall.is_stalled(now) {
            self.end_stalled();
        }
    }

    /// The peer has had its time. Where all is done but that it says so, nothing is lost.
    fn end_stalled(&mut self) {
        if self.is_complete() {
            return self.connection.close(0, "");
        }
        let waited_for = match &self.side {
            Side::Receiving(receiving) => receiving.waits_for(),
            Side::Sending(sending) => sending.waits_for(self.connection.stats().delivered),
        };
        self.refuse(stalled(waited_for));
    }

    /// Whether the responder is there, and asks for patience.
    #[must_use]
    pub fn is_held_off(&self) -> bool {
        self.connection.is_held_off()
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
