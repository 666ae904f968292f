//! Records: how messages and file bytes keep their boundaries in a stream that has none.
//!
//! | bytes | field |
//! |---|---|
//! | 0 | type |
//! | 1..5 | length of the body |
//! | 5.. | body |

use crate::net::Interrupt;
use crate::wire::cursor::{Malformed, Reader, put_short_string};
use crate::wire::handshake::{Role, put_versions, read_versions};
use std::io::{self, Read};

/// Bytes of a record's body, at most.
pub const BODY_MAX: usize = 1 << 20;

/// Bytes before the body.
pub(super) const HEAD_LEN: usize = 5;

/// As [`BODY_MAX`], of the first record, which may be a stranger's.
const FIRST_BODY_MAX: usize = 256;

/// Bytes of a whole first record.
pub(super) const FIRST_RECORD_MAX: usize = HEAD_LEN + FIRST_BODY_MAX;

/// What every stream of ours begins with, so that a stranger is known at once.
const MAGIC: &[u8; 6] = b"volley";

const HELLO: u8 = 0;
const WELCOME: u8 = 1;
const MESSAGES: u8 = 2;
const DATA: u8 = 3;
const CLOSE: u8 = 4;
const WORKING: u8 = 5;

/// The longest reason in a CLOSE record, in bytes.
const REASON_MAX: usize = 200;

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record<'a> {
    /// The end of the transfer and why; code 0 says that all is well.
    Close {
        /// The transfer's code.
        code: u16,
        /// For a person.
        reason: &'a [u8],
    },
    /// File bytes.
    Data {
        /// Where they belong in the transfer space.
        offset: u64,
        /// The bytes.
        bytes: &'a [u8],
    },
    /// The initiator's first record.
    Hello {
        /// The versions it speaks, best first.
        versions: Vec<u16>,
        /// Which side of the files it is on.
        role: Role,
    },
    /// A piece of the stream of transfer messages.
    Messages(&'a [u8]),
    /// The responder's first record.
    Welcome {
        /// The version chosen.
        version: u16,
    },
    /// Its sender works on the transfer, though nothing else shows it.
    Working {
        /// Larger each time, as long as the work gets on.
        counter: u64,
    },
}

impl<'a> Record<'a> {
    /// Makes `out` the record's bytes.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(&[0; 5]);
        out[0] = match self {
            Record::Close { code, reason } => {
                out.extend_from_slice(&code.to_be_bytes());
                put_short_string(out, &reason[..reason.len().min(REASON_MAX)]);
                CLOSE
            }
            Record::Data { offset, bytes } => {
                out.extend_from_slice(&offset.to_be_bytes());
                out.extend_from_slice(bytes);
                DATA
            }
            Record::Hello { versions, role } => {
                out.extend_from_slice(MAGIC);
                put_versions(out, versions);
                out.push(0); // suite: open
                out.push(role.code());
                HELLO
            }
            Record::Messages(bytes) => {
                out.extend_from_slice(bytes);
                MESSAGES
            }
            Record::Welcome { version } => {
                out.extend_from_slice(&version.to_be_bytes());
                WELCOME
            }
            Record::Working { counter } => {
                out.extend_from_slice(&counter.to_be_bytes());
                WORKING
            }
        };
        let len = u32::try_from(out.len() - 5).expect("a record is short");
        out[1..5].copy_from_slice(&len.to_be_bytes());
    }

    /// Reads the body of a record of that type.
    ///
    /// # Errors
    /// Malformed, or an unknown type.
    pub fn read(kind: u8, body: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(body, "record");
        let malformed = reader.malformed();
        let record = match kind {
            CLOSE => {
                Record::Close { code: reader.u16()?, reason: reader.short_string(REASON_MAX)? }
            }
            DATA => {
                let offset = reader.array().map(u64::from_be_bytes)?;
                return Ok(Record::Data { offset, bytes: reader.rest() });
            }
            HELLO => {
                let is_ours = reader.array::<6>()? == *MAGIC;
                let versions = read_versions(&mut reader)?;
                let is_open = reader.u8()? == 0;
                let role = Role::from_code(reader.u8()?);
                match role.filter(|_| is_ours && is_open) {
                    Some(role) => Record::Hello { versions, role },
                    None => return Err(malformed),
                }
            }
            MESSAGES => return Ok(Record::Messages(body)),
            WELCOME => Record::Welcome { version: reader.u16()? },
            WORKING => Record::Working { counter: reader.array().map(u64::from_be_bytes)? },
            _ => return Err(malformed),
        };
        if reader.is_empty() { Ok(record) } else { Err(malformed) }
    }
}

/// What an initiator's first record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opening {
    /// A HELLO.
    Hello {
        /// The versions it speaks, best first.
        versions: Vec<u16>,
        /// Which side of the files it is on.
        role: Role,
    },
    /// A HELLO that cannot be read, or asks for what is not known here.
    Unknown {
        /// The versions it speaks, as far as those can be read: they stand at the same place in each.
        versions: Vec<u16>,
    },
}

impl Opening {
    /// Reads a first record of that type with that body.
    ///
    /// # Errors
    /// It is none of ours.
    pub fn read(kind: u8, body: &[u8]) -> Result<Self, Malformed> {
        if let Ok(Record::Hello { versions, role }) = Record::read(kind, body) {
            return Ok(Self::Hello { versions, role });
        }
        let rest = body.strip_prefix(MAGIC).filter(|_| kind == HELLO);
        let mut reader = Reader::new(rest.ok_or(Malformed("record"))?, "HELLO");
        Ok(Self::Unknown { versions: read_versions(&mut reader).unwrap_or_default() })
    }
}

/// The length of a whole first record that begins so; none if it cannot be one of ours.
pub(super) fn first_len(start: &[u8]) -> Option<usize> {
    let (head, _) = start.split_first_chunk::<HEAD_LEN>()?;
    let [kind, len @ ..] = *head;
    let len = usize::try_from(u32::from_be_bytes(len)).ok()?;
    (kind == HELLO && len <= FIRST_BODY_MAX).then_some(HEAD_LEN + len)
}

/// Whether to give up reading, given the bytes that the last read brought.
pub type GivesUp<'a> = dyn FnMut(usize) -> bool + 'a;

/// Bytes of a long record that are handed out at a time, and so what one stream costs in memory, at most.
pub const PIECE_MAX: usize = 128 << 10;

/// Memory for a piece is taken in steps, as its bytes come: what a record says of its length costs nothing.
const STEP: usize = 8 << 10;

/// Reads records off a stream whose reads time out now and then; long ones in pieces.
#[derive(Debug)]
pub struct RecordReader<R> {
    stream: R,
    interrupt: Interrupt,
    piece: Vec<u8>,
    /// What is left of a record that comes in pieces.
    rest: Option<Rest>,
    is_trusted: bool,
}

/// What is left of a record.
#[derive(Clone, Copy, Debug)]
struct Rest {
    /// Of file bytes: where the next one belongs.
    offset: Option<u64>,
    len: usize,
}

impl<R: Read> RecordReader<R> {
    /// Reads from `stream`; gives up when interrupted.
    pub fn new(stream: R, interrupt: Interrupt) -> Self {
        Self { stream, interrupt, piece: Vec::new(), rest: None, is_trusted: false }
    }

    /// The peer is one of ours: from now on records may be long.
    pub fn trust(&mut self) {
        self.is_trusted = true;
    }

    /// What it reads from.
    pub(super) fn stream(&self) -> &R {
        &self.stream
    }

    /// The next record, or the next piece of one that is long, as a record of its own; `None` at the end of
    /// the stream. `gives_up` is asked before each read, and told how many bytes the last one brought.
    ///
    /// # Errors
    /// The stream broke, ended inside a record, or holds something else than records.
    pub fn next(&mut self, gives_up: &mut GivesUp<'_>) -> io::Result<Option<Record<'_>>> {
        if let Some(rest) = self.rest.take() {
            return self.next_piece(rest, gives_up).map(Some);
        }
        if !self.fill(HEAD_LEN, true, gives_up)? {
            return Ok(None);
        }
        let kind = self.piece[0];
        let len = self.piece[1..HEAD_LEN].try_into().map_or(0, u32::from_be_bytes);
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        if len > if self.is_trusted { BODY_MAX } else { FIRST_BODY_MAX } {
            return Err(invalid(Malformed("record: too long")));
        }
        match kind {
            MESSAGES => self.next_piece(Rest { offset: None, len }, gives_up).map(Some),
            DATA => {
                let len = len.checked_sub(8).ok_or(invalid(Malformed("record")))?;
                self.fill(8, false, gives_up)?;
                let offset = self.piece[..8].try_into().map_or(0, u64::from_be_bytes);
                self.next_piece(Rest { offset: Some(offset), len }, gives_up).map(Some)
            }
            // The others are short, or malformed.
            _ if len > FIRST_BODY_MAX => Err(invalid(Malformed("record"))),
            _ => {
                self.fill(len, false, gives_up)?;
                Record::read(kind, &self.piece[..len]).map(Some).map_err(invalid)
            }
        }
    }

    fn next_piece(&mut self, rest: Rest, gives_up: &mut GivesUp<'_>) -> io::Result<Record<'_>> {
        let len = rest.len.min(PIECE_MAX);
        self.fill(len, false, gives_up)?;
        if rest.len > len {
            let offset = rest.offset.map(|offset| offset.saturating_add(len as u64));
            self.rest = Some(Rest { offset, len: rest.len - len });
        }
        let bytes = &self.piece[..len];
        Ok(match rest.offset {
            Some(offset) => Record::Data { offset, bytes },
            None => Record::Messages(bytes),
        })
    }

    /// Makes the next `len` bytes the first ones of the piece; false if the stream ends where that is allowed.
    fn fill(&mut self, len: usize, may_end: bool, gives_up: &mut GivesUp<'_>) -> io::Result<bool> {
        let Self { stream, interrupt, piece, .. } = self;
        let (mut filled, mut brought) = (0, 0);
        while filled < len {
            if interrupt.get().is_some() || gives_up(std::mem::take(&mut brought)) {
                return Err(io::ErrorKind::TimedOut.into());
            }
            if filled == piece.len() {
                piece.resize(len.min(2 * filled + STEP), 0);
            }
            let end = len.min(piece.len());
            match stream.read(&mut piece[filled..end]) {
                Ok(0) if may_end && filled == 0 => return Ok(false),
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => {
                    filled += count;
                    brought = count;
                }
                Err(error) if is_timeout(&error) => {
                    // Who waits for one that says nothing keeps no memory for it.
                    if filled == 0 {
                        *piece = Vec::new();
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

/// Whether a call only gave up waiting.
pub(super) fn is_timeout(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), Interrupted | TimedOut | WouldBlock)
}

/// What the peer did, where an error of reading says that it broke the protocol.
pub(super) fn violation_of(error: &io::Error) -> Option<Malformed> {
    error.get_ref()?.downcast_ref().copied()
}

fn invalid(malformed: Malformed) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn samples() -> Vec<Record<'static>> {
        vec![
            Record::Hello { versions: vec![1, 2], role: Role::Sender },
            Record::Hello { versions: vec![1], role: Role::Receiver },
            Record::Welcome { version: 1 },
            Record::Messages(b"some messages"),
            Record::Messages(b""),
            Record::Working { counter: 1 << 40 },
            Record::Data { offset: 1 << 40, bytes: b"file bytes" },
            Record::Close { code: 7, reason: b"target exists" },
        ]
    }

    /// Gives at most `size` bytes at a time, as a stream may.
    struct Trickle<'a> {
        rest: &'a [u8],
        size: usize,
        is_ready: bool,
    }

    impl Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.is_ready = !self.is_ready;
            if !self.is_ready {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let count = self.size.min(buffer.len()).min(self.rest.len());
            let (now, later) = self.rest.split_at(count);
            buffer[..count].copy_from_slice(now);
            self.rest = later;
            Ok(count)
        }
    }

    fn bytes_of(records: &[Record<'_>]) -> Vec<u8> {
        let mut all = Vec::new();
        let mut one = Vec::new();
        for record in records {
            record.write_to(&mut one);
            all.extend_from_slice(&one);
        }
        all
    }

    /// The lesson of sticky packets: however the stream is cut, the records are the same.
    #[test]
    fn records_survive_single_bytes_and_glued_segments() {
        let bytes = bytes_of(&samples());
        for size in [1, 2, 3, 100, bytes.len()] {
            let stream = Trickle { rest: &bytes, size, is_ready: false };
            let mut reader = RecordReader::new(stream, Interrupt::default());
            reader.trust();
            for sample in samples() {
                assert_eq!(reader.next(&mut |_| false).expect("well-formed"), Some(sample));
            }
            assert_eq!(reader.next(&mut |_| false).expect("the end"), None);
        }
    }

    #[test]
    fn a_long_record_costs_memory_as_its_bytes_come_and_comes_in_pieces() {
        let bytes: Vec<u8> = (0..BODY_MAX - 8).map(|at| (at % 251) as u8).collect();
        let all = bytes_of(&[Record::Data { offset: 5, bytes: &bytes }]);
        for come in [13, 14, 1_000, 20_000, 200_000] {
            let stream = Trickle { rest: &all[..come], size: 100, is_ready: false };
            let mut reader = RecordReader::new(stream, Interrupt::default());
            reader.trust();
            while reader.next(&mut |_| false).is_ok() {}
            assert!(reader.piece.capacity() <= PIECE_MAX);
            assert!(reader.piece.capacity() <= 3 * come + STEP, "{come}");
        }
        let mut reader = RecordReader::new(&all[..], Interrupt::default());
        reader.trust();
        let mut at = 0;
        while let Some(record) = reader.next(&mut |_| false).expect("well-formed") {
            let Record::Data { offset, bytes: piece } = record else { panic!("{record:?}") };
            assert_eq!(offset, 5 + at as u64);
            assert_eq!(piece, &bytes[at..at + piece.len()]);
            at += piece.len();
        }
        assert_eq!(at, bytes.len());
    }

    #[test]
    fn who_says_nothing_more_costs_no_memory() {
        let all = bytes_of(&[Record::Messages(&[7; PIECE_MAX])]);
        let stream = Trickle { rest: &all, size: usize::MAX, is_ready: false };
        let mut reader = RecordReader::new(stream, Interrupt::default());
        reader.trust();
        assert!(matches!(reader.next(&mut |_| false), Ok(Some(Record::Messages(_)))));
        assert!(reader.piece.capacity() >= PIECE_MAX);
        // The stream times out once before it ends.
        assert_eq!(reader.next(&mut |_| false).expect("the end"), None);
        assert!(reader.piece.capacity() <= STEP);
    }

    #[test]
    fn a_peer_that_trickles_is_given_up() {
        let bytes = bytes_of(&samples());
        let mut reads = 0;
        let stream = Trickle { rest: &bytes, size: 1, is_ready: false };
        let mut reader = RecordReader::new(stream, Interrupt::default());
        let mut gives_up = |brought| {
            reads += 1;
            assert!(brought <= 1);
            reads > 6
        };
        let error = reader.next(&mut gives_up).expect_err("too slow");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn an_end_inside_a_record_is_no_end() {
        let bytes = bytes_of(&samples());
        let whole = bytes.len();
        let mut cut_inside = 0;
        for end in 1..whole {
            let stream = Trickle { rest: &bytes[..end], size: 64, is_ready: false };
            let mut reader = RecordReader::new(stream, Interrupt::default());
            let last = loop {
                match reader.next(&mut |_| false) {
                    Ok(Some(_)) => {}
                    Ok(None) => break None,
                    Err(error) => break Some(error.kind()),
                }
            };
            match last {
                Some(io::ErrorKind::UnexpectedEof) => cut_inside += 1,
                None => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(cut_inside, whole - samples().len());
    }

    #[test]
    fn a_length_beyond_the_limit_is_refused_before_it_is_read() {
        let stream = &[MESSAGES, 0xff, 0xff, 0xff, 0xff][..];
        let mut reader = RecordReader::new(stream, Interrupt::default());
        let error = reader.next(&mut |_| false).expect_err("too long");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        let stream = &[HELLO, 0, 0, 2, 0][..];
        let mut reader = RecordReader::new(stream, Interrupt::default());
        let error = reader.next(&mut |_| false).expect_err("too long for a first record");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }

    proptest! {
        #[test]
        fn any_bytes_read_without_panic(kind in 0u8..7, body in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = Record::read(kind, &body);
        }
    }
}
