//! What the owner of a loop is told of its sessions: how far they are, and how they ended.

use super::Engine;
use super::sessions::Served;
use crate::base::time::{Duration, Instant};
use crate::net::places::Place;
use crate::net::worker::Worker;
use crate::net::{Carrier, Finished, Notice, internal_error};
use crate::transfer::job::Job;
use crate::transfer::outcome::{Ledger, TransferReport};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// How often owners are told how far a session is.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// What is left of a session that is over until its worker has stopped.
pub(super) struct Retiring {
    finished: Option<Box<Finished>>,
    _worker: Worker<Job>,
    _place: Option<Place>,
}

impl Engine {
    pub(super) fn retire(&mut self, id: u64, served: Served) {
        let report = served.session.report(served.path.peer).expect("it is over");
        self.end(id, served, report);
    }

    /// Ends a session in which something panicked, with what of it still works.
    pub(super) fn break_off(&mut self, id: u64, mut served: Served) {
        let failure = internal_error();
        let told = failure.clone();
        let now = self.now();
        // Where not even this works, the peer misses us after a while.
        let _ = catch_unwind(AssertUnwindSafe(|| {
            served.session.abort(now, told);
            self.transmit(&mut served, 1);
        }));
        let report =
            catch_unwind(AssertUnwindSafe(|| served.session.report_failure(failure.clone())));
        let report = report.unwrap_or_else(|_| Ledger::default().report(Some(failure), None));
        self.end(id, served, report);
    }

    fn end(&mut self, id: u64, mut served: Served, report: TransferReport) {
        self.sessions.forget(id);
        let until = served.session.completed_at().unwrap_or_else(|| self.now());
        // Nobody is told of the end of what nobody was told had begun.
        let was_known = served.is_announced || report.counts.entries > 0;
        let finished = Finished {
            report,
            carrier: Carrier::Udp,
            peer: served.path.peer,
            elapsed: until.since(served.began),
            retrying: Duration::ZERO,
            impaired: self.port.counts(self.sessions.damaged()),
            is_peer_lost: served.session.is_peer_lost(),
        };
        let finished = was_known.then(|| Box::new(finished));
        // Nobody waits for a disk that is only read.
        if let Some(reader) = served.reader.take() {
            reader.leave(served.place.take());
        }
        match served.worker.take() {
            Some(mut worker) => {
                worker.close();
                let retiring = Retiring { finished, _worker: worker, _place: served.place };
                self.retiring.insert(id, retiring);
            }
            None => self.tell_ended(id, finished),
        }
    }

    /// A closed worker has put away what is not committed: only now the transfer is over.
    pub(super) fn bury(&mut self, id: u64) {
        if let Some(Retiring { finished, .. }) = self.retiring.remove(&id) {
            self.tell_ended(id, finished);
        }
    }

    fn tell_ended(&self, id: u64, finished: Option<Box<Finished>>) {
        if let Some(finished) = finished {
            self.tell(Notice::Ended { id, finished });
        }
    }

    pub(super) fn tell_progress(&mut self, now: Instant) {
        if now < self.next_progress {
            return;
        }
        self.next_progress = now + PROGRESS_INTERVAL;
        let known = self.sessions.iter().filter(|(_, served)| served.is_announced);
        let progress: Vec<_> = known.map(|(id, served)| (id, served.session.progress())).collect();
        for (id, progress) in progress {
            if !self.tell(Notice::Progress { id, progress: Box::new(progress) })
                && let Some(served) = self.sessions.touch(id)
            {
                served.is_broken = true;
            }
        }
    }

    /// False if the owner panicked over it.
    fn tell(&self, notice: Notice) -> bool {
        catch_unwind(AssertUnwindSafe(|| (self.observer)(notice))).is_ok()
    }
}
