//! Finds what is to be sent, one entry at a time, so that sending can begin before all of it is known and
//! memory does not depend on how much it is.
//!
//! Everything in a tree is looked at and opened below the handle of its topmost directory, so that a
//! directory that is exchanged for a link meanwhile leads nowhere else. Only where links are followed,
//! paths are taken as the system takes them: then leaving the tree is what was asked for.

use super::disk::{Call, Disk};
use super::entry::{Attributes, Kind, MODE_MASK};
use super::group_memory::GroupMemory;
use super::manifest::Manifest;
use super::name::{TreePath, link_fault, plain_target, show_start};
use super::outcome::{Failure, Reason};
use super::place::{Place, Stamp, read_failure, sizeless};
use super::rules::Rules;
use super::spool::Spool;
use crate::base::text::escape_os;
use cap_std::fs::{DirEntry, Metadata, ReadDir};
use std::collections::{HashSet, VecDeque};
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

/// Directories whose handles are held, of those that were named. Each costs a process one of the few files
/// that it may have open; further ones are found by their paths.
const ROOTS_MAX: usize = 128;

/// What becomes of symbolic links in a tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Links {
    /// What they lead to is sent in their place.
    Follow,
    /// They are sent as they are.
    Keep,
    /// They are left out.
    #[default]
    Skip,
}

/// What to send.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Files and directories.
    pub paths: Vec<PathBuf>,
    /// What came from standard input, behind them.
    pub spool: Option<Spool>,
    /// Where each file is listed once it is committed.
    pub manifest: Option<Manifest>,
    /// What becomes of symbolic links below the directories.
    pub links: Links,
    /// What of the directories goes.
    pub rules: Rules,
    /// Shared by all transfers of it.
    pub memory: GroupMemory,
}

/// Something to offer.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) path: TreePath,
    pub(super) place: Place,
    pub(super) kind: Kind,
    pub(super) stamp: Stamp,
}

/// What looking at one more entry brought.
#[derive(Debug)]
pub(super) enum Step {
    /// There is nothing more.
    End,
    /// It cannot be sent.
    Failed { name: String, failure: Failure },
    /// It is to be offered.
    Found(Candidate),
    /// It is none of what was asked for, or the end of a directory.
    Nothing,
    /// It is a link, and links are left out.
    SkippedLink,
    /// It is neither file nor directory nor link.
    SkippedSpecial { name: String },
}

/// A walk through what is to be sent.
#[derive(Debug)]
pub(super) struct Walk {
    disk: Disk,
    links: Links,
    rules: Rules,
    /// What was named, the first one last.
    named: Vec<Candidate>,
    /// The directories that it is in, from the outermost.
    stack: Vec<Frame>,
    /// What has been found and not been handed out.
    found: VecDeque<Candidate>,
}

#[derive(Debug)]
struct Frame {
    place: Place,
    path: TreePath,
    entries: ReadDir,
    /// Device and inode: a directory inside itself would have no end.
    #[cfg(unix)]
    identity: (u64, u64),
    /// To be offered once something in it is.
    pending: Option<Candidate>,
}

impl Walk {
    /// Looks at what was named before the first byte goes.
    ///
    /// # Errors
    /// Something is missing, unreadable or neither file nor directory, or two would have the same name; what
    /// that is, as people are shown it, and why.
    pub(super) fn start(disk: Disk, selection: &Selection) -> Result<Self, (String, Failure)> {
        let mut names = HashSet::new();
        let mut named = Vec::new();
        let spool = selection.spool.iter().map(|spool| {
            let unreadable = |error: io::Error| read_failure("standard input", &error);
            spool.candidate(&disk).map_err(|error| ("standard input".to_owned(), unreadable(error)))
        });
        let paths = selection.paths.iter().zip(0..).map(|(path, place)| {
            let holds = selection.links != Links::Follow && place < ROOTS_MAX;
            let shown = escape_os(path);
            look_at(&disk, path, holds).map_err(|failure| (shown, failure))
        });
        for candidate in paths.chain(spool) {
            let candidate = candidate?;
            if !names.insert(candidate.path.clone()) {
                let name = candidate.path.to_string();
                let text = format!("two of them would both be called \"{name}\"");
                return Err((name, Failure::new(Reason::Other, text)));
            }
            named.push(candidate);
        }
        named.reverse();
        let Selection { links, rules, .. } = selection;
        Ok(Self {
            disk,
            links: *links,
            rules: rules.clone(),
            named,
            stack: Vec::new(),
            found: VecDeque::new(),
        })
    }

    /// Looks at one more entry.
    pub(super) fn step(&mut self) -> Step {
        if let Some(found) = self.found.pop_front() {
            return Step::Found(found);
        }
        let Some(frame) = self.stack.last_mut() else {
            return match self.named.pop() {
                Some(named) => self.take(named),
                None => Step::End,
            };
        };
        let listed = frame.place.ask(&self.disk).map(|()| frame.entries.next());
        match listed.unwrap_or_else(|error| Some(Err(error))) {
            Some(Ok(entry)) => self.examine(&entry),
            Some(Err(error)) => {
                let failed = unreadable(&frame.place, &error);
                self.stack.pop();
                failed
            }
            None => {
                self.stack.pop();
                Step::Nothing
            }
        }
    }

    /// Looks at an entry of the innermost directory.
    fn examine(&mut self, entry: &DirEntry) -> Step {
        let frame = self.stack.last().expect("an entry is in a directory");
        let name = entry.file_name();
        let place = frame.place.join(&name);
        let path = match frame.path.join(&name) {
            Ok(path) => path,
            Err(error) => {
                let failure = Failure::new(Reason::Refused, error.to_string());
                return Step::Failed { name: place.show(), failure };
            }
        };
        let metadata = place.ask(&self.disk).and_then(|()| entry.metadata());
        let metadata = match (metadata, self.links) {
            (Ok(metadata), Links::Follow) if metadata.is_symlink() => place.follow(&self.disk),
            (metadata, _) => metadata,
        };
        let metadata = match metadata {
            Ok(metadata) => metadata,
            Err(error) => return unreadable(&place, &error),
        };
        let is_wanted = match metadata.is_dir() {
            true => self.rules.wants_directory(&path),
            false => self.rules.wants_file(&path),
        };
        if !is_wanted {
            return Step::Nothing;
        }
        if metadata.is_symlink() {
            return self.take_link(path, place, &metadata);
        }
        match Candidate::new(&self.disk, path, place, &metadata) {
            Ok(candidate) => self.take(candidate),
            Err(name) => Step::SkippedSpecial { name },
        }
    }

    fn take_link(&mut self, path: TreePath, place: Place, metadata: &Metadata) -> Step {
        if self.links == Links::Skip {
            return Step::SkippedLink;
        }
        let target = match place.read_link(&self.disk) {
            Ok(target) => target,
            Err(error) => return unreadable(&place, &error),
        };
        let text = target.to_str().map(plain_target);
        let fault = match &text {
            Some(text) => link_fault(&path, text),
            None => Some("it is not UTF-8".into()),
        };
        if let Some(fault) = fault {
            let name = place.show();
            let shown = show_start(&target.to_string_lossy());
            let text = format!("the link {name} says \"{shown}\" and is not sent: {fault}");
            return Step::Failed { name, failure: Failure::new(Reason::Refused, text) };
        }
        let target = text.expect("it has no fault");
        let stamp = Stamp::of(metadata);
        self.take(Candidate { path, place, kind: Kind::Link { target }, stamp })
    }

    /// Hands a candidate out, after the directories that it lies in.
    fn take(&mut self, candidate: Candidate) -> Step {
        if matches!(candidate.kind, Kind::Directory { .. }) {
            return self.enter(candidate);
        }
        self.found.extend(self.stack.iter_mut().filter_map(|frame| frame.pending.take()));
        self.found.push_back(candidate);
        Step::Found(self.found.pop_front().expect("just put there"))
    }

    fn enter(&mut self, directory: Candidate) -> Step {
        let opened = directory.place.open_dir(&self.disk).and_then(|dir| {
            let entries = dir.entries()?;
            Ok((entries, dir.dir_metadata()?))
        });
        let (entries, metadata) = match opened {
            Ok(opened) => opened,
            Err(error) => return unreadable(&directory.place, &error),
        };
        #[cfg(unix)]
        let identity = {
            use cap_std::fs::MetadataExt;
            (metadata.dev(), metadata.ino())
        };
        #[cfg(unix)]
        if self.stack.iter().any(|frame| frame.identity == identity) {
            let name = directory.place.show();
            let text =
                format!("{name} leads back to a directory that it lies in; it is not followed");
            return Step::Failed { name, failure: Failure::new(Reason::Source, text) };
        }
        let mut frame = Frame {
            place: directory.place.clone(),
            path: directory.path.clone(),
            entries,
            #[cfg(unix)]
            identity,
            pending: None,
        };
        if self.rules.wants_empty_directories() {
            self.stack.push(frame);
            return Step::Found(directory);
        }
        frame.pending = Some(directory);
        self.stack.push(frame);
        Step::Nothing
    }
}

impl Candidate {
    /// What is to be offered of a file or directory; the name of anything else.
    pub(super) fn new(
        disk: &Disk,
        path: TreePath,
        place: Place,
        metadata: &Metadata,
    ) -> Result<Self, String> {
        let attributes = attributes_of(metadata);
        let kind = if metadata.is_dir() {
            Kind::Directory { attributes }
        } else if metadata.is_file() {
            let size = metadata.len();
            let source = Kind::is_identified(size).then(|| Stamp::of(metadata).id());
            let holes = is_sparse(metadata).then(|| place.holes(disk, size));
            Kind::File { size, holes, attributes, source }
        } else {
            return Err(place.show());
        };
        Ok(Self { path, place, kind, stamp: Stamp::of(metadata) })
    }
}

fn attributes_of(metadata: &Metadata) -> Attributes {
    #[cfg(unix)]
    let mode = {
        use cap_std::fs::MetadataExt;
        u16::try_from(metadata.mode() & u32::from(MODE_MASK)).expect("nine bits")
    };
    #[cfg(not(unix))]
    let mode = MODE_MASK;
    let modified = metadata.modified().ok().map(cap_std::time::SystemTime::into_std);
    Attributes::at(mode, modified.unwrap_or(std::time::SystemTime::UNIX_EPOCH))
}

/// Whether it takes less room than it has bytes.
fn is_sparse(metadata: &Metadata) -> bool {
    #[cfg(unix)]
    {
        use cap_std::fs::MetadataExt;
        metadata.blocks().saturating_mul(512) < metadata.len()
    }
    #[cfg(not(unix))]
    {
        let _ = metadata;
        false
    }
}

fn unreadable(place: &Place, error: &io::Error) -> Step {
    let name = place.show();
    let failure = read_failure(&name, error);
    Step::Failed { name, failure }
}

/// Looks at what was named, and holds it if it is a directory. Named links are followed: who names one means
/// what it leads to.
fn look_at(disk: &Disk, path: &Path, holds: bool) -> Result<Candidate, Failure> {
    let shown = escape_os(path);
    let unreadable = |error: io::Error| read_failure(&shown, &error);
    disk.ask(&Call::Look(&path.to_string_lossy())).map_err(unreadable)?;
    let metadata = Metadata::from_just_metadata(std::fs::metadata(path).map_err(unreadable)?);
    let name = name_of(path).map_err(unreadable)?;
    let name = TreePath::top(&name).map_err(|e| Failure::new(Reason::Refused, e.to_string()))?;
    let place = if metadata.is_dir() && holds {
        Place::hold(disk, path).map_err(unreadable)?
    } else {
        Place::Free(path.to_owned())
    };
    let candidate = Candidate::new(disk, name, place, &metadata).map_err(|shown| {
        let text = format!("{shown} is neither file nor directory; only those are sent");
        Failure::new(Reason::Source, text)
    })?;
    if metadata.is_file() {
        let file = candidate.place.open(disk).map_err(unreadable)?;
        let holds_something = metadata.len() == 0 && file.read_exact_at(&mut [0], 0).is_ok();
        if holds_something {
            return Err(sizeless(&shown));
        }
    }
    Ok(candidate)
}

/// The name of what a path leads to, also where the path says `.` or `..`.
fn name_of(path: &Path) -> io::Result<std::ffi::OsString> {
    if let Some(name) = path.file_name() {
        return Ok(name.to_owned());
    }
    let real = path.canonicalize()?;
    let name = real.file_name().map(OsStr::to_owned);
    name.ok_or_else(|| io::Error::other("the topmost directory has no name; send what is in it"))
}
