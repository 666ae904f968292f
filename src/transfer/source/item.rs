//! One entry to send, as its source knows it.

use crate::base::range_set::RangeSet;
use crate::transfer::disk::Disk;
use crate::transfer::hash::{Groups, group_count};
use crate::transfer::holes::Layout;
use crate::transfer::outcome::{Failure, Reason};
use crate::transfer::place::{Place, Stamp, read_failure, sizeless};
use std::io;
use std::ops::Range;

/// One entry to send.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) place: Place,
    stamp: Stamp,
    /// Where its bytes are in the transfer space.
    pub(super) range: Range<u64>,
    /// Where these are in the file.
    pub(super) layout: Layout,
    /// What was read of it.
    pub(super) groups: Groups,
    /// Groups to be hashed though they do not go.
    pub(super) aside: RangeSet,
    /// The receiver takes it: its holes are hashed.
    pub(super) is_taken: bool,
    /// It has an outcome: nobody waits for its bytes.
    pub(super) is_over: bool,
}

impl Item {
    /// An entry whose bytes begin there in the transfer space.
    pub(super) fn new((place, stamp): (Place, Stamp), start: u64, layout: Layout) -> Self {
        Self {
            place,
            stamp,
            range: start..start + layout.space(),
            layout,
            groups: Groups::default(),
            aside: RangeSet::new(),
            is_taken: false,
            is_over: false,
        }
    }

    /// Bytes.
    pub(super) fn size(&self) -> u64 {
        self.layout.size()
    }

    /// The first group that is not known, if it is a hole to be hashed.
    pub(super) fn next_hole(&self) -> Option<u64> {
        let next = self.groups.frontier();
        let is_hole = next < group_count(self.size()) && self.layout.is_hole(next);
        (self.is_taken && is_hole).then_some(next)
    }

    /// What an error means for it.
    pub(super) fn failure(&self, error: &io::Error, disk: &Disk) -> Failure {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => match self.stamp_now(disk) {
                Ok(now) if now == self.stamp => sizeless(&self.place.show()),
                Ok(_) => self.changed("it became shorter"),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    read_failure(&self.place.show(), &error)
                }
                Err(error) => self.failure(&error, disk),
            },
            io::ErrorKind::NotFound => self.changed("it was removed or renamed"),
            _ => read_failure(&self.place.show(), error),
        }
    }

    /// As if it had been offered with that stamp.
    #[cfg(test)]
    pub(super) fn take_for(&mut self, stamp: Stamp) {
        self.stamp = stamp;
    }

    /// Whether it is still what was offered.
    ///
    /// # Errors
    /// A sentence that says that it is not.
    pub(super) fn check_unchanged(&self, disk: &Disk) -> Result<(), Failure> {
        self.compare(self.stamp_now(disk).map_err(|error| self.failure(&error, disk))?)
    }

    fn stamp_now(&self, disk: &Disk) -> io::Result<Stamp> {
        self.place.open(disk).and_then(|file| Stamp::of_file(&file))
    }

    /// Compares what it is now with what was offered.
    ///
    /// # Errors
    /// A sentence that says how it differs.
    pub(super) fn compare(&self, now: Stamp) -> Result<(), Failure> {
        let how = match now {
            now if now == self.stamp => return Ok(()),
            now if now.size > self.stamp.size => "it became longer",
            now if now.size < self.stamp.size => "it became shorter",
            _ => "it was written to, replaced or removed, or has another mode",
        };
        Err(self.changed(how))
    }

    /// What was a hole of it is none any more.
    pub(super) fn filled(&self) -> Failure {
        self.changed("it was written to")
    }

    fn changed(&self, how: &str) -> Failure {
        let path = self.place.show();
        let text = format!("{path} changed while it was sent ({how}); send it again");
        Failure::new(Reason::Source, text)
    }
}
