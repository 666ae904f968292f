//! What the lab sees of a kernel's TCP, as a run of a report: sequence numbers are offsets, and what was
//! sent before is sent again (RFC 9293 3.4).

use super::Seen;
use crate::base::time::{Duration, Instant};
use crate::lab::tap::{Content, Segment, Sighting};
use crate::link::{Direction, Fate};
use crate::report::run::{Bounds, Kind, Mark, Packets, Path, Sample, Samples};
use std::collections::VecDeque;
use std::ops::Range;

/// Segments whose acknowledgement is waited for to measure the round-trip time.
const TIMED_MAX: usize = 1 << 16;

/// One connection, seen from the side of its sender.
#[derive(Debug)]
pub(super) struct Segments {
    began: Instant,
    packets: Packets,
    samples: Samples,
    /// The sequence number of the first byte; known from the SYN.
    first: Option<u32>,
    sent: u64,
    acked: u64,
    seen: u64,
    /// The ends of segments that went once, and when they went.
    timed: VecDeque<(u64, Instant)>,
    smoothed_rtt: Duration,
}

impl Segments {
    /// None yet; time begins at `began`.
    pub(super) fn new(began: Instant, bounds: Bounds) -> Self {
        Self {
            began,
            packets: Packets::new(bounds),
            samples: Samples::new(bounds),
            first: None,
            sent: 0,
            acked: 0,
            seen: 0,
            timed: VecDeque::new(),
            smoothed_rtt: Duration::ZERO,
        }
    }

    /// A packet came to the link.
    pub(super) fn see(&mut self, sighting: &Sighting) {
        let Content::Tcp(segment) = &sighting.content else { return };
        match sighting.direction {
            Direction::Out if segment.is_syn() => {
                self.first = Some(segment.sequence.wrapping_add(1));
            }
            Direction::Out if segment.payload > 0 => self.on_data(sighting, segment),
            Direction::Out => {}
            Direction::Back => self.on_ack(sighting, segment),
        }
    }

    /// What was seen.
    pub(super) fn finish(self) -> Seen {
        Seen { samples: self.samples, packets: self.packets, notes: Vec::new() }
    }

    fn on_data(&mut self, sighting: &Sighting, segment: &Segment) {
        let Some(start) = self.unwrap(segment.sequence, self.sent) else { return };
        let range = start..start + segment.payload as u64;
        self.seen += 1;
        let mark = self.mark(sighting.at, range.clone());
        if range.start >= self.sent {
            self.sent = range.end;
            if self.timed.len() < TIMED_MAX {
                self.timed.push_back((range.end, sighting.at));
            }
            self.packets.seen(Kind::Sent, mark.clone());
        } else {
            // RFC 6298 3 (Karn): what went twice measures nothing.
            self.timed.retain(|(end, _)| !(range.start < *end && *end <= range.end));
            self.packets.seen(Kind::SentAgain, mark.clone());
        }
        if !sighting.fate.is_kept_whole() {
            self.packets.seen(Kind::LostOnLink, mark);
        }
    }

    fn on_ack(&mut self, sighting: &Sighting, segment: &Segment) {
        let Fate::Arrives(arrival) = sighting.fate else { return };
        let Some(acked) = self.unwrap(segment.acknowledgment, self.acked) else { return };
        if acked <= self.acked || acked > self.sent {
            return;
        }
        while let Some((end, sent_at)) =
            self.timed.front().copied().filter(|(end, _)| *end <= acked)
        {
            self.timed.pop_front();
            if end == acked {
                self.measure(arrival.at.since(sent_at));
            }
        }
        let range = self.acked..acked;
        self.acked = acked;
        let mark = self.mark(arrival.at, range);
        self.samples.push(Sample {
            at: mark.at,
            delivered: acked,
            path: Some(Path {
                congestion_window: None,
                bytes_in_flight: self.sent - acked,
                smoothed_rtt: self.smoothed_rtt,
            }),
        });
        self.packets.seen(Kind::Acked, mark);
    }

    /// RFC 6298 2.3: an eighth of the news.
    fn measure(&mut self, rtt: Duration) {
        self.smoothed_rtt = match self.smoothed_rtt {
            Duration::ZERO => rtt,
            smoothed => (smoothed * 7 + rtt) / 8,
        };
    }

    /// The offset that a sequence number means, near `near`; nothing before the SYN was seen.
    fn unwrap(&self, sequence: u32, near: u64) -> Option<u64> {
        let low = sequence.wrapping_sub(self.first?);
        let ahead = i64::from(low.wrapping_sub(crate::wire::header::low_bits(near)).cast_signed());
        near.checked_add_signed(ahead)
    }

    fn mark(&self, at: Instant, range: Range<u64>) -> Mark {
        Mark { at: Instant::ZERO + at.since(self.began), number: self.seen, range }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::{Arrival, Cause};
    use crate::report::run::Report;

    const MS: Duration = Duration::from_millis(1);

    fn sighting(ms: u32, direction: Direction, segment: Segment, fate: Fate) -> Sighting {
        let at = Instant::ZERO + MS * ms;
        Sighting { at, direction, size: 1500, fate, content: Content::Tcp(segment) }
    }

    fn arrives(ms: u32) -> Fate {
        Fate::Arrives(Arrival {
            at: Instant::ZERO + MS * ms,
            is_marked: false,
            flip: None,
            is_doubled: false,
        })
    }

    fn segment(sequence: u32, acknowledgment: u32, payload: usize, flags: u8) -> Segment {
        Segment { ports: [1, 2], sequence, acknowledgment, flags, window: 0, payload }
    }

    #[test]
    fn what_goes_twice_is_a_retransmission_also_where_sequence_numbers_wrap() {
        let mut segments = Segments::new(Instant::ZERO, Report::bounds(1));
        let first = u32::MAX - 999;
        let syn = segment(first.wrapping_sub(1), 0, 0, 2);
        segments.see(&sighting(0, Direction::Out, syn, arrives(25)));
        let data = |offset: u32| segment(first.wrapping_add(offset), 1, 1000, 16);
        segments.see(&sighting(50, Direction::Out, data(0), arrives(75)));
        segments.see(&sighting(51, Direction::Out, data(1000), Fate::Lost(Cause::Chance)));
        let ack = |offset: u32| segment(1, first.wrapping_add(offset), 0, 16);
        segments.see(&sighting(75, Direction::Back, ack(1000), arrives(100)));
        segments.see(&sighting(300, Direction::Out, data(1000), arrives(325)));
        segments.see(&sighting(325, Direction::Back, ack(2000), arrives(350)));
        let Seen { samples, packets, .. } = segments.finish();
        let totals = Kind::ALL.map(|kind| packets.of(kind).total());
        // Sent, sent again, lost on the link, declared lost (which only its sender knows), acknowledged.
        assert_eq!(totals, [2, 1, 1, 0, 2]);
        let last = samples.iter().last().expect("two acknowledgements");
        assert_eq!((last.delivered, last.at), (2000, Instant::ZERO + 350 * MS));
        assert_eq!(last.path.map(|path| path.smoothed_rtt), Some(50 * MS));
        assert_eq!(packets.of(Kind::SentAgain).kept()[0].range, 1000..2000);
    }
}
