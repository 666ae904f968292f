//! `volley simulate`: the product's own connections over two links, in virtual time.

use super::args::{Simulate, strategy_name};
use super::complaint::conflict;
use super::console::Console;
use super::report::{self, Target, simulated};
use super::rows::{self, Contender, Row, contenders};
use super::{Stop, sweep, trace, view};
use crate::base::time::Duration;
use crate::base::units::{Rate, Share, show_duration, show_size};
use crate::link::LinkConfig;
use crate::net::{Impairment, Interrupt};
use crate::report::run::{Report, Run};
use crate::report::summary::show_ways;
use crate::report::trace::Settings;
use crate::sim::Order;
use crate::sim::theory::Prediction;
use crate::transfer::outcome::Failure;
use crate::transport::arq::Strategy;
use serde_json::{Value, json};
use std::path::Path;

/// Runs the command.
///
/// # Errors
/// The options make no sense together, or a transfer does not come to an end.
pub fn run(order: &Simulate, interrupt: &Interrupt) -> Result<(), Stop> {
    check(order)?;
    if let Some(asked) = &order.sweep {
        return sweep::run(order, asked, interrupt);
    }
    let impairment = link(order)?;
    let is_looked_at = order.view.option().is_some();
    let target = order.report.file.as_deref().map(Target::new).transpose()?;
    if is_looked_at {
        look(order, &impairment, interrupt)?;
    }
    let rows = match &order.trace {
        Some(path) => trace_run(order, &impairment, path, interrupt)?.into_iter().collect(),
        None if is_looked_at => return Ok(()),
        None => {
            let contenders = contenders(order).into_iter();
            let orders = contenders.map(|contender| {
                let order = rows::order(order, &impairment, &contender);
                (contender, order)
            });
            rows::run(orders.collect(), order.repeat, interrupt)?
        }
    };
    if let Some(target) = target.filter(|_| !rows.is_empty()) {
        target.write(&report(order, &impairment, &rows, interrupt)?)?;
        Console::plain().say(&format!("report: {}", target.name()));
    }
    if !is_looked_at && !rows.is_empty() {
        print(order, &impairment, &rows)?;
    }
    Ok(rows::check_ends(&rows)?)
}

/// Looks for options that make no sense together.
fn check(asked: &Simulate) -> Result<(), Stop> {
    let view = asked.view.option();
    let shows_one = view.or(asked.trace.is_some().then_some("--trace"));
    let many = [("--sweep", asked.sweep.is_some()), ("--repeat", asked.repeat > 1)];
    let others = [
        ("--json", asked.json),
        ("--flows", asked.flows > 1),
        ("--report", asked.report.file.is_some()),
    ];
    let given = |options: &[(&'static str, bool)]| {
        options.iter().find(|(_, is_given)| *is_given).map(|(name, _)| *name)
    };
    if let Some((option, other)) = shows_one.zip(given(&many)) {
        let text = format!("{option} shows one run and {other} makes many; leave one of them away");
        return Err(Stop::Usage(text));
    }
    if let Some((option, other)) = view.zip(given(&others)) {
        return Err(Stop::Usage(conflict(option, other)));
    }
    asked.view.check()?;
    let swept = given(&[("--csv", asked.csv), ("--plot", asked.plot.is_some())]);
    if let Some(option) = swept.filter(|_| asked.sweep.is_none()) {
        let text = format!("{option} shows a sweep; add one, such as --sweep loss=0%..30%:5%");
        return Err(Stop::Usage(text));
    }
    Ok(())
}

fn print(order: &Simulate, impairment: &Impairment, rows: &[Row]) -> Result<(), Failure> {
    let console = Console::plain();
    let text = if order.json {
        let rows: Vec<Value> = rows.iter().map(Row::json).collect();
        let seed = impairment.seed;
        json!({ "seed": seed, "size": order.size, "runs": rows }).to_string()
    } else {
        table(order, impairment, rows)
    };
    if order.trace.as_deref().is_some_and(trace::is_stdout) {
        console.say(&text);
        return Ok(());
    }
    console.print(&text)
}

/// The first run of each row again, watched: the same seed makes the same run.
fn report(
    order: &Simulate,
    impairment: &Impairment,
    rows: &[Row],
    interrupt: &Interrupt,
) -> Result<Report, Failure> {
    let bounds = Report::bounds(rows.len() * order.flows);
    let mut watched = Vec::new();
    for row in rows {
        let name = &row.contender.name;
        let (_, mut runs) = simulated::run(&row.order, name, bounds, interrupt)?;
        annotate(row, &mut runs);
        watched.extend(runs);
    }
    let Impairment { out, back, seed } = impairment;
    let (size, ways) = (show_size(order.size), show_ways(out, back, *seed));
    Ok(Report {
        title: format!("{size} simulated over {ways}"),
        command: report::again(Some(*seed)),
        repeats: format!("Time is virtual: seed {seed} repeats these runs to the last event."),
        verdict: Vec::new(),
        runs: watched,
    })
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

/// The one run that is looked at or traced.
fn one_run(
    asked: &Simulate,
    impairment: &Impairment,
    option: &str,
) -> Result<(Contender, Order), Stop> {
    let mut contenders = contenders(asked);
    let text = match &asked.arq[..] {
        [_] if contenders.len() == 1 => {
            let contender = contenders.remove(0);
            let order = rows::order(asked, impairment, &contender);
            return Ok((contender, order));
        }
        [_] => format!("{option} shows one run; give --cc one value"),
        _ => {
            format!("{option} shows one strategy; add --arq with one name, such as --arq go-back-n")
        }
    };
    Err(Stop::Usage(text))
}

/// Draws or tells the beginning of a run.
fn look(asked: &Simulate, impairment: &Impairment, interrupt: &Interrupt) -> Result<(), Stop> {
    let option = asked.view.option().unwrap_or_default();
    let (contender, order) = one_run(asked, impairment, option)?;
    let Impairment { out, back, seed } = impairment;
    let title = format!("{}; link: {}", contender.name, show_ways(out, back, *seed));
    view::show(asked, &order, &title, interrupt)
}

/// Writes every event of a run.
fn trace_run(
    asked: &Simulate,
    impairment: &Impairment,
    path: &Path,
    interrupt: &Interrupt,
) -> Result<Option<Row>, Stop> {
    let (contender, order) = one_run(asked, impairment, "--trace")?;
    let is_classic = contender.strategy != Strategy::Volley;
    let settings = Settings {
        strategy: strategy_name(contender.strategy),
        window: is_classic.then_some(order.arq.window),
        timeout: order.arq.timeout.filter(|_| is_classic),
        congestion: order.congestion,
        size: order.size,
        flows: order.flows,
        seed: order.seed,
        ways: [&order.out, &order.back],
    };
    let outcome = trace::write(path, &order, &settings, interrupt)?;
    Ok(outcome.map(|outcome| Row { contender, order, outcomes: vec![outcome] }))
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
