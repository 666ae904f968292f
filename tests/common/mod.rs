//! The harness for tests of the whole program: real processes on loopback, and two directories.
//!
//! Contents and losses come from one seed, 1 unless the environment variable `VOLLEY_SEED` gives
//! another. Every failing test prints it.

pub(crate) mod held;
pub(crate) mod liar;
pub(crate) mod process;
pub(crate) mod relay;
pub(crate) mod schema;
pub(crate) mod terminal;
pub(crate) mod tree;

pub(crate) use process::{Outcome, Receiver, Running};

use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, SeedableRng};
use serde_json::Value;

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU16, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use volley::transfer::holes::{BLOCK, HOLES_MAX};

/// Only something that hangs takes this long: 4 GiB reach a disk of 15 MB/s before.
const PATIENCE: Duration = Duration::from_secs(300);

/// Who waits this long for a peer that has left has not heard its farewell: after 30 s of silence a
/// connection ends by itself.
const SILENCE: Duration = Duration::from_secs(20);

/// Files are made and compared in pieces of this many bytes.
const PIECE: usize = 1 << 20;

/// Where the receiver keeps what is not committed.
const PARTIAL_AREA: &str = ".volley-partial";

/// What chooses each carrier: tests that hold for both go through both.
pub(crate) const CARRIERS: [&[&str]; 2] = [&[], &["--tcp"]];

/// The seed of this run.
pub(crate) fn seed() -> u64 {
    let given = std::env::var("VOLLEY_SEED").ok();
    given.map_or(1, |seed| seed.parse().expect("VOLLEY_SEED is a number"))
}

/// Says something about a test; shown when the test fails.
#[expect(clippy::print_stdout, reason = "libtest holds back what is printed, and only that")]
pub(crate) fn note(text: &str) {
    println!("{text}");
}

/// The words of a command line.
pub(crate) fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

/// Waits until `condition` holds; fails where that takes longer than anything that works.
#[track_caller]
pub(crate) fn wait_until(what: &str, condition: impl FnMut() -> bool) {
    wait_at_most(PATIENCE, what, condition);
}

/// Waits until `condition` holds; fails where that takes longer than `limit`.
#[track_caller]
fn wait_at_most(limit: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    /// Between two looks.
    const INTERVAL: Duration = Duration::from_millis(5);
    let mut waited = Duration::ZERO;
    while !condition() {
        assert!(waited < limit, "waited in vain: {what}");
        #[expect(clippy::disallowed_methods, reason = "another process offers nothing to wait on")]
        std::thread::sleep(INTERVAL);
        waited += INTERVAL;
    }
}

/// A port of 127.0.0.1 that is free for UDP and TCP, and stays so: no system gives numbers this low
/// to sockets that ask for any port, as those of the tests beside this one do.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Another run of the tests on the same machine begins elsewhere.
    let start = u16::try_from(std::process::id() % 20_000).expect("below 20000");
    loop {
        let port = 10_000 + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 20_000;
        let address = ("127.0.0.1", port);
        if UdpSocket::bind(address).is_ok() && TcpListener::bind(address).is_ok() {
            return port;
        }
    }
}

/// Two directories: the sender's `from` and the receiver's `to`.
#[derive(Debug)]
pub(crate) struct Bench {
    root: tempfile::TempDir,
    /// Bytes of files that were not committed when a sender was last started.
    before: AtomicU64,
}

impl Bench {
    pub(crate) fn new() -> Self {
        note(&format!("VOLLEY_SEED={}", seed()));
        let root = tempfile::tempdir().expect("room for temporary files");
        for side in ["from", "to"] {
            fs::create_dir(root.path().join(side)).expect("room for temporary files");
        }
        Self { root, before: AtomicU64::new(0) }
    }

    /// Where the sender's files are, and its working directory.
    pub(crate) fn from(&self) -> PathBuf {
        self.root.path().join("from")
    }

    /// Where the receiver puts them, and its working directory.
    pub(crate) fn to(&self) -> PathBuf {
        self.root.path().join("to")
    }

    /// Makes a file to send: `size` bytes that depend on the seed, the name and nothing else.
    pub(crate) fn file(&self, name: &str, size: u64) {
        let seed = name
            .bytes()
            .fold(seed(), |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
        let mut draws = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut file = File::create(self.from().join(name)).expect("room for temporary files");
        let mut piece = vec![0; PIECE];
        let mut left = usize::try_from(size).expect("fits into memory");
        while left > 0 {
            let len = left.min(PIECE);
            draws.fill_bytes(&mut piece[..len]);
            file.write_all(&piece[..len]).expect("room for temporary files");
            left -= len;
        }
    }

    /// Makes a file to send of `size` bytes that takes little room and long to send: the holes that an offer
    /// may name are used up soon, and what follows goes as zeros.
    pub(crate) fn long_file(&self, name: &str, size: u64) {
        self.sparse_file(name, size);
        let file = File::options().write(true).open(self.from().join(name)).expect("just made");
        let (step, most) =
            if size > 1 << 30 { (2 * BLOCK, HOLES_MAX + 1) } else { (BLOCK, 1 << 14) };
        for at in (0..size).step_by(usize::try_from(step).expect("small")).take(most) {
            file.write_all_at(b"x", at).expect("room for temporary files");
        }
    }

    /// Makes a file to send of `size` bytes that takes no room: a hole, but for a few bytes at both
    /// ends and on both sides of 4 GiB.
    pub(crate) fn sparse_file(&self, name: &str, size: u64) {
        let mut file = File::create(self.from().join(name)).expect("room for temporary files");
        file.set_len(size).expect("the file system has sparse files");
        for at in [0, (1 << 32) - 4, size - 7] {
            if at + 7 <= size {
                file.seek(SeekFrom::Start(at)).expect("within the file");
                file.write_all(b"a mark.").expect("room for temporary files");
            }
        }
    }

    /// Starts a receiver.
    #[track_caller]
    pub(crate) fn receive(&self, options: &[&str]) -> Receiver {
        Receiver::start(&self.to(), options)
    }

    /// Starts to send `files`.
    pub(crate) fn start_sending(
        &self,
        receiver: &Receiver,
        files: &[&str],
        options: &[&str],
    ) -> Running {
        self.before.store(self.largest_partial(), Ordering::Relaxed);
        let ends = [&["send"], files, &[&receiver.address, "--open"], options].concat();
        Running::start(&self.from(), &ends)
    }

    /// Sends `files` and waits for the outcome.
    #[track_caller]
    pub(crate) fn send(&self, receiver: &Receiver, files: &[&str], options: &[&str]) -> Outcome {
        self.start_sending(receiver, files, options).finish()
    }

    /// Starts to share `paths`.
    #[track_caller]
    pub(crate) fn share(&self, paths: &[&str], options: &[&str]) -> Receiver {
        let line = [&["share"], paths, &process::LISTEN, options].concat();
        Receiver::listen(Running::start(&self.from(), &line))
    }

    /// Starts to get what is shared.
    pub(crate) fn start_getting(&self, sharer: &Receiver, options: &[&str]) -> Running {
        self.before.store(self.largest_partial(), Ordering::Relaxed);
        let line = [&["get", &sharer.address, "--open"], options].concat();
        Running::start(&self.to(), &line)
    }

    /// Gets what is shared, and waits for the outcome.
    #[track_caller]
    pub(crate) fn get(&self, sharer: &Receiver, options: &[&str]) -> Outcome {
        self.start_getting(sharer, options).finish()
    }

    /// Runs the program beside the sender's files.
    #[track_caller]
    pub(crate) fn volley(&self, arguments: &[&str]) -> Outcome {
        Running::start(&self.from(), arguments).finish()
    }

    /// Whether there can be a lab here. Says why not, and fails where one is asked for.
    #[track_caller]
    pub(crate) fn has_lab(&self) -> bool {
        let tried = self.volley(&["lab", "--quiet", "--", "true"]);
        if tried.code == Some(0) {
            return true;
        }
        let must = std::env::var("VOLLEY_TEST_LAB").is_ok_and(|text| text == "must");
        assert!(!must && tried.stderr.contains("no lab here"), "{tried:?}");
        note(&format!("skipped: {}", tried.stderr));
        false
    }

    /// Waits until the receiver has bytes of a file that is not committed, from the sender started last.
    #[track_caller]
    pub(crate) fn wait_for_first_bytes(&self) {
        self.wait_for_bytes_beyond(self.before.load(Ordering::Relaxed));
    }

    /// Takes away what a later transfer could go on with, so that the next one begins anew.
    pub(crate) fn forget_unfinished(&self) {
        for entry in fs::read_dir(self.to().join(PARTIAL_AREA)).into_iter().flatten() {
            fs::remove_file(entry.expect("it can be listed").path()).expect("ours");
        }
    }

    /// Bytes of the largest file that is not committed.
    fn largest_partial(&self) -> u64 {
        let entries = fs::read_dir(self.to().join(PARTIAL_AREA));
        let sizes = entries.into_iter().flatten().map(|entry| {
            // It may be committed between the two looks.
            entry.and_then(|entry| entry.metadata()).map_or(0, |metadata| metadata.len())
        });
        sizes.max().unwrap_or(0)
    }

    /// Waits until the receiver has bytes beyond `position` of a file that is not committed.
    #[track_caller]
    pub(crate) fn wait_for_bytes_beyond(&self, position: u64) {
        wait_until("bytes arrive", || self.largest_partial() > position);
    }

    /// Fails unless the receiver's directory holds `files`, equal to the sender's, and nothing else.
    /// The receiver must have ended: while it runs, there is the partial area.
    #[track_caller]
    pub(crate) fn expect_arrived(&self, files: &[&str]) {
        self.expect_equal(files);
        self.expect_names(files);
    }

    /// Fails unless the receiver's directory holds these names and no others, but for what a later transfer
    /// can go on with.
    #[track_caller]
    pub(crate) fn expect_names(&self, names: &[&str]) {
        let mut expected: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        expected.sort();
        let mut names = names_in(&self.to());
        let area = self.to().join(PARTIAL_AREA);
        let is_kept =
            |name: &String| [".part", ".journal", ".made"].iter().any(|end| name.ends_with(end));
        if area.exists() && names_in(&area).iter().all(is_kept) && !names_in(&area).is_empty() {
            names.retain(|name| name != PARTIAL_AREA);
        }
        assert_eq!(names, expected, "names at the receiver");
    }

    /// Fails unless the receiver has `files` as the sender has.
    #[track_caller]
    pub(crate) fn expect_equal(&self, files: &[&str]) {
        for name in files {
            let fault = difference(&self.from().join(name), &self.to().join(name));
            assert_eq!(fault, None, "{name}, VOLLEY_SEED={}", seed());
        }
    }
}

fn names_in(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("it can be listed");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("it can be listed").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// What tells two files apart, if anything does.
fn difference(one: &Path, other: &Path) -> Option<String> {
    let open = |path: &Path| {
        File::open(path).map_err(|error| format!("cannot open {}: {error}", path.display()))
    };
    let (mut one, mut other) = match (open(one), open(other)) {
        (Ok(one), Ok(other)) => (one, other),
        (Err(error), _) | (_, Err(error)) => return Some(error),
    };
    let sizes = [&one, &other].map(|file| file.metadata().expect("open").len());
    if sizes[0] != sizes[1] {
        return Some(format!("{} and {} bytes", sizes[0], sizes[1]));
    }
    let mut pieces = [vec![0; PIECE], vec![0; PIECE]];
    let mut at = 0;
    while at < sizes[0] {
        let len = usize::try_from(sizes[0] - at).unwrap_or(PIECE).min(PIECE);
        one.read_exact(&mut pieces[0][..len]).expect("as long as it says");
        other.read_exact(&mut pieces[1][..len]).expect("as long as it says");
        if pieces[0][..len] != pieces[1][..len] {
            let place = (0..len).find(|&place| pieces[0][place] != pieces[1][place]);
            return Some(format!("byte {} differs", at + place.expect("they differ") as u64));
        }
        at += len as u64;
    }
    None
}

/// Does `work` for each number below `count`, `width` at a time.
pub(crate) fn side_by_side(
    count: usize,
    width: usize,
    work: impl Fn(usize) -> Outcome + Sync,
) -> Vec<Outcome> {
    let next = AtomicUsize::new(0);
    let outcomes = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..width {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= count {
                        return;
                    }
                    let outcome = work(index);
                    outcomes.lock().expect("nobody panics while holding it").push(outcome);
                }
            });
        }
    });
    outcomes.into_inner().expect("nobody panicked while holding it")
}

#[track_caller]
pub(crate) fn expect_all_done(outcomes: &[Outcome], count: usize) {
    let failed: Vec<&Outcome> = outcomes.iter().filter(|one| one.code != Some(0)).collect();
    assert_eq!((outcomes.len(), failed.len()), (count, 0), "{failed:#?}");
}

/// Fails unless the link was as configured and lost what it should: exactly by configuration, and
/// within four standard deviations where so many datagrams were offered that this means something.
#[track_caller]
pub(crate) fn expect_link(report: &Value, loss: f64, seed: u64) {
    let link = &report["link"];
    assert_eq!(link["seed"], seed, "{link}");
    for way in ["out", "back"] {
        let configured = link[way]["configured"]["loss"].as_f64().expect("a number");
        assert!((configured - loss).abs() < 1e-9, "{link}");
        let count = |what: &str| link[way][what].as_f64().expect("a number");
        let (offered, lost) = (count("offered"), count("lost"));
        let sigma = (offered * loss * (1.0 - loss)).sqrt();
        let is_likely = (lost - offered * loss).abs() <= 4.0 * sigma;
        assert!(offered < 1000.0 || is_likely, "{way}: {lost} of {offered} lost: {link}");
        let observed = link[way]["observed_loss"].as_f64().expect("a number");
        assert!((observed - lost / offered.max(1.0)).abs() < 1e-9, "{link}");
    }
}
