//! What becomes of an entry that is offered: whether it is wanted, under which name, and what of it need
//! not come.

use super::Sink;
use super::hollow::restore;
use crate::transfer::check::Check;
use crate::transfer::commit::{Found, NUMBERS_MAX, exists, storage_failure};
use crate::transfer::entry::{Attributes, Kind};
use crate::transfer::hash::Hash;
use crate::transfer::holes::Layout;
use crate::transfer::incoming::{Incoming, OpenFile, State, Storage};
use crate::transfer::job::Report;
use crate::transfer::journal::Key;
use crate::transfer::keeping::Existing;
use crate::transfer::kept::Kept;
use crate::transfer::message::{AHEAD_MAX, VALUES_MAX};
use crate::transfer::name::TreePath;
use crate::transfer::outcome::Failure;
use crate::transfer::values::Values;
use std::io;
use std::ops::Range;

/// Groups behind the first missing one that a later transfer goes on with; further ones come again.
const ISLANDS_MAX: usize = AHEAD_MAX - VALUES_MAX;

impl Sink {
    pub(super) fn offer(
        &mut self,
        index: u32,
        wanted: Option<(TreePath, Kind)>,
        range: Range<u64>,
    ) {
        debug_assert_eq!(index, self.files.next(), "offers come in order");
        self.offered = range.end;
        let layout = wanted.as_ref().map_or_else(Layout::default, |(_, kind)| kind.layout());
        self.files.push(Incoming { range, layout, state: State::Over });
        let Some(offered) = wanted else { return };
        let place = (offered.0.clone(), 0);
        if let Err(failure) = self.begin(&place.0).and_then(|()| self.judge(index, offered, place))
        {
            self.reports.push(Report::Failed { index, failure });
        }
    }

    /// What becomes of an entry that would lie at `place`.
    fn judge(
        &mut self,
        index: u32,
        offered: (TreePath, Kind),
        place: (TreePath, u32),
    ) -> Result<(), Failure> {
        let (path, kind) = offered;
        if self.policy.keeping.discards {
            return self.take_for_nothing(index, path, kind);
        }
        if let Kind::Directory { attributes } = kind {
            return self.take_directory(index, path, attributes);
        }
        let found = self.look(&place.0)?;
        match (found, &kind) {
            (Found::Nothing, _) => self.take(index, (path, kind), place, found),
            (_, _) if self.policy.keeping.existing == Existing::Skip => {
                self.reports.push(Report::Left { index });
                Ok(())
            }
            (Found::File { size: 0 }, Kind::File { size: 0, .. }) => {
                self.take_same(index, place.0, Hash::of(b""), true);
                Ok(())
            }
            (Found::File { size }, Kind::File { size: offered, .. }) if size == *offered => {
                self.compare(index, (path, kind), place);
                Ok(())
            }
            (Found::Link, Kind::Link { target }) if self.commits.says(&place.0, target)? => {
                let hash = Hash::of(target.as_bytes());
                self.take_same(index, place.0, hash, false);
                Ok(())
            }
            _ => self.on_other(index, (path, kind), place, found),
        }
    }

    fn take_directory(
        &mut self,
        index: u32,
        path: TreePath,
        attributes: Attributes,
    ) -> Result<(), Failure> {
        if self.plan.is_some() {
            return self.foretell_directory(index, &path);
        }
        self.commits.directory(index, path, attributes)?;
        self.reports.push(Report::Accepted { index });
        Ok(())
    }

    /// The entry is wanted, and will lie at `place`, where something was `found`.
    pub(super) fn take(
        &mut self,
        index: u32,
        offered: (TreePath, Kind),
        place: (TreePath, u32),
        found: Found,
    ) -> Result<(), Failure> {
        if !self.policy.keeping.discards {
            self.commits.expect_here(&place.0)?;
        }
        if self.plan.is_some() {
            return self.foretell(index, offered, place, found);
        }
        self.accept(index, offered, place)
    }

    /// What is there is the same.
    pub(super) fn take_same(&mut self, index: u32, place: TreePath, hash: Hash, is_file: bool) {
        if self.plan.is_some() {
            return self.reports.push(Report::Same { index, hash });
        }
        self.reports.push(Report::Accepted { index });
        self.commits.same(index, place, hash, is_file);
    }

    /// Takes an entry that is not kept.
    fn take_for_nothing(&mut self, index: u32, path: TreePath, kind: Kind) -> Result<(), Failure> {
        let hash = match &kind {
            Kind::Directory { .. } => Hash::of(b""),
            Kind::Link { target } => Hash::of(target.as_bytes()),
            Kind::File { .. } => {
                return self.take(index, (path.clone(), kind), (path, 0), Found::Nothing);
            }
        };
        if self.plan.is_some() {
            return self.foretell(index, (path.clone(), kind), (path, 0), Found::Nothing);
        }
        self.reports.push(Report::Accepted { index });
        self.commits.nothing(index, path, hash);
        Ok(())
    }

    /// Something else has the name.
    pub(super) fn on_other(
        &mut self,
        index: u32,
        offered: (TreePath, Kind),
        place: (TreePath, u32),
        found: Found,
    ) -> Result<(), Failure> {
        match self.policy.keeping.existing {
            Existing::Overwrite if found != Found::Directory => {
                self.take(index, offered, place, found)
            }
            Existing::Rename if place.1 < NUMBERS_MAX => {
                let number = place.1 + 1;
                let next = offered.0.numbered(number).map_err(|_| exists(&offered.0, found))?;
                self.judge(index, offered, (next, number))
            }
            _ => Err(exists(&place.0, found)),
        }
    }

    /// Compares a file with what has its name, and its size.
    fn compare(&mut self, index: u32, offered: (TreePath, Kind), place: (TreePath, u32)) {
        let check = Check::new(offered, place, &self.policy.account);
        let incoming = self.files.get_mut(index).expect("just pushed");
        incoming.state = State::Checked(Box::new(check));
        self.reports.push(Report::Prove { index });
        self.checks.push_back(index);
    }

    /// The entry is wanted, and will lie at `place`.
    fn accept(
        &mut self,
        index: u32,
        offered: (TreePath, Kind),
        place: (TreePath, u32),
    ) -> Result<(), Failure> {
        let ((path, kind), (place, number)) = (offered, place);
        match kind {
            Kind::File { .. } => self.begin_file(index, (&path, kind), place.clone())?,
            Kind::Link { target } => {
                let Self { maker, commits, .. } = self;
                let partial =
                    maker.directory.create_partial_link(maker.owner.token, index, &target);
                let partial = partial.map_err(|error| storage_failure(&path, &error))?;
                commits.link(index, place.clone(), partial, &target);
            }
            Kind::Directory { .. } => unreachable!("made when it was judged"),
        }
        if number > 0 {
            self.reports.push(Report::Renamed { index, path: place });
        }
        self.reports.push(Report::Accepted { index });
        let is_empty = self.files.get_mut(index).is_some_and(|file| file.size() == 0);
        if let Some(open) = self.open_file(index).filter(|_| is_empty) {
            open.whole = Some(Hash::of(b""));
            self.expect_root(index, Hash::of(b""));
            self.verify_group(index, 0);
        }
        Ok(())
    }

    fn begin_file(
        &mut self,
        index: u32,
        offered: (&TreePath, Kind),
        place: TreePath,
    ) -> Result<(), Failure> {
        let (path, Kind::File { size, holes, attributes, source }) = offered else {
            unreachable!("its caller has looked")
        };
        let key =
            source.filter(|_| !self.policy.keeping.discards).map(|source| Key::new(path, source));
        let is_sparse = holes.is_some();
        let mut open = OpenFile::new(place, key, attributes, is_sparse);
        open.expected = Values::new(&self.policy.account);
        open.kept = Kept::new(&self.policy.account);
        let told = self.reports.len();
        let there = self.take_up(index, &mut open, size);
        let there = there.map_err(|error| storage_failure(path, &error))?;
        // How much of it is holes shows when it is written.
        if !is_sparse && let Err(failure) = self.room.owe(&self.maker.directory, path, size - there)
        {
            open.storage.iter().for_each(Storage::leave);
            self.reports.truncate(told);
            return Err(failure);
        }
        self.maker.claims += usize::from(open.storage.is_some());
        self.files.get_mut(index).expect("just pushed").state = State::Open(Box::new(open));
        self.look_for_hole(index);
        Ok(())
    }

    /// Takes up what an earlier transfer has of the file, and says how many bytes that are.
    fn take_up(&mut self, index: u32, open: &mut OpenFile, size: u64) -> io::Result<u64> {
        let Some(key) = open.key.filter(|_| self.maker.has_room()) else { return Ok(0) };
        let mut found = Vec::new();
        let taken =
            self.maker.directory.take_up(key, size, |group, value| found.push((group, value)));
        let Some(claim) = taken? else { return Ok(0) };
        let file = self.files.get(index).expect("just pushed");
        let (start, layout) = (file.range.start, file.layout.clone());
        if !restore(&claim, &layout)? {
            return Ok(0);
        }
        open.storage = Some(Storage::Kept(claim));
        open.is_used = true;
        found.sort_unstable_by_key(|(group, _)| *group);
        found.dedup_by_key(|(group, _)| *group);
        found.retain(|(group, _)| !layout.is_hole(*group));
        let (mut there, mut frontier, mut islands) = (0, layout.next_data(0), 0);
        let mut run: Option<(u64, Vec<Hash>)> = None;
        for (group, value) in found {
            if group == frontier {
                frontier = layout.next_data(frontier + 1);
            } else if islands == ISLANDS_MAX {
                break;
            } else {
                islands += 1;
            }
            open.kept.claim(group);
            let range = layout.group_in_space(group);
            there += range.end - range.start;
            self.written.insert(start + range.start..start + range.end);
            match &mut run {
                Some((first, values))
                    if *first + values.len() as u64 == group && values.len() < VALUES_MAX =>
                {
                    values.push(value);
                }
                _ => {
                    let whole = run.replace((group, vec![value]));
                    self.tell_kept(index, whole);
                }
            }
        }
        self.tell_kept(index, run);
        Ok(there)
    }

    fn tell_kept(&mut self, index: u32, run: Option<(u64, Vec<Hash>)>) {
        let kept = run.map(|(first, values)| Report::Kept { index, first, values });
        self.reports.extend(kept);
    }
}
