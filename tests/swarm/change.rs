//! What happens to one way of a link in the middle of a transfer.

use std::fmt;
use std::time::Duration;
use volley::base::units::{Share, show_duration, show_size};
use volley::link::{Bottleneck, BurstLoss, LinkConfig, Reordering};

/// From then on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Change {
    Bursts(BurstLoss),
    /// Nothing is left to chance.
    Calm,
    Corruption(Share),
    Delay(Duration),
    Duplication(Share),
    /// As a share of the delay.
    Jitter(Share),
    Loss(Share),
    Mtu(u16),
    Rate(Bottleneck),
    Reordering(Reordering),
}

impl Change {
    pub(crate) fn apply(self, link: &mut LinkConfig) {
        match self {
            Self::Bursts(bursts) => link.burst_loss = Some(bursts),
            Self::Calm => {
                let LinkConfig { delay, bottleneck, mtu, .. } = *link;
                *link = LinkConfig { delay, bottleneck, mtu, ..LinkConfig::default() };
            }
            Self::Corruption(share) => link.corruption = share,
            Self::Delay(delay) => {
                link.delay = delay;
                link.jitter = link.jitter.min(delay);
            }
            Self::Duplication(share) => link.duplication = share,
            Self::Jitter(share) => link.jitter = link.delay.mul_f64(share.get()),
            Self::Loss(share) => link.loss = share,
            Self::Mtu(mtu) => link.mtu = Some(mtu),
            Self::Rate(narrow) => link.bottleneck = Some(narrow),
            Self::Reordering(reordering) => link.reordering = reordering,
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bursts(bursts) => {
                write!(f, "{} loss in bursts of {}", bursts.share(), bursts.mean_length())
            }
            Self::Calm => write!(f, "no chance"),
            Self::Corruption(share) => write!(f, "{share} corrupted"),
            Self::Delay(delay) => write!(f, "{} delay", show_duration(*delay)),
            Self::Duplication(share) => write!(f, "{share} duplicated"),
            Self::Jitter(share) => write!(f, "jitter of {share} of the delay"),
            Self::Loss(share) => write!(f, "{share} loss"),
            Self::Mtu(mtu) => write!(f, "MTU {mtu}"),
            Self::Rate(Bottleneck { rate, queue }) => {
                write!(f, "{rate} with a queue of {}", show_size(*queue))
            }
            Self::Reordering(Reordering { share, by }) => {
                write!(f, "{share} held back by {}", show_duration(*by))
            }
        }
    }
}
