//! What arrived, and when to say so.
//!
//! By time: about sixteen times in a round trip (RFC 9000 13.2.2 asks for less than one for two packets on
//! fast paths). So acknowledgements cost the way back the same whatever is lost, a window of a few packets
//! still has each pair acknowledged, and a large one is not told in a few bursts.

use super::config::{
    ACK_DELAY_MIN, ACK_EVERY_MIN, ACK_ROUND_MIN, ACK_WINDOW, ACKS_PER_ROUND, MAX_ACK_DELAY,
    START_PACKETS,
};
use crate::base::ecn::Ecn;
use crate::base::range_set::RangeSet;
use crate::base::time::{Duration, Instant};
use crate::wire::frame::{Ack, Marks};
use std::ops::Range;

/// What is new is said in this many frames, so that losing some of them does no harm.
const FRAMES_REPEATED: usize = 4;

/// A frame has at least this many ranges if there are so many. More would say again, in every frame,
/// what the sender has heard: at 20 % loss, hundreds of them.
const RANGES_REPEATED: usize = 16;

/// An acknowledgement after which nothing more comes is said again this often, where packets were lost
/// lately: it may be lost, too, and its sender would wait for a probe timeout.
const REPEATS: u8 = 2;

/// Lately: within so many round trips.
const LOSSY_ROUNDS: u32 = 8;

/// And no more than this many, whatever numbers a peer chooses: the full report names the rest.
const RANGES_MAX: usize = 512;

/// The packet numbers received, and the acknowledgement that is owed.
#[derive(Clone, Debug)]
pub struct AckTracker {
    /// Within [`ACK_WINDOW`] of the largest.
    received: RangeSet,
    /// Of all packets received.
    marks: Marks,
    /// Packets below this number are too old to tell apart.
    floor: u64,
    largest_at: Instant,
    /// Ack-eliciting packets since the last acknowledgement.
    pending: u64,
    /// Ack-eliciting packets in all.
    eliciting: u64,
    pace: Pace,
    /// When a packet that came out of order was last told at once.
    told_disorder_at: Option<Instant>,
    /// How long an acknowledgement waits.
    wait: Duration,
    /// How often the last one is still to be repeated.
    repeats: u8,
    deadline: Option<Instant>,
    /// The lowest number received since the last frame, and since those before it.
    lowest: [u64; FRAMES_REPEATED],
    /// A report is under way: what lies in this span is still to be reported.
    report: Option<Range<u64>>,
    /// The numbers expected when reports began, the newest first.
    reported: [u64; FRAMES_REPEATED],
    /// Whether every packet is acknowledged at once, as the classic strategies want it.
    is_prompt: bool,
}

/// How many ack-eliciting packets come in a round trip.
#[derive(Clone, Debug, Default)]
struct Pace {
    round_began: Instant,
    in_round: u64,
    /// In the round before.
    per_round: u64,
}

impl Pace {
    fn count(&mut self, now: Instant, round: Duration) {
        let elapsed = now.since(self.round_began);
        if elapsed >= round {
            // After a pause nothing is known.
            self.per_round = if elapsed < round * 2 { self.in_round } else { 0 };
            (self.round_began, self.in_round) = (now, 0);
        }
        self.in_round += 1;
    }
}

impl Default for AckTracker {
    fn default() -> Self {
        Self {
            received: RangeSet::new(),
            marks: Marks::default(),
            floor: 0,
            largest_at: Instant::ZERO,
            pending: 0,
            eliciting: 0,
            pace: Pace::default(),
            told_disorder_at: None,
            wait: MAX_ACK_DELAY,
            repeats: 0,
            deadline: None,
            lowest: [u64::MAX; FRAMES_REPEATED],
            report: None,
            reported: [0; FRAMES_REPEATED],
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

    /// Marks of the packets received.
    #[must_use]
    pub fn marks(&self) -> Marks {
        self.marks
    }

    /// A packet that is taken in came marked so. No mark is told at once (RFC 9000 13.2.1): the next
    /// acknowledgement is due within a sixteenth of a round trip.
    pub fn count_mark(&mut self, ecn: Ecn) {
        self.marks.count(ecn);
    }

    /// Takes a packet in; `round_trip` is nothing before it is known.
    pub fn on_packet(
        &mut self,
        now: Instant,
        number: u64,
        is_ack_eliciting: bool,
        round_trip: Option<Duration>,
    ) {
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
        if self.pending == 0 {
            self.deadline = None;
        }
        self.pending += 1;
        self.eliciting += 1;
        let round = round_trip.unwrap_or_default().max(ACK_ROUND_MIN);
        self.pace.count(now, round);
        let is_urgent = self.is_prompt || !is_in_order && self.may_tell_disorder(now, round);
        let wait = round_trip.map_or(MAX_ACK_DELAY, |time| time / ACKS_PER_ROUND);
        self.wait = wait.clamp(ACK_DELAY_MIN, MAX_ACK_DELAY);
        if is_urgent || self.pending >= self.every(round_trip) {
            self.deadline = Some(now);
        } else if self.deadline.is_none() {
            self.deadline = Some(now + self.wait);
        }
    }

    /// What is out of order is told at once (RFC 9000 13.2.1), but for what comes within a round trip of
    /// the last such packet: on a lossy path every acknowledgement would be at once.
    fn may_tell_disorder(&mut self, now: Instant, round: Duration) -> bool {
        let is_first = self.told_disorder_at.is_none_or(|told| now.since(told) >= round);
        if is_first {
            self.told_disorder_at = Some(now);
        }
        is_first
    }

    fn is_lossy(&self, now: Instant) -> bool {
        let lately = self.wait * ACKS_PER_ROUND * LOSSY_ROUNDS;
        !self.is_prompt && self.told_disorder_at.is_some_and(|told| now.since(told) < lately)
    }

    /// Ack-eliciting packets from one acknowledgement to the next.
    fn every(&self, round_trip: Option<Duration>) -> u64 {
        let is_start = self.eliciting <= START_PACKETS || round_trip.is_none();
        let share = self.pace.per_round / u64::from(ACKS_PER_ROUND);
        if is_start { ACK_EVERY_MIN } else { share.max(ACK_EVERY_MIN) }
    }

    /// When an acknowledgement is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        if self.report.is_some() { Some(Instant::ZERO) } else { self.deadline }
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
            self.report = Some(0..u64::MAX);
        }
    }

    /// The same for what has come since the fourth last such report.
    pub fn report_recent(&mut self) {
        let expected = self.expected();
        self.reported.rotate_right(1);
        let since = std::mem::replace(&mut self.reported[0], expected);
        if !self.received.is_empty() && self.report.is_none() {
            self.report = Some(since..u64::MAX);
        }
    }

    /// The next frame, of at most `room` bytes.
    pub fn frame(&mut self, now: Instant, duplicates: u64, room: usize) -> Option<Ack> {
        let delay = now.since(self.largest_at);
        match self.report.clone() {
            Some(span) if self.deadline.is_none_or(|due| due > now) => {
                let ranges = self.received.iter_down_from(span.end);
                let ranges = ranges.take_while(|range| range.end > span.start);
                let ack = Ack::fitting(delay, duplicates, self.marks, ranges, room);
                let reached = ack.as_ref().and_then(|ack| ack.ranges.last());
                let reached = reached.map_or(0, |last| last.start);
                let below = self.received.last_below(reached);
                let more = below.is_some_and(|range| range.end > span.start);
                self.report = more.then_some(span.start..reached);
                ack
            }
            _ => {
                let reach = self.lowest.iter().copied().min().unwrap_or(0);
                if std::mem::take(&mut self.pending) > 0 {
                    self.lowest.rotate_right(1);
                    self.lowest[0] = u64::MAX;
                    self.repeats = REPEATS;
                } else {
                    self.repeats = self.repeats.saturating_sub(1);
                }
                let repeats = self.repeats > 0 && self.is_lossy(now);
                self.deadline = repeats.then_some(now + self.wait);
                let ranges = self.received.iter_down_from(u64::MAX).enumerate();
                let news = ranges
                    .take(RANGES_MAX)
                    .take_while(|(index, range)| *index < RANGES_REPEATED || range.end > reach)
                    .map(|(_, range)| range);
                Ack::fitting(delay, duplicates, self.marks, news, room)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::Xoshiro256PlusPlus;
    use rand::{RngExt, SeedableRng};

    fn at(us: u64) -> Instant {
        Instant::from_nanos(us * 1000)
    }

    const RTT: Option<Duration> = Some(Duration::from_millis(50));

    /// Acknowledgements for `packets` spread over each of `rounds` round trips, of which each `gap`-th is
    /// lost, in each round.
    fn acknowledgements(packets: u64, rounds: u64, gap: u64) -> Vec<u64> {
        let mut tracker = AckTracker::default();
        (0..START_PACKETS).for_each(|number| tracker.on_packet(at(0), number, true, RTT));
        let mut frames = vec![0; usize::try_from(rounds).expect("few")];
        for index in 0..packets * rounds {
            let now = at(index * 50_000 / packets + 1);
            let round = usize::try_from(index / packets).expect("few");
            while tracker.deadline().is_some_and(|due| due <= now) {
                assert!(tracker.frame(now, 0, 1_000).is_some());
                frames[round] += 1;
            }
            if index % gap != gap - 1 {
                tracker.on_packet(now, START_PACKETS + index, true, RTT);
            }
        }
        frames
    }

    #[test]
    fn acknowledgements_are_sixteen_in_a_round_trip_whatever_is_lost() {
        for (packets, gap) in [(400, 1_000_000), (400, 20), (4_000, 5), (400, 3), (8_000, 100)] {
            let frames = acknowledgements(packets, 6, gap);
            let most = u64::from(ACKS_PER_ROUND) + 3;
            assert!(
                frames[2..].iter().all(|count| (15..=most).contains(count)),
                "{packets}, {gap}: {frames:?}"
            );
        }
    }

    #[test]
    fn small_windows_are_acknowledged_in_twos() {
        for packets in [4, 10, 20] {
            let frames = acknowledgements(packets, 6, 1_000_000);
            let expected = packets / 2..=packets;
            assert!(frames[2..].iter().all(|count| expected.contains(count)), "{frames:?}");
        }
    }

    #[test]
    fn the_last_acknowledgement_is_repeated_where_packets_were_lost() {
        let mut tracker = AckTracker::default();
        tracker.on_packet(at(0), 0, true, RTT);
        tracker.frame(at(3_200), 0, 100);
        assert_eq!(tracker.deadline(), None, "nothing was lost");
        tracker.on_packet(at(4_000), 2, true, RTT);
        let first = tracker.frame(at(4_000), 0, 100).expect("one range");
        for repeat in 1..=2 {
            let due = tracker.deadline().expect("once more");
            assert_eq!(due, at(4_000 + repeat * 3_125));
            assert_eq!(tracker.frame(due, 0, 100).expect("one range").ranges, first.ranges);
        }
        assert_eq!(tracker.deadline(), None);
    }

    #[test]
    fn the_first_gap_in_a_round_trip_is_told_at_once() {
        let mut tracker = AckTracker::default();
        (0..1_000).for_each(|number| tracker.on_packet(at(number * 100), number, true, RTT));
        tracker.frame(at(100_000), 0, 1_000);
        tracker.on_packet(at(100_000), 1_001, true, RTT);
        assert_eq!(tracker.deadline(), Some(at(100_000)));
        tracker.frame(at(100_000), 0, 1_000);
        tracker.on_packet(at(100_100), 1_003, true, RTT);
        assert!(tracker.deadline() > Some(at(100_100)));
        tracker.frame(at(150_000), 0, 1_000);
        tracker.on_packet(at(150_100), 1_005, true, RTT);
        assert_eq!(tracker.deadline(), Some(at(150_100)));
    }

    #[test]
    fn a_packet_is_new_once() {
        let mut tracker = AckTracker::default();
        tracker.on_packet(at(0), 5, true, RTT);
        assert!(!tracker.is_new(5) && tracker.is_new(4) && tracker.is_new(6));
        tracker.on_packet(at(0), 5 + ACK_WINDOW + 10, true, RTT);
        assert!(!tracker.is_new(4), "too old to tell");
    }

    #[test]
    fn a_report_says_again_what_four_reports_have_said() {
        let mut tracker = AckTracker::default();
        let mut lowest = Vec::new();
        for number in 0..10_000 {
            tracker.on_packet(at(number), number * 2, true, RTT);
            if number % 1_000 == 999 {
                tracker.frame(at(number), 0, 1_000);
                tracker.report_recent();
                let mut last = 0;
                while tracker.report.is_some() {
                    let ack = tracker.frame(at(number), 0, 1_000).expect("something to report");
                    last = ack.ranges.last().expect("not empty").start;
                }
                lowest.push(last);
            }
        }
        assert_eq!(lowest, [0, 0, 0, 0, 2_000, 4_000, 6_000, 8_000, 10_000, 12_000]);
    }

    #[test]
    fn a_lone_packet_is_acknowledged_after_the_delay() {
        let mut tracker = AckTracker::default();
        tracker.on_packet(at(10), 0, true, RTT);
        assert_eq!(tracker.deadline(), Some(at(3_135)), "a sixteenth of a round trip");
        let ack = tracker.frame(at(3_010), 7, 100).expect("one range");
        assert_eq!((ack.delay, ack.duplicates), (Duration::from_millis(3), 7));
        assert_eq!(tracker.deadline(), None);
        for (round_trip, wait) in [
            (None, MAX_ACK_DELAY),
            (Some(Duration::from_secs(1)), MAX_ACK_DELAY),
            (Some(Duration::from_micros(100)), ACK_DELAY_MIN),
        ] {
            let mut tracker = AckTracker::default();
            tracker.on_packet(at(0), 0, true, round_trip);
            assert_eq!(tracker.deadline(), Some(at(0) + wait));
        }
    }

    #[test]
    fn what_elicits_nothing_is_not_acknowledged_by_itself() {
        let mut tracker = AckTracker::default();
        tracker.on_packet(at(0), 0, false, RTT);
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
            tracker.on_packet(at(0), number, true, RTT);
            model.insert(number..number + 1);
        }
        tracker.report_all();
        let mut reported = RangeSet::new();
        let mut frames = 0;
        while tracker.deadline().is_some_and(|due| due <= at(0)) {
            let ack = tracker.frame(at(0), 0, 1_400).expect("something to report");
            reported.extend_with(ack.ranges);
            frames += 1;
        }
        assert_eq!(reported, model);
        assert!(frames <= 6, "{frames} frames");
    }

    impl RangeSet {
        fn extend_with(&mut self, ranges: Vec<Range<u64>>) {
            for range in ranges {
                self.insert(range);
            }
        }
    }
}
