//! The typed elements inside a CONTROL packet.

mod ack;

pub use self::ack::{ACK_SPAN_MAX, Ack, Marks};

use super::cursor::{Malformed, Reader, put_short_string, put_varint, varint_len};
use super::header::OFFSET_END;
use std::ops::Range;

/// The longest reason in a CLOSE frame.
pub const CLOSE_REASON_MAX: usize = 200;

/// No HAVE frame names more ranges than this: six times what fits into one of this writer's.
pub const HAVE_RANGES_MAX: usize = 2048;

const PAD: u8 = 0x00;
const PING: u8 = 0x01;
const HAVE: u8 = 0x04;
const STREAM: u8 = 0x05;
const CREDIT: u8 = 0x06;
const CLOSE: u8 = 0x07;
const PATH_CHALLENGE: u8 = 0x08;
const PATH_RESPONSE: u8 = 0x09;
const WORKING: u8 = 0x0a;

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
        ack::RANGES | ack::BITMAP | ack::MARKED_RANGES | ack::MARKED_BITMAP => {
            Frame::Ack(Ack::read(reader, kind)?)
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

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
        let marks = Marks { ect0: 40_000, ect1: 0, ce: 3 };
        let lossy = || lossy.iter().cloned();
        let ack = Ack::fitting(Duration::ZERO, 0, marks, lossy(), 1400).expect("fits");
        let covered = ack.largest() - ack.ranges[ack.ranges.len() - 1].start;
        assert!(covered > 11_000, "one packet reports {covered} packet numbers");
        let mut bytes = Vec::new();
        Frame::Ack(ack.clone()).put(&mut bytes);
        assert!(bytes.len() <= 1400 && bytes[0] == ack::MARKED_BITMAP);
        check_round_trip(&Frame::Ack(ack));
    }

    #[test]
    fn an_ack_below_zero_or_too_long_is_refused() {
        for bytes in [
            &[ack::RANGES, 5, 0, 0, 0, 6][..],
            &[ack::RANGES, 5, 0, 0, 1, 0, 4, 1][..],
            &[ack::RANGES, 5, 0, 0, 63, 0][..],
            &[ack::BITMAP, 5, 0, 0, 8, 0xff][..],
            &[ack::BITMAP, 40, 0, 0, 16, 0xff][..],
            &[ack::MARKED_RANGES, 5, 0, 0, 0, 1, 7, 0][..],
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
                marks: Marks::default(),
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
            (ect0, ce) in (0u64..1 << 20, 0u64..2),
            room in 20usize..1400,
        ) {
            let (delay, marks) = (Duration::from_micros(1234), Marks { ect0, ect1: 0, ce });
            let all = ranges.iter().cloned();
            if let Some(ack) = Ack::fitting(delay, duplicates, marks, all, room) {
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
        fn any_frame_type_reads_any_body(kind in 0u8..14, body in prop::collection::vec(any::<u8>(), 0..60)) {
            let mut bytes = vec![kind];
            bytes.extend(body);
            let _ = read_all(&bytes);
        }
    }
}
