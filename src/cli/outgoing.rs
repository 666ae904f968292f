//! Lines for standard output that must all get there, written by a thread of its own.
//!
//! Whoever reads them may take as long as they like: meanwhile the peer is answered, until more waits than is
//! reasonable, and what ends a command ends it then, too.

use crate::base::text::show_error;
use crate::net::Interrupt;
use crate::transfer::outcome::{Failure, Reason};
use std::collections::VecDeque;
use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

/// Bytes that wait to be written, and one piece more, at most: then whoever writes waits.
const WAITING_MAX: usize = 64 << 20;

/// Between two looks at the interrupt.
const PATIENCE: Duration = Duration::from_millis(100);

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<String>,
    /// Bytes in it.
    waiting: usize,
    /// No more come.
    is_closed: bool,
    /// All is written, or nobody reads any more.
    is_over: bool,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// The way to the thread that writes.
#[derive(Clone, Debug)]
pub(super) struct Outgoing {
    shared: Arc<Shared>,
    interrupt: Interrupt,
}

impl Outgoing {
    /// Starts to write to `out`. Nobody waits for that any more once interrupted.
    ///
    /// # Errors
    /// The system has no thread to spare.
    pub(super) fn start(
        mut out: impl Write + Send + 'static,
        interrupt: &Interrupt,
    ) -> Result<Self, Failure> {
        let shared: Arc<Shared> = Arc::default();
        let theirs = shared.clone();
        let started = std::thread::Builder::new().spawn(move || {
            while let Some(text) = theirs.next() {
                // A closed stream is no reason to fail.
                if writeln!(out, "{text}").and_then(|()| out.flush()).is_err() {
                    break;
                }
            }
            theirs.lock().is_over = true;
            theirs.changed.notify_all();
        });
        started.map_err(|error| {
            let text = format!("cannot start a thread: {}", show_error(&error));
            Failure::new(Reason::Other, text)
        })?;
        Ok(Self { shared, interrupt: interrupt.clone() })
    }

    /// Has a line written, or several.
    pub(super) fn put(&self, text: String) {
        let mut state = self.wait_while(|state| state.waiting >= WAITING_MAX);
        if !state.is_over {
            state.waiting += text.len();
            state.queue.push_back(text);
            self.shared.changed.notify_all();
        }
    }

    /// Waits until all is written.
    ///
    /// # Errors
    /// The interrupt came first.
    pub(super) fn finish(&self) -> Result<(), Failure> {
        self.shared.lock().is_closed = true;
        self.shared.changed.notify_all();
        let is_over = self.wait_while(|_| true).is_over;
        self.interrupt.failure().filter(|_| !is_over).map_or(Ok(()), Err)
    }

    /// Waits as long as `holds`, lines are written, and there is no interrupt.
    fn wait_while(&self, holds: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let mut state = self.shared.lock();
        while !state.is_over && holds(&state) && self.interrupt.get().is_none() {
            let waited = self.shared.changed.wait_timeout(state, PATIENCE);
            state = waited.expect("nobody panics while holding it").0;
        }
        state
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics while holding it")
    }

    /// What is to be written next; none once that was all.
    fn next(&self) -> Option<String> {
        let mut state = self.lock();
        while state.queue.is_empty() && !state.is_closed {
            state = self.changed.wait(state).expect("nobody panics while holding it");
        }
        let text = state.queue.pop_front()?;
        state.waiting -= text.len();
        self.changed.notify_all();
        Some(text)
    }
}
