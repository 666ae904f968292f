//! `volley simulate`: the product's own connections over two links, in virtual time.

use super::args::{STRATEGIES, Simulate};
use super::console::Console;
use super::{Stop, ladder};
use crate::base::text::{escape, show_error};
use crate::base::time::Duration;
use crate::base::units::{Rate, Share, show_duration, show_size};
use crate::link::{Bottleneck, LinkConfig};
use crate::net::Impairment;
use crate::report::summary::show_ways;
use crate::sim::theory::{Prediction, predict};
use crate::sim::{self, FlowOutcome, Order, Outcome};
use crate::transfer::outcome::{Failure, Reason};
use crate::transport::arq::{ArqConfig, Strategy};
use serde_json::{Value, json};

/// A run that takes longer than this in virtual time is given up.
const LIMIT: Duration = Duration::from_secs(1_000_000);

/// Events recorded for each packet that a ladder shows: enough for its fate and its acknowledgement.
const RECORDS_PER_PACKET: usize = 40;

/// Several runs of one strategy, each with its own seed.
struct Row {
    strategy: Strategy,
    order: Order,
    outcomes: Vec<Outcome>,
}

/// Runs the command.
///
/// # Errors
/// The options make no sense together, or a transfer does not come to an end.
pub fn run(order: &Simulate) -> Result<(), Stop> {
    let impairment = order.link.impairment_from(&usual())?;
    if order.ladder || order.ladder_svg.is_some() {
        return draw(order, &impairment);
    }
    let rows: Vec<Row> =
        order.arq.iter().map(|strategy| simulate(order, &impairment, *strategy)).collect();
    let console = Console::plain();
    if order.json {
        let rows: Vec<Value> = rows.iter().map(Row::json).collect();
        let seed = impairment.seed;
        console.print(&json!({ "seed": seed, "size": order.size, "runs": rows }).to_string());
    } else {
        console.print(&table(order, &impairment, &rows));
    }
    if rows.iter().flat_map(|row| &row.outcomes).any(|outcome| outcome.elapsed().is_none()) {
        let text = "a transfer did not come to an end; the link takes too much";
        return Err(Failure::new(Reason::Other, text).into());
    }
    Ok(())
}

/// The link unless something else is asked for: slow and far enough for a window to matter.
fn usual() -> LinkConfig {
    let delay = Duration::from_millis(25);
    let rate = Rate::from_bits_per_second(10_000_000);
    let queue = crate::link::config::QueueSize::DEFAULT.bytes(rate, 2 * delay);
    LinkConfig {
        loss: Share::new(0.02),
        delay,
        bottleneck: Some(Bottleneck { rate, queue }),
        ..LinkConfig::default()
    }
}

/// Draws the beginning of one run.
fn draw(asked: &Simulate, impairment: &Impairment) -> Result<(), Stop> {
    let [strategy] = asked.arq[..] else {
        let text = "a ladder shows one strategy; add --arq with one name, such as --arq go-back-n";
        return Err(Stop::Usage(text.into()));
    };
    let mut order = order(asked, impairment, strategy);
    order.records = RECORDS_PER_PACKET * usize::from(asked.packets);
    let outcome = sim::run(&order);
    let Impairment { out, back, seed } = impairment;
    let title = format!("{}; link: {}", name(strategy), show_ways(out, back, *seed));
    let ladder = ladder::of(&title, &outcome.records, asked.packets.into());
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

/// Columns for a diagram: those of the terminal, within reason, so that a file is the same everywhere.
fn terminal_width() -> usize {
    let size = rustix::termios::tcgetwinsize(std::io::stdout());
    size.map_or(80, |size| usize::from(size.ws_col).clamp(60, 120))
}

fn name(strategy: Strategy) -> &'static str {
    STRATEGIES.iter().find(|(_, known)| *known == strategy).map_or("", |(name, _)| name)
}

fn simulate(asked: &Simulate, impairment: &Impairment, strategy: Strategy) -> Row {
    let order = order(asked, impairment, strategy);
    let seeds = (0..asked.repeat).map(|run| impairment.seed.wrapping_add(run));
    let outcomes = seeds.map(|seed| sim::run(&Order { seed, ..order.clone() })).collect();
    Row { strategy, order, outcomes }
}

fn order(asked: &Simulate, impairment: &Impairment, strategy: Strategy) -> Order {
    let mut order = Order {
        congestion: asked.cc,
        arq: ArqConfig {
            strategy,
            window: asked.window.unwrap_or(ArqConfig::WINDOW),
            timeout: asked.timeout,
            ..ArqConfig::default()
        },
        size: asked.size,
        flows: asked.flows,
        out: impairment.out.clone(),
        back: impairment.back.clone(),
        seed: impairment.seed,
        records: 0,
        limit: LIMIT,
    };
    order.follow_textbook();
    order
}

impl Row {
    /// The middle one of what each run says; nothing unless all say something.
    fn median(&self, of: impl Fn(&Outcome) -> Option<f64>) -> Option<f64> {
        let values: Option<Vec<f64>> = self.outcomes.iter().map(of).collect();
        let mut values = values?;
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    }

    fn seconds(&self) -> Option<f64> {
        self.median(|outcome| outcome.elapsed().map(|elapsed| elapsed.as_secs_f64()))
    }

    fn efficiency(&self) -> Option<f64> {
        self.median(|outcome| outcome.efficiency(&self.order).map(Share::get))
    }

    /// DATA packets sent again, for each one that brought something new.
    fn again(&self) -> Option<f64> {
        self.median(|outcome| {
            let sum = |of: fn(&FlowOutcome) -> u64| outcome.flows.iter().map(of).sum::<u64>();
            let (again, fresh) =
                (sum(|flow| flow.stats.retransmissions), sum(|flow| flow.fresh_packets));
            (fresh > 0).then(|| again as f64 / fresh as f64)
        })
    }

    /// File bytes of all flows over the time of the slowest one.
    fn goodput(&self) -> Option<Rate> {
        let bytes = self.order.size * self.order.flows as u64;
        self.seconds().map(|seconds| Rate::of(bytes, Duration::from_secs_f64(seconds)))
    }

    fn prediction(&self) -> Option<(Prediction, f64)> {
        let prediction = predict(&self.order)?;
        let deviation = self.efficiency()? / prediction.efficiency - 1.0;
        Some((prediction, deviation))
    }

    fn json(&self) -> Value {
        json!({
            "strategy": name(self.strategy),
            "seconds": self.seconds(),
            "goodput_bits_per_second": self.goodput().map(Rate::bits_per_second),
            "efficiency": self.efficiency(),
            "retransmissions_per_packet": self.again(),
            "textbook": self.prediction().map(|(prediction, deviation)| json!({
                "efficiency": prediction.efficiency,
                "formula": prediction.formula,
                "deviation": deviation,
            })),
        })
    }

    fn line(&self) -> String {
        let percent = |share: Option<f64>| {
            share.map_or_else(|| "-".into(), |share| format!("{:.2} %", share * 100.0))
        };
        let time = self.seconds().map(|seconds| show_duration(Duration::from_secs_f64(seconds)));
        let textbook = self.prediction();
        let predicted = textbook.as_ref().map(|(prediction, _)| prediction.efficiency);
        let deviation = textbook.map(|(_, deviation)| deviation);
        let deviation =
            deviation.map_or_else(|| "-".into(), |share| format!("{:+.2} %", share * 100.0));
        format!(
            "{:<17} {:>12} {:>13} {:>11} {:>11} {:>10} {:>10}",
            name(self.strategy),
            time.unwrap_or_else(|| "no end".into()),
            self.goodput().map_or_else(|| "-".into(), |rate| rate.to_string()),
            percent(self.efficiency()),
            percent(self.again()),
            percent(predicted),
            deviation,
        )
    }
}

fn table(order: &Simulate, impairment: &Impairment, rows: &[Row]) -> String {
    let Impairment { out, back, seed } = impairment;
    let flows = match order.flows {
        1 => String::new(),
        flows => format!(" in each of {flows} transfers side by side"),
    };
    let runs = match order.repeat {
        1 => String::new(),
        runs => format!(", medians of {runs} runs with seeds from there on"),
    };
    let mut text = format!(
        "{}{flows}, in virtual time{runs}\nlink: {}\n\n{:<17} {:>12} {:>13} {:>11} {:>11} {:>10} \
         {:>10}\n",
        show_size(order.size),
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
        text += &row.line();
        text.push('\n');
    }
    text += "\nefficiency: the share of the line's time that carries something new\n";
    for row in rows {
        if let Some((prediction, _)) = row.prediction() {
            let (frame, cycle) = sim::theory::Path::of(&row.order).times();
            text += &format!(
                "{}: {}; a frame takes {}, C is {:.2} frames\n",
                name(row.strategy),
                prediction.formula,
                show_duration(frame),
                cycle
            );
        }
    }
    text.trim_end().to_owned()
}
