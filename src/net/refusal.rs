//! What the system learnt about datagrams that it sent: ICMP says that no program has the port.
//!
//! Linux keeps such messages for a socket that asks for them (`IP_RECVERR`). Elsewhere there is no such
//! hint, and a peer that is gone is known by its silence.

use quinn_udp::{UdpSockRef, UdpSocketState};
use std::io;
use std::net::{SocketAddr, UdpSocket};

/// The beginning of the refused datagram is kept up to this length: a packet header, and what a HELLO
/// calls its connection.
pub const QUOTE_MAX: usize = 20;

/// A port that refused a datagram.
#[derive(Clone, Copy, Debug)]
pub struct Refusal {
    /// Whose port.
    pub peer: SocketAddr,
    quote: [u8; QUOTE_MAX],
    quoted: usize,
}

impl Refusal {
    /// The beginning of the datagram, as far as it is known.
    #[must_use]
    pub fn quoted(&self) -> &[u8] {
        &self.quote[..self.quoted]
    }
}

/// Asks the system to keep refusals.
///
/// # Errors
/// As the system says.
pub fn ask(socket: &UdpSocket, state: &UdpSocketState) -> io::Result<()> {
    state.enable_transport_errors(UdpSockRef::from(socket))
}

/// The next thing that the system keeps: `Some(None)` if it is something else than a refusal, which the
/// transport finds out by itself.
#[cfg(target_os = "linux")]
#[must_use]
pub fn poll(socket: &UdpSocket) -> Option<Option<Refusal>> {
    use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrIn6, SockaddrStorage, recvmsg};
    use std::os::fd::AsRawFd;

    let mut quote = [0; QUOTE_MAX];
    // The error comes behind all that is told of datagrams that arrive: times, addresses, marks.
    let mut control = nix::cmsg_space!([u8; 512]);
    let mut buffers = [io::IoSliceMut::new(&mut quote)];
    let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
    let kept =
        recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut buffers, Some(&mut control), flags)
            .ok()?;
    let is_refusal = kept.cmsgs().is_ok_and(|mut messages| {
        messages.any(|message| match message {
            ControlMessageOwned::Ipv4RecvErr(error, _)
            | ControlMessageOwned::Ipv6RecvErr(error, _) => {
                let errno = i32::try_from(error.ee_errno).unwrap_or(0);
                io::Error::from_raw_os_error(errno).kind() == io::ErrorKind::ConnectionRefused
            }
            _ => false,
        })
    });
    let peer = kept.address.and_then(|address| {
        let v4 = address.as_sockaddr_in().map(|v4| SocketAddr::V4((*v4).into()));
        v4.or_else(|| address.as_sockaddr_in6().copied().map(SockaddrIn6::into))
    });
    let quoted = kept.bytes.min(QUOTE_MAX);
    Some(peer.filter(|_| is_refusal).map(|peer| Refusal { peer, quote, quoted }))
}

/// Nothing is kept.
#[cfg(not(target_os = "linux"))]
#[must_use]
pub fn poll(_: &UdpSocket) -> Option<Option<Refusal>> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ecn::Ecn;
    use crate::base::time::Duration;
    use crate::net::udp::{Path, ReceiveBuffers, Udp};
    use crate::os::wait::Waiter;
    use std::os::fd::AsFd;

    const LONG: Duration = Duration::from_secs(10);

    #[cfg(target_os = "linux")]
    #[test]
    fn a_closed_port_refuses_and_the_socket_works_on() {
        for (ours, theirs) in
            [("127.0.0.1:0", "127.0.0.1:0"), ("[::]:0", "127.0.0.1:0"), ("[::]:0", "[::1]:0")]
        {
            // A machine without IPv6 has nothing to show here.
            let (Ok(udp), Ok(peer)) =
                (Udp::bind(ours.parse().expect("an address")), UdpSocket::bind(theirs))
            else {
                continue;
            };
            let gone =
                UdpSocket::bind(theirs).and_then(|socket| socket.local_addr()).expect("loopback");
            let path = |peer| Path { peer, local: None };
            let datagram = *b"a datagram that nobody receives";
            udp.send(path(gone), Ecn::NotEct, &datagram);
            Waiter::new()
                .and_then(|waiter| waiter.wait_readable(&[udp.socket().as_fd()], LONG))
                .expect("woken");
            let refusal = udp.poll_refusal().expect("kept").expect("a refusal");
            assert_eq!(
                (refusal.peer.ip().to_canonical(), refusal.peer.port()),
                (gone.ip(), gone.port())
            );
            assert_eq!(refusal.quoted(), &datagram[..QUOTE_MAX]);
            assert!(udp.poll_refusal().is_none());
            // What waits from before does not keep the next datagram from going, nor from coming.
            udp.send(path(gone), Ecn::NotEct, &datagram);
            udp.send(path(gone), Ecn::NotEct, &datagram);
            udp.send(path(peer.local_addr().expect("bound")), Ecn::NotEct, &datagram);
            let mut buffer = [0; 100];
            let (len, back) = peer.recv_from(&mut buffer).expect("arrived");
            assert_eq!(&buffer[..len], &datagram);
            peer.send_to(b"an answer", back).expect("loopback");
            let mut answers = 0;
            let mut buffers = ReceiveBuffers::default();
            while answers == 0 {
                Waiter::new()
                    .and_then(|waiter| waiter.wait_readable(&[udp.socket().as_fd()], LONG))
                    .expect("woken");
                buffers.receive(&udp, |_, _, _, _| answers += 1).expect("the socket works");
            }
        }
    }
}
