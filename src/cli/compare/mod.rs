//! `volley compare`: the same bytes over UDP and over the kernel's TCP, a table and a verdict.
//!
//! Ways to carry the bytes ([`ways`]) run in turn, each run cut off after a limit. Where they run is the
//! venue: two hosts of the lab, the path to a listener ([`path`]), or, where there is no lab, virtual
//! time ([`virtual_time`]). What comes out is a [`Comparison`], which says what it shows.

mod path;
mod shot;
mod virtual_time;
mod ways;

use super::Stop;
use super::args::Compare;
use super::console::Console;
use super::destination::Destination;
use crate::base::text::{escape, show_error};
use crate::base::time::Duration;
use crate::base::units::{Rate, Share};
use crate::link::config::QueueSize;
use crate::link::{Bottleneck, LinkConfig};
use crate::net::{Impairment, Interrupt, tcp};
use crate::report::comparison::{Comparison, LinkUsed, Trial, Venue, json, table, verdict};
use crate::transfer::outcome::{Failure, Reason};
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

/// Where the runs take place.
enum Arena {
    Path(Box<path::Arena>),
    VirtualTime(Box<virtual_time::Arena>),
}

/// Runs the command.
///
/// # Errors
/// The words make no sense together, or nothing could be measured.
pub fn run(order: &Compare, interrupt: &Interrupt) -> Result<(), Stop> {
    let (load, host) = read_words(order)?;
    let console = Console::new(order.quiet);
    let size = load.size()?;
    let arena = match host {
        Some(destination) => {
            Arena::Path(Box::new(path::Arena::new(order, &load, destination, interrupt)?))
        }
        None => {
            let link = order.link.impairment_from(&usual())?;
            Arena::VirtualTime(Box::new(virtual_time::Arena::new(link, size, order.limit)))
        }
    };
    let mut comparison = Comparison {
        venue: arena.venue(),
        size,
        limit: order.limit,
        link: arena.link(),
        contenders: arena.ways(order).iter().map(Way::contender).collect(),
    };
    compete(&mut comparison, &arena, order, &console, interrupt)?;
    show(&comparison, order);
    let is_empty = comparison.contenders.iter().all(|contender| contender.goodput().is_none());
    if is_empty { Err(Stop::Told(Reason::Other)) } else { Ok(()) }
}

/// Every way once, then every way again: what changes on the machine meanwhile meets all alike.
fn compete(
    comparison: &mut Comparison,
    arena: &Arena,
    order: &Compare,
    console: &Console,
    interrupt: &Interrupt,
) -> Result<(), Stop> {
    let ways = arena.ways(order);
    let runs = ways.len() * order.repeat as usize;
    for round in 0..order.repeat {
        for (place, way) in ways.iter().enumerate() {
            let number = round as usize * ways.len() + place + 1;
            let label = format!("run {number} of {runs}: {}", way.name());
            let trial = arena.hold(way, round, &label, console, interrupt)?;
            comparison.contenders[place].trials.push(trial);
        }
    }
    Ok(())
}

fn show(comparison: &Comparison, order: &Compare) {
    let console = Console::plain();
    if order.json {
        console.print(&json::value(comparison).to_string());
        return;
    }
    console.print(&format!("{}\n{}", table::text(comparison), verdict::text(comparison)));
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
                let shown = escape(&path.to_string_lossy());
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
    fn venue(&self) -> Venue {
        match self {
            Self::Path(arena) => Venue::Path { host: arena.host() },
            Self::VirtualTime(_) => Venue::Simulation,
        }
    }

    fn link(&self) -> Option<LinkUsed> {
        let Impairment { out, back, seed } = match self {
            Self::Path(_) => return None,
            Self::VirtualTime(arena) => arena.link(),
        };
        Some(LinkUsed { out: out.clone(), back: back.clone(), seed: *seed })
    }

    fn ways(&self, order: &Compare) -> Vec<Way> {
        let tcp = match self {
            Self::Path(_) => tcp::congestion_controls(),
            Self::VirtualTime(_) => vec![ways::STAND_IN.to_owned()],
        };
        ways::all(order, tcp)
    }

    /// One run.
    fn hold(
        &self,
        way: &Way,
        round: u32,
        label: &str,
        console: &Console,
        interrupt: &Interrupt,
    ) -> Result<Trial, Stop> {
        match self {
            Self::Path(arena) => arena.hold(way, label, console, interrupt),
            Self::VirtualTime(arena) => Ok(arena.hold(way, round)),
        }
    }
}
