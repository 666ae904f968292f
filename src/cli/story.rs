//! Finds the packets of a transfer that got lost, for their stories to be told.

use crate::base::time::Instant;
use crate::net::Seen;
use crate::transport::trace::TraceEvent;
use crate::wire::header::low_bits;
use std::ops::Range;

/// Where a trace tells what became of one packet's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Story {
    /// The bytes of the transfer space that the packet carried.
    pub range: Range<u64>,
    /// From the first sending to the acknowledgement: places in the trace.
    pub places: Range<usize>,
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
        .filter_map(|(place, number, range)| follow(trace, place, number, range))
        .collect()
}

/// Follows the bytes of the packet sent at `start` until they are acknowledged.
fn follow(
    trace: &[(Instant, Seen)],
    start: usize,
    number: u64,
    range: Range<u64>,
) -> Option<Story> {
    let mut losses = 0;
    let mut current = number;
    for (place, (_, seen)) in trace.iter().enumerate().skip(start) {
        match seen {
            Seen::LostOnLink { number, .. } if *number == low_bits(current) => losses += 1,
            Seen::Connection(TraceEvent::DataSent { number, range: sent, again: true, .. })
                if sent.contains(&range.start) =>
            {
                if losses == 0 {
                    // Sent again for nothing: no story of a loss.
                    return None;
                }
                current = *number;
            }
            Seen::Connection(TraceEvent::Acked { number }) if *number == current => {
                let places = start..place + 1;
                return (losses > 0).then_some(Story { range, places, losses });
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::Cause;

    fn sent(number: u64, range: Range<u64>, again: bool) -> Seen {
        Seen::Connection(TraceEvent::DataSent { number, range, again, frame: None })
    }

    #[test]
    fn bytes_lost_twice_are_followed_to_their_end() {
        let lost = |number| Seen::LostOnLink { number, cause: Cause::Chance };
        let acked = |number| Seen::Connection(TraceEvent::Acked { number });
        let seen = [
            sent(0, 0..10, false),
            sent(1, 10..20, false),
            lost(1),
            acked(0),
            sent(7, 10..20, true),
            lost(7),
            sent(9, 10..20, true),
            acked(9),
            acked(10),
        ];
        let trace: Vec<_> = seen.into_iter().map(|seen| (Instant::ZERO, seen)).collect();
        let story = Story { range: 10..20, places: 1..8, losses: 2 };
        assert_eq!(of_lost_packets(&trace), [story]);
    }
}
