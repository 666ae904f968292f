//! Selective repeat: up to N frames are outstanding, each with a timer of its own; only those whose
//! timers fire are sent again (Tanenbaum 3.4.3, Stallings 7.1, Kurose-Ross 3.4.4).
//!
//! The receiver's window has no end here, for it writes each frame where it belongs: N counts
//! outstanding frames, and an old gap does not stop new frames.

use super::Arq;
use crate::base::time::Instant;
use std::collections::{BTreeMap, BTreeSet};

/// The sender.
#[derive(Debug)]
pub(super) struct SelectiveRepeat {
    /// N.
    window: usize,
    /// The next frame that was never sent.
    next: u64,
    /// Frames that are not acknowledged, with their timers while these run.
    outstanding: BTreeMap<u64, Option<Instant>>,
    /// The timers that run, earliest first.
    timers: BTreeSet<(Instant, u64)>,
    /// Frames whose timers have fired.
    again: BTreeSet<u64>,
}

impl SelectiveRepeat {
    pub(super) fn new(window: u64) -> Self {
        Self {
            window: usize::try_from(window).unwrap_or(usize::MAX),
            next: 0,
            outstanding: BTreeMap::new(),
            timers: BTreeSet::new(),
            again: BTreeSet::new(),
        }
    }
}

impl Arq for SelectiveRepeat {
    fn next(&mut self, deadline: Instant, has_new: bool) -> Option<u64> {
        let frame = match self.again.pop_first() {
            Some(frame) => frame,
            None if has_new && self.outstanding.len() < self.window => {
                self.next += 1;
                self.next - 1
            }
            None => return None,
        };
        self.outstanding.insert(frame, Some(deadline));
        self.timers.insert((deadline, frame));
        Some(frame)
    }

    fn on_sent(&mut self, frame: u64, deadline: Instant) {
        if let Some(Some(timer)) = self.outstanding.get_mut(&frame) {
            self.timers.remove(&(*timer, frame));
            *timer = deadline;
            self.timers.insert((deadline, frame));
        }
    }

    fn on_ack(&mut self, frame: u64) {
        match self.outstanding.remove(&frame) {
            Some(Some(timer)) => {
                self.timers.remove(&(timer, frame));
            }
            Some(None) => {
                self.again.remove(&frame);
            }
            None => {}
        }
    }

    fn timer(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }

    fn on_timeout(&mut self) -> Option<u64> {
        let (_, frame) = self.timers.pop_first()?;
        self.outstanding.insert(frame, None);
        self.again.insert(frame);
        Some(frame)
    }
}
