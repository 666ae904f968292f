//! Transfer messages, in pieces of any size.

use super::input::Input;
use volley::transfer::message::{BODY_MAX, Message, MessageReader};
use volley::wire::cursor::Reader;

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
fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]> + Clone) -> (Vec<Message>, bool) {
    let mut reader = MessageReader::default();
    let mut messages = Vec::new();
    for piece in pieces.clone() {
        reader.buffer().extend_from_slice(piece);
        loop {
            match reader.next_message() {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(_) => return (messages, true),
            }
        }
    }
    let stream: Vec<u8> = pieces.into_iter().flatten().copied().collect();
    let mut rest = Reader::new(&stream[stream.len() - reader.waiting()..], "head");
    if let (Ok(kind), Ok(len)) = (rest.u8(), rest.varint()) {
        assert!(len <= BODY_MAX as u64, "waits for {len} bytes of a message of type {kind}");
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
