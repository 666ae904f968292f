//! What the dearest datagrams cost that a peer can build, at 1 Mbit/s of IP packets: processor time of the listener
//! for each datagram and in a second, beside what it takes without them, and how long another client of the same
//! listener waits for an answer meanwhile.
//!
//! `VOLLEY_BENCH_SECONDS` sets how long each kind is measured (3), `VOLLEY_BENCH_ONLY` what the name of a kind has to
//! contain, `VOLLEY_BENCH_MBIT` another rate.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    reason = "a benchmark measures real time and prints it"
)]

mod attacks;
#[path = "../common/mod.rs"]
#[expect(dead_code, reason = "each benchmark uses its part of the harness")]
mod common;
mod listener;
mod peer;

use attacks::{ATTACKS, Attack, RECORDS, Records, SHARED, Target};
use common::{default_dir, number};
use listener::Listener;
use peer::Peer;
use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use volley::wire::handshake::Role;

/// How often the other client asks for an answer.
const EVERY: Duration = Duration::from_millis(10);

fn main() {
    let span = Duration::from_secs(number("VOLLEY_BENCH_SECONDS", 3));
    let only = std::env::var("VOLLEY_BENCH_ONLY").unwrap_or_default();
    println!(
        "{:36} {:>7} {:>8} {:>9}   another client waits, ms:",
        "", "per s", "ms each", "ms per s"
    );
    let quiet = [Target::Receiver, Target::Sharer].map(|target| {
        let measured = Scene::set(target).measure(span, |end| {
            std::thread::sleep(end.saturating_duration_since(Instant::now()));
            0
        });
        measured.show(&format!("nothing ({target:?})"), 0.0);
        measured.busy
    });
    let quiet = |target| if target == Target::Receiver { quiet[0] } else { quiet[1] };
    for attack in ATTACKS.iter().filter(|attack| attack.name.contains(&only)) {
        let scene = Scene::set(attack.target);
        let mut peer = Peer::call(&scene.listener.address, 3, scene.role());
        (attack.prepare)(&mut peer);
        let measured = scene.measure(span, |end| send(attack, &mut peer, end));
        measured.show(attack.name, quiet(attack.target));
    }
    for records in RECORDS.iter().filter(|records| records.name.contains(&only)) {
        let scene = Scene::set(Target::Receiver);
        let measured = scene.measure(span, |end| write(records, &scene, end));
        measured.show(&format!("TCP: {}", records.name), quiet(Target::Receiver));
    }
}

/// Sends at the rate until that time, or until the listener has enough of it; says how many datagrams.
fn send(attack: &Attack, peer: &mut Peer, end: Instant) -> u64 {
    let begun = Instant::now();
    peer.sent = (0, 0);
    let mut turn = 0;
    while Instant::now() < end && !peer.is_closed {
        if is_ahead(peer.sent.1, begun) {
            std::thread::sleep(Duration::from_micros(200));
            // So that it goes on sending what it sends.
            peer.keep_up();
            continue;
        }
        (attack.next)(peer, turn);
        turn += 1;
    }
    peer.sent.0
}

/// The same over a stream; says how many full segments that were.
fn write(records: &Records, scene: &Scene, end: Instant) -> u64 {
    let mut stream = attacks::stream(&scene.listener.address);
    stream.set_nonblocking(true).expect("a socket");
    let (begun, mut sent, mut turn) = (Instant::now(), 0, 0);
    let mut waiting = Vec::new();
    while Instant::now() < end {
        if is_ahead(sent, begun) {
            std::thread::sleep(Duration::from_micros(200));
            continue;
        }
        if waiting.is_empty() {
            waiting = (records.next)(turn);
            turn += 1;
        }
        match stream.write(&waiting) {
            Ok(len) => {
                waiting.drain(..len);
                sent += len as u64;
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(_) => break,
        }
        // Nobody waits for whoever does not read.
        let _ = stream.read(&mut [0; 4_096]);
    }
    sent / 1_448
}

/// Whether that many bytes since then are more than the rate allows.
fn is_ahead(bytes: u64, begun: Instant) -> bool {
    let rate = number("VOLLEY_BENCH_MBIT", 1) as f64 * 1e6;
    bytes as f64 * 8.0 > rate * begun.elapsed().as_secs_f64()
}

/// A listener, and a directory that it works in.
struct Scene {
    _dir: tempfile::TempDir,
    listener: Listener,
    target: Target,
}

/// What came of it.
struct Measured {
    seconds: f64,
    count: u64,
    /// Processor time, in milliseconds in a second.
    busy: f64,
    /// Of the other client, in milliseconds, the shortest first.
    waited: Vec<f64>,
    unanswered: usize,
}

impl Measured {
    fn show(&self, name: &str, quiet: f64) {
        let busy = self.busy - quiet;
        let rate = self.count as f64 / self.seconds;
        let each = if rate > 0.0 { busy / rate } else { 0.0 };
        let at = |percent: usize| self.waited.get(self.waited.len() * percent / 100);
        let [median, late] = [50, 99].map(|percent| at(percent).copied().unwrap_or(f64::NAN));
        let most = self.waited.last().copied().unwrap_or(f64::NAN);
        println!(
            "{name:36} {rate:7.0} {each:8.3} {busy:9.1}   median {median:.2}, 99 % {late:.2}, most {most:.2}"
        );
        if self.unanswered > 0 {
            println!("{:36} {} times no answer for a second", "", self.unanswered);
        }
    }
}

impl Scene {
    fn set(target: Target) -> Self {
        let dir = tempfile::tempdir_in(default_dir()).expect("a directory to work in");
        let path = dir.path().join("x");
        let command = match target {
            Target::Receiver => {
                std::fs::create_dir(&path).expect("a fresh directory");
                "recv"
            }
            Target::Sharer => {
                let mut file = std::fs::File::create(&path).expect("a fresh directory");
                let piece = vec![7; 1 << 20];
                (0..SHARED >> 20).for_each(|_| file.write_all(&piece).expect("room"));
                "share"
            }
        };
        Self { listener: Listener::start(command, &path), _dir: dir, target }
    }

    fn role(&self) -> Role {
        if self.target == Target::Receiver { Role::Sender } else { Role::Receiver }
    }

    /// Lets `attack` work until that time or as long as it likes, beside a client that asks for answers; it says how
    /// many datagrams it sent.
    fn measure(&self, span: Duration, attack: impl FnOnce(Instant) -> u64) -> Measured {
        let mut client = Peer::call(&self.listener.address, 2, self.role());
        if self.target == Target::Receiver {
            client.say(&[attacks::lacking()]);
        }
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let asking = scope.spawn(|| {
                let (mut waited, mut unanswered) = (Vec::new(), 0);
                while !is_over.load(Ordering::Relaxed) {
                    match client.round_trip() {
                        Some(took) => waited.push(took.as_secs_f64() * 1e3),
                        None => unanswered += 1,
                    }
                    std::thread::sleep(EVERY);
                }
                waited.sort_by(f64::total_cmp);
                (waited, unanswered)
            });
            let (begun, before) = (Instant::now(), self.listener.processor_time());
            let count = attack(begun + span);
            let seconds = begun.elapsed().as_secs_f64();
            let took = self.listener.processor_time().saturating_sub(before);
            let busy = took.as_secs_f64() * 1e3 / seconds;
            is_over.store(true, Ordering::Relaxed);
            let (waited, unanswered) = asking.join().expect("the client does not panic");
            Measured { seconds, count, busy, waited, unanswered }
        })
    }
}
