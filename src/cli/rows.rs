//! Runs of the simulator and what they say: one row for each way to carry the bytes.

use super::args::{Simulate, strategy_name as name};
use super::bars::Bar;
use super::console::Console;
use crate::base::time::Duration;
use crate::base::units::{Rate, Share, show_duration, show_size};
use crate::net::{Impairment, Interrupt};
use crate::sim::theory::{Path, Prediction, predict};
use crate::sim::{self, FlowOutcome, Order, Outcome};
use crate::transfer::outcome::{Failure, Reason};
use crate::transport::arq::{ArqConfig, Strategy};
use crate::transport::config::CongestionChoice;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};

/// A run that takes longer than this in virtual time is given up.
const LIMIT: Duration = Duration::from_secs(1_000_000);

/// One way to carry the bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Contender {
    /// What it is called in tables and pictures.
    pub name: String,
    /// How it repeats what is lost.
    pub strategy: Strategy,
    /// How it chooses its rate; classic strategies have no such thing.
    pub congestion: Option<CongestionChoice>,
}

/// Several runs of one contender, each with its own seed.
#[derive(Debug)]
pub struct Row {
    /// Who ran.
    pub contender: Contender,
    /// What, with the first seed.
    pub order: Order,
    /// How each run went.
    pub outcomes: Vec<Outcome>,
}

/// What several runs say of one quantity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread<T> {
    /// The smallest.
    pub least: T,
    /// The middle one.
    pub median: T,
    /// The largest.
    pub most: T,
}

/// Who is asked for: a row for each classic strategy, and for volley's own way one for each `--cc`.
#[must_use]
pub fn contenders(asked: &Simulate) -> Vec<Contender> {
    let mut contenders = Vec::new();
    for strategy in &asked.arq {
        let name = name(*strategy);
        if *strategy != Strategy::Volley {
            let (strategy, name) = (*strategy, name.to_owned());
            contenders.push(Contender { name, strategy, congestion: None });
            continue;
        }
        for choice in &asked.cc {
            let is_usual = asked.cc == [CongestionChoice::default()];
            let name = if is_usual { name.to_owned() } else { format!("{name} {choice}") };
            contenders.push(Contender { name, strategy: *strategy, congestion: Some(*choice) });
        }
    }
    contenders
}

/// What the simulator is told.
#[must_use]
pub fn order(asked: &Simulate, impairment: &Impairment, contender: &Contender) -> Order {
    let mut order = Order {
        congestion: contender.congestion.unwrap_or_default(),
        arq: ArqConfig {
            strategy: contender.strategy,
            window: asked.window.unwrap_or(ArqConfig::WINDOW),
            timeout: asked.timeout,
            ..ArqConfig::default()
        },
        size: asked.size,
        flows: asked.flows,
        out: impairment.out.clone(),
        back: impairment.back.clone(),
        seed: impairment.seed,
        limit: LIMIT,
    };
    order.follow_textbook();
    order
}

/// Runs each order `repeat` times, each time with the next seed. The runs know nothing of each other
/// and share the cores; the rows come in the order of what was asked.
///
/// # Errors
/// The user has interrupted it.
pub fn run(
    orders: Vec<(Contender, Order)>,
    repeat: u64,
    interrupt: &Interrupt,
) -> Result<Vec<Row>, Failure> {
    let mut outcomes = run_all(&orders, repeat, interrupt).into_iter();
    if let Some(failure) = interrupt.failure() {
        return Err(failure);
    }
    let mut row = |(contender, order)| {
        let outcomes = (0..repeat).filter_map(|_| outcomes.next()).collect();
        Row { contender, order, outcomes }
    };
    Ok(orders.into_iter().map(&mut row).collect())
}

/// The outcomes, those of one order after those of the one before.
fn run_all(orders: &[(Contender, Order)], repeat: u64, interrupt: &Interrupt) -> Vec<Outcome> {
    let runs = orders.len() as u64 * repeat;
    let next = AtomicU64::new(0);
    let bar = progress(runs);
    let over = AtomicU64::new(0);
    let work = || {
        let mut done = Vec::new();
        while interrupt.get().is_none() {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let place = usize::try_from(index / repeat).expect("one of the orders, or the end");
            let Some((_, order)) = orders.get(place) else { break };
            let seed = order.seed.wrapping_add(index % repeat);
            let order = Order { seed, ..order.clone() };
            done.push((index, sim::run_unless(&order, || interrupt.get().is_some())));
            let over = over.fetch_add(1, Ordering::Relaxed) + 1;
            bar.show_portion(over, runs, &[vec![format!("{over} of {runs} runs")]]);
        }
        done
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut done: Vec<(u64, Outcome)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        let done = workers.into_iter().map(|worker| worker.join().expect("a run does not panic"));
        done.flatten().collect()
    });
    drop(bar);
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, outcome)| outcome).collect()
}

/// How many of the runs are over, on a terminal; a few runs are over before that could be read.
fn progress(runs: u64) -> Bar {
    /// Runs without a bar.
    const FEW: u64 = 12;
    Console::new(runs <= FEW).bar()
}

/// What is carried how often, in words.
#[must_use]
pub fn show_load(asked: &Simulate) -> String {
    let flows = match asked.flows {
        1 => String::new(),
        flows => format!(" in each of {flows} transfers side by side"),
    };
    let runs = match asked.repeat {
        1 => String::new(),
        runs => format!(", medians of {runs} runs with seeds from there on"),
    };
    format!("{}{flows}, in virtual time{runs}", show_size(asked.size))
}

/// Fails if a transfer did not come to an end.
///
/// # Errors
/// One did not.
pub fn check_ends<'a>(rows: impl IntoIterator<Item = &'a Row>) -> Result<(), Failure> {
    if rows.into_iter().flat_map(|row| &row.outcomes).all(|outcome| outcome.elapsed().is_some()) {
        return Ok(());
    }
    Err(no_end())
}

/// What is said of a run that comes to no end.
#[must_use]
pub fn no_end() -> Failure {
    let text = "a transfer did not come to an end; the link takes too much";
    Failure::new(Reason::Other, text)
}

impl Row {
    /// How often it ran.
    #[must_use]
    pub fn runs(&self) -> usize {
        self.outcomes.len()
    }

    /// What the runs say; nothing unless all say something.
    fn spread(&self, of: impl Fn(&Outcome) -> Option<f64>) -> Option<Spread<f64>> {
        let values: Option<Vec<f64>> = self.outcomes.iter().map(of).collect();
        let mut values = values?;
        values.sort_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        Some(Spread { least, median: values[values.len() / 2], most })
    }

    /// How long the slowest flow took.
    #[must_use]
    pub fn seconds(&self) -> Option<Spread<f64>> {
        self.spread(|outcome| outcome.elapsed().map(|elapsed| elapsed.as_secs_f64()))
    }

    /// File bytes of all flows over the time of the slowest one.
    #[must_use]
    pub fn goodput(&self) -> Option<Spread<Rate>> {
        let Spread { least, median, most } = self.seconds()?;
        let bytes = self.order.size * self.order.flows as u64;
        let over = |seconds| Rate::of(bytes, Duration::from_secs_f64(seconds));
        Some(Spread { least: over(most), median: over(median), most: over(least) })
    }

    /// The share of the line's time that carries something new.
    #[must_use]
    pub fn efficiency(&self) -> Option<Spread<f64>> {
        self.spread(|outcome| outcome.efficiency(&self.order).map(Share::get))
    }

    /// DATA packets sent again, for each one that brought something new.
    #[must_use]
    pub fn again(&self) -> Option<f64> {
        let again = self.spread(|outcome| {
            let sum = |of: fn(&FlowOutcome) -> u64| outcome.flows.iter().map(of).sum::<u64>();
            let (again, fresh) =
                (sum(|flow| flow.stats.retransmissions), sum(|flow| flow.fresh_packets));
            (fresh > 0).then(|| again as f64 / fresh as f64)
        });
        again.map(|again| again.median)
    }

    /// What the textbook predicts, and how far the measured efficiency is from it.
    #[must_use]
    pub fn prediction(&self) -> Option<(Prediction, f64)> {
        let prediction = predict(&self.order)?;
        let deviation = self.efficiency()?.median / prediction.efficiency - 1.0;
        Some((prediction, deviation))
    }

    /// The formula, by the contender's name.
    #[must_use]
    pub fn formula(&self) -> Option<String> {
        Some(format!("{}: {}", self.contender.name, predict(&self.order)?.formula))
    }

    /// The row as an object for programs.
    #[must_use]
    pub fn json(&self) -> Value {
        let (goodput, efficiency) = (self.goodput(), self.efficiency());
        json!({
            "strategy": name(self.contender.strategy),
            "congestion_control": self.contender.congestion.map(|choice| choice.to_string()),
            "seconds": self.seconds().map(|seconds| seconds.median),
            "goodput_bits_per_second": goodput.map(|goodput| goodput.median.bits_per_second()),
            "goodput_bits_per_second_least": goodput.map(|goodput| goodput.least.bits_per_second()),
            "goodput_bits_per_second_most": goodput.map(|goodput| goodput.most.bits_per_second()),
            "efficiency": efficiency.map(|efficiency| efficiency.median),
            "efficiency_least": efficiency.map(|efficiency| efficiency.least),
            "efficiency_most": efficiency.map(|efficiency| efficiency.most),
            "retransmissions_per_packet": self.again(),
            "textbook": self.prediction().map(|(prediction, deviation)| json!({
                "efficiency": prediction.efficiency,
                "formula": prediction.formula,
                "deviation": deviation,
            })),
        })
    }

    /// The frame's time on the line and the cycle, as the formulas have them.
    #[must_use]
    pub fn show_times(&self) -> String {
        let (frame, cycle) = Path::of(&self.order).times();
        format!("a frame takes {}, C is {cycle:.2} frames", show_duration(frame))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interrupted_simulation_says_so() {
        let interrupt = Interrupt::default();
        assert!(run(Vec::new(), 1, &interrupt).is_ok());
        interrupt.set(2);
        let failure = run(Vec::new(), 1, &interrupt).expect_err("it is interrupted");
        assert_eq!(failure.reason, Reason::User);
    }
}
