//! Peers that lie: a valid transfer in which, drawn from a seed, messages and bytes of one side are changed.
//!
//! Whatever is said, no side reports success with a file, a hash or a list that is not the source's.
//! `cargo test` tries some hundred seeds, the campaign 10,000:
//! `cargo test --release --test liars -- --ignored`
//!
//! - `VOLLEY_LIES=N` tries N of them;
//! - `VOLLEY_SEED=N` is the first one, 1 unless given.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, RngExt, SeedableRng};
use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use volley::transfer::directory::Directory;
use volley::transfer::entry::{Attributes, Entry, Kind, SourceId};
use volley::transfer::hash::{GROUP, Hash};
use volley::transfer::holes::{BLOCK, Holes};
use volley::transfer::job::Job;
use volley::transfer::message::{Message, MessageReader};
use volley::transfer::outcome::{Done, Reason, TransferReport};
use volley::transfer::receiver::Receiving;
use volley::transfer::sender::Sending;
use volley::transfer::sink::{Sink, SinkPolicy};
use volley::transfer::source::Source;
use volley::transfer::walk::Selection;

/// Steps without anything new after which a side waits for what will never come.
const IDLE_STEPS: usize = 6;

/// Only something that hangs takes so many steps.
const STEPS_MAX: usize = 5_000;

/// Bytes sent at once.
const PIECE: u64 = 300_000;

/// Which side lies, and what the transfer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Liar {
    Sender,
    Receiver,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Transfer,
    List,
    Plan,
}

#[test]
fn no_lie_of_some_hundred_becomes_a_success() {
    try_seeds(300);
}

#[test]
#[ignore = "a campaign"]
fn no_lie_of_ten_thousand_becomes_a_success() {
    try_seeds(10_000);
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |given| given.parse().expect("a number"))
}

fn try_seeds(count: u64) {
    let first = number("VOLLEY_SEED", 1);
    let sources = tempfile::tempdir().expect("room");
    let files = make_sources(sources.path());
    let failed: Vec<u64> = (first..first + number("VOLLEY_LIES", count))
        .filter(|seed| catch_unwind(|| try_one(*seed, sources.path(), &files)).is_err())
        .collect();
    assert!(failed.is_empty(), "VOLLEY_LIES=1 and VOLLEY_SEED of {failed:?}");
}

/// Files of each kind: none, one byte, one group, several, some of them in a hole.
fn make_sources(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let sizes = [("a-few", 700), ("empty", 0), ("groups", 2 * GROUP + 1), ("one", 1)];
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(77);
    let files = sizes.map(|(name, size)| {
        let mut bytes = vec![0; usize::try_from(size).expect("small")];
        rng.fill_bytes(&mut bytes);
        fs::write(root.join(name), &bytes).expect("room");
        (name.to_owned(), bytes)
    });
    let mut files = BTreeMap::from(files);
    let mut hollow = vec![0; usize::try_from(4 * GROUP).expect("small")];
    let ends = [0..100, 4 * GROUP - 50..4 * GROUP];
    let file = fs::File::create(root.join("hollow")).expect("room");
    file.set_len(4 * GROUP).expect("there are holes");
    for Range { start, end } in ends {
        let [from, to] = [start, end].map(|at| usize::try_from(at).expect("small"));
        rng.fill_bytes(&mut hollow[from..to]);
        file.write_all_at(&hollow[from..to], start).expect("room");
    }
    files.insert("hollow".to_owned(), hollow);
    files
}

struct Play {
    rng: Xoshiro256PlusPlus,
    liar: Liar,
    purpose: Purpose,
    sending: Sending,
    source: Source,
    /// What goes after all.
    restored: VecDeque<Range<u64>>,
    receiving: Receiving,
    sink: Sink,
    at: u64,
    /// Which of the liar's messages are changed.
    lies: Vec<usize>,
    /// Whether file bytes are changed now and then.
    spoils: bool,
    /// Messages of the liar so far, and one that is held back.
    said: usize,
    held: Option<Message>,
    cutter: MessageReader,
    listed: Vec<Entry>,
}

fn try_one(seed: u64, sources: &Path, files: &BTreeMap<String, Vec<u8>>) {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let target = tempfile::tempdir().expect("room");
    // Some of it may be there already, or something else of the same size.
    for (name, bytes) in files {
        match rng.random_range(0..6) {
            0 => fs::write(target.path().join(name), bytes).expect("room"),
            1 if !bytes.is_empty() => {
                fs::write(target.path().join(name), vec![1; bytes.len()]).expect("room");
            }
            _ => {}
        }
    }
    let paths: Vec<PathBuf> = files.keys().map(|name| sources.join(name)).collect();
    let selection = Selection { paths, ..Selection::default() };
    let liar = if rng.random_range(0..2) == 0 { Liar::Sender } else { Liar::Receiver };
    let purpose = match rng.random_range(0..8) {
        0 => Purpose::List,
        1 => Purpose::Plan,
        _ => Purpose::Transfer,
    };
    let (sending, receiving) = match purpose {
        Purpose::List => (Sending::listing(&selection), Receiving::listing()),
        Purpose::Plan => (Sending::planning(&selection), Receiving::new(false)),
        Purpose::Transfer => (Sending::new(&selection), Receiving::new(false)),
    };
    let mut source = Source::new(&selection);
    source.open().expect("readable");
    let directory = Arc::new(Directory::open(target.path()).expect("it is there"));
    let policy = SinkPolicy::default();
    let lies = (0..rng.random_range(0..4)).map(|_| rng.random_range(0..14)).collect();
    let spoils = rng.random_range(0..6) == 0;
    let mut play = Play {
        rng,
        liar,
        purpose,
        sending,
        source,
        restored: VecDeque::new(),
        receiving,
        sink: Sink::new(directory, policy, seed),
        at: 0,
        lies,
        spoils,
        said: 0,
        held: None,
        cutter: MessageReader::default(),
        listed: Vec::new(),
    };
    play.run();
    let Play { sending, receiving, sink, purpose, listed, .. } = play;
    drop(sink);
    let is_honest = liar == Liar::Receiver;
    if sending.is_complete() {
        expect_true_of_the_source(&sending.report(None, None), files);
    }
    if receiving.is_complete() {
        expect_true_of_the_target(&receiving.report(None, None), target.path());
        if purpose == Purpose::List && is_honest {
            let names: Vec<_> = listed.iter().map(|entry| entry.path.clone()).collect();
            assert_eq!(names, files.keys().cloned().collect::<Vec<_>>());
        }
    }
    if is_honest {
        expect_only_sources(target.path(), files);
    }
}

/// Each file that the sender calls done has the hash of its source.
fn expect_true_of_the_source(report: &TransferReport, files: &BTreeMap<String, Vec<u8>>) {
    for file in &report.files {
        if let Ok(Done::Committed { hash, .. } | Done::Same(hash)) = &file.outcome {
            assert_eq!(*hash, Hash::of(&files[&file.name]), "{}", file.name);
        }
    }
}

/// Each file that the receiver calls done is there, with the hash that it says.
fn expect_true_of_the_target(report: &TransferReport, target: &Path) {
    for file in &report.files {
        if let Ok(Done::Committed { hash, .. } | Done::Same(hash)) = &file.outcome {
            let there = fs::read(target.join(&file.name)).expect("it is committed");
            assert_eq!(*hash, Hash::of(&there), "{}", file.name);
        }
    }
}

/// Of an honest sender nothing else arrives than what it has.
fn expect_only_sources(target: &Path, files: &BTreeMap<String, Vec<u8>>) {
    for (name, bytes) in files {
        let Ok(there) = fs::read(target.join(name)) else { continue };
        let was_there = !there.is_empty() && there.iter().all(|byte| *byte == 1);
        assert!(there == *bytes || was_there, "{name}");
    }
}

impl Play {
    /// Until both have what they want, one sees that the other lies, or nothing more comes.
    fn run(&mut self) {
        let mut idle = 0;
        for _ in 0..STEPS_MAX {
            if self.step() {
                idle = 0;
            } else {
                idle += 1;
            }
            let is_over = self.sending.is_complete() && self.receiving.is_complete();
            if is_over || idle > IDLE_STEPS {
                return;
            }
        }
        panic!("it does not end");
    }

    /// True if anything was said or sent.
    fn step(&mut self) -> bool {
        let mut is_new = self.read_on();
        let said = self.sending.take_outgoing();
        let said = if self.liar == Liar::Sender { self.twist(&said) } else { said };
        is_new |= !said.is_empty();
        self.receiving.incoming().extend(said);
        self.sending.take_cancelled();
        self.restored.extend(self.sending.take_restored());
        is_new |= self.send_piece() | self.sending.has_more() | self.source.is_busy();
        is_new |= self.work();
        self.receiving.take_demands();
        let told = self.receiving.take_outgoing();
        let told = if self.liar == Liar::Receiver { self.twist(&told) } else { told };
        is_new |= !told.is_empty();
        self.sending.incoming().extend(told);
        if self.sending.handle_messages().is_err() {
            self.expect_ended(&self.sending.report(None, None));
            assert!(self.sending.take_outgoing().is_empty());
        }
        is_new
    }

    /// Has the source do its jobs, and a little of what is read beside what goes; true if it did any.
    fn read_on(&mut self) -> bool {
        self.sending.offer(1 << 15);
        let mut is_new = false;
        while let Some(job) = self.sending.next_job() {
            let reports = self.source.run(job);
            reports.into_iter().for_each(|report| self.sending.on_report(report));
            is_new = true;
        }
        let reports = self.source.rest();
        reports.into_iter().for_each(|report| self.sending.on_report(report));
        is_new
    }

    /// Whoever saw a violation has failed.
    fn expect_ended(&self, report: &TransferReport) {
        let failure = report.failure.as_ref().expect("it has failed");
        assert_eq!(failure.reason, Reason::Other);
        assert!(report.verdict().is_some() && failure.text.contains("broke the protocol"));
    }

    fn send_piece(&mut self) -> bool {
        let again = self.restored.pop_front();
        let is_again = again.is_some();
        let wanted = again.or_else(|| self.sending.next_wanted(self.at, PIECE));
        let Some(wanted) = wanted else { return false };
        let mut bytes = vec![0; usize::try_from(wanted.end - wanted.start).expect("a piece")];
        let (is_whole, reports) = self.source.read(wanted.start, &mut bytes);
        reports.into_iter().for_each(|report| self.sending.on_report(report));
        if is_whole {
            self.at = if is_again { self.at } else { wanted.end };
            if self.liar == Liar::Sender && self.spoils && self.rng.random_range(0..3) == 0 {
                let at = self.rng.random_range(0..bytes.len());
                bytes[at] ^= 1 << self.rng.random_range(0..8);
            }
            self.receiving.take_data(wanted.start, &bytes);
            self.sending.on_sent(wanted);
        }
        true
    }

    fn work(&mut self) -> bool {
        let mut is_new = false;
        loop {
            if self.receiving.handle_messages().is_err() {
                self.expect_ended(&self.receiving.report(None, None));
                assert!(self.receiving.next_job().is_none() && !self.receiving.is_complete());
                return is_new;
            }
            self.listed.extend(self.receiving.take_listed());
            if self.purpose == Purpose::List {
                return is_new;
            }
            let reports = match self.receiving.next_job() {
                Some(job) => {
                    is_new |= !matches!(job, Job::Plan);
                    self.sink.run(job)
                }
                None => self.sink.rest(),
            };
            if reports.is_empty() && !self.sink.is_busy() {
                return is_new;
            }
            reports.into_iter().for_each(|report| self.receiving.on_report(report));
        }
    }

    /// What the liar says in place of that.
    fn twist(&mut self, said: &[u8]) -> Vec<u8> {
        self.cutter.buffer().extend_from_slice(said);
        let mut out = Vec::new();
        while let Some(message) = self.cutter.next_message().expect("its own") {
            let turn = self.said;
            self.said += 1;
            if !self.lies.contains(&turn) {
                message.put(&mut out);
                if let Some(held) = self.held.take() {
                    held.put(&mut out);
                }
                continue;
            }
            match self.rng.random_range(0..7) {
                0 => {}
                1 => {
                    message.put(&mut out);
                    message.put(&mut out);
                }
                2 => self.held = Some(message),
                3 => self.invent().put(&mut out),
                4 => {
                    self.invent().put(&mut out);
                    message.put(&mut out);
                }
                5 => {
                    out.extend_from_slice(&[99, 0]);
                    message.put(&mut out);
                }
                _ => self.alter(message).put(&mut out),
            }
        }
        out
    }

    /// Any message at all.
    fn invent(&mut self) -> Message {
        let rng = &mut self.rng;
        let index = rng.random_range(0..6);
        let hash = Hash([rng.random_range(0..4); 32]);
        let (first, values) = (rng.random_range(0..3), vec![hash; rng.random_range(1..3)]);
        let (reason, text) = (Reason::Exists, "because".to_owned());
        match rng.random_range(0..18) {
            0 => Message::Accept { below: index },
            1 => Message::Committed { index, hash },
            2 => Message::Failed { index, reason, text },
            3 => Message::Finished,
            4 => Message::Groups { index, first, values },
            5 => Message::Kept { index, first, values },
            6 => Message::Lacking { name: "x".into(), reason, text },
            7 => Message::Left { index },
            8 => {
                let attributes = Attributes { mode: 0o644, seconds: -1, nanoseconds: 0 };
                let size = rng.random_range(0..3 * GROUP);
                let source = Kind::is_identified(size).then_some(SourceId([1; 16]));
                let kind = Kind::File { size, holes: None, attributes, source };
                Message::Offer(Entry { path: format!("new-{index}"), kind })
            }
            9 => Message::OfferEnd,
            10 => Message::Plan,
            11 => Message::Prove { index },
            12 => Message::Reject { index, reason, text },
            13 => Message::Renamed { index, path: "other".into() },
            14 => Message::Same { index, hash },
            15 => Message::Root { index, hash },
            16 => Message::Again { index, first, count: 1 },
            _ => Message::Would { index, replaces: false, there: 0 },
        }
    }

    /// The message with another hash, index or length.
    fn alter(&mut self, message: Message) -> Message {
        let other = self.rng.random_range(0..5);
        match message {
            Message::Accept { below } => Message::Accept { below: below + other },
            Message::Committed { index, hash } => match other {
                0 => Message::Committed { index, hash: Hash([3; 32]) },
                _ => Message::Committed { index: index ^ other, hash },
            },
            Message::Same { index, hash } => match other {
                0 => Message::Same { index, hash: Hash([3; 32]) },
                _ => Message::Same { index: index ^ other, hash },
            },
            Message::Root { index, hash } => match other {
                0 => Message::Root { index, hash: Hash([3; 32]) },
                _ => Message::Root { index: index ^ other, hash },
            },
            Message::Groups { index, first, mut values } => {
                values[0].0[0] ^= u8::from(other == 0);
                Message::Groups { index, first: first + u64::from(other / 2), values }
            }
            Message::Kept { index, first, mut values } => {
                values[0].0[0] ^= u8::from(other == 0);
                Message::Kept { index, first: first + u64::from(other / 2), values }
            }
            Message::Left { index } => Message::Left { index: index ^ other },
            Message::Offer(Entry {
                path,
                kind: Kind::File { size, holes, attributes, source },
            }) if size > GROUP => {
                // Sometimes a byte more, sometimes a hole more or less.
                let size = size + u64::from(other / 3);
                let holes = match other {
                    1 => None,
                    2 => Holes::new(size, [BLOCK..2 * BLOCK]),
                    _ => holes,
                };
                let kind = Kind::File { size, holes, attributes, source };
                Message::Offer(Entry { path, kind })
            }
            other => other,
        }
    }
}
