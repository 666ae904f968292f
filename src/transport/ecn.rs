//! Whether the path carries marks of congestion (RFC 9000 13.4.2 and A.4).
//!
//! A few packets go marked ECT(0). Once one of them is acknowledged, and the peer's counts account for all that
//! were, everything in flight goes so. Counts that do not add up end that on this path: a router that
//! wipes marks hides congestion, and one that drops or marks all that carries them is no use.

use super::sent_packets::SentPacket;
use crate::base::ecn::Ecn;
use crate::wire::frame::Marks;

/// Marked packets that go before it is known what becomes of them (RFC 9000 13.4.2).
const TEST_PACKETS: u64 = 10;

/// What is known of the path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EcnState {
    /// Nothing, for nobody here would answer a mark.
    #[default]
    Off,
    /// Nothing yet: the first packets go marked.
    Testing,
    /// They went, and none of them is known to have arrived: no more go.
    Unknown,
    /// It carries marks.
    Capable,
    /// It does not.
    Failed,
}

/// Decides which packets go marked.
#[derive(Clone, Debug, Default)]
pub struct Marking {
    state: EcnState,
    /// Packets that went marked, by whatever path.
    sent: u64,
    /// What the peer has counted, by its newest acknowledgement.
    counted: Marks,
    /// The path's first packet number.
    first: u64,
    /// What the peer had counted before, and how many had gone marked.
    before: (Marks, u64),
    /// Marked packets of the path that were acknowledged.
    acked: u64,
}

impl Marking {
    /// Begins to test a path that nothing is known about, from the packet of that number on.
    pub fn test(&mut self, first: u64) {
        let before = (self.counted, self.sent);
        *self = Self { state: EcnState::Testing, first, before, acked: 0, ..*self };
    }

    /// What is known of the path.
    #[must_use]
    pub fn state(&self) -> EcnState {
        self.state
    }

    /// Packets that went marked ECT(0).
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// What the peer has counted.
    #[must_use]
    pub fn counted(&self) -> Marks {
        self.counted
    }

    /// How packets are to go now that are in flight until they are acknowledged.
    #[must_use]
    pub fn codepoint(&self) -> Ecn {
        match self.state {
            EcnState::Testing | EcnState::Capable => Ecn::Ect0,
            EcnState::Off | EcnState::Unknown | EcnState::Failed => Ecn::NotEct,
        }
    }

    /// So many packets went marked.
    pub fn on_sent(&mut self, packets: u64) {
        self.sent += packets;
        let (_, before) = self.before;
        if self.state == EcnState::Testing && self.sent - before >= TEST_PACKETS {
            self.state = EcnState::Unknown;
        }
    }

    /// Nothing came back for a probe timeout: if the marks are why, the probes arrive without.
    pub fn on_probe_timeout(&mut self) {
        if self.state == EcnState::Testing {
            self.state = EcnState::Unknown;
        }
    }

    /// Packets were acknowledged for the first time.
    pub fn on_acked(&mut self, packets: &[SentPacket]) {
        let marked = |packet: &&SentPacket| packet.is_marked && packet.number >= self.first;
        self.acked += packets.iter().filter(marked).count() as u64;
    }

    /// The newest acknowledgement says what the peer has counted. Says how many packets met congestion that
    /// were not known to have; none where the counts cannot be right.
    pub fn on_counts(&mut self, counts: Marks) -> u64 {
        let last = std::mem::replace(&mut self.counted, counts);
        if matches!(self.state, EcnState::Off | EcnState::Failed) {
            return 0;
        }
        if !self.is_possible(last, counts) {
            self.state = EcnState::Failed;
            return 0;
        }
        if self.acked > 0 {
            self.state = EcnState::Capable;
        }
        counts.ce - last.ce
    }

    /// RFC 9000 13.4.2.1. An acknowledgement may name what arrived long before, for which earlier ones had
    /// no room; so what was acknowledged is compared with what was counted since the path is in use.
    fn is_possible(&self, last: Marks, counts: Marks) -> bool {
        let (before, _) = self.before;
        let arrived = |counts: Marks| counts.ect0 + counts.ce;
        let is_rising = counts.ect0 >= last.ect0 && counts.ce >= last.ce;
        let is_ours = counts.ect1 == last.ect1 && arrived(counts) <= self.sent;
        let is_all = arrived(counts) >= arrived(before) + self.acked;
        let is_always_marked = counts.ect0 == before.ect0 && self.acked >= TEST_PACKETS;
        is_rising && is_ours && is_all && !is_always_marked
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::Instant;
    use crate::transport::delivery::Snapshot;
    use crate::transport::sent_packets::Content;

    /// A path to a peer that counts what arrives, unless a test says otherwise.
    struct Path {
        marking: Marking,
        sent: Vec<SentPacket>,
        counts: Marks,
    }

    impl Path {
        fn new() -> Self {
            let mut marking = Marking::default();
            marking.test(0);
            Self { marking, sent: Vec::new(), counts: Marks::default() }
        }

        /// A packet goes.
        fn send(&mut self) -> Ecn {
            let ecn = self.marking.codepoint();
            self.sent.push(SentPacket {
                number: self.sent.len() as u64,
                sent_at: Instant::ZERO,
                size: 1_200,
                is_marked: ecn == Ect0,
                content: Content::Ping,
                delivery: Snapshot::default(),
            });
            self.marking.on_sent((ecn == Ect0).into());
            ecn
        }

        /// Those packets arrive with those marks, and are acknowledged.
        fn ack(&mut self, from: usize, marks: &[Ecn]) -> u64 {
            marks.iter().for_each(|ecn| self.counts.count(*ecn));
            self.marking.on_acked(&self.sent[from..from + marks.len()]);
            self.marking.on_counts(self.counts)
        }

        /// One on which ten packets arrived as they went.
        fn tested() -> Self {
            let mut path = Self::new();
            let marks: Vec<Ecn> = (0..10).map(|_| path.send()).collect();
            assert_eq!(path.ack(0, &marks), 0);
            path
        }

        #[track_caller]
        fn expect(&self, state: EcnState) {
            assert_eq!(self.marking.state(), state);
        }
    }

    use Ecn::{Ce, Ect0, Ect1, NotEct};

    #[test]
    fn ten_packets_go_marked_and_no_more_before_one_is_acknowledged() {
        let mut path = Path::new();
        let marks: Vec<Ecn> = (0..12).map(|_| path.send()).collect();
        assert_eq!(marks[..10], [Ect0; 10]);
        assert_eq!(marks[10..], [NotEct; 2]);
        path.expect(EcnState::Unknown);
        path.ack(10, &[NotEct]);
        path.expect(EcnState::Unknown);
        path.ack(3, &[Ect0]);
        path.expect(EcnState::Capable);
        assert_eq!(path.send(), Ect0);
    }

    #[test]
    fn marks_are_told_once_each() {
        let mut path = Path::tested();
        (0..4).for_each(|_| assert_eq!(path.send(), Ect0));
        assert_eq!(path.ack(10, &[Ce, Ect0, Ce]), 2);
        assert_eq!(path.marking.on_counts(path.counts), 0);
        assert_eq!(path.ack(13, &[Ce]), 1);
        path.expect(EcnState::Capable);
    }

    #[test]
    fn probes_go_unmarked_where_the_first_packets_meet_silence() {
        let mut path = Path::new();
        assert_eq!(path.send(), Ect0);
        path.marking.on_probe_timeout();
        assert_eq!(path.send(), NotEct);
        path.ack(1, &[NotEct]);
        path.expect(EcnState::Unknown);
        let mut path = Path::tested();
        path.marking.on_probe_timeout();
        path.expect(EcnState::Capable);
    }

    #[test]
    fn a_path_that_wipes_marks_carries_none() {
        let mut path = Path::new();
        (0..10).for_each(|_| assert_eq!(path.send(), Ect0));
        path.ack(0, &[NotEct; 2]);
        path.expect(EcnState::Failed);
        assert_eq!(path.send(), NotEct);
        // It began to later.
        let mut path = Path::tested();
        (0..5).for_each(|_| assert_eq!(path.send(), Ect0));
        path.ack(10, &[Ect0, Ect0, NotEct]);
        path.expect(EcnState::Failed);
    }

    #[test]
    fn a_path_that_marks_all_or_otherwise_carries_none() {
        for mark in [Ce, Ect1] {
            let mut path = Path::new();
            (0..10).for_each(|_| assert_eq!(path.send(), Ect0));
            path.ack(0, &[mark; 10]);
            path.expect(EcnState::Failed);
        }
    }

    #[test]
    fn counts_that_no_peer_can_have_are_not_believed() {
        let most = u64::MAX >> 2;
        for counts in [
            Marks { ect0: 9, ect1: 0, ce: 0 },
            Marks { ect0: 10, ect1: 1, ce: 0 },
            Marks { ect0: 10, ect1: 0, ce: 1 },
            Marks { ect0: 11, ect1: 0, ce: 0 },
            Marks { ect0: 10, ect1: 0, ce: most },
            Marks { ect0: most, ect1: most, ce: most },
            Marks::default(),
        ] {
            let mut path = Path::tested();
            assert_eq!(path.marking.on_counts(counts), 0, "{counts:?}");
            path.expect(EcnState::Failed);
            assert_eq!(path.marking.on_counts(Marks { ect0: 10, ect1: 0, ce: 5 }), 0);
            assert_eq!(path.send(), NotEct);
        }
    }

    /// An earlier acknowledgement was lost, and the next ones had no room for what it said.
    #[test]
    fn what_arrived_long_before_may_be_acknowledged_late() {
        let mut path = Path::tested();
        (0..20).for_each(|_| assert_eq!(path.send(), Ect0));
        (0..10).for_each(|_| path.counts.count(Ect0));
        path.ack(20, &[Ect0; 5]);
        path.ack(25, &[Ect0]);
        path.marking.on_acked(&path.sent[10..20]);
        assert_eq!(path.ack(26, &[Ect0]), 0);
        path.expect(EcnState::Capable);
    }

    #[test]
    fn each_path_is_tested() {
        let mut path = Path::new();
        (0..10).for_each(|_| assert_eq!(path.send(), Ect0));
        path.ack(0, &[NotEct; 5]);
        path.expect(EcnState::Failed);
        path.marking.test(10);
        let marks: Vec<Ecn> = (0..12).map(|_| path.send()).collect();
        assert_eq!(marks.iter().filter(|ecn| **ecn == Ect0).count(), 10);
        // What is still on its way on the old path says nothing of the new one.
        path.ack(5, &[NotEct; 5]);
        path.expect(EcnState::Unknown);
        path.ack(10, &[Ect0; 3]);
        path.expect(EcnState::Capable);
    }

    #[test]
    fn nobody_marks_who_does_not_answer_marks() {
        let marking = Marking::default();
        assert_eq!((marking.codepoint(), marking.state()), (NotEct, EcnState::Off));
    }
}
