//! What runs were like, over time and packet by packet: what a report shows. Plain data within
//! bounds, whatever the size of a transfer.
//!
//! Whoever watches a run [`push`](Samples::push)es samples and tells [`Packets`] what happened to each
//! packet, in order of time. Both keep less detail as a run goes on, so that a run of a minute and
//! one of a day make reports of the same size.

mod packets;
mod samples;

pub use packets::{Kind, Mark, Packets, Thinned};
pub use samples::{Path, Sample, Samples};

use super::response::payload;
use super::summary::LinkSummary;
use crate::base::time::Duration;
use crate::base::units::Rate;
use crate::link::LinkConfig;

/// Points in time that all runs of a report may have together.
const SAMPLES_MAX: usize = 12_000;

/// Marks of packets that all runs of a report may have together: some megabytes.
const MARKS_MAX: usize = 200_000;

/// The least that one of many runs may have of each.
const SAMPLES_MIN: usize = 200;
const MARKS_MIN: usize = 500;

/// Several runs, to be shown beside each other. All texts are fit to be shown (`base::text::escape`).
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// What this is, in a few words.
    pub title: String,
    /// What to type to do it again.
    pub command: String,
    /// What the same seed repeats, and what it cannot.
    pub repeats: String,
    /// What the runs show, in sentences; nothing where nobody judges.
    pub verdict: Vec<String>,
    /// The runs.
    pub runs: Vec<Run>,
}

/// One run.
#[derive(Clone, Debug)]
pub struct Run {
    /// What tells it from the others.
    pub label: String,
    /// The imperfect link, if there was one.
    pub link: Option<LinkSummary>,
    /// How it went, all in all.
    pub totals: Totals,
    /// How it went over time.
    pub samples: Samples,
    /// What happened to its packets.
    pub packets: Packets,
    /// What else a reader has to know of it, in sentences.
    pub notes: Vec<String>,
}

/// How a run went, all in all.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// File bytes that arrived.
    pub delivered: u64,
    /// From its first packet to its end.
    pub elapsed: Duration,
    /// Why it ended before everything had arrived.
    pub broken_off: Option<String>,
    /// Bytes of the IP packets that the sender sent, where that is known.
    pub wire_bytes: Option<u64>,
    /// Packets whose bytes had been sent before, where that is known.
    pub retransmissions: Option<u64>,
}

/// How much detail one run may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    samples: usize,
    marks: usize,
}

impl Report {
    /// How much detail each of so many runs may have.
    #[must_use]
    pub fn bounds(runs: usize) -> Bounds {
        let runs = runs.max(1);
        Bounds {
            samples: (SAMPLES_MAX / runs).max(SAMPLES_MIN),
            marks: (MARKS_MAX / runs).max(MARKS_MIN),
        }
    }
}

impl Run {
    /// File bytes over time.
    #[must_use]
    pub fn goodput(&self) -> Rate {
        Rate::of(self.totals.delivered, self.totals.elapsed)
    }

    /// What the link could carry on the way out; nothing if nothing limits it.
    #[must_use]
    pub fn capacity(&self) -> Option<Rate> {
        capacity(&self.link.as_ref()?.out.config)
    }
}

/// The goodput of a sender that always fills the link with full packets and repeats only what chance
/// takes: C (1-p), less the headers. Nothing on a link without a rate.
#[must_use]
pub fn capacity(link: &LinkConfig) -> Option<Rate> {
    let mtu = link.mtu_or_usual();
    let kept = (1.0 - link.random_loss().get()) * payload(mtu, false) as f64 / f64::from(mtu);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a number of bits"
    )]
    Some(Rate::from_bits_per_second((link.bottleneck?.rate.bits_per_second() as f64 * kept) as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::units::Share;
    use crate::link::Bottleneck;

    #[test]
    fn a_link_carries_what_it_does_not_lose() {
        let rate = Rate::from_bits_per_second(10_000_000);
        let mut link = LinkConfig { loss: Share::new(0.1), ..LinkConfig::default() };
        assert_eq!(capacity(&link), None);
        link.bottleneck = Some(Bottleneck { rate, queue: 1 });
        assert_eq!(capacity(&link), Some(Rate::from_bits_per_second(8_712_000)));
        link.corruption = Share::new(0.5);
        assert_eq!(capacity(&link), Some(Rate::from_bits_per_second(4_356_000)));
    }

    #[test]
    fn many_runs_share_what_a_report_may_hold() {
        let (one, four) = (Report::bounds(1), Report::bounds(4));
        assert_eq!((one.samples, one.marks), (4 * four.samples, 4 * four.marks));
        assert_eq!(Report::bounds(0), one);
    }
}
