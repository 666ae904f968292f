//! `volley simulate --sweep`: the same runs at each value of one setting, as a table, as comma-separated
//! values, as an object and as a plot.

mod picture;
mod table;

use super::Stop;
use super::args::Simulate;
use super::args::sweep::{BILLION, Parameter, Sweep};
use super::console::Console;
use super::files;
use super::rows::{self, Row, contenders};
use super::simulate::link;
use crate::base::time::Duration;
use crate::base::units::{Share, show_size};
use crate::link::LinkConfig;
use crate::net::{Impairment, Interrupt};
use crate::transport::arq::Strategy;
use serde_json::{Value, json};

/// A sweep that has run.
struct Swept<'a> {
    asked: Simulate,
    sweep: &'a Sweep,
    points: Vec<Sample>,
    unit: Unit,
}

/// One value and its rows.
struct Sample {
    value: u64,
    impairment: Impairment,
    rows: Vec<Row>,
}

/// What values are shown in.
#[derive(Clone, Copy)]
struct Unit {
    name: &'static str,
    /// Smallest units in one of these.
    size: f64,
}

/// Runs the sweep and shows it.
///
/// # Errors
/// The options make no sense together, a file cannot be written, or a transfer does not come to an end.
pub fn run(asked: &Simulate, sweep: &Sweep, interrupt: &Interrupt) -> Result<(), Stop> {
    check(asked, sweep)?;
    let swept = Swept::run(asked, sweep, interrupt)?;
    if let Some(path) = &asked.plot {
        files::write(path, swept.plot().svg().as_bytes())?;
    }
    let console = Console::plain();
    let text = match (asked.json, asked.csv) {
        (true, _) => swept.json().to_string(),
        (false, true) => swept.csv(),
        (false, false) => swept.table(),
    };
    console.print(text.trim_end())?;
    Ok(rows::check_ends(swept.rows())?)
}

fn check(asked: &Simulate, sweep: &Sweep) -> Result<(), Stop> {
    let name = sweep.parameter.name();
    if sweep.parameter.is_set(asked) {
        let text = format!("--sweep {name}=... says what --{name} is; leave --{name} away");
        return Err(Stop::Usage(text));
    }
    let has = |wanted: &[Strategy]| asked.arq.iter().any(|strategy| wanted.contains(strategy));
    let windowed = [Strategy::GoBackN, Strategy::SelectiveRepeat];
    if sweep.parameter == Parameter::Window && !has(&windowed) {
        let text = "only go-back-n and selective-repeat have a window of frames; add one of them \
                    with --arq";
        return Err(Stop::Usage(text.into()));
    }
    let timed = [Strategy::StopAndWait, windowed[0], windowed[1]];
    if sweep.parameter == Parameter::Timeout && !has(&timed) {
        let text = "only the textbook's strategies have a timeout of their own; add one of them \
                    with --arq";
        return Err(Stop::Usage(text.into()));
    }
    Ok(())
}

impl<'a> Swept<'a> {
    fn run(asked: &Simulate, sweep: &'a Sweep, interrupt: &Interrupt) -> Result<Self, Stop> {
        let mut asked = asked.clone();
        // One draw for all points, if no seed is given.
        asked.link.seed = Some(link(&asked)?.seed);
        let unit = Unit::of(sweep);
        let mut swept = Self { asked, sweep, points: Vec::new(), unit };
        let mut orders = Vec::new();
        for value in &sweep.values {
            let (asked, impairment) = swept.at(*value)?;
            for contender in contenders(&asked) {
                let order = rows::order(&asked, &impairment, &contender);
                orders.push((contender, order));
            }
            swept.points.push(Sample { value: *value, impairment, rows: Vec::new() });
        }
        let mut rows = rows::run(orders, swept.asked.repeat, interrupt)?.into_iter();
        let width = rows.len() / swept.points.len();
        for point in &mut swept.points {
            point.rows.extend(rows.by_ref().take(width));
        }
        Ok(swept)
    }

    /// What is asked for, and over which link, at a value.
    fn at(&self, value: u64) -> Result<(Simulate, Impairment), Stop> {
        let mut asked = self.asked.clone();
        self.sweep.parameter.set(value, &mut asked);
        let impairment = link(&asked)?;
        Ok((asked, impairment))
    }

    fn rows(&self) -> impl Iterator<Item = &Row> {
        self.points.iter().flat_map(|point| &point.rows)
    }

    fn json(&self) -> Value {
        let key = self.sweep.parameter.key();
        let run = |point: &Sample, row: &Row| {
            let mut run = row.json();
            run[key] = self.sweep.parameter.for_programs(point.value);
            run
        };
        let runs =
            self.points.iter().flat_map(|point| point.rows.iter().map(|row| run(point, row)));
        json!({
            "seed": self.asked.link.seed,
            "size": self.asked.size,
            "repeat": self.asked.repeat,
            "sweep": key,
            "runs": runs.collect::<Vec<Value>>(),
        })
    }

    /// A line for each point and row: what the object says, without formulas.
    fn csv(&self) -> String {
        const COLUMNS: [&str; 10] = [
            "strategy",
            "congestion_control",
            "seconds",
            "goodput_bits_per_second",
            "goodput_bits_per_second_least",
            "goodput_bits_per_second_most",
            "efficiency",
            "efficiency_least",
            "efficiency_most",
            "retransmissions_per_packet",
        ];
        let report = self.json();
        let key = self.sweep.parameter.key();
        let mut text =
            format!("{key},{},textbook_efficiency,deviation,seed,repeat\n", COLUMNS.join(","));
        for run in report["runs"].as_array().into_iter().flatten() {
            let textbook = ["efficiency", "deviation"].map(|key| &run["textbook"][key]);
            let fields = std::iter::once(&run[key])
                .chain(COLUMNS.iter().map(|column| &run[column]))
                .chain(textbook)
                .chain([&report["seed"], &report["repeat"]]);
            let fields: Vec<String> = fields.map(field).collect();
            text += &fields.join(",");
            text.push('\n');
        }
        text
    }

    /// The link, without what is varied.
    fn show_link(&self) -> String {
        let ends = [&self.points[0], &self.points[self.points.len() - 1]];
        let [first, last] = ends.map(|point| &point.impairment);
        let out = show_constant(&first.out, &last.out);
        let back = show_constant(&first.back, &last.back);
        let seed = first.seed;
        if out == back {
            format!("{out} each way, seed {seed}")
        } else {
            format!("{out} out; {back} back; seed {seed}")
        }
    }
}

/// One direction of a link without what differs between the two; a queue that follows from it has two sizes.
fn show_constant(first: &LinkConfig, last: &LinkConfig) -> String {
    let mut same = first.clone();
    if first.loss != last.loss {
        same.loss = Share::ZERO;
    }
    if first.delay != last.delay {
        same.delay = Duration::ZERO;
    }
    if first.bottleneck == last.bottleneck {
        return same.to_string();
    }
    same.bottleneck = None;
    let mut facts = vec![same.to_string()];
    facts.retain(|fact| fact != "nothing");
    if let (Some(first), Some(last)) = (first.bottleneck, last.bottleneck) {
        facts.extend((first.rate == last.rate).then(|| first.rate.to_string()));
        let queues = [first.queue, last.queue].map(show_size);
        facts.push(if queues[0] == queues[1] {
            format!("a queue of {}", queues[0])
        } else {
            format!("a queue of {}", queues.join(" to "))
        });
    }
    facts.join(", ")
}

impl Unit {
    fn of(sweep: &Sweep) -> Self {
        let most = sweep.values.last().copied().unwrap_or(0);
        match sweep.parameter {
            Parameter::Loss => Self { name: "%", size: BILLION / 100.0 },
            Parameter::Rate => Self::of_rate(most),
            Parameter::Window => Self { name: "frames", size: 1.0 },
            Parameter::Delay | Parameter::Timeout => match most {
                0..1_000_000 => Self { name: "us", size: 1e3 },
                1_000_000..10_000_000_000 => Self { name: "ms", size: 1e6 },
                _ => Self { name: "s", size: 1e9 },
            },
        }
    }

    fn of_rate(most: u64) -> Self {
        match most {
            0..1_000_000 => Self { name: "kbit/s", size: 1e3 },
            1_000_000..10_000_000_000 => Self { name: "Mbit/s", size: 1e6 },
            _ => Self { name: "Gbit/s", size: 1e9 },
        }
    }

    fn show(self, value: u64) -> String {
        significant(value as f64 / self.size)
    }
}

impl Parameter {
    /// What its value is called for programs.
    fn key(self) -> &'static str {
        match self {
            Self::Delay => "delay_seconds",
            Self::Loss => "loss",
            Self::Rate => "rate_bits_per_second",
            Self::Timeout => "timeout_seconds",
            Self::Window => "window_frames",
        }
    }

    fn for_programs(self, value: u64) -> Value {
        match self {
            Self::Delay | Self::Timeout => Duration::from_nanos(value).as_secs_f64().into(),
            Self::Loss => (value as f64 / BILLION).into(),
            Self::Rate | Self::Window => value.into(),
        }
    }
}

/// Three digits or more, without zeros at the end.
fn significant(value: f64) -> String {
    let text = format!("{value:.*}", decimals(value));
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// Digits after the point so that there are three in all.
fn decimals(value: f64) -> usize {
    match value {
        0.0..0.1 => 4,
        0.1..1.0 => 3,
        1.0..10.0 => 2,
        10.0..100.0 => 1,
        _ => 0,
    }
}

/// A value between commas.
fn field(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::Bottleneck;

    #[test]
    fn what_is_varied_is_no_property_of_the_link() {
        let way = |loss, ms, mbit: u64, queue| LinkConfig {
            loss: Share::new(loss),
            delay: Duration::from_millis(ms),
            bottleneck: (mbit > 0).then(|| Bottleneck {
                rate: crate::base::units::Rate::from_bits_per_second(mbit * 1_000_000),
                queue,
            }),
            ..LinkConfig::default()
        };
        for (first, last, shown) in [
            (
                way(0.1, 5, 8, 2048),
                way(0.2, 5, 8, 2048),
                "5 ms delay, 8 Mbit/s with a queue of 2 KiB",
            ),
            (
                way(0.1, 5, 8, 2048),
                way(0.1, 9, 8, 4096),
                "10 % loss, 8 Mbit/s, a queue of 2 KiB to 4 KiB",
            ),
            (way(0.1, 5, 8, 2048), way(0.1, 5, 9, 2048), "10 % loss, 5 ms delay, a queue of 2 KiB"),
            (way(0.1, 5, 0, 0), way(0.2, 5, 0, 0), "5 ms delay"),
            (
                way(0.0, 5, 8, 2048),
                way(0.0, 5, 8, 2048),
                "5 ms delay, 8 Mbit/s with a queue of 2 KiB",
            ),
        ] {
            assert_eq!(show_constant(&first, &last), shown);
        }
    }

    #[test]
    fn values_are_shown_in_a_unit_that_suits_the_largest() {
        for (sweep, shown) in [
            ("loss=0%,0.5%,30%", "% 0 0.5 30"),
            ("delay=10us,500us", "us 10 500"),
            ("delay=500us,25ms", "ms 0.5 25"),
            ("timeout=500ms,20s", "s 0.5 20"),
            ("rate=500kbit,2Gbit", "Mbit/s 0.5 2000"),
            ("window=1,65536", "frames 1 65536"),
        ] {
            let sweep: Sweep = sweep.parse().expect(sweep);
            let unit = Unit::of(&sweep);
            let values: Vec<String> = sweep.values.iter().map(|value| unit.show(*value)).collect();
            assert_eq!(format!("{} {}", unit.name, values.join(" ")), shown);
        }
    }
}
