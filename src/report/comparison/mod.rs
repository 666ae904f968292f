//! The same bytes over the same link in several ways: what was measured, as numbers.
//!
//! A [`Comparison`] has a [`Contender`] for each way and in it a [`Trial`] for each run. From it come a
//! [`table`], a [`verdict`] in plain sentences, and [`json`].

pub mod json;
pub mod table;
pub mod verdict;

use super::response::{LossyPath, Response, payload};
use super::run::capacity;
use crate::base::time::Duration;
use crate::base::units::{Rate, Share};
use crate::link::{LinkConfig, LinkCounts};

/// Several ways to carry the same bytes, and how each did.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// Where it took place.
    pub venue: Venue,
    /// Bytes carried in each run.
    pub size: u64,
    /// A run is cut off after this long.
    pub limit: Duration,
    /// The link, where it is one of ours.
    pub link: Option<LinkUsed>,
    /// The ways, in the order asked for.
    pub contenders: Vec<Contender>,
}

/// Where a comparison takes place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Venue {
    /// Two hosts of this machine's kernel, joined by the link model.
    Lab,
    /// The way to a listener, as it is.
    Path {
        /// Whom.
        host: String,
    },
    /// Virtual time; no kernel took part.
    Simulation,
}

impl Venue {
    /// What a seed repeats there, and what it cannot.
    #[must_use]
    pub fn repeats(&self) -> &'static str {
        match self {
            Self::Lab => {
                "The seed repeats which packets the link loses, by their number; time is real, so which \
                 bytes they carry differs from run to run."
            }
            Self::Path { .. } => {
                "The path is as it is: no two runs are the same. Of a TCP run that was cut off, what \
                 counts is what the kernel took, which runs ahead of the receiver by its buffers."
            }
            Self::Simulation => "Time is virtual: the seed repeats these runs to the last event.",
        }
    }
}

/// A link of ours.
#[derive(Clone, Debug)]
pub struct LinkUsed {
    /// From the sender to the receiver.
    pub out: LinkConfig,
    /// And back.
    pub back: LinkConfig,
    /// The first run draws from this, the next one from the next number.
    pub seed: u64,
}

/// One way to carry the bytes.
#[derive(Clone, Debug)]
pub struct Contender {
    /// What people call it, such as "TCP cubic".
    pub name: String,
    /// What is carried in UDP datagrams, or by the kernel's TCP.
    pub is_tcp: bool,
    /// What decides how fast it goes.
    pub control: Control,
    /// Its runs, in order.
    pub trials: Vec<Trial>,
}

/// What decides how fast a transfer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// CUBIC: a loss is congestion.
    Cubic,
    /// Reno: a loss is congestion.
    Reno,
    /// BBR, which goes by the rate and the round-trip time that it measures.
    Bbr,
    /// A rate that the user named.
    Fixed(Rate),
    /// One packet, then its acknowledgement.
    StopAndWait,
    /// A window of that many packets, sent again as a whole.
    GoBackN {
        /// Packets.
        window: u32,
    },
    /// A window of that many packets, sent again one by one.
    SelectiveRepeat {
        /// Packets.
        window: u32,
    },
    /// Another one of the kernel's.
    Other,
}

/// One run.
#[derive(Clone, Debug)]
pub struct Trial {
    /// From the first packet to the outcome, or to being cut off.
    pub elapsed: Duration,
    /// File bytes at the receiver by then.
    pub bytes: u64,
    /// How it ended.
    pub ended: Ended,
    /// What the link carried; nothing on a path that is not ours.
    pub link: Option<[LinkCounts; 2]>,
    /// Packets that the sender sent.
    pub packets_sent: Option<u64>,
    /// Packets whose bytes had been sent before.
    pub retransmissions: Option<u64>,
    /// The least round-trip time that was measured.
    pub min_rtt: Option<Duration>,
    /// Processor time of sender and receiver together.
    pub cpu: Option<Duration>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Every byte is verified and stored.
    Complete,
    /// Its time was up.
    CutOff,
    /// It failed, with this sentence.
    Failed(String),
}

impl Trial {
    /// A run that ended so, with nothing else known of it.
    #[must_use]
    pub fn of(ended: Ended, elapsed: Duration, bytes: u64) -> Self {
        Self {
            elapsed,
            bytes,
            ended,
            link: None,
            packets_sent: None,
            retransmissions: None,
            min_rtt: None,
            cpu: None,
        }
    }

    /// A run that failed.
    #[must_use]
    pub fn failed(elapsed: Duration, why: String) -> Self {
        Self::of(Ended::Failed(why), elapsed, 0)
    }

    /// File bytes at the receiver over time.
    #[must_use]
    pub fn goodput(&self) -> Rate {
        Rate::of(self.bytes, self.elapsed)
    }

    /// Retransmissions for each packet that the sender sent.
    #[must_use]
    pub fn repeated(&self) -> Option<Share> {
        Some(Share::of(self.retransmissions?, self.packets_sent?))
    }
}

impl Contender {
    /// The runs that neither failed nor are missing.
    pub fn measured(&self) -> impl Iterator<Item = &Trial> {
        self.trials.iter().filter(|trial| !matches!(trial.ended, Ended::Failed(_)))
    }

    /// The middle of what its runs say, between the two middle ones of an even number; nothing unless one of them says something.
    #[must_use]
    pub fn median(&self, of: impl Fn(&Trial) -> Option<f64>) -> Option<f64> {
        let mut values: Vec<f64> = self.measured().filter_map(of).collect();
        values.sort_by(f64::total_cmp);
        let (low, high) = (values.len().checked_sub(1)? / 2, values.len() / 2);
        Some(f64::midpoint(values[low], values[high]))
    }

    /// The median goodput.
    #[must_use]
    pub fn goodput(&self) -> Option<Rate> {
        let bits = self.median(|trial| Some(trial.goodput().bits_per_second() as f64))?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it was a whole number of bits"
        )]
        Some(Rate::from_bits_per_second(bits as u64))
    }

    /// Whether any byte came through in the run in the middle.
    #[must_use]
    pub fn has_carried(&self) -> bool {
        self.goodput().is_some_and(|rate| rate.bits_per_second() > 0)
    }

    /// The least and the greatest goodput.
    #[must_use]
    pub fn spread(&self) -> Option<(Rate, Rate)> {
        let rates = || self.measured().map(Trial::goodput);
        rates().min().zip(rates().max())
    }

    /// Whether any run had to be cut off.
    #[must_use]
    pub fn is_cut_off(&self) -> bool {
        self.trials.iter().any(|trial| trial.ended == Ended::CutOff)
    }

    /// What the first run that failed failed with.
    #[must_use]
    pub fn failure(&self) -> Option<&str> {
        self.trials.iter().find_map(|trial| match &trial.ended {
            Ended::Failed(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// The share of packets for which the queue had no room, over all runs.
    #[must_use]
    pub fn queue_loss(&self) -> Share {
        let counts = || self.trials.iter().filter_map(|trial| trial.link.map(|[out, _]| out));
        Share::of(counts().map(|out| out.lost.queue).sum(), counts().map(|out| out.offered).sum())
    }
}

impl Comparison {
    /// The goodput that the link can carry; nothing where it has no rate, or lets nothing through.
    #[must_use]
    pub fn possible(&self) -> Option<Rate> {
        capacity(&self.link.as_ref()?.out).filter(|rate| rate.bits_per_second() > 0)
    }

    /// What the formula of a congestion control allows it on this link, and no more than the link does.
    #[must_use]
    pub fn predict(&self, contender: &Contender) -> Option<Response> {
        let link = self.link.as_ref()?;
        let loss = Some(link.loss_events().get()).filter(|loss| *loss > 0.0)?;
        let round_trip = Some(link.round_trip()).filter(|span| !span.is_zero())?;
        let payload = payload(link.out.mtu_or_usual(), contender.is_tcp);
        let path = LossyPath { payload, round_trip, loss };
        let response = match contender.control {
            Control::Cubic => path.cubic(),
            Control::Reno => path.reno(),
            _ => return None,
        };
        let rate = self.possible().map_or(response.rate, |possible| possible.min(response.rate));
        Some(Response { rate, ..response })
    }

    /// Runs of each contender.
    #[must_use]
    pub fn repeats(&self) -> usize {
        self.contenders.iter().map(|contender| contender.trials.len()).max().unwrap_or(0)
    }
}

impl LinkUsed {
    /// The share of packets at which a loss begins: a congestion control counts a burst once.
    #[must_use]
    pub fn loss_events(&self) -> Share {
        let bursts = self.out.burst_loss.map_or(0.0, |b| b.share().get() / b.mean_length());
        Share::new(self.out.loss.get() + self.out.corruption.get() + bursts)
    }

    /// The round-trip time of a link in which nothing waits.
    #[must_use]
    pub fn round_trip(&self) -> Duration {
        self.out.delay + self.back.delay
    }
}

#[cfg(test)]
mod tests;
