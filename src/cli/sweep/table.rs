//! A sweep as a table for people.

use super::{Swept, decimals};
use crate::cli::rows::{self, Row};
use crate::cli::terminal;

/// Columns for the value.
const FIRST_COLUMN: usize = 8;

/// Columns for what was measured.
const MEASURED: usize = 21;

/// Columns for what the textbook says of it.
const TEXTBOOK: usize = 17;

impl Swept<'_> {
    /// A line for each value, and beside each other as many contenders as are seen well.
    pub(super) fn table(&self) -> String {
        let mut text = format!("{}\nlink: {}\n", rows::show_load(&self.asked), self.show_link());
        let width = terminal::columns(std::io::stdout()).max(80);
        let mut bands: Vec<Vec<usize>> = vec![Vec::new()];
        let mut used = FIRST_COLUMN;
        for index in 0..self.points[0].rows.len() {
            let group = self.group_width(index);
            if used + group > width && used > FIRST_COLUMN {
                bands.push(Vec::new());
                used = FIRST_COLUMN;
            }
            used += group;
            bands.last_mut().expect("there is one").push(index);
        }
        for band in bands {
            text.push('\n');
            text += &self.band(&band);
        }
        text += "\nefficiency: the share of the line's time that carries something new\n";
        if self.rows().any(|row| row.prediction().is_some()) {
            text += "off by: how far the measured efficiency is from the textbook's\n";
        }
        let mut formulas: Vec<String> = Vec::new();
        for index in 0..self.points[0].rows.len() {
            for formula in self.column(index).filter_map(Row::formula) {
                if !formulas.contains(&formula) {
                    formulas.push(formula);
                }
            }
        }
        text + &formulas.join("\n")
    }

    fn column(&self, index: usize) -> impl Iterator<Item = &Row> {
        self.points.iter().filter_map(move |point| point.rows.get(index))
    }

    fn has_textbook(&self, index: usize) -> bool {
        self.column(index).any(|row| row.prediction().is_some())
    }

    fn group_width(&self, index: usize) -> usize {
        if self.has_textbook(index) { MEASURED + TEXTBOOK } else { MEASURED }
    }

    fn band(&self, band: &[usize]) -> String {
        let (name, unit) = (self.sweep.parameter.name(), self.unit.name);
        let mut lines = vec![" ".repeat(FIRST_COLUMN)];
        lines.push(format!("{name:>FIRST_COLUMN$}"));
        lines.push(format!("{unit:>FIRST_COLUMN$}"));
        for index in band {
            let width = self.group_width(*index) - 3;
            lines[0] += &format!("   {:<width$}", self.points[0].rows[*index].contender.name);
            lines[1] += &format!("{:>10}{:>11}", "goodput", "efficiency");
            lines[2] += &format!("{:>10}{:>11}", "Mbit/s", "%");
            if self.has_textbook(*index) {
                lines[1] += &format!("{:>9}{:>8}", "textbook", "off by");
                lines[2] += &format!("{:>9}{:>8}", "%", "%");
            }
        }
        for point in &self.points {
            let mut line = format!("{:>FIRST_COLUMN$}", self.unit.show(point.value));
            for index in band {
                line += &self.group(&point.rows[*index], self.has_textbook(*index));
            }
            lines.push(line);
        }
        lines.iter().map(|line| format!("{}\n", line.trim_end())).collect()
    }

    fn group(&self, row: &Row, has_textbook: bool) -> String {
        let percent = |share: f64| format!("{:.2}", share * 100.0);
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".into());
        let goodput = row.goodput().map(|goodput| goodput.median.bits_per_second() as f64 / 1e6);
        let goodput = goodput.map(|mbit| format!("{mbit:.*}", decimals(mbit)));
        let efficiency = row.efficiency().map(|efficiency| percent(efficiency.median));
        let goodput = goodput.unwrap_or_else(|| "no end".into());
        let mut text = format!("{goodput:>10}{:>11}", or_none(efficiency));
        if has_textbook {
            let prediction = row.prediction();
            let deviation =
                prediction.as_ref().map(|(_, deviation)| format!("{:+.2}", deviation * 100.0));
            let prediction = prediction.map(|(prediction, _)| percent(prediction.efficiency));
            text += &format!("{:>9}{:>8}", or_none(prediction), or_none(deviation));
        }
        text
    }
}
