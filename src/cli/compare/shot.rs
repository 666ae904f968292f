//! One run over sockets: the file is sent once, within the limit.

use super::View;
use super::ways::Way;
use crate::base::time::{Duration, Instant};
use crate::cli::progress::Meter;
use crate::cli::report::Recorder;
use crate::cli::signals::Deadline;
use crate::net::part::Errand;
use crate::net::{DEADLINE, Finished, Interrupt, Notice, Observer, dial, tcp};
use crate::os::clock::Clock;
use crate::report::comparison::{Ended, Trial};
use crate::transfer::outcome::{Failure, Reason};
use crate::transfer::walk::Selection;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// What to send, and where.
#[derive(Clone, Debug)]
pub(super) struct Shot {
    pub(super) path: PathBuf,
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) limit: Duration,
}

impl Shot {
    /// Sends the file `way`, in view of a bar and of `recorder`.
    ///
    /// # Errors
    /// The user asked to end.
    pub(super) fn fire(
        &self,
        way: &Way,
        view: &View<'_>,
        recorder: Option<&Recorder>,
        interrupt: &Interrupt,
    ) -> Result<Trial, Failure> {
        let handed_over = Arc::new(AtomicU64::new(0));
        let mut observer = count_bytes(&bar(view), &handed_over);
        if let Some(recorder) = recorder {
            observer = recorder.beside(observer);
        }
        let (clock, until) = (Clock::start(), interrupt.of_part());
        let deadline = Deadline::after(Some(self.limit), &until);
        let sent = self.send(way, &observer, recorder.is_some(), &until);
        drop(deadline);
        if let Some(failure) = interrupt.failure() {
            return Err(failure);
        }
        let is_up = until.get() == Some(DEADLINE);
        let lasted = clock.now().since(Instant::ZERO);
        let trial = judge(sent, is_up, lasted, handed_over.load(Ordering::Relaxed));
        Ok(trial)
    }

    fn send(
        &self,
        way: &Way,
        observer: &Observer,
        traces: bool,
        interrupt: &Interrupt,
    ) -> Result<Finished, Failure> {
        let selection = Selection { paths: vec![self.path.clone()], ..Selection::default() };
        let (errand, addresses) = (Errand::Send(Arc::new(selection)), self.addresses.clone());
        match way {
            Way::Tcp { congestion } => {
                let (congestion, max_rate) = (congestion.clone(), None);
                let order = tcp::Order { errand, addresses, congestion, max_rate };
                tcp::dial(&order, observer, interrupt)
            }
            Way::Udp { congestion, arq } => {
                let order = dial::Order {
                    errand,
                    addresses,
                    bind: None,
                    congestion: *congestion,
                    known_paths: HashMap::new(),
                    max_rate: None,
                    arq: *arq,
                    impairment: None,
                    traces,
                };
                dial::dial(&order, observer, interrupt)
            }
        }
    }
}

/// `handed_over` bytes had gone when the run ended after `lasted`, as far as is known.
fn judge(
    sent: Result<Finished, Failure>,
    is_up: bool,
    lasted: Duration,
    handed_over: u64,
) -> Trial {
    let finished = match sent {
        Ok(finished) => finished,
        Err(failure) => return Trial::failed(lasted, failure.text),
    };
    let report = &finished.report;
    let (ended, elapsed, bytes) = match report.verdict() {
        // What is there already is not sent, and nothing is measured.
        None if report.counts.same + report.counts.left > 0 => {
            let text = "the receiver has the file already; start it with --discard";
            (Ended::Failed(text.into()), lasted, 0)
        }
        None => (Ended::Complete, finished.elapsed, report.counts.bytes),
        Some(_) if is_up => (Ended::CutOff, lasted, handed_over),
        Some(_) => {
            let failures = report.files.iter().filter_map(|file| file.outcome.as_ref().err());
            let first = failures.chain(&report.failure).next();
            let text = first.map_or("it did not arrive", |failure| &failure.text);
            (Ended::Failed(text.to_owned()), lasted, handed_over)
        }
    };
    let stats = report.stats;
    Trial {
        packets_sent: stats.map(|stats| stats.datagrams_sent),
        retransmissions: stats.map(|stats| stats.retransmissions),
        min_rtt: stats.map(|stats| stats.min_rtt).filter(|rtt| !rtt.is_zero()),
        ..Trial::of(ended, elapsed, bytes)
    }
}

/// A bar for one run.
fn bar(view: &View<'_>) -> Observer {
    let meter = Mutex::new(Meter::new(view.console, view.label.to_owned()).titled());
    Arc::new(move |notice| {
        let mut meter = meter.lock().expect("nobody panics while holding it");
        if let Notice::Progress { progress, .. } = notice {
            meter.update(&progress);
        }
    })
}

/// Keeps how many file bytes are on their way or there, and passes everything on.
pub(super) fn count_bytes(observer: &Observer, bytes: &Arc<AtomicU64>) -> Observer {
    let (observer, bytes) = (observer.clone(), bytes.clone());
    Arc::new(move |notice| {
        if let Notice::Progress { progress, .. } = &notice {
            bytes.store(progress.done, Ordering::Relaxed);
        }
        observer(notice);
    })
}

/// Why a run could not even begin.
pub(super) fn cannot(what: &str, error: &std::io::Error) -> Failure {
    let error = crate::base::text::show_error(error);
    Failure::new(Reason::Other, format!("cannot {what}: {error}"))
}
