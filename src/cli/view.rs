//! `volley simulate --ladder`, `--ladder-svg` and `--explain`: the beginning of one run, to be looked at.

use super::args::{Simulate, View};
use super::console::Console;
use super::{Stop, happening, ladder, terminal};
use crate::base::text::{escape, show_error};
use crate::base::time::Instant;
use crate::report::explain::{self, Narrator, Sentence};
use crate::report::ladder::Ladder;
use crate::sim::record::{Record, What};
use crate::sim::{self, Order};
use crate::transfer::outcome::{Failure, Reason};
use crate::transport::trace::TraceEvent;
use crate::wire::describe::{Kind, Packet};
use std::io;
use std::ops::ControlFlow;
use std::path::Path;

/// Records kept for each packet that is shown: enough for its fate and its acknowledgement.
const RECORDS_PER_PACKET: usize = 200;

/// Shows what was asked for.
///
/// # Errors
/// A file cannot be written.
pub fn show(asked: &Simulate, order: &Order, title: &str) -> Result<(), Stop> {
    let view = &asked.view;
    let excerpt = Excerpt::of(order, view.packets.into());
    let ladder = ladder::of(title, &excerpt.records, view.packets.into());
    if let Some(path) = &view.ladder_svg {
        write(path, &ladder)?;
    }
    let console = Console::plain();
    let columns = terminal::columns(io::stdout());
    if view.ladder {
        console.print(&ladder.text(columns).to_string());
    }
    if view.explain {
        let told = excerpt.explain(order);
        let head = explain::head(&ladder.title, columns);
        let lines = told.iter().flat_map(|sentence| sentence.lines(columns));
        let lines: Vec<String> = head.into_iter().chain(lines).collect();
        console.print(&lines.join("\n"));
    }
    Ok(())
}

impl View {
    /// The option that asks for a run to be looked at, if one does.
    #[must_use]
    pub fn option(&self) -> Option<&'static str> {
        let options = [
            ("--explain", self.explain),
            ("--ladder", self.ladder),
            ("--ladder-svg", self.ladder_svg.is_some()),
        ];
        options.into_iter().find(|(_, is_given)| *is_given).map(|(name, _)| name)
    }
}

fn write(path: &Path, ladder: &Ladder) -> Result<(), Failure> {
    std::fs::write(path, ladder.svg()).map_err(|error| {
        let path = escape(&path.to_string_lossy());
        Failure::new(Reason::Other, format!("cannot write {path}: {}", show_error(&error)))
    })
}

/// The beginning of a run: until its first DATA packets have arrived.
struct Excerpt {
    records: Vec<Record>,
    /// The number of the last DATA packet that belongs to it.
    last: u32,
}

impl Excerpt {
    fn of(order: &Order, packets: usize) -> Self {
        let mut excerpt = Self { records: Vec::new(), last: 0 };
        let (mut sent, mut end) = (0, Instant::ZERO);
        let _ = sim::watch(order, &mut |record| {
            let is_full = excerpt.records.len() >= RECORDS_PER_PACKET * packets;
            let is_over = sent >= packets && record.at > end;
            // One more DATA packet tells that there are more than those shown.
            if is_full || is_over && sent > packets {
                return ControlFlow::Break(());
            }
            let mut is_wanted = !is_over;
            if let What::Sent { packet, fate } = &record.what
                && is_data(packet)
            {
                sent += 1;
                is_wanted = true;
                if sent <= packets {
                    excerpt.last = packet.number;
                    end = end.max(fate.arrival().unwrap_or(record.at));
                }
            }
            if is_wanted {
                excerpt.records.push(record);
            }
            ControlFlow::Continue(())
        });
        excerpt
    }

    fn explain(&self, order: &Order) -> Vec<Sentence> {
        let mut narrator = Narrator::new(order.arq.strategy);
        let records = self.records.iter().filter(|record| self.has(record));
        let mut told: Vec<Sentence> = records
            .flat_map(happening::of_record)
            .flat_map(|happening| narrator.hear(&happening))
            .collect();
        told.extend(narrator.finish());
        told
    }

    /// Whether it is about no later DATA packet.
    fn has(&self, record: &Record) -> bool {
        match &record.what {
            What::Sent { packet, .. } | What::Received { packet, .. } => {
                !is_data(packet) || packet.number <= self.last
            }
            What::Noticed(TraceEvent::DataSent { number, .. }) => *number <= self.last.into(),
            _ => true,
        }
    }
}

fn is_data(packet: &Packet) -> bool {
    matches!(packet.kind, Kind::Data(_))
}
