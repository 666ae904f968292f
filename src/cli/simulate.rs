//! `volley simulate`: the product's own connections over two links, in virtual time.

use super::args::Simulate;
use super::console::Console;
use super::report::{self, Target, simulated};
use super::rows::{self, Row, contenders};
use super::{Stop, ladder, sweep};
use crate::base::text::{escape, show_error};
use crate::base::time::Duration;
use crate::base::units::{Rate, Share, show_duration, show_size};
use crate::link::LinkConfig;
use crate::net::{Impairment, Interrupt};
use crate::report::run::{Report, Run};
use crate::report::summary::show_ways;
use crate::sim;
use crate::sim::theory::Prediction;
use crate::transfer::outcome::{Failure, Reason};
use serde_json::{Value, json};
use std::ops::ControlFlow;

/// Events recorded for each packet that a ladder shows: enough for its fate and its acknowledgement.
const RECORDS_PER_PACKET: usize = 40;

/// Runs the command.
///
/// # Errors
/// The options make no sense together, or a transfer does not come to an end.
pub fn run(order: &Simulate, interrupt: &Interrupt) -> Result<(), Stop> {
    if let Some(asked) = &order.sweep {
        return sweep::run(order, asked, interrupt);
    }
    if order.plot.is_some() || order.csv {
        let option = if order.csv { "--csv" } else { "--plot" };
        let text = format!("{option} shows a sweep; add one, such as --sweep loss=0%..30%:5%");
        return Err(Stop::Usage(text));
    }
    let impairment = link(order)?;
    if order.ladder || order.ladder_svg.is_some() {
        return draw(order, &impairment);
    }
    let target = order.report.file.as_deref().map(Target::new).transpose()?;
    let orders = contenders(order).into_iter().map(|contender| {
        let order = rows::order(order, &impairment, &contender);
        (contender, order)
    });
    let rows = rows::run(orders.collect(), order.repeat, interrupt)?;
    let console = Console::plain();
    if let Some(target) = target {
        target.write(&report(order, &impairment, &rows))?;
        console.say(&format!("report: {}", target.name()));
    }
    if order.json {
        let rows: Vec<Value> = rows.iter().map(Row::json).collect();
        let seed = impairment.seed;
        console.print(&json!({ "seed": seed, "size": order.size, "runs": rows }).to_string());
    } else {
        console.print(&table(order, &impairment, &rows));
    }
    Ok(rows::check_ends(&rows)?)
}

/// The first run of each row again, watched: the same seed makes the same run.
fn report(order: &Simulate, impairment: &Impairment, rows: &[Row]) -> Report {
    let bounds = Report::bounds(rows.len() * order.flows);
    let watched = rows.iter().flat_map(|row| {
        let (_, mut runs) = simulated::run(&row.order, &row.contender.name, bounds);
        annotate(row, &mut runs);
        runs
    });
    let Impairment { out, back, seed } = impairment;
    let (size, ways) = (show_size(order.size), show_ways(out, back, *seed));
    Report {
        title: format!("{size} simulated over {ways}"),
        command: report::again(Some(*seed)),
        repeats: format!("Time is virtual: seed {seed} repeats these runs to the last event."),
        verdict: Vec::new(),
        runs: watched.collect(),
    }
}

/// Says beside watched runs what the textbook says, and whether there were others.
fn annotate(row: &Row, runs: &mut [Run]) {
    let Some(first) = runs.first_mut() else { return };
    if let Some((Prediction { efficiency, formula }, deviation)) = row.prediction() {
        let (efficiency, deviation) = (Share::new(efficiency), deviation * 100.0);
        first.notes.push(format!(
            "The textbook predicts that {efficiency} of the line's time carries something new \
             ({formula}); it was {deviation:+.2} % off."
        ));
    }
    if let more @ 2.. = row.runs() {
        first.notes.push(format!("The first of {more} runs; each had the next seed."));
    }
}

/// The link: slow and far enough for a window to matter, where nothing else is asked for.
///
/// # Errors
/// The options make no sense together.
pub fn link(asked: &Simulate) -> Result<Impairment, Stop> {
    let usual = LinkConfig {
        loss: Share::new(0.02),
        delay: Duration::from_millis(25),
        ..LinkConfig::default()
    };
    let mut link = asked.link.clone();
    if link.link.is_none() {
        // As an option, so that the queue follows from the delays that there will be.
        link.way.rate.get_or_insert(Rate::from_bits_per_second(10_000_000));
    }
    link.impairment_from(&usual)
}

/// Draws the beginning of one run.
fn draw(asked: &Simulate, impairment: &Impairment) -> Result<(), Stop> {
    let [contender] = &contenders(asked)[..] else {
        let text = "a ladder shows one strategy; add --arq with one name, such as --arq go-back-n";
        return Err(Stop::Usage(text.into()));
    };
    let order = rows::order(asked, impairment, contender);
    let most = RECORDS_PER_PACKET * usize::from(asked.packets);
    let mut records = Vec::new();
    let _ = sim::watch(&order, &mut |record| {
        records.push(record);
        if records.len() < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    let Impairment { out, back, seed } = impairment;
    let title = format!("{}; link: {}", contender.name, show_ways(out, back, *seed));
    let ladder = ladder::of(&title, &records, asked.packets.into());
    if let Some(path) = &asked.ladder_svg {
        std::fs::write(path, ladder.svg()).map_err(|error| {
            let path = escape(&path.to_string_lossy());
            Failure::new(Reason::Other, format!("cannot write {path}: {}", show_error(&error)))
        })?;
    }
    if asked.ladder {
        Console::plain().print(&ladder.text(terminal_width()).to_string());
    }
    Ok(())
}

/// Columns for what is drawn with letters: those of the terminal, within reason, so that a file is the same everywhere.
pub(super) fn terminal_width() -> usize {
    let size = rustix::termios::tcgetwinsize(std::io::stdout());
    size.map_or(80, |size| usize::from(size.ws_col).clamp(60, 120))
}

fn line(row: &Row, width: usize) -> String {
    let percent = |share: Option<f64>| {
        share.map_or_else(|| "-".into(), |share| format!("{:.2} %", share * 100.0))
    };
    let time = row.seconds().map(|seconds| Duration::from_secs_f64(seconds.median));
    let textbook = row.prediction();
    let predicted = textbook.as_ref().map(|(prediction, _)| prediction.efficiency);
    let deviation = textbook.map(|(_, deviation)| format!("{:+.2} %", deviation * 100.0));
    format!(
        "{:<width$} {:>12} {:>13} {:>11} {:>11} {:>10} {:>10}",
        row.contender.name,
        time.map_or_else(|| "no end".into(), show_duration),
        row.goodput().map_or_else(|| "-".into(), |goodput| goodput.median.to_string()),
        percent(row.efficiency().map(|efficiency| efficiency.median)),
        percent(row.again()),
        percent(predicted),
        deviation.unwrap_or_else(|| "-".into()),
    )
}

fn table(order: &Simulate, impairment: &Impairment, rows: &[Row]) -> String {
    let Impairment { out, back, seed } = impairment;
    let width = rows.iter().map(|row| row.contender.name.len()).max().unwrap_or(0).max(17);
    let mut text = format!(
        "{}\nlink: {}\n\n{:<width$} {:>12} {:>13} {:>11} {:>11} {:>10} {:>10}\n",
        rows::show_load(order),
        show_ways(out, back, *seed),
        "strategy",
        "time",
        "goodput",
        "efficiency",
        "sent again",
        "textbook",
        "deviation",
    );
    for row in rows {
        text += &line(row, width);
        text.push('\n');
    }
    text += "\nefficiency: the share of the line's time that carries something new\n";
    for row in rows {
        if let Some(formula) = row.formula() {
            text += &format!("{formula}; {}\n", row.show_times());
        }
    }
    text.trim_end().to_owned()
}
