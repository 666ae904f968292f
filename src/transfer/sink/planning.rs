//! What would become of the entries of a plan. They are judged as those of a transfer are; nothing is made,
//! written, put on stable storage or taken over.

use super::Sink;
use crate::transfer::commit::{Found, exists, storage_failure};
use crate::transfer::entry::Kind;
use crate::transfer::hash::Hash;
use crate::transfer::job::Report;
use crate::transfer::journal::Key;
use crate::transfer::keeping::Existing;
use crate::transfer::name::TreePath;
use crate::transfer::outcome::Failure;
use std::collections::HashSet;

/// What has been said of a plan.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// The names that entries would get, by their hashes, where two could come to want the same.
    promised: HashSet<[u8; 16]>,
}

impl Sink {
    /// What there is at a path, or would be.
    pub(super) fn look(&mut self, place: &TreePath) -> Result<Found, Failure> {
        match &self.plan {
            None => self.commits.look(place),
            Some(plan) if plan.promised.contains(&half_hash(place)) => Ok(Found::Special),
            Some(_) => self.commits.foresee(place),
        }
    }

    pub(super) fn foretell_directory(
        &mut self,
        index: u32,
        path: &TreePath,
    ) -> Result<(), Failure> {
        self.reports.push(match self.commits.foresee(path)? {
            Found::Nothing => Report::Would { index, replaces: false, there: 0 },
            Found::Directory => Report::Same { index, hash: Hash::of(b"") },
            Found::File { .. } | Found::Link | Found::Special => {
                return Err(exists(path, Found::Special));
            }
        });
        Ok(())
    }

    /// The entry would lie at `place`, where something was `found`.
    pub(super) fn foretell(
        &mut self,
        index: u32,
        offered: (TreePath, Kind),
        place: (TreePath, u32),
        found: Found,
    ) -> Result<(), Failure> {
        let ((path, kind), (place, number)) = (offered, place);
        let mut there = 0;
        if let Kind::File { size, holes, source, .. } = &kind {
            let key = source.filter(|_| !self.policy.keeping.discards);
            if let Some(source) = key {
                let key = Key::new(&path, source);
                let found = self.maker.directory.already_there(key, &kind.layout());
                there = found.map_err(|error| storage_failure(&path, &error))?;
            }
            if holes.is_none() {
                self.room.owe(&self.maker.directory, &path, size - there)?;
            }
        }
        if let (Some(plan), Existing::Rename) = (&mut self.plan, self.policy.keeping.existing) {
            plan.promised.insert(half_hash(&place));
        }
        if number > 0 {
            self.reports.push(Report::Renamed { index, path: place });
        }
        self.reports.push(Report::Would { index, replaces: found != Found::Nothing, there });
        Ok(())
    }
}

fn half_hash(path: &TreePath) -> [u8; 16] {
    let hash = blake3::hash(path.as_str().as_bytes());
    *hash.as_bytes().first_chunk().expect("32 bytes")
}
