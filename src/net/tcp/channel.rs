//! A stream whose two ends have greeted each other, and what both sides of the files do with it.

use super::outlet::{Outlet, Pulse};
use super::record::{Record, RecordReader};
use super::throttle::ThrottledStream;
use super::{CONNECT_TIMEOUT, Stream, lost, prepare};
use crate::base::time::{Duration, Instant};
use crate::base::units::Rate;
use crate::net::places::Seat;
use crate::net::{Carrier, Finished, Interrupt, Notice, Observer, SIGTERM};
use crate::os::clock::Clock;
use crate::transfer::ending::Standpoint;
use crate::transfer::outcome::{Failure, Reason, TransferReport};
use crate::transfer::session::{Phase, Progress};
use std::io::{self, Read};
use std::net::{Shutdown, SocketAddr};
use std::sync::{Arc, OnceLock};

/// How often the observer is told how far a transfer is.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// After its last word, the other side gets this long to hear it and leave.
const FAREWELL: Duration = Duration::from_secs(1);

/// A request to end, and why.
#[derive(Clone, Debug, Default)]
pub(super) struct End {
    pub(super) interrupt: Interrupt,
    /// Where there is more to say than that it was interrupted.
    why: Arc<OnceLock<Failure>>,
}

impl End {
    /// The end that comes with an interrupt.
    pub(super) fn of(interrupt: &Interrupt) -> Self {
        Self { interrupt: interrupt.clone(), why: Arc::default() }
    }

    /// The end of one stream, which comes with that of all.
    pub(super) fn of_part(&self) -> Self {
        Self::of(&self.interrupt.of_part())
    }

    /// Asks to end because of `failure`.
    pub(super) fn ask(&self, failure: &Failure) {
        self.why.get_or_init(|| failure.clone());
        self.interrupt.set(SIGTERM);
    }

    /// Why to end, once that is asked for.
    pub(super) fn failure(&self) -> Option<Failure> {
        let interrupted = self.interrupt.failure()?;
        Some(self.why.get().cloned().unwrap_or(interrupted))
    }
}

/// Why a transfer stops early.
#[derive(Debug)]
pub(super) enum Stop {
    Broken(io::Error),
    Failed(Failure),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// One end of a stream.
pub(super) struct Channel {
    pub(super) id: u64,
    pub(super) stream: Stream,
    pub(super) outlet: Outlet,
    pub(super) peer: SocketAddr,
    pub(super) clock: Clock,
    pub(super) end: End,
    pub(super) observer: Observer,
    pub(super) standpoint: Standpoint,
    /// What this side's user allows at most.
    pub(super) max_rate: Option<Rate>,
    /// Its place at a listener.
    seat: Option<Seat>,
    /// The other side is gone without a word.
    is_peer_lost: bool,
    next_progress: Instant,
    /// Where the transfer was when the observer was last told.
    phase: Phase,
}

impl Channel {
    /// One end of `stream`.
    ///
    /// # Errors
    /// As the system says.
    pub(super) fn new(
        (id, stream, peer): (u64, Stream, SocketAddr),
        standpoint: Standpoint,
        end: &End,
        observer: &Observer,
        max_rate: Option<Rate>,
    ) -> io::Result<Self> {
        prepare(&stream)?;
        // A receiver that reads no more is known by its silence, to the thread of the sender that reads.
        let patience = (!standpoint.is_sender).then_some(super::SILENCE);
        // Files are slow where they are sent, or taken; answers are not.
        let written = max_rate.filter(|_| standpoint.is_sender);
        Ok(Self {
            id,
            outlet: Outlet::new(&stream, &end.interrupt, patience, written),
            stream,
            peer,
            clock: Clock::start(),
            end: end.clone(),
            observer: observer.clone(),
            standpoint,
            max_rate,
            seat: None,
            is_peer_lost: false,
            next_progress: Instant::ZERO,
            phase: Phase::Connecting,
        })
    }

    /// The same, with a place at a listener.
    pub(super) fn on(self, seat: Seat) -> Self {
        Self { seat: Some(seat), ..self }
    }

    /// What reads the records of the other side. There is one reader at a time.
    pub(super) fn reader(&self) -> RecordReader<ThrottledStream> {
        let read = self.max_rate.filter(|_| !self.standpoint.is_sender);
        let stream = ThrottledStream::new(self.stream.clone(), read);
        RecordReader::new(stream, self.end.interrupt.clone())
    }

    /// The first record of the other side, as long as it comes soon.
    pub(super) fn first<'a>(
        &self,
        reader: &'a mut RecordReader<ThrottledStream>,
    ) -> io::Result<Option<Record<'a>>> {
        let deadline = self.clock.now() + CONNECT_TIMEOUT;
        let clock = self.clock;
        reader.next(&mut |_| clock.now() > deadline)
    }

    /// From now on the other side is shown that this one is alive.
    pub(super) fn pulse(&self) -> io::Result<Pulse> {
        Pulse::start(self.outlet.clone())
    }

    pub(super) fn write(&self, record: &Record<'_>) -> io::Result<()> {
        self.outlet.write(record)
    }

    /// The last word to a side that is not to go on.
    pub(super) fn close(&self, failure: &Failure) {
        let code = failure.reason.code().into();
        let _ = self.write(&Record::Close { code, reason: failure.text.as_bytes() });
    }

    /// Ends the stream so that the last record arrives: closing it over bytes that nobody has read
    /// would reset it.
    pub(super) fn part(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
        let deadline = self.clock.now() + FAREWELL;
        let mut ignored = vec![0; 1 << 16];
        while self.clock.now() < deadline {
            match self.stream.read(&mut ignored) {
                Ok(0) => return,
                Err(error) if !super::record::is_timeout(&error) => return,
                _ => {}
            }
        }
    }

    /// Why the stream is over: it was ended here, or it broke.
    pub(super) fn lost(&mut self, error: &io::Error) -> Failure {
        self.end.failure().unwrap_or_else(|| {
            let failure = lost(error, self.peer, self.standpoint.again());
            self.is_peer_lost = failure.reason == Reason::Interrupted;
            failure
        })
    }

    /// The transfer has moved: its place is well used.
    pub(super) fn note_progress(&self) {
        if let Some(seat) = &self.seat {
            seat.note_progress();
        }
    }

    pub(super) fn tell_started(&self) {
        let (id, peer) = (self.id, self.peer);
        (self.observer)(Notice::Started { id, peer, carrier: Carrier::Tcp });
    }

    /// Tells how far the transfer is, now and then and in each new phase.
    pub(super) fn tell_progress(&mut self, phase: Phase, done: u64, total: u64, is_whole: bool) {
        let now = self.clock.now();
        if now < self.next_progress && phase == self.phase {
            return;
        }
        self.next_progress = now + PROGRESS_INTERVAL;
        self.phase = phase;
        let progress = Progress { phase, done, total, is_total_known: is_whole, stats: None };
        (self.observer)(Notice::Progress { id: self.id, progress: Box::new(progress) });
    }

    pub(super) fn finished(&self, report: TransferReport) -> Finished {
        let elapsed = self.clock.now().since(Instant::ZERO);
        let is_peer_lost = self.is_peer_lost && report.failure.is_some();
        let (carrier, peer) = (Carrier::Tcp, self.peer);
        let (impaired, retrying) = (None, Duration::ZERO);
        Finished { report, carrier, peer, elapsed, retrying, impaired, is_peer_lost }
    }
}
