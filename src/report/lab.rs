//! What happened in a lab, as a few lines for a person.

use super::relay::{RelayWay, show_way};
use super::summary::{push, show_ways};
use crate::base::time::Duration;
use crate::base::units::show_duration;

/// A lab that has ended.
#[derive(Clone, Debug)]
pub struct LabSummary {
    /// The addresses of A and B.
    pub hosts: [String; 2],
    /// From its beginning to its end.
    pub elapsed: Duration,
    /// From A to B.
    pub out: RelayWay,
    /// From B to A.
    pub back: RelayWay,
    /// What both drew from; nothing where the link did nothing.
    pub seed: Option<u64>,
    /// Packets lost because the machine was too slow to take them.
    pub missed: u64,
    /// Packets that came out of the link and that a host did not take.
    pub unsent: u64,
    /// What the command ended with.
    pub exit_code: u8,
}

impl LabSummary {
    /// The summary, one fact a line.
    #[must_use]
    pub fn text(&self) -> String {
        let Self { hosts: [a, b], out, back, missed, unsent, exit_code, .. } = self;
        let elapsed = show_duration(self.elapsed);
        let mut text =
            format!("lab of A ({a}) and B ({b}) for {elapsed}; the command ended with {exit_code}");
        if let Some(seed) = self.seed {
            let ways = show_ways(&out.way.config, &back.way.config, seed);
            push(&mut text, "link", &format!("{ways} (configured)"));
        }
        push(&mut text, "out", &format!("A to B: {}", show_way(out)));
        push(&mut text, "back", &format!("B to A: {}", show_way(back)));
        if *missed > 0 {
            let fact = format!(
                "{missed} packets more, not by the link: they came faster than they could be taken"
            );
            push(&mut text, "lost", &fact);
        }
        if *unsent > 0 {
            let fact =
                format!("{unsent} packets that came out of the link: a host did not take them");
            push(&mut text, "not sent", &fact);
        }
        if let Some(seed) = self.seed {
            let fact = format!(
                "with --seed {seed} the n-th packet each way has the same luck; when it comes is real time"
            );
            push(&mut text, "repeats", &fact);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::units::Share;
    use crate::link::{LinkConfig, LinkCounts, LossCounts};
    use crate::report::summary::Way;

    fn summary() -> LabSummary {
        let lost = LossCounts { chance: 5, ..LossCounts::default() };
        let counts = LinkCounts { offered: 100, lost, ..LinkCounts::default() };
        let config = LinkConfig { loss: Share::new(0.05), ..LinkConfig::default() };
        let way = RelayWay { way: Way { config, counts }, delivered: 95, delivered_bytes: 9500 };
        LabSummary {
            hosts: ["198.18.0.1", "198.18.0.2"].map(Into::into),
            elapsed: Duration::from_secs(2),
            out: way.clone(),
            back: way,
            seed: Some(7),
            missed: 0,
            unsent: 0,
            exit_code: 0,
        }
    }

    #[test]
    fn what_was_configured_stands_above_what_was_observed() {
        assert_eq!(
            summary().text(),
            "lab of A (198.18.0.1) and B (198.18.0.2) for 2 s; the command ended with 0
  link        5 % loss each way, seed 7 (configured)
  out         A to B: 5 of 100 datagrams lost, 5 %; 9.28 KiB of IP packets came out
  back        B to A: 5 of 100 datagrams lost, 5 %; 9.28 KiB of IP packets came out
  repeats     with --seed 7 the n-th packet each way has the same luck; when it comes is real time"
        );
    }

    #[test]
    fn what_the_link_did_not_do_is_told_apart() {
        let text = LabSummary { seed: None, missed: 3, unsent: 4, ..summary() }.text();
        for words in ["3 packets more, not by the link", "4 packets that came out"] {
            assert!(text.contains(words), "{text}");
        }
        assert!(!text.contains("seed"), "{text}");
    }
}
