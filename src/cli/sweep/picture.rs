//! A sweep as a plot: what was measured, and the textbook's curve through it.

use super::{Sample, Swept, Unit};
use crate::base::units::{Rate, show_duration, show_size};
use crate::cli::args::Simulate;
use crate::cli::args::sweep::Parameter;
use crate::cli::rows::{self, Contender, Row, Spread, contenders};
use crate::report::plot::{Plot, Point, Series};
use crate::sim::theory;
use crate::transport::arq::{ArqConfig, Strategy};

/// Places between the first value and the last at which the textbook is asked for its curve.
const CURVE_STEPS: u32 = 240;

impl Swept<'_> {
    /// Whether the line has a rate that one transfer can use well or badly; else goodput is compared.
    fn has_efficiency(&self) -> bool {
        self.asked.flows == 1
            && self.points.iter().all(|point| point.impairment.out.bottleneck.is_some())
    }

    pub(super) fn plot(&self) -> Plot {
        let is_efficiency = self.has_efficiency();
        let most = self.rows().filter_map(Row::goodput).map(|goodput| goodput.most).max();
        let unit = Unit::of_rate(most.map_or(0, Rate::bits_per_second));
        let y_label = if is_efficiency {
            "efficiency (% of the line's time)".into()
        } else {
            format!("goodput ({})", unit.name)
        };
        let series: Vec<Series> = (0..self.points[0].rows.len())
            .map(|index| self.series(index, is_efficiency, unit))
            .collect();
        let what = if is_efficiency { "Efficiency" } else { "Goodput" };
        let (parameter, name) = (self.sweep.parameter, self.sweep.parameter.name());
        Plot {
            title: format!("{what} over {name}"),
            notes: self.notes(&series),
            x_label: match parameter {
                Parameter::Delay => format!("delay of one way ({})", self.unit.name),
                _ => format!("{name} ({})", self.unit.name),
            },
            is_logarithmic: self.sweep.is_geometric,
            y_label,
            series,
        }
    }

    fn notes(&self, series: &[Series]) -> Vec<String> {
        let asked = &self.asked;
        let mut facts = vec![show_size(asked.size)];
        let flows = asked.flows;
        facts.extend((flows > 1).then(|| format!("{flows} transfers side by side")));
        let has_window = asked
            .arq
            .iter()
            .any(|strategy| [Strategy::GoBackN, Strategy::SelectiveRepeat].contains(strategy));
        if has_window && self.sweep.parameter != Parameter::Window {
            facts.push(format!("window {}", asked.window.unwrap_or(ArqConfig::WINDOW)));
        }
        if let Some(timeout) = asked.timeout {
            facts.push(format!("timeout {}", show_duration(timeout)));
        }
        let mut marks = "points: measured".to_owned();
        if asked.repeat > 1 {
            marks += &format!(" (median, least and most of {} runs)", asked.repeat);
        }
        if series.iter().any(|series| !series.curves.is_empty()) {
            marks += "; dashes: the textbook's formula";
        }
        if series.iter().any(|series| series.curves.is_empty()) {
            marks += "; solid lines only join points";
        }
        vec![format!("{}; link: {}", facts.join(", "), self.show_link()), marks]
    }

    fn series(&self, index: usize, is_efficiency: bool, unit: Unit) -> Series {
        let measured = |point: &Sample| {
            let row = &point.rows[index];
            let Spread { least, median, most } = if is_efficiency {
                let Spread { least, median, most } = row.efficiency()?;
                Spread { least: 100.0 * least, median: 100.0 * median, most: 100.0 * most }
            } else {
                let Spread { least, median, most } = row.goodput()?;
                let scaled = |rate: Rate| rate.bits_per_second() as f64 / unit.size;
                Spread { least: scaled(least), median: scaled(median), most: scaled(most) }
            };
            let x = point.value as f64 / self.unit.size;
            Some(Point { x, y: median, least_to_most: (least, most) })
        };
        let contender = &self.points[0].rows[index].contender;
        Series {
            name: contender.name.clone(),
            look: look(&self.asked, contender),
            points: self.points.iter().filter_map(measured).collect(),
            curves: if is_efficiency { self.curves(index) } else { Vec::new() },
        }
    }

    /// What the textbook says between the first value and the last, in pieces without gaps.
    fn curves(&self, index: usize) -> Vec<Vec<(f64, f64)>> {
        let mut curves = vec![Vec::new()];
        for value in self.between() {
            let predicted = self.at(value).ok().and_then(|(asked, impairment)| {
                let contender = contenders(&asked).into_iter().nth(index)?;
                theory::predict(&rows::order(&asked, &impairment, &contender))
            });
            match predicted {
                Some(predicted) => {
                    let x = value as f64 / self.unit.size;
                    let last = curves.last_mut().expect("there is one");
                    last.push((x, 100.0 * predicted.efficiency));
                }
                None => curves.push(Vec::new()),
            }
        }
        curves.retain(|curve| curve.len() > 1);
        curves
    }

    /// Values from the first to the last, close to each other.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between values")]
    fn between(&self) -> Vec<u64> {
        let values = &self.sweep.values;
        let (first, last) = (values[0] as f64, values[values.len() - 1] as f64);
        let at = |step: u32| {
            let part = f64::from(step) / f64::from(CURVE_STEPS);
            let value = if self.sweep.is_geometric {
                first * (last / first).powf(part)
            } else {
                first + (last - first) * part
            };
            value.round() as u64
        };
        let mut values: Vec<u64> =
            (0..=CURVE_STEPS).map(at).chain(values.iter().copied()).collect();
        values.sort_unstable();
        values.dedup();
        values
    }
}

/// Which look a contender has in plots: each classic strategy its own, then volley's ways.
fn look(asked: &Simulate, contender: &Contender) -> usize {
    let classic = [Strategy::StopAndWait, Strategy::GoBackN, Strategy::SelectiveRepeat];
    let place = classic.iter().position(|strategy| *strategy == contender.strategy);
    let way = asked.cc.iter().position(|choice| Some(*choice) == contender.congestion);
    place.unwrap_or_else(|| classic.len() + way.unwrap_or(0))
}
