//! `volley relay` between programs that know nothing of it: sockets of the tests, and volley itself.

#[expect(dead_code, reason = "each test file uses its part of the harness")]
mod common;

use common::{Bench, Running, free_port, note, seed, words};
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use volley::os::clock::Clock;

/// Who waits this long for a datagram on loopback that nothing loses waits in vain.
const LONG: Duration = Duration::from_secs(60);

/// Nothing is on its way any more if nothing has come for this long.
const QUIET: Duration = Duration::from_millis(500);

/// Datagrams on the way at the same time: fewer than the smallest usual socket buffer holds.
const WINDOW: u64 = 64;

/// A relay at work.
struct Relay {
    running: Running,
    address: SocketAddr,
}

impl Relay {
    fn start(to: SocketAddr, options: &str) -> Self {
        Self::listen("127.0.0.1:0", to, options)
    }

    fn listen(listen: &str, to: SocketAddr, options: &str) -> Self {
        note(&format!("VOLLEY_SEED={}", seed()));
        let line = format!("relay --listen {listen} --to {to} --json {options}");
        let mut running = Running::start(Path::new("."), &words(&line));
        let address = running.wait_to_read(|stderr| {
            // The address is on a line of its own, below the first.
            let (_, rest) = stderr.split_once("point clients at\n  ")?;
            rest.split_once('\n')?.0.parse().ok()
        });
        Self { running, address }
    }

    fn with_seed(to: SocketAddr, options: &str) -> Self {
        Self::start(to, &format!("{options} --seed {}", seed()))
    }

    /// Ends it as Ctrl-C does.
    #[track_caller]
    fn stop(self) -> Value {
        self.running.signal("INT");
        let outcome = self.running.finish().expect_code(130).expect_words(&["relayed 127.0.0.1:"]);
        outcome.json()
    }
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback");
    socket.set_read_timeout(Some(LONG)).expect("not zero");
    socket
}

fn client_of(relay: &Relay) -> UdpSocket {
    let socket = socket();
    socket.connect(relay.address).expect("loopback");
    socket
}

fn address_of(socket: &UdpSocket) -> SocketAddr {
    socket.local_addr().expect("bound")
}

fn received(socket: &UdpSocket) -> Vec<u8> {
    let mut buffer = vec![0; 1 << 16];
    let len = socket.recv(&mut buffer).expect("a datagram comes in time");
    buffer.truncate(len);
    buffer
}

/// What comes until nothing has come for a while.
fn drain(socket: &UdpSocket) -> Vec<Vec<u8>> {
    socket.set_read_timeout(Some(QUIET)).expect("not zero");
    let mut buffer = vec![0; 1 << 16];
    let mut all = Vec::new();
    while let Ok(len) = socket.recv(&mut buffer) {
        all.push(buffer[..len].to_vec());
    }
    all
}

/// A server that sends everything back, as often as it comes.
struct Echo {
    address: SocketAddr,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Echo {
    fn start() -> Self {
        Self::on(socket())
    }

    fn on(socket: UdpSocket) -> Self {
        let address = address_of(&socket);
        let is_over = Arc::new(AtomicBool::new(false));
        let until = is_over.clone();
        let thread = std::thread::spawn(move || {
            let mut buffer = vec![0; 1 << 16];
            while !until.load(Ordering::Relaxed) {
                if let Ok((len, from)) = socket.recv_from(&mut buffer) {
                    socket.send_to(&buffer[..len], from).expect("loopback");
                }
            }
        });
        Self { address, is_over, thread: Some(thread) }
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        socket().send_to(b"over", self.address).expect("loopback");
        let thread = self.thread.take().expect("joined once");
        let _ = thread.join();
    }
}

/// Sends numbered datagrams, a window of them at a time, and returns how often each came back. In
/// order, so that who was overtaken is lost.
fn exchange(client: &UdpSocket, count: u64) -> BTreeMap<u64, u64> {
    let mut came_back = BTreeMap::new();
    let (mut next, mut expected) = (0, 0);
    while next < count {
        while next < count && next < expected + WINDOW {
            client.send(&next.to_be_bytes()).expect("loopback");
            next += 1;
        }
        let number = number_in(&received(client));
        *came_back.entry(number).or_insert(0) += 1;
        expected = number + 1;
    }
    for datagram in drain(client) {
        *came_back.entry(number_in(&datagram)).or_insert(0) += 1;
    }
    came_back
}

fn number_in(datagram: &[u8]) -> u64 {
    u64::from_be_bytes(datagram.try_into().expect("eight bytes"))
}

fn count(report: &Value, path: &str) -> u64 {
    report.pointer(path).and_then(Value::as_u64).unwrap_or_else(|| panic!("{path} in {report}"))
}

#[test]
fn observed_loss_is_within_three_sigma_each_way() {
    const SENT: u64 = 22_000;
    let echo = Echo::start();
    let relay = Relay::with_seed(echo.address, "--loss 5%");
    let came_back = exchange(&client_of(&relay), SENT).len() as u64;
    let report = relay.stop();
    // Nothing gets lost that the relay does not know of.
    assert_eq!(count(&report, "/link/out/offered"), SENT, "{report}");
    let survived = SENT - count(&report, "/link/out/lost");
    assert_eq!(count(&report, "/link/back/offered"), survived, "{report}");
    assert_eq!(survived - count(&report, "/link/back/lost"), came_back, "{report}");
    for way in ["out", "back"] {
        let [offered, lost] =
            ["offered", "lost"].map(|what| count(&report, &format!("/link/{way}/{what}")) as f64);
        let sigma = (offered * 0.05 * 0.95).sqrt();
        assert!(offered >= 20_000.0 && (lost - offered * 0.05).abs() <= 3.0 * sigma, "{report}");
    }
}

#[test]
fn copies_are_as_many_as_it_says() {
    const SENT: u64 = 3_000;
    let echo = Echo::start();
    let relay = Relay::with_seed(echo.address, "--duplicate 10% --back clean");
    let came_back = exchange(&client_of(&relay), SENT);
    let report = relay.stop();
    let twice = came_back.values().filter(|times| **times == 2).count() as u64;
    assert!(came_back.len() as u64 == SENT && came_back.values().all(|times| *times <= 2));
    assert!((200..400).contains(&twice), "{twice}");
    assert_eq!(count(&report, "/link/out/duplicated"), twice);
    assert_eq!(count(&report, "/link/out/delivered"), SENT + twice);
}

#[test]
fn wrong_bits_are_as_many_as_it_says() {
    let server = socket();
    let relay = Relay::with_seed(address_of(&server), "--corrupt 10%");
    let client = client_of(&relay);
    let mut damaged = 0;
    for _ in 0..1_000 {
        client.send(&[0; 64]).expect("loopback");
        let heard = received(&server);
        let ones: u32 = heard.iter().map(|byte| byte.count_ones()).sum();
        assert!(heard.len() == 64 && ones <= 1, "{heard:?}");
        damaged += u64::from(ones);
    }
    assert!((50..150).contains(&damaged), "{damaged}");
    assert_eq!(count(&relay.stop(), "/link/out/corrupted"), damaged);
}

#[test]
fn nothing_arrives_before_its_delay() {
    let echo = Echo::start();
    let relay = Relay::start(echo.address, "--delay 15ms --back delay=5ms");
    let client = client_of(&relay);
    let clock = Clock::start();
    for number in 0..20u64 {
        let sent = clock.now();
        client.send(&number.to_be_bytes()).expect("loopback");
        assert_eq!(number_in(&received(&client)), number);
        let took = clock.now().since(sent);
        assert!(took >= Duration::from_millis(20), "{took:?}");
    }
    relay.stop();
}

#[test]
fn fifty_clients_each_get_their_own_answers() {
    let echo = Echo::start();
    let relay = Relay::start(echo.address, "--delay 2ms --jitter 1ms");
    let clients: Vec<UdpSocket> = (0..50).map(|_| client_of(&relay)).collect();
    for round in 0..20u64 {
        for (index, client) in (0u64..).zip(&clients) {
            client.send(&(index * 1_000 + round).to_be_bytes()).expect("loopback");
        }
        for (index, client) in (0u64..).zip(&clients) {
            assert_eq!(number_in(&received(client)), index * 1_000 + round);
        }
    }
    let report = relay.stop();
    assert_eq!(
        (count(&report, "/clients/ever"), count(&report, "/link/back/delivered")),
        (50, 1_000)
    );
}

#[test]
fn more_clients_than_there_is_room_for_are_served_all_the_same() {
    let echo = Echo::start();
    let relay = Relay::start(echo.address, "");
    for number in 0..600u64 {
        let client = client_of(&relay);
        client.send(&number.to_be_bytes()).expect("loopback");
        assert_eq!(number_in(&received(&client)), number);
    }
    let report = relay.stop();
    let displaced = count(&report, "/clients/ever") - 512;
    assert!(displaced > 0 && count(&report, "/clients/displaced") == displaced, "{report}");
}

#[test]
fn datagrams_of_any_size_pass_where_no_link_is_asked_for() {
    let echo = Echo::start();
    let relay = Relay::start(echo.address, "");
    let client = client_of(&relay);
    for size in [0, 1, 1_472, 1_473, 9_000, 65_507] {
        let sent = vec![7; size];
        client.send(&sent).expect("loopback");
        assert!(received(&client) == sent, "{size}");
    }
    relay.stop();
}

#[test]
fn a_train_that_the_system_merged_is_counted_by_its_datagrams() {
    let server = socket();
    let relay = Relay::start(address_of(&server), "--drop 2,4");
    let client = client_of(&relay);
    let train: Vec<u8> = [1, 2, 3, 4, 5].iter().flat_map(|byte| vec![*byte; 1_000]).collect();
    let state = quinn_udp::UdpSocketState::new((&client).into()).expect("a socket");
    let destination = relay.address;
    let transmit = quinn_udp::Transmit {
        destination,
        ecn: None,
        contents: &train,
        segment_size: (state.max_gso_segments() >= 5).then_some(1_000),
        src_ip: None,
    };
    if transmit.segment_size.is_some() {
        state.try_send((&client).into(), &transmit).expect("loopback");
    } else {
        for datagram in train.chunks(1_000) {
            client.send(datagram).expect("loopback");
        }
    }
    for byte in [1, 3, 5] {
        assert_eq!(received(&server), [byte; 1_000]);
    }
    assert_eq!(count(&relay.stop(), "/link/out/offered"), 5);
}

#[test]
fn a_server_that_is_not_there_yet_is_served_as_soon_as_it_is() {
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let relay = Relay::start(address, "");
    let client = client_of(&relay);
    for _ in 0..50 {
        client.send(b"is anybody there?").expect("the relay is there");
    }
    let server = UdpSocket::bind(address).expect("free");
    let echo = Echo::on(server);
    client.send(b"now?").expect("the relay is there");
    while received(&client) != b"now?" {}
    drop(echo);
    let report = relay.stop();
    assert_eq!(count(&report, "/link/out/delivered"), 51, "{report}");
    assert_eq!(count(&report, "/unsent"), 0, "{report}");
}

#[test]
fn a_refusal_costs_no_datagram_but_the_refused_one() {
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let relay = Relay::start(address, "");
    let client = client_of(&relay);
    for _ in 0..20 {
        client.send(b"x").expect("the relay is there");
    }
    assert_eq!(drain(&client).len(), 0);
    let report = relay.stop();
    assert_eq!(count(&report, "/refused"), 20, "{report}");
    assert_eq!(count(&report, "/unsent"), 0, "{report}");
}

#[test]
fn a_server_that_answers_from_another_port_is_spoken_to_there() {
    let [door, room] = [socket(), socket()];
    let relay = Relay::start(address_of(&door), "");
    let client = client_of(&relay);
    client.send(b"may I?").expect("loopback");
    let (_, visitor) = door.recv_from(&mut [0; 100]).expect("loopback");
    room.send_to(b"come in", visitor).expect("loopback");
    assert_eq!(received(&client), b"come in");
    client.send(b"here I am").expect("loopback");
    assert_eq!(received(&room), b"here I am");
    // The room is left: what is said to it is refused, and the door is the way in again.
    drop(room);
    client.send(b"hello?").expect("loopback");
    assert_eq!(drain(&client).len(), 0);
    client.send(b"may I?").expect("loopback");
    assert_eq!(received(&door), b"may I?");
    assert_eq!(count(&relay.stop(), "/refused"), 1);
}

#[test]
fn answers_leave_from_the_address_that_was_asked() {
    let echo = Echo::start();
    let port = free_port();
    let relay = Relay::listen(&format!(":{port}"), echo.address, "");
    for host in ["127.0.0.1", "127.0.0.2"] {
        let client = socket();
        // A connected socket hears its peer only.
        client.connect((host, port)).expect("Linux has all of 127.0.0.0/8");
        client.send(b"x").expect("loopback");
        assert_eq!(received(&client), b"x", "{host}");
    }
    relay.running.signal("TERM");
    relay.running.finish().expect_code(143).json();
}

#[test]
fn a_transfer_through_a_lossy_relay_arrives_equal() {
    let bench = Bench::new();
    bench.file("file", 1_000_000);
    let receiver = bench.receive(&["--once"]);
    let to = receiver.address.parse().expect("an address");
    let relay = Relay::with_seed(to, "--loss 5% --delay 5ms");
    let address = relay.address.to_string();
    let line = ["send", "file", &address, "--open", "--cc", "fixed:20Mbit"];
    bench.volley(&line).expect_code(0);
    receiver.finish_by_farewell().expect_code(0);
    bench.expect_arrived(&["file"]);
    let report = relay.stop();
    assert!(count(&report, "/link/out/lost") > 0 && count(&report, "/clients/ever") == 1);
}

#[test]
fn what_cannot_be_done_is_said_and_what_to_do() {
    let bench = Bench::new();
    let taken = socket();
    let address = address_of(&taken).to_string();
    let port = address_of(&taken).port().to_string();
    let refused = |line: &[&str], code, words: &[&str]| {
        bench.volley(&[&["relay"], line].concat()).expect_code(code).expect_words(words);
    };
    refused(&["--listen", &address, "--to", "127.0.0.1:53"], 1, &[&port, "in use", "--listen"]);
    refused(&["--listen", "127.0.0.1:9", "--to", "127.0.0.1:9"], 1, &["itself"]);
    refused(&["--listen", "192.0.2.1:5300", "--to", "53"], 1, &["no address of this machine"]);
    refused(&["--listen", "0", "--to", "no-such-host.invalid:53"], 3, &["no-such-host.invalid"]);
    refused(&["--listen", "0", "--to", "127.0.0.1"], 2, &["127.0.0.1:53"]);
    refused(&["--listen", "127.0.0.1", "--to", "53"], 2, &["lacks a port"]);
    refused(&["--listen", "0", "--to", "53", "--seed", "1"], 2, &["--loss"]);
    refused(&["--listen", "0"], 2, &["--to"]);
    refused(&["--to", "53"], 2, &["--listen"]);
}

#[test]
fn a_quiet_relay_says_nothing() {
    let bench = Bench::new();
    let port = free_port();
    let line = format!("relay --listen 127.0.0.1:{port} --to 53 -q --json --loss 100%");
    let relay = Running::start(&bench.from(), &words(&line));
    let client = socket();
    common::wait_until("the relay listens", || {
        client.connect(("127.0.0.1", port)).expect("loopback");
        // Where nobody listens, the second one is told so.
        client.send(b"x").is_ok() && client.send(b"x").is_ok()
    });
    relay.signal("INT");
    let outcome = relay.finish().expect_code(130);
    assert_eq!(outcome.stderr, "");
    assert_eq!(outcome.json()["exit_code"], 130);
}
