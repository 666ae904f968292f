//! Transfer messages, in pieces of any size.

use super::input::Input;
use volley::transfer::message::{BODY_MAX, Message, MessageReader};

/// The first byte says how the stream is cut.
pub(crate) fn messages(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let piece = usize::from(input.u8()) + 1;
    let stream = input.rest();
    let whole = read([stream]);
    assert_eq!(whole, read(stream.chunks(piece)), "in pieces of {piece}");
    for message in whole.0 {
        let mut again = Vec::new();
        message.put(&mut again);
        let (messages, is_malformed) = read([&again[..]]);
        let [read] = &messages[..] else { panic!("{message:?} became {messages:?}") };
        assert!(!is_malformed);
        assert_eq!(comparable(read), comparable(&message));
    }
}

/// The messages, and whether the stream broke.
fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Message>, bool) {
    let mut reader = MessageReader::default();
    let mut messages = Vec::new();
    for piece in pieces {
        reader.buffer().extend_from_slice(piece);
        loop {
            match reader.next_message() {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(_) => return (messages, true),
            }
        }
        assert!(reader.waiting() < BODY_MAX + 9 + piece.len(), "a message is not waited for");
    }
    (messages, false)
}

/// A sentence is escaped once more whenever it is read.
fn comparable(message: &Message) -> Message {
    let mut message = message.clone();
    if let Message::Failed { text, .. } | Message::Reject { text, .. } = &mut message {
        text.clear();
    }
    message
}
