//! The power goes at any moment of a transfer: each name leads to what was there before or to all of what was
//! sent, what was said to be committed is there, and the next transfer puts the rest right.

use super::carrier::{Order, run};
use super::model::{Crash, Event, Model};
use super::tree::{self, Contents, fault};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeSet;
use std::fs;
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use volley::transfer::disk::{Call, Disk};

/// Crashes of one series of transfers, at most.
const SERIES_MAX: usize = 3;

/// Crashes in `cargo test`, and in the campaign.
const FEW: usize = 300;
const MANY: usize = 5_000;

struct Drill {
    root: tempfile::TempDir,
    /// What is sent: from a directory of that name.
    sent: [(&'static str, Contents); 2],
    before: Contents,
    draws: Xoshiro256PlusPlus,
    /// What happened since the beginning of the series.
    story: Vec<String>,
}

impl Drill {
    fn new() -> Self {
        let root = tree::scratch();
        let [all, part, before] = ["all", "part", "before"].map(|name| root.path().join(name));
        tree::make_source(&all, 1);
        tree::make_part(&all, &part, 2);
        tree::make_target(&before);
        let sent = [("all", tree::contents(&all)), ("part", tree::contents(&part))];
        let before = tree::contents(&before);
        let draws = Xoshiro256PlusPlus::seed_from_u64(0);
        Self { root, sent, before, draws, story: Vec::new() }
    }

    fn to(&self) -> PathBuf {
        self.root.path().join("to")
    }

    /// An empty directory to receive into.
    fn clear(&self) -> PathBuf {
        let _ = fs::remove_dir_all(self.to());
        fs::create_dir(self.to()).expect("room");
        self.to()
    }

    /// Transfers that are cut off by a crash, or by a kill and a later crash, and one that is not. Says how
    /// many crashes there were.
    fn series(&mut self, seed: u64) -> usize {
        self.draws = Xoshiro256PlusPlus::seed_from_u64(seed);
        self.story = vec![format!("VOLLEY_CRASHES=1 VOLLEY_SEED={seed} repeats this")];
        let to = self.clear();
        tree::make_target(&to);
        let mut model = Model::of(&to);
        let mut crashes = 0;
        let what = self.draws.random_range(0..2);
        for _ in 0..self.draws.random_range(1..=SERIES_MAX) {
            let events = self.transfer(what);
            let at = self.draws.random_range(0..=events.len());
            events[..at].iter().for_each(|event| model.apply(event));
            let to = self.clear();
            if self.draws.random_range(0..4) == 0 {
                self.story.push(format!("killed after {at} of {} calls", events.len()));
                model.write_down(&to);
            } else {
                let crash = Crash::draw(&mut self.draws);
                self.story.push(format!("after {at} of {} calls {crash:?}", events.len()));
                model.crash(&to, crash, &mut self.draws);
                crashes += 1;
                let committed = std::mem::take(&mut model.committed);
                self.expect_sound(what, &committed);
                model = Model::of(&to);
                model.committed = committed;
            }
        }
        self.transfer(what);
        let left = tree::left(&self.to());
        assert!(left.is_empty(), "{left:?} is left: {:#?}", self.story);
        crashes
    }

    /// A whole transfer, and what it did.
    fn transfer(&mut self, what: usize) -> Vec<Event> {
        let events = Arc::new(Mutex::new(Vec::new()));
        let log = events.clone();
        let tell = move |event: Option<Event>| {
            log.lock().expect("nobody panics while holding it").extend(event);
        };
        let to = self.to();
        let from = self.root.path().join(self.sent[what].0);
        let mut order = Order::new(&from, &to);
        order.piece = self.draws.random_range(50_000..1_500_000);
        order.checkpoint = self.draws.random_range(1..10);
        self.story.push(format!("{} bytes at once, {} at a time", order.piece, order.checkpoint));
        let listen = tell.clone();
        order.disks[1] = Disk::watched(Arc::new(move |call: &Call<'_>| {
            listen(Event::of(call));
            Ok(())
        }));
        let heard = |path: &str| tell(Some(Event::Committed(path.to_owned())));
        order.heard = &heard;
        let over = run(&order).unwrap_or_else(|failure| panic!("{failure}: {:#?}", self.story));
        assert!(over.sent.verdict().is_none(), "{:?}\n{:#?}", over.sent, self.story);
        self.expect_all(what);
        std::mem::take(&mut *events.lock().expect("nobody panics while holding it"))
    }

    fn expect_all(&self, what: usize) {
        let found = tree::contents(&self.to());
        let wrong = self.sent[what].1.iter().find(|(path, what)| found.get(*path) != Some(what));
        let wrong = wrong.map(|(path, _)| path);
        assert!(wrong.is_none(), "{wrong:?} is not as it was sent: {:#?}", self.story);
    }

    fn expect_sound(&self, what: usize, committed: &BTreeSet<String>) {
        let (found, sent) = (tree::contents(&self.to()), &self.sent[what].1);
        let wrong = fault(&found, &self.before, sent);
        assert!(wrong.is_none(), "{wrong:?}: {:#?}", self.story);
        let lost = committed.iter().find(|path| found.get(*path) != sent.get(*path));
        assert!(lost.is_none(), "{lost:?} was committed and is not there: {:#?}", self.story);
    }
}

/// Crashes `count` times.
fn crash(count: usize) {
    let seed = std::env::var("VOLLEY_SEED").ok();
    let seed: u64 = seed.map_or(1, |seed| seed.parse().expect("VOLLEY_SEED is a number"));
    super::note(&format!("{count} crashes, VOLLEY_SEED={seed}"));
    // Each series has a seed of its own, so that it is the same on whichever thread.
    let (next, crashes) = (AtomicU64::new(seed), AtomicUsize::new(0));
    let work = || {
        let mut drill = Drill::new();
        while crashes.load(Ordering::Relaxed) < count {
            let had = drill.series(next.fetch_add(1, Ordering::Relaxed));
            crashes.fetch_add(had, Ordering::Relaxed);
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
}

#[test]
fn what_is_there_after_a_crash_is_old_or_complete_and_the_next_transfer_goes_on() {
    crash(FEW);
}

#[test]
#[ignore = "half a minute in release"]
fn whatever_a_crash_leaves_the_next_transfer_goes_on() {
    let given = std::env::var("VOLLEY_CRASHES").ok();
    crash(given.map_or(MANY, |count| count.parse().expect("VOLLEY_CRASHES is a number")));
}
