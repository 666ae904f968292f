//! The sessions of a loop, and what finds them: connection ids, deadlines, what was touched.

use crate::base::ecn::Ecn;
use crate::base::time::Instant;
use crate::net::places::{GIVEN_AWAY, Place};
use crate::net::refusal::Refusal;
use crate::net::udp::Path;
use crate::net::worker::Worker;
use crate::net::{Notice, Observer, Seen};
use crate::transfer::job::Job;
use crate::transfer::outcome::{Failure, Reason};
use crate::transfer::session::{Phase, Session};
use crate::transfer::sink::Sink;
use crate::transfer::source::Source;
use crate::transfer::source_job::SourceJob;
use crate::transport::PathId;
use crate::transport::handshake::read_gone;
use crate::wire::header::{ConnectionId, Header, peek_connection_id};
use crate::wire::protection;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// HELLOs kept for the listener in one turn.
const HELLOS_MAX: usize = 256;

/// Packets of unknown connections kept for the listener in one turn.
const STRAYS_MAX: usize = 16;

/// Ids remembered of connections that have ended.
const ENDED_MAX: usize = 1024;

/// A session and what belongs to it.
#[derive(Debug)]
pub(super) struct Served {
    pub(super) session: Session,
    pub(super) path: Path,
    /// Where the peer may have moved to.
    pub(super) other_path: Option<Path>,
    /// Until there is something for it to do.
    pub(super) sink: Option<Sink>,
    pub(super) worker: Option<Worker<Job>>,
    /// The same of a session that sends.
    pub(super) source: Option<Source>,
    pub(super) reader: Option<Worker<SourceJob>>,
    /// Its place at a listener.
    pub(super) place: Option<Place>,
    pub(super) began: Instant,
    pub(super) is_announced: bool,
    /// Where it was when its owner was last told.
    pub(super) phase: Option<Phase>,
    /// When it wants to be served again, whatever happens.
    pub(super) deadline: Option<Instant>,
    /// Something panicked in it: it is to be broken off.
    pub(super) is_broken: bool,
}

impl Served {
    /// Does something to the session. A panic breaks this session and no other.
    pub(super) fn act(&mut self, work: impl FnOnce(&mut Session)) {
        if !self.is_broken {
            let work = AssertUnwindSafe(|| work(&mut self.session));
            self.is_broken = catch_unwind(work).is_err();
        }
    }

    fn handle_datagram(&mut self, now: Instant, path: Path, ecn: Ecn, datagram: &[u8]) {
        self.act(|session| session.handle_datagram(now, path.id(), ecn, datagram));
        if path.peer == self.path.peer {
            return;
        }
        let (active, candidate) = self.session.paths();
        if active == path.id() {
            (self.path, self.other_path) = (path, None);
        } else if candidate == Some(path.id()) {
            self.other_path = Some(path);
        }
    }

    /// The path that the transport calls so.
    pub(super) fn path_of(&self, id: PathId) -> Option<Path> {
        [Some(self.path), self.other_path].into_iter().flatten().find(|path| path.id() == id)
    }

    /// Tells what happened to packets: in the connection, and `lost` on the link.
    pub(super) fn tell_trace(
        &mut self,
        id: u64,
        now: Instant,
        lost: Vec<(Instant, Seen)>,
        observer: &Observer,
    ) {
        let events = self.session.take_trace().into_iter();
        let mut events: Vec<_> = events.map(|(at, event)| (at, Seen::Connection(event))).collect();
        events.extend(lost);
        if !events.is_empty() {
            observer(Notice::Traced { id, events, now });
        }
    }

    /// Tells how far it is if it has entered another phase: short ones must not go unseen.
    pub(super) fn tell_phase(&mut self, id: u64, observer: &Observer) {
        let progress = self.session.progress();
        if self.is_announced && self.phase.replace(progress.phase) != Some(progress.phase) {
            observer(Notice::Progress { id, progress: Box::new(progress) });
        }
    }
}

/// All sessions by number.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    served: BTreeMap<u64, Served>,
    ids: HashMap<ConnectionId, u64>,
    deadlines: BTreeSet<(Instant, u64)>,
    touched: BTreeSet<u64>,
    /// The session that was served first in the last turn.
    last_first: u64,
    /// Those whose peer has not proven its address.
    half_open: BTreeSet<u64>,
    hellos: Vec<(Path, Vec<u8>)>,
    /// Packets that are whole and of no connection that is known.
    strays: Vec<(Path, Header)>,
    /// Ids of connections that have ended here: their last packets mean nothing.
    ended: VecDeque<ConnectionId>,
    damaged: u64,
}

impl Sessions {
    pub(super) fn add(&mut self, id: u64, connection_id: ConnectionId, served: Served) {
        self.served.insert(id, served);
        self.half_open.insert(id);
        self.ids.insert(connection_id, id);
        self.touched.insert(id);
    }

    /// Hands a datagram to the session that it is for, which decides what becomes of it if it is from
    /// elsewhere than from where the peer was.
    pub(super) fn dispatch(&mut self, now: Instant, path: Path, ecn: Ecn, datagram: &[u8]) {
        if !self.offer(now, path, ecn, datagram) && protection::open(datagram).is_none() {
            self.damaged += 1;
        }
    }

    /// True if a session has taken the datagram.
    fn offer(&mut self, now: Instant, path: Path, ecn: Ecn, datagram: &[u8]) -> bool {
        match peek_connection_id(datagram) {
            Some(ConnectionId::NONE) if self.hellos.len() < HELLOS_MAX => {
                self.hellos.push((path, datagram.to_vec()));
                false
            }
            Some(connection_id) => {
                let Some(id) = self.ids.get(&connection_id).copied() else {
                    return self.on_stray(now, path, datagram);
                };
                self.deliver(now, id, path, ecn, datagram);
                true
            }
            None => false,
        }
    }

    /// A packet of a connection that is not known here. True if it is whole.
    fn on_stray(&mut self, now: Instant, path: Path, datagram: &[u8]) -> bool {
        let is_whole = protection::open(datagram).is_some();
        let Ok(header) = Header::read(datagram) else { return is_whole };
        if let Some(gone) = read_gone(datagram) {
            let Self { served, touched, .. } = self;
            for (id, served) in served.iter_mut().filter(|(_, one)| one.path.peer == path.peer) {
                touched.insert(*id);
                served.act(|session| session.handle_gone(now, gone));
            }
        } else if is_whole
            && self.strays.len() < STRAYS_MAX
            && !self.ended.contains(&header.connection_id)
        {
            self.strays.push((path, header));
        }
        is_whole
    }

    /// Packets of unknown connections that arrived in the last turn.
    pub(super) fn take_strays(&mut self) -> Vec<(Path, Header)> {
        std::mem::take(&mut self.strays)
    }

    /// Whether the responder of that session asks for patience.
    pub(super) fn is_held_off(&self, id: u64) -> bool {
        self.served.get(&id).is_some_and(|served| served.session.is_held_off())
    }

    /// Datagrams that came in damaged, whoever they were for.
    pub(super) fn damaged(&self) -> u64 {
        self.damaged
    }

    pub(super) fn deliver(&mut self, now: Instant, id: u64, path: Path, ecn: Ecn, datagram: &[u8]) {
        if let Some(served) = self.touch(id) {
            let before = served.session.damaged();
            served.handle_datagram(now, path, ecn, datagram);
            let found = served.session.damaged() - before;
            self.damaged += found;
        }
    }

    /// Tells the sessions with a peer that its system refuses its port.
    pub(super) fn refuse(&mut self, now: Instant, refusal: &Refusal) {
        let Self { served, touched, .. } = self;
        for (id, served) in served.iter_mut().filter(|(_, one)| one.path.peer == refusal.peer) {
            touched.insert(*id);
            served.act(|session| session.handle_refusal(now, refusal.quoted()));
        }
    }

    /// The session of that number, which will be served in this turn.
    pub(super) fn touch(&mut self, id: u64) -> Option<&mut Served> {
        let served = self.served.get_mut(&id)?;
        self.touched.insert(id);
        Some(served)
    }

    pub(super) fn fire_deadlines(&mut self, now: Instant) {
        while let Some((at, id)) = self.deadlines.first().copied().filter(|(at, _)| *at <= now) {
            self.deadlines.remove(&(at, id));
            if let Some(served) = self.touch(id) {
                served.deadline = None;
                served.act(|session| session.handle_timeout(now));
            }
        }
    }

    pub(super) fn abort_all(&mut self, now: Instant, failure: &Failure) {
        for (id, served) in &mut self.served {
            served.act(|session| session.abort(now, failure.clone()));
            self.touched.insert(*id);
        }
    }

    /// Ends those whose places are others' now.
    pub(super) fn clear_places(&mut self, now: Instant) {
        let has_lost = |served: &Served| {
            served.place.as_ref().is_some_and(|place| place.seat().is_given_away())
        };
        for (id, served) in self.served.iter_mut().filter(|(_, served)| has_lost(served)) {
            let failure = Failure::new(Reason::Refused, GIVEN_AWAY);
            served.act(|session| session.abort(now, failure));
            self.touched.insert(*id);
        }
    }

    /// The numbers of the sessions to serve in this turn. Another one is the first each time, for the first
    /// ones find most room at the socket.
    pub(super) fn take_touched(&mut self) -> Vec<u64> {
        let mut in_turn: Vec<u64> = std::mem::take(&mut self.touched).into_iter().collect();
        let first = in_turn.partition_point(|id| *id <= self.last_first);
        in_turn.rotate_left(first);
        self.last_first = in_turn.first().copied().unwrap_or(self.last_first);
        in_turn
    }

    pub(super) fn has_touched(&self) -> bool {
        !self.touched.is_empty()
    }

    /// Takes a session out to serve it; it is put back, or forgotten.
    pub(super) fn take(&mut self, id: u64) -> Option<Served> {
        let mut served = self.served.remove(&id)?;
        if let Some(at) = served.deadline.take() {
            self.deadlines.remove(&(at, id));
        }
        Some(served)
    }

    /// Puts a session back; to be served again in the next turn if `has_more`.
    pub(super) fn put_back(&mut self, id: u64, served: Served, has_more: bool) {
        self.deadlines.extend(served.deadline.map(|at| (at, id)));
        if served.session.is_validated() {
            self.half_open.remove(&id);
        }
        self.served.insert(id, served);
        if has_more {
            self.touched.insert(id);
        }
    }

    pub(super) fn forget(&mut self, id: u64) {
        self.half_open.remove(&id);
        let over = self.ids.extract_if(|_, known| *known == id);
        self.ended.extend(over.map(|(connection_id, _)| connection_id));
        let too_many = self.ended.len().saturating_sub(ENDED_MAX);
        self.ended.drain(..too_many);
    }

    pub(super) fn half_open(&self) -> usize {
        self.half_open.len()
    }

    pub(super) fn len(&self) -> usize {
        self.served.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.served.is_empty()
    }

    pub(super) fn contains(&self, id: u64) -> bool {
        self.served.contains_key(&id)
    }

    pub(super) fn knows(&self, connection_id: ConnectionId) -> bool {
        self.ids.contains_key(&connection_id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &Served)> {
        self.served.iter().map(|(id, served)| (*id, served))
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    pub(super) fn take_hellos(&mut self) -> Vec<(Path, Vec<u8>)> {
        std::mem::take(&mut self.hellos)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_session_is_the_first_one_in_turn() {
        let mut sessions = Sessions::default();
        let mut serve = |touched: [u64; 3]| {
            sessions.touched.extend(touched);
            sessions.take_touched()
        };
        for _ in 0..2 {
            assert_eq!(serve([2, 5, 9]), [2, 5, 9]);
            assert_eq!(serve([2, 5, 9]), [5, 9, 2]);
            assert_eq!(serve([2, 5, 9]), [9, 2, 5]);
        }
        assert_eq!(serve([6, 7, 12]), [12, 6, 7], "after the last one that was first");
        assert!(sessions.take_touched().is_empty());
    }
}
