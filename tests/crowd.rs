//! Peers that take what they can get and do nothing with it: honest ones from other addresses are served.
//! All addresses of 127.0.0.0/8 are this machine's, and each counts as a host.
#![cfg(target_os = "linux")]

#[expect(dead_code, reason = "each test file uses its part of the harness")]
mod common;

use common::{Bench, CARRIERS, Outcome, Receiver, Running, note, side_by_side};
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;
use volley::base::ecn::Ecn;
use volley::net::places::TRANSFERS_MAX;
use volley::net::tcp::record::Record;
use volley::os::clock::Clock;
use volley::transfer::entry::{Attributes, Entry, Kind};
use volley::transfer::message::Message;
use volley::transport::arq::ArqConfig;
use volley::transport::batch::Batch;
use volley::transport::config::{Config, CongestionChoice};
use volley::transport::{Connection, PathId};
use volley::wire::handshake::Role;
use volley::wire::header::ConnectionId;

/// Guards against hanging only.
const PATIENCE: Duration = Duration::from_secs(60);

/// A stream from 127.0.0.`host`.
fn connect(host: u8, listener: &str) -> TcpStream {
    let listener: SocketAddr = listener.parse().expect("an address");
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).expect("a socket");
    socket
        .bind(&SocketAddr::from(([127, 0, 0, host], 0)).into())
        .expect("an address of this machine");
    socket.connect(&listener.into()).expect("it listens");
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).expect("not zero");
    stream
}

fn hello() -> Vec<u8> {
    let mut hello = Vec::new();
    Record::Hello { versions: vec![1], role: Role::Sender }.write_to(&mut hello);
    hello
}

/// Streams that say no more than HELLO, one after the other.
fn greet(count: usize, host: u8, listener: &str) -> Vec<TcpStream> {
    let call = || {
        let mut stream = connect(host, listener);
        stream.write_all(&hello()).expect("it is there");
        stream.read_exact(&mut [0; 1]).expect("it is welcome");
        stream
    };
    (0..count).map(|_| call()).collect()
}

/// The bytes until the end of the stream.
fn last_words(mut stream: TcpStream) -> Vec<u8> {
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said);
    said
}

/// Connections over UDP that are kept up, and over which nothing is said.
struct Idlers {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Idlers {
    /// `count` from 127.0.0.`host`, once they have been let in or have heard that they are not.
    fn come(count: u32, host: u8, listener: &str) -> Self {
        let socket = UdpSocket::bind(SocketAddr::from(([127, 0, 0, host], 0)))
            .expect("an address of this machine");
        socket.connect(listener).expect("an address");
        socket.set_read_timeout(Some(Duration::from_millis(1))).expect("not zero");
        let clock = Clock::start();
        let mut connections: Vec<Connection> = (1..=count)
            .map(|id| Connection::initiate(clock.now(), config(), ConnectionId(id), Role::Sender))
            .collect();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let (tell, ready) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let mut is_told = false;
            while !stopped.load(Ordering::Relaxed) {
                keep_up(&socket, &clock, &mut connections);
                if !is_told && !connections.iter().any(Connection::is_connecting) {
                    is_told = true;
                    let _ = tell.send(());
                }
            }
        });
        ready.recv_timeout(PATIENCE).expect("all have been answered");
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Idlers {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("joined once");
        assert!(thread.join().is_ok());
    }
}

fn config() -> Config {
    Config {
        congestion: CongestionChoice::Cubic,
        known_path: None,
        max_rate: None,
        arq: ArqConfig::default(),
        max_datagram: 1_472,
        socket_buffer: 1 << 20,
        max_train: 1,
        trace: false,
        path: PathId::default(),
        secret: [0; 32],
    }
}

/// Hears one datagram, and says what a connection says that has nothing to say.
fn keep_up(socket: &UdpSocket, clock: &Clock, connections: &mut [Connection]) {
    let mut buffer = [0; 2_048];
    if let Ok(len) = socket.recv(&mut buffer) {
        let id = u32::from_be_bytes([buffer[1], buffer[2], buffer[3], buffer[4]]);
        let index = usize::try_from(id).expect("small").wrapping_sub(1);
        if let Some(connection) = connections.get_mut(index) {
            let path = PathId::default();
            let (now, ecn) = (clock.now(), Ecn::NotEct);
            connection.handle_datagram(now, path, ecn, &buffer[..len], &mut |_, _| false);
        }
    }
    let mut batch = Batch::default();
    for connection in connections {
        let now = clock.now();
        if connection.poll_timeout().is_some_and(|at| at <= now) {
            connection.handle_timeout(now);
        }
        while connection.poll_transmit(now, &mut batch) {
            batch.seal();
            for datagram in batch.datagrams() {
                let _ = socket.send(datagram);
            }
        }
    }
}

fn send(bench: &Bench, receiver: &Receiver, options: &[&str]) -> Outcome {
    bench.send(receiver, &["file"], options)
}

#[test]
fn streams_that_say_nothing_take_no_places() {
    let bench = Bench::new();
    bench.file("file", 5_000);
    let receiver = bench.receive(&[]);
    let mut silent = Vec::new();
    for host in [2, 3] {
        silent.extend((0..256).map(|_| connect(host, &receiver.address)));
    }
    for carrier in CARRIERS {
        send(&bench, &receiver, carrier).expect_code(0);
    }
    // Those who wait longest had to go, and have heard why.
    let said = last_words(silent.swap_remove(0));
    assert!(String::from_utf8_lossy(&said).contains("try again later"), "{said:?}");
    drop(silent);
    receiver.stop();
    bench.expect_arrived(&["file"]);
}

#[test]
fn senders_that_offer_nothing_make_room_for_one_from_another_address() {
    let bench = Bench::new();
    bench.file("file", 5_000);
    let receiver = bench.receive(&[]);
    let mut silent = Vec::new();
    let mut left = TRANSFERS_MAX;
    for host in 2.. {
        let count = (left / 2).max(1);
        silent.extend(greet(count, host, &receiver.address));
        left -= count;
        if left == 0 {
            break;
        }
    }
    assert_eq!(silent.len(), TRANSFERS_MAX);
    for carrier in CARRIERS {
        send(&bench, &receiver, carrier).expect_code(0);
    }
    let said = last_words(silent.swap_remove(0));
    assert!(String::from_utf8_lossy(&said).contains("gave that of this transfer"), "{said:?}");
    drop(silent);
    receiver.stop();
    bench.expect_arrived(&["file"]);
}

#[test]
fn connections_that_are_only_kept_up_make_room_too() {
    let bench = Bench::new();
    bench.file("file", 5_000);
    let receiver = bench.receive(&[]);
    let crowd = [2, 3, 4].map(|host| Idlers::come(256, host, &receiver.address));
    for carrier in CARRIERS {
        send(&bench, &receiver, carrier).expect_code(0);
    }
    drop(crowd);
    receiver.stop();
    bench.expect_arrived(&["file"]);
}

#[test]
fn a_greeting_that_is_not_understood_is_answered_in_words() {
    let bench = Bench::new();
    let receiver = bench.receive(&[]);
    let long: Vec<u8> = [17].into_iter().chain([0; 34]).collect();
    for (rest, code, says) in [
        (&[1, 0, 1, 0, 9][..], 6, "a suite, a role"),
        (&[1, 0, 1, 1, 0], 6, "a suite, a role"),
        (&[1, 0, 1, 0, 0, 7], 6, "cannot be read"),
        (&long, 6, "cannot be read"),
        (&[], 6, "cannot be read"),
        (&[1, 0, 9, 0, 0], 10, "version 1"),
        (&[1, 0, 9, 5, 77, 3], 10, "version 1"),
        (&[1, 0, 1, 0, 1], 6, "volley send"),
    ] {
        let body = [&b"volley"[..], rest].concat();
        let mut stream = connect(2, &receiver.address);
        let head = [0, 0, 0, 0, u8::try_from(body.len()).expect("short")];
        stream.write_all(&[&head[..], &body].concat()).expect("it is there");
        let said = last_words(stream);
        assert_eq!(said.get(..1), Some(&[4][..]), "CLOSE: {said:?}");
        assert_eq!(said[5..7], u16::to_be_bytes(code), "{rest:?}");
        assert!(String::from_utf8_lossy(&said).contains(says), "{rest:?}: {said:?}");
    }
    // Who is none of ours gets no word.
    let mut stranger = connect(2, &receiver.address);
    stranger.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("it is there");
    assert_eq!(last_words(stranger), b"");
    receiver.stop();
}

/// Twelve at once where `files` may be open: each is served, or hears that it is busy there.
#[track_caller]
fn serve_twelve(files: usize, carrier: &[&str]) {
    const COUNT: usize = 12;
    let bench = Bench::new();
    let preparation = format!("ulimit -n {files}");
    let line = ["recv", "--open", "--bind", "127.0.0.1", "--port", "0"];
    let receiver = Receiver::listen(Running::start_prepared(&bench.to(), &preparation, &line));
    let names: Vec<String> = (0..=COUNT).map(|index| format!("file {index}")).collect();
    names.iter().for_each(|name| bench.file(name, 300_000));
    let arrived = Mutex::new(vec![]);
    let send = |index: usize| {
        let sent = bench.send(&receiver, &[&names[index]], carrier);
        if sent.code == Some(0) {
            arrived.lock().expect("not held").push(names[index].as_str());
        }
        sent
    };
    for sent in side_by_side(COUNT, COUNT, send) {
        if sent.code != Some(0) {
            sent.expect_code(6).expect_words(&["again later"]);
        }
    }
    assert!(!arrived.lock().expect("not held").is_empty(), "nobody was served");
    send(COUNT).expect_code(0);
    receiver.stop();
    bench.expect_arrived(&arrived.into_inner().expect("not held"));
}

#[test]
fn where_few_files_may_be_open_twelve_senders_are_served_or_hear_that_it_is_busy() {
    for files in [24, 32, 64] {
        CARRIERS.iter().for_each(|carrier| serve_twelve(files, carrier));
    }
}

/// HELLO, and then the beginning of a record that says it is long.
fn slow_record(host: u8, listener: &str) -> TcpStream {
    let mut stream = connect(host, listener);
    let head = [2, 0, 0x10, 0, 0];
    let _ = stream.write_all(&[&hello()[..], &head, &[0; 1_000]].concat());
    stream
}

/// A file is offered, of which nothing comes.
fn empty_promise(host: u8, listener: &str) -> TcpStream {
    let attributes = Attributes { mode: 0o644, seconds: 0, nanoseconds: 0 };
    let kind = Kind::File { size: 1 << 20, holes: None, attributes, source: None };
    let (mut offer, mut record) = (Vec::new(), Vec::new());
    Message::Offer(Entry { path: format!("promise {host}"), kind }).put(&mut offer);
    Record::Messages(&offer).write_to(&mut record);
    let mut stream = connect(host, listener);
    let _ = stream.write_all(&[hello(), record].concat());
    stream
}

/// What the file takes to arrive, in seconds.
fn seconds_for(bench: &Bench, receiver: &Receiver, carrier: &[&str], name: &str) -> f64 {
    bench.file(name, 100_000_000);
    let clock = Clock::start();
    bench.send(receiver, &[name], carrier).expect_code(0);
    clock.now().since(volley::base::time::Instant::ZERO).as_secs_f64()
}

/// 512 at once and more, of every kind: the memory is bounded, and an honest sender is served; how fast is said,
/// not asserted.
#[test]
#[ignore = "a campaign: a minute, and thousands of descriptors"]
fn five_hundred_hostile_peers_of_every_kind_leave_room_for_an_honest_one() {
    let bench = Bench::new();
    let receiver = bench.receive(&[]);
    let address = &receiver.address;
    let alone = CARRIERS.map(|carrier| {
        seconds_for(&bench, &receiver, carrier, &format!("alone{}", carrier.concat()))
    });
    let idlers = [2, 3].map(|host| Idlers::come(128, host, address));
    let mut streams: Vec<TcpStream> = Vec::new();
    for host in [2, 3, 4, 5] {
        streams.extend((0..128).map(|_| connect(host, address)));
        streams.extend((0..128).map(|_| slow_record(host, address)));
        streams.extend((0..128).map(|_| empty_promise(host, address)));
    }
    let among = CARRIERS.map(|carrier| {
        let name = format!("among{}", carrier.concat());
        seconds_for(&bench, &receiver, carrier, &name)
    });
    let peak = receiver.running.peak_memory_kib().expect("it runs");
    note(&format!("alone {alone:?} s, among hostile ones {among:?} s, at most {peak} KiB"));
    assert!(peak < 256 << 10, "{peak} KiB");
    drop((streams, idlers));
    receiver.stop();
}
