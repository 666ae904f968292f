//! One session's turn: jobs to its worker, packets to the socket.

use super::Engine;
use super::sessions::Served;
use crate::base::text::show_error;
use crate::net::places::Admission;
use crate::net::worker::{Labour, Worker};
use crate::net::{Carrier, Notice};
use crate::transfer::outcome::{Failure, Reason};
use crate::transfer::session::Session;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Trains that one session sends in one turn, at most.
const TRAINS_MAX: usize = 8;

/// Trains that all sessions send in one turn, unless they are more than that: meanwhile nothing is
/// received, and the socket has room for some milliseconds only.
const TRAINS_OF_ALL: usize = 32;

/// What one hears who has proven his address when others had taken the last place.
const CROWDED: &str = "others have just taken its last places; try again later";

/// Trains that are with the sources of all sessions at once, unless there are more sessions than that: 16 MiB.
const TRAINS_OUT_OF_ALL: usize = 256;

/// Trains that each of so many sessions sends in one turn.
fn trains_of_each(sessions: usize) -> usize {
    (TRAINS_OF_ALL / sessions.max(1)).clamp(1, TRAINS_MAX)
}

impl Engine {
    /// Serves the sessions that were touched.
    pub(super) fn serve_touched(&mut self) {
        let touched = self.sessions.take_touched();
        let trains = trains_of_each(touched.len());
        touched.into_iter().for_each(|id| self.serve(id, trains));
    }

    /// Does what a session that was touched wants done. A panic ends this session only.
    fn serve(&mut self, id: u64, trains: usize) {
        let Some(mut served) = self.sessions.take(id) else {
            return;
        };
        let is_sound = !served.is_broken;
        let step = AssertUnwindSafe(|| is_sound && self.step(id, &mut served, trains));
        match catch_unwind(step) {
            Ok(has_more) if !served.is_broken => {
                if served.session.is_over() {
                    self.retire(id, served);
                } else {
                    self.sessions.put_back(id, served, has_more);
                }
            }
            _ => self.break_off(id, served),
        }
    }

    /// True if there is more to send than fits into one turn.
    fn step(&mut self, id: u64, served: &mut Served, trains: usize) -> bool {
        if !served.is_announced && served.session.is_validated() {
            if let Some(failure) = self.seat(served) {
                served.session.abort(self.now(), failure);
            } else {
                served.is_announced = true;
                let peer = served.path.peer;
                (self.observer)(Notice::Started { id, peer, carrier: Carrier::Udp });
            }
        }
        let entries = served.session.take_listed();
        if !entries.is_empty() {
            (self.observer)(Notice::Listed { id, entries });
        }
        self.pass_jobs(id, served);
        let work = match (&served.worker, &served.reader) {
            (Some(worker), _) => Some((worker.steps(), worker.is_busy())),
            (None, Some(reader)) => Some((reader.steps(), reader.is_busy())),
            (None, None) => None,
        };
        if let Some(work) = work {
            served.session.on_work(self.clock.now(), work);
        }
        served.session.limit_trains(TRAINS_OUT_OF_ALL / (self.sessions.len() + 1));
        let has_more = self.transmit(served, trains);
        self.pass_source_jobs(id, served);
        if served.session.take_moved()
            && let Some(place) = &served.place
        {
            place.seat().note_progress();
        }
        if self.traces {
            served.tell_trace(id, self.clock.now(), self.port.take_trace(), &self.observer);
        }
        served.tell_phase(id, &self.observer);
        served.deadline = served.session.poll_timeout();
        has_more
    }

    /// Gives one a place who has proven his address and has none; why not, if there is none.
    fn seat(&self, served: &mut Served) -> Option<Failure> {
        let places = self.places.as_ref().filter(|_| served.place.is_none())?;
        match places.admit(served.path.peer.ip()) {
            Admission::Place(place) => {
                served.place = Some(place);
                None
            }
            Admission::Later => Some(Failure::new(Reason::Refused, CROWDED)),
            Admission::Full(text) => Some(Failure::new(Reason::Refused, text)),
        }
    }

    /// Hands jobs to the worker of the session's sink, which begins with the first one.
    fn pass_jobs(&self, id: u64, served: &mut Served) {
        while let Some(job) = served.session.next_job(self.clock.now()) {
            if let Some(sink) = served.sink.take() {
                served.worker = self.start_worker(id, sink, &mut served.session);
            }
            if let Some(worker) = &served.worker {
                worker.submit(job);
            }
        }
    }

    /// The same for its source.
    fn pass_source_jobs(&self, id: u64, served: &mut Served) {
        while let Some(job) = served.session.next_source_job() {
            if let Some(source) = served.source.take() {
                served.reader = self.start_worker(id, source, &mut served.session);
            }
            if let Some(reader) = &served.reader {
                reader.submit(job);
            }
        }
    }

    /// A thread for a session's work with the disk; a session that gets none ends.
    fn start_worker<L: Labour>(
        &self,
        id: u64,
        labour: L,
        session: &mut Session,
    ) -> Option<Worker<L::Job>> {
        let started = Worker::start(id, labour, self.told.0.clone(), self.waiter.waker());
        started
            .map_err(|error| {
                let text = format!("cannot start a thread: {}", show_error(&error));
                session.abort(self.now(), Failure::new(Reason::Other, text));
            })
            .ok()
    }

    /// Sends what the session wants to send, in so many trains; true if there is more.
    pub(super) fn transmit(&mut self, served: &mut Served, trains: usize) -> bool {
        for _ in 0..trains {
            let now = self.clock.now();
            if !served.session.poll_transmit(now, &mut self.batch) {
                return false;
            }
            if let Some(path) = served.path_of(self.batch.path()) {
                self.port.send_batch(now, path, &self.batch);
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_as_long_for_many_as_for_few() {
        assert_eq!([0, 1, 4].map(trains_of_each), [TRAINS_MAX; 3]);
        assert_eq!([8, 32, 512].map(trains_of_each), [4, 1, 1]);
    }
}
