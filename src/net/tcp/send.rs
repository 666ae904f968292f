//! Sending over a stream: connect, send, recv, close.
//!
//! One thread writes; another reads what the receiver says, so that neither side ever waits for the
//! other to read while the other waits for it.

use super::connect::connect;
use super::outlet::{Outlet, Pulse};
use super::record::{Record, RecordReader};
use super::{CHUNK, CONNECT_TIMEOUT, lost, until_silent};
use crate::base::text::show_error;
use crate::base::time::{Duration, Instant};
use crate::net::{Carrier, Finished, Interrupt, Notice, Observer, internal_error};
use crate::os::clock::Clock;
use crate::transfer::ending::failure_of_close;
use crate::transfer::outcome::{Failure, Reason};
use crate::transfer::sender::Sending;
use crate::transfer::session::{Phase, Progress};
use crate::transfer::walk::Selection;
use crate::wire::handshake::VERSION;
use socket2::SockRef;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;

/// How often the observer is told how far the transfer is.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// Bytes of offers in one step, before bytes of files go again.
const OFFERS_MAX: usize = 32 << 10;

/// Bytes of messages heard and not yet looked at: more than all outcomes for which a receiver is asked at
/// once. They are not waited for: while this side waits to write, the receiver may wait to be heard.
const HEARD_MAX: usize = 32 << 20;

/// After a broken write, what the receiver had to say is waited for this long.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What to do about a receiver that is gone.
const AGAIN: &str = "send again when it is back";

/// What to send and where.
#[derive(Clone, Debug)]
pub struct Order {
    /// What to send.
    pub selection: Selection,
    /// The listener's addresses, best first.
    pub addresses: Vec<SocketAddr>,
    /// Which of the kernel's congestion controls to use; the one it prefers unless named.
    pub congestion: Option<String>,
}

/// Sends the files over TCP.
///
/// # Errors
/// A file cannot be read, or nobody answered at any address.
pub fn send(
    order: &Order,
    observer: &Observer,
    interrupt: &Interrupt,
) -> Result<Finished, Failure> {
    let sending = Sending::new(&order.selection)?;
    let clock = Clock::start();
    let (stream, peer) = connect(&order.addresses, interrupt)?;
    if let Some(name) = &order.congestion {
        super::choose_congestion(&SockRef::from(&stream), name).map_err(|error| {
            let error = show_error(&error);
            let text = format!("the system refuses the congestion control {name}: {error}");
            Failure::new(Reason::Other, text)
        })?;
    }
    observer(Notice::Started { id: 1, peer, carrier: Carrier::Tcp });
    // A receiver that reads no more is known by its silence: the reading thread shuts the stream down.
    let outlet =
        Outlet::new(&stream, interrupt, None).map_err(|error| lost(&error, peer, AGAIN))?;
    let mut upload = Upload {
        stream,
        outlet,
        peer,
        clock,
        interrupt: interrupt.clone(),
        observer: observer.clone(),
        sending,
        waiting: Arc::default(),
        at: 0,
        sent: 0,
        next_progress: Instant::ZERO,
        phase: Phase::Connecting,
    };
    let run = catch_unwind(AssertUnwindSafe(|| upload.run()));
    let failure = run.unwrap_or_else(|_| Err(internal_error())).err();
    let _ = upload.stream.shutdown(Shutdown::Both);
    let report = upload.sending.report(failure, None);
    let elapsed = clock.now().since(Instant::ZERO);
    Ok(Finished { report, carrier: Carrier::Tcp, peer, elapsed, impaired: None })
}

/// What the reading thread heard.
enum Heard {
    Close(u16, String),
    Ended(io::Result<()>),
    Messages(Vec<u8>),
    Welcome(u16),
}

struct Upload {
    stream: TcpStream,
    outlet: Outlet,
    peer: SocketAddr,
    clock: Clock,
    interrupt: Interrupt,
    observer: Observer,
    sending: Sending,
    /// Bytes of messages heard and not looked at.
    waiting: Arc<AtomicUsize>,
    /// The next byte of the transfer space to send.
    at: u64,
    sent: u64,
    next_progress: Instant,
    /// Where it was when the observer was last told.
    phase: Phase,
}

impl Upload {
    fn run(&mut self) -> Result<(), Failure> {
        let peer = self.peer;
        let broken = |error: io::Error| lost(&error, peer, AGAIN);
        let (heard, reader) = self.start_reading().map_err(broken)?;
        let pulse = Pulse::start(self.outlet.clone()).map_err(broken)?;
        let done = self.talk(&heard);
        let done = match done {
            Err(_) if self.interrupt.get().is_some() => {
                let failure = self.interrupt.failure().expect("just looked");
                let code = failure.reason.code().into();
                let _ = self.write(&Record::Close { code, reason: failure.text.as_bytes() });
                Err(failure)
            }
            // A receiver that closes says why before it goes.
            Err(Stop::Broken(error)) => Err(self.last_words(&heard, error)),
            Err(Stop::Failed(failure)) => {
                let code = failure.reason.code().into();
                let _ = self.write(&Record::Close { code, reason: failure.text.as_bytes() });
                Err(Failure { text: format!("{peer}: {}", failure.text), ..failure })
            }
            Ok(()) => {
                let _ = self.write(&Record::Close { code: 0, reason: b"" });
                Ok(())
            }
        };
        let _ = self.stream.shutdown(Shutdown::Both);
        let _ = reader.join();
        drop(pulse);
        done
    }

    fn start_reading(&self) -> io::Result<(Receiver<Heard>, JoinHandle<()>)> {
        let stream = self.stream.try_clone()?;
        let (tell, heard) = channel();
        let (interrupt, clock, waiting) =
            (self.interrupt.clone(), self.clock, self.waiting.clone());
        let listen = move || listen(&stream, interrupt, clock, &(tell, waiting));
        Ok((heard, std::thread::spawn(listen)))
    }

    fn talk(&mut self, heard: &Receiver<Heard>) -> Result<(), Stop> {
        // What is heard says more than that this could not be written.
        let _ = self.write(&Record::Hello { versions: vec![VERSION] });
        match heard.recv_timeout(CONNECT_TIMEOUT) {
            Ok(Heard::Welcome(VERSION)) => {}
            Ok(Heard::Welcome(theirs)) => {
                let text = format!(
                    "the other side speaks version {theirs} of the protocol; install the same version \
                     of volley on both"
                );
                return Err(Failure::new(Reason::Version, text).into());
            }
            Ok(Heard::Close(code, reason)) => return Err(failure_of_close(code, &reason).into()),
            Ok(Heard::Ended(_) | Heard::Messages(_)) | Err(RecvTimeoutError::Disconnected) => {
                let text = "something else than `volley recv` listens there";
                return Err(Failure::new(Reason::Unreachable, text).into());
            }
            Err(RecvTimeoutError::Timeout) => {
                let text = "it accepts TCP connections but does not answer as `volley recv` would";
                return Err(Failure::new(Reason::Unreachable, text).into());
            }
        }
        self.tell_progress();
        while !self.sending.is_complete() {
            self.step(heard)?;
        }
        Ok(())
    }

    /// Says what is to be said, hears what was said, and sends one piece of a file.
    fn step(&mut self, heard: &Receiver<Heard>) -> Result<(), Stop> {
        self.sending.offer(OFFERS_MAX);
        let outgoing = self.sending.take_outgoing();
        if !outgoing.is_empty() {
            self.write_messages(&outgoing)?;
        }
        // The stream keeps no list of what is still to go.
        self.sending.take_cancelled();
        let piece = self.next_piece();
        let is_busy = piece.is_some() || self.sending.has_more();
        let patience = if is_busy { Duration::ZERO } else { PROGRESS_INTERVAL };
        match heard.recv_timeout(patience) {
            Ok(Heard::Close(code, reason)) => return Err(failure_of_close(code, &reason).into()),
            Ok(Heard::Ended(Err(error))) => return Err(Stop::Broken(error)),
            Ok(Heard::Ended(Ok(())) | Heard::Welcome(_)) | Err(RecvTimeoutError::Disconnected) => {
                return Err(Stop::Broken(io::ErrorKind::UnexpectedEof.into()));
            }
            Ok(Heard::Messages(bytes)) => {
                self.waiting.fetch_sub(bytes.len(), Ordering::Relaxed);
                self.sending.incoming().extend_from_slice(&bytes);
                self.sending.handle_messages().map_err(|malformed| {
                    let text = format!("the other side broke the protocol: {malformed}");
                    Failure::new(Reason::Other, text)
                })?;
                // What was said may change what is to be sent.
                return Ok(());
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
        if let Some(failure) = self.interrupt.failure() {
            return Err(failure.into());
        }
        if let Some((offset, len)) = piece {
            self.send_piece(offset, len)?;
        }
        self.tell_progress();
        Ok(())
    }

    /// Where the next bytes are that the receiver wants.
    fn next_piece(&self) -> Option<(u64, usize)> {
        let wanted = self.sending.next_wanted(self.at, CHUNK as u64)?;
        let len = usize::try_from(wanted.end - wanted.start).expect("at most a chunk");
        Some((wanted.start, len))
    }

    fn send_piece(&mut self, offset: u64, len: usize) -> Result<(), Stop> {
        let mut bytes = vec![0; len];
        // A file that cannot be read has failed, and the receiver is told with the next messages; what else
        // was to go along comes with the next piece.
        if self.sending.read(offset, &mut bytes).is_ok() {
            self.at = offset + len as u64;
            self.write(&Record::Data { offset, bytes: &bytes })?;
            self.sent += len as u64;
        }
        Ok(())
    }

    fn write_messages(&self, messages: &[u8]) -> io::Result<()> {
        messages.chunks(CHUNK).try_for_each(|piece| self.write(&Record::Messages(piece)))
    }

    fn write(&self, record: &Record<'_>) -> io::Result<()> {
        self.outlet.write(record)
    }

    fn tell_progress(&mut self) {
        let now = self.clock.now();
        let total = self.sending.total();
        let is_total_known = self.sending.is_offered();
        let done = self.sent + self.sending.resumed();
        let is_sent = is_total_known && self.sending.next_wanted(self.at, 1).is_none();
        let phase = if is_sent { Phase::Committing } else { Phase::Transferring };
        if now < self.next_progress && phase == self.phase {
            return;
        }
        self.next_progress = now + PROGRESS_INTERVAL;
        self.phase = phase;
        let progress =
            Progress { phase, done: done.min(total), total, is_total_known, stats: None };
        (self.observer)(Notice::Progress { id: 1, progress });
    }

    /// Why the stream broke: what the receiver said before, or what the reading thread found.
    fn last_words(&mut self, heard: &Receiver<Heard>, error: io::Error) -> Failure {
        while let Ok(word) = heard.recv_timeout(LAST_WORDS) {
            match word {
                Heard::Close(code, reason) => {
                    let failure = failure_of_close(code, &reason);
                    return Failure { text: format!("{}: {}", self.peer, failure.text), ..failure };
                }
                Heard::Messages(bytes) => {
                    self.sending.incoming().extend_from_slice(&bytes);
                    let _ = self.sending.handle_messages();
                }
                // The system says once that a connection was reset, to one of the two threads.
                Heard::Ended(_) if error.kind() == io::ErrorKind::ConnectionReset => break,
                Heard::Ended(found) => {
                    let found = found.err().unwrap_or(io::ErrorKind::UnexpectedEof.into());
                    return lost(&found, self.peer, AGAIN);
                }
                Heard::Welcome(_) => {}
            }
        }
        lost(&error, self.peer, AGAIN)
    }
}

/// Why an upload stops early.
enum Stop {
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

/// The reading thread: passes on what the receiver says.
fn listen(
    stream: &TcpStream,
    interrupt: Interrupt,
    clock: Clock,
    (tell, waiting): &(Sender<Heard>, Arc<AtomicUsize>),
) {
    let mut reader = RecordReader::new(stream, interrupt);
    reader.trust();
    loop {
        let word = match reader.next(&mut until_silent(clock)) {
            // A sign of life, and nothing more.
            Ok(Some(Record::Messages(b""))) => continue,
            Ok(Some(Record::Messages(bytes)))
                if waiting.fetch_add(bytes.len(), Ordering::Relaxed) > HEARD_MAX =>
            {
                Heard::Ended(Err(io::ErrorKind::InvalidData.into()))
            }
            Ok(Some(Record::Messages(bytes))) => Heard::Messages(bytes.to_vec()),
            Ok(Some(Record::Close { code, reason })) => {
                Heard::Close(code, String::from_utf8_lossy(reason).into_owned())
            }
            Ok(Some(Record::Welcome { version })) => Heard::Welcome(version),
            Ok(Some(Record::Data { .. } | Record::Hello { .. })) => {
                Heard::Ended(Err(io::ErrorKind::InvalidData.into()))
            }
            Ok(None) => Heard::Ended(Ok(())),
            Err(error) => Heard::Ended(Err(error)),
        };
        let is_end = matches!(word, Heard::Ended(_));
        if is_end || matches!(word, Heard::Close(..)) {
            // The thread that writes may wait for a receiver that reads no more.
            let _ = stream.shutdown(Shutdown::Write);
        }
        if tell.send(word).is_err() || is_end {
            return;
        }
    }
}
