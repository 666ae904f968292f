//! What the path shows from one interval to the next: its loss, its rate, its queue. In bytes and seconds.

use crate::base::time::Instant;
use crate::transport::congestion::{AckSample, LossSample};
use crate::transport::rtt::Rtt;

/// An interval lasts whole rounds, and at least this long: means of fewer packets are noise.
const INTERVAL_MIN: f64 = 0.040;
const INTERVAL_PACKETS: f64 = 8.0;

/// How fast the largest queue seen is forgotten: e-fold in this time, or in so many round trips.
const TOP_SECONDS: f64 = 10.0;
const TOP_ROUNDS: f64 = 40.0;

/// Acknowledgements come for so many packets at once, and packets leave in trains: shorter delays than
/// these take, or than this, are no queue.
const GRAIN_PACKETS: f64 = 16.0;
const GRAIN_MAX: f64 = 0.005;

/// What was counted since some moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tally {
    begun: Instant,
    acked: f64,
    lost: f64,
    bytes: f64,
    rtt_sum: f64,
    rtt_count: f64,
    /// The sender had nothing more to send meanwhile.
    pub(super) is_app_limited: bool,
}

impl Tally {
    fn new(begun: Instant) -> Self {
        let (acked, lost, bytes) = (0.0, 0.0, 0.0);
        Self { begun, acked, lost, bytes, rtt_sum: 0.0, rtt_count: 0.0, is_app_limited: false }
    }

    /// Packets of which it is known what became of them.
    pub(super) fn packets(&self) -> f64 {
        self.acked + self.lost
    }

    /// Packets lost.
    pub(super) fn lost(&self) -> f64 {
        self.lost
    }

    /// The share of them that was lost.
    pub(super) fn loss(&self) -> f64 {
        self.lost / self.packets().max(1.0)
    }

    /// Bytes delivered per second.
    pub(super) fn rate(&self, now: Instant) -> f64 {
        self.bytes / now.since(self.begun).as_secs_f64().max(1e-6)
    }

    fn seconds(&self, now: Instant) -> f64 {
        now.since(self.begun).as_secs_f64()
    }

    fn round_trip(&self) -> Option<f64> {
        (self.rtt_count > 0.0).then(|| self.rtt_sum / self.rtt_count)
    }

    fn on_ack(&mut self, sample: &AckSample<'_>) {
        self.acked += f64::from(sample.packets);
        self.bytes += sample.bytes as f64;
        self.is_app_limited |= sample.is_app_limited;
        if sample.tells_round_trip {
            self.rtt_sum += sample.rtt.latest().as_secs_f64();
            self.rtt_count += 1.0;
        }
    }
}

/// What has just ended.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ended {
    /// A round: all that was in flight when it began is acknowledged or lost.
    pub(super) round: Option<Tally>,
    /// An interval of whole rounds.
    pub(super) interval: Option<Tally>,
}

/// Counts rounds and intervals, and reads the queue from their delays.
#[derive(Clone, Debug)]
pub(super) struct Gauge {
    /// The round ends when this packet number is acknowledged.
    round_end: u64,
    round: Tally,
    interval: Tally,
    /// The shortest mean round trip of an interval: a minimum of samples
    /// makes every queue look standing where the delay wanders.
    base: f64,
    /// What the last interval's mean was above it.
    queue: f64,
    /// The most of that lately.
    top: f64,
    /// How much neighbouring round trips differ.
    variation: f64,
    latest: Option<f64>,
    /// Bytes per second in the last interval.
    rate: f64,
    /// What a train of packets and its acknowledgement take.
    grain: f64,
}

impl Gauge {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            round_end: 0,
            round: Tally::new(now),
            interval: Tally::new(now),
            base: f64::INFINITY,
            queue: 0.0,
            top: 0.0,
            variation: 0.0,
            latest: None,
            rate: 0.0,
            grain: 0.0,
        }
    }

    /// Takes an acknowledgement in; says what has ended with it.
    pub(super) fn on_ack(&mut self, sample: &AckSample<'_>) -> Ended {
        self.round.on_ack(sample);
        self.interval.on_ack(sample);
        if sample.tells_round_trip {
            let latest = sample.rtt.latest().as_secs_f64();
            let before = self.latest.replace(latest).unwrap_or(latest);
            self.variation += ((latest - before).abs() - self.variation) / 32.0;
        }
        let mut ended = Ended::default();
        if sample.largest < self.round_end {
            return ended;
        }
        self.round_end = sample.next;
        ended.round = Some(std::mem::replace(&mut self.round, Tally::new(sample.now)));
        let is_long = self.interval.seconds(sample.now) >= INTERVAL_MIN;
        if is_long && self.interval.packets() >= INTERVAL_PACKETS {
            let interval = std::mem::replace(&mut self.interval, Tally::new(sample.now));
            self.read(&interval, sample);
            ended.interval = Some(interval);
        }
        ended
    }

    pub(super) fn on_loss(&mut self, sample: &LossSample<'_>) {
        self.round.lost += f64::from(sample.packets);
        self.interval.lost += f64::from(sample.packets);
    }

    /// A packet that was counted as lost was only late.
    pub(super) fn on_spurious_loss(&mut self) {
        self.round.lost = (self.round.lost - 1.0).max(0.0);
        self.interval.lost = (self.interval.lost - 1.0).max(0.0);
    }

    fn read(&mut self, interval: &Tally, sample: &AckSample<'_>) {
        self.rate = interval.rate(sample.now);
        let packet = interval.bytes / interval.acked.max(1.0);
        self.grain = (GRAIN_PACKETS * packet / self.rate.max(1.0)).min(GRAIN_MAX);
        let Some(mean) = interval.round_trip() else { return };
        self.base = self.base.min(mean);
        self.queue = mean - self.base;
        let memory = TOP_SECONDS.max(TOP_ROUNDS * sample.rtt.smoothed().as_secs_f64());
        let decay = (-interval.seconds(sample.now) / memory).exp();
        self.top = self.queue.max(self.top * decay);
    }

    /// What was counted in the round at hand.
    pub(super) fn round(&self) -> &Tally {
        &self.round
    }

    /// A round trip over the empty path; that of the samples until there was an interval.
    pub(super) fn base(&self, rtt: &Rtt) -> f64 {
        if self.base.is_finite() { self.base } else { rtt.min().as_secs_f64() }
    }

    /// A longer wait than this is a queue that should not be.
    pub(super) fn queue_limit(&self, rtt: &Rtt) -> f64 {
        (self.base(rtt) / 8.0).max(0.001).max(1.5 * self.grain) + self.variation
    }

    /// A shorter wait than this is none.
    pub(super) fn noise(&self, rtt: &Rtt) -> f64 {
        (self.base(rtt) / 20.0).max(0.0005).max(self.grain) + self.variation
    }

    /// Whether hardly anything waits.
    pub(super) fn is_quiet(&self, rtt: &Rtt) -> bool {
        self.queue < self.queue_limit(rtt) / 4.0 + self.noise(rtt) / 2.0
    }

    /// A packet that waited longer than this met a queue that is nearly full, as far as queues were seen.
    pub(super) fn full_wait(&self, rtt: &Rtt) -> f64 {
        (self.top / 2.0).max(self.base(rtt) / 16.0).max(0.0005)
    }

    /// Whether the queue was nearly full on average.
    pub(super) fn is_full(&self, rtt: &Rtt) -> bool {
        self.queue >= 0.6 * self.full_wait(rtt)
    }

    /// Whether a queue that has been longer is half empty.
    pub(super) fn is_half_empty(&self, rtt: &Rtt) -> bool {
        self.top > self.base(rtt) / 10.0 + self.grain && self.queue < self.top / 2.0
    }

    /// Seconds that packets waited in the last interval.
    pub(super) fn queue(&self) -> f64 {
        self.queue
    }

    /// How much neighbouring round trips differ.
    pub(super) fn variation(&self) -> f64 {
        self.variation
    }

    /// Bytes delivered per second in the last interval.
    pub(super) fn rate(&self) -> f64 {
        self.rate
    }
}
