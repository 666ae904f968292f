//! What a peer says, until it breaks the protocol for the first time.

use super::message::{Message, MessageReader};
use super::outcome::{Failure, Reason};
use crate::wire::cursor::Malformed;

/// The messages of a peer. After its first violation of the protocol there are no more of them, whatever
/// else it said in the same packet, record or stream; and the transfer has failed, however far it was.
///
/// Whoever owns this gives nothing of the transfer away any more once [`Hearing::is_over`] says so.
#[derive(Debug)]
pub(super) struct Hearing {
    /// Which side of the files the peer is on.
    peer: &'static str,
    messages: MessageReader,
    violation: Option<Failure>,
}

impl Hearing {
    /// Hears a receiver of files.
    pub(super) fn receiver() -> Self {
        Self { peer: "receiver", messages: MessageReader::default(), violation: None }
    }

    /// Hears a sender of files.
    pub(super) fn sender() -> Self {
        Self { peer: "sender", messages: MessageReader::default(), violation: None }
    }

    /// Where the stream's next bytes are to be appended.
    pub(super) fn buffer(&mut self) -> &mut Vec<u8> {
        self.messages.buffer()
    }

    /// Bytes that are not messages yet.
    pub(super) fn waiting(&self) -> usize {
        self.messages.waiting()
    }

    /// The next complete message, if the peer kept to the protocol so far.
    ///
    /// # Errors
    /// It did not.
    pub(super) fn next_message(&mut self) -> Result<Option<Message>, Failure> {
        self.verdict()?;
        self.messages.next_message().map_err(|malformed| self.violate(malformed))
    }

    /// The peer broke the protocol; the first time counts.
    pub(super) fn violate(&mut self, malformed: Malformed) -> Failure {
        let text = format!("the {} broke the protocol: {malformed}", self.peer);
        self.violation.get_or_insert_with(|| Failure::new(Reason::Other, text)).clone()
    }

    /// Whether the peer has broken the protocol.
    pub(super) fn is_over(&self) -> bool {
        self.violation.is_some()
    }

    /// How the peer keeps to the protocol.
    ///
    /// # Errors
    /// It does not.
    pub(super) fn verdict(&self) -> Result<(), Failure> {
        self.violation.clone().map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_heard_after_the_first_violation() {
        let mut hearing = Hearing::sender();
        Message::Plan.put(hearing.buffer());
        hearing.buffer().extend_from_slice(&[99, 0]);
        Message::OfferEnd.put(hearing.buffer());
        assert_eq!(hearing.next_message(), Ok(Some(Message::Plan)));
        let first = hearing.next_message().expect_err("there is no such message");
        Message::OfferEnd.put(hearing.buffer());
        assert_eq!(hearing.next_message(), Err(first.clone()));
        assert_eq!(hearing.violate(Malformed("something else")), first);
        assert!(hearing.is_over() && first.text.contains("the sender broke the protocol"));
    }
}
