//! Chance: each datagram by itself (Bernoulli), or in bursts (Gilbert, 1960).

use super::config::BurstLoss;
use crate::base::units::Share;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

/// One kind of luck: strikes a share of all datagrams, each independently of all others.
#[derive(Clone, Debug)]
pub(super) struct Chance {
    draws: Xoshiro256PlusPlus,
    share: f64,
}

impl Chance {
    pub(super) fn new(stream: u64, share: Share) -> Self {
        Self { draws: Xoshiro256PlusPlus::seed_from_u64(stream), share: share.get() }
    }

    pub(super) fn strikes(&mut self) -> bool {
        self.share > 0.0 && self.draws.random::<f64>() < self.share
    }

    pub(super) fn draw(&mut self) -> u64 {
        self.draws.random()
    }
}

/// A chain of two states, good and bad; all datagrams are lost in the bad one.
///
/// With a mean burst length L and a share p of all datagrams lost, the chain leaves the bad state
/// with probability r = 1/L at each datagram and the good one with q = p r / (1 - p), so that the
/// bad state holds q / (q + r) = p of the time (Gilbert 1960; Hohlfeld et al. 2008, with h = 0).
#[derive(Clone, Debug)]
pub(super) struct Bursts {
    draws: Xoshiro256PlusPlus,
    ends: f64,
    begins: f64,
    is_bad: bool,
}

impl Bursts {
    pub(super) fn new(stream: u64, config: BurstLoss) -> Self {
        let mut draws = Xoshiro256PlusPlus::seed_from_u64(stream);
        let share = config.share().get();
        let ends = 1.0 / config.mean_length();
        let begins = share * ends / (1.0 - share);
        let is_bad = draws.random::<f64>() < share;
        Self { draws, ends, begins, is_bad }
    }

    pub(super) fn strikes(&mut self) -> bool {
        let is_lost = self.is_bad;
        let changes = if self.is_bad { self.ends } else { self.begins };
        self.is_bad ^= self.draws.random::<f64>() < changes;
        is_lost
    }
}
