//! Runs between the two hosts of a lab: the kernel's TCP and volley's datagrams over the same link.
//!
//! The receiver listens in host B, the sender sends from host A, both in this process, with files in
//! memory that nobody else sees.

use super::eye::Eye;
use super::shot::{Shot, cannot, count_bytes};
use super::ways::Way;
use super::{Load, Seen, View, made_up};
use crate::base::time::Duration;
use crate::cli::Stop;
use crate::lab::memory::MemoryDirectory;
use crate::lab::{Host, Lab, LabCounts, LabLink};
use crate::link::LinkConfig;
use crate::net::listen::{self, Listener};
use crate::net::part::{Reception, Service};
use crate::net::{DEFAULT_PORT, Impairment, Interrupt, Observer, SIGTERM, tcp};
use crate::os::clock;
use crate::report;
use crate::report::comparison::{Ended, Trial};
use crate::report::run::Run;
use crate::report::summary::LinkSummary;
use crate::transfer::budget::Budget;
use crate::transfer::directory::Directory;
use crate::transfer::keeping::Keeping;
use crate::transfer::outcome::Failure;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where the kernel counts what TCP did in the network that the reading thread is in.
const SNMP: &str = "/proc/thread-self/net/snmp";

/// Two hosts, and what is sent from the one to the other.
#[derive(Debug)]
pub(super) struct Arena {
    lab: Lab,
    link: Impairment,
    shot: Shot,
    memory: MemoryDirectory,
}

impl Arena {
    /// Opens the lab, which only a process inside can do.
    ///
    /// # Errors
    /// The system does not allow it, or there is no room for the bytes.
    pub(super) fn new(link: Impairment, load: &Load, limit: Duration) -> Result<Self, Stop> {
        let lab = Lab::open(&lab_link(&link, link.seed))?;
        let memory = MemoryDirectory::make()?;
        let path = made_up::file(load, &memory.path())?;
        let listener = SocketAddr::new(lab.addresses(Host::B).v4.into(), DEFAULT_PORT);
        let shot = Shot { path, addresses: vec![listener], limit };
        Ok(Self { lab, link, shot, memory })
    }

    pub(super) fn link(&self) -> &Impairment {
        &self.link
    }

    /// The congestion controls that TCP has in host A.
    ///
    /// # Errors
    /// The system does not let the thread in.
    pub(super) fn congestion_controls(&self) -> Result<Vec<String>, Stop> {
        Ok(self.lab.within(Host::A, tcp::congestion_controls)?)
    }

    /// One run over a fresh link, and what a report shows of it.
    ///
    /// # Errors
    /// The user asked to end, or a host does not work.
    pub(super) fn hold(
        &mut self,
        way: &Way,
        round: u32,
        view: &View<'_>,
        interrupt: &Interrupt,
    ) -> Result<(Trial, Option<Run>), Stop> {
        let seed = self.link.seed.wrapping_add(round.into());
        self.lab.reset(&lab_link(&self.link, seed))?;
        let inbox = self.memory.path().join("received");
        std::fs::create_dir(&inbox).map_err(|error| cannot("make a directory", &error))?;
        let before = Costs::so_far(&self.lab)?;
        let held = self.exchange(way, &inbox, view, interrupt);
        let costs = Costs::so_far(&self.lab)?;
        std::fs::remove_dir_all(&inbox).map_err(|error| cannot("empty a directory", &error))?;
        let (mut trial, seen) = held?;
        let counts = self.lab.counts();
        trial.link = Some([counts.out.link, counts.back.link]);
        trial.packets_sent = Some(counts.out.link.offered);
        // Whoever watches a run uses the processor, too.
        trial.cpu = seen.is_none().then(|| costs.cpu.saturating_sub(before.cpu));
        if way.is_tcp() {
            let again = costs.segments_again.zip(before.segments_again);
            trial.retransmissions = again.and_then(|(now, before)| now.checked_sub(before));
        }
        let link = self.summary(seed, &counts);
        let run = seen.map(|seen| seen.picture(way.name(), &trial, Some(link)));
        Ok((trial, run))
    }

    /// Sends from A while B receives into `inbox`. What counts of a run that is cut off is what the
    /// receiver has.
    fn exchange(
        &self,
        way: &Way,
        inbox: &Path,
        view: &View<'_>,
        interrupt: &Interrupt,
    ) -> Result<(Trial, Option<Seen>), Stop> {
        let address: IpAddr = self.lab.addresses(Host::B).v4.into();
        let listener =
            self.lab.within(Host::B, || Listener::bind(Some(address), DEFAULT_PORT))??;
        let serving = serving(inbox)?;
        let (received, over) = (Arc::new(AtomicU64::new(0)), interrupt.of_part());
        let nobody: Observer = Arc::new(|_| {});
        let observer = count_bytes(&nobody, &received);
        let eye = view.bounds.map(|bounds| Eye::open(&self.lab, way, bounds));
        let recorder = eye.as_ref().and_then(Eye::recorder);
        let sent = std::thread::scope(|scope| {
            let receiver = scope.spawn(|| listener.run(&serving, &observer, &over));
            let send = || self.shot.fire(way, view, recorder.as_ref(), interrupt);
            let sent = self.lab.within(Host::A, send);
            over.set(SIGTERM);
            let _ = receiver.join();
            sent
        });
        let seen = eye.map(Eye::close);
        let mut trial = sent??;
        if trial.ended != Ended::Complete {
            trial.bytes = received.load(Ordering::Relaxed);
        }
        Ok((trial, seen))
    }

    fn summary(&self, seed: u64, counts: &LabCounts) -> LinkSummary {
        let way =
            |config: &LinkConfig, counts| report::summary::Way { config: config.clone(), counts };
        LinkSummary {
            out: way(&self.link.out, counts.out.link),
            back: way(&self.link.back, counts.back.link),
            seed,
            found_damaged: 0,
        }
    }
}

fn lab_link(link: &Impairment, seed: u64) -> LabLink {
    LabLink { out: link.out.clone(), back: link.back.clone(), seed }
}

fn serving(inbox: &Path) -> Result<listen::Order, Failure> {
    let directory = Arc::new(Directory::open(inbox)?);
    let reception = Reception {
        directory,
        keeping: Keeping::default(),
        takes_hidden: true,
        budget: Budget::default(),
    };
    let service = Service::Receive(reception);
    Ok(listen::Order { service, once: true, max_rate: None, impairment: None, traces: false })
}

/// What everything has cost since the process began, the lab itself left out.
struct Costs {
    cpu: Duration,
    /// Segments that TCP in host A has sent again.
    segments_again: Option<u64>,
}

impl Costs {
    fn so_far(lab: &Lab) -> Result<Self, Stop> {
        let counters = lab.within(Host::A, || std::fs::read_to_string(SNMP))?;
        let counters = counters.unwrap_or_default();
        let segments_again = counter(&counters, "Tcp:", "RetransSegs");
        let cpu = clock::process_time().saturating_sub(lab.processor_time());
        Ok(Self { cpu, segments_again })
    }
}

/// One number of a file that has names in one line and values in the next.
fn counter(text: &str, kind: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter(|line| line.starts_with(kind));
    let (names, values) = (lines.next()?, lines.next()?);
    let place = names.split_whitespace().position(|word| word == name)?;
    values.split_whitespace().nth(place)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_counters_read() {
        let text = "Ip: InReceives\nIp: 5\nTcp: InSegs RetransSegs\nTcp: 70 12\n";
        assert_eq!(counter(text, "Tcp:", "RetransSegs"), Some(12));
        assert_eq!(counter(text, "Udp:", "InErrors"), None);
    }
}
