//! One entry to send, as its source knows it.

use crate::base::range_set::RangeSet;
use crate::transfer::disk::Disk;
use crate::transfer::hash::Groups;
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
    /// What was read of it.
    pub(super) groups: Groups,
    /// Groups to be hashed though they do not go.
    pub(super) aside: RangeSet,
    /// It has an outcome: nobody waits for its bytes.
    pub(super) is_over: bool,
}

impl Item {
    pub(super) fn new(place: Place, stamp: Stamp, range: Range<u64>) -> Self {
        let (groups, aside) = (Groups::default(), RangeSet::new());
        Self { place, stamp, range, groups, aside, is_over: false }
    }

    /// Bytes.
    pub(super) fn size(&self) -> u64 {
        self.range.end - self.range.start
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

    fn changed(&self, how: &str) -> Failure {
        let path = self.place.show();
        let text = format!("{path} changed while it was sent ({how}); send it again");
        Failure::new(Reason::Source, text)
    }
}
