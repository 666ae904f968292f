//! What a side does with files: it has some, or takes some in. Who opens the connection is another
//! matter: an [`Errand`] is what an initiator comes for, a [`Service`] what a responder does for whoever
//! comes, and both give this side's part in each transfer.

use super::Carrier;
use super::places::host_of;
use crate::os::clock;
use crate::transfer::budget::Budget;
use crate::transfer::directory::Directory;
use crate::transfer::ending::Standpoint;
use crate::transfer::keeping::Keeping;
use crate::transfer::outcome::Failure;
use crate::transfer::receiver::Receiving;
use crate::transfer::sender::Sending;
use crate::transfer::session::Session;
use crate::transfer::sink::{Sink, SinkPolicy};
use crate::transfer::source::Source;
use crate::transfer::walk::Selection;
use crate::transport::Connection;
use crate::transport::config::CongestionChoice;
use crate::transport::handshake::Duty;
use crate::wire::handshake::Role;
use std::net::IpAddr;
use std::sync::Arc;

/// How files are taken in.
#[derive(Clone, Debug)]
pub struct Reception {
    /// Where they go.
    pub directory: Arc<Directory>,
    /// How they are kept.
    pub keeping: Keeping,
    /// Take names that begin with a dot.
    pub takes_hidden: bool,
    /// What all transfers share.
    pub budget: Budget,
}

/// What a dialer comes for.
#[derive(Clone, Debug)]
pub enum Errand {
    /// It wants the files.
    Get(Reception),
    /// It wants to know what files there are.
    List,
    /// It wants to know what would come of getting the files.
    PlanGet(Reception),
    /// It wants to know what would come of sending the files.
    PlanSend(Arc<Selection>),
    /// It has files.
    Send(Arc<Selection>),
}

/// What a listener does for whoever comes.
#[derive(Clone, Debug)]
pub enum Service {
    /// It takes files in.
    Receive(Reception),
    /// It has files.
    Share {
        /// Which.
        selection: Arc<Selection>,
        /// How to choose the rate over UDP.
        congestion: CongestionChoice,
    },
}

/// This side's part in one transfer.
#[derive(Debug)]
pub(super) enum Part {
    /// It is told what there is.
    Listing(Box<Receiving>),
    /// It takes files in.
    Receiving(Box<Receiving>, Box<Sink>),
    /// It has the files.
    Sending(Box<Sending>, Box<Source>),
}

/// A session, and what does its work with the disk.
#[derive(Debug)]
pub struct Staffed {
    pub(super) session: Session,
    /// Of one that receives.
    pub(super) sink: Option<Sink>,
    /// Of one that sends.
    pub(super) source: Option<Source>,
}

impl Errand {
    /// What a HELLO says of it.
    pub(super) fn role(&self) -> Role {
        match self {
            Self::Get(_) => Role::Receiver,
            Self::List => Role::Lister,
            Self::PlanGet(_) => Role::Planner,
            Self::PlanSend(_) | Self::Send(_) => Role::Sender,
        }
    }

    /// From where a dialer sees how things end.
    pub(super) fn standpoint(&self) -> Standpoint {
        Standpoint { is_sender: self.role() == Role::Sender, is_initiator: true }
    }

    /// One attempt at it.
    ///
    /// # Errors
    /// Something of what is to be sent is not there.
    pub(super) fn part(&self, carrier: Carrier) -> Result<Part, Failure> {
        match self {
            Self::Get(reception) => Ok(reception.part(carrier, false, None)),
            Self::List => Ok(Part::Listing(Box::new(Receiving::listing()))),
            Self::PlanGet(reception) => Ok(reception.part(carrier, true, None)),
            Self::PlanSend(selection) => {
                Part::sending(Sending::planning(selection), selection).opened()
            }
            Self::Send(selection) => Part::sending(Sending::new(selection), selection).opened(),
        }
    }
}

impl Service {
    /// Whom it serves.
    pub(super) fn duty(&self) -> Duty {
        match self {
            Self::Receive(_) => Duty::Receive,
            Self::Share { .. } => Duty::Share,
        }
    }

    /// From where a listener sees how things end.
    pub(super) fn standpoint(&self) -> Standpoint {
        Standpoint { is_sender: self.duty() == Duty::Share, is_initiator: false }
    }

    /// The part in the transfer of `peer`, who has been admitted with that role. Nothing on a disk is looked at.
    pub(super) fn part(&self, initiator: Role, carrier: Carrier, peer: IpAddr) -> Part {
        let selection = match self {
            // A sender that only wants to know says so itself.
            Self::Receive(reception) => {
                return reception.part(carrier, false, Some(host_of(peer)));
            }
            Self::Share { selection, .. } => selection,
        };
        let sending = match initiator {
            Role::Lister => Sending::listing(selection),
            Role::Planner => Sending::planning(selection),
            Role::Receiver | Role::Sender => Sending::new(selection),
        };
        Part::sending(sending, selection)
    }

    /// How to choose the rate over UDP, where this side sends.
    pub(super) fn congestion(&self) -> CongestionChoice {
        match self {
            Self::Receive(_) => CongestionChoice::default(),
            Self::Share { congestion, .. } => *congestion,
        }
    }
}

impl Reception {
    fn part(&self, carrier: Carrier, is_plan: bool, origin: Option<IpAddr>) -> Part {
        let can_repeat = carrier == Carrier::Udp;
        let Budget { descriptors, memory, hashing } = self.budget.clone();
        let account = memory.account();
        let keeping = self.keeping.clone();
        let policy = SinkPolicy {
            keeping,
            can_repeat,
            descriptors,
            account: account.clone(),
            hashing,
            origin,
        };
        let receiving = match self.keeping.handover {
            Some(_) => Receiving::one_file(),
            None => Receiving::new(self.takes_hidden),
        };
        // Over TCP the kernel's buffers are what waits.
        let receiving = match carrier {
            Carrier::Udp => receiving.within(&account),
            Carrier::Tcp => receiving.remembering(&account),
        };
        let receiving = if is_plan { receiving.planning() } else { receiving };
        let sink = Sink::new(self.directory.clone(), policy, clock::random_u64());
        Part::Receiving(Box::new(receiving), Box::new(sink))
    }
}

impl Part {
    fn sending(sending: Sending, selection: &Selection) -> Self {
        Self::Sending(Box::new(sending), Box::new(Source::new(selection)))
    }

    /// The same once it is known that what was named is there.
    fn opened(self) -> Result<Self, Failure> {
        match self {
            Self::Sending(sending, mut source) => {
                source.open()?;
                Ok(Self::Sending(sending, source))
            }
            part => Ok(part),
        }
    }

    /// The session over our own transport, and what works for it.
    pub(super) fn session(self, connection: Connection) -> Staffed {
        match self {
            Self::Listing(receiving) => Staffed {
                session: Session::receiving(connection, *receiving),
                sink: None,
                source: None,
            },
            Self::Receiving(receiving, sink) => Staffed {
                session: Session::receiving(connection, *receiving),
                sink: Some(*sink),
                source: None,
            },
            Self::Sending(sending, source) => Staffed {
                session: Session::sending(connection, *sending),
                sink: None,
                source: Some(*source),
            },
        }
    }
}
