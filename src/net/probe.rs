//! Asks whether a responder answers on UDP, without opening a connection.

use super::Interrupt;
use super::udp::{Path, ReceiveBuffers, Udp};
use crate::base::ecn::Ecn;
use crate::base::time::Duration;
use crate::os::clock;
use crate::os::wait::Waiter;
use crate::transport::handshake::{is_answer, question};
use crate::wire::header::ConnectionId;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;

/// Questions, because some get lost, and the time that each waits for an answer.
const QUESTIONS: usize = 4;
const PATIENCE: Duration = Duration::from_millis(500);

/// Whether volley answers at `address` on UDP. Gives up when interrupted.
#[must_use]
pub fn udp_answers(address: SocketAddr, interrupt: &Interrupt) -> bool {
    ask(address, interrupt).unwrap_or(false)
}

fn ask(address: SocketAddr, interrupt: &Interrupt) -> io::Result<bool> {
    let udp = Udp::bind(SocketAddr::new(unspecified(address), 0))?;
    let path = Path { peer: address, local: None };
    let id = ConnectionId(u32::from_be_bytes(clock::random_bytes()));
    let (waiter, clock) = (Waiter::new()?, clock::Clock::start());
    let mut buffers = ReceiveBuffers::default();
    let mut is_answered = false;
    for _ in 0..QUESTIONS {
        udp.send(path, Ecn::NotEct, &question(id));
        let until = clock.now() + PATIENCE;
        while !is_answered && clock.now() < until && interrupt.get().is_none() {
            waiter.wait_readable(&[udp.socket().as_fd()], until.since(clock.now()))?;
            if matches!(udp.poll_refusal(), Some(Some(_))) {
                return Ok(false);
            }
            buffers.receive(&udp, |from, _, _, datagram| {
                is_answered |= from.peer == address && is_answer(datagram, id);
            })?;
        }
        if is_answered || interrupt.get().is_some() {
            break;
        }
    }
    Ok(is_answered)
}

/// The address from which `address` can be reached, whatever this machine's own are.
#[must_use]
pub fn unspecified(address: SocketAddr) -> IpAddr {
    match address {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}
