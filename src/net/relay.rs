//! A relay: an imperfect link between a UDP server and whoever wants to talk to it.
//!
//! One turn of the loop: wait for a datagram, or until one comes out of the link; receive from each
//! socket once, for what comes out must not wait for a flood to end; send what has come out. A
//! datagram's time in the link counts from when the system took it in, however late the loop gets to
//! it. All clients share the link, one line
//! each way, as everybody behind a narrow place does. A client becomes known only when something of
//! it comes out of the link towards the server: what is lost costs nothing.

mod clients;

pub use clients::{CLIENTS_MAX, ClientCounts, IDLE};

use self::clients::{Answer, Clients};
use super::udp::{Path, ReceiveBuffers, Udp};
use super::{Impairment, Interrupt};
use crate::base::text::show_error;
use crate::base::time::{Duration, Instant, earlier};
use crate::link::line::Line;
use crate::link::{Direction, Link, LinkConfig, LinkCounts};
use crate::os::clock::Clock;
use crate::os::wait::{Waiter, be_punctual};
use crate::transfer::outcome::{Failure, Reason};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};

/// The loop looks at the interrupt this often.
const PATIENCE: Duration = Duration::from_millis(100);

/// How often the owner is told what happened so far.
const TELL_INTERVAL: Duration = Duration::from_millis(250);

/// What a relay has done so far.
#[derive(Clone, Debug, Default)]
pub struct RelayCounts {
    /// Since it began.
    pub elapsed: Duration,
    /// From clients to the server.
    pub out: WayCounts,
    /// From the server to clients.
    pub back: WayCounts,
    /// Who it was for.
    pub clients: ClientCounts,
    /// Datagrams that came out of the link and that the system would not send.
    pub unsent: u64,
    /// Why it would not send the last of them.
    pub last_error: Option<String>,
}

/// What happened in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WayCounts {
    /// In the link.
    pub link: LinkCounts,
    /// Datagrams that have come out of it.
    pub delivered: u64,
    /// Their bytes, as IP packets.
    pub delivered_bytes: u64,
}

/// A relay, listening.
#[derive(Debug)]
pub struct Relay {
    listen: Udp,
    address: SocketAddr,
    server: SocketAddr,
}

/// Where to listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// On all addresses of this machine, at this port.
    Any(u16),
    /// There and nowhere else.
    At(SocketAddr),
}

impl Relay {
    /// Listens there.
    ///
    /// # Errors
    /// The port is taken, the address is not ours, or the server is the relay itself.
    pub fn bind(listen: Wanted, server: SocketAddr) -> Result<Self, Failure> {
        let wanted = match listen {
            Wanted::Any(port) => (Ipv6Addr::UNSPECIFIED, port).into(),
            Wanted::At(address) => address,
        };
        let listen = match (Udp::bind(wanted), listen) {
            // A machine without IPv6 has no unspecified IPv6 address either.
            (Err(error), Wanted::Any(port)) if is_about_the_address(&error) => {
                Udp::bind((Ipv4Addr::UNSPECIFIED, port).into())
            }
            (bound, _) => bound,
        };
        let listen = listen.map_err(|error| bind_failure(wanted, &error))?;
        listen.tell_times();
        let address = listen.local_addr().map_err(|error| bind_failure(wanted, &error))?;
        if leads_to_itself(address, server) {
            let text = format!("the relay would relay to itself: it listens on {address}");
            return Err(Failure::new(Reason::Other, text));
        }
        Ok(Self { listen, address, server })
    }

    /// The address that it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Relays until interrupted, and tells `observer` now and then what happened so far. Says what
    /// happened in all, and why it ended.
    ///
    /// # Errors
    /// The listening socket does not work any more.
    pub fn run(
        self,
        impairment: Option<&Impairment>,
        mut observer: impl FnMut(&RelayCounts),
        interrupt: &Interrupt,
    ) -> Result<(RelayCounts, Reason), Failure> {
        be_punctual();
        let mut relaying = Relaying::new(self, impairment);
        let mut next_tell = Instant::ZERO + TELL_INTERVAL;
        loop {
            relaying.turn().map_err(|error| {
                let text = format!("the socket failed: {}", show_error(&error));
                Failure::new(Reason::Other, text)
            })?;
            let now = relaying.clock.now();
            if let Some(ended) = interrupt.failure() {
                return Ok((relaying.counts(now), ended.reason));
            }
            if now >= next_tell {
                next_tell = now + TELL_INTERVAL;
                relaying.clients.forget_idle(now);
                observer(&relaying.counts(now));
            }
        }
    }
}

/// A relay at work.
struct Relaying {
    listen: Udp,
    server: SocketAddr,
    clients: Clients,
    out: Line<Path>,
    back: Line<Answer>,
    /// When the last datagram arrived, each way. Two clocks read one after the other do not agree to
    /// the nanosecond, and that must not change the order of datagrams.
    arrived: [Instant; 2],
    /// Datagrams and bytes that have come out, each way.
    delivered: [(u64, u64); 2],
    unsent: u64,
    last_error: Option<io::Error>,
    buffers: ReceiveBuffers,
    /// What has just come out of the link.
    datagram: Vec<u8>,
    clock: Clock,
}

impl Relaying {
    fn new(relay: Relay, impairment: Option<&Impairment>) -> Self {
        let Relay { listen, server, .. } = relay;
        let nothing = LinkConfig::default();
        let (out, back, seed) =
            impairment.map_or((&nothing, &nothing, 0), |link| (&link.out, &link.back, link.seed));
        Self {
            listen,
            server,
            clients: Clients::new(server),
            out: Line::new(Link::new(out, seed, Direction::Out)),
            back: Line::new(Link::new(back, seed, Direction::Back)),
            arrived: [Instant::ZERO; 2],
            delivered: Default::default(),
            unsent: 0,
            last_error: None,
            buffers: ReceiveBuffers::default(),
            datagram: Vec::new(),
            clock: Clock::start(),
        }
    }

    fn turn(&mut self) -> io::Result<()> {
        // From the last place on: who is forgotten moves only what comes after it.
        for place in self.wait()?.into_iter().rev() {
            match place.checked_sub(1) {
                None => self.receive_from_clients()?,
                Some(client) => self.receive_from_server(client),
            }
        }
        self.release();
        Ok(())
    }

    /// Waits for a datagram, or until one comes out of the link. The listening socket comes first.
    fn wait(&self) -> io::Result<Vec<usize>> {
        let next = earlier(self.out.next(), self.back.next());
        let until_next = next.map_or(PATIENCE, |at| at.since(self.clock.now()));
        let sockets: Vec<BorrowedFd<'_>> = std::iter::once(&self.listen)
            .chain(self.clients.sockets())
            .map(|udp| udp.socket().as_fd())
            .collect();
        Waiter::wait_for_some(&sockets, until_next.min(PATIENCE))
    }

    fn receive_from_clients(&mut self) -> io::Result<()> {
        let Self { listen, out, buffers, clock, arrived: [arrived, _], .. } = self;
        buffers.receive(listen, |path, ecn, stamp, datagram| {
            *arrived = clock.moment(stamp).max(*arrived);
            out.put(*arrived, path.ip_size(datagram.len()), (path, ecn), datagram);
        })?;
        Ok(())
    }

    /// Receives for one client. A socket that does not work any more is given up.
    fn receive_from_server(&mut self, place: usize) {
        self.clients.take_refusals(place);
        let (client, socket) = self.clients.at(place);
        let Self { server, back, buffers, clock, arrived: [_, arrived], .. } = self;
        let received = buffers.receive(socket, |path, ecn, stamp, datagram| {
            let from = path.peer;
            if from.ip().to_canonical() == server.ip().to_canonical() {
                *arrived = clock.moment(stamp).max(*arrived);
                let tag = (Answer { client, from }, ecn);
                back.put(*arrived, path.ip_size(datagram.len()), tag, datagram);
            }
        });
        if received.is_err() {
            self.clients.forget(place);
        }
    }

    /// Sends what has come out of the link.
    fn release(&mut self) {
        let now = self.clock.now();
        let mut failed = Vec::new();
        let [out, back] = &mut self.delivered;
        while let Some((client, ecn)) = self.out.take(now, &mut self.datagram) {
            count(out, client, &self.datagram);
            failed.extend(self.clients.send(now, client, ecn, &self.datagram).err());
        }
        while let Some((answer, ecn)) = self.back.take(now, &mut self.datagram) {
            count(back, answer.client, &self.datagram);
            if self.clients.hears(now, answer) {
                failed.extend(self.listen.send_or_tell(answer.client, ecn, &self.datagram).err());
            }
        }
        self.unsent += failed.len() as u64;
        self.last_error = failed.pop().or(self.last_error.take());
    }

    fn counts(&self, now: Instant) -> RelayCounts {
        let way = |link: &Link, (delivered, delivered_bytes): (u64, u64)| WayCounts {
            link: link.counts(),
            delivered,
            delivered_bytes,
        };
        let [out, back] = self.delivered;
        RelayCounts {
            elapsed: now.since(Instant::ZERO),
            out: way(self.out.link(), out),
            back: way(self.back.link(), back),
            clients: self.clients.counts(),
            unsent: self.unsent,
            last_error: self.last_error.as_ref().map(show_error),
        }
    }
}

fn count((datagrams, bytes): &mut (u64, u64), path: Path, datagram: &[u8]) {
    *datagrams += 1;
    *bytes += path.ip_size(datagram.len()) as u64;
}

/// Whether what is sent to `server` comes back to who listens on `address`.
fn leads_to_itself(address: SocketAddr, server: SocketAddr) -> bool {
    let [ours, ip] = [address, server].map(|address| address.ip().to_canonical());
    let is_on_this_machine = || {
        let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
        ip.is_loopback() || interfaces.iter().any(|interface| interface.ip() == ip)
    };
    let is_heard = ours == ip || (ours.is_unspecified() && is_on_this_machine());
    address.port() == server.port() && is_heard
}

/// Whether an address, or its whole family, is missing here.
fn is_about_the_address(error: &io::Error) -> bool {
    !matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied)
}

fn bind_failure(address: SocketAddr, error: &io::Error) -> Failure {
    let port = address.port();
    let text = match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "UDP port {port} is in use; end the program that has it, or choose another with --listen"
        ),
        io::ErrorKind::AddrNotAvailable => {
            format!("{} is no address of this machine", address.ip())
        }
        io::ErrorKind::PermissionDenied => {
            format!("port {port} is not for ordinary users; choose one above 1023 with --listen")
        }
        _ => format!("cannot listen on {address}: {}", show_error(error)),
    };
    Failure::new(Reason::Other, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ecn::Ecn;
    use crate::base::units::Share;
    use crate::link::Bottleneck;
    use crate::net::udp::tests::receive;

    /// Marks are passed on both ways, and the link adds its own.
    #[cfg(target_os = "linux")]
    #[test]
    fn marks_are_passed_on() {
        let any = "127.0.0.1:0".parse().expect("an address");
        let [client, server] = [any; 2].map(|any| Udp::bind(any).expect("loopback"));
        let rate = "80kbit".parse().expect("a rate");
        let (bottleneck, mark) = (Some(Bottleneck { rate, queue: 15_000 }), Some(Share::ZERO));
        let out = LinkConfig { bottleneck, mark, ..LinkConfig::default() };
        let impairment = Impairment { out, back: LinkConfig::default(), seed: 1 };
        let address = server.local_addr().expect("bound");
        let relay = Relay::bind(Wanted::At(any), address).expect("loopback");
        let path = Path { peer: relay.address(), local: None };
        let interrupt = Interrupt::default();
        std::thread::scope(|scope| {
            let relaying = scope.spawn(|| relay.run(Some(&impairment), |_| {}, &interrupt));
            for ecn in [Ecn::NotEct, Ecn::Ect0, Ecn::Ect1, Ecn::Ce] {
                client.send(path, ecn, b"a question");
                let (back, seen) = receive(&server)[0];
                assert_eq!(seen, ecn);
                server.send(back, seen, b"an answer");
                assert_eq!(receive(&client)[0].1, ecn);
            }
            // The second one finds the first on the line.
            (0..2).for_each(|_| client.send(path, Ecn::Ect0, &[7; 500]));
            let mut seen = Vec::new();
            while seen.len() < 2 {
                seen.extend(receive(&server).iter().map(|(_, ecn)| *ecn));
            }
            assert_eq!(seen, [Ecn::Ect0, Ecn::Ce]);
            interrupt.set(2);
            let (counts, _) = relaying.join().expect("no panic").expect("it relays");
            assert_eq!((counts.out.link.marked, counts.back.link.marked), (1, 0));
        });
    }

    #[test]
    fn a_relay_to_itself_is_noticed() {
        let leads = |address: &str, server: &str| {
            let [address, server] = [address, server].map(|text| text.parse().expect("an address"));
            leads_to_itself(address, server)
        };
        assert!(leads("127.0.0.1:53", "127.0.0.1:53"));
        assert!(leads("[::]:53", "127.0.0.1:53") && leads("0.0.0.0:53", "127.9.9.9:53"));
        assert!(!leads("127.0.0.1:53", "127.0.0.1:54") && !leads("127.0.0.2:53", "127.0.0.1:53"));
        assert!(!leads("[::]:53", "192.0.2.1:53"));
    }
}
