//! Floor 1: a packet's fate on an imperfect link, as a function of its number and a seed.
//!
//! A [`Link`] is one direction. A datagram passes, in this order:
//!
//! 1. the list of exact drops, by its number (counted from 1), and the MTU;
//! 2. the policer, which lets pass or drops; the bottleneck: a drop-tail queue in front of a rate (`queue`), which
//!    may mark what comes while it is rather full, if its sender takes marks (RFC 3168);
//! 3. the wire behind it, where chance takes it: alone or in bursts (`loss`). A datagram lost here
//!    has used up its share of the rate, as one lost on a radio link has;
//! 4. the delay, which may wander (`jitter`); some datagrams are held back longer and overtaken;
//! 5. a flipped bit, and a second, intact copy right behind it.
//!
//! Every kind of chance draws once for every datagram from a generator of its own, so the n-th
//! datagram of a seed has the same luck whatever its size, whenever it comes, and whatever else the
//! link does. Only the queue and the jitter look at the time.

pub mod config;
mod jitter;
pub mod line;
mod loss;
pub mod preset;
mod queue;

pub use config::{Bottleneck, BurstLoss, LinkConfig, Reordering};

use crate::base::ecn::Ecn;
use crate::base::time::{Duration, Instant};
use crate::base::units::Share;
use jitter::Jitter;
use loss::{Bursts, Chance};
use queue::Queue;

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
    /// It comes out of the link.
    Arrives(Arrival),
    /// It never comes out.
    Lost(Cause),
}

impl Fate {
    /// When it comes out, if it does.
    #[must_use]
    pub fn arrival(self) -> Option<Instant> {
        match self {
            Self::Arrives(arrival) => Some(arrival.at),
            Self::Lost(_) => None,
        }
    }
}

impl Fate {
    /// Whether the datagram arrives as it was sent.
    #[must_use]
    pub fn is_kept_whole(self) -> bool {
        matches!(self, Self::Arrives(Arrival { flip: None, .. }))
    }
}

/// How a datagram comes out of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// When.
    pub at: Instant,
    /// The queue marked it: it met congestion.
    pub is_marked: bool,
    /// Damaged so, if at all.
    pub flip: Option<BitFlip>,
    /// An intact copy comes out right behind it.
    pub is_doubled: bool,
}

/// One bit that is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BitFlip(u64);

impl BitFlip {
    /// Flips the bit in `datagram`; an empty one has none.
    pub fn apply(self, datagram: &mut [u8]) {
        let len = datagram.len() as u64;
        if let Some(bit) = self.0.checked_rem(len * 8) {
            let byte = usize::try_from(bit / 8).expect("below the length");
            datagram[byte] ^= 1 << (bit % 8);
        }
    }
}

/// What took a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A burst of losses.
    Burst,
    /// Chance, each datagram by itself.
    Chance,
    /// The list of exact drops.
    Listed,
    /// It did not fit through: larger than the MTU.
    Oversize,
    /// The queue in front of the bottleneck was full, or the policer's bucket empty.
    Queue,
}

/// What a link has done so far, in datagrams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkCounts {
    /// That went in.
    pub offered: u64,
    /// Their bytes, as IP packets.
    pub offered_bytes: u64,
    /// That never came out, by cause.
    pub lost: LossCounts,
    /// That the queue marked.
    pub marked: u64,
    /// That came out with a wrong bit.
    pub corrupted: u64,
    /// That came out twice.
    pub duplicated: u64,
    /// That were held back.
    pub reordered: u64,
    /// That got through the queue, whatever became of them later.
    pub queued: u64,
    /// How long these waited in it, all together.
    pub waited: Duration,
}

/// Datagrams that never came out, by cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LossCounts {
    /// In a burst.
    pub burst: u64,
    /// By chance, each by itself.
    pub chance: u64,
    /// Listed.
    pub listed: u64,
    /// Larger than the MTU.
    pub oversize: u64,
    /// For want of room in the queue.
    pub queue: u64,
}

impl LossCounts {
    /// For whatever cause.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.burst + self.chance + self.listed + self.oversize + self.queue
    }

    fn count(&mut self, cause: Cause) {
        *match cause {
            Cause::Burst => &mut self.burst,
            Cause::Chance => &mut self.chance,
            Cause::Listed => &mut self.listed,
            Cause::Oversize => &mut self.oversize,
            Cause::Queue => &mut self.queue,
        } += 1;
    }
}

impl LinkCounts {
    /// The share of datagrams that were lost, for whatever cause.
    #[must_use]
    pub fn loss(&self) -> Share {
        Share::of(self.lost.total(), self.offered)
    }

    /// How long a datagram waited in the queue, on average.
    #[must_use]
    pub fn mean_wait(&self) -> Duration {
        let nanos = self.waited.as_nanos().checked_div(u128::from(self.queued)).unwrap_or(0);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// One direction of an imperfect link.
#[derive(Clone, Debug)]
pub struct Link {
    config: LinkConfig,
    loss: Chance,
    bursts: Option<Bursts>,
    /// Counts what would wait, and holds nothing back.
    policer: Option<Queue>,
    queue: Option<Queue>,
    jitter: Jitter,
    reordering: Chance,
    corruption: Chance,
    places: Chance,
    duplication: Chance,
    counts: LinkCounts,
}

impl Link {
    /// A link whose luck is a function of `seed` and `direction` alone.
    #[must_use]
    pub fn new(config: &LinkConfig, seed: u64, direction: Direction) -> Self {
        // The generator expands its seed with SplitMix64: neighbours share nothing.
        let stream = seed.wrapping_mul(2).wrapping_add(u64::from(direction == Direction::Back));
        // Loss draws from the stream itself, every other kind of chance from one beside it.
        let beside = |kind: u64| stream ^ kind << 56;
        Self {
            loss: Chance::new(stream, config.loss),
            bursts: config.burst_loss.map(|bursts| Bursts::new(beside(1), bursts)),
            policer: config.policer.map(Queue::new),
            queue: config.bottleneck.map(Queue::new),
            jitter: Jitter::new(beside(2), config.jitter),
            reordering: Chance::new(beside(3), config.reordering.share),
            corruption: Chance::new(beside(4), config.corruption),
            places: Chance::new(beside(5), Share::ZERO),
            duplication: Chance::new(beside(6), config.duplication),
            counts: LinkCounts::default(),
            config: config.clone(),
        }
    }

    /// Puts the next datagram into the link; `size` is that of its IP packet in bytes, and `ecn` what it says of
    /// congestion.
    pub fn carry(&mut self, now: Instant, size: usize, ecn: Ecn) -> Fate {
        self.counts.offered += 1;
        self.counts.offered_bytes += size as u64;
        // All luck is drawn before any of it counts, so that one loss does not shift another's.
        let is_lost = self.loss.strikes();
        let is_in_burst = self.bursts.as_mut().is_some_and(Bursts::strikes);
        let is_held_back = self.reordering.strikes();
        let is_corrupted = self.corruption.strikes();
        let place = self.places.draw();
        let is_doubled = self.duplication.strikes();
        let (leaves, is_marked) = match self.pass_bottleneck(now, size, ecn) {
            Ok(_) if is_in_burst => return self.lose(Cause::Burst),
            Ok(_) if is_lost => return self.lose(Cause::Chance),
            Ok(passed) => passed,
            Err(cause) => return self.lose(cause),
        };
        self.counts.marked += u64::from(is_marked);
        self.counts.corrupted += u64::from(is_corrupted);
        self.counts.duplicated += u64::from(is_doubled);
        self.counts.reordered += u64::from(is_held_back);
        let mut at = leaves + self.jitter.delay(leaves, self.config.delay);
        if is_held_back {
            at += self.config.reordering.by;
        }
        let flip = is_corrupted.then_some(BitFlip(place));
        Fate::Arrives(Arrival { at, is_marked, flip, is_doubled })
    }

    /// When the datagram leaves the bottleneck, and whether with a mark; or what takes it before.
    fn pass_bottleneck(
        &mut self,
        now: Instant,
        size: usize,
        ecn: Ecn,
    ) -> Result<(Instant, bool), Cause> {
        if self.config.drops.contains(self.counts.offered) {
            Err(Cause::Listed)
        } else if self.config.mtu.is_some_and(|mtu| size > usize::from(mtu)) {
            Err(Cause::Oversize)
        } else if self.policer.as_mut().is_some_and(|bucket| bucket.pass(now, size).is_none()) {
            Err(Cause::Queue)
        } else {
            let Some(queue) = &mut self.queue else { return Ok((now, false)) };
            let is_full = self.config.mark.is_some_and(|from| queue.is_full(now, from));
            let passage = queue.pass(now, size).ok_or(Cause::Queue)?;
            self.counts.queued += 1;
            self.counts.waited += passage.waited;
            Ok((passage.leaves, is_full && ecn.takes_marks()))
        }
    }

    fn lose(&mut self, cause: Cause) -> Fate {
        self.counts.lost.count(cause);
        Fate::Lost(cause)
    }

    /// Counts a datagram that was to arrive and had to be given up by who holds it until then.
    pub fn count_overflow(&mut self) {
        self.counts.lost.queue += 1;
    }

    /// What the link has done so far.
    #[must_use]
    pub fn counts(&self) -> LinkCounts {
        self.counts
    }

    /// Bytes that wait in front of the bottleneck.
    #[must_use]
    pub fn backlog(&self, now: Instant) -> u64 {
        self.queue.as_ref().map_or(0, |queue| queue.backlog(now))
    }
}

#[cfg(test)]
mod tests;
