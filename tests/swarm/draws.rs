//! Luck, and what is drawn with it: the parts of a scenario.

use crate::change::Change;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use std::time::Duration;
use volley::base::units::{Rate, Share};
use volley::link::config::{DEFAULT_MTU, QueueSize};
use volley::link::{Bottleneck, LinkConfig, Reordering};
use volley::transport::arq::{ArqConfig, Strategy};
use volley::transport::config::CongestionChoice;

/// The smallest MTU that carries the base datagram.
const MTU_MIN: u16 = 1228;

/// Luck.
pub(crate) struct Draws(Xoshiro256PlusPlus);

impl Draws {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    pub(crate) fn is_in(&mut self, share: f64) -> bool {
        self.0.random::<f64>() < share
    }

    pub(crate) fn between(&mut self, least: f64, most: f64) -> f64 {
        least + (most - least) * self.0.random::<f64>()
    }

    /// Each order of magnitude is as likely as every other.
    pub(crate) fn between_logs(&mut self, least: f64, most: f64) -> f64 {
        self.between(least.ln(), most.ln()).exp()
    }

    /// The same, as a whole number.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "positive, and a float cast saturates"
    )]
    pub(crate) fn whole_between_logs(&mut self, least: f64, most: f64) -> u64 {
        self.between_logs(least, most).round() as u64
    }

    /// Both ends included.
    pub(crate) fn whole(&mut self, least: usize, most: usize) -> usize {
        self.0.random_range(least..=most)
    }

    pub(crate) fn arq(&mut self) -> ArqConfig {
        let strategy = match self.whole(0, 9) {
            0 => Strategy::StopAndWait,
            1 | 2 => Strategy::GoBackN,
            3 => Strategy::SelectiveRepeat,
            _ => Strategy::Volley,
        };
        let window = u32::try_from(self.whole_between_logs(1.0, 256.0)).expect("small");
        ArqConfig { strategy, window, ..ArqConfig::default() }
    }

    /// Something that happens to one way of a link.
    pub(crate) fn change(&mut self) -> Change {
        match self.whole(0, 9) {
            0 => {
                let (share, length) = (self.between(0.5, 15.0), self.whole(2, 40));
                let text = format!("{share:.1}%:{length}");
                Change::Bursts(text.parse().expect("as long as the share asks for"))
            }
            1 => Change::Calm,
            2 => Change::Corruption(Share::new(self.between(0.001, 0.1))),
            3 => Change::Delay(self.delay(0.4)),
            4 => Change::Duplication(Share::new(self.between(0.01, 0.5))),
            5 => Change::Jitter(Share::new(self.between(0.0, 1.0))),
            6 => Change::Loss(Share::new(self.between(0.01, 0.4))),
            7 => Change::Mtu(self.mtu()),
            8 => Change::Rate(self.bottleneck(5e5, 2e8)),
            _ => Change::Reordering(self.reordering()),
        }
    }

    /// Bytes that a side has to say beside the files.
    pub(crate) fn speech(&mut self) -> usize {
        if self.is_in(0.5) {
            return 0;
        }
        usize::try_from(self.whole_between_logs(1.0, 2e5)).expect("small")
    }

    pub(crate) fn flows(&mut self) -> usize {
        if self.is_in(0.8) { 1 } else { self.whole(2, 6) }
    }

    /// What the handshake goes over: not more than 20 % lost or damaged each way.
    pub(crate) fn first_link(&mut self) -> (LinkConfig, LinkConfig) {
        let delay = self.delay(0.15);
        let narrow = self.is_in(0.8).then(|| self.bottleneck(1e6, 3e8));
        let mtu = self.is_in(0.2).then(|| self.mtu());
        let mut link = || {
            let mut some = |share: f64, most: f64| {
                Share::new(if self.is_in(share) { self.between(0.0, most) } else { 0.0 })
            };
            let (loss, corruption) = (some(0.5, 0.15), some(0.25, 0.05));
            let duplication = some(0.25, 0.3);
            let wander = some(0.3, 0.5);
            let reordering =
                if self.is_in(0.3) { self.reordering() } else { Reordering::default() };
            let jitter = delay.mul_f64(wander.get());
            LinkConfig {
                loss,
                corruption,
                duplication,
                jitter,
                delay,
                reordering,
                bottleneck: narrow,
                mtu,
                ..LinkConfig::default()
            }
        };
        let (out, mut back) = (link(), link());
        if self.is_in(0.2) {
            back.bottleneck = Some(self.bottleneck(1e6, 3e8));
        }
        (out, back)
    }

    pub(crate) fn congestion(&mut self, out: &LinkConfig, flows: usize) -> CongestionChoice {
        let drawn = self.between(0.0, 1.0);
        let choices = [
            (0.2, CongestionChoice::Cubic),
            (0.45, CongestionChoice::Ebb),
            (0.6, CongestionChoice::Bbr),
        ];
        if let Some((_, choice)) = choices.into_iter().find(|(below, _)| drawn < *below) {
            return choice;
        }
        let line = out.bottleneck.map_or(50_000_000, |narrow| narrow.rate.bits_per_second());
        let percent = self.whole(30, 120) as u64;
        let rate = line * percent / 100 / flows as u64;
        CongestionChoice::Fixed(Rate::from_bits_per_second(rate))
    }

    /// Bytes of one flow.
    pub(crate) fn size(&mut self, strategy: Strategy, flows: usize) -> u64 {
        let most = match strategy {
            Strategy::Volley | Strategy::SelectiveRepeat => 8_000_000,
            Strategy::StopAndWait | Strategy::GoBackN => 200_000,
        };
        let size = match self.whole(0, 19) {
            0 => return 0,
            1 => return 1,
            2 => return self.around_a_packet(),
            3..=10 => self.whole_between_logs(1e3, 1e5),
            11..=17 => self.whole_between_logs(1e5, 1e6),
            _ => self.whole_between_logs(1e6, 8e6),
        };
        size.min(most) / flows as u64
    }

    /// Where off-by-one errors live.
    pub(crate) fn around_a_packet(&mut self) -> u64 {
        let payload = [1180, 1452][self.whole(0, 1)];
        (payload * self.whole(1, 12) + self.whole(0, 2) - 1) as u64
    }

    pub(crate) fn delay(&mut self, most: f64) -> Duration {
        if self.is_in(0.1) {
            Duration::ZERO
        } else {
            Duration::from_secs_f64(self.between_logs(1e-4, most))
        }
    }

    pub(crate) fn bottleneck(&mut self, least: f64, most: f64) -> Bottleneck {
        let rate = Rate::from_bits_per_second(self.whole_between_logs(least, most));
        let span = Duration::from_secs_f64(self.between_logs(2e-3, 0.3));
        Bottleneck { rate, queue: QueueSize::DEFAULT.bytes(rate, span) }
    }

    pub(crate) fn reordering(&mut self) -> Reordering {
        let by = Duration::from_secs_f64(self.between_logs(1e-3, 0.1));
        Reordering { share: Share::new(self.between(0.001, 0.5)), by }
    }

    pub(crate) fn mtu(&mut self) -> u16 {
        let known = [MTU_MIN, 1280, 1400, 1420, 1492, DEFAULT_MTU];
        known[self.whole(0, known.len() - 1)]
    }
}
