//! What is sent, what was there before, and what may be there after.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileExt, symlink};
use std::path::{Path, PathBuf};

/// The receiver's partial area.
pub(crate) const AREA: &str = ".volley-partial";

/// What lies at a path.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum What {
    Directory,
    File(Vec<u8>),
    Link(PathBuf),
}

/// What lies below a directory, by path.
pub(crate) type Contents = BTreeMap<String, What>;

/// A directory for a test, in memory where the system has a place for that: nothing here outlasts it.
pub(crate) fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = match memory.is_dir() {
        true => tempfile::tempdir_in(memory),
        false => tempfile::tempdir(),
    };
    made.expect("room for temporary files")
}

/// Bytes that are not the same at any two places that could be mistaken for one another.
pub(crate) fn bytes(len: usize, salt: usize) -> Vec<u8> {
    let byte = |at: usize| (at / 61 * 7 + at % 61 + at / 4096 * 13 + salt) % 256;
    (0..len).map(|at| u8::try_from(byte(at)).expect("below 256")).collect()
}

/// What is sent: of each kind something, and of each size at which something changes.
pub(crate) fn make_source(root: &Path, groups: usize) {
    let tree = root.join("tree");
    fs::create_dir_all(tree.join("more/deep")).expect("room");
    fs::create_dir(tree.join("nothing")).expect("room");
    let files = [
        ("single", 10),
        ("tree/empty", 0),
        ("tree/small", 5_000),
        ("tree/more/file", 100),
        ("tree/more/deep/file", 70_000),
        ("tree/same", 100_000),
        ("tree/other", 3_000),
        ("tree/other size", 40),
        ("tree/long", (groups << 20) + 1234),
    ];
    for (salt, (path, len)) in files.into_iter().enumerate() {
        fs::write(root.join(path), bytes(len, salt)).expect("room");
    }
    symlink("small", tree.join("link")).expect("room");
    let sparse = fs::File::create(tree.join("sparse")).expect("room");
    sparse.set_len((1 << 20) + 5).expect("room");
    sparse.write_all_at(&bytes(5_000, 99), (1 << 19) - 100).expect("room");
}

/// A part of it, so few that each is put on stable storage by itself, with a longer file.
pub(crate) fn make_part(from: &Path, root: &Path, groups: usize) {
    fs::create_dir_all(root.join("tree/more/deep")).expect("room");
    for path in ["single", "tree/more/deep/file", "tree/other"] {
        fs::copy(from.join(path), root.join(path)).expect("room");
    }
    fs::write(root.join("tree/long"), bytes((groups << 20) + 1234, 8)).expect("room");
}

/// What is there before: something the same, and something other under two names of the source.
pub(crate) fn make_target(root: &Path) {
    fs::create_dir_all(root.join("tree")).expect("room");
    fs::write(root.join("tree/same"), bytes(100_000, 5)).expect("room");
    fs::write(root.join("tree/other"), bytes(3_000, 77)).expect("room");
    fs::write(root.join("tree/other size"), bytes(50, 78)).expect("room");
    fs::write(root.join("mine"), "mine").expect("room");
}

/// What lies below `root`, but for the partial area.
pub(crate) fn contents(root: &Path) -> Contents {
    let mut all = Contents::new();
    add(root, "", &mut all);
    all
}

fn add(root: &Path, below: &str, all: &mut Contents) {
    for entry in fs::read_dir(root.join(below)).expect("it can be listed") {
        let entry = entry.expect("it can be listed");
        let name = entry.file_name().into_string().expect("UTF-8");
        if name == AREA {
            continue;
        }
        let path = if below.is_empty() { name } else { format!("{below}/{name}") };
        let kind = entry.file_type().expect("it is there");
        let what = if kind.is_dir() {
            add(root, &path, all);
            What::Directory
        } else if kind.is_symlink() {
            What::Link(fs::read_link(entry.path()).expect("it is there"))
        } else {
            What::File(fs::read(entry.path()).expect("it can be read"))
        };
        all.insert(path, what);
    }
}

/// What is left in the partial area.
pub(crate) fn left(root: &Path) -> Vec<String> {
    let entries = fs::read_dir(root.join(AREA)).into_iter().flatten();
    let name = |entry: std::io::Result<fs::DirEntry>| {
        entry.expect("it can be listed").file_name().to_string_lossy().into_owned()
    };
    let mut names: Vec<_> = entries.map(name).collect();
    names.sort();
    names
}

/// Under each name is what was there before, or nothing if nothing was, or all of what was sent; else says
/// what is wrong.
pub(crate) fn fault(found: &Contents, before: &Contents, sent: &Contents) -> Option<String> {
    let stray = found
        .iter()
        .find(|(path, what)| sent.get(*path) != Some(what) && before.get(*path) != Some(what));
    if let Some((path, _)) = stray {
        return Some(format!("{path} is neither as it was nor as it was sent"));
    }
    let lost = before.keys().find(|path| !found.contains_key(*path));
    lost.map(|path| format!("{path} was there before and is lost"))
}
