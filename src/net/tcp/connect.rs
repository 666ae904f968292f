//! Connecting a stream: to the first address that answers, and what to say where none does.

use super::{CONNECT_TIMEOUT, PATIENCE, prepare};
use crate::base::text::show_error;
use crate::net::Interrupt;
use crate::net::probe::udp_answers;
use crate::transfer::outcome::{Failure, Reason};
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{RecvTimeoutError, channel};

/// Connects to the first of `addresses` that answers.
///
/// # Errors
/// None does, or the interrupt.
pub(super) fn connect(
    addresses: &[SocketAddr],
    interrupt: &Interrupt,
) -> Result<(TcpStream, SocketAddr), Failure> {
    let mut last = Failure::new(Reason::Unreachable, "there is no address to send to");
    for address in addresses {
        let Some(connected) = connect_to(*address, interrupt) else {
            return Err(interrupt.failure().unwrap_or(last));
        };
        match connected.and_then(|stream| prepare(&stream).map(|()| stream)) {
            Ok(stream) => return Ok((stream, *address)),
            Err(error) => last = unreachable(*address, &error, interrupt),
        }
    }
    Err(last)
}

/// Says why nobody could be reached, and whether UDP would have done.
fn unreachable(address: SocketAddr, error: &io::Error, interrupt: &Interrupt) -> Failure {
    let (host, port, error) = (address.ip(), address.port(), show_error(error));
    let text = if udp_answers(address, interrupt) {
        format!(
            "{host} answers on UDP port {port} but not on TCP port {port} ({error}): TCP is \
             blocked on the way; open TCP port {port} in the firewalls, or leave out --tcp"
        )
    } else {
        format!(
            "cannot connect to {host} on TCP port {port}: {error}; check that `volley recv` runs \
             there, the address and port, and the firewalls"
        )
    };
    Failure::new(Reason::Unreachable, text)
}

/// Connects on a thread of its own, for connecting cannot be interrupted; nothing if waiting for it was.
fn connect_to(address: SocketAddr, interrupt: &Interrupt) -> Option<io::Result<TcpStream>> {
    let (tell, connected) = channel();
    std::thread::spawn(move || tell.send(TcpStream::connect_timeout(&address, CONNECT_TIMEOUT)));
    loop {
        match connected.recv_timeout(PATIENCE) {
            Ok(connected) => return Some(connected),
            Err(_) if interrupt.get().is_some() => return None,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                return Some(Err(io::ErrorKind::ConnectionAborted.into()));
            }
        }
    }
}
