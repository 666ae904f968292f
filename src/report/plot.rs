//! Measured points, and a textbook's curves dashed beside them, as an SVG file that needs nothing else.
//!
//! Series differ in the shape of their points and the length of their dashes, not only in colour. What
//! stands around the axes is placed here, by the widths of `lettering`, so that
//! nothing overlaps; the axes and what is between them is drawn by plotters.

use super::lettering::{printable, width_at_100, wrap};
use plotters::chart::ChartContext;
use plotters::coord::Shift;
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::ops::Range;

/// Units of the drawing in a pixel of the picture: plotters places things on whole units.
const FINE: i32 = 8;

/// Width and height of the picture, in pixels.
const SIZE: (i32, i32) = (960, 600);

/// Around everything.
const MARGIN: i32 = 20;

/// Room left of the vertical axis and below the horizontal one.
const AXIS: (i32, i32) = (74, 56);

const FONTS: &str = "Arial, Helvetica, sans-serif";
const FONT: i32 = 15;
const TITLE_FONT: i32 = 20;
const LINE: i32 = 20;

/// Half of a point's width.
const POINT: i32 = 6;

/// Width of a line's sample in the legend.
const SAMPLE: i32 = 64;

const INK: RGBColor = RGBColor(26, 26, 26);
const GREY: RGBColor = RGBColor(92, 92, 92);
const GRID: RGBColor = RGBColor(225, 225, 225);

/// Colours of about the same darkness on white paper.
const COLORS: [RGBColor; 4] =
    [RGBColor(0, 85, 164), RGBColor(176, 48, 0), RGBColor(0, 105, 60), RGBColor(110, 40, 130)];

/// Length of a dash and of the gap after it, in pixels.
const DASHES: [(i32, i32); 4] = [(11, 6), (4, 4), (20, 7), (2, 6)];

/// The corners of a point's shape, in halves of its width; none is a circle.
const SHAPES: [&[(f64, f64)]; 4] = [
    &[],
    &[(-0.85, -0.85), (0.85, -0.85), (0.85, 0.85), (-0.85, 0.85)],
    &[(0.0, -1.1), (1.1, 0.85), (-1.1, 0.85)],
    &[(0.0, -1.25), (1.25, 0.0), (0.0, 1.25), (-1.25, 0.0)],
];

/// A diagram.
#[derive(Clone, Debug)]
pub struct Plot {
    /// What it shows.
    pub title: String,
    /// Under which conditions, and what the marks mean.
    pub notes: Vec<String>,
    /// What is to the right, with its unit.
    pub x_label: String,
    /// Whether equal steps to the right are equal factors.
    pub is_logarithmic: bool,
    /// What is up, with its unit; from 0.
    pub y_label: String,
    /// What is compared.
    pub series: Vec<Series>,
}

/// What was measured of one thing, and what was predicted.
#[derive(Clone, Debug)]
pub struct Series {
    /// Its name.
    pub name: String,
    /// Which points and dashes it has; the same in every plot.
    pub look: usize,
    /// What was measured.
    pub points: Vec<Point>,
    /// What was predicted, in pieces without gaps.
    pub curves: Vec<Vec<(f64, f64)>>,
}

/// A measured value.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    /// Where.
    pub x: f64,
    /// How much.
    pub y: f64,
    /// The least and the most that was measured there.
    pub least_to_most: (f64, f64),
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<Axis, Axis>>;
type Drawn<T = ()> = Result<T, DrawingAreaErrorKind<std::io::Error>>;

impl Plot {
    /// The diagram as an SVG file.
    #[must_use]
    pub fn svg(&self) -> String {
        let (width, height) = SIZE;
        let size = (fine(width).unsigned_abs(), fine(height).unsigned_abs());
        let mut svg = String::new();
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        let drawn = self.draw(&area).and_then(|()| area.present());
        drawn.expect("a string takes everything");
        drop(area);
        let of = |width, height| format!("width=\"{width}\" height=\"{height}\"");
        svg.replacen(&of(size.0, size.1), &of(width.unsigned_abs(), height.unsigned_abs()), 1)
    }

    fn draw(&self, area: &Area<'_>) -> Drawn {
        area.fill(&WHITE)?;
        let mut top = MARGIN;
        let title = [(self.title.as_str(), TITLE_FONT)];
        let notes = self.notes.iter().map(|note| (note.as_str(), FONT));
        for (text, font) in title.into_iter().chain(notes) {
            let letters = (SIZE.0 - 2 * MARGIN) * 100 / (font * 58);
            for line in wrap(text, usize::try_from(letters).expect("some")) {
                write(area, &line, (MARGIN, top + LINE / 2), font, HPos::Left)?;
                top += LINE;
            }
            top += (font - FONT) * 2;
        }
        top = self.draw_legend(area, top + LINE / 2)?;
        self.draw_chart(area, top)
    }

    /// Draws the legend in as many rows as it takes; returns where it ends.
    fn draw_legend(&self, area: &Area<'_>, top: i32) -> Drawn<i32> {
        let (mut x, mut y) = (MARGIN, top + LINE / 2);
        for series in &self.series {
            let look = Look::of(series.look);
            let width = SAMPLE + 10 + text_width(&series.name) + 28;
            if x > MARGIN && x + width > SIZE.0 - MARGIN {
                (x, y) = (MARGIN, y + LINE + 4);
            }
            let line = |from, to| {
                PathElement::new([(fine(x + from), fine(y)), (fine(x + to), fine(y))], look.line())
            };
            if series.curves.is_empty() {
                area.draw(&line(0, SAMPLE))?;
            } else {
                let (dash, gap) = look.dash;
                for from in (0..SAMPLE).step_by(usize::try_from(dash + gap).expect("some")) {
                    area.draw(&line(from, (from + dash).min(SAMPLE)))?;
                }
            }
            let middle = EmptyElement::at((fine(x + SAMPLE / 2), fine(y)));
            area.draw(&(middle + look.inside() + look.outline()))?;
            write(area, &series.name, (x + SAMPLE + 10, y), FONT, HPos::Left)?;
            x += width;
        }
        Ok(y + LINE)
    }

    fn draw_chart(&self, area: &Area<'_>, top: i32) -> Drawn {
        let (width, height) = SIZE;
        let most = self.values().fold(0.0, f64::max);
        let room = area.margin(fine(top), fine(MARGIN + LINE), fine(MARGIN), fine(2 * MARGIN));
        let mut chart = ChartBuilder::on(&room)
            .set_label_area_size(LabelAreaPosition::Left, fine(AXIS.0 - MARGIN))
            .set_label_area_size(LabelAreaPosition::Bottom, fine(AXIS.1 - LINE))
            .build_cartesian_2d(self.across(), Axis::up_to(most))?;
        let font = (FONTS, f64::from(fine(FONT)) * PLOTTERS_EM);
        chart
            .configure_mesh()
            .axis_style(stroke(INK, 1))
            .bold_line_style(stroke(GRID, 1))
            .light_line_style(TRANSPARENT)
            .set_all_tick_mark_size(fine(6))
            .label_style(font.into_font().color(&INK))
            .draw()?;
        for series in &self.series {
            self.draw_series(&mut chart, series, &Look::of(series.look))?;
        }
        let middle = (AXIS.0 + width - MARGIN) / 2;
        write(area, &self.x_label, (middle, height - MARGIN - LINE / 2), FONT, HPos::Center)?;
        let middle = (top + height - MARGIN - AXIS.1) / 2;
        let style = text_style(FONT, HPos::Center).transform(FontTransform::Rotate270);
        area.draw_text(&printable(&self.y_label), &style, (fine(MARGIN), fine(middle)))
    }

    fn draw_series(&self, chart: &mut Chart<'_, '_>, series: &Series, look: &Look) -> Drawn {
        let (dash, gap) = look.dash;
        for curve in &series.curves {
            let curve = curve.iter().copied();
            chart.draw_series(DashedLineSeries::new(curve, fine(dash), fine(gap), look.line()))?;
        }
        let points = series.points.iter().map(|point| (point.x, point.y));
        if series.curves.is_empty() {
            let line = PathElement::new(points.clone().collect::<Vec<_>>(), look.line());
            chart.draw_series([line])?;
        }
        for point in &series.points {
            let (least, most) = point.least_to_most;
            if most > least {
                let ends = [least, most].map(|y| (point.x, y));
                chart.draw_series([PathElement::new(ends, stroke(look.color, 1))])?;
                let cap = [(-fine(5), 0), (fine(5), 0)];
                let cap = |at| EmptyElement::at(at) + PathElement::new(cap, stroke(look.color, 1));
                chart.draw_series(ends.map(cap))?;
            }
        }
        chart
            .draw_series(points.map(|at| EmptyElement::at(at) + look.inside() + look.outline()))?;
        Ok(())
    }

    fn across(&self) -> Axis {
        let mut at: Vec<f64> = self.points().map(|point| point.x).collect();
        at.sort_by(f64::total_cmp);
        at.dedup();
        let (first, last) = (at.first().copied().unwrap_or(0.0), at.last().copied().unwrap_or(1.0));
        if !self.is_logarithmic || at.is_empty() {
            return Axis { is_open: true, ..Axis::linear(first, last) };
        }
        let every = at.len().div_ceil(Axis::TICKS_MAX);
        let ticks = at.into_iter().step_by(every).collect();
        Axis { from: first, to: last, ticks, decimals: 3, is_logarithmic: true, is_open: true }
    }

    fn points(&self) -> impl Iterator<Item = &Point> {
        self.series.iter().flat_map(|series| &series.points)
    }

    /// All that must fit between bottom and top.
    fn values(&self) -> impl Iterator<Item = f64> {
        let measured = self.points().map(|point| point.least_to_most.1);
        let predicted = self.series.iter().flat_map(|series| series.curves.iter().flatten());
        measured.chain(predicted.map(|(_, y)| *y))
    }
}

/// The part of an axis that is shown, and the values written at it.
struct Axis {
    from: f64,
    to: f64,
    ticks: Vec<f64>,
    /// Digits after the point.
    decimals: usize,
    is_logarithmic: bool,
    /// Whether there is room before the first value.
    is_open: bool,
}

impl Axis {
    const TICKS_MAX: usize = 12;

    /// The share of the axis that is left empty at an end, so that a point there is whole.
    const ROOM: f64 = 0.03;

    /// Round values over a range: 1, 2 or 5 times a power of ten apart.
    #[expect(clippy::cast_possible_truncation, reason = "of a few values")]
    fn linear(from: f64, to: f64) -> Self {
        let span = if to > from { to - from } else { 1.0 };
        let unit = 10_f64.powf((span / 8.0).log10().floor());
        let factors = [1.0, 2.0, 5.0, 10.0];
        let factor = factors.into_iter().find(|factor| span / (factor * unit) <= 8.0);
        let step = factor.unwrap_or(10.0) * unit;
        let first = (from / step).ceil() as i64;
        let last = ((from + span) / step + 1e-9).floor() as i64;
        let ticks = (first..=last).map(|count| count as f64 * step).collect();
        let decimals = usize::try_from(-step.log10().floor() as i64).unwrap_or(0);
        let to = from + span;
        Self { from, to, ticks, decimals, is_logarithmic: false, is_open: false }
    }

    /// Round values from 0 to the first one that is not below `most`.
    fn up_to(most: f64) -> Self {
        let axis = Self::linear(0.0, most);
        let step = axis.ticks.get(1).copied().unwrap_or(1.0);
        let steps = (axis.to / step - 1e-9).ceil();
        Self::linear(0.0, steps * step)
    }

    /// Where a value is: 0 at the beginning, 1 at the end.
    fn place(&self, value: f64) -> f64 {
        let place = if self.is_logarithmic {
            (value / self.from).ln() / (self.to / self.from).ln()
        } else {
            (value - self.from) / (self.to - self.from)
        };
        let before = if self.is_open { Self::ROOM } else { 0.0 };
        before + place * (1.0 - before - Self::ROOM)
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    #[expect(clippy::cast_possible_truncation, reason = "a float cast saturates")]
    fn map(&self, value: &f64, (start, end): (i32, i32)) -> i32 {
        start + (self.place(*value) * f64::from(end - start)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if hint.weight().allow_light_points() { Vec::new() } else { self.ticks.clone() }
    }

    fn range(&self) -> Range<f64> {
        self.from..self.to
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, value: &f64) -> String {
        let text = format!("{value:.*}", self.decimals);
        if self.is_logarithmic {
            return text.trim_end_matches('0').trim_end_matches('.').to_owned();
        }
        text
    }
}

/// What one series looks like.
struct Look {
    color: RGBColor,
    dash: (i32, i32),
    shape: &'static [(f64, f64)],
    is_filled: bool,
}

impl Look {
    /// The first four are filled, those after them hollow.
    fn of(index: usize) -> Self {
        let at = index % COLORS.len();
        let is_filled = (index / COLORS.len()).is_multiple_of(2);
        Self { color: COLORS[at], dash: DASHES[at], shape: SHAPES[at], is_filled }
    }

    fn line(&self) -> ShapeStyle {
        stroke(self.color, 2)
    }

    fn inside(&self) -> Polygon<(i32, i32)> {
        let color = if self.is_filled { self.color } else { WHITE };
        Polygon::new(self.corners(), color.filled())
    }

    fn outline(&self) -> PathElement<(i32, i32)> {
        let mut corners = self.corners();
        corners.extend_from_within(..2);
        PathElement::new(corners, stroke(self.color, 2))
    }

    #[expect(clippy::cast_possible_truncation, reason = "a shape is small")]
    fn corners(&self) -> Vec<(i32, i32)> {
        /// A circle that nobody can tell from a round one.
        const ROUND: i32 = 32;
        let size = f64::from(fine(POINT));
        let place = |(x, y): (f64, f64)| ((x * size).round() as i32, (y * size).round() as i32);
        if self.shape.is_empty() {
            let turn = |corner| f64::from(corner) * std::f64::consts::TAU / f64::from(ROUND);
            return (0..ROUND).map(|corner| place(turn(corner).sin_cos())).collect();
        }
        self.shape.iter().map(|corner| place(*corner)).collect()
    }
}

/// What plotters divides a font's size by before it writes it down.
const PLOTTERS_EM: f64 = 1.24;

fn text_style(font: i32, side: HPos) -> TextStyle<'static> {
    let weight = if font > FONT { FontStyle::Bold } else { FontStyle::Normal };
    (FONTS, f64::from(fine(font)) * PLOTTERS_EM, weight)
        .into_font()
        .color(&if font > FONT { INK } else { GREY })
        .pos(Pos::new(side, VPos::Center))
}

fn write(area: &Area<'_>, text: &str, (x, y): (i32, i32), font: i32, side: HPos) -> Drawn {
    area.draw_text(&printable(text), &text_style(font, side), (fine(x), fine(y)))
}

fn text_width(text: &str) -> i32 {
    let width = width_at_100(text) * FONT.unsigned_abs() / 100;
    i32::try_from(width).expect("a name is short")
}

fn stroke(color: RGBColor, width: i32) -> ShapeStyle {
    color.stroke_width(fine(width).unsigned_abs())
}

/// Pixels in units of the drawing.
const fn fine(pixels: i32) -> i32 {
    pixels * FINE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(points: &[(f64, f64)]) -> Plot {
        let point = |(x, y): &(f64, f64)| Point { x: *x, y: *y, least_to_most: (y * 0.9, y * 1.1) };
        let series = |name: &str, look, curves| Series {
            name: name.into(),
            look,
            points: points.iter().map(point).collect(),
            curves,
        };
        Plot {
            title: "Efficiency over loss".into(),
            notes: vec!["a note that is long enough for more than one line ".repeat(5)],
            x_label: "loss (%)".into(),
            is_logarithmic: false,
            y_label: "efficiency <&>".into(),
            series: vec![series("one", 0, vec![points.to_vec()]), series("other", 5, Vec::new())],
        }
    }

    fn attribute(node: roxmltree::Node<'_, '_>, name: &str) -> f64 {
        node.attribute(name).expect("it has one").parse().expect("a number")
    }

    #[test]
    fn a_plot_says_what_it_shows_and_keeps_it_inside() {
        let svg = plot(&[(0.0, 98.0), (5.0, 40.0), (30.0, 3.0)]).svg();
        assert_eq!(svg, plot(&[(0.0, 98.0), (5.0, 40.0), (30.0, 3.0)]).svg());
        let document = roxmltree::Document::parse(&svg).expect("XML");
        let root = document.root_element();
        assert_eq!((root.attribute("width"), root.attribute("height")), (Some("960"), Some("600")));
        let texts = document.descendants().filter(|node| node.has_tag_name("text"));
        let said: Vec<&str> = texts.clone().filter_map(|node| node.text()).map(str::trim).collect();
        for text in
            ["Efficiency over loss", "loss (%)", "efficiency <&>", "one", "other", "0", "30", "120"]
        {
            assert!(said.contains(&text), "no {text} in {said:?}");
        }
        for text in texts {
            let (x, y) = (attribute(text, "x"), attribute(text, "y"));
            let (width, height) = (f64::from(fine(SIZE.0)), f64::from(fine(SIZE.1)));
            assert!((0.0..width).contains(&x) && (0.0..height).contains(&y), "{text:?}");
        }
        let marks = document.descendants().filter(|node| node.has_tag_name("polygon"));
        assert_eq!(marks.count(), 2 * (3 + 1), "points, and one in each legend");
    }

    #[test]
    fn every_range_can_be_drawn() {
        for points in
            [&[][..], &[(0.0, 0.0)], &[(1.0, 0.0), (2.0, 0.0)], &[(1e-3, 1e-6), (1e9, 1e9)]]
        {
            for is_logarithmic in [false, true] {
                let svg = Plot { is_logarithmic, ..plot(points) }.svg();
                assert!(roxmltree::Document::parse(&svg).is_ok(), "{svg}");
            }
        }
    }

    #[test]
    fn values_at_the_axes_are_round_and_few() {
        for (from, to, said) in [
            (0.0, 30.0, "0 5 10 15 20 25 30"),
            (0.0, 0.3, "0.00 0.05 0.10 0.15 0.20 0.25 0.30"),
            (12.0, 100.0, "20 40 60 80 100"),
        ] {
            let axis = Axis::linear(from, to);
            let shown: Vec<String> = axis.ticks.iter().map(|at| axis.format_ext(at)).collect();
            assert_eq!(shown.join(" "), said);
        }
        for (most, to) in [(98.0, 100.0), (100.0, 100.0), (100.1, 120.0), (0.0, 1.0)] {
            assert!((Axis::up_to(most).to - to).abs() < 1e-9, "{most}");
        }
    }
}
