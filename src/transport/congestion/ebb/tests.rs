//! A window on a path of arithmetic: one queue, one rate, and a share that is lost.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts of packets are small and positive"
)]

use super::*;
use crate::base::time::Duration;

const DATAGRAM: u16 = 1_000;
const BASE: Duration = Duration::from_millis(50);

/// 250 packets fit into an empty round trip.
const RATE: f64 = 5e6;

/// A path that holds 250 packets and queues what is beyond, as far as `room` packets go.
struct Path {
    ebb: Ebb,
    rtt: Rtt,
    now: Instant,
    next: u64,
    /// Packets of somebody else that stand in the queue.
    others: f64,
    room: f64,
    /// Packets from which on the queue marks.
    marks_from: f64,
    /// The share that is lost on the way, and what was carried over.
    loss: f64,
    owed: f64,
}

impl Path {
    fn new(loss: f64) -> Self {
        let (ebb, rtt, now) = (Ebb::new(DATAGRAM), Rtt::default(), Instant::ZERO);
        let (others, room, marks_from) = (0.0, 1e9, 1e9);
        Self { ebb, rtt, now, next: 0, others, room, marks_from, loss, owed: 0.0 }
    }

    fn packets(&self) -> f64 {
        self.ebb.cwnd / f64::from(DATAGRAM)
    }

    /// One round trip in which a whole window goes, in ten acknowledgements.
    fn round(&mut self) {
        let window = self.packets().floor();
        let queued = (window * (1.0 - self.loss) - 250.0).max(0.0) + self.others;
        let dropped = (queued - self.room).max(0.0);
        let wait = Duration::from_secs_f64(queued.min(self.room) * f64::from(DATAGRAM) / RATE);
        let sent_at = self.now;
        self.owed += window * self.loss + dropped;
        let lost = self.owed.floor();
        self.owed -= lost;
        self.next += window as u64;
        for part in 1..=10u32 {
            self.now = sent_at + (BASE + wait).mul_f64(0.9 + 0.01 * f64::from(part));
            self.rtt.update(BASE + wait, Duration::ZERO);
            let packets = ((window - lost) / 10.0).round() as u32;
            if queued > self.marks_from {
                let (now, rtt) = (self.now, &self.rtt);
                self.ebb.on_mark(&MarkSample { now, sent_at, rtt });
            }
            self.ebb.on_ack(&AckSample {
                now: self.now,
                packets,
                bytes: u64::from(packets) * u64::from(DATAGRAM),
                largest: self.next + u64::from(part) - 11,
                sent_at: sent_at + Duration::from_nanos(1),
                next: self.next,
                ..AckSample::of_one(DATAGRAM, &self.rtt)
            });
        }
        if lost > 0.0 {
            let (now, packets, rtt) = (self.now, lost as u32, &self.rtt);
            let bytes = u64::from(packets) * u64::from(DATAGRAM);
            let of_one = LossSample::of_one(DATAGRAM, rtt);
            self.ebb.on_loss(&LossSample { now, packets, bytes, sent_at, ..of_one });
        }
        self.now = sent_at + BASE + wait;
    }

    fn rounds(&mut self, count: u32) -> Vec<f64> {
        (0..count)
            .map(|_| {
                self.round();
                self.packets()
            })
            .collect()
    }
}

#[test]
fn start_up_ends_with_a_queue_and_the_window_settles_at_what_the_path_holds() {
    let mut path = Path::new(0.0);
    path.rounds(25);
    assert!(path.ebb.startup.is_none());
    let windows = path.rounds(200);
    let least = windows.iter().copied().fold(f64::INFINITY, f64::min);
    let most = windows.iter().copied().fold(0.0, f64::max);
    assert!((225.0..=300.0).contains(&least) && most < 320.0, "{least} to {most}");
}

#[test]
fn random_loss_is_learnt_and_filled() {
    for loss in [0.01, 0.05, 0.2] {
        let mut path = Path::new(loss);
        path.rounds(60);
        let windows = path.rounds(100);
        let mean = windows.iter().sum::<f64>() / 100.0;
        let holds = 250.0 / (1.0 - loss);
        assert!((0.9..1.25).contains(&(mean / holds)), "{loss}: {mean} of {holds}");
        assert!((path.ebb.blame.share() - loss).abs() < 0.3 * loss, "{loss}");
    }
}

#[test]
fn a_queue_that_goes_when_the_window_shrinks_is_its_own() {
    let mut path = Path::new(0.0);
    path.rounds(200);
    assert_eq!(path.ebb.mode, Mode::Alone);
}

#[test]
fn a_queue_that_stays_is_somebody_elses_and_the_window_goes_on() {
    let mut path = Path::new(0.0);
    path.rounds(60);
    path.others = 150.0;
    path.rounds(30);
    assert_eq!(path.ebb.mode, Mode::Compete);
    let before = path.packets();
    path.rounds(60);
    assert!(path.packets() > before, "{} after {before}", path.packets());
}

#[test]
fn the_first_loss_at_a_full_queue_is_answered_where_the_path_loses_nothing() {
    let mut path = Path::new(0.0);
    path.room = 25.0;
    path.rounds(60);
    let windows = path.rounds(200);
    let most = windows.iter().copied().fold(0.0, f64::max);
    assert!(most < 1.3 * 275.0, "{most}");
}

#[test]
fn a_queue_that_marks_is_kept_below_where_it_does() {
    for marks_from in [5.0, 20.0] {
        let mut path = Path::new(0.0);
        path.marks_from = marks_from;
        path.rounds(60);
        let windows = path.rounds(200);
        let most = windows.iter().copied().fold(0.0, f64::max);
        let mean = windows.iter().sum::<f64>() / 200.0;
        assert!(most < 253.0 + marks_from, "{marks_from}: {most}");
        assert!((235.0..260.0).contains(&mean), "{marks_from}: {mean}");
    }
}

#[test]
fn a_mark_ends_start_up_and_is_answered_once_a_round_trip() {
    let mut path = Path::new(0.0);
    path.rounds(3);
    let (now, rtt) = (path.now, path.rtt.clone());
    path.ebb.on_mark(&MarkSample { now, sent_at: now, rtt: &rtt });
    assert!(path.ebb.startup.is_none());
    let before = path.packets();
    path.ebb.on_mark(&MarkSample { now, sent_at: now, rtt: &rtt });
    assert_eq!(path.packets(), before);
    path.ebb.on_mark(&MarkSample { now: now + BASE, sent_at: now + BASE, rtt: &rtt });
    assert!(path.packets() <= 0.85 * before);
}

#[test]
fn silence_leaves_two_packets_and_begins_again() {
    let mut path = Path::new(0.0);
    path.rounds(60);
    path.ebb.on_persistent_congestion();
    assert_eq!((path.packets(), path.ebb.phase()), (2.0, Phase::SlowStart));
}
