//! The ladder in plain characters: one row for each event, so the order is exact and time is compressed where
//! nothing happens.

use super::{Arrival, Event, Flight, Ladder, Side, What, time_labels};
use crate::base::time::{Duration, Instant};
use crate::report::lettering::{printable, wrap};
use std::fmt;
use std::ops::Range;

/// Below this nothing would be readable.
const WIDTH_MIN: usize = 40;

/// Longer arrows are not easier to follow.
const MIDDLE_MAX: usize = 60;

/// Marks are sentences: beyond this they are wrapped, so that the arrows keep their room.
const MARK_WIDTH: usize = 28;

/// The diagram, and the steps in which it can be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drawing {
    /// Title and column heads.
    pub head: Vec<String>,
    /// One for each event, in order.
    pub steps: Vec<Step>,
}

/// The lines that one event adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// When it happens.
    pub at: Instant,
    /// The lines, the first of them perhaps rows in which only time passes.
    pub lines: Vec<String>,
}

impl fmt::Display for Drawing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = self.steps.iter().flat_map(|step| &step.lines);
        self.head.iter().chain(lines).try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// How the columns are shared: time, the sender's notes, the arrows, the receiver's notes.
struct Columns {
    time: usize,
    left: usize,
    middle: usize,
    right: usize,
}

/// One line of the diagram.
struct Row {
    time: String,
    side: Side,
    note: String,
    is_mark: bool,
    middle: Vec<char>,
}

/// Draws the ladder in at most `width` columns.
pub(super) fn draw(ladder: &Ladder, width: usize) -> Drawing {
    let width = width.max(WIDTH_MIN);
    let events = ladder.events();
    let moments: Vec<Instant> = events.iter().map(|event| event.at).collect();
    let show_time = time_labels(&moments);
    let columns = Columns::share(ladder, &events, width, &show_time);
    let (mut rows, steps) = lay_out(ladder, &events, &columns, show_time);
    draw_flights(ladder, &events, &steps, &mut rows);
    Drawing {
        head: columns.head(&ladder.title, width),
        steps: events
            .iter()
            .zip(&steps)
            .map(|(event, step)| Step {
                at: event.at,
                lines: rows[step.rows.clone()].iter().map(|row| columns.line(row)).collect(),
            })
            .collect(),
    }
}

impl Columns {
    fn share(
        ladder: &Ladder,
        events: &[Event],
        width: usize,
        show_time: impl Fn(Instant) -> String,
    ) -> Self {
        let time = events.last().map_or(0, |event| show_time(event.at).len()).max(2);
        let mut left = "sender".len();
        let mut right = "receiver".len();
        for event in events {
            let (side, note) = note(ladder, event.what);
            let length = note.chars().count();
            let length = if is_mark(event.what) { length.min(MARK_WIDTH) } else { length };
            match side {
                Side::Sender => left = left.max(length),
                Side::Receiver => right = right.max(length),
            }
        }
        // Beside the notes: two time lines, and three spaces.
        let free = width.saturating_sub(time + 5).max(3);
        let notes = free - (free / 3).min(24);
        if left + right > notes {
            let half = notes / 2;
            (left, right) = match (left <= half, right <= half) {
                (true, _) => (left, notes - left),
                (_, true) => (notes - right, right),
                _ => (half, notes - half),
            };
        }
        Self { time, left, middle: (free - left - right).min(MIDDLE_MAX), right }
    }

    fn width_of(&self, side: Side) -> usize {
        match side {
            Side::Sender => self.left,
            Side::Receiver => self.right,
        }
    }

    fn head(&self, title: &str, width: usize) -> Vec<String> {
        let mut head = wrap(&printable(title), width);
        head.push(String::new());
        let gap = self.middle + 2;
        let (time, left) = (self.time, self.left);
        let names = format!("{:>time$} {:>left$} {:gap$} receiver", "ms", "sender", "");
        head.push(names.chars().take(width).collect());
        head
    }

    fn line(&self, row: &Row) -> String {
        let (time, left) = (self.time, self.left);
        let end = |side| if row.is_mark && row.side == side { '*' } else { '|' };
        let (sender, receiver) = match row.side {
            Side::Sender => (row.note.as_str(), ""),
            Side::Receiver => ("", row.note.as_str()),
        };
        let middle: String = row.middle.iter().collect();
        let line = format!(
            "{:>time$} {sender:>left$} {}{middle}{} {receiver}",
            row.time,
            end(Side::Sender),
            end(Side::Receiver),
        );
        line.trim_end().to_owned()
    }
}

/// The rows of one event, and which of them it happens in.
struct Place {
    rows: Range<usize>,
    event: usize,
}

/// Gives every event its rows, without arrows yet.
fn lay_out(
    ladder: &Ladder,
    events: &[Event],
    columns: &Columns,
    show_time: impl Fn(Instant) -> String,
) -> (Vec<Row>, Vec<Place>) {
    let mut rows = Vec::new();
    let mut places = Vec::with_capacity(events.len());
    let span = match (events.first(), events.last()) {
        (Some(first), Some(last)) => last.at.since(first.at),
        _ => Duration::ZERO,
    };
    let mut previous: Option<Instant> = None;
    let mut shown = None;
    for event in events {
        let start = rows.len();
        let (side, note) = note(ladder, event.what);
        let row = |time, note, is_mark| Row {
            time,
            side,
            note,
            is_mark,
            middle: vec![' '; columns.middle],
        };
        let gap = previous.map_or(Duration::ZERO, |previous| event.at.since(previous));
        for _ in 0..empty_rows(gap, span) {
            rows.push(row(":".to_owned(), String::new(), false));
        }
        let at = rows.len();
        // When a lost packet got lost is a guess, so it has no time; a moment's time is said once.
        let is_timed = !is_loss(ladder, event.what) && shown != Some(event.at);
        if is_timed {
            shown = Some(event.at);
        }
        for (number, line) in wrap(&note, columns.width_of(side)).into_iter().enumerate() {
            let time = if number == 0 && is_timed { show_time(event.at) } else { String::new() };
            rows.push(row(time, line, number == 0 && is_mark(event.what)));
        }
        places.push(Place { rows: start..rows.len(), event: at });
        previous = Some(event.at);
    }
    (rows, places)
}

/// Rows in which only time passes: they make a long wait look long.
fn empty_rows(gap: Duration, span: Duration) -> usize {
    match gap {
        Duration::ZERO => 0,
        gap if gap >= span / 6 => 2,
        gap if gap >= span / 16 => 1,
        _ => 0,
    }
}

fn draw_flights(ladder: &Ladder, events: &[Event], places: &[Place], rows: &mut [Row]) {
    let mut ways = vec![0..0; ladder.flights.len()];
    for (event, place) in events.iter().zip(places) {
        match event.what {
            What::Sent(flight) => ways[flight].start = place.event,
            What::Ended(flight) | What::EndedAtOnce(flight) => ways[flight].end = place.event + 1,
            What::Mark(_) => {}
        }
    }
    let width = rows.first().map_or(0, |row| row.middle.len());
    let length = |flight: &Flight, way: &Range<usize>| match flight.arrival {
        Arrival::At(_) | Arrival::Damaged(_) => width,
        // As far as its neighbour got in as many rows, so that neither seems to overtake.
        Arrival::Lost { .. } => ladder.neighbour(flight).map_or(width / 2, |neighbour| {
            let far = width * way.len() / ways[neighbour].len();
            far.clamp(width / 3, width - width / 3)
        }),
    };
    let flights = || ladder.flights.iter().zip(&ways);
    for (flight, way) in flights() {
        draw_way(flight, length(flight, way), &mut rows[way.clone()]);
    }
    // Ends and words last: no arrow may hide them.
    for (flight, way) in flights() {
        draw_end(flight, length(flight, way), &mut rows[way.end - 1].middle);
    }
}

/// Draws an arrow's shaft: an equal share of the way in each row.
fn draw_way(flight: &Flight, length: usize, rows: &mut [Row]) {
    let count = rows.len();
    for (number, row) in rows.iter_mut().enumerate() {
        let share = number * length / count..(number + 1) * length / count;
        let is_last = number + 1 == count;
        // Steep arrows side by side stay apart only without the horizontal strokes.
        if length >= 8 * count || is_last {
            for at in share.clone() {
                put(&mut row.middle, flight.from, at, '_');
            }
        }
        if share.start < length {
            put(&mut row.middle, flight.from, share.start, '\\');
        }
    }
}

fn draw_end(flight: &Flight, length: usize, middle: &mut [char]) {
    let width = middle.len();
    let (at, end) = match &flight.arrival {
        Arrival::At(_) => (width - 1, '>'),
        Arrival::Damaged(_) => (width - 1, '#'),
        Arrival::Lost { .. } => (length.min(width - 1), 'X'),
    };
    put(middle, flight.from, at, end);
    let Arrival::Lost { cause } = &flight.arrival else {
        return;
    };
    let at = if flight.from == Side::Sender { at } else { width - 1 - at };
    let cause: Vec<char> = printable(cause).chars().collect();
    let (ahead, behind) = (width.saturating_sub(at + 2), at.saturating_sub(1));
    let place = if cause.len() <= ahead || cause.len() > behind {
        at + 2..width.min(at + 2 + cause.len())
    } else {
        at - 1 - cause.len()..at - 1
    };
    for gap in [place.start.wrapping_sub(1), place.end] {
        if let Some(cell) = middle.get_mut(gap) {
            *cell = ' ';
        }
    }
    let cells = middle.iter_mut().skip(place.start).take(place.len());
    cells.zip(cause).for_each(|(cell, letter)| *cell = letter);
}

/// Puts one character of an arrow `at` columns from its beginning.
fn put(middle: &mut [char], from: Side, at: usize, stroke: char) {
    let (place, stroke) = match (from, stroke) {
        (Side::Sender, stroke) => (at, stroke),
        (Side::Receiver, '\\') => (middle.len() - 1 - at, '/'),
        (Side::Receiver, '>') => (middle.len() - 1 - at, '<'),
        (Side::Receiver, stroke) => (middle.len() - 1 - at, stroke),
    };
    let cell = &mut middle[place];
    *cell = match (*cell, stroke) {
        ('\\', '/') | ('/', '\\') => '+',
        ('\\' | '/' | '+', '_') => *cell,
        _ => stroke,
    };
}

/// What is written beside a time line, and beside which.
fn note(ladder: &Ladder, what: What) -> (Side, String) {
    let (side, note) = match what {
        What::Sent(flight) => {
            let flight = &ladder.flights[flight];
            (flight.from, flight.long_label())
        }
        What::Ended(flight) | What::EndedAtOnce(flight) => {
            let flight = &ladder.flights[flight];
            let note = if is_lost(flight) { String::new() } else { flight.short_label() };
            (flight.from.other(), note)
        }
        What::Mark(mark) => (ladder.marks[mark].side, ladder.marks[mark].text.clone()),
    };
    (side, printable(&note))
}

fn is_mark(what: What) -> bool {
    matches!(what, What::Mark(_))
}

fn is_loss(ladder: &Ladder, what: What) -> bool {
    match what {
        What::Ended(flight) | What::EndedAtOnce(flight) => is_lost(&ladder.flights[flight]),
        What::Sent(_) | What::Mark(_) => false,
    }
}

fn is_lost(flight: &Flight) -> bool {
    matches!(flight.arrival, Arrival::Lost { .. })
}
