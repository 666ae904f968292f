//! Accepting streams: one thread for each, a greeting, and then a transfer.

use super::carry;
use super::channel::{Channel, End};
use super::record::{Record, RecordReader};
use crate::net::part::{Part, Service};
use crate::net::places::Places;
use crate::net::{Carrier, Notice, Observer};
use crate::transfer::outcome::{Failure, Reason};
use crate::wire::handshake::{Role, VERSION};
use std::net::{SocketAddr, TcpStream};
use std::thread::JoinHandle;

/// The streams being served.
pub struct Streams {
    service: Service,
    observer: Observer,
    places: Places,
    end: End,
    threads: Vec<JoinHandle<()>>,
}

impl std::fmt::Debug for Streams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Streams").field("threads", &self.threads.len()).finish_non_exhaustive()
    }
}

impl Streams {
    /// No streams yet.
    #[must_use]
    pub fn new(service: &Service, observer: Observer, places: Places) -> Self {
        let service = service.clone();
        Self { service, observer, places, end: End::default(), threads: Vec::new() }
    }

    /// Serves a stream on a thread of its own. Where there is no place for it, it is closed at once.
    pub fn serve(&mut self, id: u64, stream: TcpStream, peer: SocketAddr) {
        self.threads.retain(|thread| !thread.is_finished());
        let standpoint = self.service.standpoint();
        let channel = Channel::new((id, stream, peer), standpoint, &self.end, &self.observer);
        let Ok(channel) = channel else {
            return;
        };
        if let Some(text) = self.places.refusal(peer.ip()) {
            return channel.close(&Failure::new(Reason::Refused, text));
        }
        let (service, place) = (self.service.clone(), self.places.take(peer.ip()));
        // Without a thread there is no transfer: the peer sees the stream end and may try again.
        let thread = std::thread::Builder::new().spawn(move || {
            serve(channel, &service);
            drop(place);
        });
        self.threads.extend(thread);
    }

    /// Ends all streams because of `failure`, each with a word to its peer, and waits for their
    /// threads.
    pub fn end(self, failure: &Failure) {
        self.end.ask(failure);
        for thread in self.threads {
            let _ = thread.join();
        }
    }
}

fn serve(mut channel: Channel, service: &Service) {
    let Ok(mut reader) = channel.reader() else {
        return;
    };
    match greet(&channel, &mut reader, service) {
        Ok(part) => {
            let (id, observer) = (channel.id, channel.observer.clone());
            let finished = Box::new(carry(channel, reader, part));
            observer(Notice::Ended { id, finished });
        }
        Err(refusal) => {
            // A stranger gets no word.
            if let Some(failure) = refusal {
                channel.close(&failure);
            }
            channel.part();
        }
    }
}

/// The first record must come soon, and from one of us: without a failure it is a stranger's.
fn greet(
    channel: &Channel,
    reader: &mut RecordReader<TcpStream>,
    service: &Service,
) -> Result<Part, Option<Failure>> {
    let first = channel.first(reader).map_err(|_| None)?;
    let Some(Record::Hello { versions, role }) = first else {
        return Err(None);
    };
    let part = admit(&versions, role, service)?;
    channel.write(&Record::Welcome { version: VERSION }).map_err(|_| None)?;
    reader.trust();
    Ok(part)
}

fn admit(versions: &[u16], role: Role, service: &Service) -> Result<Part, Failure> {
    if !versions.contains(&VERSION) {
        let text = format!(
            "this side speaks version {VERSION} of the protocol only; install the same version of \
             volley on both"
        );
        return Err(Failure::new(Reason::Version, text));
    }
    service.duty().admit(role).map_err(|text| Failure::new(Reason::Refused, text))?;
    service.part(role, Carrier::Tcp)
}
