//! The same transfer over a kernel stream: connect, send, recv, close; bind, listen, accept.
//!
//! A stream keeps no message boundaries, so everything travels in [`record`]s: a type, a length, a
//! body. The messages and the files' handling are those of the floor below; the kernel does the rest.

mod accept;
mod channel;
mod connect;
mod door;
mod lobby;
mod order;
mod outlet;
pub mod probe;
mod receive;
pub mod record;
mod send;
mod throttle;

pub use connect::{Order, dial};
pub use door::Door;

use self::channel::Channel;
use self::receive::Download;
use self::record::{Record, RecordReader};
use self::send::Upload;
use self::throttle::ThrottledStream;
use super::Finished;
use super::part::Part;

use crate::base::text::show_error;
use crate::base::time::Duration;
use crate::os::clock::Clock;
use crate::transfer::outcome::{Failure, Reason};
use crate::transport::config::IDLE_TIMEOUT;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::ops::Deref;
use std::sync::Arc;

/// No connection, or no answer to the first record, for this long: unreachable.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Blocking calls return this often, to look at the interrupt.
const PATIENCE: Duration = Duration::from_millis(200);

/// A peer from which nothing comes for this long is gone. Both sides write at least an empty record
/// every few seconds, also while a disk keeps the rest of them waiting.
const SILENCE: Duration = IDLE_TIMEOUT;

/// Bytes of file in one record.
const CHUNK: usize = 256 << 10;

/// A stream that several threads read from and write to, at the cost of one descriptor.
#[derive(Clone, Debug)]
pub(super) struct Stream(Arc<TcpStream>);

impl Stream {
    fn new(stream: TcpStream) -> Self {
        Self(Arc::new(stream))
    }

    /// The only word to one who is not served at all, as far as it does not keep anybody waiting.
    fn say_last(&self, failure: &Failure) {
        let (code, reason) = (failure.reason.code().into(), failure.text.as_bytes());
        let mut bytes = Vec::new();
        Record::Close { code, reason }.write_to(&mut bytes);
        let _ = (&**self).write(&bytes);
        let _ = self.shutdown(Shutdown::Write);
    }
}

impl Deref for Stream {
    type Target = TcpStream;

    fn deref(&self) -> &TcpStream {
        &self.0
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&**self).read(buffer)
    }
}

/// A listening stream socket that never blocks.
///
/// # Errors
/// As the system says: in use, not ours.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    // A listener that was ended can be started again at once.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.bind(&SockAddr::from(address))?;
    // Hundreds may call at the same moment.
    socket.listen(1024)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// The kernel's congestion controls that this program may use, CUBIC first; none where the system does
/// not say.
#[must_use]
pub fn congestion_controls() -> Vec<String> {
    let known = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_available_congestion_control");
    let known = known.unwrap_or_default();
    let mut names: Vec<String> =
        known.split_whitespace().filter(|name| is_granted(name)).map(str::to_owned).collect();
    names.sort_by_key(|name| (name != "cubic", name.clone()));
    names
}

fn is_granted(congestion: &str) -> bool {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP));
    socket.is_ok_and(|socket| choose_congestion(&socket, congestion).is_ok())
}

#[cfg(target_os = "linux")]
fn choose_congestion(socket: &Socket, name: &str) -> io::Result<()> {
    socket.set_tcp_congestion(name.as_bytes())
}

#[cfg(not(target_os = "linux"))]
fn choose_congestion(_: &Socket, _: &str) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Carries a transfer over a stream whose ends have greeted each other.
fn carry(channel: Channel, reader: RecordReader<ThrottledStream>, part: Part) -> Finished {
    match part {
        Part::Listing(receiving) => Download::new(channel, receiving, None).run(reader),
        Part::Receiving(receiving, sink) => {
            Download::new(channel, receiving, Some(sink)).run(reader)
        }
        Part::Sending(sending, source) => Upload::new(channel, sending, source).run(reader),
    }
}

/// Makes blocking calls return often, and small records go at once.
fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)
}

/// Asks to give up reading once nothing has come for [`SILENCE`].
fn until_silent(clock: Clock) -> impl FnMut(usize) -> bool {
    let mut heard = clock.now();
    move |brought| {
        let now = clock.now();
        if brought > 0 {
            heard = now;
        }
        now.since(heard) > SILENCE
    }
}

/// What it means for a transfer that its stream broke, and what to do `again`.
fn lost(error: &io::Error, peer: SocketAddr, again: &str) -> Failure {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, TimedOut, UnexpectedEof};
    let (host, port) = (peer.ip().to_canonical(), peer.port());
    let text = match error.kind() {
        BrokenPipe => format!("{host} is gone (broken pipe on TCP port {port}); {again}"),
        ConnectionAborted | ConnectionReset => {
            format!("{host} is gone (connection reset on TCP port {port}); {again}")
        }
        TimedOut => {
            let silence = SILENCE.as_secs();
            format!("nothing received from {host} on TCP port {port} for {silence} s; {again}")
        }
        UnexpectedEof => format!("{host} left before the transfer was complete; {again}"),
        _ => format!("the connection to {host} was lost: {}; {again}", show_error(error)),
    };
    Failure::new(Reason::Interrupted, text)
}
