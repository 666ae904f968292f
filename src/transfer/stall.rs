//! Transfers that do not move: a peer that is alive and does nothing, or says for ever that it works.
//!
//! That a peer answers keeps a connection, and no more. A transfer is judged by what moves in it: bytes that were
//! not there before, entries that get an outcome, and the peer's word that it reads or hashes, which is
//! believed for as long as the sizes of the files explain.

use crate::base::time::{Duration, Instant};
use crate::transport::config::IDLE_TIMEOUT;

/// A sender that has come says what for within this time.
pub const FIRST_WORD: Duration = Duration::from_secs(10);

/// A peer from which nothing came for so long before that time is up may be behind a link that fails, and gets
/// as long as any that falls silent.
const QUIET: Duration = Duration::from_secs(5);

/// A transfer that does not move for this long, while this side waits for its peer, has failed.
pub const STALL: Duration = Duration::from_secs(60);

/// An entry that gets an outcome moves a transfer as much as so many bytes; fewer bytes do not move it.
pub const STEP: u64 = 4 << 10;

/// How long a peer is believed that it works: so long whatever the files are, and a second for so many bytes
/// of them. Slower disks are not worth waiting for.
const WORK_BASE: Duration = Duration::from_secs(300);
const WORK_RATE: u64 = 64 << 10;

/// While it works a side says so this often.
pub const WORD_INTERVAL: Duration = Duration::from_secs(5);

/// One call to the system counts as work for this long. A disk that takes longer is taken for lost.
const CALL_MAX: Duration = Duration::from_secs(300);

/// How far a transfer has come. All of these only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Motion {
    /// Bytes that are where they were not before.
    pub bytes: u64,
    /// Entries that have an outcome, and what else was done once and for all.
    pub steps: u64,
    /// Bytes of all files that were offered.
    pub offered: u64,
}

/// Watches the other side of one transfer, in the time that it is told.
#[derive(Clone, Copy, Debug)]
pub struct StallClock {
    began: Instant,
    /// The peer has said what it wants, or does not have to.
    has_word: bool,
    /// When the peer was last heard of.
    heard: Instant,
    /// How far it was when it last moved.
    marked: u64,
    offered: u64,
    /// For how long it has not moved, up to `noted`. What this side takes for its own work is no part of it.
    waited: Duration,
    noted: Instant,
    is_at_work: bool,
    /// What the peer said last of its work, and the time for which it was believed.
    word: u64,
    believed: Duration,
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
        Self {
            began: now,
            has_word: !owes_word,
            heard: now,
            marked: 0,
            offered: 0,
            waited: Duration::ZERO,
            noted: now,
            is_at_work: false,
            word: 0,
            believed: Duration::ZERO,
        }
    }

    /// Something came from the peer, whatever it is.
    pub fn on_heard(&mut self, now: Instant) {
        self.heard = now;
    }

    /// The peer has said what it wants.
    pub fn on_word(&mut self) {
        self.has_word = true;
    }

    /// Takes note of how far the transfer is, and whether it is this side's turn: `is_at_work`. True if it
    /// has moved.
    pub fn note(&mut self, now: Instant, motion: Motion, is_at_work: bool) -> bool {
        if !self.is_at_work {
            self.waited += now.since(self.noted);
        }
        (self.noted, self.is_at_work, self.offered) = (now, is_at_work, motion.offered);
        let has_moved = motion.total() >= self.marked.saturating_add(STEP);
        if has_moved {
            self.marked = motion.total();
            self.waited = Duration::ZERO;
        }
        has_moved
    }

    /// The peer says that it works, with a counter that must have grown since.
    pub fn on_peer_work(&mut self, counter: u64) {
        if counter <= self.word {
            return;
        }
        self.word = counter;
        let explained = WORK_BASE + Duration::from_secs(self.offered / WORK_RATE);
        let left = explained.saturating_sub(self.believed).min(self.waited);
        self.believed += left;
        self.waited -= left;
    }

    /// When it may be that the peer has had its time.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let stalled = self.noted + STALL.saturating_sub(self.waited);
        let stalled = (!self.is_at_work).then_some(stalled);
        [self.word_deadline(), stalled].into_iter().flatten().min()
    }

    /// Whether the peer has had its time to say what it wants, and has not.
    #[must_use]
    pub fn is_wordless(&self, now: Instant) -> bool {
        self.word_deadline().is_some_and(|deadline| deadline <= now)
    }

    /// Whether the transfer has not moved for [`STALL`], for which the peer is to blame.
    #[must_use]
    pub fn is_stalled(&self, now: Instant) -> bool {
        !self.is_at_work && self.waited + now.since(self.noted) >= STALL
    }

    fn word_deadline(&self) -> Option<Instant> {
        let is_quiet = self.heard + QUIET <= self.began + FIRST_WORD;
        let patience = if is_quiet { IDLE_TIMEOUT } else { FIRST_WORD };
        (!self.has_word).then(|| self.began + patience)
    }
}

/// Says when this side should tell its peer that it works.
#[derive(Clone, Copy, Debug, Default)]
pub struct WorkClock {
    /// When it last told, or began to work; none while it does not.
    told: Option<Instant>,
    /// Its work when that last got on, and when that was.
    steps: u64,
    stepped: Instant,
    counter: u64,
}

impl WorkClock {
    /// Takes note of whether this side works, and how many steps of it are done. The counter to tell, if it is
    /// time for that.
    pub fn note(&mut self, now: Instant, is_at_work: bool, steps: u64) -> Option<u64> {
        if !is_at_work {
            self.told = None;
            return None;
        }
        let told = *self.told.get_or_insert_with(|| {
            self.stepped = now;
            now
        });
        if steps != self.steps {
            (self.steps, self.stepped) = (steps, now);
        }
        let is_stuck = now.since(self.stepped) > CALL_MAX;
        if is_stuck || now < told + WORD_INTERVAL {
            return None;
        }
        self.told = Some(now);
        self.counter += 1;
        Some(self.counter)
    }

    /// When it should be asked again.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.told.map(|told| told + WORD_INTERVAL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    const STILL: Motion = Motion { bytes: 0, steps: 0, offered: 0 };

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
    fn few_bytes_are_no_motion_and_an_outcome_is() {
        let mut clock = StallClock::new(at(0), false);
        let mut moved =
            |bytes, steps| clock.note(at(0), Motion { bytes, steps, offered: 0 }, false);
        assert!(!moved(0, 0));
        assert!(!moved(STEP - 1, 0));
        assert!(moved(STEP, 0));
        assert!(!moved(STEP, 0));
        assert!(!moved(2 * STEP - 1, 0));
        assert!(moved(2 * STEP - 1, 1));
        assert!(!moved(2 * STEP, 1));
        assert!(moved(u64::MAX, u64::MAX));
    }

    #[test]
    fn what_moves_goes_on_and_what_trickles_does_not() {
        for (bytes_in_a_minute, lasts) in [(STEP, true), (60, false), (0, false)] {
            let mut clock = StallClock::new(at(0), false);
            let mut ends = None;
            for second in 0..3_600 {
                let bytes = bytes_in_a_minute * second / 55;
                clock.note(at(second), Motion { bytes, ..STILL }, false);
                ends = ends.or(clock.is_stalled(at(second)).then_some(second));
            }
            assert_eq!(ends.is_none(), lasts, "{bytes_in_a_minute}");
            assert!(ends.is_none_or(|second| second == 60), "{ends:?}");
        }
    }

    #[test]
    fn own_work_is_not_the_peers_fault_and_many_small_jobs_are_no_excuse() {
        let mut clock = StallClock::new(at(0), false);
        clock.note(at(10), STILL, true);
        assert_eq!(clock.deadline(), None);
        assert!(!clock.is_stalled(at(5_000)));
        clock.note(at(5_000), STILL, false);
        assert_eq!(clock.deadline(), Some(at(5_050)), "ten seconds were waited before");
        // A message now and then that makes a little work does not begin the time anew.
        for second in 5_001..5_050 {
            assert!(!clock.is_stalled(at(second)));
            clock.note(at(second), STILL, true);
            clock.note(at(second), STILL, false);
        }
        assert!(clock.is_stalled(at(5_050)));
    }

    /// How long a peer that says every five seconds that it works is believed.
    fn believed(offered: u64, counter: impl Fn(u64) -> u64) -> u64 {
        let mut clock = StallClock::new(at(0), false);
        for second in 0..1_000_000 {
            clock.note(at(second), Motion { offered, ..STILL }, false);
            if second % 5 == 0 {
                clock.on_peer_work(counter(second));
            }
            if clock.is_stalled(at(second)) {
                return second;
            }
        }
        1_000_000
    }

    #[test]
    fn a_peer_that_works_is_believed_as_long_as_the_files_explain() {
        assert_eq!(believed(0, |second| second), 360);
        assert_eq!(believed(1 << 30, |second| second), 360 + (1 << 30) / WORK_RATE);
        assert_eq!(believed(1 << 30, |_| 7), 60, "a counter that does not move");
        assert_eq!(believed(1 << 30, |second| 1_000 - second.min(900)), 60);
        assert_eq!(believed(1 << 56, |second| second), 1_000_000);
    }

    #[test]
    fn a_side_that_works_says_so_unless_its_work_is_stuck() {
        let mut clock = WorkClock::default();
        let words = |clock: &mut WorkClock,
                     seconds: std::ops::Range<u64>,
                     steps: fn(u64) -> u64| {
            seconds.filter(|second| clock.note(at(*second), true, steps(*second)).is_some()).count()
        };
        assert_eq!(words(&mut clock, 0..1_000, |second| second), 199);
        assert_eq!(words(&mut clock, 1_000..2_000, |_| 5), 61, "one call, and then no more");
        assert_eq!(clock.note(at(2_000), false, 5), None);
        assert_eq!(clock.deadline(), None);
        assert_eq!(words(&mut clock, 2_000..2_005, |_| 5), 0, "short work is not worth a word");
        assert_eq!(words(&mut clock, 2_005..2_006, |_| 5), 1);
    }
}
