//! The typed elements inside a CONTROL packet.

use super::cursor::{Malformed, Reader, put_short_string, put_varint, varint_len};
use super::header::OFFSET_END;
use std::ops::Range;
use std::time::Duration;

/// The longest reason in a CLOSE frame.
pub const CLOSE_REASON_MAX: usize = 200;

/// No ACK frame reaches further below its largest packet number than this.
pub const ACK_SPAN_MAX: u64 = 1 << 16;

/// No HAVE frame names more ranges than this: six times what fits into one of this writer's.
pub const HAVE_RANGES_MAX: usize = 2048;

const PAD: u8 = 0x00;
const PING: u8 = 0x01;
const ACK_RANGES: u8 = 0x02;
const ACK_BITMAP: u8 = 0x03;
const HAVE: u8 = 0x04;
const STREAM: u8 = 0x05;
const CREDIT: u8 = 0x06;
const CLOSE: u8 = 0x07;
const PATH_CHALLENGE: u8 = 0x08;
const PATH_RESPONSE: u8 = 0x09;
const WORKING: u8 = 0x0a;

/// Which packets arrived, and when (RFC 9000 19.3, with counters of our own).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    /// From the arrival of the largest packet number to the sending of this frame.
    pub delay: Duration,
    /// DATA packets whose bytes had all arrived before: what was sent again without need.
    pub duplicates: u64,
    /// Ranges of packet numbers that arrived, highest first, disjoint and not adjacent. Not empty.
    pub ranges: Vec<Range<u64>>,
}

/// What of the transfer space is still missing (authoritative where an ACK was lost).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Have {
    /// Bytes written by the receiver.
    pub written: u64,
    /// This frame speaks of the offsets below this one.
    pub upper: u64,
    /// The missing ranges below `upper`, lowest first, disjoint and not adjacent.
    pub missing: Vec<Range<u64>>,
}

/// One element of a CONTROL packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// Which packets arrived.
    Ack(Ack),
    /// The end of the connection and why.
    Close {
        /// Zero when all is well; the meaning of others is the transfer's.
        code: u16,
        /// For a person to read.
        reason: &'a [u8],
    },
    /// How far DATA may reach.
    Credit {
        /// No byte at or above this offset may be sent.
        limit: u64,
    },
    /// What of the transfer space is still missing.
    Have(Have),
    /// To be sent back from where it arrives (RFC 9000 19.17).
    PathChallenge([u8; 8]),
    /// What a challenge held (RFC 9000 19.18).
    PathResponse([u8; 8]),
    /// Asks for an acknowledgement.
    Ping,
    /// A piece of the control stream.
    Stream {
        /// Position of the piece in the stream.
        offset: u64,
        /// The piece.
        data: &'a [u8],
    },
    /// Its sender works on the transfer, though nothing else shows it.
    Working {
        /// Larger each time, as long as the work gets on.
        counter: u64,
    },
}

/// Bytes that a STREAM frame takes beside its data, at most.
pub const STREAM_OVERHEAD: usize = 1 + 8 + 2;

impl Frame<'_> {
    /// Appends the frame.
    pub fn put(&self, out: &mut Vec<u8>) {
        match self {
            Frame::Ack(ack) => ack.put(out),
            Frame::Close { code, reason } => {
                out.push(CLOSE);
                out.extend_from_slice(&code.to_be_bytes());
                put_short_string(out, &reason[..reason.len().min(CLOSE_REASON_MAX)]);
            }
            Frame::Credit { limit } => {
                out.push(CREDIT);
                put_varint(out, *limit);
            }
            Frame::Have(have) => have.put(out),
            Frame::PathChallenge(data) => {
                out.push(PATH_CHALLENGE);
                out.extend_from_slice(data);
            }
            Frame::PathResponse(data) => {
                out.push(PATH_RESPONSE);
                out.extend_from_slice(data);
            }
            Frame::Ping => out.push(PING),
            Frame::Stream { offset, data } => {
                out.push(STREAM);
                put_varint(out, *offset);
                put_varint(out, data.len() as u64);
                out.extend_from_slice(data);
            }
            Frame::Working { counter } => {
                out.push(WORKING);
                put_varint(out, *counter);
            }
        }
    }

    /// Whether the packet that carries the frame must be acknowledged (RFC 9002 2).
    #[must_use]
    pub fn is_ack_eliciting(&self) -> bool {
        matches!(self, Frame::Have(_) | Frame::Ping | Frame::Stream { .. })
    }
}

/// Reads the next frame, skipping padding; `None` at the end of the packet.
///
/// # Errors
/// Malformed or unknown: the rest of the packet means nothing then.
pub fn read_frame<'a>(reader: &mut Reader<'a>) -> Result<Option<Frame<'a>>, Malformed> {
    let kind = loop {
        if reader.is_empty() {
            return Ok(None);
        }
        match reader.u8()? {
            PAD => {}
            kind => break kind,
        }
    };
    Ok(Some(match kind {
        PING => Frame::Ping,
        ACK_RANGES => Frame::Ack(Ack::read(reader, read_ranges)?),
        ACK_BITMAP => Frame::Ack(Ack::read(reader, read_bitmap)?),
        HAVE => Frame::Have(Have::read(reader)?),
        STREAM => {
            let offset = reader.varint()?;
            let len = reader.varint_up_to(reader.rest().len())?;
            Frame::Stream { offset, data: reader.bytes(len)? }
        }
        CREDIT => Frame::Credit { limit: reader.varint()? },
        CLOSE => {
            Frame::Close { code: reader.u16()?, reason: reader.short_string(CLOSE_REASON_MAX)? }
        }
        PATH_CHALLENGE => Frame::PathChallenge(reader.array()?),
        PATH_RESPONSE => Frame::PathResponse(reader.array()?),
        WORKING => Frame::Working { counter: reader.varint()? },
        _ => return Err(reader.malformed()),
    }))
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
        ranges: impl Iterator<Item = Range<u64>>,
        room: usize,
    ) -> Option<Self> {
        let (_, most) = ranges.size_hint();
        let mut taken: Vec<Range<u64>> = Vec::with_capacity(most.unwrap_or(0).min(64));
        let mut ranges_len = 0;
        let mut fixed = 0;
        for range in ranges {
            let Some(last) = taken.last() else {
                fixed = Self::prefix_len(delay, duplicates, range.end - 1);
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
            ranges: taken,
        })
    }

    fn prefix_len(delay: Duration, duplicates: u64, largest: u64) -> usize {
        // Frame type, three integers, and the count of ranges or bits in at most four bytes.
        1 + varint_len(largest) + varint_len(micros(delay)) + varint_len(duplicates) + 4
    }

    fn bitmap_len(largest: u64, smallest: u64) -> usize {
        usize::try_from((largest - smallest).div_ceil(8)).unwrap_or(usize::MAX)
    }

    fn put(&self, out: &mut Vec<u8>) {
        let smallest = self.ranges[self.ranges.len() - 1].start;
        let kind_at = out.len();
        out.push(ACK_RANGES);
        put_varint(out, self.largest());
        put_varint(out, micros(self.delay));
        put_varint(out, self.duplicates);
        let body_at = out.len();
        put_ranges(out, &self.ranges);
        if out.len() - body_at > Self::bitmap_len(self.largest(), smallest) + 4 {
            out.truncate(body_at);
            out[kind_at] = ACK_BITMAP;
            put_bitmap(out, &self.ranges);
        }
    }

    fn read<'a>(reader: &mut Reader<'a>, body: ReadBody<'a>) -> Result<Self, Malformed> {
        let largest = reader.varint()?;
        let delay = Duration::from_micros(reader.varint()?);
        let duplicates = reader.varint()?;
        let ranges = body(reader, largest)?;
        let lowest = ranges[ranges.len() - 1].start;
        if largest - lowest >= ACK_SPAN_MAX {
            return Err(reader.malformed());
        }
        Ok(Self { delay, duplicates, ranges })
    }
}

/// Reads what follows the prefix of an ACK frame, given its largest packet number.
type ReadBody<'a> = fn(&mut Reader<'a>, u64) -> Result<Vec<Range<u64>>, Malformed>;

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

impl Have {
    /// The frame for as many of the ranges missing below `upper` (lowest first) as fit in `room`
    /// bytes; it speaks of fewer offsets where they do not all fit.
    pub fn fitting(
        written: u64,
        upper: u64,
        missing: impl Iterator<Item = Range<u64>>,
        room: usize,
    ) -> Self {
        let mut have = Self { written, upper, missing: Vec::new() };
        // Frame type, `written`, `upper` and the count.
        let mut len = 1 + 8 + 8 + 2;
        let mut end = 0;
        for range in missing {
            len += varint_len(range.start - end) + varint_len(range.end - range.start);
            if len > room {
                have.upper = range.start;
                break;
            }
            end = range.end;
            have.missing.push(range);
        }
        have
    }

    fn put(&self, out: &mut Vec<u8>) {
        out.push(HAVE);
        put_varint(out, self.written);
        put_varint(out, self.upper);
        put_varint(out, self.missing.len() as u64);
        let mut end = 0;
        for range in &self.missing {
            put_varint(out, range.start - end);
            put_varint(out, range.end - range.start);
            end = range.end;
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (written, upper) = (reader.varint()?, reader.varint()?);
        let count = reader.varint_up_to((reader.rest().len() / 2).min(HAVE_RANGES_MAX))?;
        let mut missing = Vec::with_capacity(count);
        let mut end = 0u64;
        for index in 0..count {
            let (skip, len) = (reader.varint()?, reader.varint()?);
            let start = end.checked_add(skip).ok_or(reader.malformed())?;
            end = start.checked_add(len).ok_or(reader.malformed())?;
            if len == 0 || (skip == 0 && index > 0) || end > upper {
                return Err(reader.malformed());
            }
            missing.push(start..end);
        }
        if upper > OFFSET_END {
            return Err(reader.malformed());
        }
        Ok(Self { written, upper, missing })
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read_all(bytes: &[u8]) -> Result<Vec<Frame<'_>>, Malformed> {
        let mut reader = Reader::new(bytes, "frame");
        let mut frames = Vec::new();
        while let Some(frame) = read_frame(&mut reader)? {
            frames.push(frame);
        }
        Ok(frames)
    }

    fn check_round_trip(frame: &Frame<'_>) {
        let mut bytes = vec![PAD; 3];
        frame.put(&mut bytes);
        bytes.push(PAD);
        assert_eq!(read_all(&bytes).as_deref(), Ok(&[frame.clone()][..]));
    }

    #[test]
    fn every_frame_reads_back() {
        check_round_trip(&Frame::Ping);
        check_round_trip(&Frame::Credit { limit: 1 << 40 });
        check_round_trip(&Frame::Working { counter: 7 });
        check_round_trip(&Frame::PathChallenge(*b"unlikely"));
        check_round_trip(&Frame::PathResponse(*b"unlikely"));
        check_round_trip(&Frame::Close { code: 7, reason: b"target exists" });
        check_round_trip(&Frame::Stream { offset: 70_000, data: b"hello" });
        check_round_trip(&Frame::Have(Have {
            written: 5,
            upper: 90,
            missing: vec![0..10, 20..30],
        }));
    }

    #[test]
    fn a_have_that_does_not_fit_speaks_of_fewer_offsets() {
        let missing = (0..1000u64).map(|i| i * 3000..i * 3000 + 1452);
        let have = Have::fitting(0, 5_000_000, missing, 400);
        assert!(have.missing.len() > 50 && have.missing.len() < 100);
        assert_eq!(have.upper, have.missing.len() as u64 * 3000);
        let mut bytes = Vec::new();
        Frame::Have(have).put(&mut bytes);
        assert!(bytes.len() <= 400);
    }

    /// The receiver's window of the issue: 50,000 packets, one in five lost.
    #[test]
    fn a_bitmap_is_taken_where_it_is_shorter() {
        let lossy: Vec<Range<u64>> = (0..10_000u64).rev().map(|i| i * 5..i * 5 + 4).collect();
        let ack = Ack::fitting(Duration::ZERO, 0, lossy.iter().cloned(), 1400).expect("fits");
        let covered = ack.largest() - ack.ranges[ack.ranges.len() - 1].start;
        assert!(covered > 11_000, "one packet reports {covered} packet numbers");
        let mut bytes = Vec::new();
        Frame::Ack(ack.clone()).put(&mut bytes);
        assert!(bytes.len() <= 1400 && bytes[0] == ACK_BITMAP);
        check_round_trip(&Frame::Ack(ack));
    }

    #[test]
    fn an_ack_below_zero_or_too_long_is_refused() {
        for bytes in [
            &[ACK_RANGES, 5, 0, 0, 0, 6][..],
            &[ACK_RANGES, 5, 0, 0, 1, 0, 4, 1][..],
            &[ACK_RANGES, 5, 0, 0, 63, 0][..],
            &[ACK_BITMAP, 5, 0, 0, 8, 0xff][..],
            &[ACK_BITMAP, 40, 0, 0, 16, 0xff][..],
        ] {
            assert!(read_all(bytes).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn frames_that_reach_too_far_or_name_too_much_are_refused() {
        let ack = |len| {
            Frame::Ack(Ack {
                delay: Duration::ZERO,
                duplicates: 0,
                ranges: vec![100_000..100_001, 100_001 - len..100_001 - len + 10],
            })
        };
        let have = |ranges| {
            Frame::Have(Have {
                written: 0,
                upper: 1 << 20,
                missing: (0..ranges).map(|at| at * 2..at * 2 + 1).collect(),
            })
        };
        let most = HAVE_RANGES_MAX as u64;
        for (frame, is_fine) in [
            (ack(ACK_SPAN_MAX), true),
            (ack(ACK_SPAN_MAX + 1), false),
            (have(most), true),
            (have(most + 1), false),
        ] {
            let mut bytes = Vec::new();
            frame.put(&mut bytes);
            assert_eq!(read_all(&bytes).is_ok(), is_fine);
        }
    }

    fn descending_ranges() -> impl Strategy<Value = Vec<Range<u64>>> {
        prop::collection::vec((1u64..40, 1u64..40), 1..300).prop_map(|steps| {
            let mut at = 0;
            let mut ranges: Vec<Range<u64>> = steps
                .into_iter()
                .map(|(gap, len)| {
                    let start = at + gap;
                    at = start + len;
                    start..at
                })
                .collect();
            ranges.reverse();
            ranges
        })
    }

    proptest! {
        #[test]
        fn acks_read_back_and_keep_to_their_room(
            ranges in descending_ranges(),
            duplicates in 0u64..1 << 30,
            room in 20usize..1400,
        ) {
            let delay = Duration::from_micros(1234);
            if let Some(ack) = Ack::fitting(delay, duplicates, ranges.iter().cloned(), room) {
                prop_assert_eq!(&ack.ranges[..], &ranges[..ack.ranges.len()]);
                let mut bytes = Vec::new();
                Frame::Ack(ack.clone()).put(&mut bytes);
                prop_assert!(bytes.len() <= room, "{} > {}", bytes.len(), room);
                prop_assert_eq!(read_all(&bytes), Ok(vec![Frame::Ack(ack)]));
            }
        }

        #[test]
        fn any_bytes_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
            if let Ok(frames) = read_all(&bytes) {
                for frame in frames {
                    let mut again = Vec::new();
                    frame.put(&mut again);
                    prop_assert_eq!(read_all(&again), Ok(vec![frame]));
                }
            }
        }

        #[test]
        fn any_frame_type_reads_any_body(kind in 0u8..11, body in prop::collection::vec(any::<u8>(), 0..60)) {
            let mut bytes = vec![kind];
            bytes.extend(body);
            let _ = read_all(&bytes);
        }
    }
}
