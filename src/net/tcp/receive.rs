//! Receiving over a stream: recv, send, close.

use super::channel::{Channel, Stop};
use super::order::Order;
use super::record::{Record, RecordReader, violation_of};
use super::throttle::ThrottledStream;
use super::until_silent;
use crate::base::time::{Duration, Instant};
use crate::net::worker::CHECKPOINT;
use crate::net::{Finished, Notice, internal_error};
use crate::os::wait::Waiter;
use crate::transfer::ending::{failure_of_close, stalled, wordless};
use crate::transfer::outcome::{Failure, Reason};
use crate::transfer::receiver::Receiving;
use crate::transfer::session::Phase;
use crate::transfer::sink::Sink;
use crate::transfer::stall::StallClock;
use crate::wire::cursor::Malformed;
use std::io;
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

/// A sender that knows how every file ended gets this long to say farewell.
const LINGER: Duration = Duration::from_secs(3);

/// The receiving side of one transfer.
pub(super) struct Download {
    channel: Channel,
    receiving: Box<Receiving>,
    /// None where only the list is wanted: then there is nothing for one to do.
    sink: Option<Box<Sink>>,
    order: Order,
    next_checkpoint: Instant,
    stall: StallClock,
    /// Until when it waits for the sender's farewell.
    lingers_until: Option<Instant>,
}

impl Download {
    pub(super) fn new(
        channel: Channel,
        receiving: Box<Receiving>,
        sink: Option<Box<Sink>>,
    ) -> Self {
        let owes_word = !channel.standpoint.is_initiator;
        let stall = StallClock::new(channel.clock.now(), owes_word);
        Self {
            channel,
            receiving,
            sink,
            order: Order::default(),
            next_checkpoint: Instant::ZERO,
            stall,
            lingers_until: None,
        }
    }

    /// Receives, and tells how it ended.
    pub(super) fn run(mut self, reader: RecordReader<ThrottledStream>) -> Finished {
        let pulse = self.channel.pulse().ok();
        // A panic in one connection ends that connection only.
        let outcome = catch_unwind(AssertUnwindSafe(|| self.talk(reader)))
            .unwrap_or_else(|_| Err(internal_error().into()));
        let is_complete = self.receiving.is_complete();
        let failure = outcome.err().filter(|_| !is_complete).map(|stop| match stop {
            Stop::Broken(error) => self.channel.lost(&error),
            Stop::Failed(failure) => failure,
        });
        if let Some(failure) = &failure {
            self.channel.close(failure);
        }
        let Self { mut channel, receiving, sink, .. } = self;
        channel.part();
        drop(pulse);
        // What is not committed is put away before anybody hears that the transfer is over.
        drop(sink);
        channel.finished(receiving.report(failure, None))
    }

    fn talk(&mut self, mut reader: RecordReader<ThrottledStream>) -> Result<(), Stop> {
        self.channel.tell_started();
        loop {
            let clock = self.channel.clock;
            let mut is_silent = until_silent(clock);
            // Once all is done, signs of life do not keep this side waiting.
            let lingers_until = self
                .receiving
                .is_complete()
                .then(|| *self.lingers_until.get_or_insert_with(|| clock.now() + LINGER));
            let stall = &mut self.stall;
            let record = reader.next(&mut |brought| {
                let now = clock.now();
                if brought > 0 {
                    stall.on_heard(now);
                }
                let has_lingered = lingers_until.is_some_and(|until| now > until);
                is_silent(brought)
                    || stall.is_wordless(now)
                    || stall.is_stalled(now)
                    || has_lingered
            });
            let now = clock.now();
            if self.stall.is_wordless(now) {
                return Err(wordless().into());
            }
            if self.stall.is_stalled(now) {
                return Err(stalled(self.receiving.waits_for()).into());
            }
            let record = record.map_err(|error| self.stop(error))?;
            self.stall.on_heard(now);
            match record {
                Some(Record::Messages(bytes)) => {
                    self.receiving.incoming().extend_from_slice(bytes);
                }
                Some(Record::Data { offset, bytes }) => self.take(offset, bytes)?,
                Some(Record::Close { code, reason }) => {
                    let reason = String::from_utf8_lossy(reason);
                    return Err(failure_of_close(code, &reason, self.channel.standpoint).into());
                }
                Some(Record::Working { counter }) => self.stall.on_peer_work(counter),
                Some(Record::Hello { .. } | Record::Welcome { .. }) => {
                    let malformed = Malformed("record: a greeting after the greeting");
                    return Err(self.receiving.violate(malformed).into());
                }
                // A stream that just ends has not ended well.
                None => return Err(Stop::Broken(io::ErrorKind::UnexpectedEof.into())),
            }
            self.note_motion(true);
            let worked = self.work();
            self.note_motion(false);
            worked?;
            if self.receiving.has_word() {
                self.stall.on_word();
            }
        }
    }

    /// What it means that no record could be read.
    fn stop(&mut self, error: io::Error) -> Stop {
        match violation_of(&error) {
            Some(malformed) => self.receiving.violate(malformed).into(),
            None => error.into(),
        }
    }

    fn take(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Failure> {
        let end = offset.saturating_add(bytes.len() as u64);
        let ordered = self.order.on_data(offset..end, self.receiving.accepted_end());
        ordered.map_err(|malformed| self.receiving.violate(malformed))?;
        if !self.receiving.take_data(offset, bytes) {
            // The queue is empty after each record, so that there is always room.
            let text = "there is no room for the bytes that came";
            return Err(Failure::new(Reason::Other, text));
        }
        Ok(())
    }

    /// Acts on messages, lets the sink do what there is to do, and tells the sender.
    fn work(&mut self) -> Result<(), Stop> {
        loop {
            self.receiving.handle_messages()?;
            let job = self.receiving.next_job();
            let is_rest_due = self.sink.as_ref().is_some_and(|sink| sink.is_rest_due());
            if job.is_none() && !is_rest_due && self.has_more_to_read() {
                break;
            }
            if job.is_none() {
                self.answer()?;
            }
            let Some(sink) = &mut self.sink else { break };
            let reports = match job {
                Some(job) => sink.run(job),
                None => sink.rest(),
            };
            if reports.is_empty() && !sink.is_busy() {
                break;
            }
            for report in reports {
                self.receiving.on_report(report);
            }
            // A long comparison goes on while the sender says nothing.
            if let Some(failure) = self.channel.end.failure() {
                return Err(failure.into());
            }
            self.write_down();
            self.tell_progress();
        }
        let entries = self.receiving.take_listed();
        if !entries.is_empty() {
            (self.channel.observer)(Notice::Listed { id: self.channel.id, entries });
        }
        self.write_down();
        self.receiving.take_demands().into_iter().for_each(|demand| self.order.heed(demand));
        self.answer()?;
        self.tell_progress();
        Ok(())
    }

    /// Has what is verified written down, now and then.
    fn write_down(&mut self) {
        let now = self.channel.clock.now();
        if now < self.next_checkpoint {
            return;
        }
        self.next_checkpoint = now + CHECKPOINT;
        for report in self.sink.iter_mut().flat_map(|sink| sink.checkpoint()) {
            self.receiving.on_report(report);
        }
    }

    /// Whether the sender said more already. Until it has not, nothing is put on stable storage that can
    /// wait for more.
    fn has_more_to_read(&self) -> bool {
        let ready = Waiter::wait_for_some(&[self.channel.stream.as_fd()], Duration::ZERO);
        ready.is_ok_and(|ready| !ready.is_empty())
    }

    fn answer(&mut self) -> io::Result<()> {
        let outgoing = self.receiving.take_outgoing();
        match &outgoing[..] {
            [] => Ok(()),
            outgoing => self.channel.write(&Record::Messages(outgoing)),
        }
    }

    /// Takes note of how far the transfer is, and whether this side works.
    fn note_motion(&mut self, is_at_work: bool) {
        let labour = self.channel.outlet.labour();
        labour.is_at_work.store(is_at_work, Ordering::Relaxed);
        labour.steps.fetch_add(1, Ordering::Relaxed);
        let (now, motion) = (self.channel.clock.now(), self.receiving.motion());
        if self.stall.note(now, motion, is_at_work) {
            self.channel.note_progress();
        }
    }

    fn tell_progress(&mut self) {
        self.note_motion(true);
        let ((done, total), is_whole) = (self.receiving.progress(), self.receiving.is_offered());
        let is_there = done == total && is_whole;
        let phase = match () {
            () if self.receiving.is_plan() => Phase::Planning,
            () if is_there => Phase::Committing,
            () => Phase::Transferring,
        };
        self.channel.tell_progress(phase, done, total, is_whole);
    }
}
