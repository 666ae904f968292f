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

/// Reads whole records off a stream whose reads time out now and then.
#[derive(Debug)]
pub struct RecordReader<R> {
    stream: R,
    interrupt: Interrupt,
    body: Vec<u8>,
    body_max: usize,
}

impl<R: Read> RecordReader<R> {
    /// Reads from `stream`; gives up when interrupted.
    pub fn new(stream: R, interrupt: Interrupt) -> Self {
        Self { stream, interrupt, body: Vec::new(), body_max: FIRST_BODY_MAX }
    }

    /// The peer is one of ours: from now on records may be long.
    pub fn trust(&mut self) {
        self.body_max = BODY_MAX;
    }

    /// What it reads from.
    pub(super) fn stream(&self) -> &R {
        &self.stream
    }

    /// The next record; `None` at the end of the stream. `gives_up` is asked before each read, and told
    /// how many bytes the last one brought.
    ///
    /// # Errors
    /// The stream broke, ended inside a record, or holds something else than records.
    pub fn next(&mut self, gives_up: &mut GivesUp<'_>) -> io::Result<Option<Record<'_>>> {
        let mut head = [0; 5];
        if !self.fill(Part::Head(&mut head), gives_up)? {
            return Ok(None);
        }
        let [kind, len @ ..] = head;
        let len = usize::try_from(u32::from_be_bytes(len)).unwrap_or(usize::MAX);
        if len > self.body_max {
            return Err(invalid(Malformed("record: too long")));
        }
        self.body.resize(len, 0);
        self.fill(Part::Body, gives_up)?;
        Record::read(kind, &self.body).map(Some).map_err(invalid)
    }

    /// False if the stream ends where a record could begin.
    fn fill(&mut self, part: Part<'_>, gives_up: &mut GivesUp<'_>) -> io::Result<bool> {
        let (buffer, may_end) = match part {
            Part::Head(head) => (&mut head[..], true),
            Part::Body => (&mut self.body[..], false),
        };
        let mut filled = 0;
        let mut brought = 0;
        while filled < buffer.len() {
            if self.interrupt.get().is_some() || gives_up(std::mem::take(&mut brought)) {
                return Err(io::ErrorKind::TimedOut.into());
            }
            match self.stream.read(&mut buffer[filled..]) {
                Ok(0) if may_end && filled == 0 => return Ok(false),
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => {
                    filled += count;
                    brought = count;
                }
                Err(error) if is_timeout(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

enum Part<'a> {
    Head(&'a mut [u8; 5]),
    Body,
}

/// Whether a call only gave up waiting.
pub(super) fn is_timeout(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), Interrupted | TimedOut | WouldBlock)
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
