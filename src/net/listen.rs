//! Serving whoever comes: one datagram socket and one stream socket on the same port.

use super::engine::Engine;
use super::part::Service;
use super::places::{Admission, Place, Places};
use super::udp::{Path, Udp, is_no_family};
use super::{Carrier, Impairment, Interrupt, Notice, Observer, tcp};
use crate::base::text::show_error;
use crate::base::time::Duration;
use crate::base::units::Rate;
use crate::os::clock;
use crate::os::limits;
use crate::transfer::outcome::{Failure, Reason};
use crate::transport::Connection;
use crate::transport::arq::ArqConfig;
use crate::transport::handshake::{Acceptor, Answer, Duty, Load, initiators_id};
use crate::wire::handshake::Hello;
use crate::wire::header::{ConnectionId, Header};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

/// The loop looks at the interrupt this often.
const PATIENCE: Duration = Duration::from_millis(100);

/// After an interrupt, transfers get this long to tell their peers.
const FAREWELL: Duration = Duration::from_secs(1);

/// A port chosen by the system may be taken for the other carrier; then another one is tried.
const BIND_TRIES: usize = 16;

/// How to serve.
#[derive(Clone, Debug)]
pub struct Order {
    /// What to do for whoever comes.
    pub service: Service,
    /// End after one transfer that completed.
    pub once: bool,
    /// What each transfer may take of the line at most.
    pub max_rate: Option<Rate>,
    /// An imperfect link in front of the datagram socket.
    pub impairment: Option<Impairment>,
    /// Whether to tell what happens to each packet.
    pub traces: bool,
}

impl Order {
    /// What those hear who are under way when the one transfer that was wanted has completed.
    fn farewell(&self) -> Failure {
        let (others, again) = match self.service.duty() {
            Duty::Receive => ("that of another sender", "send again"),
            Duty::Share => ("another one", "get it again"),
        };
        let text = format!(
            "it was started for one transfer (--once), and {others} is complete; start it again, \
             then {again}"
        );
        Failure::new(Reason::Interrupted, text)
    }
}

/// Both sockets, bound.
#[derive(Debug)]
pub struct Listener {
    udp: Udp,
    tcp: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Binds both sockets to the same port; without an address, to all of them.
    ///
    /// # Errors
    /// The port is taken, or the address is not ours.
    pub fn bind(address: Option<IpAddr>, port: u16) -> Result<Self, Failure> {
        let choices: Vec<IpAddr> = match address {
            Some(address) => vec![address],
            // A machine without IPv6 has no unspecified IPv6 address either.
            None => vec![Ipv6Addr::UNSPECIFIED.into(), Ipv4Addr::UNSPECIFIED.into()],
        };
        Self::bind_first(choices.into_iter().map(|choice| SocketAddr::new(choice, port)))
    }

    /// Binds both sockets to one address and port, and in one zone.
    ///
    /// # Errors
    /// The port is taken, or the address is not ours.
    pub fn bind_to(address: SocketAddr) -> Result<Self, Failure> {
        Self::bind_first([address])
    }

    fn bind_first(choices: impl IntoIterator<Item = SocketAddr>) -> Result<Self, Failure> {
        let mut last = None;
        for choice in choices {
            match bind_both(choice) {
                Ok(listener) => return Ok(listener),
                Err(error) => {
                    // Where IPv6 works, what it says is the answer.
                    let no_family =
                        error.kind() == io::ErrorKind::AddrNotAvailable || is_no_family(&error);
                    last = Some((choice, error));
                    if !no_family {
                        break;
                    }
                }
            }
        }
        let (choice, error) = last.expect("at least one choice");
        Err(bind_failure(choice, &error))
    }

    #[cfg(test)]
    pub(super) fn udp(&mut self) -> &mut Udp {
        &mut self.udp
    }

    /// The address that both sockets are bound to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until interrupted, or until one transfer has completed if that is all that is wanted.
    /// Says how that one ended; `None` where every file is committed.
    ///
    /// # Errors
    /// The interrupt, or a socket that does not work any more.
    pub fn run(
        self,
        order: &Order,
        observer: &Observer,
        interrupt: &Interrupt,
    ) -> Result<Option<Reason>, Failure> {
        let completed = Arc::new(Mutex::new(None));
        let observer = note_completion(observer, &completed);
        let mut serving = Serving::new(self, order, observer).map_err(socket_failure)?;
        let ended = loop {
            if let Err(error) = serving.turn() {
                break Err(socket_failure(error));
            }
            if let Some(failure) = interrupt.failure() {
                break Err(failure);
            }
            if let Some(verdict) = *completed.lock().expect("nobody panics while holding it")
                && order.once
            {
                break Ok(verdict);
            }
        };
        let farewell = ended.as_ref().err().cloned().unwrap_or_else(|| order.farewell());
        serving.end(&farewell).map_err(socket_failure)?;
        ended
    }
}

fn bind_both(address: SocketAddr) -> io::Result<Listener> {
    let mut last = None;
    for _ in 0..BIND_TRIES {
        let udp = Udp::bind(address)?;
        let bound = udp.local_addr()?;
        match tcp::listen(bound) {
            Ok(tcp) => {
                return Ok(Listener { udp, tcp, address: bound });
            }
            Err(error) if address.port() != 0 => return Err(error),
            Err(error) => last = Some(error),
        }
    }
    Err(last.expect("tried more than once"))
}

fn bind_failure(address: SocketAddr, error: &io::Error) -> Failure {
    let port = address.port();
    let text = match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "port {port} is in use; end the program that has it, or choose another with --port"
        ),
        io::ErrorKind::AddrNotAvailable => {
            format!(
                "{} is no address of this machine; correct --bind, or leave it away",
                address.ip()
            )
        }
        _ if is_no_family(error) => {
            let family = if address.is_ipv4() { "IPv4" } else { "IPv6" };
            format!("this machine has no {family}; write another address after --bind, or none")
        }
        io::ErrorKind::PermissionDenied => {
            format!("port {port} is not for ordinary users; choose one above 1023 with --port")
        }
        _ => format!("cannot listen on {address}: {}", show_error(error)),
    };
    Failure::new(Reason::Other, text)
}

fn socket_failure(error: io::Error) -> Failure {
    Failure::new(Reason::Other, format!("the socket failed: {}", show_error(&error)))
}

/// Notes the first transfer in which every file got an outcome, and passes everything on.
fn note_completion(
    observer: &Observer,
    completed: &Arc<Mutex<Option<Option<Reason>>>>,
) -> Observer {
    let (observer, completed) = (observer.clone(), completed.clone());
    Arc::new(move |notice| {
        let verdict = match &notice {
            Notice::Ended { finished, .. } => {
                let report = &finished.report;
                let counts = &report.counts;
                // To have asked is no transfer: the one that is wanted has yet to come.
                let is_transfer = counts.entries > 0 && counts.planned.is_none() && !report.is_list;
                let is_complete = report.failure.is_none() && is_transfer;
                // One that another went on with has not completed.
                let verdict = is_complete.then(|| report.verdict());
                verdict.filter(|verdict| *verdict != Some(Reason::Interrupted))
            }
            _ => None,
        };
        observer(notice);
        if let Some(verdict) = verdict {
            completed.lock().expect("nobody panics while holding it").get_or_insert(verdict);
        }
    })
}

/// A listener at work.
struct Serving {
    engine: Engine,
    door: tcp::Door,
    acceptor: Acceptor,
    places: Places,
    /// HELLOs that have a session, by where they came from and what they call it.
    known: HashMap<(SocketAddr, ConnectionId), u64>,
    order: Order,
}

impl Serving {
    fn new(listener: Listener, order: &Order, observer: Observer) -> io::Result<Self> {
        let Listener { udp, tcp, .. } = listener;
        let mut engine =
            Engine::new(udp, order.impairment.as_ref(), order.traces, observer.clone())?;
        let files = limits::open_files().and_then(|(limit, _)| usize::try_from(limit).ok());
        let places = Places::with_files(files.unwrap_or(usize::MAX));
        engine.seat_in(places.clone());
        let shared = (places.clone(), engine.numbers());
        let door = tcp::Door::open(tcp, (&order.service, order.max_rate), observer, shared)?;
        Ok(Self {
            engine,
            door,
            places,
            acceptor: Acceptor::new(order.service.duty(), clock::random_bytes()),
            known: HashMap::new(),
            order: order.clone(),
        })
    }

    fn turn(&mut self) -> io::Result<()> {
        self.engine.turn(PATIENCE)?;
        for (path, datagram) in self.engine.take_hellos() {
            self.on_hello(path, &datagram);
        }
        for (path, header) in self.engine.take_strays() {
            let answer = self.acceptor.on_stray(self.engine.now(), &header);
            self.answer(path, &answer);
        }
        Ok(())
    }

    fn on_hello(&mut self, path: Path, datagram: &[u8]) {
        let Some(theirs) = initiators_id(datagram) else {
            return;
        };
        if let Some(id) = self.known.get(&(path.peer, theirs)) {
            return self.engine.deliver_to(*id, path, datagram);
        }
        let is_full = !self.places.has_room(path.peer.ip());
        let load = Load { half_open: self.engine.half_open(), is_full };
        let (now, peer) = (self.engine.now(), address_bytes(path.peer));
        match self.acceptor.on_hello(now, &peer, datagram, load) {
            Answer::Accept { hello, is_proven: false } => self.accept(path, &hello, datagram, None),
            Answer::Accept { hello, is_proven: true } => {
                let reason = match self.places.admit(path.peer.ip()) {
                    Admission::Place(place) => {
                        return self.accept(path, &hello, datagram, Some(place));
                    }
                    Admission::Later => None,
                    Admission::Full(reason) => Some(reason),
                };
                let answer = self.acceptor.hold_off(now, &peer, &hello, reason.as_deref());
                self.answer(path, &answer);
            }
            answer => self.answer(path, &answer),
        }
    }

    fn answer(&mut self, path: Path, answer: &Answer) {
        if let Answer::Reply(answer) = answer {
            self.engine.reply(path, answer);
        }
    }

    /// Opens a connection. Who comes without a place, as he has not proven his address yet, gets one then.
    fn accept(&mut self, path: Path, hello: &Hello, datagram: &[u8], place: Option<Place>) {
        let Self { engine, known, order, .. } = self;
        known.retain(|_, id| engine.serves(*id));
        let Ok(header) = Header::read(datagram) else {
            return;
        };
        let part = order.service.part(hello.role, Carrier::Udp, path.peer.ip());
        let connection_id = engine.fresh_connection_id();
        let rate = (order.service.congestion(), order.max_rate);
        let config = engine.config(path, rate, ArqConfig::default());
        let connection =
            Connection::respond(engine.now(), config, connection_id, hello, header.packet_number);
        let id = self.engine.add(part.session(connection), connection_id, path, place);
        self.known.insert((path.peer, hello.connection_id), id);
    }

    /// Tells all peers, and waits a moment until they have been told.
    fn end(mut self, failure: &Failure) -> io::Result<()> {
        self.engine.abort_all(failure);
        let until = self.engine.now() + FAREWELL;
        while (!self.engine.is_idle() || self.engine.holds_outgoing()) && self.engine.now() < until
        {
            self.engine.turn(Duration::from_millis(10))?;
        }
        self.door.close(failure);
        Ok(())
    }
}

/// The same bytes for the same peer, whatever family its address is written in.
fn address_bytes(peer: SocketAddr) -> Vec<u8> {
    let mut bytes = match peer.ip().to_canonical() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    bytes.extend_from_slice(&peer.port().to_be_bytes());
    bytes
}
