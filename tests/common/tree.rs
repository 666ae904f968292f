//! Trees of files: random ones, and what a tree is like, to compare.

use super::note;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, RngExt, SeedableRng};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Entries of a random tree, about.
const ENTRIES: usize = 24;

/// Makes a tree at `root` that the seed decides: directories, some empty, files of sizes around those at
/// which something changes, modes, times, and links to what is in it.
pub(crate) fn make_random(root: &Path, seed: u64) {
    note(&format!("tree seed {seed}"));
    let mut draws = Xoshiro256PlusPlus::seed_from_u64(seed);
    fs::create_dir(root).expect("room for temporary files");
    let mut directories = vec![root.to_owned()];
    for number in 0..draws.random_range(1..2 * ENTRIES) {
        let parent = directories[draws.random_range(0..directories.len())].clone();
        let name =
            ["a", "file with spaces", "Füße", "文件", ".hidden", "-rf"][draws.random_range(0..6)];
        let path = parent.join(format!("{name}{number}"));
        match draws.random_range(0..10) {
            0..3 => {
                fs::create_dir(&path).expect("room for temporary files");
                directories.push(path);
            }
            3 => symlink(["a0", "nowhere"][draws.random_range(0..2)], &path).expect("room"),
            _ => make_file(&path, &mut draws),
        }
    }
    // A directory's time changes with what is put into it, so the innermost come first.
    for directory in directories.iter().rev() {
        dress(directory, [0o755, 0o700, 0o750, 0o555][draws.random_range(0..4)], &mut draws);
    }
}

fn make_file(path: &Path, draws: &mut Xoshiro256PlusPlus) {
    let sizes =
        [0, 0, 1, 100, 1_452, 5_000, 5_000, 65_536, 70_000, (1 << 20) - 1, 1 << 20, (1 << 20) + 1];
    let mut bytes = vec![0; sizes[draws.random_range(0..sizes.len())]];
    draws.fill_bytes(&mut bytes);
    fs::write(path, bytes).expect("room for temporary files");
    dress(path, [0o644, 0o600, 0o755, 0o444, 0o640][draws.random_range(0..5)], draws);
}

fn dress(path: &Path, mode: u32, draws: &mut Xoshiro256PlusPlus) {
    let since =
        Duration::new(draws.random_range(0..4_000_000_000), draws.random_range(0..1_000_000_000));
    let file = fs::File::open(path).expect("just made");
    file.set_modified(SystemTime::UNIX_EPOCH + since).expect("ours");
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("ours");
}

/// Makes empty files in directories of a thousand.
pub(crate) fn make_empty_files(root: &Path, count: usize) {
    for number in 0..count {
        let directory = root.join(format!("d{}", number / 1000));
        if number % 1000 == 0 {
            fs::create_dir_all(&directory).expect("room for temporary files");
        }
        fs::write(directory.join(format!("file{number}")), b"").expect("room for temporary files");
    }
}

/// What lies below `root`, itself included, by path: what it is, its mode and time, its contents. Links
/// are left out unless `links`: what carries them does not carry their times.
pub(crate) fn snapshot(root: &Path, links: bool) -> BTreeMap<PathBuf, String> {
    let mut all = BTreeMap::new();
    add(root, Path::new(""), links, &mut all);
    all
}

/// Fails with what tells two trees apart.
#[track_caller]
pub(crate) fn expect_same(one: &Path, other: &Path, links: bool) {
    let [one, other] = [one, other].map(|root| snapshot(root, links));
    let paths: BTreeSet<&PathBuf> = one.keys().chain(other.keys()).collect();
    let differ = |path: &&PathBuf| one.get(*path) != other.get(*path);
    let different: Vec<_> = paths
        .into_iter()
        .filter(differ)
        .map(|path| (path, one.get(path), other.get(path)))
        .collect();
    assert!(different.is_empty(), "{different:#?}");
}

fn add(root: &Path, below: &Path, links: bool, all: &mut BTreeMap<PathBuf, String>) {
    let path = root.join(below);
    let metadata = path.symlink_metadata().expect("it is there");
    let attributes =
        format!("{:o} {}.{:09}", metadata.mode() & 0o7777, metadata.mtime(), metadata.mtime_nsec());
    if metadata.is_symlink() {
        let target = fs::read_link(&path).expect("it is there");
        if links {
            all.insert(below.to_owned(), format!("link {}", target.display()));
        }
    } else if metadata.is_dir() {
        all.insert(below.to_owned(), format!("directory {attributes}"));
        for entry in fs::read_dir(&path).expect("it can be listed") {
            add(root, &below.join(entry.expect("it can be listed").file_name()), links, all);
        }
    } else {
        let contents = fs::read(&path).expect("it can be read");
        all.insert(below.to_owned(), format!("file {attributes} {}", blake3::hash(&contents)));
    }
}
