//! Comparisons with what has the name of a file: read on, a little at a time, and settled.

use super::Sink;
use super::beside::READ_AT_ONCE;
use crate::base::text::show_error;
use crate::transfer::budget::is_shortage;
use crate::transfer::check::{Check, Finding, Told};
use crate::transfer::commit::{Found, storage_failure};
use crate::transfer::incoming::{Incoming, State};
use crate::transfer::job::Report;
use crate::transfer::keeping::Existing;
use crate::transfer::outcome::{Failure, Reason};
use std::io;

/// So often what is compared may find no file to open, about once in a second where there is nothing else to
/// do, before it is refused.
const SHORT_MAX: u32 = 30;

impl Sink {
    /// Reads on in what is compared with what was offered.
    pub(super) fn read_on(&mut self) {
        for _ in 0..READ_AT_ONCE {
            let Some(index) = self.checks.front().copied() else { return };
            match self.read_group(index) {
                Ok(Some(found)) => {
                    self.short = 0;
                    self.settle(index, found);
                }
                Ok(None) => {
                    self.checks.pop_front();
                    self.reading = None;
                }
                // It waits until somebody has closed some, but not for ever.
                Err(error) if is_shortage(&error) && self.short < SHORT_MAX => {
                    self.short += 1;
                    return;
                }
                Err(error) if is_shortage(&error) => self.give_up_comparing(index, &error),
                Err(error) => self.on_unreadable(index, &error),
            }
        }
    }

    /// Reads the next group of what one file is compared with; nothing, if no more is to be read.
    fn read_group(&mut self, index: u32) -> io::Result<Option<Option<Finding>>> {
        let Self { files, scratch, commits, reading, .. } = self;
        let check = files.get_mut(index).and_then(Incoming::check);
        let Some(check) = check.filter(|check| check.is_reading()) else { return Ok(None) };
        if reading.as_ref().is_none_or(|(read, _)| *read != index) {
            *reading = None;
            *reading = Some((index, commits.open_there(&check.place.0)?));
        }
        let (_, file) = reading.as_ref().expect("just opened");
        check.read_on(file, scratch).map(Some)
    }

    fn give_up_comparing(&mut self, index: u32, error: &io::Error) {
        let Some(check) = self.end_check(index) else { return };
        let failure = storage_failure(&check.place.0, error);
        self.reports.push(Report::Failed { index, failure });
    }

    /// What is compared could not be read: perhaps it is not there any more, or is something else now. That
    /// the system does not let us says nothing about the contents.
    fn on_unreadable(&mut self, index: u32, error: &io::Error) {
        let Some(check) = self.end_check(index) else { return };
        let place = &check.place.0;
        match self.look(place) {
            Ok(Found::File { .. }) if self.policy.keeping.existing != Existing::Overwrite => {
                let text = format!(
                    "cannot read what is at \"{place}\" at the receiver, to compare it: {}",
                    show_error(error)
                );
                let failure = Failure::new(Reason::Other, text);
                self.reports.push(Report::Failed { index, failure });
            }
            Ok(found) => self.go_on_after(index, check, found),
            Err(failure) => self.reports.push(Report::Failed { index, failure }),
        }
    }

    /// A comparison has come to an end, if it has.
    pub(super) fn settle(&mut self, index: u32, found: Option<Finding>) {
        let Some(finding) = found else { return };
        let Some(check) = self.end_check(index) else { return };
        match finding {
            Finding::Same(hash) => self.take_same(index, check.place.0, hash, true),
            Finding::Different => self.go_on_after(index, check, Found::Special),
        }
    }

    fn end_check(&mut self, index: u32) -> Option<Box<Check>> {
        self.reading.take_if(|(read, _)| *read == index);
        let file = self.files.get_mut(index)?;
        match std::mem::replace(&mut file.state, State::Over) {
            State::Checked(check) => Some(check),
            other => {
                file.state = other;
                None
            }
        }
    }

    /// What was `found` in the place of a file is not the same.
    fn go_on_after(&mut self, index: u32, check: Box<Check>, found: Found) {
        let Check { offered, place, told, .. } = *check;
        let judged = match found {
            Found::Nothing => self.take(index, offered, place, found),
            _ => self.on_other(index, offered, place, found),
        };
        if let Err(failure) = judged {
            return self.reports.push(Report::Failed { index, failure });
        }
        match self.files.get_mut(index).map(|file| &mut file.state) {
            // The next name is taken, too.
            Some(State::Checked(check)) => check.told = told,
            Some(State::Open(_)) => self.take_told(index, told),
            Some(State::Over) | None => {}
        }
    }

    /// What came during a comparison comes again; what the sender has told it does not tell again.
    fn take_told(&mut self, index: u32, told: Told) {
        for range in told.dropped.iter() {
            self.reports.extend(self.written.gaps(range).map(Report::Again));
        }
        let Some(open) = self.open_file(index) else { return };
        open.expected = told.values;
        let of_kept = open.expected.take_others(|group| !open.kept.claims(group));
        open.told_before = open.expected.len();
        for (group, value) in of_kept {
            self.hear_of_kept(index, group, value);
        }
        self.compare_kept(index);
        if let Some(root) = told.root {
            self.expect_root(index, root);
        }
    }
}
