//! What an OFFER says.

use crate::transfer::entry::{Attributes, Entry, Kind, SourceId};
use crate::transfer::holes::Holes;
use crate::wire::cursor::{Malformed, Reader, put_varint};
use crate::wire::header::OFFSET_END;

// The kinds of entries in an OFFER.
pub(super) const FILE: u8 = 0;
const SPARSE_FILE: u8 = 1;
pub(super) const DIRECTORY: u8 = 2;
pub(super) const LINK: u8 = 3;

pub(super) fn put_entry(body: &mut Vec<u8>, entry: &Entry) {
    match &entry.kind {
        Kind::File { size, holes, attributes, source } => {
            body.push(if holes.is_some() { SPARSE_FILE } else { FILE });
            put_varint(body, *size);
            put_attributes(body, *attributes);
            source.iter().for_each(|source| body.extend_from_slice(&source.0));
            holes.iter().for_each(|holes| holes.put(body));
        }
        Kind::Directory { attributes } => {
            body.push(DIRECTORY);
            put_attributes(body, *attributes);
        }
        Kind::Link { target } => {
            body.push(LINK);
            put_varint(body, target.len() as u64);
            body.extend_from_slice(target.as_bytes());
        }
    }
    body.extend_from_slice(entry.path.as_bytes());
}

fn put_attributes(body: &mut Vec<u8>, attributes: Attributes) {
    let Attributes { mode, seconds, nanoseconds } = attributes;
    put_varint(body, mode.into());
    put_signed(body, seconds);
    put_varint(body, nanoseconds.into());
}

pub(super) fn read_entry(reader: &mut Reader<'_>) -> Result<Entry, Malformed> {
    let kind = match reader.u8()? {
        kind @ (FILE | SPARSE_FILE) => {
            let size = reader.varint()?;
            if size > OFFSET_END {
                return Err(reader.malformed());
            }
            let attributes = read_attributes(reader)?;
            let source = match Kind::is_identified(size) {
                true => Some(SourceId(reader.array()?)),
                false => None,
            };
            let holes = (kind == SPARSE_FILE).then(|| Holes::read(reader, size)).transpose()?;
            Kind::File { size, holes, attributes, source }
        }
        DIRECTORY => Kind::Directory { attributes: read_attributes(reader)? },
        LINK => {
            let len = usize::try_from(reader.varint()?).map_err(|_| reader.malformed())?;
            Kind::Link { target: read_text(reader, len)? }
        }
        _ => return Err(reader.malformed()),
    };
    let path = read_text(reader, reader.rest().len())?;
    Ok(Entry { path, kind })
}

fn read_attributes(reader: &mut Reader<'_>) -> Result<Attributes, Malformed> {
    let (mode, seconds, nanoseconds) = (reader.varint()?, reader.varint()?, reader.varint()?);
    let attributes = Attributes::checked(mode, signed(seconds), nanoseconds);
    attributes.ok_or_else(|| reader.malformed())
}

/// 0, -1, 1, -2, 2 ... as 0, 1, 2, 3, 4 ...: what is near zero is short. Beyond 2^61 the last one.
fn put_signed(body: &mut Vec<u8>, value: i64) {
    let least = -(1 << 61);
    let value = value.clamp(least, -(least + 1));
    put_varint(body, (value << 1 ^ value >> 63).cast_unsigned());
}

fn signed(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

pub(super) fn read_text(reader: &mut Reader<'_>, len: usize) -> Result<String, Malformed> {
    let malformed = reader.malformed();
    let text = reader.bytes(len)?;
    std::str::from_utf8(text).map(str::to_owned).map_err(|_| malformed)
}
