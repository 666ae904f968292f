//! The connection: routes packets, frames and timers to the parts. Glue only.

mod answers;
mod arq;
mod close;
mod deadlines;
mod losses;
mod marks;
mod path;
mod receive;
mod refused;
#[cfg(test)]
mod tests;
mod trains;
mod transmit;
mod watch;
mod work;

use self::answers::Answers;
use self::arq::Frames;
use self::close::Closing;
use self::path::Answer;
use self::receive::TakeData;
use self::work::Work;
use super::ack_tracker::AckTracker;
use super::config::{
    Config, HANDSHAKE_TIMEOUT, IDLE_TIMEOUT, INITIAL_WINDOW_PACKETS, KEEP_ALIVE, MAX_ACK_DELAY,
};
use super::congestion::{self, Congestion};
use super::control_stream::{ControlReceiver, ControlSender};
use super::delivery::Delivery;
use super::ecn::Marking;
use super::error::End;
use super::flow::CreditGrant;
use super::limits::LimitClock;
use super::loss::LossDetector;
use super::mtu::MtuSearch;
use super::pacer::Pacer;
use super::path::Paths;
use super::rate_limit::RateLimit;
use super::recv_space::RecvSpace;
use super::refusal::Refusals;
use super::rtt::Rtt;
use super::send_space::SendSpace;
use super::sent_packets::SentPackets;
use super::skipped::Skipped;
use super::stats::Stats;
use super::tail::Tail;
use super::timers::{Timer, Timers};
use super::trace::Trace;
use crate::base::time::Instant;
use crate::wire::cursor::Malformed;
use crate::wire::handshake::{Hello, Parameters, Role, Strategy, Suite, VERSION, Welcome};
use crate::wire::header::ConnectionId;
use std::collections::VecDeque;
use std::ops::Range;

pub use self::watch::Held;

/// What the owner learns from a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The peer has answered; control bytes and data can go.
    Connected,
    /// There are control bytes to read.
    ControlReceived,
    /// It is over. The last event.
    Ended(End),
    /// The peer broke the protocol: nothing more that it says counts, and the connection is being closed.
    Violated(Malformed),
}

#[derive(Clone, Debug)]
enum State {
    /// The initiator waits for a WELCOME.
    Connecting(Hello),
    Established,
    /// Copies of CLOSE go out, in case the first ones are lost.
    Closing(Closing),
    Ended,
}

/// One reliable connection, seen from one side.
#[derive(Debug)]
pub struct Connection {
    config: Config,
    state: State,
    peer_id: ConnectionId,
    peer: Parameters,
    /// When each HELLO went.
    hellos: Vec<Instant>,
    /// The responder's WELCOME, and whether the initiator has yet to receive one of its copies.
    welcome: Option<Welcome>,
    /// The number of the HELLO that is owed a WELCOME.
    welcome_due: Option<u32>,
    /// The peer receives at its address.
    is_validated: bool,
    refusals: Refusals,
    answers: Answers,
    paths: Paths,
    answer_due: Option<Answer>,

    rtt: Rtt,
    sent: SentPackets,
    skipped: Skipped,
    /// Bytes of packets in trains that have not departed.
    reserved: u64,
    loss: LossDetector,
    marking: Marking,
    delivery: Delivery,
    congestion: Box<dyn Congestion>,
    pacer: Pacer,
    /// The lesser of what both sides' users allow.
    limit: Option<RateLimit>,
    mtu: MtuSearch,
    pto_count: u32,
    /// Packets that may go whatever the window says (RFC 9002 6.2.4).
    probes: u8,
    /// The window had room left when there was nothing more to send.
    is_app_limited: bool,
    limits: LimitClock,
    last_eliciting: Instant,

    acks: AckTracker,
    control_out: ControlSender,
    control_in: ControlReceiver,
    space_out: SendSpace,
    tail: Tail,
    space_in: RecvSpace,
    credit: CreditGrant,
    takes_data: bool,
    have_due: bool,
    is_have_in_flight: bool,
    ping_due: bool,
    work: Work,

    timers: Timers,
    events: VecDeque<Event>,
    stats: Stats,
    trace: Trace,
    /// A classic strategy, where one was asked for.
    frames: Option<Frames>,
}

impl Connection {
    /// Opens a connection: the first thing it transmits is a HELLO. `local_id` is random.
    #[must_use]
    pub fn initiate(now: Instant, config: Config, local_id: ConnectionId, role: Role) -> Self {
        let hello = Hello {
            connection_id: local_id,
            versions: vec![VERSION],
            suite: Suite::Open,
            role,
            parameters: parameters(&config),
            cookie: Vec::new(),
        };
        let takes_data = role == Role::Receiver;
        let mut connection = Self::new(now, config, State::Connecting(hello), takes_data);
        connection.timers.set(Timer::Hello, Some(now));
        connection.timers.set(Timer::Idle, Some(now + HANDSHAKE_TIMEOUT));
        connection
    }

    /// Answers a HELLO that the [`super::handshake::Acceptor`] let pass; `number` is its packet
    /// number. `local_id` is random and not in use.
    #[must_use]
    pub fn respond(
        now: Instant,
        config: Config,
        local_id: ConnectionId,
        hello: &Hello,
        number: u32,
    ) -> Self {
        let takes_data = hello.role == Role::Sender;
        let mut connection = Self::new(now, config, State::Established, takes_data);
        connection.peer_id = hello.connection_id;
        connection.set_peer(hello.parameters);
        connection.set_limit(now);
        connection.is_validated = false;
        connection.welcome_due = Some(number);
        connection.welcome = Some(Welcome {
            connection_id: local_id,
            version: VERSION,
            parameters: Parameters { strategy: hello.parameters.strategy, ..parameters(&config) },
        });
        connection.timers.set(Timer::Idle, Some(now + HANDSHAKE_TIMEOUT));
        connection
    }

    fn new(now: Instant, config: Config, state: State, takes_data: bool) -> Self {
        let mtu = MtuSearch::new(config.max_datagram);
        let datagram = mtu.current();
        let congestion = controller(&config, datagram);
        let burst = INITIAL_WINDOW_PACKETS * u64::from(datagram);
        let mut connection = Self {
            state,
            peer_id: ConnectionId::NONE,
            peer: parameters(&config),
            hellos: Vec::new(),
            welcome: None,
            welcome_due: None,
            is_validated: true,
            refusals: Refusals::default(),
            answers: Answers::default(),
            paths: Paths::new(config.path, config.secret),
            answer_due: None,
            rtt: Rtt::default(),
            sent: SentPackets::default(),
            skipped: Skipped::new(config.secret),
            reserved: 0,
            loss: LossDetector::default(),
            marking: Marking::default(),
            delivery: Delivery::new(now),
            congestion,
            pacer: Pacer::new(now, burst),
            limit: None,
            mtu,
            pto_count: 0,
            probes: 0,
            is_app_limited: false,
            limits: LimitClock::default(),
            last_eliciting: now,
            acks: AckTracker::default(),
            control_out: ControlSender::default(),
            control_in: ControlReceiver::default(),
            space_out: SendSpace::default(),
            tail: Tail::default(),
            space_in: RecvSpace::default(),
            credit: CreditGrant::new(now),
            takes_data,
            have_due: false,
            is_have_in_flight: false,
            ping_due: false,
            work: Work::default(),
            timers: Timers::default(),
            events: VecDeque::new(),
            stats: Stats::default(),
            trace: Trace::new(config.trace),
            frames: Frames::new(&config.arq),
            config,
        };
        connection.test_marking();
        connection
    }

    /// The next thing the owner should know.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Appends to the ordered stream of control bytes.
    pub fn write_control(&mut self, bytes: &[u8]) {
        self.control_out.write(bytes);
    }

    /// Moves the control bytes that arrived to the end of `out`.
    pub fn read_control(&mut self, out: &mut Vec<u8>) {
        self.control_in.read(out);
    }

    /// Control bytes that the peer has not acknowledged.
    #[must_use]
    pub fn control_waiting(&self) -> usize {
        self.control_out.waiting()
    }

    /// Sender: bytes of the transfer space below `end` may go.
    pub fn release(&mut self, end: u64) {
        self.space_out.release(end);
    }

    /// Sender: those bytes need not go, or go again.
    pub fn cancel_outgoing(&mut self, range: &Range<u64>) {
        self.space_out.cancel(range);
    }

    /// Sender: bytes that were cancelled are wanted after all.
    pub fn restore_outgoing(&mut self, range: &Range<u64>) {
        self.space_out.restore(range);
    }

    /// Receiver: the transfer space ends here.
    pub fn set_total(&mut self, total: u64) {
        self.space_in.set_total(total);
    }

    /// Receiver: the sink has written `written` bytes in all.
    pub fn on_written(&mut self, now: Instant, written: u64) {
        self.space_in.set_written(written);
        self.credit.on_written(now, written, self.rtt.smoothed());
        self.raise_credit();
    }

    fn raise_credit(&mut self) {
        let allowed = self.credit.allowance().saturating_sub(self.space_in.unwritten());
        self.space_in.extend(allowed);
    }

    /// Receiver: those bytes did not survive; they must come again.
    pub fn reject(&mut self, range: &Range<u64>) {
        self.space_in.reject(range);
        self.have_due = true;
    }

    /// Receiver: nobody waits for those bytes any more.
    pub fn cancel_incoming(&mut self, range: Range<u64>) {
        self.space_in.cancel(range);
        self.raise_credit();
        self.have_due = true;
    }

    /// Receiver: whether nothing is missing.
    #[must_use]
    pub fn has_everything(&self) -> bool {
        !self.space_in.is_incomplete()
    }

    /// Whether this side opened it.
    #[must_use]
    pub fn is_initiator(&self) -> bool {
        self.welcome.is_none()
    }

    /// Whether the responder has not answered yet.
    #[must_use]
    pub fn is_connecting(&self) -> bool {
        matches!(self.state, State::Connecting(_))
    }

    /// Whether control bytes and data can go.
    #[must_use]
    pub fn is_established(&self) -> bool {
        matches!(self.state, State::Established)
    }

    /// Whether the connection is over.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        matches!(self.state, State::Ended)
    }

    /// Whether the peer has shown that it receives at its address.
    #[must_use]
    pub fn is_validated(&self) -> bool {
        self.is_validated
    }

    /// Time to wait for an answer to something before saying it again.
    #[must_use]
    pub fn probe_timeout(&self) -> crate::base::time::Duration {
        self.rtt.pto(self.peer.max_ack_delay)
    }

    /// A sender of volley's own way is the one that its controller holds back.
    fn trace_congestion(&mut self, now: Instant) {
        if self.frames.is_none() && !self.takes_data {
            self.trace.watch(now, &*self.congestion);
        }
    }

    fn set_peer(&mut self, peer: Parameters) {
        self.peer = peer;
        if peer.strategy == Strategy::Volley {
            self.mtu.limit(peer.max_datagram);
        } else {
            // Frames are of one size, and each is acknowledged.
            self.mtu.limit(self.mtu.current());
            self.acks.acknowledge_each();
        }
    }

    /// Whoever has the files keeps to what either side's user allows.
    fn set_limit(&mut self, now: Instant) {
        let allowed = [self.config.max_rate, self.peer.max_rate].into_iter().flatten().min();
        self.limit = allowed.filter(|_| !self.takes_data).map(|rate| RateLimit::new(now, rate));
    }

    fn on_valid_packet(&mut self, now: Instant) {
        self.refusals.reset();
        self.timers.set(Timer::Idle, Some(now + IDLE_TIMEOUT));
        if self.timers.get(Timer::KeepAlive).is_none() {
            self.timers.set(Timer::KeepAlive, Some(now + KEEP_ALIVE));
        }
    }
}

fn controller(config: &Config, datagram: u16) -> Box<dyn Congestion> {
    let seed = blake3::keyed_hash(&config.secret, b"congestion");
    congestion::new(config.congestion, datagram, *seed.as_bytes())
}

fn parameters(config: &Config) -> Parameters {
    Parameters {
        max_datagram: config.max_datagram,
        max_ack_delay: MAX_ACK_DELAY,
        socket_buffer: config.socket_buffer,
        strategy: config.arq.strategy,
        max_rate: config.max_rate,
    }
}
