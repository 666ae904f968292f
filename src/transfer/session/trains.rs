//! Trains of file bytes between a connection and a source.

use super::{Session, Side};
use crate::base::time::Instant;
use crate::transfer::source_job::{SourceJob, SourceReport};
use crate::transport::batch::Batch;
use std::collections::VecDeque;

/// Trains that may be with the source at once: enough that it reads while others leave.
const TRAINS_OUT_MAX: usize = 8;

/// The trains of a session that sends.
#[derive(Debug)]
pub(super) struct Trains {
    /// Reserved, for the source to fill.
    to_fill: VecDeque<Batch>,
    /// To leave.
    filled: VecDeque<Batch>,
    /// Both of these, and those that the source has.
    out: usize,
    most: usize,
    /// For further ones.
    spare: Vec<Batch>,
}

impl Default for Trains {
    fn default() -> Self {
        Self {
            to_fill: VecDeque::new(),
            filled: VecDeque::new(),
            out: 0,
            most: TRAINS_OUT_MAX,
            spare: Vec::new(),
        }
    }
}

impl Trains {
    /// A batch to use again; no more of them are kept than may be out.
    fn take_spare(&mut self) -> Batch {
        self.spare.truncate(self.most);
        self.spare.pop().unwrap_or_default()
    }
}

impl Session {
    /// The next thing for this session's source to do.
    pub fn next_source_job(&mut self) -> Option<SourceJob> {
        let Side::Sending(sending) = &mut self.side else {
            return None;
        };
        // What a train is filled with depends on what was said before.
        sending.next_job().or_else(|| self.trains.to_fill.pop_front().map(SourceJob::Fill))
    }

    /// This session's source did something.
    pub fn on_source_reports(&mut self, now: Instant, reports: Vec<SourceReport>) {
        for report in reports {
            match (report, &mut self.side) {
                (SourceReport::Filled { batch, is_whole: true }, _) => {
                    self.trains.filled.push_back(batch);
                }
                (SourceReport::Filled { batch, is_whole: false }, _) => {
                    self.trains.out -= 1;
                    self.connection.abandon(&batch);
                }
                (report, Side::Sending(sending)) => sending.on_report(report),
                (_, Side::Receiving(_)) => {}
            }
        }
        self.pump(now);
    }

    /// Sets how many trains may be with the source at once; one may be in any case.
    pub fn limit_trains(&mut self, most: usize) {
        self.trains.most = most.clamp(1, TRAINS_OUT_MAX);
    }

    /// Makes `batch` the next packets, sealed; false if there is nothing to send now. Trains of file bytes
    /// become jobs of the source first, and leave when it has filled them.
    pub fn poll_transmit(&mut self, now: Instant, batch: &mut Batch) -> bool {
        loop {
            if let Some(train) = self.trains.filled.pop_front() {
                self.trains.spare.push(std::mem::replace(batch, train));
                self.trains.out -= 1;
                if !self.connection.depart(now, batch) {
                    continue;
                }
                if let Side::Sending(sending) = &mut self.side {
                    batch.slots().iter().for_each(|slot| sending.on_sent(slot.range()));
                }
                batch.seal();
                return true;
            }
            let may_be_data = self.trains.out < self.trains.most;
            if !self.connection.poll_unfilled(now, batch, may_be_data) {
                return false;
            }
            if batch.slots().is_empty() {
                self.connection.depart(now, batch);
                batch.seal();
                return true;
            }
            self.trains.out += 1;
            let spare = self.trains.take_spare();
            self.trains.to_fill.push_back(std::mem::replace(batch, spare));
        }
    }
}
