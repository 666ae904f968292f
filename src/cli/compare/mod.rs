//! `volley compare`: the same bytes over UDP and over the kernel's TCP, a table and a verdict.
//!
//! Ways to carry the bytes (`ways`) run in turn, each run cut off after a limit. Where they run is an
//! arena: two hosts of a lab (`hosts`), the path to a listener (`path`), or, where there is no lab,
//! virtual time (`virtual_time`). What comes out is a [`Comparison`], which says what it shows.
//!
//! A lab is opened by a process that is inside: the one that the user started hands over to it, and to
//! the user they are one.

#[cfg(target_os = "linux")]
mod eye;
#[cfg(target_os = "linux")]
mod hosts;
mod made_up;
mod path;
pub mod race;
#[cfg(target_os = "linux")]
mod segments;
mod shot;
mod virtual_time;
mod ways;

use super::args::Compare;
use super::console::Console;
use super::destination::Destination;
use super::report::{self, Recorder, Target};
use super::{Place, Stop, lab};
use crate::base::text::{escape, escape_os, show_error};
use crate::base::time::Duration;
use crate::base::units::{Rate, Share, show_size};
use crate::link::config::QueueSize;
use crate::link::{Bottleneck, LinkConfig};
use crate::net::{Impairment, Interrupt, tcp};
use crate::report::comparison::{
    Comparison, Contender, Ended, LinkUsed, Trial, Venue, json, table, verdict,
};
use crate::report::run::{Bounds, Packets, Report, Run, Samples, Totals};
use crate::report::summary::LinkSummary;
use crate::transfer::outcome::{Failure, Reason};
use std::ffi::OsString;
use std::path::PathBuf;
use ways::Way;

/// What is sent.
#[derive(Debug)]
enum Load {
    /// A file of the user's.
    File(PathBuf),
    /// Bytes made up, that many.
    MadeUp(u64),
}

/// How one run is watched.
struct View<'a> {
    /// Which run it is.
    label: &'a str,
    console: &'a Console,
    /// The detail that a report wants, if one is written and shows this run.
    bounds: Option<Bounds>,
}

/// Where the runs take place.
enum Arena {
    #[cfg(target_os = "linux")]
    Hosts(Box<hosts::Arena>),
    Path(Box<path::Arena>),
    VirtualTime(Box<virtual_time::Arena>),
}

/// Runs the command; `words` is its command line.
///
/// # Errors
/// The words make no sense together, or nothing could be measured.
pub fn run(
    order: &Compare,
    (place, words): (Place, &[OsString]),
    interrupt: &Interrupt,
) -> Result<(), Stop> {
    let (load, host) = read_words(order)?;
    let console = Console::new(order.quiet);
    let size = load.size()?;
    let arena = match host {
        Some(destination) => {
            Arena::Path(Box::new(path::Arena::new(order, &load, destination, interrupt)?))
        }
        None => {
            let link = order.link.impairment_from(&usual())?;
            if place == Place::Inside {
                Arena::inside(link, &load, order.limit)?
            } else if let Err(why) = lab::probe() {
                console.say(&format!("{}\nsimulating instead", why.text));
                Arena::VirtualTime(Box::new(virtual_time::Arena::new(link, size, order.limit)))
            } else {
                return lab::hand_over(words, interrupt);
            }
        }
    };
    compare(arena, order, size, &console, interrupt)
}

fn compare(
    mut arena: Arena,
    order: &Compare,
    size: u64,
    console: &Console,
    interrupt: &Interrupt,
) -> Result<(), Stop> {
    let target = order.report.file.as_deref().map(Target::new).transpose()?;
    let ways = arena.ways(order)?;
    let mut comparison = Comparison {
        venue: arena.venue(),
        size,
        limit: order.limit,
        link: arena.link(),
        contenders: ways.iter().map(Way::contender).collect(),
    };
    let bounds = target.as_ref().map(|_| Report::bounds(ways.len()));
    let mut watched = Vec::new();
    let runs = ways.len() * order.repeat as usize;
    // Every way once, then every way again: what changes on the machine meanwhile meets all alike.
    for round in 0..order.repeat {
        for (place, way) in ways.iter().enumerate() {
            let number = round as usize * ways.len() + place + 1;
            let label = format!("run {number} of {runs}: {}", way.name());
            let bounds = bounds.filter(|_| round == 0);
            let view = View { label: &label, console, bounds };
            let (trial, run) = arena.hold(way, round, &view, interrupt)?;
            comparison.contenders[place].trials.push(trial);
            watched.extend(run);
        }
    }
    show(&comparison, order)?;
    if let Some(target) = target {
        target.write(&report(&comparison, watched))?;
        console.tell(&format!("report: {}", target.name()));
    }
    let has_carried = comparison.contenders.iter().any(Contender::has_carried);
    if has_carried { Ok(()) } else { Err(Stop::Told(Reason::Other)) }
}

/// The runs of the first round, and what all rounds show.
fn report(comparison: &Comparison, mut runs: Vec<Run>) -> Report {
    let seed = comparison.link.as_ref().map(|link| link.seed);
    if let more @ 2.. = comparison.repeats() {
        for run in &mut runs {
            run.notes.push(format!("The first of {more} runs; the verdict is about all of them."));
        }
    }
    Report {
        title: format!("{} over UDP and TCP", show_size(comparison.size)),
        command: report::again(seed),
        repeats: comparison.venue.repeats().to_owned(),
        verdict: verdict::sentences(comparison),
        runs,
    }
}

/// What was seen of one run over sockets.
struct Seen {
    samples: Samples,
    packets: Packets,
    notes: Vec<String>,
}

impl Seen {
    fn by(recorder: &Recorder) -> Self {
        let (samples, packets) = recorder.seen();
        Self { samples, packets, notes: Vec::new() }
    }

    /// What a report shows of it.
    fn picture(self, label: String, trial: &Trial, link: Option<LinkSummary>) -> Run {
        let Self { samples, packets, notes } = self;
        Run { label, link, totals: totals(trial), samples, packets, notes }
    }
}

fn totals(trial: &Trial) -> Totals {
    let broken_off = match &trial.ended {
        Ended::Complete => None,
        Ended::CutOff => Some("its time was up".to_owned()),
        Ended::Failed(text) => Some(text.clone()),
    };
    Totals {
        delivered: trial.bytes,
        elapsed: trial.elapsed,
        broken_off,
        wire_bytes: trial.link.map(|[out, _]| out.offered_bytes),
        retransmissions: trial.retransmissions,
    }
}

fn show(comparison: &Comparison, order: &Compare) -> Result<(), Failure> {
    let console = Console::plain();
    if order.json {
        return console.print(&json::value(comparison).to_string());
    }
    console.print(&format!("{}\n{}", table::text(comparison), verdict::text(comparison)))
}

/// The link unless something else is asked for.
fn usual() -> LinkConfig {
    let delay = Duration::from_millis(25);
    let rate = Rate::from_bits_per_second(100_000_000);
    let queue = QueueSize::DEFAULT.bytes(rate, 2 * delay);
    LinkConfig {
        loss: Share::new(0.01),
        delay,
        bottleneck: Some(Bottleneck { rate, queue }),
        ..LinkConfig::default()
    }
}

/// Which of the words is a file, and which a host.
fn read_words(order: &Compare) -> Result<(Load, Option<Destination>), Stop> {
    let is_host = |word: &PathBuf| !word.exists();
    let (file, host) = match &order.words[..] {
        [] => (None, None),
        [host] if is_host(host) => (None, Some(host)),
        [file] => (Some(file), None),
        [file, host] => (Some(file), Some(host)),
        _ => return Err(Stop::Usage("compare takes one file and one host, at most".into())),
    };
    let load = file.map_or(Load::MadeUp(order.size), |file| Load::File(file.clone()));
    let host = host.map(|host| match host.to_str() {
        Some(text) => Destination::parse(text).map_err(|fault| {
            Stop::Usage(format!("{fault}; and there is no file {}", escape(text)))
        }),
        None => Err(Stop::Usage("a host is plain text".into())),
    });
    Ok((load, host.transpose()?))
}

impl Load {
    fn size(&self) -> Result<u64, Failure> {
        match self {
            Self::MadeUp(size) => Ok(*size),
            Self::File(path) => {
                let shown = escape_os(path);
                let failed = |what: &str| {
                    Failure::new(Reason::Source, format!("cannot read {shown}: {what}"))
                };
                let metadata =
                    std::fs::metadata(path).map_err(|error| failed(&show_error(&error)))?;
                if !metadata.is_file() {
                    return Err(failed("it is no regular file; name one file to compare with"));
                }
                Ok(metadata.len())
            }
        }
    }
}

impl Arena {
    #[cfg(target_os = "linux")]
    fn inside(link: Impairment, load: &Load, limit: Duration) -> Result<Self, Stop> {
        Ok(Self::Hosts(Box::new(hosts::Arena::new(link, load, limit)?)))
    }

    #[cfg(not(target_os = "linux"))]
    fn inside(_: Impairment, _: &Load, _: Duration) -> Result<Self, Stop> {
        unreachable!("only Linux has an inside")
    }

    fn venue(&self) -> Venue {
        match self {
            #[cfg(target_os = "linux")]
            Self::Hosts(_) => Venue::Lab,
            Self::Path(arena) => Venue::Path { host: arena.host() },
            Self::VirtualTime(_) => Venue::Simulation,
        }
    }

    fn link(&self) -> Option<LinkUsed> {
        let Impairment { out, back, seed } = match self {
            #[cfg(target_os = "linux")]
            Self::Hosts(arena) => arena.link(),
            Self::Path(_) => return None,
            Self::VirtualTime(arena) => arena.link(),
        };
        Some(LinkUsed { out: out.clone(), back: back.clone(), seed: *seed })
    }

    fn ways(&self, order: &Compare) -> Result<Vec<Way>, Stop> {
        let tcp = match self {
            #[cfg(target_os = "linux")]
            Self::Hosts(arena) => arena.congestion_controls()?,
            Self::Path(_) => tcp::congestion_controls(),
            Self::VirtualTime(_) => vec![ways::STAND_IN.to_owned()],
        };
        Ok(ways::all(order, tcp))
    }

    /// One run, and what a report shows of it.
    fn hold(
        &mut self,
        way: &Way,
        round: u32,
        view: &View<'_>,
        interrupt: &Interrupt,
    ) -> Result<(Trial, Option<Run>), Stop> {
        match self {
            #[cfg(target_os = "linux")]
            Self::Hosts(arena) => arena.hold(way, round, view, interrupt),
            Self::Path(arena) => arena.hold(way, view, interrupt),
            Self::VirtualTime(arena) => arena.hold(way, round, view, interrupt),
        }
    }
}
