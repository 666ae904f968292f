//! Connecting a stream: to the first address that answers, a greeting, and what to say where none does.

use super::channel::{Channel, End};
use super::record::{Record, RecordReader};
use super::throttle::ThrottledStream;
use super::{CONNECT_TIMEOUT, PATIENCE, Stream, carry, choose_congestion, lost};
use crate::base::text::{disarm, show_error};
use crate::base::units::Rate;
use crate::net::part::Errand;
use crate::net::probe::udp_answers;
use crate::net::udp::is_no_route;
use crate::net::{Carrier, Finished, Interrupt, Observer};
use crate::transfer::ending::{Standpoint, failure_of_close};
use crate::transfer::outcome::{Failure, Reason};
use crate::wire::handshake::VERSION;
use socket2::SockRef;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{RecvTimeoutError, channel};

/// What to do over TCP, and where.
#[derive(Clone, Debug)]
pub struct Order {
    /// What to come for.
    pub errand: Errand,
    /// The listener's addresses, best first.
    pub addresses: Vec<SocketAddr>,
    /// Which of the kernel's congestion controls to use; the one it prefers unless named.
    pub congestion: Option<String>,
    /// What the transfer may take of the line at most.
    pub max_rate: Option<Rate>,
}

/// Carries an errand over TCP.
///
/// # Errors
/// A file cannot be read, or nobody answered at any address, or not as volley does.
pub fn dial(
    order: &Order,
    observer: &Observer,
    interrupt: &Interrupt,
) -> Result<Finished, Failure> {
    let standpoint = order.errand.standpoint();
    let part = order.errand.part(Carrier::Tcp)?;
    let (stream, peer) = connect(&order.addresses, standpoint, interrupt)?;
    if let Some(name) = &order.congestion {
        choose_congestion(&SockRef::from(&stream), name).map_err(|error| {
            let error = show_error(&error);
            let text = format!("the system refuses the congestion control {name}: {error}");
            Failure::new(Reason::Other, text)
        })?;
    }
    let broken = |error: io::Error| lost(&error, peer, standpoint.again());
    let end = End::of(interrupt);
    let stream = Stream::new(stream);
    let link = (1, stream, peer);
    let channel = Channel::new(link, standpoint, &end, observer, order.max_rate).map_err(broken)?;
    let mut reader = channel.reader();
    let versions = vec![VERSION];
    // What is heard says more than that this could not be written.
    let _ = channel.write(&Record::Hello { versions, role: order.errand.role() });
    if let Err(failure) = greet(&channel, &mut reader) {
        channel.close(&failure);
        return Err(failure);
    }
    Ok(carry(channel, reader, part))
}

/// Waits for the listener's first word.
fn greet(channel: &Channel, reader: &mut RecordReader<ThrottledStream>) -> Result<(), Failure> {
    let listener = channel.standpoint.listener();
    let first = channel.first(reader);
    if let Some(failure) = channel.end.failure() {
        return Err(failure);
    }
    let (reason, text) = match first {
        Ok(Some(Record::Welcome { version: VERSION })) => {
            reader.trust();
            return Ok(());
        }
        Ok(Some(Record::Welcome { version: theirs })) => {
            let text = format!(
                "the other side speaks version {theirs} of the protocol; install the same version \
                 of volley on both"
            );
            (Reason::Version, text)
        }
        Ok(Some(Record::Close { code, reason })) => {
            let reason = String::from_utf8_lossy(reason);
            return Err(refusal(code, &reason, channel.standpoint));
        }
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            let text =
                format!("it accepts TCP connections but does not answer as {listener} would");
            (Reason::Unreachable, text)
        }
        _ => (Reason::Unreachable, format!("something else than {listener} listens there")),
    };
    Err(Failure::new(reason, format!("{}: {text}", channel.peer)))
}

/// What it means to be turned away at once: over UDP it is said in the same words.
fn refusal(code: u16, reason: &str, standpoint: Standpoint) -> Failure {
    match Reason::from_code(code) {
        Reason::Refused => Failure::new(Reason::Refused, format!("refused: {}", disarm(reason))),
        _ => failure_of_close(code, reason, standpoint),
    }
}

/// Connects to the first of `addresses` that answers.
///
/// # Errors
/// None does, or the interrupt.
fn connect(
    addresses: &[SocketAddr],
    standpoint: Standpoint,
    interrupt: &Interrupt,
) -> Result<(TcpStream, SocketAddr), Failure> {
    let mut last = Failure::new(Reason::Unreachable, "there is no address to send to");
    for address in addresses {
        let Some(connected) = connect_to(*address, interrupt) else {
            return Err(interrupt.failure().unwrap_or(last));
        };
        match connected {
            Ok(stream) => return Ok((stream, *address)),
            Err(error) => last = unreachable(*address, &error, standpoint, interrupt),
        }
    }
    Err(last)
}

/// Says why nobody could be reached, and whether UDP would have done.
fn unreachable(
    address: SocketAddr,
    error: &io::Error,
    standpoint: Standpoint,
    interrupt: &Interrupt,
) -> Failure {
    let is_no_route = is_no_route(error);
    let (host, port, error) = (address.ip(), address.port(), show_error(error));
    let listener = standpoint.listener();
    let text = if !is_no_route && udp_answers(address, interrupt) {
        format!(
            "{host} answers on UDP port {port} but not on TCP port {port} ({error}): TCP is \
             blocked on the way; open TCP port {port} in the firewalls, or leave out --tcp"
        )
    } else {
        format!(
            "cannot connect to {host} on TCP port {port}: {error}; check that {listener} runs \
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
