//! The datagram socket: bind, recvfrom, sendto, in batches where the system can.

use super::refusal::{self, Refusal};
use crate::base::ecn::Ecn;
use crate::base::time::Duration;
use crate::transport::PathId;
use crate::transport::batch::Batch;
use quinn_udp::{BATCH_SIZE, EcnCodepoint, RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Mutex;

/// Asked for; the system may grant less.
const SOCKET_BUFFER: usize = 4 << 20;

/// UDP payload of a datagram that fits an Ethernet frame over IPv4 and over IPv6.
const ETHERNET_V4: u16 = 1472;
const ETHERNET_V6: u16 = 1452;

/// Buffers of one reception; each may hold a train of merged datagrams.
const RECEIVE_BUFFERS: usize = if BATCH_SIZE < 16 { BATCH_SIZE } else { 16 };
const RECEIVE_BUFFER_LEN: usize = 1 << 16;

/// Errors in a row after which a socket does not work any more.
const RECEIVE_TRIES: u32 = 64;

/// Where a datagram came from and to which of our addresses, so that the answer leaves from there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path {
    /// The other side.
    pub peer: SocketAddr,
    /// Our address.
    pub local: Option<IpAddr>,
}

impl Path {
    /// What the transport calls it.
    #[must_use]
    pub fn id(&self) -> PathId {
        let host = match self.peer.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped().to_bits(),
            IpAddr::V6(ip) => ip.to_bits(),
        };
        PathId { host, port: self.peer.port() }
    }

    /// Bytes of the IP packet that carries `payload` bytes of UDP payload on this path.
    #[must_use]
    pub fn ip_size(&self, payload: usize) -> usize {
        let ip = if self.peer.ip().to_canonical().is_ipv4() { 20 } else { 40 };
        ip + 8 + payload
    }
}

/// A bound datagram socket that never blocks.
#[derive(Debug)]
pub struct Udp {
    socket: UdpSocket,
    state: UdpSocketState,
    /// What the system last said of a datagram that it would not send.
    last_error: Mutex<Option<io::Error>>,
    #[cfg(test)]
    trouble: Option<tests::Trouble>,
}

impl Udp {
    /// Binds to `address`; an unspecified IPv6 address takes IPv4 as well.
    ///
    /// # Errors
    /// As the system says: in use, not ours, no such family.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        if address.is_ipv6() {
            socket.set_only_v6(false)?;
        }
        // More than the default, which holds a millisecond of a fast link; less is no error.
        let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
        let _ = socket.set_send_buffer_size(SOCKET_BUFFER);
        socket.bind(&SockAddr::from(address))?;
        let socket = UdpSocket::from(socket);
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        // Without such hints everything works, later.
        let _ = refusal::ask(&socket, &state);
        let _ = choose(&socket, Telling::Trains);
        Ok(Self {
            socket,
            state,
            last_error: Mutex::default(),
            #[cfg(test)]
            trouble: None,
        })
    }

    /// From now on datagrams come with when the system took them in, and one by one.
    pub fn tell_times(&self) {
        let _ = choose(&self.socket, Telling::Times);
    }

    /// The address it is bound to.
    ///
    /// # Errors
    /// As the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// The socket itself, to wait on.
    #[must_use]
    pub fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    /// The next thing that the system has to say of datagrams that it sent: `Some(None)` if it is
    /// something else than a refusal.
    #[must_use]
    pub fn poll_refusal(&self) -> Option<Option<Refusal>> {
        refusal::poll(&self.socket)
    }

    /// The largest datagram to try towards `peer`.
    #[must_use]
    pub fn max_datagram(&self, peer: SocketAddr) -> u16 {
        match peer.ip().to_canonical() {
            IpAddr::V4(_) => ETHERNET_V4,
            IpAddr::V6(_) => ETHERNET_V6,
        }
    }

    /// Bytes that wait in the receive buffer before the host drops some.
    #[must_use]
    pub fn receive_buffer(&self) -> u64 {
        let size = self.state.recv_buffer_size(UdpSockRef::from(&self.socket)).unwrap_or(0);
        // Linux counts its own bookkeeping too, and reports twice what was asked for.
        (size / 2) as u64
    }

    /// Datagrams that are worth building in one train.
    #[must_use]
    pub fn max_train(&self) -> usize {
        self.state.max_gso_segments().max(16)
    }

    /// Sends all datagrams of `batch`; one by one where the system does not segment.
    ///
    /// # Errors
    /// `WouldBlock` if the send buffer is full; then none of the rest went.
    pub fn send_batch(&self, path: Path, batch: &Batch) -> io::Result<()> {
        let (segment, ecn) = (batch.segment_size(), batch.ecn());
        let at_once = self.state.max_gso_segments().max(1) * segment;
        for train in batch.bytes().chunks(at_once.max(1)) {
            match self.try_send(path, ecn, train, segment) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(error),
                // The first train may be what teaches the socket that it cannot segment: its
                // datagrams go out singly at once, for a lost train costs a probe timeout.
                Err(_) if train.len() > segment => {
                    train.chunks(segment).for_each(|datagram| self.send(path, ecn, datagram));
                }
                // Anything else that goes wrong with a datagram is one more way to lose it.
                Err(error) => self.note(error),
                Ok(()) => {}
            }
        }
        Ok(())
    }

    /// Sends one datagram. One that cannot be sent is lost, as any datagram may be.
    pub fn send(&self, path: Path, ecn: Ecn, datagram: &[u8]) {
        if let Err(error) = self.send_or_tell(path, ecn, datagram) {
            self.note(error);
        }
    }

    /// Remembers an error that may explain why nobody answers; full buffers and probes that are too
    /// large do not.
    fn note(&self, error: io::Error) {
        let is_ordinary =
            error.kind() == io::ErrorKind::WouldBlock || quinn_udp::is_msg_size_err(&error);
        if !is_ordinary {
            *self.last_error.lock().expect("nobody panics while holding it") = Some(error);
        }
    }

    /// Whether the system has no way to where the last datagram was to go.
    #[must_use]
    pub fn has_no_route(&self) -> bool {
        let last = self.last_error.lock().expect("nobody panics while holding it");
        last.as_ref().is_some_and(is_no_route)
    }

    /// What the system last said of a datagram that it would not send.
    #[must_use]
    pub fn last_error(&self) -> Option<io::Error> {
        self.last_error.lock().expect("nobody panics while holding it").take()
    }

    /// From now on [`Udp::take_refusal`] knows who refused a datagram.
    ///
    /// # Errors
    /// As the system says.
    pub fn watch_refusals(&self) -> io::Result<()> {
        self.state.enable_transport_errors(UdpSockRef::from(&self.socket))
    }

    /// Whether an earlier datagram was refused on its way, since the last call. Until it is taken, a
    /// refusal may keep the next datagram from being sent.
    #[must_use]
    pub fn take_refusal(&self) -> bool {
        let taken = self.state.recv_transport_error(UdpSockRef::from(&self.socket));
        taken.is_ok_and(|refusal| refusal.is_some())
    }

    /// Sends one datagram.
    ///
    /// # Errors
    /// As the system says, perhaps about an earlier datagram.
    pub fn send_or_tell(&self, path: Path, ecn: Ecn, datagram: &[u8]) -> io::Result<()> {
        self.try_send(path, ecn, datagram, datagram.len())
    }

    fn try_send(&self, path: Path, ecn: Ecn, bytes: &[u8], segment: usize) -> io::Result<()> {
        let transmit = Transmit {
            destination: path.peer,
            ecn: EcnCodepoint::from_bits(ecn.bits()),
            contents: bytes,
            segment_size: (bytes.len() > segment).then_some(segment),
            src_ip: path.local,
        };
        let send = || {
            self.ask(Call::Send)?;
            self.state.try_send(UdpSockRef::from(&self.socket), &transmit)
        };
        match send() {
            // What an earlier datagram met is reported once, in place of sending this one.
            Err(error) if is_of_another_datagram(&error) => send(),
            sent => sent,
        }
    }

    /// Before a call to the system: in the product nobody has anything against it.
    #[cfg(not(test))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "a test may let it fail")]
    fn ask(&self, _: Call) -> io::Result<()> {
        Ok(())
    }
}

/// What the system tells of datagrams beside where they come from and their marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Telling {
    /// When each was taken in.
    Times,
    /// Which have been merged into one train.
    Trains,
}

/// Linux could tell both, but quinn-udp has room for 96 bytes of that, and the marks come last.
#[cfg(target_os = "linux")]
fn choose(socket: &UdpSocket, telling: Telling) -> io::Result<()> {
    use nix::sys::socket::{setsockopt, sockopt};
    setsockopt(socket, sockopt::ReceiveTimestampns, &(telling == Telling::Times))?;
    setsockopt(socket, sockopt::UdpGroSegment, &(telling == Telling::Trains))?;
    Ok(())
}

/// Other systems tell no times.
#[cfg(not(target_os = "linux"))]
fn choose(_: &UdpSocket, _: Telling) -> io::Result<()> {
    Ok(())
}

/// A call to the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Receive,
    Send,
}

/// Buffers for receiving, reused.
#[derive(Debug)]
pub struct ReceiveBuffers {
    bytes: Vec<u8>,
    meta: [RecvMeta; RECEIVE_BUFFERS],
}

impl Default for ReceiveBuffers {
    fn default() -> Self {
        Self {
            bytes: vec![0; RECEIVE_BUFFERS * RECEIVE_BUFFER_LEN],
            meta: [RecvMeta::default(); RECEIVE_BUFFERS],
        }
    }
}

impl ReceiveBuffers {
    /// Receives what has arrived, up to the size of the buffers, and passes on each datagram with what its
    /// IP packet says of congestion, and when the system took it in, where it tells that: in time since
    /// 1970. True if that filled the buffers, so that more may be there.
    ///
    /// # Errors
    /// The socket itself does not work any more.
    pub fn receive(
        &mut self,
        udp: &Udp,
        mut each: impl FnMut(Path, Ecn, Option<Duration>, &[u8]),
    ) -> io::Result<bool> {
        let mut buffers: Vec<IoSliceMut<'_>> =
            self.bytes.chunks_mut(RECEIVE_BUFFER_LEN).map(IoSliceMut::new).collect();
        let mut tries = 0;
        let count = loop {
            tries += 1;
            let socket = UdpSockRef::from(&udp.socket);
            let asked = udp.ask(Call::Receive);
            match asked.and_then(|()| udp.state.recv(socket, &mut buffers, &mut self.meta)) {
                Ok(count) => break count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                // The system reports what became of a datagram that was sent, each once and in as many
                // ways as there are kinds of ICMP. What never stops is about the socket.
                Err(error) if tries > RECEIVE_TRIES => return Err(error),
                Err(_) => {}
            }
        };
        for (meta, buffer) in self.meta.iter().zip(&buffers).take(count) {
            let path = Path { peer: meta.addr, local: meta.dst_ip };
            let ecn = meta.ecn.map_or(Ecn::NotEct, |codepoint| Ecn::from_bits(codepoint as u8));
            if meta.len == 0 {
                each(path, ecn, meta.timestamp, &[]);
            }
            for datagram in buffer[..meta.len].chunks(meta.stride.max(1)) {
                each(path, ecn, meta.timestamp, datagram);
            }
        }
        Ok(count == RECEIVE_BUFFERS)
    }
}

/// `EAFNOSUPPORT`, for which the standard library has no name of its own.
const EAFNOSUPPORT: i32 = 97;

/// Whether the system says that no way leads there, or that it has no address to send from.
#[must_use]
pub fn is_no_route(error: &io::Error) -> bool {
    use io::ErrorKind::{AddrNotAvailable, HostUnreachable, NetworkUnreachable};
    matches!(error.kind(), AddrNotAvailable | HostUnreachable | NetworkUnreachable)
}

/// Whether the system has no addresses of that family at all: IPv6 is off, as a rule.
#[must_use]
pub fn is_no_family(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Unsupported || error.raw_os_error() == Some(EAFNOSUPPORT)
}

/// Errors that ICMP messages cause, which the system reports at the next call whatever it is for.
fn is_of_another_datagram(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, ConnectionReset, HostUnreachable, NetworkUnreachable};
    matches!(
        error.kind(),
        ConnectionRefused | ConnectionReset | HostUnreachable | NetworkUnreachable
    )
}

#[cfg(test)]
pub(super) mod tests;
