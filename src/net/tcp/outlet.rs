//! The writing half of a stream, and the thread that shows the peer that this side is alive.

use super::Stream;
use super::record::{Record, is_timeout};
use crate::base::time::Duration;
use crate::net::Interrupt;
use crate::os::clock::Clock;
use crate::transport::config::KEEP_ALIVE;
use std::io::{self, Write};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

/// Writes whole records to a stream whose writes time out now and then.
#[derive(Clone, Debug)]
pub(super) struct Outlet(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// The lock is held for one record.
    stream: Mutex<Stream>,
    interrupt: Interrupt,
    clock: Clock,
    /// Nothing could be written for this long: the peer reads no more.
    patience: Option<Duration>,
}

impl Outlet {
    /// An outlet into `stream` that gives up when interrupted, or after nothing could be written for
    /// `patience`; without one, somebody else shuts the stream down.
    pub(super) fn new(stream: &Stream, interrupt: &Interrupt, patience: Option<Duration>) -> Self {
        let (stream, interrupt) = (Mutex::new(stream.clone()), interrupt.clone());
        Self(Arc::new(Inner { stream, interrupt, clock: Clock::start(), patience }))
    }

    /// Writes a record.
    ///
    /// # Errors
    /// The stream broke, nobody reads it, or the interrupt.
    pub(super) fn write(&self, record: &Record<'_>) -> io::Result<()> {
        let mut bytes = Vec::new();
        record.write_to(&mut bytes);
        let stream = self.0.stream.lock().unwrap_or_else(PoisonError::into_inner);
        let mut rest = &bytes[..];
        let mut progress = self.0.clock.now();
        while !rest.is_empty() {
            match (&**stream).write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    rest = &rest[count..];
                    progress = self.0.clock.now();
                }
                Err(error) if is_timeout(&error) => {
                    let waited = self.0.clock.now().since(progress);
                    let is_stuck = self.0.patience.is_some_and(|patience| waited > patience);
                    if self.0.interrupt.get().is_some() || is_stuck {
                        return Err(io::ErrorKind::TimedOut.into());
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Writes an empty record now and then, whatever the other threads wait for: a disk may be busy for
/// longer than a peer is patient.
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
            while stopped.recv_timeout(KEEP_ALIVE) == Err(RecvTimeoutError::Timeout) {
                // Who else writes or reads finds out what is wrong with the stream.
                if outlet.write(&Record::Messages(b"")).is_err() {
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
