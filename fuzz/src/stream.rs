//! Streams put together from pieces: the control stream, and records over TCP.

use super::input::Input;
use std::collections::VecDeque;
use std::io::{self, Read};
use volley::net::Interrupt;
use volley::net::tcp::record::{BODY_MAX, Record, RecordReader};
use volley::transport::config::CONTROL_WINDOW;
use volley::transport::control_stream::{ControlReceiver, ControlSender};

/// A control stream over a path that loses, repeats and reorders, with a stranger's pieces between.
pub(crate) fn control_stream(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let (mut sender, mut receiver) = (ControlSender::default(), ControlReceiver::default());
    let mut travelling: VecDeque<(u64, Vec<u8>)> = VecDeque::new();
    let (mut written, mut read) = (0u64, Vec::new());
    while !input.is_empty() {
        match input.u8() % 8 {
            0 => {
                let len = u64::from(input.u16());
                let piece: Vec<u8> = (written..written + len).map(pattern).collect();
                sender.write(&piece);
                written += len;
            }
            1 => travelling.extend(sender.next(usize::from(input.u16()) + 1)),
            2 => travelling.extend(sender.again(usize::from(input.u16()) + 1)),
            3 => arrive(&mut travelling, &mut sender, &mut receiver),
            4 => {
                if let Some((offset, piece)) = travelling.pop_front() {
                    sender.on_lost(&(offset..offset + piece.len() as u64));
                }
            }
            5 => {
                let front = travelling.pop_front();
                travelling.extend(front);
            }
            6 => receiver.read(&mut read),
            _ => stranger(&mut input, &mut receiver, read.len() as u64),
        }
    }
    receiver.read(&mut read);
    assert!(read.iter().zip(0..).all(|(byte, at)| *byte == pattern(at)), "bytes in order");
}

/// Acknowledged is only what the receiver took in.
fn arrive(
    travelling: &mut VecDeque<(u64, Vec<u8>)>,
    sender: &mut ControlSender,
    receiver: &mut ControlReceiver,
) {
    let Some((offset, piece)) = travelling.pop_front() else {
        return;
    };
    let range = offset..offset + piece.len() as u64;
    if receiver.on_piece(offset, &piece).is_ok() {
        sender.on_acked(&range);
    } else {
        sender.on_lost(&range);
    }
}

/// A piece at any offset: refused beyond the window. What it says agrees with the stream.
fn stranger(input: &mut Input<'_>, receiver: &mut ControlReceiver, read: u64) {
    let offset = match input.u8() % 4 {
        0 => u64::from(input.u16()),
        1 => read.saturating_add(u64::from(input.u16())),
        2 => read.saturating_sub(u64::from(input.u16())),
        _ => input.u64(),
    };
    let len = u64::from(input.u16());
    let piece: Vec<u8> = (0..len).map(|at| pattern(offset.wrapping_add(at))).collect();
    let taken = receiver.on_piece(offset, &piece);
    let fits = offset.checked_add(len).is_some_and(|end| end <= read + CONTROL_WINDOW);
    assert_eq!(taken.is_ok(), fits, "{offset} {len} {read}");
}

fn pattern(at: u64) -> u8 {
    at.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()[0]
}

/// Records from a stream that delivers in pieces and times out. The first two bytes say how.
pub(crate) fn records(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let (piece, is_trusted) = (usize::from(input.u8()) + 1, input.u8() % 2 == 1);
    let stream = input.rest();
    let whole = read(Choppy { rest: stream, piece: usize::MAX, waits: false }, is_trusted);
    assert_eq!(whole, read(Choppy { rest: stream, piece, waits: false }, is_trusted));
}

/// The records as bytes, and how the stream ended.
fn read(stream: Choppy<'_>, is_trusted: bool) -> (Vec<Vec<u8>>, Option<io::ErrorKind>) {
    let mut reader = RecordReader::new(stream, Interrupt::default());
    if is_trusted {
        reader.trust();
    }
    let mut records = Vec::new();
    loop {
        match reader.next(&mut |_| false) {
            Ok(None) => return (records, None),
            Err(error) => return (records, Some(error.kind())),
            Ok(Some(record)) => {
                let mut again = Vec::new();
                record.write_to(&mut again);
                assert!(again.len() <= 5 + BODY_MAX);
                let [kind, _, _, _, _, body @ ..] = &again[..] else { panic!("no head") };
                assert_eq!(Record::read(*kind, body), Ok(record));
                records.push(again);
            }
        }
    }
}

/// A stream that times out before every piece.
struct Choppy<'a> {
    rest: &'a [u8],
    piece: usize,
    waits: bool,
}

impl Read for Choppy<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.waits = !self.waits;
        if self.waits {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let len = buffer.len().min(self.piece).min(self.rest.len());
        self.rest.read(&mut buffer[..len])
    }
}
