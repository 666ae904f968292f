//! Groups that are holes: nothing of them comes, and zeros are hashed for them, beside the transfer.
//!
//! They are hashed in their turn, so that no value waits in memory for those before it.

use super::Sink;
use crate::transfer::hash::{Hash, zeros_value};
use crate::transfer::holes::Layout;
use crate::transfer::incoming::Incoming;
use crate::transfer::unfinished::{Claim, Unfinished};
use std::io;

/// Groups that are hashed before a job is looked for.
const HASHED_AT_ONCE: usize = 16;

impl Sink {
    /// Hashes on in holes.
    pub(super) fn hash_holes(&mut self) {
        for _ in 0..HASHED_AT_ONCE {
            let Some(index) = self.hollow.first().copied() else { return };
            let file = self.files.get(index);
            match file.and_then(|file| Some((file.next_hole()?, file.size()))) {
                Some((group, size)) => {
                    // As dear as it is to this side, it is cheap to ask for.
                    let value = self.policy.hashing.within(|| zeros_value(group, size));
                    self.take_value(index, group, value);
                    self.try_complete(index);
                }
                None => {
                    self.hollow.remove(&index);
                }
            }
        }
    }

    /// The value of a group is known.
    pub(super) fn take_value(&mut self, index: u32, group: u64, value: Hash) {
        if let Some(open) = self.open_file(index) {
            open.groups.put(group, value);
        }
        self.look_for_hole(index);
    }

    /// Has the next group hashed, if it is a hole.
    pub(super) fn look_for_hole(&mut self, index: u32) {
        if self.files.get(index).and_then(Incoming::next_hole).is_some() {
            self.hollow.insert(index);
        }
    }
}

/// What an earlier transfer left of a file may have any length, and anything where it has holes: gives it what it
/// is to have there. Where the file system cannot, it is gone, and false comes of it.
///
/// # Errors
/// As the system says.
pub(super) fn restore(claim: &Claim, layout: &Layout) -> io::Result<bool> {
    let restored = claim.with(|unfinished| {
        let opened = unfinished.opened();
        opened.set_len(layout.size())?;
        layout.holes().ranges().try_for_each(|hole| opened.clear(hole))
    });
    match restored {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::Unsupported => {
            claim.release(|unfinished| unfinished.discard());
            Ok(false)
        }
        Err(error) => {
            claim.release(Unfinished::leave);
            Err(error)
        }
    }
}
