//! The clock, the connections and the links: what happens next, and then.

mod flow;
mod pattern;
mod watch;

pub use watch::Sight;

use self::flow::{Flow, respond};
use super::record::{Record, Recorder, Side};
use super::{IP_AND_UDP, Order, Plan};
use crate::base::ecn::Ecn;
use crate::base::time::{Duration, Instant, earlier};
use crate::link::line::Line;
use crate::link::{Direction, Link, LinkConfig};
use crate::transport::batch::Batch;
use crate::transport::config::{BASE_DATAGRAM, Config};
use crate::transport::connection::Event;
use crate::transport::{Connection, PathId};
use crate::wire::handshake::Role;

/// Datagrams handed to the link at a time.
const TRAIN: usize = 44;

/// What a receiver's socket holds.
const SOCKET_BUFFER: u64 = 4 << 20;

/// The transfer that a datagram is of, and which port of the initiator's it came from or goes to.
type Tag = (usize, PathId);

/// Transfers in virtual time.
#[derive(Debug)]
pub struct World {
    now: Instant,
    config: Config,
    size: u64,
    flows: Vec<Flow>,
    out: Line<Tag>,
    back: Line<Tag>,
    /// Flows whose connections have something to say now.
    touched: Vec<bool>,
    batch: Batch,
    /// What has just come out of a link.
    datagram: Vec<u8>,
    recorder: Recorder,
    /// Whether the receivers have room for file bytes.
    reads: bool,
    initiator: Side,
    /// Where the initiators are, seen from the responders.
    port: PathId,
    /// Datagrams on each way, out and back, that came to where nobody is any more, or from where nobody
    /// was known to be.
    strays: [u64; 2],
    /// Whether every byte was the one that belongs there.
    is_intact: bool,
}

impl World {
    /// A world in which nothing has happened yet, and the senders will open the connections.
    #[must_use]
    pub fn new(order: &Order) -> Self {
        Self::opened_by(order, Role::Sender)
    }

    /// The same, where this side of the files will open the connections.
    #[must_use]
    pub fn opened_by(order: &Order, initiator: Role) -> Self {
        Self::with(order, &order.plans(), initiator, Recorder::default())
    }

    /// One in which each flow has a plan of its own.
    #[must_use]
    pub fn shared(order: &Order, plans: &[Plan]) -> Self {
        Self::with(order, plans, Role::Sender, Recorder::default())
    }

    /// One that records what happens.
    pub(super) fn recording(order: &Order) -> Self {
        Self::with(order, &order.plans(), Role::Sender, Recorder::on())
    }

    fn with(order: &Order, plans: &[Plan], initiator: Role, recorder: Recorder) -> Self {
        let mtu = order.out.mtu_or_usual();
        let overhead = u16::try_from(IP_AND_UDP).expect("small");
        let config = Config {
            congestion: order.congestion,
            known_path: None,
            max_rate: None,
            arq: order.arq,
            max_datagram: mtu.saturating_sub(overhead).max(BASE_DATAGRAM),
            socket_buffer: SOCKET_BUFFER,
            max_train: TRAIN,
            trace: recorder.is_on(),
            path: PathId::default(),
            secret: *blake3::hash(&order.seed.to_le_bytes()).as_bytes(),
        };
        let line = |config, direction| Line::new(Link::new(config, order.seed, direction));
        Self {
            now: Instant::ZERO,
            config,
            size: order.size,
            flows: plans
                .iter()
                .enumerate()
                .map(|(index, plan)| Flow::new(index, config, *plan, order.size, initiator))
                .collect(),
            out: line(&order.out, Direction::Out),
            back: line(&order.back, Direction::Back),
            touched: vec![true; plans.len()],
            batch: Batch::default(),
            datagram: Vec::new(),
            recorder,
            reads: true,
            initiator: match initiator {
                Role::Sender => Side::Sender,
                Role::Lister | Role::Planner | Role::Receiver => Side::Receiver,
            },
            port: PathId::default(),
            strays: [0; 2],
            is_intact: true,
        }
    }

    /// From now on the link does this; what is in it comes out as it was to.
    pub fn change_link(&mut self, out: &LinkConfig, back: &LinkConfig, seed: u64) {
        self.out.change(Link::new(out, seed, Direction::Out));
        self.back.change(Link::new(back, seed, Direction::Back));
    }

    /// From now on the receivers take file bytes, or have no room for any.
    pub fn set_reading(&mut self, reads: bool) {
        self.reads = reads;
        self.touched.fill(true);
    }

    /// From now on the initiators are seen at another port, as behind a NAT that has forgotten them; on
    /// another host, if `is_elsewhere`.
    pub fn rebind(&mut self, is_elsewhere: bool) {
        self.port.port += 1;
        self.port.host += u128::from(is_elsewhere);
        self.touched.fill(true);
    }

    /// Runs until all is complete, every connection has ended, or that much virtual time has passed.
    pub fn run_until_complete(&mut self, limit: Duration) {
        let until = Instant::ZERO + limit;
        while !self.is_complete() && self.step(until) {}
    }

    /// Runs until a moment, or until nothing will ever happen again.
    pub fn run_until(&mut self, until: Instant) {
        while self.step(until) {}
        self.now = self.now.max(until);
    }

    /// What happens next, unless that is later than `until`. What arrives at a moment comes before
    /// what is due then: an answer in time is in time.
    pub fn step(&mut self, until: Instant) -> bool {
        self.transmit();
        let deadlines = self.flows.iter().map(|flow| flow.deadline);
        let arrival = earlier(self.out.next(), self.back.next());
        let Some(next) = deadlines.fold(arrival, earlier).filter(|next| *next <= until) else {
            return false;
        };
        self.now = self.now.max(next);
        let mut datagram = std::mem::take(&mut self.datagram);
        while let Some((tag, ecn)) = self.out.take(self.now, &mut datagram) {
            self.arrive(tag, Side::Receiver, ecn, &datagram);
            // On a path without delay the answer arrives at the same moment.
            self.send(tag.0, Side::Receiver);
        }
        while let Some((tag, ecn)) = self.back.take(self.now, &mut datagram) {
            self.arrive(tag, Side::Sender, ecn, &datagram);
        }
        self.datagram = datagram;
        for index in 0..self.flows.len() {
            self.fire(index);
        }
        true
    }

    fn fire(&mut self, index: usize) {
        let now = self.now;
        let flow = &mut self.flows[index];
        if !self.touched[index] && flow.deadline.is_none_or(|at| at > now) {
            return;
        }
        let sides = [(Side::Sender, &mut flow.sender), (Side::Receiver, &mut flow.receiver)];
        for (side, connection) in sides {
            let Some(connection) = connection else { continue };
            if connection.poll_timeout().is_some_and(|at| at <= now) {
                connection.handle_timeout(now);
                self.touched[index] = true;
                self.recorder.noticed(index, side, connection);
            }
        }
    }

    fn transmit(&mut self) {
        for index in 0..self.flows.len() {
            if std::mem::take(&mut self.touched[index]) {
                self.send(index, Side::Sender);
                self.send(index, Side::Receiver);
                self.drain_events(index);
                self.flows[index].note_deadline();
            }
        }
    }

    fn send(&mut self, index: usize, from: Side) {
        let now = self.now;
        let flow = &mut self.flows[index];
        let (connection, line) = match from {
            Side::Sender => (&mut flow.sender, &mut self.out),
            Side::Receiver => (&mut flow.receiver, &mut self.back),
        };
        let Some(connection) = connection else { return };
        while connection.poll_transmit(now, &mut self.batch) {
            let filled = self.batch.fill(|offset, payload| {
                pattern::write(offset, payload);
                Ok::<(), std::convert::Infallible>(())
            });
            filled.expect("writing a pattern does not fail");
            self.batch.seal();
            self.recorder.noticed(index, from, connection);
            let path = if from == self.initiator { self.port } else { self.batch.path() };
            // The way back is the longer one for a sender that is farther away.
            let farther = if from == Side::Sender { Duration::ZERO } else { flow.farther };
            for datagram in self.batch.datagrams() {
                let size = datagram.len() + IP_AND_UDP;
                let tag = ((index, path), self.batch.ecn());
                let fate = line.put_for(now, size, tag, datagram, farther);
                self.recorder.sent(now, index, from, datagram, fate);
            }
            if from == Side::Sender {
                self.recorder.sampled(now, index, connection);
            }
        }
        // That nothing may go can be an event too.
        self.recorder.noticed(index, from, connection);
    }

    fn arrive(&mut self, (index, path): Tag, at: Side, ecn: Ecn, datagram: &[u8]) {
        let way = usize::from(at == Side::Sender);
        let Flow { sender, receiver, .. } = &self.flows[index];
        let connection = if at == Side::Sender { sender } else { receiver };
        let path = if at != self.initiator {
            path
        } else if path == self.port {
            self.config.path
        } else {
            self.strays[way] += 1;
            return;
        };
        self.strays[way] += u64::from(connection.as_ref().is_some_and(|one| one.path() != path));
        self.touched[index] = true;
        self.recorder.received(self.now, index, at, datagram);
        let now = self.now;
        let (size, reads) = (self.size, self.reads);
        let flow = &mut self.flows[index];
        let mut is_intact = true;
        match (at, &mut flow.sender, &mut flow.receiver) {
            (Side::Sender, Some(sender), _) => {
                sender.handle_datagram(now, path, ecn, datagram, &mut |_, _| false);
                self.recorder.noticed(index, at, sender);
                self.recorder.sampled(now, index, sender);
            }
            (Side::Sender, None, _) | (Side::Receiver, _, None) => {
                let config = Config { path, ..self.config };
                if let Some((role, connection)) = respond(now, config, index, datagram) {
                    flow.take_in(role, connection, size);
                }
                return;
            }
            (Side::Receiver, _, Some(receiver)) => {
                let (taken, fresh) = (&mut flow.taken, &mut flow.fresh_packets);
                let (first_at, last_at) = (&mut flow.first_at, &mut flow.last_at);
                receiver.handle_datagram(now, path, ecn, datagram, &mut |offset, payload| {
                    if !reads {
                        return false;
                    }
                    is_intact &= pattern::is_in(offset, payload);
                    *taken += payload.len() as u64;
                    *fresh += 1;
                    first_at.get_or_insert(now);
                    *last_at = now;
                    true
                });
                receiver.on_written(now, *taken);
                self.recorder.noticed(index, at, receiver);
                if flow.completed_at.is_none() && receiver.has_everything() {
                    flow.completed_at = Some(now);
                    self.recorder.completed(now, index);
                }
            }
        }
        self.is_intact &= is_intact;
    }

    fn drain_events(&mut self, index: usize) {
        let Flow { sender, receiver, ends, .. } = &mut self.flows[index];
        for (connection, end) in [&mut *sender, receiver].into_iter().zip(ends) {
            while let Some(event) = connection.as_mut().and_then(Connection::poll_event) {
                if let Event::Ended(reason) = event {
                    *end = Some(reason);
                }
            }
        }
    }

    /// What happened since the last call, in order; nothing unless it is recorded.
    pub(super) fn take_records(&mut self) -> Vec<Record> {
        self.recorder.take()
    }
}
