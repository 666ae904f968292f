//! What happened to a lost packet, told from the trace of a transfer.

use crate::base::time::Instant;
use crate::net::Seen;
use crate::transport::loss::LossRule;
use crate::transport::trace::TraceEvent;
use crate::wire::header::low_bits;
use std::ops::Range;

/// One packet's story.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Story {
    /// The bytes of the transfer space that the packet carried.
    pub range: Range<u64>,
    /// What happened, in order.
    pub steps: Vec<(Instant, String)>,
    /// How often its bytes were lost.
    pub losses: usize,
}

/// The stories of packets that the link lost and whose bytes arrived in the end, in order of sending.
#[must_use]
pub fn of_lost_packets(trace: &[(Instant, Seen)]) -> Vec<Story> {
    let first_sendings = trace.iter().enumerate().filter_map(|(place, (_, seen))| match seen {
        Seen::Connection(TraceEvent::DataSent { number, range, again: false, .. }) => {
            Some((place, *number, range.clone()))
        }
        _ => None,
    });
    first_sendings
        .filter_map(|(place, number, range)| tell(&trace[place..], number, range))
        .collect()
}

/// Follows the bytes of one packet until they are acknowledged.
fn tell(trace: &[(Instant, Seen)], number: u64, range: Range<u64>) -> Option<Story> {
    let mut story = Story { range: range.clone(), steps: Vec::new(), losses: 0 };
    let mut current = number;
    for (at, seen) in trace {
        match seen {
            Seen::LostOnLink(low) if *low == low_bits(current) => {
                story.losses += 1;
                story.step(*at, format!("packet {current} is lost on the link"));
            }
            Seen::Connection(event) => match event {
                TraceEvent::DataSent { number, again: false, .. } if *number == current => {
                    story.step(*at, format!("sent as packet {number}"));
                }
                TraceEvent::DataSent { number, range: sent, again: true, .. }
                    if sent.contains(&range.start) =>
                {
                    current = *number;
                    story.step(*at, format!("its bytes go out again as packet {number}"));
                }
                TraceEvent::Lost { number, rule, .. } if *number == current => {
                    story.step(*at, format!("noticed: {}", show_rule(*rule)));
                }
                TraceEvent::Acked { number } if *number == current => {
                    story.step(*at, format!("packet {number} is acknowledged"));
                    return (story.losses > 0).then_some(story);
                }
                _ => {}
            },
            Seen::LostOnLink(_) => {}
        }
        if story.losses == 0 && story.steps.len() > 1 {
            // Acknowledged late or sent again for nothing: no story of a loss.
            return None;
        }
    }
    None
}

impl Story {
    fn step(&mut self, at: Instant, what: String) {
        self.steps.push((at, what));
    }
}

fn show_rule(rule: LossRule) -> &'static str {
    match rule {
        LossRule::Packets => "three later packets are acknowledged and it is not (RFC 9002 6.1.1)",
        LossRule::Timer => "its timer fires",
        LossRule::Time => "later packets are acknowledged and its time is up (RFC 9002 6.1.2)",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_nanos(ms * 1_000_000)
    }

    fn sent(number: u64, range: Range<u64>, again: bool) -> Seen {
        Seen::Connection(TraceEvent::DataSent { number, range, again, frame: None })
    }

    #[test]
    fn bytes_lost_twice_are_followed_to_their_end() {
        let lost = |number| {
            let (range, rule) = (Some(10..20), LossRule::Packets);
            Seen::Connection(TraceEvent::Lost { number, range, rule })
        };
        let acked = |number| Seen::Connection(TraceEvent::Acked { number });
        let trace = vec![
            (at(0), sent(0, 0..10, false)),
            (at(0), sent(1, 10..20, false)),
            (at(0), Seen::LostOnLink(1)),
            (at(50), acked(0)),
            (at(51), lost(1)),
            (at(52), sent(7, 10..20, true)),
            (at(52), Seen::LostOnLink(7)),
            (at(99), lost(7)),
            (at(99), sent(9, 10..20, true)),
            (at(150), acked(9)),
        ];
        let stories = of_lost_packets(&trace);
        assert_eq!(stories.len(), 1);
        assert_eq!((stories[0].range.clone(), stories[0].losses), (10..20, 2));
        let steps: Vec<&str> = stories[0].steps.iter().map(|(_, step)| step.as_str()).collect();
        assert_eq!(steps[0], "sent as packet 1");
        assert_eq!(steps[7], "packet 9 is acknowledged");
        assert_eq!(steps.len(), 8);
    }
}
