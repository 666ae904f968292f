//! The contents of what is to be committed: on stable storage, and read back from there if asked to.

use super::{Commits, Ready, What, give_up, storage_failure};
use crate::transfer::disk::again;
use crate::transfer::hash::Hash;
use crate::transfer::incoming::Storage;
use crate::transfer::job::Report;
use crate::transfer::name::TreePath;
use crate::transfer::outcome::{Failure, Reason};
use crate::transfer::tree::SYNCED_SINGLY_MAX;
use crate::transfer::unfinished::Unfinished;
use std::fs::File;
use std::io::{self, Seek};

impl Commits {
    /// Those whose contents are on stable storage.
    pub(super) fn sync_contents(
        &mut self,
        ready: Vec<Ready>,
        reports: &mut Vec<Report>,
    ) -> Vec<Ready> {
        // What is handed over is not what is kept.
        if self.keeping.discards || self.keeping.handover.is_some() {
            return ready;
        }
        let at_once = match ready.iter().filter(|ready| ready.what.is_file()).count() {
            0..=SYNCED_SINGLY_MAX => Ok(false),
            _ => self.tree.sync_all(),
        };
        let mut synced = Vec::with_capacity(ready.len());
        for ready in ready {
            let is_synced = match &at_once {
                Ok(true) => Ok(()),
                Ok(false) => self.sync_one(&ready),
                Err(error) => Err(again(error)),
            };
            match is_synced {
                Ok(()) => synced.push(ready),
                Err(error) => {
                    if let What::File(Storage::Kept(claim)) = &ready.what {
                        // Who has lost the claim has written nothing that counts.
                        let _ = claim.with(|unfinished| {
                            unfinished.doubt();
                            Ok(())
                        });
                    }
                    let failure = storage_failure(&ready.path, &error);
                    give_up(&ready, failure, reports);
                }
            }
        }
        synced
    }

    fn sync_one(&mut self, ready: &Ready) -> io::Result<()> {
        match &ready.what {
            What::File(Storage::Once(partial)) => self.tree.sync_partial(partial),
            What::File(Storage::Kept(claim)) => claim.with(Unfinished::sync),
            What::Same { is_file: true } => self.tree.open_file(&ready.path)?.sync_data(),
            What::Directory | What::Link(_) | What::Same { is_file: false } | What::Left => Ok(()),
        }
    }

    /// Whether what has the name of an entry is the same. Then that is what is kept of it, on stable storage.
    pub(super) fn take_same(&mut self, ready: &mut Ready) -> Result<bool, Failure> {
        let is_file = ready.what.is_file();
        let is_same = match &ready.what {
            What::File(_) => self.holds(&ready.path, ready.size, ready.hash),
            What::Link(_) => self.leads(&ready.path, ready.hash),
            What::Directory | What::Same { .. } | What::Left => Ok(false),
        };
        if !is_same.map_err(|error| storage_failure(&ready.path, &error))? {
            return Ok(false);
        }
        ready.what.discard();
        ready.what = What::Same { is_file };
        self.tree.touch(&ready.path);
        self.sync_one(ready).map_err(|error| storage_failure(&ready.path, &error))?;
        Ok(true)
    }

    /// Whether there is a file of that path with that hash.
    fn holds(&mut self, path: &TreePath, size: u64, hash: Hash) -> io::Result<bool> {
        let there = self.tree.look(path)?;
        let is_alike = there.is_some_and(|there| there.is_file() && there.len() == size);
        Ok(is_alike && hash_of(self.tree.open_file(path)?.file())? == hash)
    }

    /// Whether there is a link of that path that says what has that hash.
    fn leads(&mut self, path: &TreePath, hash: Hash) -> io::Result<bool> {
        let is_link = self.tree.look(path)?.is_some_and(|there| there.is_symlink());
        let says = if is_link { self.tree.read_link(path)? } else { return Ok(false) };
        Ok(says.to_str().is_some_and(|says| Hash::of(says.as_bytes()) == hash))
    }

    /// Compares what the disk has of a file with what the sender said of it.
    pub(super) fn verify(&mut self, ready: &Ready) -> Result<(), Failure> {
        let hash = match &ready.what {
            What::File(Storage::Once(partial)) => {
                partial.read().and_then(|file| hash_on_disk(file.file()))
            }
            What::File(Storage::Kept(claim)) => {
                claim.with(|unfinished| hash_on_disk(unfinished.opened().file()))
            }
            What::Same { is_file: true } => {
                self.tree.open_file(&ready.path).and_then(|file| hash_on_disk(file.file()))
            }
            What::Directory | What::Link(_) | What::Same { is_file: false } | What::Left => {
                return Ok(());
            }
        };
        match hash {
            Ok(hash) if hash == ready.hash => Ok(()),
            Ok(_) => {
                let text = format!(
                    "\"{}\" was read back from the receiver's disk other than it was written; nothing of it \
                     is kept; check that disk, then send again",
                    ready.path
                );
                Err(Failure::new(Reason::Integrity, text))
            }
            Err(error) => Err(storage_failure(&ready.path, &error)),
        }
    }
}

/// The hash of what a file has on the disk. Its contents are on stable storage, so that the system can forget
/// its own copy of them, and has to ask the disk. A disk may have a copy of its own.
fn hash_on_disk(mut file: &File) -> io::Result<Hash> {
    #[cfg(target_os = "linux")]
    rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed)?;
    file.rewind()?;
    hash_of(file)
}

/// The hash of an open file, from where it is read next.
fn hash_of(file: &File) -> io::Result<Hash> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(file)?;
    Ok(hasher.finalize().into())
}
