//! One session's turn: jobs to its worker, packets to the socket.

use super::Engine;
use super::sessions::Served;
use crate::base::text::show_error;
use crate::net::worker::Worker;
use crate::net::{Carrier, Notice};
use crate::transfer::outcome::{Failure, Reason};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Trains that one session sends in one turn, so that others get theirs.
const TRAINS_MAX: usize = 8;

impl Engine {
    /// Does what a session that was touched wants done. A panic ends this session only.
    pub(super) fn serve(&mut self, id: u64) {
        let Some(mut served) = self.sessions.take(id) else {
            return;
        };
        let is_sound = !served.is_broken;
        let step = AssertUnwindSafe(|| is_sound && self.step(id, &mut served));
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
    fn step(&mut self, id: u64, served: &mut Served) -> bool {
        if !served.is_announced && served.session.is_validated() {
            served.is_announced = true;
            let peer = served.path.peer;
            (self.observer)(Notice::Started { id, peer, carrier: Carrier::Udp });
        }
        self.pass_jobs(id, served);
        let has_more = self.transmit(served);
        if self.traces {
            served.tell_trace(id, self.clock.now(), self.port.take_trace(), &self.observer);
        }
        served.tell_phase(id, &self.observer);
        served.deadline = served.session.poll_timeout();
        has_more
    }

    /// Hands jobs to the session's worker, which begins with the first one.
    fn pass_jobs(&self, id: u64, served: &mut Served) {
        while let Some(job) = served.session.next_job(self.clock.now()) {
            if let Some(sink) = served.sink.take() {
                match Worker::start(id, sink, self.told.0.clone(), self.waiter.waker()) {
                    Ok(worker) => served.worker = Some(worker),
                    Err(error) => {
                        let text = format!("cannot start a thread: {}", show_error(&error));
                        served.session.abort(self.now(), Failure::new(Reason::Other, text));
                    }
                }
            }
            if let Some(worker) = &served.worker {
                worker.submit(job);
            }
        }
    }

    /// Sends what the session wants to send; true if there is more than fits into one turn.
    pub(super) fn transmit(&mut self, served: &mut Served) -> bool {
        for _ in 0..TRAINS_MAX {
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
