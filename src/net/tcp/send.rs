//! Sending over a stream: send, recv, close.
//!
//! One thread writes; another reads what the receiver says, so that neither side ever waits for the
//! other to read while the other waits for it.

use super::channel::{Channel, Stop};
use super::outlet::Outlet;
use super::record::{Record, RecordReader, violation_of};
use super::throttle::{self, ThrottledStream};
use super::{CHUNK, until_silent};
use crate::base::text::show_error;
use crate::base::time::Duration;
use crate::net::{Finished, internal_error};
use crate::os::clock::Clock;
use crate::transfer::ending::{failure_of_close, stalled};
use crate::transfer::outcome::{Failure, Reason};
use crate::transfer::sender::Sending;
use crate::transfer::session::Phase;
use crate::transfer::source::Source;
use crate::transfer::stall::StallClock;
use crate::wire::cursor::Malformed;
use std::collections::VecDeque;
use std::io;
use std::net::Shutdown;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;

/// What is heard is waited for this long while there is nothing to send.
const PATIENCE: Duration = Duration::from_millis(100);

/// Bytes of offers in one step, before bytes of files go again.
const OFFERS_MAX: usize = 32 << 10;

/// Bytes of messages heard and not yet looked at: more than all outcomes for which a receiver is asked at
/// once. They are not waited for: while this side waits to write, the receiver may wait to be heard.
const HEARD_MAX: usize = 32 << 20;

/// After a broken write, what the receiver had to say is waited for this long.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What the reading thread heard.
enum Heard {
    Close(u16, String),
    Ended(io::Result<()>),
    Messages(Vec<u8>),
    /// It works, and says so.
    Working(u64),
    Violated(Malformed),
}

/// The sending side of one transfer.
pub(super) struct Upload {
    channel: Channel,
    sending: Box<Sending>,
    source: Box<Source>,
    /// Bytes of messages heard and not looked at.
    waiting: Arc<AtomicUsize>,
    /// The next byte of the transfer space to send.
    at: u64,
    /// What goes after all, though it was not to go.
    restored: VecDeque<Range<u64>>,
    /// Bytes of file in one record.
    piece: usize,
    sent: u64,
    stall: StallClock,
}

impl Upload {
    pub(super) fn new(channel: Channel, sending: Box<Sending>, source: Box<Source>) -> Self {
        let stall = StallClock::new(channel.clock.now(), false);
        let (waiting, restored) = Default::default();
        let piece = throttle::piece(channel.max_rate, CHUNK);
        Self { channel, sending, source, waiting, at: 0, restored, piece, sent: 0, stall }
    }

    /// Sends, and tells how it ended.
    pub(super) fn run(mut self, reader: RecordReader<ThrottledStream>) -> Finished {
        // A panic in one connection ends that connection only.
        let run = catch_unwind(AssertUnwindSafe(|| self.exchange(reader)));
        let failure = run.unwrap_or_else(|_| Err(internal_error())).err();
        let _ = self.channel.stream.shutdown(Shutdown::Both);
        self.channel.finished(self.sending.report(failure, None))
    }

    fn exchange(&mut self, reader: RecordReader<ThrottledStream>) -> Result<(), Failure> {
        let (heard, reading) = self.start_reading(reader).map_err(|error| self.lack(&error))?;
        let pulse = self.channel.pulse().map_err(|error| self.lack(&error))?;
        let talked = catch_unwind(AssertUnwindSafe(|| self.talk(&heard)));
        let done = match talked.unwrap_or_else(|_| Err(internal_error().into())) {
            Err(_) if self.channel.end.failure().is_some() => {
                let failure = self.channel.end.failure().expect("just looked");
                self.channel.close(&failure);
                Err(failure)
            }
            // A receiver that closes says why before it goes.
            Err(Stop::Broken(error)) => Err(self.last_words(&heard, error)),
            Err(Stop::Failed(failure)) => {
                self.channel.close(&failure);
                let text = format!("{}: {}", self.channel.peer, failure.text);
                Err(Failure { text, ..failure })
            }
            Ok(()) => {
                let _ = self.channel.write(&Record::Close { code: 0, reason: b"" });
                Ok(())
            }
        };
        let _ = self.channel.stream.shutdown(Shutdown::Both);
        let _ = reading.join();
        drop(pulse);
        done
    }

    /// What it means, on both sides, that there is no thread to spare.
    fn lack(&self, error: &io::Error) -> Failure {
        let text = format!("cannot start a thread: {}", show_error(error));
        let failure = Failure::new(Reason::Other, text);
        self.channel.close(&failure);
        failure
    }

    fn start_reading(
        &self,
        reader: RecordReader<ThrottledStream>,
    ) -> io::Result<(Receiver<Heard>, JoinHandle<()>)> {
        let (tell, heard) = channel();
        let (clock, outlet) = (self.channel.clock, self.channel.outlet.clone());
        let waiting = self.waiting.clone();
        let listen = move || listen(reader, (clock, &outlet), &(tell, waiting));
        Ok((heard, std::thread::Builder::new().spawn(listen)?))
    }

    fn talk(&mut self, heard: &Receiver<Heard>) -> Result<(), Stop> {
        self.channel.tell_started();
        self.tell_progress();
        while !self.sending.is_complete() {
            self.step(heard)?;
        }
        Ok(())
    }

    /// Says what is to be said, hears what was said, and sends one piece of a file.
    fn step(&mut self, heard: &Receiver<Heard>) -> Result<(), Stop> {
        self.sending.offer(OFFERS_MAX);
        self.read_on();
        let outgoing = self.sending.take_outgoing();
        if !outgoing.is_empty() {
            self.write_messages(&outgoing)?;
        }
        // The stream keeps no list of what is still to go.
        self.sending.take_cancelled();
        self.restored.extend(self.sending.take_restored());
        let piece = self.next_piece();
        let is_busy = piece.is_some() || self.sending.has_more() || self.source.is_busy();
        let patience = if is_busy { Duration::ZERO } else { PATIENCE };
        match heard.recv_timeout(patience) {
            Ok(Heard::Close(code, reason)) => {
                return Err(failure_of_close(code, &reason, self.channel.standpoint).into());
            }
            Ok(Heard::Ended(Err(error))) => return Err(Stop::Broken(error)),
            Ok(Heard::Ended(Ok(()))) | Err(RecvTimeoutError::Disconnected) => {
                return Err(Stop::Broken(io::ErrorKind::UnexpectedEof.into()));
            }
            Ok(Heard::Messages(bytes)) => {
                self.waiting.fetch_sub(bytes.len(), Ordering::Relaxed);
                self.sending.incoming().extend_from_slice(&bytes);
                self.sending.handle_messages()?;
                // What was said may change what is to be sent.
                return Ok(());
            }
            Ok(Heard::Working(counter)) => self.stall.on_peer_work(counter),
            Ok(Heard::Violated(malformed)) => return Err(self.sending.violate(malformed).into()),
            Err(RecvTimeoutError::Timeout) => {}
        }
        self.note_motion()?;
        if let Some(failure) = self.channel.end.failure() {
            return Err(failure.into());
        }
        if let Some(piece) = piece {
            self.send_piece(piece)?;
        }
        self.tell_progress();
        Ok(())
    }

    /// Takes note of how far the transfer is, and whether this side works.
    fn note_motion(&mut self) -> Result<(), Failure> {
        let (now, motion) = (self.channel.clock.now(), self.sending.motion(self.sent));
        let is_at_work = self.sending.is_at_work() || self.source.is_busy();
        let labour = self.channel.outlet.labour();
        labour.is_at_work.store(is_at_work, Ordering::Relaxed);
        labour.steps.fetch_add(1, Ordering::Relaxed);
        labour.offered.store(motion.offered, Ordering::Relaxed);
        if self.stall.note(now, motion, is_at_work) {
            self.channel.note_progress();
        }
        let is_stalled = self.stall.is_stalled(now);
        if is_stalled { Err(stalled(self.sending.waits_for(self.sent))) } else { Ok(()) }
    }

    /// Has the source do what is to be done beside what goes; a little, and more if nothing goes.
    fn read_on(&mut self) {
        while let Some(job) = self.sending.next_job() {
            let reports = self.source.run(job);
            reports.into_iter().for_each(|report| self.sending.on_report(report));
        }
        let mut is_turn = self.source.is_busy() && self.next_piece().is_none();
        while is_turn || self.source.is_rest_due() {
            let reports = self.source.rest();
            reports.into_iter().for_each(|report| self.sending.on_report(report));
            is_turn = false;
        }
    }

    /// Where the next bytes are that the receiver wants.
    fn next_piece(&self) -> Option<Range<u64>> {
        if let Some(restored) = self.restored.front() {
            return Some(restored.start..restored.end.min(restored.start + self.piece as u64));
        }
        self.sending.next_wanted(self.at, self.piece as u64)
    }

    fn send_piece(&mut self, piece: Range<u64>) -> Result<(), Stop> {
        let len = usize::try_from(piece.end - piece.start).expect("at most a chunk");
        let mut bytes = vec![0; len];
        let (is_whole, reports) = self.source.read(piece.start, &mut bytes);
        reports.into_iter().for_each(|report| self.sending.on_report(report));
        match self.restored.pop_front() {
            Some(mut restored) => {
                restored.start = piece.end;
                if is_whole && !restored.is_empty() {
                    self.restored.push_front(restored);
                }
            }
            None if is_whole => self.at = piece.end,
            // The file has failed, and the receiver is told with the next messages; what else was to go along
            // comes with the next piece.
            None => {}
        }
        if is_whole {
            let data = Record::Data { offset: piece.start, bytes: &bytes };
            let written = self.channel.write(&data);
            if let Err(error) = &written
                && error.kind() == io::ErrorKind::TimedOut
                && self.channel.end.failure().is_none()
            {
                return Err(stalled(self.sending.waits_for(self.sent)).into());
            }
            written?;
            self.sending.on_sent(piece);
            self.sent += len as u64;
        }
        Ok(())
    }

    fn write_messages(&self, messages: &[u8]) -> io::Result<()> {
        messages
            .chunks(self.piece)
            .try_for_each(|piece| self.channel.write(&Record::Messages(piece)))
    }

    fn tell_progress(&mut self) {
        let (total, is_whole) = (self.sending.total(), self.sending.is_offered());
        let done = self.sent + self.sending.spared();
        let is_sent = is_whole && self.next_piece().is_none();
        let phase = match () {
            () if self.sending.is_plan() => Phase::Planning,
            () if is_sent => Phase::Committing,
            () => Phase::Transferring,
        };
        self.channel.tell_progress(phase, done.min(total), total, is_whole);
    }

    /// Why the stream broke: what the receiver said before, or what the reading thread found.
    fn last_words(&mut self, heard: &Receiver<Heard>, error: io::Error) -> Failure {
        while let Ok(word) = heard.recv_timeout(LAST_WORDS) {
            match word {
                Heard::Close(code, reason) => {
                    let Channel { peer, standpoint, .. } = self.channel;
                    let failure = failure_of_close(code, &reason, standpoint);
                    return Failure { text: format!("{peer}: {}", failure.text), ..failure };
                }
                Heard::Messages(bytes) => {
                    self.sending.incoming().extend_from_slice(&bytes);
                    if let Err(violation) = self.sending.handle_messages() {
                        return violation;
                    }
                }
                Heard::Working(_) => {}
                Heard::Violated(malformed) => return self.sending.violate(malformed),
                // The system says once that a connection was reset, to one of the two threads.
                Heard::Ended(_) if error.kind() == io::ErrorKind::ConnectionReset => break,
                Heard::Ended(found) => {
                    let found = found.err().unwrap_or(io::ErrorKind::UnexpectedEof.into());
                    return self.channel.lost(&found);
                }
            }
        }
        self.channel.lost(&error)
    }
}

/// The reading thread: passes on what the receiver says.
fn listen(
    mut reader: RecordReader<ThrottledStream>,
    (clock, outlet): (Clock, &Outlet),
    (tell, waiting): &(Sender<Heard>, Arc<AtomicUsize>),
) {
    loop {
        let word = match reader.next(&mut until_silent(clock)) {
            // A sign of life, and nothing more.
            Ok(Some(Record::Messages(b""))) => continue,
            Ok(Some(Record::Messages(bytes)))
                if waiting.fetch_add(bytes.len(), Ordering::Relaxed) > HEARD_MAX =>
            {
                Heard::Violated(Malformed("record: more messages than there are answers"))
            }
            Ok(Some(Record::Messages(bytes))) => Heard::Messages(bytes.to_vec()),
            Ok(Some(Record::Working { counter })) => {
                // The thread that writes may wait for a receiver that is busy.
                outlet.labour().peer_work.store(counter, Ordering::Relaxed);
                Heard::Working(counter)
            }
            Ok(Some(Record::Close { code, reason })) => {
                Heard::Close(code, String::from_utf8_lossy(reason).into_owned())
            }
            Ok(Some(Record::Data { .. } | Record::Hello { .. } | Record::Welcome { .. })) => {
                Heard::Violated(Malformed("record: a receiver does not say this"))
            }
            Ok(None) => Heard::Ended(Ok(())),
            Err(error) => match violation_of(&error) {
                Some(malformed) => Heard::Violated(malformed),
                None => Heard::Ended(Err(error)),
            },
        };
        let is_end = matches!(word, Heard::Ended(_) | Heard::Violated(_));
        if is_end || matches!(word, Heard::Close(..)) {
            // The thread that writes may wait for a receiver that reads no more.
            let _ = reader.stream().shutdown(Shutdown::Write);
        }
        if tell.send(word).is_err() || is_end {
            return;
        }
    }
}
