//! Somebody changes what lies in the receiver's directory after a transfer was cut off: partial files, journals,
//! lists of directories and what has the names of what is sent, also with what a transfer of another sender left.
//! Then the transfer goes on: nobody says that something arrived, or has a hash, that is not the source's, nothing
//! outside is touched, and at last everything arrives.

use super::carrier::{Order, Over, cut_off, run};
use super::changes::{Earlier, Ground};
use super::tree::{self, AREA, Contents, What};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, RngExt, SeedableRng};
use std::collections::BTreeMap;
use std::fs;
use std::num::NonZero;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use volley::transfer::disk::{Call, Disk};
use volley::transfer::hash::{GROUP, Hash};
use volley::transfer::keeping::{Existing, Keeping};
use volley::transfer::manifest::Manifest;
use volley::transfer::outcome::{Done, Reason, TransferReport};

/// Seeds in `cargo test`, and in the campaign.
const FEW: u64 = 100;
const MANY: u64 = 10_000;

struct Trial {
    root: tempfile::TempDir,
    draws: Xoshiro256PlusPlus,
    /// What happened.
    story: Vec<String>,
}

/// All that there is of something outside, which must stay so.
type Outside = BTreeMap<PathBuf, (Vec<u8>, u32, u32, i64, i64)>;

impl Trial {
    fn new(seed: u64) -> Self {
        let root = tree::scratch();
        for name in ["from", "other", "to", "outside"] {
            fs::create_dir(root.path().join(name)).expect("room");
        }
        let draws = Xoshiro256PlusPlus::seed_from_u64(seed);
        Self { root, draws, story: Vec::new() }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Two directories with files of the same names and sizes, and a file outside that is as long as one of them.
    fn make_sources(&mut self) {
        let draws = &mut self.draws;
        let sizes = [
            ("long", draws.random_range(GROUP + 1..3 * GROUP + 70_000)),
            ("tree/more", draws.random_range(GROUP + 1..2 * GROUP)),
            ("tree/small", draws.random_range(0..5_000)),
            ("tree/deep/small", draws.random_range(0..5_000)),
        ];
        let [from, other, victim] = ["from", "other", "outside/victim"].map(|name| self.at(name));
        let mode = [0o644, 0o600, 0o444][self.draws.random_range(0..3)];
        for (name, size) in sizes {
            let mut bytes = vec![0; usize::try_from(size).expect("small")];
            self.draws.fill_bytes(&mut bytes);
            write(&from.join(name), &bytes, mode);
            if name == "long" {
                write(&victim, &vec![7; bytes.len()], 0o644);
            }
            // Some of the other's is the same.
            let same = self.draws.random_range(0..=bytes.len()) * self.draws.random_range(0..2);
            self.draws.fill_bytes(&mut bytes[same..]);
            write(&other.join(name), &bytes, 0o644);
        }
        if self.draws.random_range(0..3) == 0 {
            let hollow = fs::File::create(from.join("tree/hollow")).expect("room");
            hollow.set_len(3 * GROUP).expect("there are holes");
            hollow
                .write_all_at(&[1; 100], self.draws.random_range(0..3 * GROUP - 100))
                .expect("room");
        }
        fs::create_dir(from.join("tree/nothing")).expect("room");
        std::os::unix::fs::symlink("small", from.join("tree/link")).expect("room");
    }

    /// How a transfer is carried.
    fn order<'a>(&mut self, from: &'a Path, to: &'a Path) -> Order<'a> {
        let mut order = Order::new(from, to);
        order.piece = self.draws.random_range(60_000..700_000);
        order.checkpoint = self.draws.random_range(1..6);
        order.can_repeat = self.draws.random_range(0..2) == 0;
        order
    }

    /// A transfer from that directory that is cut off. Says what its partial area was like meanwhile.
    fn leave_something(&mut self, name: &str) -> Earlier {
        let [from, to] = [name, "to"].map(|name| self.at(name));
        let mut order = self.order(&from, &to);
        let earlier = Arc::new(Mutex::new(Earlier::new()));
        let (kept, calls, at) =
            (earlier.clone(), AtomicUsize::new(0), self.draws.random_range(10..60));
        let area = to.join(AREA);
        order.disks[1] = Disk::watched(Arc::new(move |_: &Call<'_>| {
            if calls.fetch_add(1, Ordering::Relaxed) == at {
                *kept.lock().expect("nobody panics while holding it") = files_of(&area);
            }
            Ok(())
        }));
        let steps = self.draws.random_range(3..40);
        self.story.push(format!("{name} is cut off after {steps} steps"));
        cut_off(&order, steps).expect("it begins");
        std::mem::take(&mut *earlier.lock().expect("nobody panics while holding it"))
    }

    fn run(&mut self) {
        self.make_sources();
        let mut earlier = Earlier::new();
        let before = [&["from"][..], &["other", "from"], &["from", "other"], &["from", "from"]];
        for name in before[self.draws.random_range(0..before.len())] {
            earlier.extend(self.leave_something(name));
        }
        let [from, to, victim] = ["from", "to", "outside/victim"].map(|name| self.at(name));
        let sent: Vec<_> = files(&tree::contents(&from));
        let ground = Ground { to: &to, victim: &victim, sent: &sent, earlier: &earlier };
        for _ in 0..self.draws.random_range(1..=3) {
            let said = ground.change(&mut self.draws);
            self.story.push(said);
        }
        let outside = self.outside();
        // Whoever starts while another receiver has the directory takes nothing away.
        let another =
            fs::File::open(to.join(AREA)).ok().filter(|_| self.draws.random_range(0..2) == 0);
        let is_held = another.is_some_and(|area| {
            self.story.push("another receiver has the directory".to_owned());
            area.lock_shared().is_ok() && self.go_on(&from, &to)
        });
        if !is_held {
            self.go_on(&from, &to);
        }
        self.expect_at_last(&from, &to);
        assert!(self.outside() == outside, "something outside was touched");
    }

    /// Goes on with the transfer, as one of the ways is to.
    fn go_on(&mut self, from: &Path, to: &Path) -> bool {
        if self.draws.random_range(0..4) == 0 {
            self.expect_plan(from, to);
        }
        let mut order = self.order(from, to);
        let list = self.at("list");
        let policies = [Existing::Refuse, Existing::Overwrite, Existing::Rename, Existing::Skip];
        order.keeping = Keeping {
            existing: policies[self.draws.random_range(0..policies.len())],
            verify: self.draws.random_range(0..3) == 0,
            manifest: Some(Manifest::create(&list).expect("room")),
            ..Keeping::default()
        };
        self.story.push(format!("{:?}, verify {}", order.keeping.existing, order.keeping.verify));
        match run(&order) {
            // An area that others can get at is not used.
            Err(failure) => assert!(failure.text.contains(AREA), "{failure}"),
            Ok(over) => {
                self.story.push(format!(
                    "{:?}, {:?}",
                    over.sent.verdict(),
                    over.received.verdict()
                ));
                expect_true(&over, order.keeping.existing, from, to);
                expect_listed(&list, &over, to);
            }
        }
        true
    }

    /// What would come of it is said, and nothing changes.
    fn expect_plan(&mut self, from: &Path, to: &Path) {
        let [before, after] = [(); 2].map(|()| {
            let mut order = Order::new(from, to);
            order.is_plan = true;
            let all = everything(to);
            (all, run(&order).is_ok())
        });
        assert!(before == after, "a plan changes something");
    }

    /// A transfer that may replace what is there gets everything there, the second one at the latest: what is no
    /// file of ours in the place of one is told, and may stay.
    fn expect_at_last(&mut self, from: &Path, to: &Path) {
        fs::set_permissions(to.join(AREA), fs::Permissions::from_mode(0o700)).ok();
        let mut last = None;
        for _ in 0..2 {
            let over = run(&self.order(from, to)).expect("it can be received into");
            expect_true(&over, Existing::Overwrite, from, to);
            last = Some(over);
        }
        let over = last.expect("there were two");
        let is_in_the_way = |failure: &str| failure.contains("is a directory at the receiver");
        for file in over.received.files.iter().chain(&over.sent.files) {
            if let Err(failure) = &file.outcome {
                assert_eq!(failure.reason, Reason::Exists, "{}: {failure}", file.name);
                assert!(is_in_the_way(&failure.text), "{}: {failure}", file.name);
            }
        }
    }

    fn outside(&self) -> Outside {
        let entries = fs::read_dir(self.at("outside")).expect("it can be listed");
        let one = |entry: std::io::Result<fs::DirEntry>| {
            let path = entry.expect("it can be listed").path();
            let metadata = path.metadata().expect("it is there");
            let bytes = fs::read(&path).expect("it can be read");
            let about = (metadata.mode(), metadata.uid(), metadata.mtime(), metadata.mtime_nsec());
            (path, (bytes, about.0, about.1, about.2, about.3))
        };
        entries.map(one).collect()
    }
}

fn write(path: &Path, bytes: &[u8], mode: u32) {
    fs::create_dir_all(path.parent().expect("in a directory")).expect("room");
    fs::write(path, bytes).expect("room");
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("ours");
}

fn files(contents: &Contents) -> Vec<(String, Vec<u8>)> {
    let file = |(path, what): (&String, &What)| match what {
        What::File(bytes) => Some((path.clone(), bytes.clone())),
        What::Directory | What::Link(_) => None,
    };
    contents.iter().filter_map(file).collect()
}

/// The files in a partial area.
fn files_of(area: &Path) -> Earlier {
    let entries = fs::read_dir(area).into_iter().flatten().flatten();
    let read = |entry: fs::DirEntry| {
        let name = entry.file_name().into_string().expect("UTF-8");
        Some((name, fs::read(entry.path()).ok()?))
    };
    let mut all: Vec<_> = entries.filter_map(read).collect();
    all.sort();
    all
}

/// What lies below a directory, with what the system knows of each.
fn everything(root: &Path) -> BTreeMap<PathBuf, (u64, u32, u64, i64, i64)> {
    let mut all = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).expect("it can be listed") {
            let path = entry.expect("it can be listed").path();
            let metadata = path.symlink_metadata().expect("it is there");
            if metadata.is_dir() {
                open.push(path.clone());
            }
            let size = if metadata.is_file() { metadata.len() } else { 0 };
            let time = (metadata.mtime(), metadata.mtime_nsec());
            all.insert(path, (metadata.ino(), metadata.mode(), size, time.0, time.1));
        }
    }
    all
}

/// What is said to have arrived, or to be there already, is what was sent, and has the hash that is said.
fn expect_true(over: &Over, existing: Existing, from: &Path, to: &Path) {
    for report in [&over.sent, &over.received] {
        for file in &report.files {
            let Ok(done) = &file.outcome else { continue };
            let Some(hash) = done.hash() else { continue };
            let (source, place) = (from.join(&file.name), to.join(place(&file.name, done)));
            let [sent, there] = [&source, &place].map(|path| contents_of(path));
            assert!(sent == there, "{} is not as it was sent", file.name);
            assert_eq!(*hash, Hash::of(&sent.1), "{} has not that hash", file.name);
        }
    }
    for report in [&over.sent, &over.received] {
        if report.verdict().is_none() {
            expect_all(report, existing, from, to);
        }
    }
}

fn place<'a>(name: &'a str, done: &'a Done) -> &'a str {
    done.renamed().unwrap_or(name)
}

/// Whether it is a link, and what it holds or says.
fn contents_of(path: &Path) -> (bool, Vec<u8>) {
    let metadata = path.symlink_metadata().unwrap_or_else(|error| panic!("{path:?}: {error}"));
    if metadata.is_symlink() {
        return (
            true,
            fs::read_link(path).expect("it is there").into_os_string().into_encoded_bytes(),
        );
    }
    assert!(metadata.is_file(), "{path:?}");
    (false, fs::read(path).expect("it can be read"))
}

/// Where all is well, all is there, unless something else stays or has the name.
fn expect_all(report: &TransferReport, existing: Existing, from: &Path, to: &Path) {
    let named: Vec<&str> = report.files.iter().map(|file| file.name.as_str()).collect();
    for (path, what) in tree::contents(from) {
        match what {
            What::Directory => assert!(to.join(&path).is_dir(), "{path} is no directory"),
            What::File(_) => assert!(named.contains(&path.as_str()), "{path}"),
            // Links are not named.
            What::Link(_) if matches!(existing, Existing::Rename | Existing::Skip) => {}
            What::Link(target) => {
                assert!(fs::read_link(to.join(&path)).is_ok_and(|there| there == target), "{path}");
            }
        }
    }
}

/// The list names what is there, and has its hashes.
fn expect_listed(list: &Path, over: &Over, to: &Path) {
    let text = fs::read_to_string(list).expect("it was written");
    for line in text.lines() {
        let (hash, path) = line.split_once("  ").expect("as b3sum writes it");
        let there = fs::read(to.join(path)).expect("it is listed");
        assert_eq!(hash, Hash::of(&there).to_string(), "{path}");
    }
    let done = over.received.files.iter().filter_map(|file| {
        let done = file.outcome.as_ref().ok()?;
        done.hash().map(|_| place(&file.name, done))
    });
    for path in done.filter(|path| !to.join(path).is_symlink()) {
        assert!(text.lines().any(|line| line.ends_with(&format!("  {path}"))), "{path} is missing");
    }
}

/// Tries that many seeds.
fn try_seeds(count: u64) {
    let number = |name: &str, otherwise| {
        std::env::var(name).map_or(otherwise, |given| given.parse().expect("a number"))
    };
    let (first, count) = (number("VOLLEY_SEED", 1), number("VOLLEY_CHANGES", count));
    super::note(&format!("{count} seeds from VOLLEY_SEED={first} on"));
    let (next, failed) = (AtomicU64::new(first), Mutex::new(Vec::new()));
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + count {
                return;
            }
            let mut trial = Trial::new(seed);
            if catch_unwind(AssertUnwindSafe(|| trial.run())).is_err() {
                let story = trial.story.join("\n  ");
                super::note(&format!(
                    "VOLLEY_CHANGES=1 VOLLEY_SEED={seed} repeats this:\n  {story}"
                ));
                failed.lock().expect("nobody panics while holding it").push(seed);
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    let failed = failed.into_inner().expect("nobody panics while holding it");
    assert!(failed.is_empty(), "VOLLEY_CHANGES=1 and VOLLEY_SEED of {failed:?}");
}

#[test]
fn whatever_was_changed_nothing_is_said_to_have_arrived_that_has_not() {
    try_seeds(FEW);
}

#[test]
#[ignore = "a campaign"]
fn whatever_of_ten_thousand_things_was_changed_nothing_is_said_to_have_arrived_that_has_not() {
    try_seeds(MANY);
}
