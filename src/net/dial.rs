//! Going to a listener: one session on a datagram socket of its own.

use super::engine::Engine;
use super::part::{Errand, Part};
use super::probe::unspecified;
use super::tcp::probe::{self, Listener};
use super::udp::{Path, Udp, is_no_family};
use super::{Carrier, Finished, Impairment, ImpairmentCounts, Interrupt, Notice, Observer};
use crate::base::text::show_error;
use crate::base::time::Duration;
use crate::base::units::Rate;
use crate::link::LinkCounts;
use crate::transfer::ending::Standpoint;
use crate::transfer::outcome::{Failure, Reason};
use crate::transfer::session::Phase;
use crate::transport::Connection;
use crate::transport::arq::ArqConfig;
use crate::transport::config::{Config, CongestionChoice, KnownPath};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};

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
    /// What is known of the paths to hosts.
    pub known_paths: HashMap<IpAddr, KnownPath>,
    /// What the transfer may take of the line at most.
    pub max_rate: Option<Rate>,
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
    reach(order, Otherwise::Explain, observer, interrupt).map(|(finished, _)| finished)
}

/// What to do where UDP gets no answer and volley answers on TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Otherwise {
    /// Say so when UDP has had its time.
    Explain,
    /// Give UDP up at once.
    GiveUp,
}

/// As [`dial`]; says also whether UDP was given up because only TCP is answered.
pub(super) fn reach(
    order: &Order,
    otherwise: Otherwise,
    observer: &Observer,
    interrupt: &Interrupt,
) -> Result<(Finished, bool), Failure> {
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
        let reached = attempt.run(interrupt, is_last.then_some(otherwise))?;
        let is_unreachable = reached.0.is_unreachable();
        last = Some(reached);
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
    standpoint: Standpoint,
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
        let config = Config {
            known_path: order.known_paths.get(&address.ip().to_canonical()).copied(),
            ..engine.config(path, (order.congestion, order.max_rate), order.arq)
        };
        let role = order.errand.role();
        let connection = Connection::initiate(engine.now(), config, connection_id, role);
        let id = engine.add(part.session(connection), connection_id, path, None);
        Ok(Self { engine, address, standpoint: order.errand.standpoint(), id, ended, phase })
    }

    /// Runs until the transfer is over, or this address has had its time: if it is the last one,
    /// `otherwise` says what to do where only TCP is answered.
    fn run(
        mut self,
        interrupt: &Interrupt,
        otherwise: Option<Otherwise>,
    ) -> Result<(Finished, bool), Failure> {
        let mut question = Question::new(self.address);
        let mut aborted = None;
        while self.engine.serves(self.id) || self.engine.holds_outgoing() {
            let turned = self.engine.turn(PATIENCE);
            turned.map_err(|error| {
                let text = format!("the UDP socket failed: {}", show_error(&error));
                Failure::new(Reason::Other, text)
            })?;
            if aborted.is_none() {
                aborted = self.reason_to_stop(&mut question, interrupt, otherwise);
                if let Some(failure) = &aborted {
                    self.engine.abort_all(failure);
                }
            }
        }
        let finished = self.ended.lock().expect("nobody panics while holding it").take();
        let mut finished = finished.expect("a session that is over has been reported");
        let Some(otherwise) = otherwise.filter(|_| finished.is_unreachable()) else {
            return Ok((finished, false));
        };
        let (cause, may_give_up) = (self.engine.udp().last_error(), otherwise == Otherwise::GiveUp);
        let matters = may_give_up || cause.is_none();
        match if matters { question.answer(interrupt) } else { Ok(Listener::Nobody) } {
            Err(failure) => finished.fail(failure),
            Ok(Listener::Volley) if may_give_up => return Ok((finished, true)),
            Ok(listener) => explain(&mut finished, self.standpoint, cause, listener),
        }
        Ok((finished, false))
    }

    /// Why to end before the transfer is over.
    fn reason_to_stop(
        &self,
        question: &mut Question,
        interrupt: &Interrupt,
        otherwise: Option<Otherwise>,
    ) -> Option<Failure> {
        if let Some(failure) = interrupt.failure() {
            return Some(failure);
        }
        if !self.is_connecting() {
            return None;
        }
        // Nobody will answer what does not even leave.
        if self.engine.udp().has_no_route() {
            return Some(Failure::new(Reason::Unreachable, "no route"));
        }
        let waited = self.engine.now().since(crate::base::time::Instant::ZERO);
        // One that asks for patience over UDP has nothing to say over TCP.
        if self.engine.is_held_off(self.id) {
            return None;
        }
        if waited > TRY_TCP {
            question.put();
        }
        let has_had_its_time = match otherwise {
            None => waited > NEXT_ADDRESS,
            Some(Otherwise::Explain) => false,
            Some(Otherwise::GiveUp) => question.is_answered(Listener::Volley),
        };
        has_had_its_time.then(|| Failure::new(Reason::Unreachable, "no answer"))
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

/// Whether anybody accepts TCP connections where UDP gets no answer; asked on a thread of its own.
struct Question {
    address: SocketAddr,
    asking: Option<Receiver<Listener>>,
    answer: Option<Listener>,
}

impl Question {
    fn new(address: SocketAddr) -> Self {
        Self { address, asking: None, answer: None }
    }

    /// Asks, once. Without a thread to spare nobody answers.
    fn put(&mut self) {
        if self.asking.is_none() && self.answer.is_none() {
            let (address, (tell, asking)) = (self.address, channel());
            let _ = std::thread::Builder::new().spawn(move || {
                // Who was interrupted does not listen any more.
                let _ = tell.send(probe::ask(address));
            });
            self.asking = Some(asking);
        }
    }

    /// Whether that is the answer, and there is one already.
    fn is_answered(&mut self, answer: Listener) -> bool {
        self.wait(Duration::ZERO);
        self.answer == Some(answer)
    }

    /// The answer; waits for it, unless interrupted.
    fn answer(&mut self, interrupt: &Interrupt) -> Result<Listener, Failure> {
        self.put();
        loop {
            self.wait(PATIENCE);
            if let Some(answer) = self.answer {
                return Ok(answer);
            }
            if let Some(failure) = interrupt.failure() {
                return Err(failure);
            }
        }
    }

    fn wait(&mut self, patience: Duration) {
        let Some(asking) = &self.asking else {
            return;
        };
        self.answer = match asking.recv_timeout(patience) {
            Ok(answer) => Some(answer),
            Err(RecvTimeoutError::Timeout) => return,
            Err(RecvTimeoutError::Disconnected) => Some(Listener::Nobody),
        };
        self.asking = None;
    }
}

/// Says why nobody could be reached, where more is known than that there was no answer.
fn explain(
    finished: &mut Finished,
    standpoint: Standpoint,
    cause: Option<io::Error>,
    tcp: Listener,
) {
    let (host, port) = (finished.peer.ip(), finished.peer.port());
    if let Some(error) = cause {
        let text = format!(
            "cannot send to {host} on UDP port {port}: {}; check this machine's network, and that \
             it has addresses of that kind",
            show_error(&error)
        );
        return finished.fail(Failure::new(Reason::Unreachable, text));
    }
    if let Some(text) = finished.impaired.as_ref().and_then(own_link) {
        return finished.fail(Failure::new(Reason::Unreachable, text));
    }
    let text = match tcp {
        Listener::Volley => format!(
            "{host} answers on TCP port {port} but not on UDP port {port}: UDP is blocked on the \
             way; open UDP port {port} in the firewalls, or use --tcp"
        ),
        Listener::Silent => format!(
            "{host} accepts connections on TCP port {port} and says nothing on them, nor on UDP port {port}: \
             {} may stand still there, or another program listens; look what runs there, and try again",
            standpoint.listener()
        ),
        Listener::Stranger => format!(
            "{host} answers on TCP port {port}, but not as volley, and not on UDP port {port}: \
             another program listens there; check that {} runs there, and the port",
            standpoint.listener()
        ),
        Listener::Nobody => return,
    };
    finished.fail(Failure::new(Reason::Unreachable, text));
}

/// What the link in front of this side's socket did, if nothing came through it.
fn own_link(counts: &ImpairmentCounts) -> Option<String> {
    let took_all = |way: &LinkCounts| way.offered > 0 && way.lost.total() == way.offered;
    let what = match (took_all(&counts.out), took_all(&counts.back)) {
        (true, _) => "all that was sent",
        (false, true) => "all answers",
        (false, false) => return None,
    };
    Some(format!(
        "this command's own imperfect link took {what}; leave its options away, or ask for a better one \
         (--loss, --mtu and the others)"
    ))
}
