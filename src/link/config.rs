//! What one direction of a link does, and how people write it.

use crate::base::range_set::RangeSet;
use crate::base::time::Duration;
use crate::base::units::{
    Rate, Share, UnitError, parse_duration, parse_size, show_duration, show_size,
};
use std::fmt;
use std::str::FromStr;

/// What one direction of a link does to datagrams. The default does nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LinkConfig {
    /// The share of datagrams that are lost, each independently of all others.
    pub loss: Share,
    /// Losses that come in bursts, besides.
    pub burst_loss: Option<BurstLoss>,
    /// Datagrams that are lost, by number, counted from 1.
    pub drops: RangeSet,
    /// How much later each datagram arrives.
    pub delay: Duration,
    /// How far the delay wanders, both ways.
    pub jitter: Duration,
    /// The narrowest place.
    pub bottleneck: Option<Bottleneck>,
    /// From this share of the narrowest place's queue on, datagrams that take marks are marked: they met
    /// congestion (RFC 3168).
    pub mark: Option<Share>,
    /// What is faster than this rate is lost, and nothing waits: a bucket of tokens that holds `queue`
    /// bytes, as providers limit what was not paid for.
    pub policer: Option<Bottleneck>,
    /// Datagrams that are overtaken.
    pub reordering: Reordering,
    /// The share of datagrams that arrive twice.
    pub duplication: Share,
    /// The share of datagrams that arrive with a wrong bit.
    pub corruption: Share,
    /// The largest IP packet that fits through, in bytes.
    pub mtu: Option<u16>,
}

impl LinkConfig {
    /// The largest IP packet that fits through, in bytes; that of Ethernet where nothing limits it.
    #[must_use]
    pub fn mtu_or_usual(&self) -> u16 {
        self.mtu.unwrap_or(DEFAULT_MTU)
    }

    /// The share of datagrams that chance takes or spoils, alone or in bursts: what is lost whatever
    /// the sender does.
    #[must_use]
    pub fn random_loss(&self) -> Share {
        let bursts = self.burst_loss.map_or(Share::ZERO, BurstLoss::share);
        let kept = [self.loss, bursts, self.corruption].map(|share| 1.0 - share.get());
        Share::new(1.0 - kept.iter().product::<f64>())
    }
}

/// A rate, and the room for what cannot leave at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bottleneck {
    /// Of IP packets, headers included.
    pub rate: Rate,
    /// Bytes of IP packets that may wait; who comes then is lost (drop-tail).
    pub queue: u64,
}

/// Losses in bursts: a share of all datagrams, and how many are lost in a row on average.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BurstLoss {
    share: Share,
    mean_length: f64,
}

impl BurstLoss {
    /// The share of all datagrams that are lost.
    #[must_use]
    pub fn share(self) -> Share {
        self.share
    }

    /// Datagrams lost in a row, on average; at least 1.
    #[must_use]
    pub fn mean_length(self) -> f64 {
        self.mean_length
    }
}

/// Datagrams that are held back, so that later ones overtake them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reordering {
    /// How many.
    pub share: Share,
    /// For how long.
    pub by: Duration,
}

impl Default for Reordering {
    fn default() -> Self {
        Self { share: Share::ZERO, by: Duration::from_millis(5) }
    }
}

/// The room in front of the bottleneck, as asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum QueueSize {
    /// In bandwidth-delay products: what leaves within as many round trips.
    Bdp(f64),
    /// In bytes.
    Bytes(u64),
}

impl QueueSize {
    /// What it is unless something else is asked for.
    pub const DEFAULT: Self = Self::Bdp(1.0);

    /// The least room for a queue measured in round trips: ten full packets, so that a short path
    /// has a queue at all.
    const LEAST: u64 = 15_000;

    /// In bytes, behind `rate` on a path of that round trip.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float cast saturates"
    )]
    pub fn bytes(self, rate: Rate, round_trip: Duration) -> u64 {
        match self {
            Self::Bdp(times) => {
                let bdp = rate.bytes_per_second() * round_trip.as_secs_f64();
                ((bdp * times).round() as u64).max(Self::LEAST)
            }
            Self::Bytes(bytes) => bytes,
        }
    }
}

impl FromStr for BurstLoss {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let wrong = || {
            UnitError::new(
                "write a share below 100% and a mean burst length from 1 to 1000000, such as 1%:10",
            )
        };
        let (share, length) = text.split_once(':').ok_or_else(wrong)?;
        let share: Share = share.parse().map_err(|_| wrong())?;
        let mean_length = length.trim().parse().map_err(|_| wrong())?;
        let begins = share.get() / mean_length / (1.0 - share.get());
        let is_possible = (1.0..=1e6).contains(&mean_length) && share.get() < 1.0;
        if !is_possible {
            return Err(wrong());
        }
        if begins > 1.0 {
            let least = (share.get() / (1.0 - share.get())).ceil();
            let text = format!("bursts that cover {share} are {least} datagrams long at least");
            return Err(UnitError::new(&text));
        }
        Ok(Self { share, mean_length })
    }
}

impl FromStr for Reordering {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (share, by) = match text.split_once(':') {
            Some((share, by)) => (share, Some(parse_duration(by)?)),
            None => (text, None),
        };
        let share = share.parse().map_err(|_| {
            UnitError::new("write a share and perhaps for how long, such as 1% or 1%:20ms")
        })?;
        Ok(Self { share, by: by.unwrap_or(Self::default().by) })
    }
}

impl FromStr for QueueSize {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let wrong =
            || UnitError::new("write round trips' worth or bytes, such as 1bdp, 0.5bdp, 64KiB");
        let lower = text.trim().to_ascii_lowercase();
        match lower.strip_suffix("bdp") {
            Some(times) => {
                let times = times.trim().parse().map_err(|_| wrong())?;
                if (0.0..=1000.0).contains(&times) { Ok(Self::Bdp(times)) } else { Err(wrong()) }
            }
            None => parse_size(text).map(Self::Bytes).map_err(|_| wrong()),
        }
    }
}

/// Reads numbers of datagrams such as `7,9-12`, counted from 1.
///
/// # Errors
/// A sentence that says how they are written.
pub fn parse_drops(text: &str) -> Result<RangeSet, UnitError> {
    let wrong = || UnitError::new("write numbers and ranges, counted from 1, such as 7,9-12");
    let mut drops = RangeSet::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let [first, last] = [first, last].map(|number| number.trim().parse::<u64>());
        match (first, last) {
            (Ok(first @ 1..), Ok(last)) if first <= last && last < u64::MAX => {
                drops.insert(first..last + 1);
            }
            _ => return Err(wrong()),
        }
    }
    Ok(drops)
}

impl fmt::Display for LinkConfig {
    /// `1 % loss, 25 ms delay, 100 Mbit/s with a queue of 625 kB`: what there is, in words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut facts = Vec::new();
        let mut say = |is_there: bool, fact: String| facts.extend(is_there.then_some(fact));
        let is_some = |share: Share| share > Share::ZERO;
        say(is_some(self.loss), format!("{} loss", self.loss));
        if let Some(BurstLoss { share, mean_length }) = self.burst_loss {
            say(is_some(share), format!("{share} loss in bursts of {mean_length}"));
        }
        say(!self.drops.is_empty(), format!("datagrams {} lost", show_drops(&self.drops)));
        let (delay, jitter) = (show_duration(self.delay), show_duration(self.jitter));
        match (self.delay.is_zero(), self.jitter.is_zero()) {
            (true, true) => {}
            (_, true) => say(true, format!("{delay} delay")),
            (_, false) => say(true, format!("{delay} ± {jitter} delay")),
        }
        if let Some(Bottleneck { rate, queue }) = self.bottleneck {
            let marks = self.mark.map(|from| format!(" that marks from {from} on"));
            let queue = show_size(queue) + &marks.unwrap_or_default();
            say(true, format!("{rate} with a queue of {queue}"));
        }
        if let Some(Bottleneck { rate, queue }) = self.policer {
            say(true, format!("policed to {rate} and {} at once", show_size(queue)));
        }
        let Reordering { share, by } = self.reordering;
        say(is_some(share), format!("{share} held back by {}", show_duration(by)));
        say(is_some(self.duplication), format!("{} duplicated", self.duplication));
        say(is_some(self.corruption), format!("{} corrupted", self.corruption));
        if let Some(mtu) = self.mtu {
            say(mtu != DEFAULT_MTU, format!("MTU {mtu}"));
        }
        if facts.is_empty() { write!(f, "nothing") } else { write!(f, "{}", facts.join(", ")) }
    }
}

/// The MTU of an imperfect link unless something else is asked for: that of Ethernet.
pub const DEFAULT_MTU: u16 = 1500;

fn show_drops(drops: &RangeSet) -> String {
    /// Ranges that are shown; the rest is only counted.
    const SHOWN: usize = 8;
    let mut parts: Vec<String> = drops
        .iter()
        .take(SHOWN)
        .map(|range| match range.end - range.start {
            1 => range.start.to_string(),
            _ => format!("{}-{}", range.start, range.end - 1),
        })
        .collect();
    if drops.len() > SHOWN {
        parts.push("...".into());
    }
    parts.join(",")
}
