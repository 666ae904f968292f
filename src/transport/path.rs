//! Where the peer is, and whether it really is where it seems to have moved to (RFC 9000 8.2, 9).
//!
//! A packet of the connection from a new address proves nothing: in open mode anybody who has seen one
//! can send the next. So the new path is sent a challenge that nobody can guess, and only the answer
//! from there moves the connection. Until then the peer stays where it was, and nothing else that came
//! by the new path counts.

use super::config::{AMPLIFICATION_MAX, PATH_PATIENCE, PATH_REST};
use crate::base::time::{Duration, Instant};

/// Where a peer is, in its owner's terms; here it is only compared. Those with the same host differ in
/// the port alone, as after a NAT has forgotten one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct PathId {
    /// Stands for the peer's host.
    pub host: u128,
    /// Stands for its port there.
    pub port: u16,
}

/// What a challenge holds.
pub type Challenge = [u8; 8];

/// A path that is being challenged.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    path: PathId,
    challenge: Challenge,
    /// The largest packet number that came from there.
    newest: u64,
    /// Bytes that came from there, and that went there.
    received: u64,
    sent: u64,
    /// When the next challenge is due.
    next: Instant,
    /// When a path with newer packets may take its place, and when it is given up.
    yields: Instant,
    until: Instant,
}

/// The path in use, and at most one more.
#[derive(Clone, Debug)]
pub struct Paths {
    active: PathId,
    candidate: Option<Candidate>,
    secret: [u8; 32],
    /// Paths that were challenged so far.
    count: u64,
    /// Packets sent before this say nothing about the path in use.
    since: Instant,
}

impl Paths {
    /// The peer is at `active`; challenges are made from `secret`.
    #[must_use]
    pub fn new(active: PathId, secret: [u8; 32]) -> Self {
        Self { active, candidate: None, secret, count: 0, since: Instant::ZERO }
    }

    /// Where the peer is.
    #[must_use]
    pub fn active(&self) -> PathId {
        self.active
    }

    /// Where it may be.
    #[must_use]
    pub fn candidate(&self) -> Option<PathId> {
        self.candidate.map(|candidate| candidate.path)
    }

    /// Whether a packet sent then went by the path in use, or one that is as good.
    #[must_use]
    pub fn is_current(&self, sent_at: Instant) -> bool {
        sent_at >= self.since
    }

    /// A packet of the connection, newer than all that came by the path in use, of `len` bytes came by
    /// another path. One path is challenged at a time; a peer that has moved on meanwhile is followed
    /// after a rest.
    pub fn on_packet(&mut self, now: Instant, path: PathId, number: u64, len: usize) {
        let has_moved_on = |one: &Candidate| {
            one.path != path && number > one.newest && one.yields <= now || one.until <= now
        };
        if self.candidate.as_ref().is_none_or(has_moved_on) {
            self.candidate = Some(Candidate {
                path,
                challenge: self.draw(),
                newest: number,
                received: 0,
                sent: 0,
                next: now,
                yields: now + PATH_REST,
                until: now + PATH_PATIENCE,
            });
        }
        if let Some(candidate) = self.candidate.as_mut().filter(|one| one.path == path) {
            candidate.received += len as u64;
            candidate.newest = candidate.newest.max(number);
        }
    }

    /// A challenge that nobody can guess who has not received it.
    fn draw(&mut self) -> Challenge {
        self.count += 1;
        let hash = blake3::keyed_hash(&self.secret, &self.count.to_le_bytes());
        *hash.as_bytes().first_chunk().expect("a hash is longer")
    }

    /// The challenge that is due, where it goes, and how large its datagram may be, if that is at least
    /// `least`; `interval` later the next one is.
    pub fn next_challenge(
        &mut self,
        now: Instant,
        interval: Duration,
        least: usize,
    ) -> Option<(PathId, Challenge, usize)> {
        let candidate = self.candidate.as_mut()?;
        let room = (candidate.received * AMPLIFICATION_MAX).saturating_sub(candidate.sent);
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        if candidate.next > now || candidate.until <= now || room < least {
            return None;
        }
        candidate.next = now + interval;
        Some((candidate.path, candidate.challenge, room))
    }

    /// A challenge went, in a datagram of `len` bytes.
    pub fn on_challenge_sent(&mut self, len: usize) {
        if let Some(candidate) = &mut self.candidate {
            candidate.sent += len as u64;
        }
    }

    /// When [`Paths::next_challenge`] or [`Paths::on_timeout`] has something to do.
    #[must_use]
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        let candidate = self.candidate?;
        Some(if candidate.next > now {
            candidate.next.min(candidate.until)
        } else {
            candidate.until
        })
    }

    /// Gives up what has not answered in time.
    pub fn on_timeout(&mut self, now: Instant) {
        self.candidate = self.candidate.filter(|candidate| candidate.until > now);
    }

    /// Whether that is the answer of the path that is being challenged.
    #[must_use]
    pub fn is_answer(&self, path: PathId, response: Challenge) -> bool {
        self.candidate.is_some_and(|one| one.path == path && one.challenge == response)
    }

    /// The peer is where it seemed to be; true if not just its port is new, so that nothing is known
    /// about the path (RFC 9000 9.4).
    pub fn move_to_candidate(&mut self, now: Instant) -> bool {
        let Some(candidate) = self.candidate.take() else {
            return false;
        };
        let is_elsewhere = candidate.path.host != self.active.host;
        self.active = candidate.path;
        if is_elsewhere {
            self.since = now;
        }
        is_elsewhere
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: PathId = PathId { host: 1, port: 1 };
    const PORT: PathId = PathId { host: 1, port: 2 };
    const AWAY: PathId = PathId { host: 2, port: 1 };
    const MS: Duration = Duration::from_millis(1);

    fn at(ms: u64) -> Instant {
        Instant::from_nanos(ms * 1_000_000)
    }

    fn paths() -> Paths {
        Paths::new(HOME, [7; 32])
    }

    #[test]
    fn only_the_right_answer_from_the_right_place_counts() {
        let mut paths = paths();
        paths.on_packet(at(0), PORT, 7, 1_000);
        let (path, challenge, _) = paths.next_challenge(at(0), MS, 29).expect("it is due");
        assert_eq!((path, paths.active()), (PORT, HOME));
        assert!(!paths.is_answer(AWAY, challenge) && !paths.is_answer(HOME, challenge));
        assert!(!paths.is_answer(PORT, [0; 8]) && paths.is_answer(PORT, challenge));
        assert!(!paths.move_to_candidate(at(5)), "only the port is new");
        assert_eq!((paths.active(), paths.candidate()), (PORT, None));
        assert!(!paths.is_answer(PORT, challenge), "it counts once");
        assert!(paths.is_current(at(0)));
    }

    #[test]
    fn another_host_is_another_path() {
        let mut paths = paths();
        paths.on_packet(at(0), AWAY, 7, 1_000);
        assert!(paths.move_to_candidate(at(5)));
        assert!(!paths.is_current(at(4)) && paths.is_current(at(5)));
    }

    #[test]
    fn a_path_that_has_not_answered_gets_three_times_what_came_from_there() {
        let mut paths = paths();
        paths.on_packet(at(0), PORT, 7, 30);
        let mut sent = 0;
        for ms in 0..2_000 {
            if let Some((_, _, room)) = paths.next_challenge(at(ms), MS, 29) {
                assert!(room >= 29);
                paths.on_challenge_sent(29);
                sent += 29;
            }
        }
        assert_eq!(sent, 87);
        paths.on_packet(at(2_000), PORT, 7, 30);
        assert!(paths.next_challenge(at(2_000), MS, 29).is_some());
    }

    #[test]
    fn one_path_is_challenged_at_a_time_and_not_for_ever() {
        let mut paths = paths();
        paths.on_packet(at(0), PORT, 7, 1_000);
        let (_, first, _) = paths.next_challenge(at(0), 10 * MS, 29).expect("it is due");
        paths.on_packet(at(1), AWAY, 8, 1_000);
        assert_eq!(paths.candidate(), Some(PORT));
        assert_eq!(paths.next_challenge(at(9), 10 * MS, 29), None);
        assert_eq!(paths.deadline(at(9)), Some(at(10)));
        let end = Instant::ZERO + PATH_PATIENCE;
        assert!(paths.next_challenge(at(10), 10_000 * MS, 29).is_some());
        assert_eq!(paths.deadline(at(10)), Some(end));
        paths.on_timeout(end);
        assert_eq!((paths.candidate(), paths.deadline(end)), (None, None));
        paths.on_packet(end, AWAY, 8, 1_000);
        let (path, second, _) = paths.next_challenge(end, MS, 29).expect("it is due");
        assert!(path == AWAY && second != first);
    }

    #[test]
    fn a_peer_that_moves_on_is_followed_after_a_rest() {
        let mut paths = paths();
        paths.on_packet(at(0), PORT, 7, 1_000);
        let rest = Instant::ZERO + PATH_REST;
        paths.on_packet(rest, AWAY, 6, 1_000);
        assert_eq!(paths.candidate(), Some(PORT), "it was there before");
        paths.on_packet(rest, AWAY, 8, 1_000);
        assert_eq!(paths.candidate(), Some(AWAY));
        paths.on_packet(rest, PORT, 9, 1_000);
        assert_eq!(paths.candidate(), Some(AWAY), "too soon");
    }
}
