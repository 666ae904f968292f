//! The clients of a relay, each with a socket of its own towards the server.
//!
//! The server tells clients apart by the port that they come from, so each of them needs one here.

use crate::base::ecn::Ecn;
use crate::base::time::{Duration, Instant};
use crate::net::udp::{Path, Udp};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Clients at the same time. Each has a socket, and systems give a process 1024 unless asked.
pub const CLIENTS_MAX: usize = 512;

/// Who is silent for this long is forgotten (RFC 4787 REQ-5: five minutes or more).
pub const IDLE: Duration = Duration::from_secs(300);

/// A datagram on its way back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    /// The client that it is for.
    pub client: Path,
    /// The server's address that sent it.
    pub from: SocketAddr,
}

/// What became of clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientCounts {
    /// That are known now.
    pub now: usize,
    /// That there ever were; who comes back after having been forgotten counts again.
    pub ever: u64,
    /// That were forgotten to make room for others.
    pub displaced: u64,
    /// Datagrams that the server's machine, or one on the way to it, refused.
    pub refused: u64,
}

/// Everybody who sent something lately.
#[derive(Debug)]
pub(super) struct Clients {
    server: SocketAddr,
    known: Vec<Client>,
    places: BTreeMap<Path, usize>,
    counts: ClientCounts,
}

#[derive(Debug)]
struct Client {
    path: Path,
    upstream: Udp,
    /// The address that answers, once one has.
    answerer: Option<SocketAddr>,
    active: Instant,
}

impl Clients {
    /// Nobody yet, in front of `server`.
    pub(super) fn new(server: SocketAddr) -> Self {
        let counts = ClientCounts::default();
        Self { server, known: Vec::new(), places: BTreeMap::new(), counts }
    }

    /// Sends what came from a client to the server.
    ///
    /// # Errors
    /// There is no socket for one more client, or the system would not send this datagram.
    pub(super) fn send(
        &mut self,
        now: Instant,
        path: Path,
        ecn: Ecn,
        datagram: &[u8],
    ) -> io::Result<()> {
        let place = self.place(now, path)?;
        let server = self.server;
        let to = |client: &Client| Path { peer: client.answerer.unwrap_or(server), local: None };
        let client = &mut self.known[place];
        client.active = now;
        if client.upstream.send_or_tell(to(client), ecn, datagram).is_ok() {
            return Ok(());
        }
        // It may have been an error about an earlier datagram, which is told only once.
        self.take_refusals(place);
        let client = &self.known[place];
        client.upstream.send_or_tell(to(client), ecn, datagram)
    }

    /// Where the client is kept, who is made known if needed.
    fn place(&mut self, now: Instant, path: Path) -> io::Result<usize> {
        if let Some(place) = self.places.get(&path) {
            return Ok(*place);
        }
        if self.known.len() >= CLIENTS_MAX {
            self.displace();
        }
        let upstream = match self.open() {
            // Too many files may be open. One less may do.
            Err(_) if !self.known.is_empty() => {
                self.displace();
                self.open()?
            }
            opened => opened?,
        };
        let place = self.known.len();
        self.known.push(Client { path, upstream, answerer: None, active: now });
        self.places.insert(path, place);
        self.counts.ever += 1;
        Ok(place)
    }

    fn open(&self) -> io::Result<Udp> {
        let any: IpAddr = match self.server {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = Udp::bind(SocketAddr::new(any, 0))?;
        socket.watch_refusals()?;
        socket.tell_times();
        Ok(socket)
    }

    /// Whether an answer that has come out of the link is for its client to hear.
    ///
    /// A server may answer from another port than the one that was asked, and means to be spoken to
    /// there from then on (TFTP does, RFC 1350 section 4). The first answer decides.
    pub(super) fn hears(&mut self, now: Instant, answer: Answer) -> bool {
        let Some(place) = self.places.get(&answer.client) else {
            return true;
        };
        let client = &mut self.known[*place];
        client.active = now;
        *client.answerer.get_or_insert(answer.from) == answer.from
    }

    /// Takes note of datagrams that were refused. Who answered from a port of his own is gone then.
    pub(super) fn take_refusals(&mut self, place: usize) {
        let client = &mut self.known[place];
        while client.upstream.take_refusal() {
            client.answerer = None;
            self.counts.refused += 1;
        }
    }

    /// Forgets who has been silent for too long.
    pub(super) fn forget_idle(&mut self, now: Instant) {
        for place in (0..self.known.len()).rev() {
            if now.since(self.known[place].active) >= IDLE {
                self.forget(place);
            }
        }
    }

    /// Forgets the client that has been silent for longest.
    fn displace(&mut self) {
        let least = (0..self.known.len()).min_by_key(|place| self.known[*place].active);
        if let Some(place) = least {
            self.forget(place);
            self.counts.displaced += 1;
        }
    }

    /// Forgets one client; the last one takes its place.
    pub(super) fn forget(&mut self, place: usize) {
        let gone = self.known.swap_remove(place);
        self.places.remove(&gone.path);
        if let Some(moved) = self.known.get(place) {
            self.places.insert(moved.path, place);
        }
    }

    /// The sockets, by their clients' places.
    pub(super) fn sockets(&self) -> impl Iterator<Item = &Udp> {
        self.known.iter().map(|client| &client.upstream)
    }

    /// The client at `place`, and its socket.
    pub(super) fn at(&self, place: usize) -> (Path, &Udp) {
        let client = &self.known[place];
        (client.path, &client.upstream)
    }

    /// What happened so far.
    pub(super) fn counts(&self) -> ClientCounts {
        ClientCounts { now: self.known.len(), ..self.counts }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    fn client(port: u16) -> Path {
        Path { peer: SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port), local: None }
    }

    fn server() -> (UdpSocket, SocketAddr) {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback");
        let address = socket.local_addr().expect("bound");
        (socket, address)
    }

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn who_is_silent_is_forgotten_and_who_hears_something_is_not() {
        let (_socket, from) = server();
        let mut clients = Clients::new(from);
        for port in [1, 2, 3] {
            clients.send(at(0), client(port), Ecn::NotEct, b"x").expect("loopback");
        }
        clients.send(at(200), client(3), Ecn::NotEct, b"x").expect("loopback");
        assert!(clients.hears(at(100), Answer { client: client(2), from }));
        clients.forget_idle(at(299));
        assert_eq!(clients.counts().now, 3);
        clients.forget_idle(at(300));
        assert_eq!(clients.counts().now, 2);
        clients.forget_idle(at(400));
        assert_eq!(clients.counts(), ClientCounts { now: 1, ever: 3, ..ClientCounts::default() });
        assert_eq!(clients.at(0).0, client(3));
    }

    #[test]
    fn the_least_active_makes_room_for_a_new_one() {
        let (_socket, from) = server();
        let mut clients = Clients::new(from);
        let most = u16::try_from(CLIENTS_MAX).expect("not that many");
        for port in 1..=most {
            clients.send(at(port.into()), client(port), Ecn::NotEct, b"x").expect("loopback");
        }
        clients.send(at(1000), client(1), Ecn::NotEct, b"x").expect("loopback");
        clients.send(at(1001), client(most + 1), Ecn::NotEct, b"x").expect("loopback");
        let expected = ClientCounts {
            now: CLIENTS_MAX,
            ever: CLIENTS_MAX as u64 + 1,
            displaced: 1,
            ..ClientCounts::default()
        };
        assert_eq!(clients.counts(), expected);
        let gone = |port| !clients.places.contains_key(&client(port));
        assert_eq!((gone(1), gone(2), gone(3), gone(most + 1)), (false, true, false, false));
        for (path, place) in &clients.places {
            assert_eq!(clients.known[*place].path, *path);
        }
    }

    #[test]
    fn the_first_answer_decides_which_port_is_spoken_to() {
        let [(_one, one), (two, second), (_three, third)] = [server(), server(), server()];
        let mut clients = Clients::new(one);
        clients.send(at(0), client(1), Ecn::NotEct, b"to the first").expect("loopback");
        let mut hears = |from| clients.hears(at(0), Answer { client: client(1), from });
        assert_eq!([hears(second), hears(third), hears(one)], [true, false, false]);
        clients.send(at(0), client(1), Ecn::NotEct, b"to the second").expect("loopback");
        let mut heard = [0; 20];
        let len = two.recv(&mut heard).expect("sent over loopback");
        assert_eq!(&heard[..len], b"to the second");
    }
}
