//! The frame that says which packets arrived.

use crate::base::ecn::Ecn;
use crate::wire::cursor::{Malformed, Reader, put_varint, varint_len};
use std::ops::Range;
use std::time::Duration;

/// No ACK frame reaches further below its largest packet number than this.
pub const ACK_SPAN_MAX: u64 = 1 << 16;

/// The types of its two forms, and of the same with counts of marks behind them.
pub(super) const RANGES: u8 = 0x02;
pub(super) const BITMAP: u8 = 0x03;
pub(super) const MARKED_RANGES: u8 = 0x0b;
pub(super) const MARKED_BITMAP: u8 = 0x0c;

/// Which packets arrived, and when (RFC 9000 19.3, with counters of our own).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    /// From the arrival of the largest packet number to the sending of this frame.
    pub delay: Duration,
    /// DATA packets whose bytes had all arrived before: what was sent again without need.
    pub duplicates: u64,
    /// What the packets received said of congestion.
    pub marks: Marks,
    /// Ranges of packet numbers that arrived, highest first, disjoint and not adjacent. Not empty.
    pub ranges: Vec<Range<u64>>,
}

/// Packets received so far with each mark (RFC 9000 19.3.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// With ECT(0).
    pub ect0: u64,
    /// With ECT(1).
    pub ect1: u64,
    /// With CE: they met congestion.
    pub ce: u64,
}

impl Marks {
    /// Counts a packet.
    pub fn count(&mut self, ecn: Ecn) {
        match ecn {
            Ecn::NotEct => {}
            Ecn::Ect0 => self.ect0 += 1,
            Ecn::Ect1 => self.ect1 += 1,
            Ecn::Ce => self.ce += 1,
        }
    }

    fn is_none(self) -> bool {
        self == Self::default()
    }

    fn counts(self) -> [u64; 3] {
        [self.ect0, self.ect1, self.ce]
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self { ect0: reader.varint()?, ect1: reader.varint()?, ce: reader.varint()? })
    }
}

impl Ack {
    /// The largest packet number acknowledged.
    #[must_use]
    pub fn largest(&self) -> u64 {
        self.ranges[0].end - 1
    }

    /// The frame for as many of `ranges` (highest first) as fit in `room` bytes, and how many those
    /// are. Takes the shorter of the two encodings; `None` where not even one range fits.
    pub fn fitting(
        delay: Duration,
        duplicates: u64,
        marks: Marks,
        ranges: impl Iterator<Item = Range<u64>>,
        room: usize,
    ) -> Option<Self> {
        let (_, most) = ranges.size_hint();
        let mut taken: Vec<Range<u64>> = Vec::with_capacity(most.unwrap_or(0).min(64));
        let mut ranges_len = 0;
        let mut fixed = 0;
        for range in ranges {
            let Some(last) = taken.last() else {
                fixed = Self::fixed_len(delay, duplicates, marks, range.end - 1);
                ranges_len = varint_len(range.end - 1 - range.start);
                taken.push(range);
                continue;
            };
            let largest = taken[0].end - 1;
            ranges_len +=
                varint_len(last.start - range.end - 1) + varint_len(range.end - 1 - range.start);
            let bitmap_len = Self::bitmap_len(largest, range.start);
            if largest - range.start >= ACK_SPAN_MAX || fixed + ranges_len.min(bitmap_len) > room {
                break;
            }
            taken.push(range);
        }
        let first = taken.first_mut()?;
        first.start = first.start.max(first.end.saturating_sub(ACK_SPAN_MAX));
        (fixed + varint_len(first.end - 1 - first.start) <= room).then_some(Self {
            delay,
            duplicates,
            marks,
            ranges: taken,
        })
    }

    fn fixed_len(delay: Duration, duplicates: u64, marks: Marks, largest: u64) -> usize {
        let marks = if marks.is_none() { 0 } else { marks.counts().map(varint_len).iter().sum() };
        // Frame type, three integers, and the count of ranges or bits in at most four bytes.
        1 + varint_len(largest) + varint_len(micros(delay)) + varint_len(duplicates) + 4 + marks
    }

    fn bitmap_len(largest: u64, smallest: u64) -> usize {
        usize::try_from((largest - smallest).div_ceil(8)).unwrap_or(usize::MAX)
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        let smallest = self.ranges[self.ranges.len() - 1].start;
        let kind_at = out.len();
        let is_marked = !self.marks.is_none();
        out.push(if is_marked { MARKED_RANGES } else { RANGES });
        put_varint(out, self.largest());
        put_varint(out, micros(self.delay));
        put_varint(out, self.duplicates);
        let body_at = out.len();
        put_ranges(out, &self.ranges);
        if out.len() - body_at > Self::bitmap_len(self.largest(), smallest) + 4 {
            out.truncate(body_at);
            out[kind_at] = if is_marked { MARKED_BITMAP } else { BITMAP };
            put_bitmap(out, &self.ranges);
        }
        if is_marked {
            self.marks.counts().iter().for_each(|count| put_varint(out, *count));
        }
    }

    /// Reads what follows the type, one of the four.
    pub(super) fn read(reader: &mut Reader<'_>, kind: u8) -> Result<Self, Malformed> {
        let largest = reader.varint()?;
        let delay = Duration::from_micros(reader.varint()?);
        let duplicates = reader.varint()?;
        let ranges = match kind {
            RANGES | MARKED_RANGES => read_ranges(reader, largest)?,
            _ => read_bitmap(reader, largest)?,
        };
        let marks = match kind {
            MARKED_RANGES | MARKED_BITMAP => Marks::read(reader)?,
            _ => Marks::default(),
        };
        let lowest = ranges[ranges.len() - 1].start;
        if largest - lowest >= ACK_SPAN_MAX {
            return Err(reader.malformed());
        }
        Ok(Self { delay, duplicates, marks, ranges })
    }
}

/// RFC 9000 19.3.1: the length of the first range, then pairs of gap and length going down.
fn put_ranges(out: &mut Vec<u8>, ranges: &[Range<u64>]) {
    put_varint(out, ranges.len() as u64 - 1);
    put_varint(out, ranges[0].end - 1 - ranges[0].start);
    for pair in ranges.windows(2) {
        put_varint(out, pair[0].start - pair[1].end - 1);
        put_varint(out, pair[1].end - 1 - pair[1].start);
    }
}

fn read_ranges(reader: &mut Reader<'_>, largest: u64) -> Result<Vec<Range<u64>>, Malformed> {
    // Each further range takes at least two bytes.
    let count = reader.varint_up_to(reader.rest().len() / 2)?;
    let malformed = reader.malformed();
    let start = largest.checked_sub(reader.varint()?).ok_or(malformed)?;
    let mut ranges = Vec::with_capacity(count + 1);
    ranges.push(start..largest + 1);
    for _ in 0..count {
        let below = ranges[ranges.len() - 1].start;
        let (gap, len) = (reader.varint()? + 1, reader.varint()? + 1);
        let end = below.checked_sub(gap).ok_or(malformed)?;
        let start = end.checked_sub(len).ok_or(malformed)?;
        ranges.push(start..end);
    }
    Ok(ranges)
}

/// The number of bits, then a bit for each packet number below the largest, the next lower first,
/// least significant bit first.
fn put_bitmap(out: &mut Vec<u8>, ranges: &[Range<u64>]) {
    let largest = ranges[0].end - 1;
    let bits = largest - ranges[ranges.len() - 1].start;
    put_varint(out, bits);
    let at = out.len();
    out.resize(at + Ack::bitmap_len(largest, largest - bits), 0);
    for number in ranges.iter().cloned().flatten().filter(|number| *number != largest) {
        let bit = usize::try_from(largest - 1 - number).expect("a bitmap fits in a packet");
        out[at + bit / 8] |= 1 << (bit % 8);
    }
}

fn read_bitmap(reader: &mut Reader<'_>, largest: u64) -> Result<Vec<Range<u64>>, Malformed> {
    let bits = reader.varint_up_to(reader.rest().len() * 8)?;
    let map = reader.bytes(bits.div_ceil(8))?;
    if bits as u64 > largest {
        return Err(reader.malformed());
    }
    let mut ranges = vec![largest..largest + 1];
    let set = (0..bits).filter(|bit| map[bit / 8] >> (bit % 8) & 1 == 1);
    for number in set.map(|bit| largest - 1 - bit as u64) {
        let last = ranges.len() - 1;
        if ranges[last].start == number + 1 {
            ranges[last].start = number;
        } else {
            ranges.push(number..number + 1);
        }
    }
    Ok(ranges)
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(0)
}
