//! Floor 4: the operating system's sockets around the floors below.
//!
//! [`udp`] is the socket, [`impair`] an imperfect link in front of it, [`engine`] the loop that owns
//! both and all sessions on them. [`dial`] opens one session, and [`call`] does what it takes to get there, [`listen`] serves many, and [`tcp`]
//! carries the same transfer over a kernel stream; [`part`] says which side of the files each is on. Each tells its owner what happens as [`Notice`]s.
//! [`relay`] is an imperfect link between programs that know nothing of it.

pub mod call;
pub mod dial;
pub mod engine;
pub mod impair;
pub mod listen;
pub mod part;
pub mod places;
pub mod probe;
pub mod refusal;
pub mod relay;
pub mod tcp;
pub mod udp;
pub mod worker;

use crate::base::time::{Duration, Instant};
use crate::link::{Cause, LinkConfig, LinkCounts};
use crate::transfer::entry::Entry;
use crate::transfer::outcome::{Failure, Reason, TransferReport};
use crate::transfer::session::Progress;
use crate::transport::trace::TraceEvent;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

/// The port volley listens on unless told otherwise.
pub const DEFAULT_PORT: u16 = 7117;

/// What carries a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// A kernel stream.
    Tcp,
    /// Our own transport.
    Udp,
}

/// An imperfect link in front of the socket, both ways.
#[derive(Clone, Debug)]
pub struct Impairment {
    /// What happens from this side to the other.
    pub out: LinkConfig,
    /// What happens from the other side to this one.
    pub back: LinkConfig,
    /// What both draw from.
    pub seed: u64,
}

/// What the impaired socket did to datagrams.
#[derive(Clone, Copy, Debug, Default)]
pub struct ImpairmentCounts {
    /// From this side to the other.
    pub out: LinkCounts,
    /// From the other side to this one.
    pub back: LinkCounts,
    /// Datagrams that came in damaged, whoever they were for: found and dropped.
    pub found_damaged: u64,
}

/// Something that happened to a packet, in the connection or on the impaired link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// In the connection.
    Connection(TraceEvent),
    /// The link lost a DATA packet.
    LostOnLink {
        /// The low 32 bits of its number.
        number: u32,
        /// What took it.
        cause: Cause,
    },
}

/// How a transfer ended, and what the impaired link did meanwhile.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub report: TransferReport,
    /// What carried it.
    pub carrier: Carrier,
    /// The other side.
    pub peer: SocketAddr,
    /// From the first packet to the outcome; of the last attempt, if there were several.
    pub elapsed: Duration,
    /// What earlier attempts took, and the time between attempts.
    pub retrying: Duration,
    /// What the impaired link did; nothing without one.
    pub impaired: Option<ImpairmentCounts>,
    /// The other side had answered, and then it was gone without a word: it may come back.
    pub is_peer_lost: bool,
}

impl Finished {
    /// Whether nobody was reached.
    fn is_unreachable(&self) -> bool {
        self.report.failure.as_ref().is_some_and(|failure| failure.reason == Reason::Unreachable)
    }

    /// Ends early for another reason than it was thought, and so does each file that this took along.
    fn fail(&mut self, failure: Failure) {
        let report = &mut self.report;
        let Some(old) = report.failure.replace(failure.clone()) else {
            return;
        };
        if report.counts.reasons.remove(&old.reason) {
            report.counts.reasons.insert(failure.reason);
        }
        let outcomes = report.files.iter_mut().filter_map(|file| file.outcome.as_mut().err());
        outcomes.filter(|outcome| **outcome == old).for_each(|outcome| *outcome = failure.clone());
    }
}

/// What the owner of a loop is told.
#[derive(Debug)]
pub enum Notice {
    /// A transfer is over.
    Ended {
        /// Which one.
        id: u64,
        /// How.
        finished: Box<Finished>,
    },
    /// UDP gets no answer and TCP does: the transfer goes on over TCP.
    FellBack {
        /// Which one.
        id: u64,
        /// The other side.
        peer: SocketAddr,
    },
    /// What is offered to one who came for the list: the next part of it.
    Listed {
        /// In which transfer.
        id: u64,
        /// What the other side says. Nobody has judged the paths.
        entries: Vec<Entry>,
    },
    /// The other side is lost, and will be tried again.
    Retrying {
        /// In which transfer.
        id: u64,
        /// Why it is lost, or not there yet.
        failure: Failure,
        /// When it will be tried.
        pause: Duration,
        /// For how long it will be tried.
        left: Duration,
    },
    /// How far a transfer is.
    Progress {
        /// Which one.
        id: u64,
        /// How far.
        progress: Box<Progress>,
    },
    /// What happened to packets, where that was asked for.
    Traced {
        /// In which transfer.
        id: u64,
        /// What, in order, with times of the loop's clock.
        events: Vec<(Instant, Seen)>,
        /// What that clock shows now.
        now: Instant,
    },
    /// A transfer began.
    Started {
        /// Numbers the transfers of one loop.
        id: u64,
        /// The other side.
        peer: SocketAddr,
        /// What carries it.
        carrier: Carrier,
    },
}

/// Takes notices, from any thread.
pub type Observer = Arc<dyn Fn(Notice) + Send + Sync>;

/// A request to end, which a signal handler sets and loops look at.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<Request>);

#[derive(Debug, Default)]
struct Request {
    signal: AtomicI32,
    /// One that whoever works for this process has been sent, too.
    for_all: AtomicI32,
    /// What ends with this one and with others.
    whole: Option<Interrupt>,
}

impl Interrupt {
    /// One for a part of the work: set with the whole, or by itself.
    #[must_use]
    pub fn of_part(&self) -> Self {
        Self(Arc::new(Request { whole: Some(self.clone()), ..Request::default() }))
    }

    /// Asks to end because of `signal`.
    pub fn set(&self, signal: i32) {
        self.0.signal.store(signal, Ordering::Release);
    }

    /// Asks to end because of `signal`, which need not be passed on.
    pub fn set_for_all(&self, signal: i32) {
        self.0.for_all.store(signal, Ordering::Relaxed);
        self.set(signal);
    }

    /// The signal that asked to end, if it has to be passed on to whoever works for this process.
    #[must_use]
    pub fn to_pass_on(&self) -> Option<i32> {
        self.get().filter(|signal| *signal != self.0.for_all.load(Ordering::Relaxed))
    }

    /// The signal that asked to end; for a part, that for the whole comes first.
    #[must_use]
    pub fn get(&self) -> Option<i32> {
        let whole = self.0.whole.as_ref().and_then(Self::get);
        whole.or_else(|| Some(self.0.signal.load(Ordering::Acquire)).filter(|signal| *signal != 0))
    }

    /// Why a transfer ends then.
    #[must_use]
    pub fn failure(&self) -> Option<Failure> {
        let (reason, text) = match self.get()? {
            DEADLINE => (Reason::Deadline, "the time of --timeout is up"),
            SIGHUP => (Reason::HungUp, "interrupted"),
            SIGTERM => (Reason::Terminated, "interrupted"),
            _ => (Reason::User, "interrupted"),
        };
        Some(Failure::new(reason, text))
    }
}

/// Why a transfer ends in which something panicked. The others go on.
fn internal_error() -> Failure {
    Failure::new(Reason::Other, "an internal error of volley ended this transfer; please report it")
}

/// In the place of a signal: the time that the user gave the command is up.
pub const DEADLINE: i32 = -1;

/// The signal by which a system tells a program that its terminal is gone.
pub const SIGHUP: i32 = 1;

/// The signal by which a system asks a program to end.
pub const SIGTERM: i32 = 15;
