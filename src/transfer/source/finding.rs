//! Finding the entries to send: as many as are asked for, each behind all others in the transfer space.

use super::Source;
use super::item::Item;
use crate::transfer::entry::Kind;
use crate::transfer::holes::Holes;
use crate::transfer::message::ENTRIES_MAX;
use crate::transfer::outcome::{Failure, Reason};
use crate::transfer::source_job::SourceReport;
use crate::transfer::walk::{Candidate, Selection, Step, Walk};
use crate::wire::header::OFFSET_END;

/// Entries looked at for one job, so that bytes get their turn.
const STEPS_MAX: usize = 256;

/// Bytes of an offer beside its texts, at most.
const OFFER_LEN: usize = 48;

/// How far it is on its way through what was selected.
#[derive(Debug)]
pub(super) enum Way {
    Ahead(Box<Selection>),
    Along(Box<Walk>),
    Over,
}

impl Source {
    pub(super) fn walk(&mut self, entries: usize, text: usize, checks: bool) {
        let (mut entries_left, mut text_left) = (entries, text);
        for _ in 0..STEPS_MAX {
            if entries_left == 0 || text_left == 0 {
                break;
            }
            match self.step() {
                Step::End => return self.reports.push(SourceReport::Walked { is_end: true }),
                Step::Failed { name, failure } => {
                    entries_left -= 1;
                    text_left = text_left.saturating_sub(name.len() + failure.text.len());
                    self.reports.push(SourceReport::Lacking { name, failure });
                }
                Step::Found(candidate) => {
                    entries_left -= 1;
                    text_left = text_left.saturating_sub(self.take(candidate));
                    if checks {
                        self.check_last();
                    }
                }
                Step::Nothing => {}
                Step::SkippedLink => self.reports.push(SourceReport::SkippedLink),
                Step::SkippedSpecial { name } => {
                    self.reports.push(SourceReport::SkippedSpecial { name });
                }
            }
        }
        self.reports.push(SourceReport::Walked { is_end: false });
    }

    fn step(&mut self) -> Step {
        if let Way::Ahead(selection) = &self.way {
            match Walk::start(self.disk.clone(), selection) {
                Ok(walk) => self.way = Way::Along(Box::new(walk)),
                Err((name, failure)) => {
                    self.way = Way::Over;
                    return Step::Failed { name, failure };
                }
            }
        }
        let Way::Along(walk) = &mut self.way else { return Step::End };
        let mut step = walk.step();
        if let Step::Found(candidate) = &mut step {
            self.spend_holes(&mut candidate.kind);
        }
        match step {
            Step::Found(candidate) if self.found == ENTRIES_MAX => {
                self.way = Way::Over;
                left_out(
                    &candidate,
                    format!(
                        "one transfer carries at most {ENTRIES_MAX} files and directories; send the rest in another"
                    ),
                )
            }
            Step::Found(candidate) if !self.has_space_for(&candidate.kind) => left_out(
                &candidate,
                "one transfer carries at most 64 PiB, and it does not fit into what is left".into(),
            ),
            step => step,
        }
    }

    /// Whether the transfer space has offsets for it.
    fn has_space_for(&self, kind: &Kind) -> bool {
        let end = self.total.checked_add(kind.layout().space());
        kind.size() <= OFFSET_END && end.is_some_and(|end| end <= OFFSET_END)
    }

    /// Takes in an entry, behind all others in the transfer space, and says how long its offer is.
    fn take(&mut self, candidate: Candidate) -> usize {
        let Candidate { path, place, kind, stamp } = candidate;
        let layout = kind.layout();
        let start = self.total;
        self.total += layout.space();
        self.items.push(Item::new((place, stamp), start, layout));
        self.found += 1;
        let len = OFFER_LEN + path.as_str().len() + kind.text_len();
        self.reports.push(SourceReport::Found { path, kind });
        len
    }

    /// Where a transfer has had the bytes in holes that it may have, what follows travels.
    fn spend_holes(&mut self, kind: &mut Kind) {
        if let Kind::File { holes: Some(holes), .. } = kind {
            match self.holes_left.checked_sub(holes.total()) {
                Some(left) => self.holes_left = left,
                None => *holes = Holes::default(),
            }
        }
    }

    /// Says of the entry found last, before anybody can answer its offer, if it cannot be read.
    fn check_last(&mut self) {
        let index = self.items.next() - 1;
        let has_bytes = self.items.get(index).is_some_and(|item| !item.range.is_empty());
        if has_bytes && let Err(failure) = self.check_unchanged(index) {
            self.reports.push(SourceReport::Failed { index, failure });
        }
    }
}

/// A step that found what cannot be offered.
fn left_out(candidate: &Candidate, text: String) -> Step {
    Step::Failed { name: candidate.path.to_string(), failure: Failure::new(Reason::Other, text) }
}
