//! What happened to the packets of a run: all of it, or that of every so many packets.

use super::Bounds;
use crate::base::time::Instant;
use crate::transport::trace::TraceEvent;
use crate::wire::header::low_bits;
use std::collections::BTreeMap;
use std::ops::Range;

/// Packets whose bytes are remembered until they are acknowledged.
const KNOWN_MAX: usize = 1 << 16;

/// What can happen to a packet with file bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Sent for the first time.
    Sent,
    /// Its bytes had been sent before.
    SentAgain,
    /// The link lost or damaged it.
    LostOnLink,
    /// The sender declared it lost.
    DeclaredLost,
    /// Acknowledged.
    Acked,
}

/// Something that happened to a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// When.
    pub at: Instant,
    /// The packet's number.
    pub number: u64,
    /// The bytes of the transfer space that it carried.
    pub range: Range<u64>,
}

/// What happened to the packets of a run.
#[derive(Clone, Debug)]
pub struct Packets {
    /// In the order of [`Kind::ALL`].
    marks: [Thinned; Kind::ALL.len()],
    /// What the packets carry that are not acknowledged.
    known: BTreeMap<u64, Range<u64>>,
}

/// Marks of one kind: all of them, or those of every so many packets.
#[derive(Clone, Debug)]
pub struct Thinned {
    max: usize,
    every: u64,
    total: u64,
    kept: Vec<Mark>,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Sent, Self::SentAgain, Self::LostOnLink, Self::DeclaredLost, Self::Acked];
}

impl Packets {
    /// None yet.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        let max = bounds.marks / Kind::ALL.len();
        Self { marks: Kind::ALL.map(|_| Thinned::new(max)), known: BTreeMap::new() }
    }

    /// The sender's connection did something, or drew a conclusion. Says which bytes are acknowledged
    /// by it, if any are.
    pub fn traced(&mut self, at: Instant, event: &TraceEvent) -> Option<Range<u64>> {
        match event {
            TraceEvent::DataSent { number, range, again, .. } => {
                let kind = if *again { Kind::SentAgain } else { Kind::Sent };
                self.add(kind, Mark { at, number: *number, range: range.clone() });
                self.known.insert(*number, range.clone());
                if self.known.len() > KNOWN_MAX {
                    self.known.pop_first();
                }
            }
            TraceEvent::Acked { number } => {
                let range = self.known.remove(number)?;
                self.add(Kind::Acked, Mark { at, number: *number, range: range.clone() });
                return Some(range);
            }
            TraceEvent::Lost { number, range: Some(range), .. } => {
                self.add(Kind::DeclaredLost, Mark { at, number: *number, range: range.clone() });
            }
            _ => {}
        }
        None
    }

    /// Somebody else's packet did something: one that this program has no trace of.
    pub fn seen(&mut self, kind: Kind, mark: Mark) {
        self.add(kind, mark);
    }

    /// The link lost or damaged a packet whose number ends in those 32 bits.
    pub fn lost_on_link(&mut self, at: Instant, low: u32) {
        let Some((latest, _)) = self.known.last_key_value() else { return };
        let number = latest.checked_sub(low_bits(*latest).wrapping_sub(low).into());
        let found = number.and_then(|number| Some((number, self.known.get(&number)?.clone())));
        if let Some((number, range)) = found {
            self.add(Kind::LostOnLink, Mark { at, number, range });
        }
    }

    /// What happened of one kind.
    #[must_use]
    pub fn of(&self, kind: Kind) -> &Thinned {
        &self.marks[kind as usize]
    }

    /// Nothing is known of single packets.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.marks.iter().all(|marks| marks.total == 0)
    }

    /// The end of what was sent.
    #[must_use]
    pub fn end(&self) -> u64 {
        let kept = self.marks.iter().flat_map(|marks| &marks.kept);
        kept.map(|mark| mark.range.end).max().unwrap_or(0)
    }

    fn add(&mut self, kind: Kind, mark: Mark) {
        self.marks[kind as usize].add(mark);
    }
}

impl Thinned {
    fn new(max: usize) -> Self {
        Self { max, every: 1, total: 0, kept: Vec::new() }
    }

    fn add(&mut self, mark: Mark) {
        self.total += 1;
        // By number, so that the same packets stay of every kind.
        if mark.number.is_multiple_of(self.every) {
            self.kept.push(mark);
        }
        if self.kept.len() > self.max {
            self.every = self.every.saturating_mul(2);
            let every = self.every;
            self.kept.retain(|mark| mark.number.is_multiple_of(every));
            self.kept.truncate(self.max);
        }
    }

    /// How many there were.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// One packet of so many is kept.
    #[must_use]
    pub fn every(&self) -> u64 {
        self.every
    }

    /// Those kept, in order.
    #[must_use]
    pub fn kept(&self) -> &[Mark] {
        &self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::run::Report;
    use crate::transport::loss::LossRule;

    /// Sends that many packets, of which the link loses every `nth`, and repeats what is lost.
    fn carry(packets: &mut Packets, count: u64, nth: u64) {
        let mut next = 0;
        for offset in (0..).step_by(10).take(usize::try_from(count).expect("small")) {
            let at = Instant::from_nanos(offset);
            let range = offset..offset + 10;
            let mut again = false;
            loop {
                let number = next;
                next += 1;
                packets.traced(
                    at,
                    &TraceEvent::DataSent { number, range: range.clone(), again, frame: None },
                );
                if number % nth > 0 {
                    packets.traced(at, &TraceEvent::Acked { number });
                    break;
                }
                packets.lost_on_link(at, low_bits(number));
                let (range, rule) = (Some(range.clone()), LossRule::Packets);
                packets.traced(at, &TraceEvent::Lost { number, range, rule });
                again = true;
            }
        }
    }

    fn numbers(packets: &Packets, kind: Kind) -> Vec<u64> {
        packets.of(kind).kept().iter().map(|mark| mark.number).collect()
    }

    #[test]
    fn all_losses_are_kept_while_ordinary_packets_are_thinned_alike() {
        let bounds = Report::bounds(1);
        let mut packets = Packets::new(bounds);
        carry(&mut packets, 700_000, 50);
        for kind in [Kind::LostOnLink, Kind::DeclaredLost, Kind::SentAgain] {
            let marks = packets.of(kind);
            assert_eq!((marks.every(), marks.kept().len() as u64), (1, marks.total()), "{kind:?}");
            assert!(marks.total() > 14_000, "{kind:?}: {}", marks.total());
        }
        let (sent, acked) = (numbers(&packets, Kind::Sent), numbers(&packets, Kind::Acked));
        assert!(sent.len() > bounds.marks / 20 && sent.len() <= bounds.marks / 5, "{}", sent.len());
        let fates = [numbers(&packets, Kind::LostOnLink), acked].concat();
        assert!(sent.iter().all(|number| fates.contains(number)), "each has its fate");
    }

    #[test]
    fn every_kind_has_a_bound() {
        let bounds = Report::bounds(1000);
        let mut packets = Packets::new(bounds);
        carry(&mut packets, 20_000, 2);
        for kind in Kind::ALL {
            let marks = packets.of(kind);
            assert!(marks.kept().len() <= bounds.marks / 5, "{kind:?}");
            assert!(marks.total() >= 10_000 && marks.every() > 1, "{kind:?}");
        }
        assert!(packets.known.len() <= KNOWN_MAX);
    }

    #[test]
    fn what_the_link_lost_is_found_by_the_end_of_its_number() {
        let mut packets = Packets::new(Report::bounds(1));
        for number in [(1 << 32) - 1, 1 << 32] {
            let range = number..number + 1;
            let event = TraceEvent::DataSent { number, range, again: false, frame: None };
            packets.traced(Instant::ZERO, &event);
        }
        for low in [u32::MAX, 0, 77] {
            packets.lost_on_link(Instant::ZERO, low);
        }
        assert_eq!(numbers(&packets, Kind::LostOnLink), [(1 << 32) - 1, 1 << 32]);
    }
}
