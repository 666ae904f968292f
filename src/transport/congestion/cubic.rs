//! CUBIC (RFC 9438) with HyStart++ (RFC 9406). Windows are in bytes.

use super::curve::{BETA_CUBIC, BETA_ECN, Curve};
use super::hystart::{self, CSS_GROWTH_DIVISOR, HyStart};
use super::{
    AckSample, Congestion, LossSample, MarkSample, Phase, UNPACED_RTT, initial_window, whole_bytes,
};
use crate::base::time::Instant;
use crate::transport::rtt::Rtt;

/// RFC 9002 7.7: faster than the window alone would go, so that pacing never starves it.
const PACING_GAIN: f64 = 1.25;
const PACING_GAIN_SLOW_START: f64 = 2.0;

#[derive(Clone, Debug)]
pub(super) struct Cubic {
    datagram: f64,
    cwnd: f64,
    ssthresh: f64,
    hystart: HyStart,
    curve: Curve,
    /// Losses of packets sent before this belong to an event that was already answered.
    recovery_start: Option<Instant>,
    /// What to go back to if the last event was none.
    before_event: Option<BeforeEvent>,
}

/// The state before a congestion event, until it is known that the event was one.
#[derive(Clone, Debug)]
struct BeforeEvent {
    cwnd: f64,
    ssthresh: f64,
    curve: Curve,
    /// Packets sent until then belong to an earlier event.
    earlier: Option<Instant>,
    /// Packets of this event that were taken for lost and have not turned up.
    missing: u32,
}

impl Cubic {
    pub(super) fn new(datagram: u16) -> Self {
        Self {
            datagram: f64::from(datagram),
            cwnd: initial_window(datagram) as f64,
            ssthresh: f64::INFINITY,
            hystart: HyStart::new(),
            curve: Curve::flat(0.0),
            recovery_start: None,
            before_event: None,
        }
    }

    fn in_slow_start(&self) -> bool {
        self.cwnd < self.ssthresh
    }

    fn slow_start(&mut self, sample: &AckSample<'_>) {
        match self.hystart.on_ack(sample) {
            hystart::Phase::SlowStart => self.cwnd += sample.bytes as f64,
            hystart::Phase::Conservative => {
                self.cwnd += (sample.bytes / CSS_GROWTH_DIVISOR) as f64;
            }
            hystart::Phase::Over => {
                self.ssthresh = self.cwnd;
                self.curve = Curve::flat(self.cwnd);
            }
        }
    }

    /// RFC 9438 4.6 and 4.7: a flow whose windows shrink makes room faster.
    fn shrink(&mut self, now: Instant, to: f64) {
        self.recovery_start = Some(now);
        let before = self.cwnd;
        let makes_room = before < self.curve.w_max();
        let w_max = if makes_room { before * (1.0 + to) / 2.0 } else { before };
        self.cwnd = (before * to).max(self.floor());
        self.ssthresh = self.cwnd;
        self.curve = Curve::after(before, self.cwnd, w_max, self.datagram);
    }

    fn floor(&self) -> f64 {
        2.0 * self.datagram
    }
}

impl Congestion for Cubic {
    fn on_ack(&mut self, sample: &AckSample<'_>) {
        let in_recovery = self.recovery_start.is_some_and(|start| sample.sent_at <= start);
        // RFC 9002 7.8: a window that is not used says nothing about the path.
        if in_recovery || sample.is_app_limited {
            return;
        }
        if self.in_slow_start() {
            self.slow_start(sample);
        } else {
            self.cwnd = self.curve.grow(self.cwnd, self.datagram, sample);
        }
    }

    fn on_loss(&mut self, sample: &LossSample<'_>) {
        let LossSample { now, sent_at, packets, .. } = *sample;
        if self.recovery_start.is_some_and(|start| sent_at <= start) {
            if let Some(before) = &mut self.before_event {
                before.missing += packets;
            }
            return;
        }
        self.before_event = Some(BeforeEvent {
            cwnd: self.cwnd,
            ssthresh: self.ssthresh,
            curve: self.curve.clone(),
            earlier: self.recovery_start,
            missing: packets,
        });
        self.shrink(now, BETA_CUBIC);
    }

    fn answers_marks(&self) -> bool {
        true
    }

    /// RFC 9002 7.1: a loss would be no other event. There is nothing that could turn up after all.
    fn on_mark(&mut self, sample: &MarkSample<'_>) {
        if self.recovery_start.is_none_or(|start| sample.sent_at > start) {
            self.before_event = None;
            self.shrink(sample.now, BETA_ECN);
        }
    }

    /// RFC 9438 4.9.2: undone once all packets of the last event have turned up after all.
    fn on_spurious_loss(&mut self, sent_at: Instant) {
        let Some(before) = &mut self.before_event else {
            return;
        };
        if before.earlier.is_some_and(|start| sent_at <= start) {
            return;
        }
        before.missing = before.missing.saturating_sub(1);
        if before.missing > 0 {
            return;
        }
        if let Some(before) = self.before_event.take() {
            self.cwnd = self.cwnd.max(before.cwnd);
            self.ssthresh = before.ssthresh;
            self.curve = before.curve;
        }
    }

    fn on_persistent_congestion(&mut self) {
        self.ssthresh = (self.cwnd * BETA_CUBIC).max(self.floor());
        self.cwnd = self.floor();
        self.curve.pause();
        self.recovery_start = None;
        self.before_event = None;
    }

    fn on_datagram_size(&mut self, bytes: u16) {
        let untouched = self.cwnd <= INITIAL_IN_DATAGRAMS * self.datagram;
        self.datagram = f64::from(bytes);
        if untouched && self.ssthresh.is_infinite() {
            self.cwnd = self.cwnd.max(initial_window(bytes) as f64);
        }
    }

    fn phase(&self) -> Phase {
        match self.hystart.phase() {
            _ if !self.in_slow_start() => Phase::Avoidance,
            hystart::Phase::Conservative => Phase::ConservativeSlowStart,
            hystart::Phase::SlowStart | hystart::Phase::Over => Phase::SlowStart,
        }
    }

    fn window(&self) -> u64 {
        whole_bytes(self.cwnd)
    }

    fn pacing_rate(&self, rtt: &Rtt) -> f64 {
        if rtt.min() < UNPACED_RTT {
            return f64::INFINITY;
        }
        let gain = if self.in_slow_start() { PACING_GAIN_SLOW_START } else { PACING_GAIN };
        gain * self.cwnd / rtt.smoothed().as_secs_f64().max(1e-6)
    }
}

/// The initial window in datagrams.
const INITIAL_IN_DATAGRAMS: f64 = super::INITIAL_WINDOW_PACKETS as f64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::Duration;

    const DATAGRAM: u16 = 1_000;
    const RTT: Duration = Duration::from_millis(100);

    struct Path {
        cubic: Cubic,
        rtt: Rtt,
        now: Instant,
        next: u64,
    }

    impl Path {
        fn new() -> Self {
            let mut rtt = Rtt::default();
            rtt.update(RTT, Duration::ZERO);
            Self { cubic: Cubic::new(DATAGRAM), rtt, now: Instant::ZERO, next: 0 }
        }

        /// One round trip in which a full window is acknowledged packet by packet.
        fn round(&mut self) {
            let sent_at = self.now;
            let window = self.cubic.window();
            let packets = window / u64::from(DATAGRAM);
            self.next += packets;
            self.now += RTT;
            for index in 0..packets {
                self.cubic.on_ack(&AckSample {
                    now: self.now,
                    largest: self.next - packets + index,
                    sent_at: sent_at + Duration::from_nanos(1),
                    next: self.next,
                    ..AckSample::of_one(DATAGRAM, &self.rtt)
                });
            }
        }

        fn lose(&mut self) {
            let (now, rtt) = (self.now, &self.rtt);
            let bytes = u64::from(DATAGRAM);
            let sample =
                LossSample { now, bytes, sent_at: now, ..LossSample::of_one(DATAGRAM, rtt) };
            self.cubic.on_loss(&sample);
        }

        fn packets(&self) -> f64 {
            self.cubic.window() as f64 / f64::from(DATAGRAM)
        }
    }

    #[test]
    fn slow_start_doubles_each_round() {
        let mut path = Path::new();
        for expected in [20.0, 40.0, 80.0, 160.0] {
            path.round();
            assert_eq!(path.packets(), expected);
        }
    }

    #[test]
    fn one_event_a_round_trip_cuts_to_seven_tenths() {
        let mut path = Path::new();
        for _ in 0..5 {
            path.round();
        }
        let before = path.packets();
        path.lose();
        path.lose();
        assert!((path.packets() - 0.7 * before).abs() < 1.0);
    }

    #[test]
    fn marks_of_a_round_trip_are_one_event_as_losses_are() {
        let mut path = Path::new();
        (0..5).for_each(|_| path.round());
        let before = path.packets();
        let (sent_at, rtt) = (path.now, path.rtt.clone());
        let mut mark = |now, sent_at| path.cubic.on_mark(&MarkSample { now, sent_at, rtt: &rtt });
        mark(sent_at + RTT, sent_at);
        mark(sent_at + RTT, sent_at + RTT);
        let once = BETA_ECN * before;
        assert!((path.packets() - once).abs() < 1.0);
        path.cubic.on_spurious_loss(sent_at);
        assert!((path.packets() - once).abs() < 1.0, "marks are never late");
        let later = sent_at + 2 * RTT;
        path.cubic.on_mark(&MarkSample { now: later, sent_at: later, rtt: &rtt });
        assert!((path.packets() - BETA_ECN * once).abs() < 1.0);
    }

    /// RFC 9438 4.2: the window is back at w_max after K seconds.
    #[test]
    fn the_window_returns_to_w_max_after_k() {
        let mut path = Path::new();
        for _ in 0..7 {
            path.round();
        }
        let w_max = path.packets();
        path.lose();
        let k = (w_max * 0.3 / 0.4_f64).cbrt();
        let start = path.now;
        while path.now.since(start).as_secs_f64() < k {
            path.round();
        }
        assert!((path.packets() / w_max - 1.0).abs() < 0.05, "{} of {w_max}", path.packets());
        for _ in 0..50 {
            path.round();
        }
        assert!(path.packets() > w_max + 40.0, "C t^3 beyond the plateau: 50 packets after 5 s");
    }

    #[test]
    fn a_spurious_loss_is_undone() {
        let mut path = Path::new();
        for _ in 0..4 {
            path.round();
        }
        let before = path.packets();
        let sent_at = path.now;
        path.lose();
        path.cubic.on_spurious_loss(sent_at);
        assert_eq!(path.packets(), before);
    }

    #[test]
    fn an_unused_window_does_not_grow() {
        let mut path = Path::new();
        let before = path.cubic.window();
        path.cubic.on_ack(&AckSample {
            now: Instant::ZERO + RTT,
            is_app_limited: true,
            ..AckSample::of_one(DATAGRAM, &path.rtt)
        });
        assert_eq!(path.cubic.window(), before);
    }

    #[test]
    fn silence_leaves_two_packets() {
        let mut path = Path::new();
        path.cubic.on_persistent_congestion();
        assert_eq!(path.packets(), 2.0);
    }
}
