//! Streams that were accepted and have not said yet what they want. They cost a descriptor and a few hundred
//! bytes each, no thread and no place, and none of them stays for long.

use super::CONNECT_TIMEOUT;
use super::record::{FIRST_RECORD_MAX, HEAD_LEN, Opening, Record, first_len};
use crate::base::time::Instant;
use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};

/// Streams that wait, at most; where there are more, one of the host that has most goes, the oldest first.
pub(super) const LOBBY_MAX: usize = 128;

/// A stream that waits.
#[derive(Debug)]
pub(super) struct Guest {
    pub(super) stream: TcpStream,
    pub(super) peer: SocketAddr,
    /// Whatever it says and how slowly: then it is shown out.
    deadline: Instant,
    heard: Vec<u8>,
    /// What it wants, once that is known.
    wish: Option<Opening>,
}

/// What the first record of a stream says.
enum First {
    /// Not all of it has come.
    Pending,
    /// What it wants.
    Wish(Opening),
    /// It is none of ours, or is gone.
    Stranger,
}

/// The waiting room.
#[derive(Debug, Default)]
pub(super) struct Lobby {
    /// The oldest first.
    guests: Vec<Guest>,
}

impl Lobby {
    /// Takes a stream in; hands out the one that has to go for it, if there are too many.
    ///
    /// # Errors
    /// The system refuses to make it one that does not block.
    pub(super) fn enter(
        &mut self,
        now: Instant,
        stream: TcpStream,
        peer: SocketAddr,
    ) -> io::Result<Option<Guest>> {
        stream.set_nonblocking(true)?;
        self.guests.push(Guest::new(now, stream, peer));
        Ok(if self.guests.len() > LOBBY_MAX { self.greediest() } else { None })
    }

    /// The oldest stream of the host that has most.
    pub(super) fn greediest(&mut self) -> Option<Guest> {
        let mut counts: HashMap<IpAddr, usize> = HashMap::new();
        for guest in &self.guests {
            *counts.entry(guest.peer.ip()).or_default() += 1;
        }
        let most = counts.values().max()?;
        let oldest = self.guests.iter().position(|guest| counts[&guest.peer.ip()] == *most)?;
        Some(self.guests.remove(oldest))
    }

    /// What to wait for: those that have not said all that they want.
    pub(super) fn sockets(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.guests.iter().filter(|guest| guest.wish.is_none()).map(|guest| guest.stream.as_fd())
    }

    /// Hears what there is to hear; strangers, and those who are gone, go without a word.
    pub(super) fn hear(&mut self) {
        self.guests.retain_mut(|guest| guest.wish.is_some() || guest.hear());
    }

    /// Those that have had their time.
    pub(super) fn take_late(&mut self, now: Instant) -> Vec<Guest> {
        self.guests.extract_if(.., |guest| guest.deadline <= now).collect()
    }

    /// Offers those that have said what they want to `take`, those whose hosts `order` puts first before
    /// others; who is not taken waits on.
    pub(super) fn call(
        &mut self,
        order: impl Fn(IpAddr) -> usize,
        mut take: impl FnMut(Guest, &Opening) -> Option<Guest>,
    ) {
        let is_ready = |guest: &mut Guest| guest.wish.is_some();
        let mut ready: Vec<Guest> = self.guests.extract_if(.., is_ready).collect();
        ready.sort_by_key(|guest| order(guest.peer.ip()));
        for mut guest in ready {
            let Some(wish) = guest.wish.take() else { continue };
            self.guests.extend(take(guest, &wish).map(|guest| Guest { wish: Some(wish), ..guest }));
        }
        self.guests.sort_by_key(|guest| guest.deadline);
    }

    /// Whether somebody has said what he wants.
    pub(super) fn has_ready(&self) -> bool {
        self.guests.iter().any(|guest| guest.wish.is_some())
    }

    /// When the next stream has had its time.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.guests.first().map(|guest| guest.deadline)
    }
}

impl Guest {
    /// One who has just come in on a stream that does not block.
    pub(super) fn new(now: Instant, stream: TcpStream, peer: SocketAddr) -> Self {
        let (deadline, heard) = (now + CONNECT_TIMEOUT, Vec::new());
        Self { stream, peer, deadline, heard, wish: None }
    }

    /// Whether it has said what it wants.
    pub(super) fn has_wish(&self) -> bool {
        self.wish.is_some()
    }

    /// Says why it has to go, as far as that does not keep anybody waiting.
    pub(super) fn turn_away(self, code: u16, reason: &str) {
        let mut bytes = Vec::new();
        Record::Close { code, reason: reason.as_bytes() }.write_to(&mut bytes);
        let _ = (&self.stream).write(&bytes);
        let _ = self.stream.shutdown(Shutdown::Write);
        // Closing over bytes that nobody has read would reset the stream before that word is heard.
        let _ = (&self.stream).read(&mut [0; FIRST_RECORD_MAX]);
    }

    /// False if it has nothing more to say to us.
    fn hear(&mut self) -> bool {
        match self.first() {
            First::Pending => true,
            First::Stranger => false,
            First::Wish(wish) => {
                self.wish = Some(wish);
                true
            }
        }
    }

    /// Reads on, and not a byte beyond the first record.
    fn first(&mut self) -> First {
        loop {
            let wanted = if self.heard.len() < HEAD_LEN {
                HEAD_LEN
            } else {
                match first_len(&self.heard) {
                    Some(len) if len == self.heard.len() => return self.read_first(),
                    Some(len) => len,
                    None => return First::Stranger,
                }
            };
            let mut buffer = [0; FIRST_RECORD_MAX];
            match self.stream.read(&mut buffer[..wanted - self.heard.len()]) {
                Ok(0) => return First::Stranger,
                Ok(count) => self.heard.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return First::Pending,
                Err(_) => return First::Stranger,
            }
        }
    }

    fn read_first(&self) -> First {
        Opening::read(self.heard[0], &self.heard[HEAD_LEN..]).map_or(First::Stranger, First::Wish)
    }
}
