//! Go-back-N: up to N frames are outstanding; the receiver keeps nothing out of order, so when the
//! timer of the oldest one fires, it and all after it are sent again (Tanenbaum 3.4.2, Stallings 7.1,
//! Kurose-Ross 3.4.3).

use super::Arq;
use crate::base::time::Instant;
use std::collections::VecDeque;

/// The sender.
#[derive(Debug)]
pub(super) struct GoBackN {
    /// N.
    window: u64,
    /// The oldest frame that is not acknowledged.
    base: u64,
    /// The next frame to send: new, or again.
    next: u64,
    /// The frame after the last one that was ever sent.
    end: u64,
    /// The timers of the frames from `base` to `next`.
    timers: VecDeque<Instant>,
}

impl GoBackN {
    pub(super) fn new(window: u64) -> Self {
        Self { window, base: 0, next: 0, end: 0, timers: VecDeque::new() }
    }
}

impl Arq for GoBackN {
    fn next(&mut self, deadline: Instant, has_new: bool) -> Option<u64> {
        let is_there = self.next < self.end || has_new;
        if !is_there || self.next >= self.base + self.window {
            return None;
        }
        let frame = self.next;
        self.next += 1;
        self.end = self.end.max(self.next);
        self.timers.push_back(deadline);
        Some(frame)
    }

    fn on_sent(&mut self, frame: u64, deadline: Instant) {
        let place = frame.checked_sub(self.base).and_then(|place| usize::try_from(place).ok());
        if let Some(timer) = place.and_then(|place| self.timers.get_mut(place)) {
            *timer = deadline;
        }
    }

    /// Acknowledgements are cumulative: who has this frame has all before it.
    fn on_ack(&mut self, frame: u64) {
        while self.base <= frame && self.base < self.end {
            self.base += 1;
            self.timers.pop_front();
        }
        self.next = self.next.max(self.base);
    }

    fn timer(&self) -> Option<Instant> {
        self.timers.front().copied()
    }

    /// Goes back.
    fn on_timeout(&mut self) -> Option<u64> {
        self.timers.front()?;
        self.next = self.base;
        self.timers.clear();
        Some(self.base)
    }
}
