//! `--report FILE`: gathers what a report shows while a command runs, and writes the file at its end.
//!
//! [`Target`] checks before the run that the file can be written, so that nobody waits for nothing;
//! [`Recorder`] listens to a transfer over sockets, [`simulated`] watches a simulation;
//! both fill a `report::run::Run`.

mod command;
pub mod simulated;

pub use command::again;

use super::args::strategy_name as name;
use crate::base::range_set::RangeSet;
use crate::base::text::{escape_os, show_error};
use crate::base::time::Instant;
use crate::net::{Carrier, Finished, Impairment, Notice, Observer, Seen};
use crate::os::clock::{self, Clock};
use crate::report::events::failure_of;
use crate::report::html;
use crate::report::run::{Bounds, Packets, Path, Report, Run, Sample, Samples, Totals};
use crate::report::summary::Summary;
use crate::transfer::outcome::{Failure, Reason};
use crate::transport::arq::Strategy;
use crate::transport::stats::Stats;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{self, PathBuf};
use std::sync::{Arc, Mutex};

/// Bytes of the IP and UDP headers of a datagram.
const OVER_IPV4: u64 = 28;
const OVER_IPV6: u64 = 48;

/// A file that a report will be written to.
#[derive(Debug)]
pub struct Target {
    /// As it was typed.
    typed: PathBuf,
    /// What is replaced: behind all links.
    path: PathBuf,
}

impl Target {
    /// The file at `path`, if a report can be written there.
    ///
    /// # Errors
    /// It cannot, and why.
    pub fn new(typed: &path::Path) -> Result<Self, Failure> {
        let fail = |why: &str| Failure::new(Reason::Other, cannot_write(typed, why));
        let path = match std::fs::metadata(typed) {
            Ok(there) if there.is_dir() => {
                return Err(fail("it is a directory; name a file in it"));
            }
            Ok(there) if !there.is_file() => return Err(fail("it is not a regular file")),
            Ok(there) if there.permissions().readonly() => return Err(fail("it is read-only")),
            Ok(_) => typed.canonicalize(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(typed.to_owned()),
            Err(error) => Err(error),
        };
        let path = path.map_err(|error| fail(&show_error(&error)))?;
        let target = Self { typed: typed.to_owned(), path };
        target.write_text("").and_then(std::fs::remove_file).map_err(|error| {
            let is_nowhere = error.kind() == io::ErrorKind::NotFound;
            fail(&if is_nowhere { "there is no such directory".into() } else { show_error(&error) })
        })?;
        Ok(target)
    }

    /// Replaces the file with the report, in one step.
    ///
    /// # Errors
    /// It cannot be written any more.
    pub fn write(&self, report: &Report) -> Result<(), Failure> {
        let replaced = self.write_text(&html::page(report)).and_then(|temporary| {
            std::fs::rename(&temporary, &self.path).inspect_err(|_| {
                let _ = std::fs::remove_file(&temporary);
            })
        });
        replaced.map_err(|error| {
            Failure::new(Reason::Other, cannot_write(&self.typed, &show_error(&error)))
        })
    }

    /// The file's name, to be shown.
    #[must_use]
    pub fn name(&self) -> String {
        escape_os(&self.typed)
    }

    /// Writes a file beside it; says which.
    fn write_text(&self, text: &str) -> io::Result<PathBuf> {
        let name = format!(".volley-report-{:016x}.html", clock::random_u64());
        let temporary = self.path.with_file_name(name);
        let mut file = std::fs::File::create_new(&temporary)?;
        let written = file.write_all(text.as_bytes());
        if written.is_err() {
            let _ = std::fs::remove_file(&temporary);
        }
        written.map(|()| temporary)
    }
}

fn cannot_write(path: &path::Path, why: &str) -> String {
    format!("cannot write the report {}: {why}", escape_os(path))
}

/// What has been seen of a transfer.
#[derive(Debug)]
struct Gathered {
    samples: Samples,
    packets: Packets,
    acked: RangeSet,
    path: Option<Path>,
}

impl Gathered {
    fn see(&mut self, at: Instant, seen: &Seen) {
        match seen {
            Seen::Connection(event) => {
                if let Some(range) = self.packets.traced(at, event) {
                    self.acked.insert(range);
                    self.sample(at, self.acked.total());
                }
            }
            Seen::LostOnLink { number, .. } => self.packets.lost_on_link(at, *number),
        }
    }

    fn sample(&mut self, at: Instant, delivered: u64) {
        self.samples.push(Sample { at, delivered, path: self.path });
    }
}

/// Listens to a transfer over sockets.
#[derive(Clone, Debug)]
pub struct Recorder {
    clock: Clock,
    strategy: Strategy,
    gathered: Arc<Mutex<Gathered>>,
}

impl Recorder {
    /// Time begins now.
    #[must_use]
    pub fn start(strategy: Strategy, bounds: Bounds) -> Self {
        let (samples, packets) = (Samples::new(bounds), Packets::new(bounds));
        let gathered = Gathered { samples, packets, acked: RangeSet::new(), path: None };
        Self { clock: Clock::start(), strategy, gathered: Arc::new(Mutex::new(gathered)) }
    }

    /// Listens to what `observer` is told.
    #[must_use]
    pub fn beside(&self, observer: Observer) -> Observer {
        let recorder = self.clone();
        Arc::new(move |notice| {
            recorder.listen(&notice);
            observer(notice);
        })
    }

    /// The link lost or damaged the DATA packet whose number ends in those 32 bits.
    pub fn lost_on_link(&self, at: Instant, low: u32) {
        self.lock().packets.lost_on_link(at, low);
    }

    /// What was seen so far.
    #[must_use]
    pub fn seen(&self) -> (Samples, Packets) {
        let gathered = self.lock();
        (gathered.samples.clone(), gathered.packets.clone())
    }

    /// The report of a transfer that is over.
    #[must_use]
    pub fn report(
        &self,
        summary: &Summary<'_>,
        finished: &Finished,
        impairment: Option<&Impairment>,
    ) -> Report {
        let label = match finished.carrier {
            Carrier::Tcp => "TCP".to_owned(),
            Carrier::Udp => format!("{} (UDP)", name(self.strategy)),
        };
        Report {
            title: format!("volley {}", summary.headline()),
            command: again(impairment.map(|impairment| impairment.seed)),
            repeats: repeats(impairment),
            verdict: Vec::new(),
            runs: vec![self.run(&label, summary, finished)],
        }
    }

    /// What a transfer that is over was like.
    #[must_use]
    pub fn run(&self, label: &str, summary: &Summary<'_>, finished: &Finished) -> Run {
        let gathered = self.lock();
        let mut samples = gathered.samples.clone();
        let elapsed = summary.in_all();
        let delivered = summary.report.counts.bytes;
        samples.push(Sample { at: Instant::ZERO + elapsed, delivered, path: None });
        let stats = summary.report.stats.as_ref();
        let notes = match finished.carrier {
            Carrier::Tcp => vec![
                "The kernel keeps TCP's packets, windows and round-trip times to itself; the goodput is \
                 what it took from the sender, which runs ahead of the receiver by its buffers."
                    .to_owned(),
            ],
            Carrier::Udp => Vec::new(),
        };
        Run {
            label: label.to_owned(),
            link: summary.link.clone(),
            totals: Totals {
                delivered,
                elapsed,
                broken_off: failure_of(summary.report).map(|failure| failure.text),
                wire_bytes: stats.map(|stats| wire_bytes(stats, finished.peer)),
                retransmissions: stats.map(|stats| stats.retransmissions),
            },
            samples,
            packets: gathered.packets.clone(),
            notes,
        }
    }

    fn listen(&self, notice: &Notice) {
        let here = self.clock.now();
        match notice {
            Notice::Progress { progress, .. } => {
                let mut gathered = self.lock();
                gathered.path = progress.stats.as_ref().and_then(|stats| self.path(stats));
                gathered.sample(here, progress.done);
            }
            Notice::Traced { events, now, .. } => {
                let mut gathered = self.lock();
                for (at, seen) in events {
                    // The loop has a clock of its own.
                    gathered.see(here - now.since(*at), seen);
                }
            }
            Notice::Ended { .. }
            | Notice::FellBack { .. }
            | Notice::Listed { .. }
            | Notice::Retrying { .. }
            | Notice::Started { .. } => {}
        }
    }

    /// Nothing before the first acknowledgement: what is assumed until then says nothing of the path.
    fn path(&self, stats: &Stats) -> Option<Path> {
        let is_controlled = self.strategy == Strategy::Volley;
        (stats.packets_acked > 0).then(|| Path {
            congestion_window: is_controlled.then_some(stats.congestion_window),
            bytes_in_flight: stats.bytes_in_flight,
            smoothed_rtt: stats.smoothed_rtt,
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Gathered> {
        self.gathered.lock().expect("nobody panics while holding it")
    }
}

/// Bytes of all IP packets sent.
fn wire_bytes(stats: &Stats, peer: SocketAddr) -> u64 {
    let is_ipv4 = peer.ip().to_canonical().is_ipv4();
    stats.bytes_sent + stats.datagrams_sent * if is_ipv4 { OVER_IPV4 } else { OVER_IPV6 }
}

/// What a seed repeats where real sockets and clocks take part.
fn repeats(impairment: Option<&Impairment>) -> String {
    match impairment {
        Some(Impairment { seed, .. }) => format!(
            "Seed {seed} repeats the luck of the link, datagram by datagram. The sockets and the clock are \
             real: times, and so which bytes a datagram carries, differ from run to run."
        ),
        None => {
            "The network is as it was, and nothing is drawn from a seed: no two runs are the same."
                .into()
        }
    }
}
