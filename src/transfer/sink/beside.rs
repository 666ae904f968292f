//! What takes long and is no job goes on beside the jobs, in turns of its own, so that neither waits for the
//! other's end.

use super::Sink;
use crate::transfer::hash::GROUP;
use crate::transfer::job::Report;

/// Groups that are read in one turn: of what has the name of a file, and of what was kept.
pub(super) const READ_AT_ONCE: usize = 4;

/// As many bytes written make it a turn for those.
const TURN: u64 = READ_AT_ONCE as u64 * GROUP;

impl Sink {
    /// Goes on with what takes long, a little; where nothing does, commits what is complete.
    pub fn rest(&mut self) -> Vec<Report> {
        self.taken = 0;
        self.read_on();
        self.reread();
        self.hash_holes();
        if !self.is_busy() {
            self.commits.commit(&mut self.reports);
        }
        std::mem::take(&mut self.reports)
    }

    /// Whether [`Sink::rest`] has more to do, without a job.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        let compares = !self.checks.is_empty() && self.short == 0;
        compares || !self.kept.is_empty() || !self.hollow.is_empty()
    }

    /// Whether as much was written since [`Sink::rest`] was called as it would read: what is compared beside the
    /// transfer is then done about when the rest has come, also where that leaves no time.
    #[must_use]
    pub fn is_rest_due(&self) -> bool {
        self.is_busy() && self.taken >= TURN
    }
}
