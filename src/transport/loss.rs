//! Loss detection: which packets were acknowledged, which count as lost, which came late.
//!
//! A packet is a candidate once a later one was acknowledged. It is lost when three later ones were
//! and it was sent a reordering window before the latest of them (RFC 9002 6.1.1 with RFC 8985 6.2:
//! packets alone mean nothing where three of them take four microseconds), or when a round trip and
//! the window have passed since it was sent (RFC 9002 6.1.2).

use super::rtt::Rtt;
use super::sent_packets::{Content, SentPacket, SentPackets};
use crate::base::range_set::members_within;
use crate::base::time::{Duration, Instant};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// RFC 9002 6.1.1.
const PACKET_THRESHOLD: u64 = 3;

/// The reordering window grows to this, or to the round trip if that is more.
const WINDOW_MAX: Duration = Duration::from_millis(100);

/// What was learnt of reordering counts half after this many rounds in which nothing confirmed it
/// (RFC 8985 6.2: 16 recoveries).
const ROUNDS_BEFORE_DECAY: u32 = 16;

/// Lost packets remembered, to notice when one was only late.
const REMEMBERED_MAX: usize = 1 << 14;

/// By which rule a packet was declared lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossRule {
    /// Later packets were acknowledged (RFC 9002 6.1.1).
    Packets,
    /// Too much time passed (RFC 9002 6.1.2).
    Time,
    /// The timer of a classic strategy fired.
    Timer,
}

/// What an acknowledgement said that was not known before.
#[derive(Clone, Debug, Default)]
pub struct Acked {
    /// Packets acknowledged for the first time.
    pub packets: Vec<SentPacket>,
    /// Packets that had been declared lost: their number and when they were sent.
    pub spurious: Vec<(u64, Instant)>,
    /// It reaches further than all acknowledgements before it.
    pub is_newest: bool,
}

impl Acked {
    /// The packet with the largest number among those acknowledged for the first time.
    #[must_use]
    pub fn largest(&self) -> Option<&SentPacket> {
        self.packets.iter().max_by_key(|packet| packet.number)
    }
}

/// Tells late from lost.
#[derive(Clone, Debug)]
pub struct LossDetector {
    /// The largest acknowledged packet: its number and when it was sent.
    largest: Option<(u64, Instant)>,
    /// All numbers below this were acknowledged or overtaken.
    known: u64,
    /// Outstanding packets below the largest acknowledged.
    overtaken: BTreeSet<u64>,
    /// Packets declared lost and when they were sent.
    lost: BTreeMap<u64, Instant>,
    /// By how much the latest packet came too late.
    reordering: Duration,
    /// The largest acknowledged packet was sent then when that was last seen.
    confirmed_at: Instant,
}

impl Default for LossDetector {
    fn default() -> Self {
        Self {
            largest: None,
            known: 0,
            overtaken: BTreeSet::new(),
            lost: BTreeMap::new(),
            reordering: Duration::ZERO,
            confirmed_at: Instant::ZERO,
        }
    }
}

impl LossDetector {
    /// Packets remembered: overtaken, or declared lost.
    #[must_use]
    pub fn held(&self) -> usize {
        self.overtaken.len() + self.lost.len()
    }

    /// Takes an acknowledgement's ranges (highest first); none may reach beyond what was sent.
    pub fn on_ack(
        &mut self,
        now: Instant,
        ranges: &[Range<u64>],
        rtt: &Rtt,
        sent: &mut SentPackets,
    ) -> Acked {
        let mut acked = Acked::default();
        self.take_late(ranges, sent, &mut acked);
        let known = self.known;
        let largest = ranges.first().map_or(0, |range| range.end);
        let mut unacked_from = known;
        for range in ranges.iter().rev() {
            let fresh = range.start.max(known)..range.end;
            if fresh.is_empty() {
                continue;
            }
            self.overtaken.extend((unacked_from..fresh.start).filter(|n| sent.get(*n).is_some()));
            unacked_from = fresh.end;
            acked.packets.extend(fresh.filter_map(|number| sent.take(number)));
        }
        self.known = known.max(largest);
        if largest > known
            && let Some(newest) = acked.largest()
        {
            self.largest = Some((newest.number, newest.sent_at));
            acked.is_newest = true;
        }
        let round = rtt.smoothed().max(rtt.latest());
        for (_, sent_at) in &acked.spurious {
            // It was given up too early also in time, if it was by time.
            self.learn(now.since(*sent_at).saturating_sub(round));
        }
        acked
    }

    /// Packets in `ranges` that had been overtaken, or even declared lost.
    fn take_late(&mut self, ranges: &[Range<u64>], sent: &mut SentPackets, acked: &mut Acked) {
        for number in members_within(|from| self.overtaken.range(from..).copied(), ranges) {
            self.overtaken.remove(&number);
            let packet = sent.take(number);
            if let Some(packet) = &packet {
                self.learn(self.extent(packet.sent_at));
            }
            acked.packets.extend(packet);
        }
        for number in
            members_within(|from| self.lost.range(from..).map(|(number, _)| *number), ranges)
        {
            let sent_at = self.lost.remove(&number).expect("just found");
            self.learn(self.extent(sent_at));
            acked.spurious.push((number, sent_at));
        }
    }

    /// By how much later the largest acknowledged packet was sent.
    fn extent(&self, sent_at: Instant) -> Duration {
        self.largest.map_or(Duration::ZERO, |(_, latest)| latest.since(sent_at))
    }

    /// A packet came that much too late.
    fn learn(&mut self, extent: Duration) {
        self.reordering = self.reordering.max(extent);
        if extent >= self.reordering / 2
            && let Some((_, latest)) = self.largest
        {
            self.confirmed_at = latest;
        }
    }

    fn forget_what_is_not_confirmed(&mut self, latest: Instant, rtt: &Rtt) {
        let round = rtt.smoothed().max(self.reordering);
        if latest.since(self.confirmed_at) > round * ROUNDS_BEFORE_DECAY {
            self.confirmed_at = latest;
            self.reordering /= 2;
        }
    }

    /// Takes out of `sent` what counts as lost at `now`; and says when the next one would.
    pub fn detect(
        &mut self,
        now: Instant,
        rtt: &Rtt,
        sent: &mut SentPackets,
    ) -> (Vec<(SentPacket, LossRule)>, Option<Instant>) {
        let mut lost = Vec::new();
        let mut next = None;
        let Some((largest, largest_sent_at)) = self.largest else {
            return (lost, next);
        };
        self.forget_what_is_not_confirmed(largest_sent_at, rtt);
        let window = self.reordering_window(rtt);
        let patience = rtt.smoothed().max(rtt.latest()) + window;
        while let Some(number) = self.overtaken.first().copied() {
            let Some(packet) = sent.get(number) else {
                self.overtaken.remove(&number);
                continue;
            };
            let by_packets = number + PACKET_THRESHOLD <= largest
                && largest_sent_at.since(packet.sent_at) >= window;
            let deadline = packet.sent_at + patience;
            let rule = match (by_packets, deadline <= now) {
                (true, _) => LossRule::Packets,
                (false, true) => LossRule::Time,
                // Later packets were sent later: they are no closer to being lost.
                (false, false) => {
                    next = Some(deadline);
                    break;
                }
            };
            self.overtaken.remove(&number);
            lost.extend(sent.take(number).map(|packet| (packet, rule)));
        }
        self.remember(&lost);
        (lost, next)
    }

    fn remember(&mut self, lost: &[(SentPacket, LossRule)]) {
        if lost.is_empty() {
            return;
        }
        let packets = lost.iter().map(|(packet, _)| packet);
        let counted = packets.filter(|packet| packet.content != Content::MtuProbe);
        self.lost.extend(counted.map(|packet| (packet.number, packet.sent_at)));
        while self.lost.len() > REMEMBERED_MAX {
            self.lost.pop_first();
        }
    }

    /// Small until packets are seen to overtake each other, as in RFC 8985 6.2, then a quarter more
    /// than the most by which one came late. RFC 8985 guesses that from the round trip, step by step;
    /// times tell it at once, and also where it exceeds the round trip.
    fn reordering_window(&self, rtt: &Rtt) -> Duration {
        let least = (rtt.min() / 16).max(Duration::from_micros(50));
        let most = rtt.smoothed().max(WINDOW_MAX);
        (self.reordering * 5 / 4).clamp(least, most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::delivery::Snapshot;

    const MS: Duration = Duration::from_millis(1);

    struct Bench {
        sent: SentPackets,
        detector: LossDetector,
        rtt: Rtt,
    }

    impl Bench {
        /// Packets 0.. sent one millisecond apart over a path of 100 ms.
        fn new(count: u64) -> Self {
            let mut sent = SentPackets::default();
            for number in 0..count {
                let sent_at = at(number);
                let delivery = Snapshot::default();
                let content = Content::Ping;
                let is_marked = false;
                sent.push(SentPacket { number, sent_at, size: 100, is_marked, content, delivery });
            }
            let mut rtt = Rtt::default();
            rtt.update(100 * MS, Duration::ZERO);
            Self { sent, detector: LossDetector::default(), rtt }
        }

        fn ack(&mut self, ranges: &[Range<u64>]) -> Acked {
            let latest = ranges.first().map_or(0, |range| range.end);
            self.detector.on_ack(at(latest + 100), ranges, &self.rtt, &mut self.sent)
        }

        fn lost(&mut self, ms: u64) -> Vec<(u64, LossRule)> {
            let (lost, _) = self.detector.detect(at(ms), &self.rtt, &mut self.sent);
            lost.into_iter().map(|(packet, rule)| (packet.number, rule)).collect()
        }
    }

    fn at(ms: u64) -> Instant {
        Instant::from_nanos(ms * 1_000_000)
    }

    #[test]
    fn three_later_packets_outside_the_window_make_a_loss() {
        let mut bench = Bench::new(20);
        bench.ack(&[1..4]);
        assert_eq!(bench.lost(104), [], "sent within the reordering window of 6.25 ms");
        bench.ack(&[1..9]);
        assert_eq!(bench.lost(109), [(0, LossRule::Packets)]);
    }

    #[test]
    fn a_packet_of_the_same_train_waits_for_its_time() {
        let mut bench = Bench::new(5);
        bench.ack(&[2..5]);
        let (lost, next) = bench.detector.detect(at(104), &bench.rtt, &mut bench.sent);
        assert!(lost.is_empty());
        let next = next.expect("armed");
        assert_eq!(next, at(0) + 100 * MS + 100 * MS / 16);
        assert_eq!(bench.lost(110), [(0, LossRule::Time), (1, LossRule::Time)]);
    }

    #[test]
    fn nothing_is_lost_before_something_later_arrived() {
        let mut bench = Bench::new(5);
        assert_eq!(bench.lost(10_000), []);
        bench.ack(&[0..1]);
        assert_eq!(bench.lost(10_000), []);
    }

    #[test]
    fn a_late_packet_is_noticed_and_makes_the_window_wider() {
        let mut bench = Bench::new(30);
        bench.ack(&[1..10]);
        assert_eq!(bench.lost(110), [(0, LossRule::Packets)]);
        let acked = bench.ack(&[0..10]);
        assert_eq!(acked.spurious, [(0, at(0))]);
        assert!(acked.packets.is_empty());
        bench.ack(&[11..20, 0..10]);
        assert_eq!(bench.lost(120), [], "10 was sent 9 ms before 19, the window is 11.25 ms");
    }

    #[test]
    fn an_acknowledgement_counts_once() {
        let mut bench = Bench::new(10);
        assert_eq!(bench.ack(&[4..6, 0..2]).packets.len(), 4);
        assert_eq!(bench.ack(&[4..6, 0..2]).packets.len(), 0);
        let late = bench.ack(&[0..6]);
        assert_eq!(late.packets.iter().map(|p| p.number).collect::<Vec<_>>(), [2, 3]);
        assert!(bench.detector.overtaken.is_empty());
    }
}
