//! The writing half of a stream, and the thread that shows the peer that this side is alive, and at work.

use super::Stream;
use super::record::{Record, is_timeout};
use super::throttle::Throttle;
use crate::base::time::{Duration, Instant};
use crate::base::units::Rate;
use crate::net::Interrupt;
use crate::os::clock::Clock;
use crate::transfer::stall::{Motion, StallClock, WorkClock};
use crate::transport::config::KEEP_ALIVE;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

/// What the threads of one stream tell each other of the work of both sides.
#[derive(Debug, Default)]
pub(super) struct Labour {
    /// This side works, and has done so many steps.
    pub(super) is_at_work: AtomicBool,
    pub(super) steps: AtomicU64,
    /// The last counter with which the peer said that it works.
    pub(super) peer_work: AtomicU64,
    /// Bytes of all files that were offered.
    pub(super) offered: AtomicU64,
}

/// A stream, and how fast it may be written to.
#[derive(Debug)]
struct Line {
    stream: Stream,
    throttle: Option<Throttle>,
}

impl Line {
    /// Writes some of `bytes`, once something may go.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(throttle) = &mut self.throttle else {
            return (&*self.stream).write(bytes);
        };
        let most = throttle.wait().min(bytes.len());
        let count = (&*self.stream).write(&bytes[..most])?;
        throttle.note(count);
        Ok(count)
    }
}

/// Writes whole records to a stream whose writes time out now and then.
#[derive(Clone, Debug)]
pub(super) struct Outlet(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// The lock is held for one record.
    stream: Mutex<Line>,
    interrupt: Interrupt,
    clock: Clock,
    labour: Labour,
    /// Nothing could be written for this long: the peer reads no more. Without it, a peer that works is waited
    /// for.
    patience: Option<Duration>,
    /// A write was given up: no other one begins.
    is_stuck: AtomicBool,
}

impl Outlet {
    /// An outlet into `stream` that gives up when interrupted, or after nothing could be written for
    /// `patience`; without one, when the peer reads nothing and has no work that explains it. It is written to at
    /// `max_rate` at most.
    pub(super) fn new(
        stream: &Stream,
        interrupt: &Interrupt,
        patience: Option<Duration>,
        max_rate: Option<Rate>,
    ) -> Self {
        let throttle = max_rate.map(Throttle::new);
        Self(Arc::new(Inner {
            stream: Mutex::new(Line { stream: stream.clone(), throttle }),
            interrupt: interrupt.clone(),
            clock: Clock::start(),
            labour: Labour::default(),
            patience,
            is_stuck: AtomicBool::new(false),
        }))
    }

    /// What is known of the work of both sides.
    pub(super) fn labour(&self) -> &Labour {
        &self.0.labour
    }

    /// Writes a record.
    ///
    /// # Errors
    /// The stream broke, nobody reads it, or the interrupt.
    pub(super) fn write(&self, record: &Record<'_>) -> io::Result<()> {
        let mut bytes = Vec::new();
        record.write_to(&mut bytes);
        let mut stream = self.0.stream.lock().unwrap_or_else(PoisonError::into_inner);
        if self.0.is_stuck.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let mut patience = Patience::of(&self.0);
        let mut written = 0;
        while written < bytes.len() {
            match stream.write(&bytes[written..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => written += count,
                Err(error) if is_timeout(&error) => {
                    let is_stuck = patience.is_over(written);
                    if self.0.interrupt.get().is_some() || is_stuck {
                        self.0.is_stuck.store(is_stuck, Ordering::Relaxed);
                        return Err(io::ErrorKind::TimedOut.into());
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// How long one write waits.
struct Patience<'a> {
    inner: &'a Inner,
    began: StallClock,
    progress: (usize, Instant),
}

impl<'a> Patience<'a> {
    fn of(inner: &'a Inner) -> Self {
        let now = inner.clock.now();
        Self { inner, began: StallClock::new(now, false), progress: (0, now) }
    }

    /// Whether a write that has come so far has waited long enough.
    fn is_over(&mut self, written: usize) -> bool {
        let (now, labour) = (self.inner.clock.now(), &self.inner.labour);
        if self.progress.0 != written {
            self.progress = (written, now);
        }
        if let Some(patience) = self.inner.patience {
            return now.since(self.progress.1) > patience;
        }
        let offered = labour.offered.load(Ordering::Relaxed);
        self.began.note(now, Motion { bytes: written as u64, steps: 0, offered }, false);
        self.began.on_peer_work(labour.peer_work.load(Ordering::Relaxed));
        self.began.is_stalled(now)
    }
}

/// Writes a record now and then, whatever the other threads wait for: a disk may be busy for longer than a peer
/// is patient.
#[derive(Debug)]
pub(super) struct Pulse {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Pulse {
    /// Begins.
    pub(super) fn start(outlet: Outlet) -> io::Result<Self> {
        let (stop, stopped) = channel::<()>();
        let thread = thread::Builder::new().spawn(move || {
            let (clock, mut work) = (Clock::start(), WorkClock::default());
            while stopped.recv_timeout(KEEP_ALIVE) == Err(RecvTimeoutError::Timeout) {
                let labour = outlet.labour();
                let is_at_work = labour.is_at_work.load(Ordering::Relaxed);
                let steps = labour.steps.load(Ordering::Relaxed);
                let record = match work.note(clock.now(), is_at_work, steps) {
                    Some(counter) => Record::Working { counter },
                    None => Record::Messages(b""),
                };
                // Who else writes or reads finds out what is wrong with the stream.
                if outlet.write(&record).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Pulse {
    /// The stream must be shut down before, so that no write goes on.
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
