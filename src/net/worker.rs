//! A thread for what one transfer does with the disk, so that a slow disk stalls its own transfer only: for the
//! sink of one that receives, for the source of one that sends.

use super::places::Place;
use crate::base::time::Duration;
use crate::os::clock::Clock;
use crate::os::wait::Waker;
use crate::transfer::job::{Job, Report};
use crate::transfer::sink::Sink;
use crate::transfer::source::Source;
use crate::transfer::source_job::{SourceJob, SourceReport};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvError, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

/// Reports told together: small jobs are many.
const REPORTS_MAX: usize = 64;

/// Reports wait so long for others while there are jobs: each that is told costs the loop a turn.
const TOLD_EVERY: Duration = Duration::from_micros(200);

/// How often what is verified is written down.
pub const CHECKPOINT: Duration = Duration::from_secs(1);

/// What a worker tells the loop: which session, and what was done for it. `None`: it has stopped.
pub type Told = (u64, Option<Reports>);

/// How a worker gets on.
#[derive(Debug, Default)]
struct Pace {
    steps: AtomicU64,
    is_busy: AtomicBool,
}

/// What was done.
#[derive(Debug)]
pub enum Reports {
    /// By a sink.
    Sink(Vec<Report>),
    /// By a source.
    Source(Vec<SourceReport>),
}

/// What does jobs and may block.
pub trait Labour: Send + 'static {
    /// What it is told to do.
    type Job: Send + 'static;
    /// What it says it did.
    type Report: Send + 'static;

    /// Whether something is to be put away in the end, for which its owner waits.
    const CLEARS_UP: bool;

    /// Does a job.
    fn run(&mut self, job: Self::Job) -> Vec<Self::Report>;
    /// Goes on, a little, with what takes long.
    fn rest(&mut self) -> Vec<Self::Report>;
    /// Whether there is something to go on with.
    fn is_busy(&self) -> bool;
    /// Whether that is its turn, though there are jobs.
    fn is_rest_due(&self) -> bool;
    /// About every second.
    fn checkpoint(&mut self) -> Vec<Self::Report>;
    /// The reports for whoever hears those of both kinds.
    fn told(reports: Vec<Self::Report>) -> Reports;
}

impl Labour for Sink {
    type Job = Job;
    type Report = Report;

    const CLEARS_UP: bool = true;

    fn run(&mut self, job: Job) -> Vec<Report> {
        self.run(job)
    }

    fn rest(&mut self) -> Vec<Report> {
        self.rest()
    }

    fn is_busy(&self) -> bool {
        self.is_busy()
    }

    fn is_rest_due(&self) -> bool {
        self.is_rest_due()
    }

    fn checkpoint(&mut self) -> Vec<Report> {
        self.checkpoint()
    }

    fn told(reports: Vec<Report>) -> Reports {
        Reports::Sink(reports)
    }
}

impl Labour for Source {
    type Job = SourceJob;
    type Report = SourceReport;

    const CLEARS_UP: bool = false;

    fn run(&mut self, job: SourceJob) -> Vec<SourceReport> {
        self.run(job)
    }

    fn rest(&mut self) -> Vec<SourceReport> {
        self.rest()
    }

    fn is_busy(&self) -> bool {
        self.is_busy()
    }

    fn is_rest_due(&self) -> bool {
        self.is_rest_due()
    }

    fn checkpoint(&mut self) -> Vec<SourceReport> {
        Vec::new()
    }

    fn told(reports: Vec<SourceReport>) -> Reports {
        Reports::Source(reports)
    }
}

/// A sink or a source on its own thread. What waits for it is bounded by the transfer that feeds it.
#[derive(Debug)]
pub struct Worker<J> {
    jobs: Option<Sender<J>>,
    is_closed: Arc<AtomicBool>,
    pace: Arc<Pace>,
    thread: Option<JoinHandle<()>>,
    clears_up: bool,
    /// Given back when the thread ends.
    place: Arc<Mutex<Option<Place>>>,
}

impl<J: Send + 'static> Worker<J> {
    /// Has `labour` do the jobs of session `id`; reports go to `told`, and `waker` wakes the loop.
    ///
    /// # Errors
    /// The system has no thread to spare.
    pub fn start<L: Labour<Job = J>>(
        id: u64,
        mut labour: L,
        told: Sender<Told>,
        waker: Waker,
    ) -> io::Result<Self> {
        let (jobs, queue) = channel::<J>();
        let is_closed = Arc::new(AtomicBool::new(false));
        let closed = is_closed.clone();
        let pace = Arc::<Pace>::default();
        let shown = pace.clone();
        let place: Arc<Mutex<Option<Place>>> = Arc::default();
        let held = place.clone();
        let thread = thread::Builder::new().spawn(move || {
            let stopped = Stopped { id, told: told.clone(), waker: waker.clone() };
            let tell = |reports: Vec<L::Report>| {
                if !reports.is_empty() {
                    // Who does not listen any more closes its workers.
                    let _ = told.send((id, Some(L::told(reports))));
                    waker.wake();
                }
                shown.steps.fetch_add(1, Ordering::Relaxed);
                !closed.load(Ordering::Relaxed)
            };
            let _ = work(&mut labour, &queue, tell, &shown.is_busy);
            // What is not committed is put away before anybody hears that this is over.
            drop(labour);
            drop(held.lock().map(|mut held| held.take()));
            drop(stopped);
        })?;
        let clears_up = L::CLEARS_UP;
        Ok(Self { jobs: Some(jobs), is_closed, pace, thread: Some(thread), clears_up, place })
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

    /// Does no more jobs, not even those that wait; a sink puts away what is not committed.
    pub fn close(&mut self) {
        self.is_closed.store(true, Ordering::Relaxed);
        self.jobs = None;
    }

    /// Hands a job over. A worker that has stopped has said so; its transfer ends because of that.
    pub fn submit(&self, job: J) {
        if let Some(jobs) = &self.jobs {
            let _ = jobs.send(job);
        }
    }

    /// Lets go of a thread that has nothing to put away: one that a disk holds up ends when it can, and has
    /// its transfer's place until then.
    pub fn leave(mut self, place: Option<Place>) {
        if let Ok(mut held) = self.place.lock() {
            *held = place;
        }
        self.close();
    }
}

impl<J> Drop for Worker<J> {
    /// Waits until what is not committed has been put away.
    fn drop(&mut self) {
        self.is_closed.store(true, Ordering::Relaxed);
        self.jobs = None;
        if let Some(thread) = self.thread.take().filter(|_| self.clears_up) {
            // A panic in a sink ends its transfer, which has been told, and nothing else.
            let _ = thread.join();
        }
    }
}

/// Does jobs until there will be no more, or `tell` says that nobody listens.
fn work<L: Labour>(
    labour: &mut L,
    queue: &Receiver<L::Job>,
    tell: impl Fn(Vec<L::Report>) -> bool,
    is_busy: &AtomicBool,
) -> Result<(), RecvError> {
    let clock = Clock::start();
    let mut checkpoint = clock.now() + CHECKPOINT;
    loop {
        let patience = if labour.is_busy() { Duration::ZERO } else { CHECKPOINT };
        let mut next = match queue.recv_timeout(patience) {
            Ok(job) => Some(job),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return Err(RecvError),
        };
        let mut reports = Vec::new();
        let mut told = clock.now();
        while let Some(job) = next {
            reports.extend(labour.run(job));
            next = if labour.is_rest_due() { None } else { queue.try_recv().ok() };
            let is_due = reports.len() >= REPORTS_MAX || clock.now() >= told + TOLD_EVERY;
            if is_due || next.is_none() {
                if !tell(std::mem::take(&mut reports)) {
                    return Err(RecvError);
                }
                told = clock.now();
            }
        }
        // To put files on stable storage is work as well, and a single call may take long.
        is_busy.store(true, Ordering::Relaxed);
        let mut reports = labour.rest();
        if clock.now() >= checkpoint {
            reports.extend(labour.checkpoint());
            checkpoint = clock.now() + CHECKPOINT;
        }
        is_busy.store(labour.is_busy(), Ordering::Relaxed);
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
