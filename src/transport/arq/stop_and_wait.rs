//! Stop-and-wait: one frame is outstanding; the next one goes when it is acknowledged (Tanenbaum 3.3.3,
//! Stallings 7.1, Kurose-Ross 3.4.1 "rdt3.0").

use super::Arq;
use crate::base::time::Instant;

/// The sender.
#[derive(Debug, Default)]
pub(super) struct StopAndWait {
    /// The frame that is sent and waited for.
    frame: u64,
    /// Runs while its acknowledgement is awaited.
    timer: Option<Instant>,
    /// The frame was sent before.
    is_again: bool,
}

impl Arq for StopAndWait {
    fn next(&mut self, deadline: Instant, has_new: bool) -> Option<u64> {
        if self.timer.is_some() || !(self.is_again || has_new) {
            return None;
        }
        self.timer = Some(deadline);
        Some(self.frame)
    }

    fn on_sent(&mut self, frame: u64, deadline: Instant) {
        if frame == self.frame && self.timer.is_some() {
            self.timer = Some(deadline);
        }
    }

    fn on_ack(&mut self, frame: u64) {
        if frame == self.frame && (self.timer.is_some() || self.is_again) {
            self.frame += 1;
            self.timer = None;
            self.is_again = false;
        }
    }

    fn timer(&self) -> Option<Instant> {
        self.timer
    }

    fn on_timeout(&mut self) -> Option<u64> {
        self.timer.take()?;
        self.is_again = true;
        Some(self.frame)
    }
}
