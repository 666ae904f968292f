//! A thread for one transfer's sink, so that a slow disk stalls its own transfer only.

use crate::base::time::Duration;
use crate::os::clock::Clock;
use crate::os::wait::Waker;
use crate::transfer::job::{Job, Report};
use crate::transfer::sink::Sink;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvError, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};

/// Reports told together: small jobs are many.
const REPORTS_MAX: usize = 64;

/// Of so many bytes written the sender is to hear at once: it waits for room.
const LARGE: usize = 32 << 10;

/// How often what is verified is written down.
pub const CHECKPOINT: Duration = Duration::from_secs(1);

/// What a worker tells the loop: which session, and what its sink did. `None`: it has stopped.
pub type Told = (u64, Option<Vec<Report>>);

/// How a worker gets on.
#[derive(Debug, Default)]
struct Pace {
    steps: AtomicU64,
    is_busy: AtomicBool,
}

/// A sink on its own thread. What waits for it is bounded by the transfer that feeds it.
#[derive(Debug)]
pub struct Worker {
    jobs: Option<Sender<Job>>,
    is_closed: Arc<AtomicBool>,
    pace: Arc<Pace>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Runs `sink` for session `id`; reports go to `told`, and `waker` wakes the loop.
    ///
    /// # Errors
    /// The system has no thread to spare.
    pub fn start(id: u64, mut sink: Sink, told: Sender<Told>, waker: Waker) -> io::Result<Self> {
        let (jobs, queue) = channel::<Job>();
        let is_closed = Arc::new(AtomicBool::new(false));
        let closed = is_closed.clone();
        let pace = Arc::<Pace>::default();
        let shown = pace.clone();
        let thread = thread::Builder::new().spawn(move || {
            let stopped = Stopped { id, told: told.clone(), waker: waker.clone() };
            let tell = |reports: Vec<Report>| {
                if !reports.is_empty() {
                    // Who does not listen any more closes its workers.
                    let _ = told.send((id, Some(reports)));
                    waker.wake();
                }
                shown.steps.fetch_add(1, Ordering::Relaxed);
                !closed.load(Ordering::Relaxed)
            };
            let _ = work(&mut sink, &queue, tell, &shown.is_busy);
            // What is not committed is put away before anybody hears that this is over.
            drop(sink);
            drop(stopped);
        })?;
        Ok(Self { jobs: Some(jobs), is_closed, pace, thread: Some(thread) })
    }

    /// Steps that it has done so far: they show that its disk gets on.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.pace.steps.load(Ordering::Relaxed)
    }

    /// Whether there is something for it to do that is no job, as to compare and to verify.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.pace.is_busy.load(Ordering::Relaxed)
    }

    /// Does no more jobs, not even those that wait; the sink puts away what is not committed.
    pub fn close(&mut self) {
        self.is_closed.store(true, Ordering::Relaxed);
        self.jobs = None;
    }

    /// Hands a job over. A worker that has stopped has said so; its transfer ends because of that.
    pub fn submit(&self, job: Job) {
        if let Some(jobs) = &self.jobs {
            let _ = jobs.send(job);
        }
    }
}

impl Drop for Worker {
    /// Waits until the sink has put away what is not committed.
    fn drop(&mut self) {
        self.close();
        if let Some(thread) = self.thread.take() {
            // A panic in a sink ends its transfer, which has been told, and nothing else.
            let _ = thread.join();
        }
    }
}

/// Does jobs until there will be no more, or `tell` says that nobody listens.
fn work(
    sink: &mut Sink,
    queue: &Receiver<Job>,
    tell: impl Fn(Vec<Report>) -> bool,
    is_busy: &AtomicBool,
) -> Result<(), RecvError> {
    let clock = Clock::start();
    let mut checkpoint = clock.now() + CHECKPOINT;
    loop {
        let patience = if sink.is_busy() { Duration::ZERO } else { CHECKPOINT };
        let mut next = match queue.recv_timeout(patience) {
            Ok(job) => Some(job),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return Err(RecvError),
        };
        let mut reports = Vec::new();
        while let Some(job) = next {
            reports.extend(sink.run(job));
            next = queue.try_recv().ok();
            let is_large = matches!(reports.last(), Some(Report::Done { bytes: LARGE.., .. }));
            if (is_large || reports.len() >= REPORTS_MAX || next.is_none())
                && !tell(std::mem::take(&mut reports))
            {
                return Err(RecvError);
            }
        }
        let mut reports = sink.rest();
        is_busy.store(sink.is_busy(), Ordering::Relaxed);
        if clock.now() >= checkpoint {
            reports.extend(sink.checkpoint());
            checkpoint = clock.now() + CHECKPOINT;
        }
        if !tell(reports) {
            return Err(RecvError);
        }
    }
}

/// Says that the worker has stopped, also when it panics.
struct Stopped {
    id: u64,
    told: Sender<Told>,
    waker: Waker,
}

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = self.told.send((self.id, None));
        self.waker.wake();
    }
}
