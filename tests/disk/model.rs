//! A file system that keeps only what it was told to keep.
//!
//! What was written down of a transfer is done again here. After a crash each sector of a file is as it was
//! when the file was last put on stable storage, or as any later write left it, whatever became of the other
//! sectors; its length is one of those that it had since. A name leads where it did when its directory was
//! last put on stable storage, or where it did at any time since: either whatever became of the other names,
//! or all names as they were at one moment, as in file systems with a journal.

use super::tree::AREA;
use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use volley::transfer::disk::Call;

/// What one call did, or what was said to be committed.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    Committed(String),
    Create(String),
    Link { path: String, target: String },
    MakeDir(String),
    Remove(String),
    Rename { from: String, to: String, replaces: bool },
    SetLen(String, u64),
    SyncAll,
    SyncDir(String),
    SyncFile(String),
    Write { path: String, at: u64, bytes: Vec<u8> },
}

impl Event {
    /// What is left of a call once it was made; nothing, if it only looked.
    pub(crate) fn of(call: &Call<'_>) -> Option<Self> {
        Some(match *call {
            Call::Create(path) => Self::Create(path.to_owned()),
            Call::Link { path, target } => {
                Self::Link { path: path.to_owned(), target: target.to_owned() }
            }
            Call::MakeDir(path) => Self::MakeDir(path.to_owned()),
            Call::Remove(path) => Self::Remove(path.to_owned()),
            Call::Rename { from, to, replaces } => {
                Self::Rename { from: from.to_owned(), to: to.to_owned(), replaces }
            }
            Call::SetLen(path, len) => Self::SetLen(path.to_owned(), len),
            Call::SyncAll => Self::SyncAll,
            Call::SyncDir(path) => Self::SyncDir(path.to_owned()),
            Call::SyncFile(path) => Self::SyncFile(path.to_owned()),
            Call::Write { path, at, bytes } => {
                Self::Write { path: path.to_owned(), at, bytes: bytes.to_vec() }
            }
            Call::Punch { path, ref range } => {
                let bytes = vec![0; to_usize(range.end - range.start)];
                Self::Write { path: path.to_owned(), at: range.start, bytes }
            }
            Call::Look(_) | Call::Read(_) | Call::SetAttributes(_) => return None,
        })
    }
}

/// How a crash treats what was not put on stable storage.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crash {
    /// Bytes that a disk writes all of or nothing.
    sector: usize,
    /// Of 100 sectors, names and lengths so many are as they were last.
    kept: u32,
    /// A sector that was never written holds what lay there before, not zeros.
    has_remains: bool,
    /// All names are as they were at one moment.
    has_journal: bool,
}

impl Crash {
    pub(crate) fn draw(draws: &mut Xoshiro256PlusPlus) -> Self {
        Self {
            sector: [512, 4096][draws.random_range(0..2)],
            kept: [0, 20, 50, 80, 100][draws.random_range(0..5)],
            has_remains: draws.random_range(0..4) == 0,
            has_journal: draws.random_range(0..2) == 0,
        }
    }

    /// How many of so many changes, in their order, are there after it.
    fn survive(&self, changes: usize, draws: &mut Xoshiro256PlusPlus) -> usize {
        match draws.random_range(0..100) < self.kept {
            true => changes,
            false => draws.random_range(0..=changes),
        }
    }
}

type Inode = usize;

const ROOT: Inode = 0;

/// The file system in memory, and what of it is on stable storage.
#[derive(Clone)]
pub(crate) struct Model {
    inodes: Vec<Node>,
    /// Changes of names so far, and how many there were when a directory was last put on stable storage.
    time: usize,
    synced: usize,
    /// What was said to be committed.
    pub(crate) committed: BTreeSet<String>,
}

#[derive(Clone)]
enum Node {
    Directory(BTreeMap<String, Name>),
    File(File),
    Link(PathBuf),
}

/// What a name led to, and since when: first on stable storage, last now.
#[derive(Clone)]
struct Name(Vec<(usize, Option<Inode>)>);

impl Name {
    fn now(&self) -> Option<Inode> {
        self.0.last().expect("it begins with what is on stable storage").1
    }

    fn sync(&mut self) {
        self.0.drain(..self.0.len() - 1);
    }
}

#[derive(Clone, Default)]
struct File {
    stable: Vec<u8>,
    /// Since it was last put on stable storage.
    changes: Vec<Change>,
}

#[derive(Clone)]
enum Change {
    Len(usize),
    Write(usize, Vec<u8>),
}

impl Model {
    /// What lies in that directory, all of it on stable storage.
    pub(crate) fn of(root: &Path) -> Self {
        let mut model = Self { inodes: Vec::new(), time: 0, synced: 0, committed: BTreeSet::new() };
        model.take(root, &mut HashMap::new());
        model
    }

    fn take(&mut self, path: &Path, taken: &mut HashMap<u64, Inode>) -> Inode {
        let metadata = path.symlink_metadata().expect("it is there");
        let kind = metadata.file_type();
        let inode = *taken.entry(metadata.ino()).or_insert(self.inodes.len());
        if inode < self.inodes.len() {
            return inode;
        }
        if kind.is_file() {
            let stable = fs::read(path).expect("it can be read");
            self.inodes.push(Node::File(File { stable, changes: Vec::new() }));
        } else if kind.is_symlink() {
            self.inodes.push(Node::Link(fs::read_link(path).expect("it is there")));
        } else {
            self.inodes.push(Node::Directory(BTreeMap::new()));
            let mut names = BTreeMap::new();
            for entry in fs::read_dir(path).expect("it can be listed") {
                let entry = entry.expect("it can be listed");
                let name = entry.file_name().into_string().expect("UTF-8");
                names.insert(name, Name(vec![(0, Some(self.take(&entry.path(), taken)))]));
            }
            self.inodes[inode] = Node::Directory(names);
        }
        inode
    }

    /// What a call does.
    pub(crate) fn apply(&mut self, event: &Event) {
        match event {
            Event::Committed(path) => {
                self.committed.insert(path.clone());
            }
            Event::Create(path) => self.make(path, Node::File(File::default())),
            Event::Link { path, target } => self.make(path, Node::Link(target.into())),
            Event::MakeDir(path) => self.make(path, Node::Directory(BTreeMap::new())),
            Event::Remove(path) => {
                let is_full = |node: &Node| {
                    matches!(node, Node::Directory(names)
                    if names.values().any(|name| name.now().is_some()))
                };
                if self.find(path).is_some_and(|inode| !is_full(&self.inodes[inode])) {
                    self.name(path, None);
                }
            }
            Event::Rename { from, to, replaces } => {
                let (moved, there) = (self.find(from), self.find(to));
                // Of two names of one file none goes.
                if moved.is_some() && (there.is_none() || *replaces) && moved != there {
                    self.name(to, moved);
                    // Both in one moment.
                    self.time -= 1;
                    self.name(from, None);
                }
            }
            Event::SetLen(path, len) => self.change(path, Change::Len(to_usize(*len))),
            Event::Write { path, at, bytes } => {
                self.change(path, Change::Write(to_usize(*at), bytes.clone()));
            }
            Event::SyncAll => (0..self.inodes.len()).for_each(|inode| self.sync(inode)),
            Event::SyncDir(path) | Event::SyncFile(path) => {
                if let Some(inode) = self.find(path) {
                    self.sync(inode);
                }
            }
        }
    }

    fn make(&mut self, path: &str, node: Node) {
        if self.find(path).is_none() {
            self.inodes.push(node);
            self.name(path, Some(self.inodes.len() - 1));
        }
    }

    /// Gives a name a new meaning.
    fn name(&mut self, path: &str, inode: Option<Inode>) {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        let parent = self.find(parent).expect("the directory is there");
        self.time += 1;
        let Node::Directory(names) = &mut self.inodes[parent] else { panic!("{path}") };
        let name = names.entry(name.to_owned()).or_insert_with(|| Name(vec![(0, None)]));
        name.0.push((self.time, inode));
    }

    fn find(&self, path: &str) -> Option<Inode> {
        path.split('/').filter(|name| !name.is_empty()).try_fold(ROOT, |inode, name| {
            let Node::Directory(names) = &self.inodes[inode] else { return None };
            names.get(name)?.now()
        })
    }

    /// Changes a file; one that has no name any more is nobody's.
    fn change(&mut self, path: &str, change: Change) {
        if let Some(inode) = self.find(path)
            && let Node::File(file) = &mut self.inodes[inode]
        {
            file.changes.push(change);
        }
    }

    fn sync(&mut self, inode: Inode) {
        match &mut self.inodes[inode] {
            Node::Directory(names) => {
                names.values_mut().for_each(Name::sync);
                self.synced = self.time;
            }
            Node::File(file) => {
                file.stable = file.now();
                file.changes.clear();
            }
            Node::Link(_) => {}
        }
    }

    /// Makes an empty directory what this is in memory: what a program finds that starts when another one was
    /// killed.
    pub(crate) fn write_down(&self, root: &Path) {
        self.put(ROOT, root, &mut HashMap::new(), &mut Name::now, &mut File::now);
    }

    /// Makes an empty directory what the crash leaves.
    pub(crate) fn crash(&self, root: &Path, crash: Crash, draws: &mut Xoshiro256PlusPlus) {
        let moment = draws.random_range(self.synced..=self.time);
        let mut names = draws.clone();
        let mut leads = |name: &Name| match crash.has_journal {
            true => {
                name.0.iter().rfind(|(since, _)| *since <= moment).map_or(name.0[0].1, |at| at.1)
            }
            false => name.0[crash.survive(name.0.len() - 1, &mut names)].1,
        };
        let mut holds = |file: &File| file.after(crash, draws);
        self.put(ROOT, root, &mut HashMap::new(), &mut leads, &mut holds);
    }

    fn put(
        &self,
        inode: Inode,
        path: &Path,
        put: &mut HashMap<Inode, PathBuf>,
        leads: &mut dyn FnMut(&Name) -> Option<Inode>,
        holds: &mut dyn FnMut(&File) -> Vec<u8>,
    ) {
        match &self.inodes[inode] {
            Node::File(_) if put.contains_key(&inode) => {
                fs::hard_link(&put[&inode], path).expect("room");
            }
            Node::File(file) => {
                fs::write(path, holds(file)).expect("room");
                put.insert(inode, path.to_owned());
            }
            Node::Link(target) => symlink(target, path).expect("room"),
            Node::Directory(names) => {
                if inode != ROOT {
                    fs::create_dir(path).expect("room");
                }
                if path.ends_with(AREA) {
                    only_ours(path);
                }
                for (name, is) in names {
                    if let Some(inode) = leads(is) {
                        self.put(inode, &path.join(name), put, leads, holds);
                    }
                }
            }
        }
    }
}

fn only_ours(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).expect("ours");
}

impl File {
    fn now(&self) -> Vec<u8> {
        let mut bytes = self.stable.clone();
        for change in &self.changes {
            match change {
                Change::Len(len) => bytes.resize(*len, 0),
                Change::Write(at, part) => {
                    let end = at + part.len();
                    bytes.resize(bytes.len().max(end), 0);
                    bytes[*at..end].copy_from_slice(part);
                }
            }
        }
        bytes
    }

    /// What a crash leaves of it.
    fn after(&self, crash: Crash, draws: &mut Xoshiro256PlusPlus) -> Vec<u8> {
        let mut lengths = vec![self.stable.len()];
        for change in &self.changes {
            let before = *lengths.last().expect("it begins with one");
            lengths.push(match change {
                Change::Len(len) => *len,
                Change::Write(at, part) => before.max(at + part.len()),
            });
        }
        let len = lengths[crash.survive(self.changes.len(), draws)];
        let mut bytes = self.stable.clone();
        bytes.resize(len, 0);
        for (number, sector) in bytes.chunks_mut(crash.sector).enumerate() {
            let start = number * crash.sector;
            let touches = |change: &&Change| match change {
                Change::Len(len) => *len < start + sector.len(),
                Change::Write(at, part) => *at < start + sector.len() && at + part.len() > start,
            };
            let changes: Vec<_> = self.changes.iter().filter(touches).collect();
            let survive = crash.survive(changes.len(), draws);
            if survive < changes.len() && crash.has_remains && start >= self.stable.len() {
                sector.fill(0xa5);
            }
            changes[..survive].iter().for_each(|change| change.put(sector, start));
        }
        bytes
    }
}

impl Change {
    /// Does it to a sector that begins at `start`.
    fn put(&self, sector: &mut [u8], start: usize) {
        let end = start + sector.len();
        match self {
            Self::Len(len) => sector[(*len).clamp(start, end) - start..].fill(0),
            Self::Write(at, part) => {
                let (from, to) = ((*at).clamp(start, end), (at + part.len()).clamp(start, end));
                sector[from - start..to - start].copy_from_slice(&part[from - at..to - at]);
            }
        }
    }
}

fn to_usize(number: u64) -> usize {
    usize::try_from(number).expect("small files")
}
