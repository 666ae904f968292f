//! Floor 1: a packet's fate on an imperfect link, as a function of its number and a seed.
//!
//! A [`Link`] is one direction. It draws once for every datagram, so the n-th datagram of a seed has
//! the same fate whatever its size and whenever it comes.

use crate::base::time::{Duration, Instant};
use crate::base::units::Share;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

/// What one direction of a link does to datagrams.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LinkConfig {
    /// The share of datagrams that are lost, each independently of all others.
    pub loss: Share,
    /// How much later each datagram arrives.
    pub delay: Duration,
}

/// Which way a link carries, seen from the side it is configured on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From this side to the other.
    Out,
    /// From the other side to this one.
    Back,
}

/// What becomes of one datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It comes out of the link then.
    Arrives(Instant),
    /// It never comes out.
    Lost,
}

/// What a link has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkCounts {
    /// Datagrams that went in.
    pub offered: u64,
    /// Datagrams that never came out.
    pub lost: u64,
}

impl LinkCounts {
    /// The share of datagrams that were lost.
    #[must_use]
    pub fn loss(&self) -> Share {
        Share::of(self.lost, self.offered)
    }
}

/// One direction of an imperfect link.
#[derive(Clone, Debug)]
pub struct Link {
    config: LinkConfig,
    draws: Xoshiro256PlusPlus,
    counts: LinkCounts,
}

impl Link {
    /// A link whose losses are a function of `seed` and `direction` alone.
    #[must_use]
    pub fn new(config: LinkConfig, seed: u64, direction: Direction) -> Self {
        // The generator expands its seed with SplitMix64: neighbours share nothing.
        let stream = seed.wrapping_mul(2).wrapping_add(u64::from(direction == Direction::Back));
        let draws = Xoshiro256PlusPlus::seed_from_u64(stream);
        Self { config, draws, counts: LinkCounts::default() }
    }

    /// Puts the next datagram into the link.
    pub fn carry(&mut self, now: Instant) -> Fate {
        self.counts.offered += 1;
        if self.draws.random::<f64>() < self.config.loss.get() {
            self.counts.lost += 1;
            Fate::Lost
        } else {
            Fate::Arrives(now + self.config.delay)
        }
    }

    /// What the link has done so far.
    #[must_use]
    pub fn counts(&self) -> LinkCounts {
        self.counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fates(seed: u64, direction: Direction, loss: f64) -> Vec<bool> {
        let config = LinkConfig { loss: Share::new(loss), delay: Duration::ZERO };
        let mut link = Link::new(config, seed, direction);
        (0..100_000).map(|_| link.carry(Instant::ZERO) == Fate::Lost).collect()
    }

    #[test]
    fn a_seed_repeats_and_directions_are_drawn_apart() {
        assert_eq!(fates(7, Direction::Out, 0.3), fates(7, Direction::Out, 0.3));
        for (seed, direction) in [(8, Direction::Out), (7, Direction::Back)] {
            let same = fates(7, Direction::Out, 0.5)
                .iter()
                .zip(fates(seed, direction, 0.5))
                .filter(|(a, b)| **a == *b)
                .count();
            assert!((49_000..51_000).contains(&same), "{same} of 100000 agree");
        }
    }

    #[test]
    fn observed_loss_is_within_three_sigma() {
        for loss in [0.0, 0.01, 0.05, 0.4, 1.0] {
            let lost = fates(42, Direction::Out, loss).iter().filter(|lost| **lost).count() as f64;
            let sigma = (1e5 * loss * (1.0 - loss)).sqrt();
            assert!((lost - 1e5 * loss).abs() <= 3.0 * sigma, "{loss}: {lost}");
        }
    }

    #[test]
    fn delay_moves_the_arrival() {
        let config = LinkConfig { loss: Share::ZERO, delay: Duration::from_millis(25) };
        let mut link = Link::new(config, 1, Direction::Out);
        let now = Instant::from_nanos(5);
        assert_eq!(link.carry(now), Fate::Arrives(now + Duration::from_millis(25)));
    }

    #[test]
    fn the_draws_of_a_seed_never_change() {
        let lost: Vec<usize> = fates(1, Direction::Out, 0.05)
            .iter()
            .enumerate()
            .filter_map(|(index, lost)| lost.then_some(index))
            .take(5)
            .collect();
        assert_eq!(lost, FIRST_LOSSES_OF_SEED_1);
    }

    /// Seeds are printed, shared and put into exercise sheets: they must outlive versions.
    const FIRST_LOSSES_OF_SEED_1: [usize; 5] = [44, 55, 81, 86, 105];
}
