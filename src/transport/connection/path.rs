//! The peer's address changes: challenge, answer, move.

use super::{Connection, TakeData, controller};
use crate::base::ecn::Ecn;
use crate::base::time::{Duration, Instant};
use crate::transport::batch::{Batch, PACKET_OVERHEAD};
use crate::transport::config::BASE_DATAGRAM;
use crate::transport::delivery::Delivery;
use crate::transport::mtu::MtuSearch;
use crate::transport::path::{Challenge, PathId};
use crate::transport::rtt::Rtt;
use crate::transport::timers::Timer;
use crate::wire::cursor::Reader;
use crate::wire::frame::{Frame, read_frame};
use crate::wire::header::{Header, PacketType, full_packet_number};

/// Bytes of a datagram with a challenge or an answer and nothing else.
const BARE: usize = PACKET_OVERHEAD + 9;

/// Challenges go at least this far apart, and at most.
const INTERVAL_MIN: Duration = Duration::from_millis(20);
const INTERVAL_MAX: Duration = Duration::from_millis(500);

/// An answer that is owed: what the challenge held, and how large its datagram was.
pub(super) type Answer = (Challenge, usize);

impl Connection {
    /// Where the peer is.
    #[must_use]
    pub fn path(&self) -> PathId {
        self.paths.active()
    }

    /// Where the peer may be, and is being challenged.
    #[must_use]
    pub fn candidate_path(&self) -> Option<PathId> {
        self.paths.candidate()
    }

    /// A CONTROL or DATA packet came by another path than the peer's. Initiators do not move with their
    /// responder (RFC 9000 9), and nobody moves before the handshake is over. A packet that is not newer
    /// than all before it was only late (RFC 9000 9.3).
    pub(super) fn on_packet_from_elsewhere(
        &mut self,
        now: Instant,
        path: PathId,
        packet: (Header, Ecn, &[u8]),
        take: &mut TakeData<'_>,
    ) {
        let (header, ecn, contents) = packet;
        let number = full_packet_number(self.acks.expected(), header.packet_number);
        let may_move = self.welcome.is_some() && self.is_established() && self.is_validated;
        if !may_move || number < self.acks.expected() {
            return;
        }
        let is_answer = header.kind == PacketType::Control
            && responses(contents).any(|response| self.paths.is_answer(path, response));
        if is_answer {
            self.move_to_candidate(now);
            self.on_packet(now, (header, ecn, contents), take);
        } else {
            self.paths.on_packet(now, path, number, contents.len() + PACKET_OVERHEAD);
        }
        self.timers.set(Timer::Path, self.paths.deadline(now));
    }

    /// RFC 9000 9.4: behind a new port is the same path; with another host all begins anew.
    fn move_to_candidate(&mut self, now: Instant) {
        if self.paths.move_to_candidate(now) {
            self.rtt = Rtt::default();
            self.delivery = Delivery::new(now);
            self.mtu = MtuSearch::new(self.config.max_datagram);
            self.set_peer(self.peer);
            self.congestion = controller(&self.config, self.mtu.current());
            self.test_marking();
        }
        self.pto_count = 0;
        self.refusals.reset();
        // What the peer missed meanwhile it hears again.
        self.ping_due = true;
        self.credit.repeat();
        self.acks.report_all();
    }

    pub(super) fn on_path_timer(&mut self, now: Instant) {
        self.paths.on_timeout(now);
        self.timers.set(Timer::Path, self.paths.deadline(now));
    }

    /// An answer to a challenge, or a challenge. Neither is acknowledged: the one is asked for again,
    /// and the other has an answer.
    pub(super) fn poll_path(&mut self, now: Instant, batch: &mut Batch) -> bool {
        if let Some((challenge, len)) = self.answer_due.take() {
            // As large as the question: it shows that the path carries that, and is no more than that.
            let size = len.min(BASE_DATAGRAM.into());
            self.put_path_frame(batch, &Frame::PathResponse(challenge), size);
            return true;
        }
        let interval = self.probe_timeout().clamp(INTERVAL_MIN, INTERVAL_MAX);
        let due = self.paths.next_challenge(now, interval, BARE);
        let Some((path, challenge, room)) = due else {
            return false;
        };
        batch.begin(path);
        // RFC 9000 8.2.1: full size, where the limit permits it.
        let size = if room >= BASE_DATAGRAM.into() { BASE_DATAGRAM.into() } else { BARE };
        self.put_path_frame(batch, &Frame::PathChallenge(challenge), size);
        self.paths.on_challenge_sent(batch.bytes().len());
        self.timers.set(Timer::Path, self.paths.deadline(now));
        true
    }

    fn put_path_frame(&mut self, batch: &mut Batch, frame: &Frame<'_>, size: usize) {
        let mut contents = Vec::new();
        frame.put(&mut contents);
        batch.set_packet(self.header(PacketType::Control, 0), &contents, size);
        self.sent.skip();
    }
}

/// What the answers to challenges in a CONTROL packet hold; malformed packets have none.
fn responses(contents: &[u8]) -> impl Iterator<Item = Challenge> {
    let mut reader = Reader::new(contents, "frame");
    let frames = std::iter::from_fn(move || read_frame(&mut reader).ok().flatten());
    frames.filter_map(|frame| match frame {
        Frame::PathResponse(response) => Some(response),
        _ => None,
    })
}
