//! How well `volley relay` keeps what it is asked for, over loopback: the rate at 100 Mbit/s, the delay
//! under load and past the relay, the loss, and how many datagrams a second it can relay at all.
//!
//! On a busy machine the delay is the scheduler's. Run the built benchmark with `chrt -f 20` as root to
//! see what the relay itself adds; the last two lines mean nothing then, for the sender starves the rest.
//!
//! `VOLLEY_BENCH_SECONDS` sets how long each measurement takes (3).
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    reason = "a benchmark measures real time and prints it"
)]

use std::io::{BufRead, BufReader, Read};
use std::net::UdpSocket;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const VOLLEY: &str = env!("CARGO_BIN_EXE_volley");

/// UDP payload, and what IPv4 and UDP add to it.
const PAYLOAD: usize = 1_200;
const HEADERS: usize = 28;

/// Nothing comes any more.
const QUIET: Duration = Duration::from_millis(500);

fn main() {
    let seconds = std::env::var("VOLLEY_BENCH_SECONDS").ok().and_then(|text| text.parse().ok());
    let span = Duration::from_secs(seconds.unwrap_or(3));
    rate(span);
    delay(span, 10e6);
    delay(span, 50e6);
    loss(span);
    most(span, 100);
    most(span, PAYLOAD);
}

/// More is offered than the link lets through: what comes out is the rate.
fn rate(span: Duration) {
    let scene = Scene::set("--rate 100Mbit --queue 200KB --back clean");
    let sender = scene.send_in_background(span, PAYLOAD, 130e6);
    let arrivals = scene.receive(|_| {});
    sender.join().expect("the sender does not panic");
    // The queue fills first and drains last; what is between counts.
    let middle = &arrivals[arrivals.len() / 10..arrivals.len() * 9 / 10];
    let took = *middle.last().expect("something came") - middle[0];
    let bits = ((middle.len() - 1) * (PAYLOAD + HEADERS) * 8) as f64;
    let rate = bits / took.as_secs_f64();
    println!("rate   asked for 100 Mbit/s, offered 130: {:.2} Mbit/s", rate / 1e6);
}

/// Each datagram carries when it was sent. Past the relay, the same traffic shows what the machine
/// itself adds to it, and a thread that does nothing but sleep how late the machine wakes who waits
/// for a moment, as the relay has to.
fn delay(span: Duration, load: f64) {
    let through = Scene::set("--delay 20ms --back clean");
    let mut past = Scene::set("--delay 20ms --back clean");
    past.address = past.server.local_addr().expect("bound").to_string();
    println!("delay  asked for 20 ms, {:.0} Mbit/s; beyond what was asked for, in ms:", load / 1e6);
    for (name, scene, asked) in [("relay", through, 20.0), ("no relay", past, 0.0)] {
        let sender = scene.send_in_background(span, PAYLOAD, load);
        let start = scene.start;
        let mut late = Vec::new();
        scene.receive(|datagram| {
            let sent = u64::from_be_bytes(datagram[..8].try_into().expect("eight bytes"));
            let took = start.elapsed().saturating_sub(Duration::from_nanos(sent));
            late.push(took.as_secs_f64() * 1e3 - asked);
        });
        sender.join().expect("the sender does not panic");
        show(name, late);
    }
    let begun = Instant::now();
    let mut late = Vec::new();
    while begun.elapsed() < span {
        let wakes_at = Instant::now() + Duration::from_millis(1);
        std::thread::sleep(Duration::from_millis(1));
        late.push(wakes_at.elapsed().as_secs_f64() * 1e3);
    }
    show("sleep", late);
}

fn show(name: &str, mut late: Vec<f64>) {
    late.sort_by(f64::total_cmp);
    let at = |percent: usize| late[(late.len() - 1) * percent / 100];
    println!(
        "       {name:<9} least {:+.3}, median {:+.3}, 90 % {:+.3}, 99 % {:+.3}, most {:+.3}",
        at(0),
        at(50),
        at(90),
        at(99),
        at(100)
    );
}

fn loss(span: Duration) {
    let scene = Scene::set("--loss 5% --back clean --seed 1");
    let sender = scene.send_in_background(span, PAYLOAD, 100e6);
    let arrived = scene.receive(|_| {}).len() as f64;
    let sent = sender.join().expect("the sender does not panic") as f64;
    let sigma = (sent * 0.05 * 0.95).sqrt();
    let lost = sent - arrived;
    println!(
        "loss   asked for 5 %, {sent} datagrams at 100 Mbit/s: {:.3} %, {:+.2} sigma",
        lost / sent * 100.0,
        (lost - sent * 0.05) / sigma
    );
}

/// As fast as one thread can send: what the relay cannot take, the system drops before it.
fn most(span: Duration, payload: usize) {
    let scene = Scene::set("");
    let sender = scene.send_in_background(span, payload, f64::INFINITY);
    let arrivals = scene.receive(|_| {});
    let sent = sender.join().expect("the sender does not panic");
    let took = *arrivals.last().expect("something came") - arrivals[0];
    let rate = arrivals.len() as f64 / took.as_secs_f64();
    println!(
        "most   {payload} bytes each: {:.0} datagrams/s, {:.0} Mbit/s of IP packets ({:.0} % of what was sent)",
        rate,
        rate * ((payload + HEADERS) * 8) as f64 / 1e6,
        arrivals.len() as f64 / sent as f64 * 100.0
    );
}

/// A relay and its server.
struct Scene {
    relay: Child,
    server: UdpSocket,
    address: String,
    start: Instant,
}

impl Scene {
    fn set(options: &str) -> Self {
        let server = UdpSocket::bind("127.0.0.1:0").expect("loopback");
        // A server that drops what it is sent would measure itself; most systems grant less.
        let _ = socket2::SockRef::from(&server).set_recv_buffer_size(8 << 20);
        server.set_read_timeout(Some(QUIET)).expect("not zero");
        let to = server.local_addr().expect("bound").to_string();
        let mut relay = Command::new(VOLLEY)
            .args(["relay", "--listen", "127.0.0.1:0", "--to", &to])
            .args(options.split_whitespace())
            .stderr(Stdio::piped())
            .spawn()
            .expect("volley was built");
        let words = BufReader::new(relay.stderr.as_mut().expect("piped"));
        let line = words.lines().nth(1).expect("a greeting").expect("UTF-8");
        let address = line.trim().to_owned();
        Self { relay, server, address, start: Instant::now() }
    }

    /// Sends so many bits of IP packets a second; returns how many datagrams those were.
    fn send_in_background(
        &self,
        span: Duration,
        payload: usize,
        bits_per_second: f64,
    ) -> std::thread::JoinHandle<u64> {
        let (start, address) = (self.start, self.address.clone());
        std::thread::spawn(move || {
            let client = UdpSocket::bind("127.0.0.1:0").expect("loopback");
            client.connect(address).expect("loopback");
            let gap = ((payload + HEADERS) * 8) as f64 / bits_per_second;
            let begun = Instant::now();
            let mut datagram = vec![0; payload];
            let mut count = 0;
            while begun.elapsed() < span {
                let ahead = count as f64 * gap - begun.elapsed().as_secs_f64();
                if ahead > 0.0 {
                    std::thread::sleep(Duration::from_secs_f64(ahead.min(0.1)));
                    continue;
                }
                let now = u64::try_from(start.elapsed().as_nanos()).expect("not centuries");
                datagram[..8].copy_from_slice(&now.to_be_bytes());
                client.send(&datagram).expect("loopback");
                count += 1;
            }
            count
        })
    }

    /// Receives until nothing comes any more; returns when each datagram came.
    fn receive(&self, mut each: impl FnMut(&[u8])) -> Vec<Instant> {
        let mut buffer = [0; 1 << 16];
        let mut arrivals = Vec::new();
        while let Ok(len) = self.server.recv(&mut buffer) {
            arrivals.push(Instant::now());
            each(&buffer[..len]);
        }
        arrivals
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = self.relay.kill();
        let _ = self.relay.wait();
        let _ = self.relay.stderr.take().expect("piped").read_to_end(&mut Vec::new());
    }
}
