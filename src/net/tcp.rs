//! The same transfer over a kernel stream: connect, send, recv, close; bind, listen, accept.
//!
//! A stream keeps no message boundaries, so everything travels in [`record`]s: a type, a length, a
//! body. The messages and the files' handling are those of the floor below; the kernel does the rest.

mod receive;
pub mod record;
mod send;

pub use receive::Streams;
pub use send::{Order, send};

use crate::base::time::Duration;
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, TcpKeepalive, Type};
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};

/// No connection, or no answer to the first record, for this long: unreachable.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Blocking calls return this often, to look at the interrupt.
const PATIENCE: Duration = Duration::from_millis(200);

/// A receiver whose disk is busy for longer than this is taken for gone: the kernel cannot tell a host
/// that does not read from one that is not there.
const STALL_MAX: Duration = Duration::from_secs(180);

/// Bytes of file in one record.
const CHUNK: usize = 256 << 10;

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
    socket.listen(128)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Whether anybody accepts connections at `address`.
#[must_use]
pub fn answers(address: SocketAddr) -> bool {
    TcpStream::connect_timeout(&address, Duration::from_secs(5)).is_ok()
}

/// Makes blocking calls return often, small records go at once, and a vanished peer known: after half
/// a minute while nothing goes, for the kernel asks whether it is there; after [`STALL_MAX`] while
/// something does.
fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    let probes = TcpKeepalive::new()
        .with_time(Duration::from_secs(10))
        .with_interval(Duration::from_secs(5));
    #[cfg(not(windows))]
    let probes = probes.with_retries(4);
    socket.set_tcp_keepalive(&probes)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(STALL_MAX))?;
    Ok(())
}
