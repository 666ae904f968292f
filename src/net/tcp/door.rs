//! The door of a listener: one thread accepts streams, hears what each of them wants, and gives those that fit
//! a place and a thread of their own. So neither a flood of connections nor silent ones cost the loop anything.

use super::accept::{Streams, judge};
use super::lobby::{Guest, Lobby};
use super::record::Opening;
use crate::base::time::{Duration, Instant};
use crate::base::units::Rate;
use crate::net::Observer;
use crate::net::engine::Numbers;
use crate::net::part::Service;
use crate::net::places::{Admission, Places};
use crate::os::clock::Clock;
use crate::os::wait::{Waiter, Waker};
use crate::transfer::outcome::{Failure, Reason};
use std::fs::File;
use std::io;
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// Streams accepted in one turn: what has been accepted is heard before more of it is.
const ACCEPTS_MAX: usize = 32;

/// How often those are looked at that wait for a place, or have lost theirs.
const LOOK: Duration = Duration::from_millis(100);

/// After the system refused to accept a connection, the next one is waited for only after this long.
const REST: Duration = Duration::from_secs(1);

/// What those hear who wait when there are too many of them, or for too long.
const CROWDED: &str = "too many connections wait there for their turn; try again later";

/// The door, open.
#[derive(Debug)]
pub struct Door {
    is_closing: Arc<AtomicBool>,
    waker: Waker,
    porter: JoinHandle<Streams>,
}

impl Door {
    /// Opens it.
    ///
    /// # Errors
    /// The system has no descriptors or no thread to spare.
    pub fn open(
        listener: TcpListener,
        (service, max_rate): (&Service, Option<Rate>),
        observer: Observer,
        (places, numbers): (Places, Numbers),
    ) -> io::Result<Self> {
        let waiter = Waiter::new()?;
        let (waker, is_closing) = (waiter.waker(), Arc::<AtomicBool>::default());
        let mut porter = Porter {
            listener,
            waiter,
            clock: Clock::start(),
            lobby: Lobby::default(),
            streams: Streams::new(service, max_rate, observer),
            places,
            numbers,
            accepts_from: Instant::ZERO,
            reserve: File::open("/dev/null").ok(),
        };
        let closing = is_closing.clone();
        let porter = std::thread::Builder::new().spawn(move || {
            while !closing.load(Ordering::Relaxed) {
                porter.turn();
            }
            porter.streams
        })?;
        Ok(Self { is_closing, waker, porter })
    }

    /// Lets nobody in any more, and ends all streams because of `failure`, each with a word to its peer.
    pub fn close(self, failure: &Failure) {
        self.is_closing.store(true, Ordering::Relaxed);
        self.waker.wake();
        if let Ok(streams) = self.porter.join() {
            streams.end(failure);
        }
    }
}

/// Who stands at the door.
struct Porter {
    listener: TcpListener,
    waiter: Waiter,
    clock: Clock,
    lobby: Lobby,
    streams: Streams,
    places: Places,
    numbers: Numbers,
    /// Not before then.
    accepts_from: Instant,
    /// A descriptor that is given up where there is no other one, to tell who comes then that there is none.
    reserve: Option<File>,
}

impl Porter {
    fn turn(&mut self) {
        let is_called = self.wait();
        let now = self.clock.now();
        if is_called {
            (0..ACCEPTS_MAX).any(|_| self.accept(now).is_none());
        }
        self.lobby.hear();
        for guest in self.lobby.take_late(now) {
            // A stranger gets no word.
            if guest.has_wish() {
                turn_away(guest, &busy(CROWDED));
            }
        }
        self.let_in();
        self.streams.look_after();
    }

    /// Waits until something is to be done; true if somebody connects.
    fn wait(&self) -> bool {
        let now = self.clock.now();
        let accepts = self.accepts_from <= now;
        let mut sockets = Vec::new();
        sockets.extend(accepts.then(|| self.listener.as_fd()));
        sockets.extend(self.lobby.sockets());
        let until = self.lobby.deadline().map_or(LOOK, |at| at.since(now).min(LOOK));
        match self.waiter.wait_readable(&sockets, until) {
            Ok(ready) => accepts && ready.first().is_some_and(|ready| ready.is_readable),
            // The system is short of memory, and may have some later.
            Err(_) => {
                let _ = self.waiter.wait_readable(&[], LOOK);
                false
            }
        }
    }

    /// Accepts one stream; none if there is no other.
    fn accept(&mut self, now: Instant) -> Option<()> {
        match self.listener.accept() {
            Ok((stream, peer)) => {
                if let Ok(Some(guest)) = self.lobby.enter(now, stream, peer) {
                    turn_away(guest, &busy(CROWDED));
                }
                Some(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            // One that has gone again.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => Some(()),
            Err(_) => {
                self.refuse_one(now);
                None
            }
        }
    }

    /// There is no descriptor for who comes: he hears so by means of the one that is kept for that.
    fn refuse_one(&mut self, now: Instant) {
        if let Some(guest) = self.lobby.greediest() {
            return turn_away(guest, &busy(CROWDED));
        }
        self.accepts_from = now + REST;
        self.reserve = None;
        if let Ok((stream, peer)) = self.listener.accept() {
            if stream.set_nonblocking(true).is_ok() {
                let text = "it has no more files to open at once; try again later";
                turn_away(Guest::new(now, stream, peer), &busy(text));
            }
            self.accepts_from = now;
        }
        self.reserve = File::open("/dev/null").ok();
    }

    /// Serves those who have said what they want, as far as there are places.
    fn let_in(&mut self) {
        if !self.lobby.has_ready() {
            return;
        }
        let Self { lobby, streams, places, numbers, .. } = self;
        let order = |host| places.taken_by(host);
        lobby.call(order, |guest, opening: &Opening| {
            let role = match judge(opening, streams.duty()) {
                Ok(role) => role,
                Err(failure) => {
                    turn_away(guest, &failure);
                    return None;
                }
            };
            match places.admit(guest.peer.ip()) {
                Admission::Place(place) => {
                    let Guest { stream, peer, .. } = guest;
                    streams.serve((numbers.take(), stream, peer), role, place);
                    None
                }
                Admission::Later => Some(guest),
                Admission::Full(text) => {
                    turn_away(guest, &busy(&text));
                    None
                }
            }
        });
    }
}

fn turn_away(guest: Guest, failure: &Failure) {
    guest.turn_away(failure.reason.code().into(), &failure.text);
}

fn busy(text: &str) -> Failure {
    Failure::new(Reason::Refused, text)
}
