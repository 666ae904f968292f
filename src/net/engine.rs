//! The loop that owns a datagram socket and all sessions on it.
//!
//! One turn: wait for a datagram, a worker or the earliest deadline, unless something is to be done
//! already; receive what has arrived and hand each datagram to its session; hand over what disk
//! workers have done; fire deadlines; then for each session that was touched, pass jobs to its worker
//! and send what it wants to send. Of the sockets only those are asked at which the wait found something:
//! at 100 Mbit/s datagrams arrive one by one, and each call that finds nothing costs as much as one that
//! does.

mod ending;
mod port;
mod serving;
mod sessions;

use self::ending::Retiring;
use self::port::Port;
use self::sessions::{Served, Sessions};
use super::impair::ImpairedLink;
use super::part::Staffed;
use super::places::{Place, Places};
use super::udp::{Path, Udp};
use super::worker::{Reports, Told};
use super::{Impairment, Observer};
use crate::base::ecn::Ecn;
use crate::base::time::{Duration, Instant};
use crate::base::units::Rate;
use crate::os::clock::{self, Clock};
use crate::os::wait::{Ready, Waiter};
use crate::transfer::outcome::{Failure, Reason};
use crate::transport::arq::ArqConfig;
use crate::transport::batch::Batch;
use crate::transport::config::{Config, CongestionChoice};
use crate::wire::header::{ConnectionId, Header};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

/// Receptions in one turn; timers and sending must not wait for a flood to end.
const RECEPTIONS_MAX: usize = 4;

/// How often it is seen which sessions have lost their places.
const LOOK: Duration = Duration::from_millis(100);

/// The loop.
pub struct Engine {
    port: Port,
    clock: Clock,
    waiter: Waiter,
    traces: bool,
    observer: Observer,
    sessions: Sessions,
    numbers: Numbers,
    /// Of a listener: where those sit down who have proven their addresses.
    places: Option<Places>,
    retiring: BTreeMap<u64, Retiring>,
    told: (Sender<Told>, Receiver<Told>),
    batch: Batch,
    next_progress: Instant,
    next_look: Instant,
    /// What the last turn's wait found at the socket.
    found: Ready,
}

/// Numbers for transfers, of whatever carrier.
#[derive(Clone, Debug, Default)]
pub struct Numbers(Arc<AtomicU64>);

impl Numbers {
    /// One that no other transfer has.
    #[must_use]
    pub fn take(&self) -> u64 {
        1 + self.0.fetch_add(1, Ordering::Relaxed)
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("port", &self.port).finish_non_exhaustive()
    }
}

impl Engine {
    /// A loop over `udp`.
    ///
    /// # Errors
    /// The system has no way to wait for sockets.
    pub fn new(
        udp: Udp,
        impairment: Option<&Impairment>,
        traces: bool,
        observer: Observer,
    ) -> io::Result<Self> {
        let link = impairment.map(|impairment| ImpairedLink::new(impairment, traces));
        Ok(Self {
            port: Port::new(udp, link),
            clock: Clock::start(),
            waiter: Waiter::new()?,
            traces,
            observer,
            sessions: Sessions::default(),
            numbers: Numbers::default(),
            places: None,
            retiring: BTreeMap::new(),
            told: channel(),
            batch: Batch::default(),
            next_progress: Instant::ZERO,
            next_look: Instant::ZERO,
            found: Ready::default(),
        })
    }

    /// The time since the loop was made.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    /// The socket.
    #[must_use]
    pub fn udp(&self) -> &Udp {
        &self.port.udp
    }

    /// From now on, whoever proves his address takes one of `places`, unless he came with one.
    pub fn seat_in(&mut self, places: Places) {
        self.places = Some(places);
    }

    /// The configuration of a connection to `path`.
    #[must_use]
    pub fn config(
        &self,
        path: Path,
        (congestion, max_rate): (CongestionChoice, Option<Rate>),
        arq: ArqConfig,
    ) -> Config {
        Config {
            congestion,
            known_path: None,
            max_rate,
            arq,
            max_datagram: self.port.udp.max_datagram(path.peer),
            socket_buffer: self.port.udp.receive_buffer(),
            max_train: self.port.udp.max_train(),
            trace: self.traces,
            path: path.id(),
            secret: clock::random_bytes(),
        }
    }

    /// Where the numbers of its transfers come from.
    #[must_use]
    pub fn numbers(&self) -> Numbers {
        self.numbers.clone()
    }

    /// A connection id that is not in use here.
    #[must_use]
    pub fn fresh_connection_id(&self) -> ConnectionId {
        loop {
            let [a, b, c, d] = clock::random_bytes();
            let id = ConnectionId(u32::from_be_bytes([a, b, c, d]));
            if id != ConnectionId::NONE && !self.sessions.knows(id) {
                return id;
            }
        }
    }

    /// Takes a session in with what works for it; one of a listener with its place there. Returns its
    /// number.
    pub fn add(
        &mut self,
        staffed: Staffed,
        connection_id: ConnectionId,
        path: Path,
        place: Option<Place>,
    ) -> u64 {
        let Staffed { session, sink, source } = staffed;
        let id = self.numbers.take();
        let served = Served {
            session,
            path,
            other_path: None,
            sink,
            worker: None,
            source,
            reader: None,
            place,
            began: self.now(),
            is_announced: false,
            phase: None,
            deadline: None,
            is_broken: false,
        };
        self.sessions.add(id, connection_id, served);
        id
    }

    /// A datagram for a session that the owner knows the number of.
    pub fn deliver_to(&mut self, id: u64, path: Path, datagram: &[u8]) {
        let now = self.now();
        self.sessions.deliver(now, id, path, Ecn::NotEct, datagram);
    }

    /// Sends a datagram that belongs to no session.
    pub fn reply(&mut self, path: Path, datagram: &[u8]) {
        let now = self.now();
        self.port.send(now, path, datagram);
    }

    /// HELLOs that arrived in the last turn.
    pub fn take_hellos(&mut self) -> Vec<(Path, Vec<u8>)> {
        self.sessions.take_hellos()
    }

    /// Packets of unknown connections that arrived in the last turn.
    pub fn take_strays(&mut self) -> Vec<(Path, Header)> {
        self.sessions.take_strays()
    }

    /// Whether the responder of that session is there, and asks for patience.
    #[must_use]
    pub fn is_held_off(&self, id: u64) -> bool {
        self.sessions.is_held_off(id)
    }

    /// Sessions whose peer has not proven its address.
    #[must_use]
    pub fn half_open(&self) -> usize {
        self.sessions.half_open()
    }

    /// Whether no session is being served.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.sessions.is_empty() && self.retiring.is_empty()
    }

    /// Whether datagrams that were sent have yet to leave the imperfect link: the last words of a
    /// session that is over.
    #[must_use]
    pub fn holds_outgoing(&self) -> bool {
        self.port.holds_outgoing()
    }

    /// Whether a session of that number is being served.
    #[must_use]
    pub fn serves(&self, id: u64) -> bool {
        self.sessions.contains(id) || self.retiring.contains_key(&id)
    }

    /// Ends all sessions from this side.
    pub fn abort_all(&mut self, failure: &Failure) {
        self.sessions.abort_all(self.clock.now(), failure);
    }

    /// One turn; waits for `patience` at most.
    ///
    /// # Errors
    /// The socket does not work any more.
    pub fn turn(&mut self, patience: Duration) -> io::Result<()> {
        self.found = self.wait(patience)?;
        self.receive()?;
        let now = self.now();
        let Self { port, sessions, .. } = self;
        if self.found.has_error {
            port.take_refusals(|refusal| sessions.refuse(now, refusal));
        }
        port.release(now, |path, ecn, datagram| sessions.dispatch(now, path, ecn, datagram));
        self.take_reports(now);
        self.sessions.fire_deadlines(now);
        self.clear_places(now);
        self.serve_touched();
        self.tell_progress(now);
        Ok(())
    }

    /// Ends the sessions whose places are others' now.
    fn clear_places(&mut self, now: Instant) {
        if now >= self.next_look {
            self.next_look = now + LOOK;
            self.sessions.clear_places(now);
        }
    }

    fn receive(&mut self) -> io::Result<()> {
        let mut may_have_more = self.found != Ready::default();
        for _ in 0..RECEPTIONS_MAX {
            if !may_have_more {
                break;
            }
            let now = self.clock.now();
            let Self { port, sessions, .. } = self;
            may_have_more = port.receive(now, |path, ecn, datagram| {
                sessions.dispatch(now, path, ecn, datagram);
            })?;
        }
        Ok(())
    }

    fn take_reports(&mut self, now: Instant) {
        while let Ok((id, reports)) = self.told.1.try_recv() {
            let Some(served) = self.sessions.touch(id) else {
                if reports.is_none() {
                    self.bury(id);
                }
                continue;
            };
            match reports {
                None => {
                    let text = "the thread that reads or writes files failed";
                    let failure = Failure::new(Reason::Other, text);
                    served.act(|session| session.abort(now, failure));
                }
                Some(Reports::Sink(reports)) => {
                    for report in reports {
                        served.act(|session| session.on_report(now, report));
                    }
                }
                Some(Reports::Source(reports)) => {
                    served.act(|session| session.on_source_reports(now, reports));
                }
            }
        }
    }

    /// Waits until something is to be done, and says what there is at the socket.
    fn wait(&mut self, patience: Duration) -> io::Result<Ready> {
        let now = self.now();
        let patience = if self.sessions.has_touched() { Duration::ZERO } else { patience };
        let deadline = self.sessions.next_deadline();
        let release = self.port.next_release();
        let progress = Some(self.next_progress).filter(|_| !self.sessions.is_empty());
        let until = [deadline, release, progress].into_iter().flatten().min();
        let timeout = until.map_or(patience, |at| at.since(now).min(patience));
        let ready = self.waiter.wait_readable(&[self.port.udp.socket().as_fd()], timeout)?;
        Ok(ready[0])
    }
}
