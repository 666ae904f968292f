//! What happens to one transfer of the swarm, drawn from a seed.
//!
//! The draw keeps to what theory lets a transfer survive; the assertions then need no excuses:
//!
//! - A HELLO and its answer both arrive with (1-p)(1-q). An attempt has 19 of them, so the handshake
//!   runs over at most 20 % loss each way, damage included: one in two hundred million fails.
//! - All faults together last [`FAULTS_MAX`]. A connection that hears nothing in all that time still
//!   has 10 s of its idle timeout, in which probes go at least every 3 s over the healed link.
//! - A classic strategy has no congestion control: in the end the queue holds all its frames, or
//!   it would lose them for ever. Its files are small, for go-back-N sends (1-p+Wp)/(1-p) times as much.

use crate::draws::Draws;
use std::fmt;
use std::time::Duration;
use volley::base::units::{Rate, Share, show_duration};
use volley::link::config::QueueSize;
use volley::link::{Bottleneck, LinkConfig};
use volley::sim::{FRAME_IP_BYTES, Order};
use volley::transport::arq::Strategy;
use volley::transport::config::CongestionChoice;
use volley::wire::handshake::Role;

/// From the first fault to the healing, at most.
const FAULTS_MAX: Duration = Duration::from_secs(20);

/// The link and the receivers, from one moment on.
#[derive(Clone, Debug)]
pub(crate) struct Turn {
    /// Since the connections are there.
    pub(crate) at: Duration,
    /// What changes.
    pub(crate) words: String,
    pub(crate) out: LinkConfig,
    pub(crate) back: LinkConfig,
    /// Whether the receivers take file bytes.
    pub(crate) reads: bool,
}

/// One transfer of the swarm.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) seed: u64,
    /// The link of the beginning, among others.
    pub(crate) order: Order,
    /// Who opens the connections.
    pub(crate) initiator: Role,
    /// Bytes of control stream that each sender and each receiver has to say.
    pub(crate) speech: [usize; 2],
    /// The last one is the healing.
    pub(crate) turns: Vec<Turn>,
    /// When the initiators are seen at another port, and whether on another host; before the healing.
    pub(crate) rebindings: Vec<(Duration, bool)>,
}

impl Scenario {
    pub(crate) fn draw(seed: u64) -> Self {
        let mut draws = Draws::new(seed);
        let arq = draws.arq();
        let flows = draws.flows();
        let (out, back) = draws.first_link();
        let congestion = draws.congestion(&out, flows);
        let size = draws.size(arq.strategy, flows);
        let initiator = if draws.is_in(0.5) { Role::Sender } else { Role::Receiver };
        let speech = [draws.speech(), draws.speech()];
        let limit = Duration::ZERO;
        let order = Order { congestion, arq, size, flows, out, back, seed, limit };
        let turns = Draft::new(&order).finish(&mut draws, &order);
        let rebindings = rebindings(seed, turns.last().map_or(Duration::ZERO, |turn| turn.at));
        Self { seed, order, initiator, speech, turns, rebindings }
    }

    /// The healing.
    pub(crate) fn healed(&self) -> &Turn {
        self.turns.last().expect("every draft ends with the healing")
    }

    /// About how long the whole transfer takes over the healed link.
    pub(crate) fn estimate(&self) -> Duration {
        estimate(&self.order, &self.healed().out, &self.healed().back)
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, order, initiator, speech, turns, rebindings } = self;
        let Order { congestion, arq, size, flows, out, back, .. } = order;
        let window = arq.window;
        write!(f, "seed {seed}: {:?}, window {window}, {congestion:?}; ", arq.strategy)?;
        write!(f, "{flows} x {size} bytes, opened by the {initiator:?}; ")?;
        write!(f, "control streams of {} and {} bytes; ", speech[0], speech[1])?;
        write!(f, "out: {out}; back: {back}")?;
        for turn in turns {
            write!(f, "; at {}: {}", show_duration(turn.at), turn.words)?;
        }
        for (at, is_elsewhere) in rebindings {
            let what = if *is_elsewhere { "host" } else { "port" };
            write!(f, "; at {}: the {initiator:?} is seen at another {what}", show_duration(*at))?;
        }
        Ok(())
    }
}

/// In a generator of its own, so that the rest of a seed's luck stays what it was.
fn rebindings(seed: u64, healed_at: Duration) -> Vec<(Duration, bool)> {
    let mut draws = Draws::new(seed ^ 1 << 63);
    let count = if draws.is_in(0.25) { draws.whole(1, 3) } else { 0 };
    let mut moments: Vec<(Duration, bool)> = (0..count)
        .map(|_| (healed_at.mul_f64(draws.between(0.0, 1.0)), draws.is_in(0.3)))
        .collect();
    moments.sort();
    moments
}

/// About how long all flows take over that link, however they got there.
pub(crate) fn estimate(order: &Order, out: &LinkConfig, back: &LinkConfig) -> Duration {
    let flows = order.flows as f64;
    let rate = |link: &LinkConfig| {
        link.bottleneck.map_or(f64::INFINITY, |narrow| narrow.rate.bits_per_second() as f64)
    };
    let queue = |link: &LinkConfig| {
        link.bottleneck.map_or(0.0, |narrow| narrow.queue as f64 * 8.0 / rate(link))
    };
    let delay = |link: &LinkConfig| {
        let wander = link.jitter
            + if link.reordering.share > Share::ZERO { link.reordering.by } else { Duration::ZERO };
        (link.delay + wander).as_secs_f64()
    };
    let loss = |link: &LinkConfig| link.loss.get() + link.corruption.get();
    let (p, q) = (loss(out), loss(back));
    let empty = delay(out) + delay(back) + 0.01;
    let round = empty + queue(out) + queue(back);
    let bits = order.size as f64 * 8.0;
    let line = bits * flows / rate(out);
    let frames = (order.size as f64 / 1180.0).ceil();
    let window = f64::from(order.arq.window);
    let seconds = match (order.arq.strategy, order.congestion) {
        (Strategy::Volley, CongestionChoice::Fixed(asked)) => {
            line + bits / asked.bits_per_second() as f64
        }
        // What Reno's rule of thumb leaves of a lossy path: sqrt(3/2) / sqrt(p) packets in a round trip.
        (
            Strategy::Volley,
            CongestionChoice::Cubic | CongestionChoice::Ebb | CongestionChoice::Bbr,
        ) => line + round * frames * (p.max(1e-4) / 1.5).sqrt() + 10.0 * round,
        (Strategy::StopAndWait, _) => frames * round * (1.0 + 3.0 * (p + q)),
        (Strategy::GoBackN, _) => {
            line * (1.0 + window * p) + frames * round * (1.0 / window + 3.0 * p)
        }
        (Strategy::SelectiveRepeat, _) => line + frames * round * (1.0 + 3.0 * (p + q)) / window,
    };
    Duration::from_secs_f64(seconds)
}

/// A scenario being written, turn by turn.
struct Draft {
    now: Duration,
    out: LinkConfig,
    back: LinkConfig,
    reads: bool,
    turns: Vec<Turn>,
}

impl Draft {
    fn new(order: &Order) -> Self {
        Self {
            now: Duration::ZERO,
            out: order.out.clone(),
            back: order.back.clone(),
            reads: true,
            turns: Vec::new(),
        }
    }

    fn finish(mut self, draws: &mut Draws, order: &Order) -> Vec<Turn> {
        // Faults strike while there is something to strike.
        let span = estimate(order, &order.out, &order.back).mul_f64(1.5).min(FAULTS_MAX);
        let count = draws.whole(0, 6);
        for _ in 0..count {
            self.wait(draws, span.as_secs_f64() / 2.0);
            self.strike(draws);
        }
        self.wait(draws, 1.0);
        self.heal(draws, order);
        self.turns
    }

    /// Lets some time pass, of what is left for faults.
    fn wait(&mut self, draws: &mut Draws, most: f64) {
        let left = FAULTS_MAX.saturating_sub(self.now);
        let span = draws.between_logs(1e-3, most.max(2e-3));
        self.now += Duration::from_secs_f64(span).min(left);
    }

    fn turn(&mut self, words: String) {
        let (at, out, back) = (self.now, self.out.clone(), self.back.clone());
        self.turns.push(Turn { at, words, out, back, reads: self.reads });
    }

    fn strike(&mut self, draws: &mut Draws) {
        match draws.whole(0, 11) {
            0 => self.black_out(draws),
            1 => self.stop_reading(draws),
            _ => {
                let change = draws.change();
                let way = self.ways(draws, |link| change.apply(link));
                self.turn(format!("{change} {way}"));
            }
        }
    }

    /// Changes one way of the link, or both.
    fn ways(&mut self, draws: &mut Draws, change: impl Fn(&mut LinkConfig)) -> &'static str {
        let (does_out, does_back, words) =
            [(true, true, "both ways"), (true, false, "out"), (false, true, "back")]
                [draws.whole(0, 2)];
        if does_out {
            change(&mut self.out);
        }
        if does_back {
            change(&mut self.back);
        }
        words
    }

    fn span(&self, draws: &mut Draws) -> Duration {
        let left = FAULTS_MAX.saturating_sub(self.now);
        Duration::from_secs_f64(draws.between_logs(0.01, 15.0)).min(left)
    }

    fn black_out(&mut self, draws: &mut Draws) {
        let before = (self.out.clone(), self.back.clone());
        let way = self.ways(draws, |link| link.loss = Share::new(1.0));
        let span = self.span(draws);
        self.turn(format!("blackout {way} for {}", show_duration(span)));
        self.now += span;
        (self.out, self.back) = before;
        self.turn("it is over".into());
    }

    fn stop_reading(&mut self, draws: &mut Draws) {
        self.reads = false;
        let span = self.span(draws);
        self.turn(format!("nobody reads for {}", show_duration(span)));
        self.now += span;
        self.reads = true;
        self.turn("they read again".into());
    }

    /// Mild loss and damage, no long way, a rate that carries what is asked for; the MTU stays what it
    /// has become.
    fn heal(&mut self, draws: &mut Draws, order: &Order) {
        let least = match order.congestion {
            CongestionChoice::Fixed(rate) => rate.bits_per_second() * order.flows as u64,
            CongestionChoice::Cubic | CongestionChoice::Ebb | CongestionChoice::Bbr => 0,
        };
        let least = Rate::from_bits_per_second(least.max(5_000_000));
        let loss = Share::new(if draws.is_in(0.5) { 0.0 } else { draws.between(0.0, 0.01) });
        let delay = draws.delay(0.05);
        let frames = match order.arq.strategy {
            Strategy::Volley => 0,
            _ => u64::from(order.arq.window) * order.flows as u64 * FRAME_IP_BYTES,
        };
        let queue = |rate| QueueSize::DEFAULT.bytes(rate, delay * 2).max(frames);
        for link in [&mut self.out, &mut self.back] {
            let rate = link.bottleneck.map(|narrow| narrow.rate.max(least));
            *link = LinkConfig {
                loss,
                delay,
                bottleneck: rate.map(|rate| Bottleneck { rate, queue: queue(rate) }),
                mtu: link.mtu,
                ..LinkConfig::default()
            };
        }
        let words = format!("healed, out: {}; back: {}", self.out, self.back);
        self.turn(words);
    }
}
