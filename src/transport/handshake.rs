//! The responder's side before there is a connection: versions, address check, refusals.
//!
//! A quiet listener answers a HELLO at once and keeps state for it. One with many half-open
//! connections first sends a cookie, which costs it neither state nor more bytes than it received;
//! only an initiator that receives at its claimed address can return it (RFC 9000 8.1.2).

use crate::base::time::{Duration, Instant};
use crate::transport::config::{BASE_DATAGRAM, MAX_ACK_DELAY};
use crate::wire::cursor::put_short_string;
use crate::wire::handshake::{
    HELLO_LEN, Hello, NO_VERSION, Parameters, RefuseCode, Role, Strategy, Suite, VERSION,
    put_refuse, put_versions,
};
use crate::wire::header::{ConnectionId, HEADER_LEN, Header, PacketType};
use crate::wire::protection::{self, CRC_LEN};

/// More half-open connections than this, and a cookie is asked for.
pub const HALF_OPEN_QUIET: usize = 64;

/// A cookie is good for the span in which it was made and the next one.
const COOKIE_SPAN: Duration = Duration::from_secs(15);

const COOKIE_LEN: usize = 16;

/// How busy the listener is.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Connections whose initiator has not proven its address.
    pub half_open: usize,
    /// There is no room for another one from there, unless somebody makes some.
    pub is_full: bool,
}

/// What a responder does for whoever comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    /// It receives files.
    Receive,
    /// It sends files.
    Share,
}

impl Duty {
    /// Whether it serves an initiator with that role.
    ///
    /// # Errors
    /// It does not; a sentence for that initiator's user.
    pub fn admit(self, initiator: Role) -> Result<(), &'static str> {
        match (self, initiator) {
            (Self::Receive, Role::Sender)
            | (Self::Share, Role::Lister | Role::Planner | Role::Receiver) => Ok(()),
            (Self::Receive, Role::Lister | Role::Planner | Role::Receiver) => {
                Err("`volley recv` runs there, which receives files; use `volley send`")
            }
            (Self::Share, Role::Sender) => {
                Err("`volley share` runs there, which offers files; use `volley get`")
            }
        }
    }
}

/// What to do about a HELLO.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Open a connection, if there is a place for one whose address `is_proven`.
    Accept {
        /// What is asked for.
        hello: Hello,
        /// It came with a cookie.
        is_proven: bool,
    },
    /// Nothing.
    Ignore,
    /// Send this datagram back.
    Reply(Vec<u8>),
}

/// What one hears whose HELLO is not understood.
pub const NOT_UNDERSTOOD: &str = "its greeting asks for what this version of volley does not know (a suite, a role), or cannot be read; \
     install the same version on both";

/// VERSIONS, REFUSE and GONE in one second, at most: a flood in somebody else's name is not
/// passed on.
pub const DECLINES_MAX: u32 = 100;

/// Judges HELLOs that belong to no connection yet.
#[derive(Clone, Debug)]
pub struct Acceptor {
    duty: Duty,
    secret: [u8; 32],
    /// The second in which VERSIONS and REFUSE are counted, and their number so far.
    declines: (u64, u32),
}

impl Acceptor {
    /// An acceptor for a responder with that duty, whose cookies are keyed with `secret`, which nobody
    /// else knows.
    #[must_use]
    pub fn new(duty: Duty, secret: [u8; 32]) -> Self {
        Self { duty, secret, declines: (0, 0) }
    }

    /// Judges a HELLO from `peer` (its address, in any fixed form).
    #[must_use]
    pub fn on_hello(&mut self, now: Instant, peer: &[u8], datagram: &[u8], load: Load) -> Answer {
        let Some(body) = open_hello(datagram) else {
            return Answer::Ignore;
        };
        let Ok((id, versions)) = Hello::read_invariant(body) else {
            return Answer::Ignore;
        };
        if !versions.contains(&VERSION) {
            let put = |out: &mut Vec<u8>| put_versions(out, &[VERSION]);
            return self.decline(now, reply(PacketType::Versions, id, put));
        }
        let Ok(hello) = Hello::read(body) else {
            let answer = refuse(id, RefuseCode::Unsupported, NOT_UNDERSTOOD);
            return self.decline(now, answer);
        };
        if let Err(reason) = self.duty.admit(hello.role) {
            return self.decline(now, refuse(id, RefuseCode::Unsupported, reason));
        }
        let is_proven = self.knows(now, peer, &hello);
        if is_proven || (load.half_open < HALF_OPEN_QUIET && !load.is_full) {
            return Answer::Accept { hello, is_proven };
        }
        self.retry(now, peer, id)
    }

    /// The answer to the initiator of `hello`, which was accepted, where there is no place for him: for
    /// `reason`, or none so far.
    #[must_use]
    pub fn hold_off(
        &mut self,
        now: Instant,
        peer: &[u8],
        hello: &Hello,
        reason: Option<&str>,
    ) -> Answer {
        let id = hello.connection_id;
        match reason {
            Some(reason) => self.decline(now, refuse(id, RefuseCode::Busy, reason)),
            // He knows then that somebody is there, and asks on.
            None => self.retry(now, peer, id),
        }
    }

    /// Judges a packet with that header, whole and for no connection that is known here: its sender may hold one
    /// to a program that was here before.
    #[must_use]
    pub fn on_stray(&mut self, now: Instant, header: &Header) -> Answer {
        // No answer is ever answered, so that two hosts cannot keep each other busy.
        if !matches!(header.kind, PacketType::Control | PacketType::Data) {
            return Answer::Ignore;
        }
        self.decline(now, gone(header))
    }

    fn retry(&self, now: Instant, peer: &[u8], id: ConnectionId) -> Answer {
        let cookie = self.cookie(span_number(now), peer, id);
        reply(PacketType::Retry, id, |out| put_short_string(out, &cookie))
    }

    /// Passes `answer` on, as long as there were few in this second.
    fn decline(&mut self, now: Instant, answer: Answer) -> Answer {
        let second = now.as_nanos() / 1_000_000_000;
        if self.declines.0 != second {
            self.declines = (second, 0);
        }
        self.declines.1 += 1;
        if self.declines.1 > DECLINES_MAX { Answer::Ignore } else { answer }
    }

    fn knows(&self, now: Instant, peer: &[u8], hello: &Hello) -> bool {
        let span = span_number(now);
        [Some(span), span.checked_sub(1)].into_iter().flatten().any(|span| {
            // A comparison of hashes tells nothing about where they differ.
            let expected = self.cookie(span, peer, hello.connection_id);
            blake3::hash(&expected) == blake3::hash(&hello.cookie)
        })
    }

    fn cookie(&self, span: u64, peer: &[u8], id: ConnectionId) -> [u8; COOKIE_LEN] {
        let mut hasher = blake3::Hasher::new_keyed(&self.secret);
        hasher.update(&span.to_be_bytes()).update(&id.0.to_be_bytes()).update(peer);
        let mut cookie = [0; COOKIE_LEN];
        hasher.finalize_xof().fill(&mut cookie);
        cookie
    }
}

/// A HELLO that asks for no connection, only whether a responder is there: it lists no version that
/// anybody speaks, so that every responder answers it with VERSIONS and keeps no state for it.
#[must_use]
pub fn question(id: ConnectionId) -> Vec<u8> {
    let hello = Hello {
        connection_id: id,
        versions: vec![NO_VERSION],
        suite: Suite::Open,
        role: Role::Sender,
        parameters: Parameters {
            max_datagram: BASE_DATAGRAM,
            max_ack_delay: MAX_ACK_DELAY,
            socket_buffer: 0,
            strategy: Strategy::Volley,
            max_rate: None,
        },
        cookie: Vec::new(),
    };
    let mut packet = vec![0; HEADER_LEN];
    let header = Header {
        kind: PacketType::Hello,
        connection_id: ConnectionId::NONE,
        packet_number: 0,
        offset: 0,
    };
    header.write(&mut packet);
    hello.put(&mut packet);
    packet.resize(HELLO_LEN, 0);
    protection::seal(&mut packet);
    packet
}

/// Whether `datagram` is a responder's answer to the [`question`] with that id.
#[must_use]
pub fn is_answer(datagram: &[u8], id: ConnectionId) -> bool {
    let is_ours =
        |header: Header| header.kind == PacketType::Versions && header.connection_id == id;
    Header::read(datagram).is_ok_and(is_ours) && protection::open(datagram).is_some()
}

/// The connection that a GONE speaks of, by the id in the packet that it answers.
#[must_use]
pub fn read_gone(datagram: &[u8]) -> Option<ConnectionId> {
    let header = Header::read(datagram).ok().filter(|header| header.kind == PacketType::Gone)?;
    protection::open(datagram).map(|_| header.connection_id)
}

/// No longer than the shortest packet.
fn gone(header: &Header) -> Answer {
    let mut packet = vec![0; HEADER_LEN];
    Header { kind: PacketType::Gone, offset: 0, ..*header }.write(&mut packet);
    packet.resize(HEADER_LEN + CRC_LEN, 0);
    protection::seal(&mut packet);
    Answer::Reply(packet)
}

/// What the initiator of a HELLO calls the connection.
#[must_use]
pub fn initiators_id(datagram: &[u8]) -> Option<ConnectionId> {
    Hello::read_invariant(open_hello(datagram)?).ok().map(|(id, _)| id)
}

/// The body of a HELLO that is as long as it must be; anything shorter could be made to answer with
/// more than it cost.
fn open_hello(datagram: &[u8]) -> Option<&[u8]> {
    let header = Header::read(datagram).ok()?;
    let is_hello = header.kind == PacketType::Hello && datagram.len() >= HELLO_LEN;
    if is_hello { protection::open(datagram) } else { None }
}

fn span_number(now: Instant) -> u64 {
    now.as_nanos() / crate::base::time::nanos(COOKIE_SPAN)
}

fn refuse(id: ConnectionId, code: RefuseCode, reason: &str) -> Answer {
    reply(PacketType::Refuse, id, |out| put_refuse(out, code, reason))
}

fn reply(kind: PacketType, id: ConnectionId, body: impl FnOnce(&mut Vec<u8>)) -> Answer {
    let mut packet = vec![0; HEADER_LEN];
    Header { kind, connection_id: id, packet_number: 0, offset: 0 }.write(&mut packet);
    body(&mut packet);
    packet.resize(packet.len() + CRC_LEN, 0);
    protection::seal(&mut packet);
    Answer::Reply(packet)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::cursor::Reader;
    use crate::wire::handshake::{
        COOKIE_MAX, Parameters, Strategy, Suite, read_refuse, read_versions,
    };

    const QUIET: Load = Load { half_open: 0, is_full: false };
    const BUSY: Load = Load { half_open: HALF_OPEN_QUIET, is_full: false };
    const FULL: Load = Load { half_open: 0, is_full: true };

    fn hello(versions: &[u16], cookie: &[u8]) -> Vec<u8> {
        let hello = Hello {
            connection_id: ConnectionId(7),
            versions: versions.to_vec(),
            suite: Suite::Open,
            role: Role::Sender,
            parameters: Parameters {
                max_datagram: 1200,
                max_ack_delay: Duration::ZERO,
                socket_buffer: 0,
                strategy: Strategy::Volley,
                max_rate: None,
            },
            cookie: cookie.to_vec(),
        };
        let mut packet = vec![0; HEADER_LEN];
        let header = Header {
            kind: PacketType::Hello,
            connection_id: ConnectionId::NONE,
            packet_number: 0,
            offset: 0,
        };
        header.write(&mut packet);
        hello.put(&mut packet);
        packet.resize(HELLO_LEN, 0);
        protection::seal(&mut packet);
        packet
    }

    fn judge(now_s: u64, peer: &[u8], datagram: &[u8], load: Load) -> Answer {
        let now = Instant::from_nanos(now_s * 1_000_000_000);
        Acceptor::new(Duty::Receive, [3; 32]).on_hello(now, peer, datagram, load)
    }

    fn replied(answer: &Answer, kind: PacketType) -> Vec<u8> {
        let Answer::Reply(packet) = answer else { panic!("expected {kind:?}, got {answer:?}") };
        let header = Header::read(packet).expect("well-formed");
        assert_eq!((header.kind, header.connection_id), (kind, ConnectionId(7)));
        assert!(packet.len() <= HELLO_LEN, "no amplification");
        protection::open(packet).expect("sealed").to_vec()
    }

    fn cookie_of(answer: &Answer) -> Vec<u8> {
        let body = replied(answer, PacketType::Retry);
        Reader::new(&body, "RETRY").short_string(COOKIE_MAX).expect("a cookie").to_vec()
    }

    #[test]
    fn a_quiet_listener_accepts_at_once() {
        assert!(matches!(judge(0, b"a", &hello(&[VERSION], &[]), QUIET), Answer::Accept { .. }));
    }

    #[test]
    fn a_busy_listener_wants_a_cookie_that_only_its_address_can_return() {
        let cookie = cookie_of(&judge(100, b"a", &hello(&[VERSION], &[]), BUSY));
        let again = hello(&[VERSION], &cookie);
        assert!(matches!(judge(101, b"a", &again, BUSY), Answer::Accept { .. }));
        assert!(matches!(judge(115, b"a", &again, BUSY), Answer::Accept { .. }));
        assert!(matches!(judge(101, b"b", &again, BUSY), Answer::Reply(_)), "another address");
        assert!(matches!(judge(140, b"a", &again, BUSY), Answer::Reply(_)), "too old");
    }

    #[test]
    fn a_full_listener_says_so_to_who_proved_its_address() {
        let cookie = cookie_of(&judge(0, b"a", &hello(&[VERSION], &[]), FULL));
        let mut acceptor = Acceptor::new(Duty::Receive, [3; 32]);
        let asked = hello(&[VERSION], &cookie);
        let answer = acceptor.on_hello(Instant::ZERO, b"a", &asked, FULL);
        let Answer::Accept { hello, is_proven: true } = answer else { panic!("{answer:?}") };
        let wait = acceptor.hold_off(Instant::ZERO, b"a", &hello, None);
        assert_eq!(cookie_of(&wait), cookie);
        let answer = acceptor.hold_off(Instant::ZERO, b"a", &hello, Some("full"));
        let refusal = read_refuse(&replied(&answer, PacketType::Refuse)).expect("a refusal");
        assert_eq!(refusal, (RefuseCode::Busy, "full".to_owned()));
    }

    #[test]
    fn a_responder_refuses_the_roles_that_it_does_not_serve() {
        let roles = [Role::Sender, Role::Receiver, Role::Lister, Role::Planner];
        for (duty, served) in
            [(Duty::Receive, [true, false, false, false]), (Duty::Share, [false, true, true, true])]
        {
            for (role, is_served) in roles.into_iter().zip(served) {
                let mut packet = hello(&[VERSION], &[]);
                let body = protection::open(&packet).expect("sealed");
                let asked = Hello { role, ..Hello::read(body).expect("a HELLO") };
                packet.truncate(HEADER_LEN);
                asked.put(&mut packet);
                packet.resize(HELLO_LEN, 0);
                protection::seal(&mut packet);
                let mut acceptor = Acceptor::new(duty, [3; 32]);
                match acceptor.on_hello(Instant::ZERO, b"a", &packet, QUIET) {
                    Answer::Accept { hello, .. } => assert!(is_served && hello == asked),
                    answer => {
                        assert!(!is_served, "{duty:?} {role:?}");
                        let refused = replied(&answer, PacketType::Refuse);
                        let (code, reason) = read_refuse(&refused).expect("a refusal");
                        assert_eq!(code, RefuseCode::Unsupported);
                        assert!(reason.contains("volley"), "{reason}");
                    }
                }
            }
        }
    }

    #[test]
    fn unknown_versions_are_answered_with_ours() {
        let answer = judge(0, b"a", &hello(&[99, 98], &[]), QUIET);
        let body = replied(&answer, PacketType::Versions);
        assert_eq!(read_versions(&mut Reader::new(&body, "VERSIONS")), Ok(vec![VERSION]));
    }

    #[test]
    fn a_question_is_answered_whoever_asks_and_costs_no_state() {
        for load in [QUIET, BUSY, FULL] {
            let Answer::Reply(answer) = judge(0, b"a", &question(ConnectionId(7)), load) else {
                panic!("a reply is no state");
            };
            assert!(is_answer(&answer, ConnectionId(7)));
            assert!(!is_answer(&answer, ConnectionId(8)));
            assert!(!is_answer(&answer[1..], ConnectionId(7)));
        }
        let other = judge(0, b"a", &hello(&[VERSION], &[]), BUSY);
        let Answer::Reply(retry) = other else { panic!("busy") };
        assert!(!is_answer(&retry, ConnectionId(7)));
    }

    #[test]
    fn refusals_are_few_in_a_second_whatever_is_asked() {
        let mut acceptor = Acceptor::new(Duty::Receive, [3; 32]);
        let unknown = hello(&[99], &[]);
        let asked = hello(&[VERSION], &[]);
        let busy = Hello::read(open_hello(&asked).expect("sealed")).expect("a HELLO");
        for second in 0..3u64 {
            let mut replies = 0;
            for millisecond in 0..1_000 {
                let now = Instant::from_nanos((second * 1_000 + millisecond) * 1_000_000);
                let answer = acceptor.on_hello(now, b"a", &unknown, FULL);
                replies += u32::from(matches!(answer, Answer::Reply(_)));
                let answer = acceptor.hold_off(now, b"a", &busy, Some("full"));
                replies += u32::from(matches!(answer, Answer::Reply(_)));
                // Whom it does not know yet it still asks for a cookie.
                let stranger = acceptor.on_hello(now, b"a", &hello(&[VERSION], &[]), FULL);
                replied(&stranger, PacketType::Retry);
            }
            assert_eq!(replies, DECLINES_MAX);
        }
    }

    /// As many addresses as a flood can make up, and each gets less than it sent.
    #[test]
    fn a_hundred_thousand_strangers_leave_nothing_behind() {
        let mut acceptor = Acceptor::new(Duty::Receive, [3; 32]);
        let before = format!("{acceptor:?}");
        let asked = hello(&[VERSION], &[]);
        for stranger in 0..100_000u32 {
            let peer = stranger.to_be_bytes();
            let answer = acceptor.on_hello(Instant::ZERO, &peer, &asked, BUSY);
            let Answer::Reply(retry) = answer else { panic!("{answer:?}") };
            assert!(retry.len() * 10 < asked.len());
        }
        assert_eq!(format!("{acceptor:?}"), before);
    }

    #[test]
    fn a_cookie_that_was_changed_or_is_of_an_earlier_run_is_worth_nothing() {
        let cookie = cookie_of(&judge(100, b"a", &hello(&[VERSION], &[]), BUSY));
        for bit in 0..cookie.len() * 8 {
            let mut changed = cookie.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let answer = judge(101, b"a", &hello(&[VERSION], &changed), BUSY);
            replied(&answer, PacketType::Retry);
        }
        for changed in [&cookie[1..], &[cookie.as_slice(), &[0]].concat(), &[]] {
            replied(&judge(101, b"a", &hello(&[VERSION], changed), BUSY), PacketType::Retry);
        }
        let mut another_run = Acceptor::new(Duty::Receive, [4; 32]);
        let (now, again) = (Instant::from_nanos(101_000_000_000), hello(&[VERSION], &cookie));
        replied(&another_run.on_hello(now, b"a", &again, BUSY), PacketType::Retry);
        // For another connection of the same host, too.
        let mut body = again[HEADER_LEN..].to_vec();
        body[..4].copy_from_slice(&8u32.to_be_bytes());
        let mut other = [&again[..HEADER_LEN], &body].concat();
        protection::seal(&mut other);
        assert!(matches!(judge(101, b"a", &other, BUSY), Answer::Reply(_)));
    }

    /// Two listeners that are made to talk to each other fall silent at once.
    #[test]
    fn no_answer_of_a_listener_is_answered() {
        let asked = hello(&[VERSION], &[]);
        let read = Hello::read(open_hello(&asked).expect("sealed")).expect("a HELLO");
        let mut acceptor = Acceptor::new(Duty::Receive, [3; 32]);
        let data = Header {
            kind: PacketType::Data,
            connection_id: ConnectionId(9),
            packet_number: 5,
            offset: 0,
        };
        let answers = [
            judge(0, b"a", &asked, BUSY),
            judge(0, b"a", &hello(&[99], &[]), QUIET),
            acceptor.hold_off(Instant::ZERO, b"a", &read, Some("full")),
            acceptor.on_stray(Instant::ZERO, &data),
        ];
        for answer in answers {
            let Answer::Reply(mut packet) = answer else { panic!("{answer:?}") };
            let kind = Header::read(&packet).expect("well-formed").kind;
            for load in [QUIET, BUSY, FULL] {
                assert_eq!(judge(0, b"b", &packet, load), Answer::Ignore, "{kind:?}");
            }
            // Nor is one that somebody has made as long as a HELLO.
            packet.resize(HELLO_LEN, 0);
            protection::seal(&mut packet);
            assert_eq!(judge(0, b"b", &packet, QUIET), Answer::Ignore, "{kind:?}");
        }
    }

    #[test]
    fn packets_of_unknown_connections_are_answered_briefly_and_answers_never() {
        let mut acceptor = Acceptor::new(Duty::Receive, [3; 32]);
        let stray =
            |kind| Header { kind, connection_id: ConnectionId(9), packet_number: 5, offset: 0 };
        for kind in [PacketType::Control, PacketType::Data] {
            let Answer::Reply(answer) = acceptor.on_stray(Instant::ZERO, &stray(kind)) else {
                panic!("{kind:?}");
            };
            assert_eq!(answer.len(), HEADER_LEN + CRC_LEN, "no packet is shorter");
            assert_eq!(read_gone(&answer), Some(ConnectionId(9)));
            let header = Header::read(&answer).expect("its own");
            assert_eq!(acceptor.on_stray(Instant::ZERO, &header), Answer::Ignore);
            let mut damaged = answer;
            damaged[3] ^= 1;
            assert_eq!(read_gone(&damaged), None);
        }
        let answers = (0..1_000).filter(|_| {
            acceptor.on_stray(Instant::ZERO, &stray(PacketType::Data)) != Answer::Ignore
        });
        assert_eq!(
            answers.count(),
            usize::try_from(DECLINES_MAX).expect("small") - 2,
            "as few as refusals, with them"
        );
    }

    #[test]
    fn short_or_damaged_hellos_get_nothing() {
        let good = hello(&[VERSION], &[]);
        let mut damaged = good.clone();
        damaged[30] ^= 1;
        assert_eq!(judge(0, b"a", &good[..HELLO_LEN - 1], QUIET), Answer::Ignore);
        assert_eq!(judge(0, b"a", &damaged, QUIET), Answer::Ignore);
        assert_eq!(judge(0, b"a", &[], QUIET), Answer::Ignore);
    }
}
