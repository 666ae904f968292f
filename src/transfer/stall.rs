//! Transfers that do not move: a peer that is alive and does nothing.
//!
//! That a peer answers keeps a connection, and no more. A transfer is judged by what moves in it: bytes that were
//! not there before, and entries that get an outcome.

use crate::base::time::{Duration, Instant};
use crate::transport::config::IDLE_TIMEOUT;

/// A sender that has come says what for within this time.
pub const FIRST_WORD: Duration = Duration::from_secs(10);

/// A peer from which nothing came for so long before that time is up may be behind a link that fails, and gets
/// as long as any that falls silent.
const QUIET: Duration = Duration::from_secs(5);

/// An entry that gets an outcome moves a transfer as much as so many bytes; fewer bytes do not move it.
pub const STEP: u64 = 4 << 10;

/// How far a transfer has come. Both numbers only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Motion {
    /// Bytes that are where they were not before.
    pub bytes: u64,
    /// Entries that have an outcome, and what else was done once and for all.
    pub steps: u64,
}

/// Watches one transfer, in the time that it is told.
#[derive(Clone, Copy, Debug)]
pub struct StallClock {
    began: Instant,
    /// The peer has said what it wants, or does not have to.
    has_word: bool,
    /// When the peer was last heard of.
    heard: Instant,
    /// How far it was when it last moved.
    marked: u64,
}

impl Motion {
    fn total(self) -> u64 {
        self.bytes.saturating_add(self.steps.saturating_mul(STEP))
    }
}

impl StallClock {
    /// A transfer that begins now, whose peer `owes_word`.
    #[must_use]
    pub fn new(now: Instant, owes_word: bool) -> Self {
        Self { began: now, has_word: !owes_word, heard: now, marked: 0 }
    }

    /// Something came from the peer, whatever it is.
    pub fn on_heard(&mut self, now: Instant) {
        self.heard = now;
    }

    /// The peer has said what it wants.
    pub fn on_word(&mut self) {
        self.has_word = true;
    }

    /// Takes note of how far the transfer is. True if it has moved.
    pub fn note(&mut self, motion: Motion) -> bool {
        let has_moved = motion.total() >= self.marked + STEP;
        if has_moved {
            self.marked = motion.total();
        }
        has_moved
    }

    /// When [`StallClock::is_wordless`] may become true.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let is_quiet = self.heard + QUIET <= self.began + FIRST_WORD;
        let patience = if is_quiet { IDLE_TIMEOUT } else { FIRST_WORD };
        (!self.has_word).then(|| self.began + patience)
    }

    /// Whether the peer has had its time to say what it wants, and has not.
    #[must_use]
    pub fn is_wordless(&self, now: Instant) -> bool {
        self.deadline().is_some_and(|deadline| deadline <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn signs_of_life_are_no_word() {
        let mut clock = StallClock::new(at(100), true);
        for second in 100..=110 {
            assert!(!clock.is_wordless(at(second - 1)));
            clock.on_heard(at(second));
        }
        assert!(clock.is_wordless(at(110)));
        clock.on_word();
        assert!(!clock.is_wordless(at(1_000)));
        assert_eq!(clock.deadline(), None);
    }

    #[test]
    fn a_link_that_fails_at_once_is_no_lack_of_words() {
        let mut clock = StallClock::new(at(0), true);
        clock.on_heard(at(1));
        assert!(!clock.is_wordless(at(29)));
        clock.on_heard(at(29));
        assert!(clock.is_wordless(at(29)), "it was heard of, and said nothing");
    }

    #[test]
    fn who_owes_no_word_is_not_waited_for() {
        assert_eq!(StallClock::new(at(0), false).deadline(), None);
    }

    #[test]
    fn few_bytes_are_no_motion_and_an_outcome_is() {
        let mut clock = StallClock::new(at(0), false);
        let mut moved = |bytes, steps| clock.note(Motion { bytes, steps });
        assert!(!moved(0, 0));
        assert!(!moved(STEP - 1, 0));
        assert!(moved(STEP, 0));
        assert!(!moved(STEP, 0));
        assert!(!moved(2 * STEP - 1, 0));
        assert!(moved(2 * STEP - 1, 1));
        assert!(!moved(2 * STEP, 1));
        assert!(moved(u64::MAX, u64::MAX));
    }
}
