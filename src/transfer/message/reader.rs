//! Messages out of a stream that keeps no boundaries.

use super::{BODY_MAX, Message};
use crate::wire::cursor::{Malformed, Reader};

/// Cuts messages out of a stream of bytes that comes in pieces of any size.
#[derive(Debug, Default)]
pub struct MessageReader {
    buffer: Vec<u8>,
    /// Bytes of the buffer that have become messages.
    taken: usize,
}

impl MessageReader {
    /// Where the stream's next bytes are to be appended.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        self.buffer.drain(..self.taken);
        self.taken = 0;
        &mut self.buffer
    }

    /// Bytes that are not messages yet.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.buffer.len() - self.taken
    }

    /// The next complete message.
    ///
    /// # Errors
    /// Malformed: nothing that follows means anything.
    pub fn next_message(&mut self) -> Result<Option<Message>, Malformed> {
        let mut reader = Reader::new(&self.buffer[self.taken..], "transfer message");
        let (Ok(kind), Ok(len)) = (reader.u8(), reader.varint()) else {
            return Ok(None);
        };
        let len = usize::try_from(len).ok().filter(|len| *len <= BODY_MAX);
        let len = len.ok_or(reader.malformed())?;
        let Ok(body) = reader.bytes(len) else {
            return Ok(None);
        };
        self.taken = self.buffer.len() - reader.rest().len();
        Message::read(kind, body).map(Some)
    }
}
