//! Where received bytes go: written, verified group by group, committed. Blocks on the disk; whoever
//! must not, runs it on a thread of its own and passes [`Job`]s and [`Report`]s.
//!
//! What is verified of a large file is written down now and then ([`Sink::checkpoint`]), so that a later
//! transfer of the same file goes on from there, whatever ends this one.

mod beginning;
mod beside;
mod comparing;
mod hollow;
mod judging;
mod planning;
mod rereading;
mod verifying;

use super::area::Owner;
use super::budget::{Account, Descriptors, Held, Turn};
use super::commit::{Commits, storage_failure};
use super::directory::Directory;
use super::disk::OpenedFile;
use super::hash::{GROUP, Hash, group_count};
use super::incoming::{CLAIMS_MAX, Incoming, Maker, OpenFile, Room, State, Storage, within};
use super::job::{Job, Report};
use super::keeping::Keeping;
use super::message::AHEAD_MAX;
use super::open_files::OpenFiles;
use super::outcome::{Failure, Reason};
use super::page_buffer::PageBuffer;
use super::tree::dress;
use super::window::Window;
use crate::base::range_set::RangeSet;
use planning::Plan;
use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

/// Groups that are verified and not written down, at most: what comes again after the program was killed.
const UNSAVED_MAX: usize = 24;

/// How a sink treats what it receives.
#[derive(Clone, Debug, Default)]
pub struct SinkPolicy {
    /// What becomes of what is complete.
    pub keeping: Keeping,
    /// Wrong bytes may come again: the carrier can repeat a range.
    pub can_repeat: bool,
    /// The files that all transfers together may have open.
    pub descriptors: Descriptors,
    /// Memory for what senders say.
    pub account: Account,
    /// For hashing what a sender says of holes.
    pub hashing: Turn,
    /// From where the sender came; nothing, where this side went there.
    pub origin: Option<IpAddr>,
}

/// The entries of one transfer on their way into a directory.
#[derive(Debug)]
pub struct Sink {
    maker: Maker,
    /// The files that it may have open, once it needs any.
    held: Vec<Held>,
    policy: SinkPolicy,
    /// Nothing is done, only said.
    plan: Option<Plan>,
    /// The entries under way, and some that are over.
    files: Window<Incoming>,
    commits: Commits,
    /// Bytes of the transfer space that are in their files; of those under way.
    written: RangeSet,
    /// Bytes written in all.
    total: u64,
    /// Bytes that came since it went on with what takes long.
    taken: u64,
    /// Where the transfer space ends so far.
    offered: u64,
    room: Room,
    reports: Vec<Report>,
    /// Files that are compared with what has their names, and are not read to their ends.
    checks: VecDeque<u32>,
    /// The first of them, once it is open.
    reading: Option<(u32, OpenedFile)>,
    /// How often it could not be opened since something was: this process has as many files open as it may.
    short: u32,
    /// Files of which something was brought by an earlier transfer, and can be read back and compared.
    kept: BTreeSet<u32>,
    /// Files whose next group is a hole, and was not hashed.
    hollow: BTreeSet<u32>,
    /// Files of which something is verified and not written down, and how many groups that are.
    unsaved: BTreeSet<u32>,
    unsaved_groups: usize,
    /// For reading a group back.
    scratch: PageBuffer,
}

impl Sink {
    /// A sink into `directory`; `token` keeps its partial files apart from those of others.
    #[must_use]
    pub fn new(directory: Arc<Directory>, policy: SinkPolicy, token: u64) -> Self {
        let owner = Owner { token, origin: policy.origin };
        Self {
            commits: Commits::new(directory.clone(), policy.keeping.clone(), owner),
            maker: Maker {
                directory,
                owner,
                claims: 0,
                claims_max: CLAIMS_MAX,
                handles: OpenFiles::default(),
            },
            held: Vec::new(),
            policy,
            plan: None,
            files: Window::default(),
            written: RangeSet::new(),
            total: 0,
            taken: 0,
            offered: 0,
            room: Room::default(),
            reports: Vec::new(),
            checks: VecDeque::new(),
            reading: None,
            short: 0,
            kept: BTreeSet::new(),
            hollow: BTreeSet::new(),
            unsaved: BTreeSet::new(),
            unsaved_groups: 0,
            scratch: PageBuffer::default(),
        }
    }

    /// Does a job and says what came of it. Some of it may come of a later job, or of the next
    /// [`Sink::rest`].
    pub fn run(&mut self, job: Job) -> Vec<Report> {
        let mut bytes = 0;
        match job {
            Job::Expect { index, first, values } => self.expect(index, first, &values),
            Job::ExpectRoot { index, hash } => self.expect_root(index, hash),
            Job::Finish => {
                self.commits.commit(&mut self.reports);
                self.commits.finish();
                self.reports.push(Report::Finished);
            }
            Job::Forget { index } => self.forget(index, Storage::leave),
            Job::Offer { index, wanted, range } => self.offer(index, wanted, range),
            Job::Plan => self.plan = Some(Plan::default()),
            Job::Write(batch) => {
                bytes = batch.len();
                self.taken += bytes as u64;
                batch.pieces().for_each(|(offset, piece)| self.write(offset, piece));
            }
        }
        if self.commits.is_full() {
            self.commits.commit(&mut self.reports);
        }
        self.files.forget(|file| matches!(file.state, State::Over));
        let kept = self.files.iter().next().map_or(self.offered, |file| file.range.start);
        self.written.remove_below(kept);
        self.reports.push(Report::Done { bytes, total: self.total });
        std::mem::take(&mut self.reports)
    }

    /// Commits what is complete and writes down what else is verified, so that a later transfer can go on
    /// from there. Should be done about every second.
    pub fn checkpoint(&mut self) -> Vec<Report> {
        self.commits.commit(&mut self.reports);
        self.write_down();
        std::mem::take(&mut self.reports)
    }

    fn write_down(&mut self) {
        self.unsaved_groups = 0;
        for index in std::mem::take(&mut self.unsaved) {
            let Some(open) = self.files.get_mut(index).and_then(Incoming::open) else {
                continue;
            };
            let Some(Storage::Kept(claim)) = &open.storage else { continue };
            if let Err(error) = claim.with(|unfinished| unfinished.checkpoint()) {
                let failure = storage_failure(&open.path, &error);
                self.fail(index, failure);
            }
        }
    }

    fn open_file(&mut self, index: u32) -> Option<&mut OpenFile> {
        self.files.get_mut(index)?.open()
    }

    /// Writes bytes that may belong to several files; those of files that are over are dropped.
    fn write(&mut self, mut offset: u64, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let index = self.files.partition_point(|file| file.range.end <= offset);
            let Some(file) = self.files.get_mut(index) else {
                return;
            };
            // Bytes in front of the first file belong to files that are over.
            let end = if offset < file.range.start { file.range.start } else { file.range.end };
            let len = usize::try_from(end - offset).unwrap_or(usize::MAX).min(bytes.len());
            let (part, rest) = bytes.split_at(len);
            if offset >= file.range.start {
                match &mut file.state {
                    State::Open(_) => self.write_part(index, offset, part),
                    State::Checked(_) if !self.policy.can_repeat => {
                        let text = "its bytes came before it was wanted";
                        self.fail(index, Failure::new(Reason::Other, text));
                    }
                    State::Checked(check) => {
                        check.told.dropped.insert(offset..offset + len as u64);
                    }
                    State::Over => {}
                }
            }
            offset += len as u64;
            bytes = rest;
        }
    }

    /// Writes bytes of one file.
    fn write_part(&mut self, index: u32, offset: u64, part: &[u8]) {
        let file = self.files.get_mut(index).expect("its caller has seen it");
        let range = offset..offset + part.len() as u64;
        let (start, layout) = (file.range.start, file.layout.clone());
        let size = layout.size();
        let is_all = range == file.range && layout.space() == size;
        let open = file.open().expect("its caller has seen it");
        let is_whole = is_all && size <= GROUP && open.storage.is_none();
        let Self { maker, written, .. } = self;
        let done = maker.with(index, open, size, |open, opened| {
            // What is written may be verified already: it is not written again.
            for gap in written.gaps(range.clone()) {
                let mut bytes = &part[within(offset, &gap)];
                for stretch in layout.stretches(gap.start - start..gap.end - start) {
                    let len = usize::try_from(stretch.end - stretch.start).expect("of a part");
                    let (piece, rest) = bytes.split_at(len);
                    open.put(opened, piece, stretch.start)?;
                    bytes = rest;
                }
            }
            if is_whole { dress(opened, open.attributes, 0o600) } else { Ok(()) }
        });
        if let Err(error) = done {
            let failure = storage_failure(&open.path, &error);
            return self.fail(index, failure);
        }
        if is_whole {
            open.whole = Some(Hash::of(part));
            open.is_dressed = true;
            maker.handles.close(index);
        }
        let fresh = written.insert(range.clone());
        self.room.owed -= open.owed_of(fresh);
        self.total += fresh;
        self.complete_groups(index, &range);
    }

    fn expect(&mut self, index: u32, first: u64, values: &[Hash]) {
        let Some(file) = self.files.get_mut(index) else {
            return;
        };
        let groups = group_count(file.size());
        for (group, value) in (first..).zip(values) {
            let Some(file) = self.files.get_mut(index) else {
                return;
            };
            let ahead = match &file.state {
                State::Over => return,
                State::Checked(_) => 0,
                State::Open(open) => open.expected.len().saturating_sub(open.told_before),
            };
            if group >= groups || ahead >= AHEAD_MAX {
                let text = "the sender announces more than the file it offered";
                return self.fail(index, Failure::new(Reason::Integrity, text));
            }
            let is_hole = file.layout.is_hole(group);
            if let Some(check) = file.check().filter(|_| !is_hole) {
                let Ok(found) = check.expect(group, *value) else {
                    return self.fail(index, no_memory());
                };
                self.settle(index, found);
                continue;
            }
            // What a hole is, is known.
            let Some(open) = file.open().filter(|_| !is_hole) else { continue };
            // Said twice, or about what is verified already: the first word counts.
            if open.groups.knows(group) {
                continue;
            }
            if open.kept.claims(group) {
                self.hear_of_kept(index, group, *value);
                continue;
            }
            self.hear_of_new(index, group, *value);
        }
        self.compare_kept(index);
    }

    fn expect_root(&mut self, index: u32, hash: Hash) {
        let Some(file) = self.files.get_mut(index) else {
            return;
        };
        let size = file.size();
        if let Some(check) = file.check() {
            let found = check.expect_root(hash);
            self.settle(index, found);
        }
        let Some(open) = self.open_file(index) else {
            return;
        };
        open.root = Some(hash);
        // The value of an only group is the hash of the file.
        if group_count(size) == 1 {
            self.expect(index, 0, &[hash]);
        }
        self.try_complete(index);
        self.compare_kept(index);
    }

    /// The file is not kept. Where its bytes are right, a later transfer can go on with them.
    fn fail(&mut self, index: u32, failure: Failure) {
        let put_away = match failure.reason {
            Reason::Integrity => Storage::discard,
            _ => Storage::leave,
        };
        self.forget(index, put_away);
        self.reports.push(Report::Failed { index, failure });
    }

    fn fail_to_store(&mut self, index: u32, error: &io::Error) {
        let open = self.open_file(index).expect("its caller has seen it");
        let failure = storage_failure(&open.path, error);
        self.fail(index, failure);
    }

    fn forget(&mut self, index: u32, put_away: fn(&Storage)) {
        let Some(file) = self.files.get_mut(index) else { return };
        if let State::Open(open) = std::mem::replace(&mut file.state, State::Over) {
            let missing = self.written.gaps(file.range.clone()).map(|gap| gap.end - gap.start);
            self.room.owed -= open.owed_of(missing.sum());
            self.maker.handles.close(index);
            if let Some(storage) = &open.storage {
                put_away(storage);
                self.let_go(storage);
            }
        }
    }

    /// One file less is kept open.
    fn let_go(&mut self, storage: &Storage) {
        if matches!(storage, Storage::Kept(_)) {
            self.maker.claims -= 1;
        }
    }
}

/// Why what a sender says of a file is not remembered.
fn no_memory() -> Failure {
    let text = "this side is busy with other transfers, and has no memory left; send again later";
    Failure::new(Reason::Refused, text)
}

impl Drop for Sink {
    /// What is not committed is left for a later transfer, where one can go on with it.
    fn drop(&mut self) {
        for file in self.files.iter_mut() {
            if let Some(storage) = file.open().and_then(|open| open.storage.take()) {
                storage.leave();
            }
        }
        self.commits.discard();
    }
}

#[cfg(test)]
mod tests;
