//! `volley simulate --ladder`, `--ladder-svg` and `--explain`: the beginning of one run, to be looked at.

use super::args::{Simulate, View};
use super::player::{Pace, Player, Step};
use super::{Stop, files, happening, ladder, terminal};
use crate::base::time::Instant;
use crate::net::Interrupt;
use crate::report::explain::{self, Narrator, Sentence};
use crate::sim::record::{Record, What};
use crate::sim::{self, Order};
use crate::transport::trace::TraceEvent;
use crate::wire::describe::{Kind, Packet};
use std::io;
use std::ops::ControlFlow;

/// Records kept for each packet that is shown: enough for its fate and its acknowledgement.
const RECORDS_PER_PACKET: usize = 200;

/// Shows what was asked for.
///
/// # Errors
/// The options make no sense together, a file cannot be written, or it was interrupted.
pub fn show(
    asked: &Simulate,
    order: &Order,
    title: &str,
    interrupt: &Interrupt,
) -> Result<(), Stop> {
    let view = &asked.view;
    let excerpt = Excerpt::of(order, view.packets.into());
    let ladder = ladder::of(title, &excerpt.records, view.packets.into());
    if let Some(path) = &view.ladder_svg {
        files::write(path, ladder.svg().as_bytes())?;
    }
    if !(view.ladder || view.explain) {
        return Ok(());
    }
    let pace = Pace { by_key: view.step, slowdown: view.slow };
    let mut player = Player::new(pace, interrupt)?;
    let columns = terminal::columns(io::stdout());
    if view.ladder {
        let drawing = ladder.text(columns);
        let steps = drawing.steps.into_iter().map(|step| (step.at, step.lines));
        let has_enough = player.play(&drawing.head, &steps.collect::<Vec<Step>>())?;
        if has_enough || !view.explain {
            return Ok(());
        }
    }
    let head = match view.ladder {
        true => vec![String::new()],
        false => explain::head(&ladder.title, columns),
    };
    let told = excerpt.explain(order);
    let steps = told.iter().map(|sentence| (sentence.at, sentence.lines(columns)));
    player.play(&head, &steps.collect::<Vec<Step>>())?;
    Ok(())
}

impl View {
    /// Looks for options that make no sense together.
    ///
    /// # Errors
    /// There are some.
    pub fn check(&self) -> Result<(), Stop> {
        let is_paced = self.step || self.slow.is_some();
        if !is_paced || self.ladder || self.explain {
            return Ok(());
        }
        let option = if self.step { "--step" } else { "--slow" };
        let text = format!("{option} goes with --ladder or --explain; add one of them");
        Err(Stop::Usage(text))
    }

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
