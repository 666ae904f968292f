//! Receiving over streams: accept, recv, send, close; one thread for each.

use super::outlet::{Outlet, Pulse};
use super::record::{Record, RecordReader, is_timeout};
use super::{CONNECT_TIMEOUT, SILENCE, lost, prepare, until_silent};
use crate::base::time::{Duration, Instant};
use crate::net::places::{Place, Places};
use crate::net::worker::CHECKPOINT;
use crate::net::{Carrier, Finished, Interrupt, Notice, Observer, SIGTERM, internal_error};
use crate::os::clock::Clock;
use crate::os::wait::Waiter;
use crate::transfer::ending::failure_of_close;
use crate::transfer::message::UNSETTLED_MAX;
use crate::transfer::outcome::{Failure, Reason};
use crate::transfer::receiver::Receiving;
use crate::transfer::session::{Phase, Progress};
use crate::transfer::sink::Sink;
use crate::wire::handshake::VERSION;
use std::io::{self, Read};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

/// How often the observer is told how far a transfer is.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// A sender that knows how every file ended gets this long to say farewell.
const LINGER: Duration = Duration::from_secs(3);

/// After its last word, a sender gets this long to hear it and leave.
const FAREWELL: Duration = Duration::from_secs(1);

/// Separate ranges of written bytes, at most: a sender keeps the order, so that there is one in each file.
const WRITTEN_RANGES_MAX: usize = UNSETTLED_MAX;

/// What is to be done about a sender that is gone.
const AGAIN: &str = "its user has to send again";

/// The streams being served.
pub struct Streams {
    observer: Observer,
    end: End,
    places: Places,
    threads: Vec<JoinHandle<()>>,
}

impl std::fmt::Debug for Streams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Streams").field("threads", &self.threads.len()).finish_non_exhaustive()
    }
}

impl Streams {
    /// No streams yet.
    #[must_use]
    pub fn new(observer: Observer, places: Places) -> Self {
        Self { observer, places, end: End::default(), threads: Vec::new() }
    }

    /// Serves a stream on a thread of its own. Where there is no place for it, it is closed at once.
    pub fn serve(
        &mut self,
        id: u64,
        stream: TcpStream,
        peer: SocketAddr,
        receiving: Receiving,
        sink: Sink,
    ) {
        self.threads.retain(|thread| !thread.is_finished());
        let outlet = prepare(&stream)
            .and_then(|()| Outlet::new(&stream, &self.end.interrupt, Some(SILENCE)));
        let Ok(outlet) = outlet else {
            return;
        };
        if let Some(reason) = self.places.refusal(peer.ip()) {
            let (code, reason) = (Reason::Refused.code().into(), reason.as_bytes());
            let _ = outlet.write(&Record::Close { code, reason });
            return;
        }
        let download = Download {
            id,
            stream,
            outlet,
            pulse: None,
            peer,
            _place: self.places.take(peer.ip()),
            clock: Clock::start(),
            end: self.end.clone(),
            observer: self.observer.clone(),
            receiving,
            sink: Some(sink),
            is_announced: false,
            next_progress: Instant::ZERO,
            next_checkpoint: Instant::ZERO,
            phase: Phase::Connecting,
        };
        // Without a thread there is no transfer: the sender sees the stream end and may try again.
        let thread = std::thread::Builder::new().spawn(move || download.run());
        self.threads.extend(thread);
    }

    /// Ends all streams because of `failure`, each with a word to its sender, and waits for their
    /// threads.
    pub fn end(self, failure: &Failure) {
        self.end.why.get_or_init(|| failure.clone());
        self.end.interrupt.set(SIGTERM);
        for thread in self.threads {
            let _ = thread.join();
        }
    }
}

/// A request to end, and why.
#[derive(Clone, Debug, Default)]
struct End {
    interrupt: Interrupt,
    why: Arc<OnceLock<Failure>>,
}

struct Download {
    id: u64,
    stream: TcpStream,
    outlet: Outlet,
    /// Once the sender is known to be one of ours.
    pulse: Option<Pulse>,
    peer: SocketAddr,
    _place: Place,
    clock: Clock,
    end: End,
    observer: Observer,
    receiving: Receiving,
    /// Until the transfer is over.
    sink: Option<Sink>,
    is_announced: bool,
    next_progress: Instant,
    next_checkpoint: Instant,
    /// Where it was when the observer was last told.
    phase: Phase,
}

impl Download {
    fn run(mut self) {
        // A panic in one connection ends that connection only.
        let outcome = catch_unwind(AssertUnwindSafe(|| self.talk()))
            .unwrap_or_else(|_| Err(internal_error()));
        let is_complete = self.receiving.is_complete();
        let failure = outcome.err().filter(|_| !is_complete);
        // A stranger gets no word; a sender of another version is none.
        let is_ours = |failure: &&Failure| self.is_announced || failure.reason == Reason::Version;
        if let Some(failure) = failure.as_ref().filter(is_ours) {
            let code = failure.reason.code().into();
            let _ = self.outlet.write(&Record::Close { code, reason: failure.text.as_bytes() });
        }
        self.part();
        self.pulse = None;
        // What is not committed is put away before anybody hears that the transfer is over.
        self.sink = None;
        if !self.is_announced {
            return;
        }
        let finished = Finished {
            report: self.receiving.report(failure, None),
            carrier: Carrier::Tcp,
            peer: self.peer,
            elapsed: self.clock.now().since(Instant::ZERO),
            impaired: None,
        };
        (self.observer)(Notice::Ended { id: self.id, finished: Box::new(finished) });
    }

    /// Ends the stream so that the last record arrives: closing it over bytes that nobody has read
    /// would reset it.
    fn part(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
        let deadline = self.clock.now() + FAREWELL;
        let mut ignored = vec![0; 1 << 16];
        while self.clock.now() < deadline {
            match self.stream.read(&mut ignored) {
                Ok(0) => return,
                Err(error) if !is_timeout(&error) => return,
                _ => {}
            }
        }
    }

    fn talk(&mut self) -> Result<(), Failure> {
        let stream = self.stream.try_clone().map_err(|error| self.lost(&error))?;
        let mut reader = RecordReader::new(stream, self.end.interrupt.clone());
        self.greet(&mut reader)?;
        reader.trust();
        self.pulse = Pulse::start(self.outlet.clone()).ok();
        loop {
            let (since, clock) = (self.clock.now(), self.clock);
            let mut is_silent = until_silent(clock);
            let lingers = self.receiving.is_complete();
            let record = reader.next(&mut |brought| {
                is_silent(brought) || (lingers && clock.now() > since + LINGER)
            });
            match record.map_err(|error| self.lost(&error))? {
                Some(Record::Messages(bytes)) => {
                    self.receiving.incoming().extend_from_slice(bytes);
                }
                Some(Record::Data { offset, bytes }) => self.take(offset, bytes)?,
                Some(Record::Close { code, reason }) => {
                    let reason = String::from_utf8_lossy(reason);
                    return Err(failure_of_close(code, &reason));
                }
                Some(Record::Hello { .. } | Record::Welcome { .. }) => {
                    return Err(Failure::new(Reason::Other, "the sender broke the protocol"));
                }
                // A stream that just ends has not ended well.
                None => return Err(self.lost(&io::ErrorKind::UnexpectedEof.into())),
            }
            self.work()?;
        }
    }

    /// The first record must come soon, and from one of us; who sends something else gets silence.
    fn greet(&mut self, reader: &mut RecordReader<TcpStream>) -> Result<(), Failure> {
        let stranger = || Failure::new(Reason::Other, "not a volley sender");
        let deadline = self.clock.now() + CONNECT_TIMEOUT;
        let clock = self.clock;
        let first = reader.next(&mut |_| clock.now() > deadline).map_err(|_| stranger())?;
        let Some(Record::Hello { versions }) = first else {
            return Err(stranger());
        };
        if !versions.contains(&VERSION) {
            let text = format!(
                "this side speaks version {VERSION} of the protocol only; install the same version of \
                 volley on both"
            );
            return Err(Failure::new(Reason::Version, text));
        }
        self.is_announced = true;
        let (id, peer) = (self.id, self.peer);
        (self.observer)(Notice::Started { id, peer, carrier: Carrier::Tcp });
        self.write(&Record::Welcome { version: VERSION })
    }

    fn take(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Failure> {
        let fits = offset.checked_add(bytes.len() as u64).is_some();
        if !fits || !self.receiving.take_data(offset, bytes) {
            let text = "the sender sent bytes of a file that it did not offer";
            return Err(Failure::new(Reason::Other, text));
        }
        Ok(())
    }

    /// Acts on messages, lets the sink do what there is to do, and tells the sender.
    fn work(&mut self) -> Result<(), Failure> {
        loop {
            self.receiving.handle_messages().map_err(|malformed| {
                let text = format!("the sender broke the protocol: {malformed}");
                Failure::new(Reason::Other, text)
            })?;
            let job = self.receiving.next_job();
            if job.is_none() && self.has_more_to_read() {
                break;
            }
            if job.is_none() {
                self.answer()?;
            }
            let sink = self.sink.as_mut().expect("until the transfer is over");
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
        }
        if self.sink.as_ref().is_some_and(|sink| sink.written_ranges() > WRITTEN_RANGES_MAX) {
            let text = "the sender broke the protocol: its bytes come in too many separate pieces";
            return Err(Failure::new(Reason::Other, text));
        }
        self.write_down();
        self.receiving.take_demands();
        self.answer()?;
        self.tell_progress();
        Ok(())
    }

    /// Has what is verified written down, now and then.
    fn write_down(&mut self) {
        let now = self.clock.now();
        if now < self.next_checkpoint {
            return;
        }
        self.next_checkpoint = now + CHECKPOINT;
        let sink = self.sink.as_mut().expect("until the transfer is over");
        for report in sink.checkpoint() {
            self.receiving.on_report(report);
        }
    }

    /// Whether the sender said more already. Until it has not, nothing is put on stable storage that can
    /// wait for more.
    fn has_more_to_read(&self) -> bool {
        let ready = Waiter::wait_for_some(&[self.stream.as_fd()], Duration::ZERO);
        ready.is_ok_and(|ready| !ready.is_empty())
    }

    fn answer(&mut self) -> Result<(), Failure> {
        let outgoing = self.receiving.take_outgoing();
        match &outgoing[..] {
            [] => Ok(()),
            outgoing => self.write(&Record::Messages(outgoing)),
        }
    }

    fn write(&self, record: &Record<'_>) -> Result<(), Failure> {
        self.outlet.write(record).map_err(|error| self.lost(&error))
    }

    /// Why the stream is over: it was ended here, or it broke.
    fn lost(&self, error: &io::Error) -> Failure {
        self.end.why.get().cloned().unwrap_or_else(|| lost(error, self.peer, AGAIN))
    }

    fn tell_progress(&mut self) {
        let now = self.clock.now();
        let (done, total) = self.receiving.progress();
        let is_total_known = self.receiving.is_offered();
        let is_there = done == total && is_total_known;
        let phase = if is_there { Phase::Committing } else { Phase::Transferring };
        if now < self.next_progress && phase == self.phase {
            return;
        }
        self.next_progress = now + PROGRESS_INTERVAL;
        self.phase = phase;
        let progress = Progress { phase, done, total, is_total_known, stats: None };
        (self.observer)(Notice::Progress { id: self.id, progress });
    }
}
