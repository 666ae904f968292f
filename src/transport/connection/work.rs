//! The word of each side that it works on the transfer, while nothing else would show it.

use super::Connection;

/// What was said of work.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Work {
    /// To be said with the next packet.
    due: Option<u64>,
    /// The largest counter heard.
    heard: u64,
}

impl Work {
    pub(super) fn on_heard(&mut self, counter: u64) {
        self.heard = self.heard.max(counter);
    }

    pub(super) fn take_due(&mut self) -> Option<u64> {
        self.due.take()
    }
}

impl Connection {
    /// Tells the peer that this side works; `counter` is larger than the last one. It may be lost.
    pub fn say_working(&mut self, counter: u64) {
        self.work.due = Some(counter);
        self.ping_due = true;
    }

    /// The largest counter with which the peer said that it works; 0 if it did not.
    #[must_use]
    pub fn peer_work(&self) -> u64 {
        self.work.heard
    }
}
