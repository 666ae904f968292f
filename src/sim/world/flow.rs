//! One transfer of a world: two connections, and what has come of it.

use super::super::{FlowOutcome, Plan};
use crate::base::time::{Duration, Instant, earlier};
use crate::transport::Connection;
use crate::transport::config::Config;
use crate::transport::error::End;
use crate::transport::stats::Stats;
use crate::wire::handshake::{Hello, Role};
use crate::wire::header::{ConnectionId, Header};
use crate::wire::protection;

/// One transfer.
#[derive(Debug)]
pub(super) struct Flow {
    /// Nothing until it has been asked for a connection.
    pub(super) sender: Option<Connection>,
    pub(super) receiver: Option<Connection>,
    /// How much farther behind the link the sender is than others.
    pub(super) farther: Duration,
    /// The earlier one of both, as of when the flow was touched last.
    pub(super) deadline: Option<Instant>,
    /// Bytes that the receiver has taken.
    pub(super) taken: u64,
    pub(super) fresh_packets: u64,
    pub(super) first_at: Option<Instant>,
    pub(super) last_at: Instant,
    pub(super) completed_at: Option<Instant>,
    /// How the connection ended, for the sender and for the receiver.
    pub(super) ends: [Option<End>; 2],
}

impl Flow {
    pub(super) fn new(
        index: usize,
        config: Config,
        plan: Plan,
        size: u64,
        initiator: Role,
    ) -> Self {
        let config = Config { congestion: plan.congestion, ..config };
        let begins = Instant::ZERO + plan.begins;
        let connection = Connection::initiate(begins, config, id(index), initiator);
        let mut flow = Self {
            sender: None,
            receiver: None,
            farther: plan.farther,
            deadline: None,
            taken: 0,
            fresh_packets: 0,
            first_at: None,
            last_at: Instant::ZERO,
            completed_at: None,
            ends: [None, None],
        };
        flow.take_in(initiator, connection, size);
        flow
    }

    pub(super) fn take_in(&mut self, role: Role, mut connection: Connection, size: u64) {
        match role {
            Role::Sender => {
                connection.release(size);
                self.sender = Some(connection);
            }
            Role::Lister | Role::Planner | Role::Receiver => {
                connection.set_total(size);
                self.receiver = Some(connection);
            }
        }
    }

    pub(super) fn note_deadline(&mut self) {
        let [sender, receiver] = [&self.sender, &self.receiver]
            .map(|side| side.as_ref().and_then(Connection::poll_timeout));
        self.deadline = earlier(sender, receiver);
    }

    pub(super) fn sender_stats(&self) -> Stats {
        self.sender.as_ref().map(Connection::stats).unwrap_or_default()
    }

    pub(super) fn outcome(self) -> FlowOutcome {
        let [end, _] = self.ends.clone();
        FlowOutcome {
            stats: self.sender_stats(),
            taken: self.taken,
            fresh_packets: self.fresh_packets,
            elapsed: self.completed_at.map(|at| at.since(Instant::ZERO)),
            span: self.first_at.map_or(Duration::ZERO, |first| self.last_at.since(first)),
            end,
        }
    }
}

/// The other side's connection, if the datagram is a HELLO that asks for one.
pub(super) fn respond(
    now: Instant,
    config: Config,
    index: usize,
    datagram: &[u8],
) -> Option<(Role, Connection)> {
    let hello = Hello::read(protection::open(datagram)?).ok()?;
    let number = Header::read(datagram).ok()?.packet_number;
    let role = match hello.role {
        Role::Sender => Role::Receiver,
        Role::Lister | Role::Planner | Role::Receiver => Role::Sender,
    };
    Some((role, Connection::respond(now, config, id(index), &hello, number)))
}

fn id(index: usize) -> ConnectionId {
    ConnectionId(u32::try_from(index).expect("few flows") + 1)
}
