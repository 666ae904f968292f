//! The clock, the connections and the links: what happens next, and then.

use super::record::{Packet, Record, Side, What};
use super::{FlowOutcome, IP_AND_UDP, Order, Outcome};
use crate::base::time::{Duration, Instant};
use crate::link::line::Line;
use crate::link::{Direction, Link, LinkConfig};
use crate::transport::Connection;
use crate::transport::batch::Batch;
use crate::transport::config::{BASE_DATAGRAM, Config};
use crate::transport::connection::Event;
use crate::transport::error::End;
use crate::wire::handshake::{Hello, Role};
use crate::wire::header::{ConnectionId, Header};
use crate::wire::protection;

/// Datagrams handed to the link at a time.
const TRAIN: usize = 44;

/// What a receiver's socket holds.
const SOCKET_BUFFER: u64 = 4 << 20;

/// One transfer.
#[derive(Debug)]
struct Flow {
    sender: Connection,
    receiver: Option<Connection>,
    /// Bytes that the receiver has taken.
    taken: u64,
    fresh_packets: u64,
    first_at: Option<Instant>,
    last_at: Instant,
    completed_at: Option<Instant>,
    end: Option<End>,
}

/// Transfers in virtual time.
#[derive(Debug)]
pub struct World {
    now: Instant,
    config: Config,
    size: u64,
    flows: Vec<Flow>,
    out: Line<usize>,
    back: Line<usize>,
    /// Flows whose connections have something to say now.
    touched: Vec<bool>,
    batch: Batch,
    /// What has just come out of a link.
    datagram: Vec<u8>,
    records: Vec<Record>,
    records_max: usize,
    /// Whether the receivers have room for file bytes.
    reads: bool,
    /// Whether every byte was the one that belongs there.
    is_intact: bool,
}

impl World {
    /// A world in which nothing has happened yet.
    #[must_use]
    pub fn new(order: &Order) -> Self {
        let mtu = order.out.mtu.unwrap_or(crate::link::config::DEFAULT_MTU);
        let overhead = u16::try_from(IP_AND_UDP).expect("small");
        let config = Config {
            congestion: order.congestion,
            arq: order.arq,
            max_datagram: mtu.saturating_sub(overhead).max(BASE_DATAGRAM),
            socket_buffer: SOCKET_BUFFER,
            max_train: TRAIN,
            trace: order.records > 0,
        };
        let line = |config, direction| Line::new(Link::new(config, order.seed, direction));
        Self {
            now: Instant::ZERO,
            config,
            size: order.size,
            flows: (0..order.flows).map(|index| Flow::new(index, config, order.size)).collect(),
            out: line(&order.out, Direction::Out),
            back: line(&order.back, Direction::Back),
            touched: vec![true; order.flows],
            batch: Batch::default(),
            datagram: Vec::new(),
            records: Vec::new(),
            records_max: order.records,
            reads: true,
            is_intact: true,
        }
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Whether all receivers have everything.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.flows.iter().all(|flow| flow.completed_at.is_some())
    }

    /// Whether every byte that arrived was the one that was sent.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        self.is_intact
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
    fn step(&mut self, until: Instant) -> bool {
        self.transmit();
        let deadlines = self.flows.iter().flat_map(Flow::deadlines);
        let arrivals = [self.out.next(), self.back.next()].into_iter().flatten();
        let Some(next) = deadlines.chain(arrivals).min().filter(|next| *next <= until) else {
            return false;
        };
        self.now = self.now.max(next);
        let mut datagram = std::mem::take(&mut self.datagram);
        while let Some(index) = self.out.take(self.now, &mut datagram) {
            self.arrive(index, Side::Receiver, &datagram);
            // On a path without delay the answer arrives at the same moment.
            self.send(index, Side::Receiver);
        }
        while let Some(index) = self.back.take(self.now, &mut datagram) {
            self.arrive(index, Side::Sender, &datagram);
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
        for connection in [Some(&mut flow.sender), flow.receiver.as_mut()].into_iter().flatten() {
            if connection.poll_timeout().is_some_and(|at| at <= now) {
                connection.handle_timeout(now);
                self.touched[index] = true;
            }
        }
    }

    fn transmit(&mut self) {
        for index in 0..self.flows.len() {
            if std::mem::take(&mut self.touched[index]) {
                self.send(index, Side::Sender);
                self.send(index, Side::Receiver);
                self.drain_events(index);
            }
        }
    }

    fn send(&mut self, index: usize, from: Side) {
        let now = self.now;
        let flow = &mut self.flows[index];
        let (connection, line) = match from {
            Side::Sender => (Some(&mut flow.sender), &mut self.out),
            Side::Receiver => (flow.receiver.as_mut(), &mut self.back),
        };
        let Some(connection) = connection else { return };
        while connection.poll_transmit(now, &mut self.batch) {
            let filled = self.batch.fill(|offset, payload| {
                write_pattern(offset, payload);
                Ok::<(), std::convert::Infallible>(())
            });
            filled.expect("writing a pattern does not fail");
            self.batch.seal();
            for datagram in self.batch.datagrams() {
                let fate = line.put(now, datagram.len() + IP_AND_UDP, index, datagram);
                if self.records.len() < self.records_max {
                    let packet = Packet::read(datagram);
                    let what = What::Sent { packet, fate };
                    self.records.push(Record { at: now, flow: index, side: from, what });
                }
            }
        }
    }

    fn arrive(&mut self, index: usize, at: Side, datagram: &[u8]) {
        self.touched[index] = true;
        let (now, config) = (self.now, self.config);
        let (size, reads) = (self.size, self.reads);
        let flow = &mut self.flows[index];
        let mut is_intact = true;
        match at {
            Side::Sender => flow.sender.handle_datagram(now, datagram, &mut |_, _| false),
            Side::Receiver => {
                let Some(receiver) = &mut flow.receiver else {
                    flow.receiver = respond(now, config, index, size, datagram);
                    return;
                };
                let (taken, fresh) = (&mut flow.taken, &mut flow.fresh_packets);
                let (first_at, last_at) = (&mut flow.first_at, &mut flow.last_at);
                receiver.handle_datagram(now, datagram, &mut |offset, payload| {
                    if !reads {
                        return false;
                    }
                    is_intact &= is_pattern(offset, payload);
                    *taken += payload.len() as u64;
                    *fresh += 1;
                    first_at.get_or_insert(now);
                    *last_at = now;
                    true
                });
                receiver.on_written(now, *taken);
                if flow.completed_at.is_none() && receiver.has_everything() {
                    flow.completed_at = Some(now);
                }
            }
        }
        self.is_intact &= is_intact;
        if self.records.len() < self.records_max {
            self.record_arrival(index, at, datagram);
        }
    }

    fn record_arrival(&mut self, index: usize, at: Side, datagram: &[u8]) {
        let is_damaged = protection::open(datagram).is_none();
        let packet = Packet::read(datagram);
        let what = What::Received { packet, is_damaged };
        self.records.push(Record { at: self.now, flow: index, side: at, what });
        if at == Side::Sender {
            let stats = self.flows[index].sender.stats();
            let what = What::Sampled {
                congestion_window: stats.congestion_window,
                bytes_in_flight: stats.bytes_in_flight,
                smoothed_rtt: stats.smoothed_rtt,
            };
            self.records.push(Record { at: self.now, flow: index, side: at, what });
        }
    }

    fn drain_events(&mut self, index: usize) {
        let flow = &mut self.flows[index];
        while let Some(event) = flow.sender.poll_event() {
            if let Event::Ended(end) = event {
                flow.end = Some(end);
            }
        }
        if let Some(receiver) = &mut flow.receiver {
            while receiver.poll_event().is_some() {}
        }
        let events = flow.sender.take_trace();
        if self.records.len() < self.records_max {
            self.records.extend(events.into_iter().map(|(at, event)| Record {
                at,
                flow: index,
                side: Side::Sender,
                what: What::Noticed(event),
            }));
        }
    }

    /// How it went so far.
    #[must_use]
    pub fn outcome(self) -> Outcome {
        Outcome {
            flows: self.flows.into_iter().map(Flow::outcome).collect(),
            out: self.out.link().counts(),
            back: self.back.link().counts(),
            records: self.records,
        }
    }

    /// Bytes that wait in front of the bottlenecks.
    #[must_use]
    pub fn backlog(&self) -> u64 {
        self.out.link().backlog(self.now) + self.back.link().backlog(self.now)
    }

    /// Bytes of UDP payload that the senders have sent.
    #[must_use]
    pub fn bytes_sent(&self) -> u64 {
        self.flows.iter().map(|flow| flow.sender.stats().bytes_sent).sum()
    }
}

impl Flow {
    fn new(index: usize, config: Config, size: u64) -> Self {
        let mut sender = Connection::initiate(Instant::ZERO, config, id(index), Role::Sender);
        sender.release(size);
        Self {
            sender,
            receiver: None,
            taken: 0,
            fresh_packets: 0,
            first_at: None,
            last_at: Instant::ZERO,
            completed_at: None,
            end: None,
        }
    }

    fn deadlines(&self) -> impl Iterator<Item = Instant> {
        let receiver = self.receiver.as_ref().and_then(Connection::poll_timeout);
        [self.sender.poll_timeout(), receiver].into_iter().flatten()
    }

    fn outcome(self) -> FlowOutcome {
        FlowOutcome {
            stats: self.sender.stats(),
            taken: self.taken,
            fresh_packets: self.fresh_packets,
            elapsed: self.completed_at.map(|at| at.since(Instant::ZERO)),
            span: self.first_at.map_or(Duration::ZERO, |first| self.last_at.since(first)),
            end: self.end,
        }
    }
}

/// A receiver that answers the HELLO, if the datagram is one.
fn respond(
    now: Instant,
    config: Config,
    index: usize,
    size: u64,
    datagram: &[u8],
) -> Option<Connection> {
    let hello = Hello::read(protection::open(datagram)?).ok()?;
    let number = Header::read(datagram).ok()?.packet_number;
    let mut receiver = Connection::respond(now, config, id(index), &hello, number);
    receiver.set_total(size);
    Some(receiver)
}

fn id(index: usize) -> ConnectionId {
    ConnectionId(u32::try_from(index).expect("few flows") + 1)
}

/// Each byte depends on its offset, so that a byte in the wrong place is noticed: eight of them are the
/// offset of the first. Words of eight make loops that the compiler turns into vectors.
fn write_pattern(offset: u64, payload: &mut [u8]) {
    let (words, rest) = payload.as_chunks_mut();
    let mut at = offset;
    for word in words {
        *word = at.to_le_bytes();
        at = at.wrapping_add(8);
    }
    let len = rest.len();
    rest.copy_from_slice(&at.to_le_bytes()[..len]);
}

fn is_pattern(offset: u64, payload: &[u8]) -> bool {
    let (words, rest) = payload.as_chunks();
    let (mut at, mut difference) = (offset, 0);
    for word in words {
        difference |= u64::from_le_bytes(*word) ^ at;
        at = at.wrapping_add(8);
    }
    difference == 0 && *rest == at.to_le_bytes()[..rest.len()]
}
