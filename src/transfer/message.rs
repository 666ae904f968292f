//! What sender and receiver of files say to each other, on an ordered reliable stream.
//!
//! A stream keeps no message boundaries, so each message carries its own: a type, a length, a body.

mod offer;
mod reader;

use self::offer::{put_entry, read_entry, read_text};
pub use self::reader::MessageReader;
use super::entry::Entry;
use super::hash::{GROUP, Hash};
use super::outcome::Reason;
use crate::base::text::disarm;
use crate::wire::cursor::{Malformed, Reader, put_varint};
use crate::wire::header::OFFSET_END;

/// Bytes of a message's body, at most.
pub const BODY_MAX: usize = 16 * 1024;

/// The longest sentence that goes along with a failure, in bytes.
const TEXT_MAX: usize = 1024;

/// Entries of one transfer, at most.
pub const ENTRIES_MAX: u32 = 1 << 20;

/// Entries that are offered and have no outcome yet, at most.
pub const UNSETTLED_MAX: usize = 1 << 14;

/// Bytes of their paths and of what links say, together, at most.
pub const UNSETTLED_TEXT_MAX: usize = 4 << 20;

/// Values in one GROUPS message, at most.
pub const VALUES_MAX: usize = 256;

/// Values of groups that one side may tell of a file ahead of the first one that it has not told: those of
/// 64 GiB.
pub const AHEAD_MAX: usize = 1 << 16;

const OFFER: u8 = 1;
const OFFER_END: u8 = 2;
const ACCEPT: u8 = 3;
const REJECT: u8 = 4;
const GROUPS: u8 = 5;
const ROOT: u8 = 6;
const FAILED: u8 = 7;
const COMMITTED: u8 = 8;
const FINISHED: u8 = 9;
const KEPT: u8 = 10;
const PROVE: u8 = 11;
const SAME: u8 = 12;
const LEFT: u8 = 13;
const RENAMED: u8 = 14;
const PLAN: u8 = 15;
const WOULD: u8 = 16;
const LACKING: u8 = 17;
const AGAIN: u8 = 18;

/// One message. Entries are named by their index in the order offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Receiver: all entries below this index may come, but for those rejected.
    Accept {
        /// One more than the index of the last entry judged.
        below: u32,
    },
    /// Receiver: those groups, which it had kept, are not what the sender has: their bytes must come.
    Again {
        /// The file.
        index: u32,
        /// The first group.
        first: u64,
        /// How many groups.
        count: u64,
    },
    /// Receiver: the entry is verified, on stable storage, and has its name.
    Committed {
        /// The entry.
        index: u32,
        /// The hash of what is there.
        hash: Hash,
    },
    /// Sender: the file will not come.
    Failed {
        /// The file.
        index: u32,
        /// What kind of failure.
        reason: Reason,
        /// For a person.
        text: String,
    },
    /// Receiver: every entry has an outcome, and nothing is left to do.
    Finished,
    /// Sender: the values of consecutive groups of a file.
    Groups {
        /// The file.
        index: u32,
        /// The first group.
        first: u64,
        /// Its value and those of the groups that follow it.
        values: Vec<Hash>,
    },
    /// Receiver: those groups are here, from an earlier transfer of the same file; their bytes need not
    /// come.
    Kept {
        /// The file.
        index: u32,
        /// The first group.
        first: u64,
        /// Its value and those of the groups that follow it.
        values: Vec<Hash>,
    },
    /// Sender: something that was to be sent cannot be offered.
    Lacking {
        /// What, as people are shown it.
        name: String,
        /// What kind of failure.
        reason: Reason,
        /// For a person.
        text: String,
    },
    /// Receiver: something has that name, and stays, as its user wants it.
    Left {
        /// The entry.
        index: u32,
    },
    /// Sender: the next entry.
    Offer(Entry),
    /// Sender: that was the last entry.
    OfferEnd,
    /// Sender, before anything else: nothing is to be done, only said.
    Plan,
    /// Receiver: there is a file of that name and size; what would yours hash to?
    Prove {
        /// The file.
        index: u32,
    },
    /// Receiver: the entry is not wanted, or cannot be kept.
    Reject {
        /// The entry.
        index: u32,
        /// What kind of failure.
        reason: Reason,
        /// For a person.
        text: String,
    },
    /// Receiver: the entry gets another name, because something has its own.
    Renamed {
        /// The entry.
        index: u32,
        /// The path that it gets.
        path: String,
    },
    /// Receiver: the same is there already, on stable storage.
    Same {
        /// The entry.
        index: u32,
        /// The hash of what is there.
        hash: Hash,
    },
    /// Sender: the hash of the whole file.
    Root {
        /// The file.
        index: u32,
        /// Its hash.
        hash: Hash,
    },
    /// Receiver: the entry would come.
    Would {
        /// The entry.
        index: u32,
        /// Whether something that has its name would make room for it.
        replaces: bool,
        /// Bytes of it that an earlier transfer brought.
        there: u64,
    },
}

impl Message {
    /// Appends the message.
    pub fn put(&self, out: &mut Vec<u8>) {
        let mut body = Vec::new();
        let kind = self.put_body(&mut body);
        out.push(kind);
        put_varint(out, body.len() as u64);
        out.extend_from_slice(&body);
    }

    fn put_body(&self, body: &mut Vec<u8>) -> u8 {
        match self {
            Self::Accept { below } => put_index(body, *below, ACCEPT),
            Self::Again { index, first, count } => {
                put_varint(body, u64::from(*index));
                put_varint(body, *first);
                put_varint(body, *count);
                AGAIN
            }
            Self::Committed { index, hash } => {
                put_hash(body, *index, hash);
                COMMITTED
            }
            Self::Failed { index, reason, text } => {
                put_failure(body, *index, *reason, text);
                FAILED
            }
            Self::Finished => FINISHED,
            Self::Groups { index, first, values } => {
                put_groups(body, *index, *first, values);
                GROUPS
            }
            Self::Kept { index, first, values } => {
                put_groups(body, *index, *first, values);
                KEPT
            }
            Self::Lacking { name, reason, text } => {
                let name = start_of(name);
                put_varint(body, name.len() as u64);
                body.extend_from_slice(name.as_bytes());
                body.push(reason.code());
                body.extend_from_slice(start_of(text).as_bytes());
                LACKING
            }
            Self::Left { index } => put_index(body, *index, LEFT),
            Self::Offer(entry) => {
                put_entry(body, entry);
                OFFER
            }
            Self::OfferEnd => OFFER_END,
            Self::Reject { index, reason, text } => {
                put_failure(body, *index, *reason, text);
                REJECT
            }
            Self::Plan => PLAN,
            Self::Prove { index } => put_index(body, *index, PROVE),
            Self::Renamed { index, path } => {
                put_varint(body, u64::from(*index));
                body.extend_from_slice(path.as_bytes());
                RENAMED
            }
            Self::Root { index, hash } => {
                put_hash(body, *index, hash);
                ROOT
            }
            Self::Same { index, hash } => {
                put_hash(body, *index, hash);
                SAME
            }
            Self::Would { index, replaces, there } => {
                put_varint(body, u64::from(*index));
                body.push(u8::from(*replaces));
                put_varint(body, *there);
                WOULD
            }
        }
    }

    fn read(kind: u8, body: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(body, "transfer message");
        let malformed = reader.malformed();
        let message = match kind {
            ACCEPT => Self::Accept { below: read_index(&mut reader)? },
            AGAIN => {
                let index = read_index(&mut reader)?;
                Self::Again { index, first: reader.varint()?, count: reader.varint()? }
            }
            COMMITTED => {
                Self::Committed { index: read_index(&mut reader)?, hash: read_hash(&mut reader)? }
            }
            FAILED => {
                let (index, reason, text) = read_failure(&mut reader)?;
                Self::Failed { index, reason, text }
            }
            GROUPS => {
                let (index, first, values) = read_groups(&mut reader)?;
                Self::Groups { index, first, values }
            }
            KEPT => {
                let (index, first, values) = read_groups(&mut reader)?;
                Self::Kept { index, first, values }
            }
            LACKING => {
                let len = usize::try_from(reader.varint()?).map_err(|_| malformed)?;
                let name = read_sentence(&mut reader, len)?;
                let reason = Reason::from_code(reader.u8()?.into());
                let len = reader.rest().len();
                Self::Lacking { name, reason, text: read_sentence(&mut reader, len)? }
            }
            LEFT => Self::Left { index: read_index(&mut reader)? },
            PLAN => Self::Plan,
            PROVE => Self::Prove { index: read_index(&mut reader)? },
            RENAMED => {
                let index = read_index(&mut reader)?;
                let len = reader.rest().len();
                Self::Renamed { index, path: read_text(&mut reader, len)? }
            }
            SAME => Self::Same { index: read_index(&mut reader)?, hash: read_hash(&mut reader)? },
            FINISHED => Self::Finished,
            OFFER => Self::Offer(read_entry(&mut reader)?),
            OFFER_END => Self::OfferEnd,
            REJECT => {
                let (index, reason, text) = read_failure(&mut reader)?;
                Self::Reject { index, reason, text }
            }
            ROOT => Self::Root { index: read_index(&mut reader)?, hash: read_hash(&mut reader)? },
            WOULD => {
                let index = read_index(&mut reader)?;
                let replaces = match reader.u8()? {
                    0 => false,
                    1 => true,
                    _ => return Err(malformed),
                };
                Self::Would { index, replaces, there: reader.varint()? }
            }
            _ => return Err(malformed),
        };
        if reader.is_empty() { Ok(message) } else { Err(malformed) }
    }
}

/// Puts an index, and hands on the kind of message that has nothing else.
fn put_index(body: &mut Vec<u8>, index: u32, kind: u8) -> u8 {
    put_varint(body, u64::from(index));
    kind
}

fn put_hash(body: &mut Vec<u8>, index: u32, hash: &Hash) {
    put_varint(body, u64::from(index));
    body.extend_from_slice(&hash.0);
}

fn put_failure(body: &mut Vec<u8>, index: u32, reason: Reason, text: &str) {
    put_varint(body, u64::from(index));
    body.push(reason.code());
    body.extend_from_slice(start_of(text).as_bytes());
}

/// As much of a text as a message may carry.
fn start_of(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_MAX)]
}

/// A text for a person, safe to show.
fn read_sentence(reader: &mut Reader<'_>, len: usize) -> Result<String, Malformed> {
    let text = reader.bytes(len)?;
    if text.len() > TEXT_MAX {
        return Err(reader.malformed());
    }
    std::str::from_utf8(text).map(disarm).map_err(|_| reader.malformed())
}

fn read_index(reader: &mut Reader<'_>) -> Result<u32, Malformed> {
    u32::try_from(reader.varint()?).map_err(|_| reader.malformed())
}

fn read_hash(reader: &mut Reader<'_>) -> Result<Hash, Malformed> {
    reader.array().map(Hash)
}

fn read_failure(reader: &mut Reader<'_>) -> Result<(u32, Reason, String), Malformed> {
    let index = read_index(reader)?;
    let reason = Reason::from_code(reader.u8()?.into());
    let len = reader.rest().len();
    Ok((index, reason, read_sentence(reader, len)?))
}

fn put_groups(body: &mut Vec<u8>, index: u32, first: u64, values: &[Hash]) {
    put_varint(body, u64::from(index));
    put_varint(body, first);
    values.iter().for_each(|value| body.extend_from_slice(&value.0));
}

fn read_groups(reader: &mut Reader<'_>) -> Result<(u32, u64, Vec<Hash>), Malformed> {
    let index = read_index(reader)?;
    let first = reader.varint()?;
    let (values, rest) = reader.rest().as_chunks::<32>();
    let in_range = first < OFFSET_END / GROUP && (1..=VALUES_MAX).contains(&values.len());
    if !rest.is_empty() || !in_range {
        return Err(reader.malformed());
    }
    let values = values.iter().map(|value| Hash(*value)).collect();
    reader.bytes(reader.rest().len())?;
    Ok((index, first, values))
}

#[cfg(test)]
mod tests {
    use super::offer::{DIRECTORY, FILE, LINK};
    use super::*;
    use crate::transfer::entry::{Attributes, Kind, SourceId};
    use crate::transfer::holes::Holes;
    use proptest::prelude::*;

    fn samples() -> Vec<Message> {
        let text = "no space left: 5 GiB wanted".to_owned();
        let attributes = Attributes { mode: 0o640, seconds: 1 << 40, nanoseconds: 999_999_999 };
        vec![
            Message::Offer(Entry {
                path: "Füße/a.txt".into(),
                kind: Kind::File {
                    size: 1 << 40,
                    holes: Holes::new(1 << 40, [0..1 << 16, 1 << 20..1 << 30]),
                    attributes,
                    source: Some(SourceId([7; 16])),
                },
            }),
            Message::Offer(Entry {
                path: String::new(),
                kind: Kind::File { size: 0, holes: None, attributes, source: None },
            }),
            Message::Offer(Entry { path: "Füße".into(), kind: Kind::Directory { attributes } }),
            Message::Offer(Entry { path: "l".into(), kind: Kind::Link { target: "../x".into() } }),
            Message::OfferEnd,
            Message::Accept { below: 2 },
            Message::Reject { index: 1, reason: Reason::Full, text: text.clone() },
            Message::Groups { index: 0, first: 77, values: vec![Hash([1; 32]), Hash([2; 32])] },
            Message::Root { index: 0, hash: Hash([3; 32]) },
            Message::Failed { index: 1, reason: Reason::Source, text },
            Message::Committed { index: 0, hash: Hash([3; 32]) },
            Message::Finished,
            Message::Kept { index: 0, first: 0, values: vec![Hash([5; 32])] },
            Message::Again { index: 0, first: 1 << 35, count: 256 },
            Message::Prove { index: 3 },
            Message::Same { index: 3, hash: Hash([6; 32]) },
            Message::Left { index: 4 },
            Message::Lacking {
                name: "tree/x".into(),
                reason: Reason::Source,
                text: "cannot read tree/x".into(),
            },
            Message::Renamed { index: 5, path: "Füße-1".into() },
            Message::Plan,
            Message::Would { index: 6, replaces: true, there: 1 << 40 },
            Message::Would { index: 7, replaces: false, there: 0 },
        ]
    }

    fn read_all(reader: &mut MessageReader) -> Result<Vec<Message>, Malformed> {
        let mut read = Vec::new();
        while let Some(message) = reader.next_message()? {
            read.push(message);
        }
        Ok(read)
    }

    /// The lesson of sticky packets: one byte at a time or all at once, the messages are the same.
    #[test]
    fn messages_survive_any_cutting_and_glueing() {
        let mut bytes = Vec::new();
        samples().iter().for_each(|message| message.put(&mut bytes));
        for piece in [1, 2, 3, 7, 64, bytes.len()] {
            let mut reader = MessageReader::default();
            let mut read = Vec::new();
            for part in bytes.chunks(piece) {
                reader.buffer().extend_from_slice(part);
                read.extend(read_all(&mut reader).expect("well-formed"));
            }
            assert_eq!(read, samples(), "in pieces of {piece}");
        }
    }

    #[test]
    fn a_length_beyond_the_limit_is_refused_before_it_is_waited_for() {
        let mut reader = MessageReader::default();
        reader.buffer().push(OFFER);
        put_varint(reader.buffer(), BODY_MAX as u64 + 1);
        assert!(reader.next_message().is_err());
    }

    #[test]
    fn what_no_entry_has_is_malformed() {
        let read = |body: &[u8]| Message::read(OFFER, body);
        let plain = [FILE, 5, 0o44, 0, 0, b'a'];
        assert!(read(&plain).is_ok());
        let long_nanoseconds = [FILE, 5, 0, 0, 0xbb, 0x9a, 0xca, 0x00, b'a'];
        let setuid = [FILE, 5, 0x48, 0, 0, 0, b'a'];
        let too_long_target = [LINK, 9, b'a'];
        let not_utf8 = [DIRECTORY, 0, 0, 0, 0xff];
        let unknown = [4, 0, 0, 0, 0];
        for body in [&long_nanoseconds[..], &setuid, &too_long_target, &not_utf8, &unknown, &[]] {
            assert!(read(body).is_err(), "{body:?}");
        }
    }

    #[test]
    fn what_would_be_done_is_new_or_replaces() {
        assert!(Message::read(WOULD, &[0, 1, 0]).is_ok());
        for body in [&[0, 2, 0][..], &[0, 1], &[0, 1, 0, 0]] {
            assert!(Message::read(WOULD, body).is_err(), "{body:?}");
        }
        assert!(Message::read(PLAN, &[0]).is_err());
    }

    #[test]
    fn a_peers_sentence_cannot_move_the_cursor() {
        let mut reader = MessageReader::default();
        let text = "\u{1b}[2Jgone".to_owned();
        Message::Reject { index: 0, reason: Reason::Other, text }.put(reader.buffer());
        let Ok(Some(Message::Reject { text, .. })) = reader.next_message() else {
            panic!("a REJECT")
        };
        assert_eq!(text, "\\u{1b}[2Jgone");
    }

    proptest! {
        #[test]
        fn any_bytes_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut reader = MessageReader::default();
            reader.buffer().extend(bytes);
            let _ = read_all(&mut reader);
        }

        #[test]
        fn any_body_reads_without_panic(kind in 0u8..19, body in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = Message::read(kind, &body);
        }
    }
}
