//! What arrived, and when to say so.

use super::config::{ACK_EVERY, ACK_EVERY_AT_START, ACK_WINDOW, MAX_ACK_DELAY, START_PACKETS};
use crate::base::range_set::RangeSet;
use crate::base::time::Instant;
use crate::wire::frame::Ack;

/// What is new is said in this many frames, so that losing some of them does no harm.
const FRAMES_REPEATED: usize = 4;

/// A frame has at least this many ranges if there are so many. More would say again, in every frame,
/// what the sender has heard: at 20 % loss, hundreds of them.
const RANGES_REPEATED: usize = 16;

/// And no more than this many, whatever numbers a peer chooses: the full report names the rest.
const RANGES_MAX: usize = 512;

/// The packet numbers received, and the acknowledgement that is owed.
#[derive(Clone, Debug)]
pub struct AckTracker {
    /// Within [`ACK_WINDOW`] of the largest.
    received: RangeSet,
    /// Packets below this number are too old to tell apart.
    floor: u64,
    largest_at: Instant,
    /// Ack-eliciting packets since the last acknowledgement.
    pending: u64,
    /// Ack-eliciting packets in all.
    eliciting: u64,
    /// How many there were when the last one came out of order. After that, as at the start, windows
    /// are small, and a sender with fewer packets than [`ACK_EVERY`] in flight would wait for
    /// [`MAX_ACK_DELAY`] in every round trip.
    disorder_at: u64,
    deadline: Option<Instant>,
    /// The lowest number received since the last frame, and since those before it.
    lowest: [u64; FRAMES_REPEATED],
    /// A full report is under way: what lies below this number is still to be reported.
    report_below: Option<u64>,
    /// Whether every packet is acknowledged at once, as the classic strategies want it.
    is_prompt: bool,
}

impl Default for AckTracker {
    fn default() -> Self {
        Self {
            received: RangeSet::new(),
            floor: 0,
            largest_at: Instant::ZERO,
            pending: 0,
            eliciting: 0,
            disorder_at: 0,
            deadline: None,
            lowest: [u64::MAX; FRAMES_REPEATED],
            report_below: None,
            is_prompt: false,
        }
    }
}

impl AckTracker {
    /// From now on every packet is acknowledged at once.
    pub fn acknowledge_each(&mut self) {
        self.is_prompt = true;
    }

    /// The number after the largest received.
    #[must_use]
    pub fn expected(&self) -> u64 {
        self.received.last().map_or(0, |range| range.end)
    }

    /// Ranges of packet numbers remembered.
    #[must_use]
    pub fn held(&self) -> usize {
        self.received.len()
    }

    /// Whether a packet of that number has not been taken in before.
    #[must_use]
    pub fn is_new(&self, number: u64) -> bool {
        number >= self.floor && !self.received.contains(number)
    }

    /// Takes a packet in.
    pub fn on_packet(&mut self, now: Instant, number: u64, is_ack_eliciting: bool) {
        let is_in_order = number == self.expected();
        if number >= self.expected() {
            self.largest_at = now;
        }
        self.received.insert(number..number + 1);
        self.lowest[0] = self.lowest[0].min(number);
        let floor = self.expected().saturating_sub(ACK_WINDOW);
        if floor > self.floor {
            self.floor = floor;
            self.received.remove_below(floor);
        }
        if !is_ack_eliciting {
            return;
        }
        self.pending += 1;
        self.eliciting += 1;
        if !is_in_order {
            self.disorder_at = self.eliciting;
        }
        let is_calm = self.eliciting > self.disorder_at + START_PACKETS;
        let every = if is_calm { ACK_EVERY } else { ACK_EVERY_AT_START };
        // RFC 9000 13.2.1: what is out of order is told at once.
        if self.is_prompt || !is_in_order || self.pending >= every {
            self.deadline = Some(now);
        } else if self.deadline.is_none() {
            self.deadline = Some(now + MAX_ACK_DELAY);
        }
    }

    /// When an acknowledgement is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        if self.report_below.is_some() { Some(Instant::ZERO) } else { self.deadline }
    }

    /// Whether anything would be acknowledged for the first time.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.pending > 0
    }

    /// Asks for everything in the window to be reported, in as many frames as that takes: for a peer
    /// that missed acknowledgements.
    pub fn report_all(&mut self) {
        if !self.received.is_empty() {
            self.report_below = Some(u64::MAX);
        }
    }

    /// The next frame, of at most `room` bytes.
    pub fn frame(&mut self, now: Instant, duplicates: u64, room: usize) -> Option<Ack> {
        let delay = now.since(self.largest_at);
        match self.report_below {
            Some(below) if self.deadline.is_none_or(|due| due > now) => {
                let ranges = self.received.iter_down_from(below);
                let ack = Ack::fitting(delay, duplicates, ranges, room);
                let reached =
                    ack.as_ref().and_then(|ack| ack.ranges.last()).map_or(0, |last| last.start);
                let more = self.received.first().is_some_and(|first| first.start < reached);
                self.report_below = more.then_some(reached);
                ack
            }
            _ => {
                self.pending = 0;
                self.deadline = None;
                let reach = self.lowest.iter().copied().min().unwrap_or(0);
                self.lowest.rotate_right(1);
                self.lowest[0] = u64::MAX;
                let ranges = self.received.iter_down_from(u64::MAX).enumerate();
                let news = ranges
                    .take(RANGES_MAX)
                    .take_while(|(index, range)| *index < RANGES_REPEATED || range.end > reach)
                    .map(|(_, range)| range);
                Ack::fitting(delay, duplicates, news, room)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::Duration;
    use rand::rngs::Xoshiro256PlusPlus;
    use rand::{RngExt, SeedableRng};

    fn at(us: u64) -> Instant {
        Instant::from_nanos(us * 1000)
    }

    #[test]
    fn what_is_out_of_order_is_told_at_once_and_what_follows_in_twos() {
        let mut tracker = AckTracker::default();
        let mut number = 0;
        // How many packets are taken in until an acknowledgement is due.
        let mut until_due = |tracker: &mut AckTracker, skip: u64| {
            number += skip;
            for count in 1.. {
                tracker.on_packet(at(0), number, true);
                number += 1;
                if tracker.deadline() == Some(at(0)) {
                    tracker.frame(at(0), 0, 500).expect("something arrived");
                    return count;
                }
            }
            unreachable!("some day it is due");
        };
        (0..START_PACKETS).for_each(|_| {
            until_due(&mut tracker, 0);
        });
        assert_eq!(until_due(&mut tracker, 0), ACK_EVERY);
        assert_eq!(until_due(&mut tracker, 1), 1);
        for _ in 0..START_PACKETS / ACK_EVERY_AT_START {
            assert_eq!(until_due(&mut tracker, 0), ACK_EVERY_AT_START);
        }
        assert_eq!(until_due(&mut tracker, 0), ACK_EVERY);
    }

    #[test]
    fn a_packet_is_new_once() {
        let mut tracker = AckTracker::default();
        tracker.on_packet(at(0), 5, true);
        assert!(!tracker.is_new(5) && tracker.is_new(4) && tracker.is_new(6));
        tracker.on_packet(at(0), 5 + ACK_WINDOW + 10, true);
        assert!(!tracker.is_new(4), "too old to tell");
    }

    #[test]
    fn acknowledgements_are_thinned_once_the_transfer_runs() {
        let mut tracker = AckTracker::default();
        let mut frames = 0;
        for number in 0..1_000 {
            tracker.on_packet(at(number), number, true);
            if tracker.deadline().is_some_and(|due| due <= at(number)) {
                assert!(tracker.frame(at(number), 0, 1_000).is_some());
                frames += 1;
            }
        }
        assert_eq!(frames, 50 + 900 / 16);
    }

    #[test]
    fn a_lone_packet_is_acknowledged_after_the_delay() {
        let mut tracker = AckTracker::default();
        tracker.on_packet(at(10), 0, true);
        assert_eq!(tracker.deadline(), Some(at(10) + MAX_ACK_DELAY));
        let ack = tracker.frame(at(3_010), 7, 100).expect("one range");
        assert_eq!((ack.delay, ack.duplicates), (Duration::from_millis(3), 7));
        assert_eq!(tracker.deadline(), None);
    }

    #[test]
    fn what_elicits_nothing_is_not_acknowledged_by_itself() {
        let mut tracker = AckTracker::default();
        tracker.on_packet(at(0), 0, false);
        assert_eq!(tracker.deadline(), None);
        assert!(!tracker.is_pending());
    }

    /// The window of 1 Gbit/s over 600 ms at 20 % loss, in packets of ordinary size.
    #[test]
    fn a_full_report_covers_fifty_thousand_packets_at_twenty_percent_loss() {
        let mut draws = Xoshiro256PlusPlus::seed_from_u64(1);
        let mut tracker = AckTracker::default();
        let mut model = RangeSet::new();
        for number in (0..50_000).filter(|_| draws.random::<f64>() >= 0.2) {
            tracker.on_packet(at(0), number, true);
            model.insert(number..number + 1);
        }
        tracker.report_all();
        let mut reported = RangeSet::new();
        let mut frames = 0;
        while tracker.deadline().is_some() {
            let ack = tracker.frame(at(0), 0, 1_400).expect("something to report");
            reported.extend_with(ack.ranges);
            frames += 1;
        }
        assert_eq!(reported, model);
        assert!(frames <= 6, "{frames} frames");
    }

    impl RangeSet {
        fn extend_with(&mut self, ranges: Vec<std::ops::Range<u64>>) {
            for range in ranges {
                self.insert(range);
            }
        }
    }
}
