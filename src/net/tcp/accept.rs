//! The streams being served: a thread for each, a word of welcome, and then a transfer.

use super::channel::{Channel, End};
use super::record::{Opening, Record};
use super::{Stream, carry};
use crate::base::units::Rate;
use crate::net::part::Service;
use crate::net::places::{GIVEN_AWAY, Place, Seat};
use crate::net::{Carrier, Notice, Observer};
use crate::transfer::outcome::{Failure, Reason};
use crate::transport::handshake::{Duty, NOT_UNDERSTOOD};
use crate::wire::handshake::{Role, VERSION};
use std::net::{SocketAddr, TcpStream};
use std::thread::JoinHandle;

/// The streams being served.
pub(super) struct Streams {
    service: Service,
    max_rate: Option<Rate>,
    observer: Observer,
    end: End,
    served: Vec<Served>,
}

/// One of them.
struct Served {
    thread: JoinHandle<()>,
    seat: Seat,
    end: End,
}

impl std::fmt::Debug for Streams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Streams").field("served", &self.served.len()).finish_non_exhaustive()
    }
}

impl Streams {
    /// No streams yet.
    pub(super) fn new(service: &Service, max_rate: Option<Rate>, observer: Observer) -> Self {
        let (service, end) = (service.clone(), End::default());
        Self { service, max_rate, observer, end, served: Vec::new() }
    }

    /// Whom they serve.
    pub(super) fn duty(&self) -> Duty {
        self.service.duty()
    }

    /// Serves one who has been admitted with that role, on a thread of its own.
    pub(super) fn serve(
        &mut self,
        (id, stream, peer): (u64, TcpStream, SocketAddr),
        role: Role,
        place: Place,
    ) {
        let (stream, end) = (Stream::new(stream), self.end.of_part());
        let link = (id, stream.clone(), peer);
        let standpoint = self.service.standpoint();
        let channel = Channel::new(link, standpoint, &end, &self.observer, self.max_rate);
        let Ok(channel) = channel else {
            return;
        };
        let (service, seat) = (self.service.clone(), place.seat().clone());
        let channel = channel.on(seat.clone());
        let thread = std::thread::Builder::new().spawn(move || {
            serve(channel, &service, role);
            drop(place);
        });
        match thread {
            Ok(thread) => self.served.push(Served { thread, seat, end }),
            Err(_) => stream.say_last(&Failure::new(
                Reason::Refused,
                "it has no thread to spare; try again later",
            )),
        }
    }

    /// Ends those whose places are others' now, and forgets those that have ended.
    pub(super) fn look_after(&mut self) {
        self.served.retain(|served| !served.thread.is_finished());
        for served in self.served.iter().filter(|served| served.seat.is_given_away()) {
            served.end.ask(&Failure::new(Reason::Refused, GIVEN_AWAY));
        }
    }

    /// Ends all streams because of `failure`, each with a word to its peer, and waits for their
    /// threads.
    pub(super) fn end(self, failure: &Failure) {
        for served in &self.served {
            served.end.ask(failure);
        }
        for served in self.served {
            let _ = served.thread.join();
        }
    }
}

fn serve(channel: Channel, service: &Service, role: Role) {
    let part = service.part(role, Carrier::Tcp, channel.peer.ip());
    // What is wrong with the stream is found out by whoever reads from it.
    let _ = channel.write(&Record::Welcome { version: VERSION });
    let mut reader = channel.reader();
    reader.trust();
    let (id, observer) = (channel.id, channel.observer.clone());
    let finished = Box::new(carry(channel, reader, part));
    observer(Notice::Ended { id, finished });
}

/// The role of one who may be served.
///
/// # Errors
/// He may not; what to tell him.
pub(super) fn judge(opening: &Opening, duty: Duty) -> Result<Role, Failure> {
    let (versions, role) = match opening {
        Opening::Hello { versions, role } => (versions, Some(*role)),
        Opening::Unknown { versions } => (versions, None),
    };
    if !versions.is_empty() && !versions.contains(&VERSION) {
        let text = format!(
            "this side speaks version {VERSION} of the protocol only; install the same version of \
             volley on both"
        );
        return Err(Failure::new(Reason::Version, text));
    }
    let refused = |text| Failure::new(Reason::Refused, text);
    let role = role.ok_or_else(|| refused(NOT_UNDERSTOOD))?;
    duty.admit(role).map_err(refused)?;
    Ok(role)
}
