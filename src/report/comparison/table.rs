//! A comparison as a table for people.

use super::{Comparison, Contender, Ended, Trial, Venue};
use crate::base::units::{Rate, Share, show_duration, show_size};
use crate::link::LinkCounts;
use crate::report::summary::show_ways;

/// The columns beside the names: what stands above them, its unit, and how wide they are.
const COLUMNS: [(&str, &str, usize); 8] = [
    ("time", "s", 8),
    ("goodput", "Mbit/s", 9),
    ("formula", "Mbit/s", 9),
    ("of link", "%", 8),
    ("on wire", "MiB", 8),
    ("again", "%", 6),
    ("queue", "ms", 7),
    ("CPU", "s", 6),
];

/// What is compared, over what, and the table with what its columns mean.
#[must_use]
pub fn text(comparison: &Comparison) -> String {
    let mut text = heading(comparison);
    text += "\n\n";
    let names = comparison.contenders.iter().map(|each| each.name.chars().count());
    let width = names.max().unwrap_or(0);
    text += &row(width, "", COLUMNS.map(|(title, ..)| title.to_owned()));
    text += &row(width, "", COLUMNS.map(|(_, unit, _)| unit.to_owned()));
    for contender in &comparison.contenders {
        text += &row(width, &contender.name, cells(comparison, contender));
        if comparison.repeats() > 1
            && let Some((least, most)) = contender.spread()
        {
            text += &format!("  goodput from {least} to {most}\n");
        }
        if let Some(failure) = contender.failure() {
            text += &format!("  failed: {failure}\n");
        }
    }
    text.push('\n');
    text += &legend(comparison);
    text
}

fn heading(comparison: &Comparison) -> String {
    let size = show_size(comparison.size);
    let runs = match comparison.repeats() {
        0 | 1 => String::new(),
        runs => format!(", medians of {runs} runs each, in turn"),
    };
    let place = match &comparison.venue {
        Venue::Lab => "between two hosts of this machine's kernel, in real time".to_owned(),
        Venue::Path { host } => format!("to {host}"),
        Venue::Simulation => "in virtual time: a simulation, no kernel took part".to_owned(),
    };
    let limit = show_duration(comparison.limit);
    let mut text = format!("{size} {place}{runs}; a run is cut off after {limit}");
    if let Some(link) = &comparison.link {
        text += &format!("\nlink: {}", show_ways(&link.out, &link.back, link.seed));
    }
    text
}

fn row(width: usize, name: &str, cells: [String; 8]) -> String {
    let mut line = format!("{name:<width$}");
    for (cell, (.., width)) in cells.iter().zip(COLUMNS) {
        line += &format!("{cell:>width$}");
    }
    line.trim_end().to_owned() + "\n"
}

fn cells(comparison: &Comparison, contender: &Contender) -> [String; 8] {
    let median = |scale: f64, of: &dyn Fn(&Trial) -> Option<f64>| {
        contender.median(of).map_or_else(|| "-".into(), |value| number(value / scale))
    };
    let mbit = |rate: Option<Rate>| rate.map_or_else(|| "-".into(), |rate| number(in_mbit(rate)));
    let possible = comparison.possible().map(in_mbit);
    let wait = |[out, back]: [LinkCounts; 2]| (out.mean_wait() + back.mean_wait()).as_secs_f64();
    let wire = |[out, back]: [LinkCounts; 2]| (out.offered_bytes + back.offered_bytes) as f64;
    [
        time(contender),
        mbit(contender.goodput()),
        mbit(comparison.predict(contender).map(|response| response.rate)),
        median(0.01, &|trial| Some(in_mbit(trial.goodput()) / possible?)),
        median(1_048_576.0, &|trial| trial.link.map(wire)),
        median(0.01, &|trial| trial.repeated().map(Share::get)),
        median(1e-3, &|trial| trial.link.map(wait)),
        median(1.0, &|trial| trial.cpu.map(|span| span.as_secs_f64())),
    ]
}

fn time(contender: &Contender) -> String {
    let complete = |trial: &Trial| trial.ended == Ended::Complete;
    let seconds = contender.median(|trial| complete(trial).then_some(trial.elapsed.as_secs_f64()));
    match seconds {
        _ if contender.is_cut_off() => "cut off".into(),
        Some(seconds) => number(seconds),
        None => "failed".into(),
    }
}

fn in_mbit(rate: Rate) -> f64 {
    rate.bits_per_second() as f64 / 1e6
}

/// Three digits, or as many as stand before the point.
fn number(value: f64) -> String {
    let decimals = match value {
        ..10.0 => 2,
        10.0..100.0 => 1,
        _ => 0,
    };
    format!("{value:.decimals$}")
}

/// What the columns mean, as far as they say something.
fn legend(comparison: &Comparison) -> String {
    let mut text = String::from("goodput: file bytes at the receiver over the time of the run\n");
    if let Some(possible) = comparison.possible() {
        text += &format!(
            "of link: of the {possible} that a link of that rate and loss can carry, C (1-p) less headers\n"
        );
    }
    if comparison.link.is_some() {
        text += "on wire: IP packets both ways; again: of the sender's packets, those sent again; queue: \
                 the mean wait, both ways\n";
    }
    let mut formulas: Vec<(&str, Vec<&str>)> = Vec::new();
    for contender in &comparison.contenders {
        let Some(response) = comparison.predict(contender) else { continue };
        match formulas.iter_mut().find(|(formula, _)| *formula == response.formula) {
            Some((_, names)) => names.push(&contender.name),
            None => formulas.push((response.formula, vec![&contender.name])),
        }
    }
    for (formula, names) in formulas {
        text += &format!("formula of {}: {formula}\n", names.join(", "));
    }
    text += comparison.venue.repeats();
    text.push('\n');
    text
}

/// Two rates as a multiple that people can say.
pub(super) fn times(more: Rate, less: Rate) -> String {
    let factor = more.bits_per_second() as f64 / less.bits_per_second().max(1) as f64;
    match factor {
        0.0..1.95 => format!("{:.0} % faster than", (factor - 1.0) * 100.0),
        1.95..10.0 => format!("{factor:.1} times as fast as"),
        10.0..1000.0 => format!("{factor:.0} times as fast as"),
        _ => "more than 1000 times as fast as".into(),
    }
}
