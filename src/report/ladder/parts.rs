//! What the picture of a ladder is made of: spots, areas, labels, arrows.

use super::{Arrival, Flight, Kind};
use crate::report::lettering::width_at_100;

/// Font size of everything but the title.
pub(super) const FONT: f64 = 17.0;
/// Font size of the title.
pub(super) const TITLE_FONT: f64 = 24.0;
/// From one line of text to the next.
pub(super) const LINE: f64 = 21.0;
/// From one line of the title to the next.
pub(super) const TITLE_LINE: f64 = 30.0;
/// Half the size of the cross on a lost packet.
pub(super) const CROSS: f64 = 8.0;

/// A place in the picture, in pixels from the upper left corner.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spot {
    pub(super) x: f64,
    pub(super) y: f64,
}

/// An upright rectangle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Area {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

/// Which point of its area a text hangs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// What a label is, which decides how it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Title,
    Head,
    Time,
    Note,
    Mark,
    Cause,
    Legend,
}

/// A text of one or more lines.
#[derive(Clone, Debug)]
pub(super) struct Label {
    pub(super) role: Role,
    pub(super) lines: Vec<String>,
    pub(super) anchor: Anchor,
    pub(super) area: Area,
}

/// How an arrow is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Style {
    Data,
    Again,
    Ack,
    Control,
}

/// How an arrow ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum End {
    Head,
    Cross,
    /// A cross at the other side's line.
    Damaged,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Arrow {
    pub(super) from: Spot,
    pub(super) to: Spot,
    pub(super) style: Style,
    pub(super) end: End,
}

impl Label {
    /// A label whose upper edge is at `spot`, which is its left end, middle or right end.
    pub(super) fn new(role: Role, lines: Vec<String>, anchor: Anchor, spot: Spot) -> Self {
        let (font, line) =
            if role == Role::Title { (TITLE_FONT, TITLE_LINE) } else { (FONT, LINE) };
        let width = text_width(&lines, font);
        let left = match anchor {
            Anchor::Start => spot.x,
            Anchor::Middle => spot.x - width / 2.0,
            Anchor::End => spot.x - width,
        };
        let area = Area { left, top: spot.y, width, height: height(&lines, line) };
        Self { role, lines, anchor, area }
    }
}

impl Arrow {
    /// What the cross of a lost packet covers.
    pub(super) fn cross(&self) -> Option<Area> {
        let (left, top) = (self.to.x - CROSS, self.to.y - CROSS);
        let area = Area { left, top, width: 2.0 * CROSS, height: 2.0 * CROSS };
        (self.end == End::Cross).then_some(area)
    }
}

impl Area {
    pub(super) fn bottom(&self) -> f64 {
        self.top + self.height
    }

    /// Whether the two have more than an edge in common, rounding errors aside.
    pub(super) fn meets(&self, other: &Self) -> bool {
        let overlap = |start: f64, length: f64, other_start: f64, other_length: f64| {
            (start + length).min(other_start + other_length) - start.max(other_start) > 0.001
        };
        overlap(self.left, self.width, other.left, other.width)
            && overlap(self.top, self.height, other.top, other.height)
    }
}

impl Style {
    pub(super) fn of(flight: &Flight) -> Self {
        match (flight.kind, flight.is_again) {
            (_, true) => Self::Again,
            (Kind::Data, false) => Self::Data,
            (Kind::Ack, false) => Self::Ack,
            (Kind::Control, false) => Self::Control,
        }
    }
}

impl End {
    pub(super) fn of(flight: &Flight) -> Self {
        match flight.arrival {
            Arrival::At(_) => Self::Head,
            Arrival::Lost { .. } => Self::Cross,
            Arrival::Damaged(_) => Self::Damaged,
        }
    }
}

/// Width of the widest line.
pub(super) fn text_width(lines: &[String], font: f64) -> f64 {
    let width = lines.iter().map(|line| width_at_100(line)).max().unwrap_or_default();
    f64::from(width) * font / 100.0
}

/// Height of so many lines.
pub(super) fn height(lines: &[String], line: f64) -> f64 {
    lines.iter().map(|_| line).sum()
}
