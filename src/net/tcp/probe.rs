//! Asks whether volley answers on TCP, without opening a transfer.

use super::prepare;
use super::record::{Record, RecordReader};
use crate::base::time::Duration;
use crate::net::Interrupt;
use crate::os::clock::Clock;
use crate::wire::handshake::{NO_VERSION, Role};
use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};

/// Connecting, and then an answer, are waited for this long each.
const PATIENCE: Duration = Duration::from_secs(3);

/// Who accepts connections at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// Nobody.
    Nobody,
    /// Somebody who says nothing.
    Silent,
    /// A program of another kind.
    Stranger,
    /// Volley.
    Volley,
}

/// Who accepts connections at `address`.
#[must_use]
pub fn ask(address: SocketAddr) -> Listener {
    match TcpStream::connect_timeout(&address, PATIENCE) {
        Err(_) => Listener::Nobody,
        Ok(stream) => match is_volley(&stream) {
            Ok(true) => Listener::Volley,
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Listener::Silent,
            _ => Listener::Stranger,
        },
    }
}

/// Whether volley answers. As over UDP, a HELLO that lists a version that nobody speaks is a question, and no more.
fn is_volley(mut stream: &TcpStream) -> io::Result<bool> {
    prepare(stream)?;
    let mut hello = Vec::new();
    Record::Hello { versions: vec![NO_VERSION], role: Role::Sender }.write_to(&mut hello);
    stream.write_all(&hello)?;
    let clock = Clock::start();
    let until = clock.now() + PATIENCE;
    let mut reader = RecordReader::new(stream, Interrupt::default());
    let answer = reader.next(&mut |_| clock.now() > until)?;
    // It says which versions it knows, or why it does not want to.
    Ok(matches!(answer, Some(Record::Close { .. })))
}
