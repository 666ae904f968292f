//! Peers that are alive and do nothing, or say for ever that they work: sessions leave them, in virtual time.

use std::time::Duration;
use volley::base::ecn::Ecn;
use volley::base::time::Instant;
use volley::transfer::entry::{Attributes, Entry, Kind};
use volley::transfer::job::{Job, Report};
use volley::transfer::message::Message;
use volley::transfer::outcome::{Failure, Reason};
use volley::transfer::receiver::Receiving;
use volley::transfer::sender::Sending;
use volley::transfer::session::Session;
use volley::transfer::source::Source;
use volley::transfer::walk::Selection;
use volley::transport::arq::ArqConfig;
use volley::transport::batch::Batch;
use volley::transport::config::{Config, CongestionChoice};
use volley::transport::handshake::{Acceptor, Answer, Duty, Load};
use volley::transport::{Connection, PathId};
use volley::wire::handshake::Role;
use volley::wire::header::ConnectionId;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const SIZE: u64 = 1_000_000;

fn config() -> Config {
    Config {
        congestion: CongestionChoice::Cubic,
        known_path: None,
        max_rate: None,
        arq: ArqConfig::default(),
        max_datagram: 1_472,
        socket_buffer: 1 << 20,
        max_train: 16,
        trace: false,
        path: PathId::default(),
        secret: [0; 32],
    }
}

/// A transfer of this program, and a peer that does what a test says.
struct Scene {
    session: Session,
    /// What the session sends from.
    source: Option<Source>,
    peer: Connection,
    /// Whether the peer takes file bytes.
    takes: bool,
    taken: u64,
    now: Instant,
}

impl Scene {
    /// `send` of a file, and something that listens.
    fn sending() -> Self {
        let directory = tempfile::tempdir().expect("room for temporary files");
        let path = directory.path().join("file");
        let bytes = vec![1; usize::try_from(SIZE).expect("small")];
        std::fs::write(&path, bytes).expect("room for temporary files");
        let selection = Selection { paths: vec![path], ..Selection::default() };
        let mut source = Source::new(&selection);
        source.open().expect("it is there");
        // It stays for as long as the test runs.
        std::mem::forget(directory);
        let now = Instant::ZERO;
        let connection = Connection::initiate(now, config(), ConnectionId(1), Role::Sender);
        let mut session = Session::sending(connection, Sending::new(&selection));
        let mut batch = Batch::default();
        assert!(session.poll_transmit(now, &mut batch));
        let datagram = batch.datagrams().next().expect("a HELLO").to_vec();
        let peer = respond(now, &datagram);
        Self { session, source: Some(source), peer, takes: false, taken: 0, now }
    }

    /// `recv`, and something that has come to it.
    fn receiving() -> Self {
        let now = Instant::ZERO;
        let mut peer = Connection::initiate(now, config(), ConnectionId(1), Role::Sender);
        let mut batch = Batch::default();
        assert!(peer.poll_transmit(now, &mut batch));
        batch.seal();
        let datagram = batch.datagrams().next().expect("a HELLO").to_vec();
        let session = Session::receiving(respond(now, &datagram), Receiving::new(false));
        Self { session, source: None, peer, takes: false, taken: 0, now }
    }

    /// When the session leaves, in seconds, and why; `act` is what the peer does in each of them.
    fn run(mut self, mut act: impl FnMut(&mut Connection, u64, u64)) -> (u64, Failure) {
        let peer_address = "192.0.2.1:7117".parse().expect("an address");
        for second in 0..2_000 {
            act(&mut self.peer, second, self.taken);
            let end = self.now + SECOND;
            while self.now < end {
                self.step();
                if let Some(report) = self.session.report(peer_address) {
                    return (second, report.failure.expect("it is not complete"));
                }
                self.now += 10 * MS;
            }
        }
        panic!("it never leaves");
    }

    /// What is to be read is read at once.
    fn read(&mut self) {
        let Some(source) = &mut self.source else { return };
        while let Some(job) = self.session.next_source_job() {
            let reports = source.run(job);
            self.session.on_source_reports(self.now, reports);
        }
    }

    fn step(&mut self) {
        let (now, path) = (self.now, PathId::default());
        let mut batch = Batch::default();
        if self.session.poll_timeout().is_some_and(|at| at <= now) {
            self.session.handle_timeout(now);
        }
        if self.peer.poll_timeout().is_some_and(|at| at <= now) {
            self.peer.handle_timeout(now);
        }
        // Its disk does at once what there is to do.
        while let Some(job) = self.session.next_job(now) {
            if let Job::Offer { index, .. } = job {
                self.session.on_report(now, Report::Accepted { index });
            }
            self.session.on_report(now, Report::Done { bytes: 0, total: 0 });
        }
        self.read();
        while self.session.poll_transmit(now, &mut batch) {
            for datagram in batch.datagrams() {
                let mut take = |_, bytes: &[u8]| {
                    self.taken += bytes.len() as u64;
                    self.takes
                };
                self.peer.handle_datagram(now, path, Ecn::NotEct, datagram, &mut take);
            }
        }
        // What it hears means nothing to it.
        self.peer.read_control(&mut Vec::new());
        while self.peer.poll_transmit(now, &mut batch) {
            batch.seal();
            for datagram in batch.datagrams() {
                self.session.handle_datagram(now, path, Ecn::NotEct, datagram);
            }
        }
    }
}

fn respond(now: Instant, datagram: &[u8]) -> Connection {
    let mut acceptor = Acceptor::new(Duty::Receive, [1; 32]);
    let quiet = Load { half_open: 0, is_full: false };
    match acceptor.on_hello(now, b"peer", datagram, quiet) {
        Answer::Accept { hello, .. } => {
            Connection::respond(now, config(), ConnectionId(2), &hello, 0)
        }
        answer => panic!("{answer:?}"),
    }
}

fn say(peer: &mut Connection, message: &Message) {
    let mut bytes = Vec::new();
    message.put(&mut bytes);
    peer.write_control(&bytes);
}

#[track_caller]
fn expect((second, failure): (u64, Failure), seconds: std::ops::RangeInclusive<u64>, says: &str) {
    assert_eq!(failure.reason, Reason::Interrupted, "{failure:?}");
    assert!(failure.text.contains(says), "{}", failure.text);
    assert!(seconds.contains(&second), "{second} s: {}", failure.text);
}

#[test]
fn a_receiver_that_accepts_nothing_is_left_after_a_minute() {
    let ended = Scene::sending().run(|_, _, _| {});
    expect(ended, 59..=62, "the receiver answered, and accepted nothing for 60 s");
}

#[test]
fn a_receiver_that_accepts_and_takes_nothing_is_left_after_a_minute() {
    let ended = Scene::sending().run(|peer, second, _| {
        if second == 10 {
            say(peer, &Message::Accept { below: 1 });
        }
    });
    expect(ended, 69..=73, "the receiver accepted, and took no new bytes for 60 s");
}

#[test]
fn a_receiver_that_takes_everything_and_stores_nothing_is_left_after_a_minute() {
    let mut scene = Scene::sending();
    scene.takes = true;
    let ended = scene.run(|peer, second, taken| {
        if second == 0 {
            say(peer, &Message::Accept { below: 1 });
        }
        let now = Instant::ZERO + Duration::from_secs(second);
        peer.on_written(now, taken.min(SIZE));
    });
    expect(ended, 59..=75, "the receiver accepted, but stored nothing for 60 s");
}

#[test]
fn a_receiver_that_works_is_waited_for_as_long_as_the_file_explains() {
    let ended = Scene::sending().run(|peer, second, _| {
        if second % 5 == 0 {
            peer.say_working(second + 1);
        }
    });
    let explained = 300 + SIZE / 65_536 + 60;
    expect(ended, explained - 2..=explained + 8, "accepted nothing for 60 s");
}

#[test]
fn a_sender_that_offers_nothing_is_left_after_ten_seconds_however_alive_it_is() {
    let ended = Scene::receiving().run(|peer, second, _| {
        if second % 5 == 4 {
            peer.say_working(second);
        }
    });
    expect(ended, 9..=11, "the sender came and offered nothing for 10 s");
}

#[test]
fn a_sender_that_offers_and_sends_nothing_is_left_after_a_minute() {
    let ended = Scene::receiving().run(|peer, second, _| {
        if second == 1 {
            let attributes = Attributes { mode: 0o644, seconds: 0, nanoseconds: 0 };
            let kind = Kind::File { size: SIZE, holes: None, attributes, source: None };
            say(peer, &Message::Offer(Entry { path: "file".into(), kind }));
        }
    });
    expect(ended, 59..=65, "the sender sent nothing new for 60 s");
}
