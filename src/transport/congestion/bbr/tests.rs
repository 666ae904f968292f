//! BBR, packet by packet in virtual time.

use super::*;
use crate::base::time::Duration;
use crate::transport::delivery::Delivery;
use crate::transport::sent_packets::{Content, SentPacket};
use rand::RngExt;
use std::collections::VecDeque;

const DATAGRAM: u16 = 1_000;
const MS: Duration = Duration::from_millis(1);
const BASE: Duration = Duration::from_millis(50);

/// 10 Mbit/s: 62 packets fill the path.
const RATE: f64 = 1.25e6;
const HELD: u64 = 62_500;
const HOLDS: f64 = HELD as f64;

/// A bottleneck with a queue, and random loss behind it. Each packet that arrives is acknowledged, and those before it
/// that have not been are lost.
struct Path {
    bbr: Bbr,
    rtt: Rtt,
    delivery: Delivery,
    now: Instant,
    rate: f64,
    /// Bytes that may wait.
    room: f64,
    loss: f64,
    draws: Xoshiro256PlusPlus,
    /// The line is busy until then.
    busy: Instant,
    tokens: f64,
    next: u64,
    /// What is sent, and when its acknowledgement comes; nothing for what is lost.
    out: VecDeque<(SentPacket, Option<Instant>)>,
    in_flight: u64,
    is_quiet: bool,
}

impl Path {
    fn new(loss: f64, room: f64) -> Self {
        let mut rtt = Rtt::default();
        rtt.update(BASE, Duration::ZERO);
        let mut bbr = Bbr::new(DATAGRAM, [7; 32]);
        bbr.on_handshake(&rtt, None);
        Self {
            bbr,
            rtt,
            delivery: Delivery::new(Instant::ZERO),
            now: Instant::ZERO,
            rate: RATE,
            room,
            loss,
            draws: Xoshiro256PlusPlus::from_seed([1; 32]),
            busy: Instant::ZERO,
            tokens: 0.0,
            next: 0,
            out: VecDeque::new(),
            in_flight: 0,
            is_quiet: false,
        }
    }

    fn packets(&self) -> f64 {
        self.bbr.cwnd / f64::from(DATAGRAM)
    }

    fn send(&mut self) {
        self.bbr.on_sent(self.now, self.in_flight);
        let delivery = self.delivery.on_sent(self.now, self.in_flight);
        let (number, sent_at, content) = (self.next, self.now, Content::Ping);
        self.next += 1;
        self.in_flight += u64::from(DATAGRAM);
        self.busy = self.busy.max(self.now);
        let waits = self.busy.since(self.now).as_secs_f64() * self.rate;
        let is_lost = waits > self.room || self.draws.random::<f64>() < self.loss;
        if waits <= self.room {
            self.busy += Duration::from_secs_f64(f64::from(DATAGRAM) / self.rate);
        }
        let packet =
            SentPacket { number, sent_at, size: DATAGRAM, content, delivery, is_marked: false };
        self.out.push_back((packet, (!is_lost).then_some(self.busy + BASE)));
    }

    fn take(&mut self) {
        let Some(position) =
            self.out.iter().position(|(_, due)| due.is_some_and(|due| due <= self.now))
        else {
            return;
        };
        let lost: Vec<SentPacket> = self.out.drain(..position).map(|(packet, _)| packet).collect();
        let (packet, _) = self.out.pop_front().expect("found");
        self.in_flight -= u64::from(DATAGRAM) * (position as u64 + 1);
        self.rtt.update(self.now.since(packet.sent_at), Duration::ZERO);
        let (bytes, (largest, sent_at)) = (u64::from(DATAGRAM), (packet.number, packet.sent_at));
        let delivery = self.delivery.on_ack(self.now, &[packet], bytes, self.rtt.min());
        self.bbr.on_ack(&AckSample {
            now: self.now,
            largest,
            sent_at,
            next: self.next,
            in_flight: self.in_flight,
            delivery,
            ..AckSample::of_one(DATAGRAM, &self.rtt)
        });
        if let Some(newest) = lost.last() {
            let bytes = u64::from(DATAGRAM) * lost.len() as u64;
            self.delivery.on_lost(bytes);
            self.bbr.on_loss(&LossSample {
                now: self.now,
                packets: lost.len() as u32,
                bytes,
                sent_at: newest.sent_at,
                prior_in_flight: newest.delivery.in_flight(),
                lost_meanwhile: self.delivery.lost_since(&newest.delivery),
                in_flight: self.in_flight,
                ..LossSample::of_one(DATAGRAM, &self.rtt)
            });
        }
        self.take();
    }

    /// A tenth of a millisecond.
    fn step(&mut self) {
        let step = MS / 10;
        self.now += step;
        self.take();
        let pace = self.bbr.pacing_rate(&self.rtt);
        let packet = f64::from(DATAGRAM);
        self.tokens = (self.tokens + pace * step.as_secs_f64()).min(4.0 * packet);
        while !self.is_quiet
            && self.tokens >= packet
            && (self.in_flight + u64::from(DATAGRAM)) as f64 <= self.bbr.cwnd
        {
            self.tokens -= packet;
            self.send();
        }
    }

    fn run(&mut self, seconds: f64) {
        let end = self.now + Duration::from_secs_f64(seconds);
        while self.now < end {
            self.step();
        }
    }

    /// Until it is in that phase; how long that took.
    fn until(&mut self, phase: Phase) -> Duration {
        let begun = self.now;
        while self.bbr.phase() != phase {
            self.step();
            assert!(self.now.since(begun) < Duration::from_secs(30), "never {phase:?}");
        }
        self.now.since(begun)
    }

    /// Bytes per second that arrived in that time, of what the path carries.
    fn share(&mut self, seconds: f64) -> f64 {
        let before = self.delivery.delivered();
        self.run(seconds);
        (self.delivery.delivered() - before) as f64 / seconds / (self.rate * (1.0 - self.loss))
    }
}

#[test]
fn start_up_ends_where_the_rate_grows_no_more_and_its_queue_is_drained() {
    let mut path = Path::new(0.0, 4.0 * HOLDS);
    let took = path.until(Phase::Drain);
    assert!(took < 12 * BASE, "{took:?}");
    assert!((path.bbr.model.rate() / RATE - 1.0).abs() < 0.05, "{}", path.bbr.model.rate());
    // With no queue left it goes on at once.
    assert!(path.until(Phase::Cruise) <= 8 * BASE);
    assert!(path.in_flight as f64 <= 1.01 * HOLDS, "{}", path.in_flight);
}

#[test]
fn start_up_ends_where_more_is_lost_than_a_probe_may_lose() {
    let mut path = Path::new(0.08, 4.0 * HOLDS);
    path.until(Phase::Drain);
    assert!(path.bbr.bounds.inflight_longterm.is_finite());
    let mut path = Path::new(0.0, 4.0 * HOLDS);
    path.until(Phase::Drain);
    assert_eq!(path.bbr.bounds.inflight_longterm, f64::INFINITY, "the rate ended it");
}

#[test]
fn it_cruises_at_the_rate_less_a_margin_and_probes_a_quarter_more() {
    let mut path = Path::new(0.0, 4.0 * HOLDS);
    path.until(Phase::Cruise);
    path.run(0.2);
    let rate = path.bbr.pacing / RATE;
    assert!((0.96..=1.01).contains(&rate), "{rate}");
    let wait = path.until(Phase::ProbeUp);
    assert!(wait < Duration::from_millis(3_200), "{wait:?}");
    path.run(0.01);
    let rate = path.bbr.pacing / RATE;
    assert!((1.2..=1.27).contains(&rate), "{rate}");
    path.until(Phase::ProbeDown);
}

#[test]
fn the_round_trip_is_probed_with_half_of_the_path_in_flight() {
    let mut path = Path::new(0.0, 4.0 * HOLDS);
    path.until(Phase::Cruise);
    // Longer than any round trip before: what was seen becomes old.
    path.until(Phase::ProbeRoundTrip);
    path.run(0.1);
    let half = HOLDS / 2.0;
    assert!((path.in_flight as f64 / half - 1.0).abs() < 0.1, "{} of {half}", path.in_flight);
    let took = path.until(Phase::Cruise);
    assert!(took <= 200 * MS + 2 * BASE, "{took:?}");
    assert!(path.packets() > 60.0, "the window is back: {}", path.packets());
}

#[test]
fn a_probe_that_loses_leaves_a_bound_and_cruising_keeps_below_it() {
    let mut path = Path::new(0.0, 0.1 * HOLDS);
    path.run(10.0);
    let bound = path.bbr.bounds.inflight_longterm;
    assert!((0.7 * HOLDS..1.4 * HOLDS).contains(&bound), "{bound} of {HOLDS}");
    path.until(Phase::Cruise);
    path.run(0.01);
    assert!(path.bbr.cwnd <= 0.86 * path.bbr.bounds.inflight_longterm, "{}", path.bbr.cwnd);
    let share = path.share(20.0);
    assert!(share > 0.85, "{share}");
}

#[test]
fn random_loss_below_what_a_probe_may_lose_does_not_slow_it_down() {
    for (loss, least) in [(0.001, 0.92), (0.01, 0.8)] {
        let mut path = Path::new(loss, HOLDS);
        path.run(3.0);
        let share = path.share(20.0);
        assert!(share > least, "{loss}: {share}");
    }
}

#[test]
fn it_finds_a_rate_that_has_grown_and_one_that_has_shrunk() {
    let mut path = Path::new(0.0, HOLDS);
    path.run(5.0);
    path.rate = 4.0 * RATE;
    path.run(10.0);
    let share = path.share(10.0);
    assert!(share > 0.93, "grown: {share}");
    path.rate = RATE;
    path.run(10.0);
    let share = path.share(10.0);
    assert!(share > 0.93, "shrunk: {share}");
    assert!(path.bbr.model.rate() < 1.3 * RATE, "{}", path.bbr.model.rate());
}

#[test]
fn who_had_nothing_to_send_need_not_make_room_to_see_the_round_trip() {
    let mut path = Path::new(0.0, HOLDS);
    path.until(Phase::Cruise);
    path.is_quiet = true;
    path.run(6.0);
    path.is_quiet = false;
    path.run(0.2);
    assert_ne!(path.bbr.phase(), Phase::ProbeRoundTrip);
}

#[test]
fn losses_that_were_none_are_undone() {
    let mut path = Path::new(0.0, HOLDS);
    path.until(Phase::ProbeUp);
    path.run(0.06);
    let sent_at = path.now;
    let of_one = LossSample::of_one(DATAGRAM, &path.rtt);
    let lost_meanwhile = HELD;
    path.bbr.on_loss(&LossSample {
        now: path.now,
        sent_at,
        prior_in_flight: HELD,
        lost_meanwhile,
        ..of_one
    });
    assert_eq!(path.bbr.phase(), Phase::ProbeDown);
    assert!(path.bbr.bounds.inflight_longterm.is_finite());
    path.bbr.on_spurious_loss(sent_at);
    assert_eq!(path.bbr.phase(), Phase::Refill, "the probe begins again");
    assert_eq!(path.bbr.bounds.inflight_longterm, f64::INFINITY);
}

#[test]
fn the_window_is_back_after_silence() {
    let mut path = Path::new(0.0, HOLDS);
    path.until(Phase::Cruise);
    let before = path.packets();
    path.bbr.on_persistent_congestion();
    assert_eq!(path.packets(), 2.0);
    path.run(0.3);
    assert!(path.packets() > 0.9 * before, "{} of {before}", path.packets());
}
