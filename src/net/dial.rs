//! Going to a listener: one session on a datagram socket of its own.

use super::engine::Engine;
use super::part::{Errand, Part};
use super::probe::unspecified;
use super::udp::{Path, Udp, is_no_family};
use super::{Carrier, Finished, Impairment, Interrupt, Notice, Observer, tcp};
use crate::base::text::show_error;
use crate::base::time::Duration;
use crate::transfer::outcome::{Failure, Reason, TransferReport};
use crate::transfer::session::Phase;
use crate::transport::Connection;
use crate::transport::arq::ArqConfig;
use crate::transport::config::CongestionChoice;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// An address that does not answer for this long gives way to the next one.
const NEXT_ADDRESS: Duration = Duration::from_millis(2500);

/// After this long without an answer it is worth knowing whether TCP gets one.
const TRY_TCP: Duration = Duration::from_secs(3);

/// The loop looks at the interrupt this often.
const PATIENCE: Duration = Duration::from_millis(100);

/// What to go for, where, and how.
#[derive(Clone, Debug)]
pub struct Order {
    /// What to come for.
    pub errand: Errand,
    /// The listener's addresses, best first; at least one.
    pub addresses: Vec<SocketAddr>,
    /// The address to send from, and the port if it is not zero.
    pub bind: Option<SocketAddr>,
    /// How to choose the rate, where this side sends.
    pub congestion: CongestionChoice,
    /// Who decides what is sent again.
    pub arq: ArqConfig,
    /// An imperfect link in front of the socket.
    pub impairment: Option<Impairment>,
    /// Whether to tell what happens to each packet.
    pub traces: bool,
}

/// Carries an errand over UDP.
///
/// # Errors
/// A file cannot be read, the socket cannot be made, or nobody answered at any address.
pub fn dial(
    order: &Order,
    observer: &Observer,
    interrupt: &Interrupt,
) -> Result<Finished, Failure> {
    let mut last = None;
    // An address of the other family cannot be reached from the one to send from.
    let fits = |address: &&SocketAddr| order.bind.is_none_or(|b| b.is_ipv4() == address.is_ipv4());
    let addresses: Vec<&SocketAddr> = order.addresses.iter().filter(fits).collect();
    for (place, address) in addresses.iter().enumerate() {
        let part = order.errand.part(Carrier::Udp)?;
        let is_last = place + 1 == addresses.len();
        let attempt = match Attempt::start(order, **address, part, observer) {
            Err(failure) if failure.reason == Reason::Unreachable && !is_last => continue,
            started => started?,
        };
        let finished = attempt.run(interrupt, is_last)?;
        let is_unreachable =
            finished.report.failure.as_ref().is_some_and(|f| f.reason == Reason::Unreachable);
        last = Some(finished);
        if !is_unreachable || is_last {
            break;
        }
    }
    last.ok_or_else(|| {
        let text = "the host has no address of the family of --bind; leave --bind away, or write \
                    an address of the other family";
        Failure::new(Reason::Unreachable, text)
    })
}

struct Attempt {
    engine: Engine,
    address: SocketAddr,
    id: u64,
    ended: Arc<Mutex<Option<Finished>>>,
    phase: Arc<Mutex<Phase>>,
}

impl Attempt {
    fn start(
        order: &Order,
        address: SocketAddr,
        part: Part,
        observer: &Observer,
    ) -> Result<Self, Failure> {
        let socket_failure = |error: io::Error| {
            Failure::new(Reason::Other, format!("cannot open a UDP socket: {}", show_error(&error)))
        };
        let local = order.bind.unwrap_or(SocketAddr::new(unspecified(address), 0));
        let udp = Udp::bind(local).map_err(|error| bind_failure(local, &error))?;
        let (ended, phase) = (Arc::default(), Arc::new(Mutex::new(Phase::Connecting)));
        let watching = watch(observer, &ended, &phase);
        let mut engine = Engine::new(udp, order.impairment.as_ref(), order.traces, watching)
            .map_err(socket_failure)?;
        let path = Path { peer: address, local: None };
        let connection_id = engine.fresh_connection_id();
        let config = engine.config(path, order.congestion, order.arq);
        let role = order.errand.role();
        let connection = Connection::initiate(engine.now(), config, connection_id, role);
        let (session, sink) = part.session(connection);
        let id = engine.add(session, connection_id, path, (sink, None));
        Ok(Self { engine, address, id, ended, phase })
    }

    /// Runs until the transfer is over, or this address has had its time.
    fn run(mut self, interrupt: &Interrupt, is_last: bool) -> Result<Finished, Failure> {
        let mut tcp_answers: Option<JoinHandle<bool>> = None;
        let mut is_aborted = false;
        while self.engine.serves(self.id) || self.engine.holds_outgoing() {
            let turned = self.engine.turn(PATIENCE);
            turned.map_err(|error| {
                let text = format!("the UDP socket failed: {}", show_error(&error));
                Failure::new(Reason::Other, text)
            })?;
            if let Some(failure) = interrupt.failure().filter(|_| !is_aborted) {
                is_aborted = true;
                self.engine.abort_all(&failure);
            }
            let waited = self.engine.now().since(crate::base::time::Instant::ZERO);
            if self.is_connecting() && waited > NEXT_ADDRESS && !is_last && !is_aborted {
                is_aborted = true;
                self.engine.abort_all(&Failure::new(Reason::Unreachable, "no answer"));
            }
            if self.is_connecting() && waited > TRY_TCP && tcp_answers.is_none() {
                let address = self.address;
                tcp_answers = Some(std::thread::spawn(move || tcp::answers(address)));
            }
        }
        let finished = self.ended.lock().expect("nobody panics while holding it").take();
        let mut finished = finished.expect("a session that is over has been reported");
        let failure = finished.report.failure.as_ref();
        if failure.is_some_and(|failure| failure.reason == Reason::Unreachable)
            && is_last
            && !is_aborted
        {
            let cause = self.engine.udp().last_error();
            let answers = || match tcp_answers {
                Some(asked) => asked.join().unwrap_or(false),
                // The system there refused at once; it will answer this as fast.
                None => tcp::answers(self.address),
            };
            explain(&mut finished.report, self.address, cause, answers);
        }
        Ok(finished)
    }

    fn is_connecting(&self) -> bool {
        *self.phase.lock().expect("nobody panics while holding it") == Phase::Connecting
    }
}

fn bind_failure(local: SocketAddr, error: &io::Error) -> Failure {
    let (ip, port) = (local.ip(), local.port());
    let family = if ip.is_ipv4() { "IPv4" } else { "IPv6" };
    let (reason, text) = match error.kind() {
        _ if is_no_family(error) => {
            let text = format!("this machine has no {family}; write the host's other address");
            (Reason::Unreachable, text)
        }
        io::ErrorKind::AddrInUse => {
            (Reason::Other, format!("port {port} of --bind is in use; write another, or none"))
        }
        io::ErrorKind::AddrNotAvailable => {
            let text =
                format!("{ip} is no address of this machine; correct --bind, or leave it away");
            (Reason::Other, text)
        }
        _ => (Reason::Other, format!("cannot open a UDP socket: {}", show_error(error))),
    };
    Failure::new(reason, text)
}

/// Keeps the outcome, and passes everything else on.
fn watch(
    observer: &Observer,
    ended: &Arc<Mutex<Option<Finished>>>,
    phase: &Arc<Mutex<Phase>>,
) -> Observer {
    let (observer, ended, phase) = (observer.clone(), ended.clone(), phase.clone());
    Arc::new(move |notice| {
        if let Notice::Progress { progress, .. } = &notice {
            *phase.lock().expect("nobody panics while holding it") = progress.phase;
        }
        match notice {
            Notice::Ended { finished, .. } => {
                *ended.lock().expect("nobody panics while holding it") = Some(*finished);
            }
            other => observer(other),
        }
    })
}

/// Says why nobody could be reached, where more is known than that there was no answer.
fn explain(
    report: &mut TransferReport,
    address: SocketAddr,
    cause: Option<io::Error>,
    tcp_answers: impl FnOnce() -> bool,
) {
    let (host, port) = (address.ip(), address.port());
    let text = if let Some(error) = cause {
        format!(
            "cannot send to {host} on UDP port {port}: {}; check this machine's network, and that \
             it has addresses of that kind",
            show_error(&error)
        )
    } else if tcp_answers() {
        format!(
            "{host} answers on TCP port {port} but not on UDP port {port}: UDP is blocked on the \
             way, or another program listens there; open UDP port {port} in the firewalls, or add \
             --tcp"
        )
    } else {
        return;
    };
    let files = report.files.iter_mut().filter_map(|file| file.outcome.as_mut().err());
    for failure in files.chain(&mut report.failure) {
        failure.text.clone_from(&text);
    }
}
