//! A transfer on a connection of our own transport: the same glue over a real socket and in virtual
//! time.
//!
//! The owner calls [`Session::handle_datagram`], [`Session::handle_timeout`] and, for a receiving
//! session, [`Session::next_job`] and [`Session::on_report`] around its sink, for a sending one
//! [`Session::next_source_job`] and [`Session::on_source_reports`] around its source; then
//! [`Session::poll_transmit`] until `false`; and waits until [`Session::poll_timeout`]. The transfer
//! is over when [`Session::report`] says how.

mod motion;
mod trains;

use self::motion::Watch;
use self::trains::Trains;
use super::ending::{Standpoint, failure_of_end};
use super::entry::Entry;
use super::job::{Job, Report};
use super::outcome::{Failure, TransferReport};
pub use super::progress::{Phase, Progress};
use super::receiver::{Demand, Receiving};
use super::sender::Sending;
use crate::base::ecn::Ecn;
use crate::base::time::{Duration, Instant};
use crate::transport::error::End;
use crate::transport::trace::TraceEvent;
use crate::transport::{Connection, Event, PathId};
use crate::wire::cursor::Malformed;
use crate::wire::header::ConnectionId;
use std::net::SocketAddr;

/// Control bytes that may wait for their acknowledgement while more entries are offered.
const OFFERS_MAX: usize = 64 << 10;

/// Control bytes of a receiver that may wait for their acknowledgement while it hears more: less than the
/// outcomes of all entries that may be offered at once.
const ANSWERS_MAX: usize = 1 << 20;

/// A receiver whose sender knows how every file ended waits this long for its farewell.
const LINGER: Duration = Duration::from_secs(3);

/// Bytes that arrive singly are gathered for the sink for this long at most: to pass on each datagram by
/// itself costs a receiver at 100 Mbit/s most of its time. Short beside what anybody does with the news
/// that bytes are written.
const GATHER_SPAN: Duration = Duration::from_millis(5);

/// Which side of the files this is.
#[derive(Debug)]
enum Side {
    Receiving(Box<Receiving>),
    Sending(Box<Sending>),
}

/// One transfer on one connection.
#[derive(Debug)]
pub struct Session {
    connection: Connection,
    side: Side,
    trains: Trains,
    /// What this side closed the connection with.
    failure: Option<Failure>,
    end: Option<End>,
    linger_until: Option<Instant>,
    motion: Watch,
    /// When the sink gets the few bytes that have been gathered for it.
    gather_until: Option<Instant>,
    /// When every file had an outcome.
    completed_at: Option<Instant>,
}

impl Session {
    /// Sends files over `connection`.
    #[must_use]
    pub fn sending(connection: Connection, sending: Sending) -> Self {
        Self::new(connection, Side::Sending(Box::new(sending)))
    }

    /// Receives files over `connection`.
    #[must_use]
    pub fn receiving(connection: Connection, receiving: Receiving) -> Self {
        Self::new(connection, Side::Receiving(Box::new(receiving)))
    }

    fn new(connection: Connection, side: Side) -> Self {
        Self {
            connection,
            side,
            trains: Trains::default(),
            failure: None,
            end: None,
            linger_until: None,
            motion: Watch::default(),
            gather_until: None,
            completed_at: None,
        }
    }

    /// A datagram arrived from `path`, and its IP packet said that of congestion.
    pub fn handle_datagram(&mut self, now: Instant, path: PathId, ecn: Ecn, datagram: &[u8]) {
        self.motion.on_heard(now);
        match &mut self.side {
            Side::Receiving(receiving) => {
                let mut take = |offset, bytes: &[u8]| receiving.take_data(offset, bytes);
                self.connection.handle_datagram(now, path, ecn, datagram, &mut take);
            }
            Side::Sending(_) => {
                self.connection.handle_datagram(now, path, ecn, datagram, &mut |_, _| false);
            }
        }
        self.pump(now);
    }

    /// The system at the peer's address said that no program has the port, and quoted that much of our
    /// datagram.
    pub fn handle_refusal(&mut self, now: Instant, quoted: &[u8]) {
        self.connection.handle_refusal(now, quoted);
        self.pump(now);
    }

    /// The peer's address says that it knows of no connection with that id.
    pub fn handle_gone(&mut self, now: Instant, id: ConnectionId) {
        self.connection.handle_gone(now, id);
        self.pump(now);
    }

    /// A deadline has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.connection.handle_timeout(now);
        if self.linger_until.is_some_and(|until| until <= now) {
            self.connection.close(0, "");
        }
        if let Side::Receiving(receiving) = &mut self.side
            && self.gather_until.is_some_and(|until| until <= now)
        {
            self.gather_until = None;
            receiving.flush();
        }
        self.pump(now);
    }

    /// When [`Session::handle_timeout`] wants to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let linger = self.linger_until.filter(|_| self.connection.is_established());
        let is_open = self.failure.is_none() && self.connection.is_established();
        let word = self.motion.deadline().filter(|_| is_open);
        let deadlines = [self.connection.poll_timeout(), linger, self.gather_until, word];
        deadlines.into_iter().flatten().min()
    }

    /// The next thing for this session's sink to do, at once or after a short time in which more may come.
    pub fn next_job(&mut self, now: Instant) -> Option<Job> {
        let Side::Receiving(receiving) = &mut self.side else {
            return None;
        };
        if receiving.is_gathering() {
            self.gather_until.get_or_insert(now + GATHER_SPAN);
            return None;
        }
        self.gather_until = None;
        receiving.next_job()
    }

    /// What was offered since the last call to a session that wants only the list.
    pub fn take_listed(&mut self) -> Vec<Entry> {
        match &mut self.side {
            Side::Receiving(receiving) => receiving.take_listed(),
            Side::Sending(_) => Vec::new(),
        }
    }

    /// This session's sink did something.
    pub fn on_report(&mut self, now: Instant, report: Report) {
        if let Side::Receiving(receiving) = &mut self.side {
            receiving.on_report(report);
        }
        self.pump(now);
    }

    /// Ends the transfer from this side.
    pub fn abort(&mut self, now: Instant, failure: Failure) {
        self.refuse(failure);
        self.pump(now);
    }

    fn refuse(&mut self, failure: Failure) {
        self.connection.close(u16::from(failure.reason.code()), &failure.text);
        self.failure.get_or_insert(failure);
    }

    /// Moves what happened from the connection to the transfer and back.
    fn pump(&mut self, now: Instant) {
        while let Some(event) = self.connection.poll_event() {
            match event {
                // What was received is looked at below, whatever else happened.
                Event::ControlReceived => {}
                Event::Connected => self.motion.begin(now, self.is_owed_word()),
                Event::Ended(end) => self.end = Some(end),
                Event::Violated(malformed) => self.violate(malformed),
            }
        }
        if let Err(violation) = self.read_messages() {
            // From now on nothing passes between the connection and the transfer.
            return self.refuse(violation);
        }
        self.offer();
        self.tell();
        self.apply(now);
        self.finish(now);
        self.watch_motion(now);
    }

    fn violate(&mut self, malformed: Malformed) {
        match &mut self.side {
            Side::Receiving(receiving) => receiving.violate(malformed),
            Side::Sending(sending) => sending.violate(malformed),
        };
    }

    fn read_messages(&mut self) -> Result<(), Failure> {
        match &mut self.side {
            Side::Receiving(receiving) => {
                // A sender that does not acknowledge what it is told is not listened to either.
                if receiving.has_room() && self.connection.control_waiting() < ANSWERS_MAX {
                    self.connection.read_control(receiving.incoming());
                }
                receiving.handle_messages()
            }
            Side::Sending(sending) => {
                self.connection.read_control(sending.incoming());
                sending.handle_messages()
            }
        }
    }

    /// What is to be sent is looked at while the other side keeps up with hearing of it.
    fn offer(&mut self) {
        let waiting = self.connection.control_waiting();
        if let Side::Sending(sending) = &mut self.side
            && self.end.is_none()
        {
            sending.offer(OFFERS_MAX.saturating_sub(waiting));
        }
    }

    fn tell(&mut self) {
        let outgoing = match &mut self.side {
            Side::Receiving(receiving) => receiving.take_outgoing(),
            Side::Sending(sending) => sending.take_outgoing(),
        };
        self.connection.write_control(&outgoing);
    }

    fn apply(&mut self, now: Instant) {
        let connection = &mut self.connection;
        match &mut self.side {
            Side::Receiving(receiving) => {
                for demand in receiving.take_demands() {
                    match demand {
                        Demand::Again(range) => connection.reject(&range),
                        Demand::Cancel(range) => connection.cancel_incoming(range),
                        Demand::Total(total) => connection.set_total(total),
                        Demand::Written(written) => connection.on_written(now, written),
                    }
                }
            }
            Side::Sending(sending) => {
                for range in sending.take_cancelled() {
                    connection.cancel_outgoing(&range);
                }
                for range in sending.take_restored() {
                    connection.restore_outgoing(&range);
                }
                connection.release(sending.released());
            }
        }
    }

    fn finish(&mut self, now: Instant) {
        if !self.is_complete() || !self.connection.is_established() {
            return;
        }
        self.completed_at.get_or_insert(now);
        match &self.side {
            // COMMITTED, or a failure that the receiver knows of, is all there is to wait for.
            Side::Sending(_) if self.connection.control_waiting() == 0 => {
                self.connection.close(0, "");
            }
            Side::Sending(_) => {}
            // Until the sender has acknowledged COMMITTED it is repeated; a sender that is gone ends
            // the connection by its silence.
            Side::Receiving(_) if self.connection.control_waiting() == 0 => {
                self.linger_until.get_or_insert(now + LINGER);
            }
            Side::Receiving(_) => {}
        }
    }

    fn is_complete(&self) -> bool {
        match &self.side {
            Side::Receiving(receiving) => receiving.is_complete(),
            Side::Sending(sending) => sending.is_complete(),
        }
    }

    fn is_plan(&self) -> bool {
        match &self.side {
            Side::Receiving(receiving) => receiving.is_plan(),
            Side::Sending(sending) => sending.is_plan(),
        }
    }

    /// Datagrams that arrived damaged and were dropped.
    #[must_use]
    pub fn damaged(&self) -> u64 {
        self.connection.damaged()
    }

    /// Whether the transfer is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.end.is_some()
    }

    /// Whether the transfer is not complete because its peer had answered and is gone without a word.
    #[must_use]
    pub fn is_peer_lost(&self) -> bool {
        let is_lost = matches!(self.end, Some(End::Forgotten | End::Gone | End::Silent));
        is_lost && self.failure.is_none() && !self.is_complete()
    }

    /// How the transfer with `peer` ended, once it has.
    #[must_use]
    pub fn report(&self, peer: SocketAddr) -> Option<TransferReport> {
        let end = self.end.as_ref()?;
        let standpoint = Standpoint {
            is_sender: matches!(self.side, Side::Sending(_)),
            is_initiator: self.connection.is_initiator(),
        };
        let failure = self.failure.clone().unwrap_or_else(|| failure_of_end(end, peer, standpoint));
        Some(self.report_failure(failure))
    }

    /// What is to be reported if `failure` ends the transfer where it is.
    #[must_use]
    pub fn report_failure(&self, failure: Failure) -> TransferReport {
        // What breaks off a complete transfer takes nothing back; that the peer lied does.
        let failure = (!self.is_complete()).then_some(failure);
        let stats = Some(self.connection.stats());
        match &self.side {
            Side::Receiving(receiving) => receiving.report(failure, stats),
            Side::Sending(sending) => sending.report(failure, stats),
        }
    }

    /// When every file had an outcome; never, if the transfer ended before.
    #[must_use]
    pub fn completed_at(&self) -> Option<Instant> {
        self.completed_at
    }

    /// Whether the peer has shown that it receives at its address.
    #[must_use]
    pub fn is_validated(&self) -> bool {
        self.connection.is_validated()
    }

    /// Where the peer is, and where it may have moved to.
    #[must_use]
    pub fn paths(&self) -> (PathId, Option<PathId>) {
        (self.connection.path(), self.connection.candidate_path())
    }

    /// What was traced since the last call.
    pub fn take_trace(&mut self) -> Vec<(Instant, TraceEvent)> {
        self.connection.take_trace()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer::entry::{Attributes, Entry, Kind};
    use crate::transfer::message::Message;
    use crate::transport::arq::ArqConfig;
    use crate::transport::batch::Batch;
    use crate::transport::config::{Config, CongestionChoice};
    use crate::wire::handshake::Role;

    /// A session that was offered a file of `size` bytes, whose sink knows that.
    fn offered(size: u64) -> Session {
        let config = Config {
            congestion: CongestionChoice::Cubic,
            known_path: None,
            max_rate: None,
            arq: ArqConfig::default(),
            max_datagram: 1_472,
            socket_buffer: 1 << 20,
            max_train: 16,
            trace: false,
            path: PathId::default(),
            secret: [0; 32],
        };
        let id = ConnectionId(1);
        let connection = Connection::initiate(Instant::ZERO, config, id, Role::Receiver);
        let attributes = Attributes { mode: 0o644, seconds: 0, nanoseconds: 0 };
        let kind = Kind::File { size, holes: None, attributes, source: None };
        let mut receiving = Receiving::new(false);
        Message::Offer(Entry { path: "file".into(), kind }).put(receiving.incoming());
        receiving.handle_messages().expect("a file");
        let mut session = Session::receiving(connection, receiving);
        while session.poll_transmit(Instant::ZERO, &mut Batch::default()) {}
        assert!(matches!(session.next_job(Instant::ZERO), Some(Job::Offer { .. })));
        session
    }

    fn take(session: &mut Session, offset: u64) {
        let Side::Receiving(receiving) = &mut session.side else {
            panic!("it receives");
        };
        assert!(receiving.take_data(offset, &[0; 1_000]));
    }

    fn written(job: Option<Job>) -> usize {
        match job {
            Some(Job::Write(batch)) => batch.len(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn single_datagrams_wait_a_moment_for_more_and_the_last_ones_do_not() {
        let mut session = offered(4_000);
        take(&mut session, 0);
        assert!(session.next_job(Instant::ZERO).is_none());
        let deadline = Instant::ZERO + GATHER_SPAN;
        assert_eq!(session.poll_timeout(), Some(deadline));
        take(&mut session, 1_000);
        assert!(session.next_job(Instant::ZERO + GATHER_SPAN / 2).is_none());
        assert_eq!(session.poll_timeout(), Some(deadline), "the first one waits no longer");
        session.handle_timeout(deadline);
        assert_eq!(written(session.next_job(deadline)), 2_000);
        assert!(session.poll_timeout() > Some(deadline));
        take(&mut session, 2_000);
        assert!(session.next_job(deadline).is_none());
        take(&mut session, 3_000);
        assert_eq!(written(session.next_job(deadline)), 2_000);
        assert!(session.gather_until.is_none());
    }
}
