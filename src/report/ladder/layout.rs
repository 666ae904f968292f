//! Where everything in the picture of a ladder goes, as numbers: no label touches another, and all are inside.

use super::parts::{Anchor, Area, Arrow, End, FONT, LINE, Label, Role, Spot, Style};
use super::parts::{CROSS, TITLE_FONT, text_width};
use super::{Arrival, Event, Ladder, Side, What, time_labels};
use crate::base::time::Instant;
use crate::report::lettering::{printable, wrap};

/// Width of the picture: a slide's, in CSS pixels.
pub(super) const WIDTH: f64 = 1280.0;

const MARGIN: f64 = 24.0;
/// From a time line to the text beside it.
const LEADER: f64 = 22.0;
/// Between a note's time and its text.
const TIME_GAP: f64 = 14.0;
/// What the arrows have at least between the time lines.
const MIDDLE_MIN: f64 = 300.0;
/// Characters in a line of a note: as many as leave the arrows their room.
const NOTE_WIDTHS: [usize; 4] = [34, 24, 16, 10];
/// Height of a wait, at most and at least.
const GAP_MAX: f64 = 90.0;
const GAP_MIN: f64 = 8.0;
/// Height of the whole time if it were to scale everywhere.
const SCALE: f64 = 400.0;

/// The whole picture.
#[derive(Debug, Default)]
pub(super) struct Layout {
    pub(super) height: f64,
    /// Where the two time lines are, and from where to where they go.
    pub(super) sender_x: f64,
    pub(super) receiver_x: f64,
    pub(super) top: f64,
    pub(super) bottom: f64,
    /// Heights at which time was left out.
    pub(super) breaks: Vec<f64>,
    pub(super) arrows: Vec<Arrow>,
    pub(super) labels: Vec<Label>,
    /// From an event on a time line to its note.
    pub(super) leaders: Vec<(Spot, Spot)>,
    /// A dot on the time line for each mark.
    pub(super) dots: Vec<Spot>,
    /// Samples of arrows beside the legend's words.
    pub(super) samples: Vec<Arrow>,
}

/// An event, and the text beside a time line for it; none at the end of a usual arrow.
struct Note {
    at: Instant,
    what: What,
    side: Side,
    lines: Vec<String>,
}

/// How far down everything is, in order.
#[derive(Default)]
struct Scale {
    moments: Vec<(Instant, f64)>,
    events: Vec<(What, f64)>,
}

impl Layout {
    /// Finds a place for everything.
    pub(super) fn of(ladder: &Ladder) -> Self {
        let events = ladder.events();
        let moments: Vec<Instant> = events.iter().map(|event| event.at).collect();
        let show_time = time_labels(&moments);
        let mut layout = Self::default();
        let mut all_notes = Vec::new();
        for width in NOTE_WIDTHS {
            all_notes = notes(ladder, &events, width);
            layout.sender_x = room(&all_notes, Side::Sender, &show_time);
            layout.receiver_x = WIDTH - room(&all_notes, Side::Receiver, &show_time);
            if layout.receiver_x - layout.sender_x >= MIDDLE_MIN {
                break;
            }
        }
        layout.put_heads(&ladder.title);
        let scale = layout.put_notes(&all_notes, show_time);
        layout.put_arrows(ladder, &scale);
        layout.put_legend();
        layout
    }

    fn put_heads(&mut self, title: &str) {
        let mut lines = wrap(&printable(title), 80);
        if text_width(&lines, TITLE_FONT) > WIDTH - 2.0 * MARGIN {
            lines = wrap(&printable(title), 48);
        }
        let spot = Spot { x: WIDTH / 2.0, y: 16.0 };
        let title = self.put(Role::Title, lines, Anchor::Middle, spot);
        self.top = title.bottom() + 12.0;
        let spot = |x| Spot { x, y: self.top };
        for (name, role, anchor, spot) in [
            ("sender", Role::Head, Anchor::Middle, spot(self.sender_x)),
            ("receiver", Role::Head, Anchor::Middle, spot(self.receiver_x)),
            ("ms", Role::Time, Anchor::Start, spot(MARGIN)),
            ("ms", Role::Time, Anchor::End, spot(WIDTH - MARGIN)),
        ] {
            self.put(role, vec![name.to_owned()], anchor, spot);
        }
        self.top += LINE + 6.0;
    }

    /// Goes down the time lines: each event is as far below the last as the wait was long, within bounds, and
    /// far enough for the notes, so that packets of the same moment are told apart.
    fn put_notes(&mut self, notes: &[Note], show_time: impl Fn(Instant) -> String) -> Scale {
        let mut scale = Scale::default();
        let span = match (notes.first(), notes.last()) {
            (Some(first), Some(last)) => seconds(first.at, last.at),
            _ => 0.0,
        };
        let per_second = SCALE / span.max(1e-9);
        // Where the next note, and the next arrow, of each side can be at the earliest.
        let mut used = [self.top + LINE / 2.0; 2];
        let mut arrows = [self.top + LINE; 2];
        let mut shown = None;
        for (number, note) in notes.iter().enumerate() {
            let mut y = self.top + LINE;
            if let Some((before, last)) = scale.moments.last() {
                let gap = seconds(*before, note.at) * per_second;
                if gap > GAP_MAX {
                    self.breaks.push(last + GAP_MAX / 2.0);
                }
                let gap_min = if note.at > *before { GAP_MIN } else { 0.0 };
                y = last + gap.clamp(gap_min, GAP_MAX);
            }
            let side = place(note.side);
            let is_end = matches!(note.what, What::Ended(_) | What::EndedAtOnce(_));
            if is_end {
                y = y.max(arrows[side]);
            }
            // What arrives and is answered at once arrives where the answer has room.
            let is_answer = |next: &Note| next.at == note.at && next.side == note.side;
            let has_words = !note.lines.is_empty();
            if has_words || notes.get(number + 1).is_some_and(is_answer) {
                y = y.max(used[side] + LINE / 2.0);
            }
            if is_end {
                arrows[side] = y + GAP_MIN;
            }
            if has_words {
                // What happens at once has its time once.
                let time = if shown == Some(note.at) { String::new() } else { show_time(note.at) };
                shown = Some(note.at);
                used[side] = self.put_note(note, y, time);
            }
            scale.moments.push((note.at, y));
            scale.events.push((note.what, y));
        }
        let end = scale.moments.last().map_or(self.top + GAP_MAX, |(_, y)| *y);
        self.bottom = used.into_iter().fold(end + LINE, f64::max);
        scale
    }

    /// Returns where the note ends.
    fn put_note(&mut self, note: &Note, y: f64, time: String) -> f64 {
        let x = self.line_x(note.side);
        let top = y - LINE / 2.0;
        let (away, anchor, edge, edge_anchor) = match note.side {
            Side::Sender => (-LEADER, Anchor::End, MARGIN, Anchor::Start),
            Side::Receiver => (LEADER, Anchor::Start, WIDTH - MARGIN, Anchor::End),
        };
        let is_mark = matches!(note.what, What::Mark(_));
        let role = if is_mark { Role::Mark } else { Role::Note };
        let area = self.put(role, note.lines.clone(), anchor, Spot { x: x + away, y: top });
        if !time.is_empty() {
            self.put(Role::Time, vec![time], edge_anchor, Spot { x: edge, y: top });
        }
        self.leaders.push((Spot { x: x + away * 0.2, y }, Spot { x: x + away * 0.8, y }));
        if is_mark {
            self.dots.push(Spot { x, y });
        }
        area.bottom()
    }

    fn put_arrows(&mut self, ladder: &Ladder, scale: &Scale) {
        let mut ways = vec![(0.0, 0.0); ladder.flights.len()];
        for (what, y) in &scale.events {
            match *what {
                What::Sent(flight) => ways[flight].0 = *y,
                What::Ended(flight) | What::EndedAtOnce(flight) => ways[flight].1 = *y,
                What::Mark(_) => {}
            }
        }
        for (flight, (start, end)) in ladder.flights.iter().zip(ways) {
            let from = Spot { x: self.line_x(flight.from), y: start };
            let far = self.line_x(flight.from.other());
            let to = match flight.arrival {
                Arrival::At(_) | Arrival::Damaged(_) => Spot { x: far, y: end },
                Arrival::Lost { .. } => {
                    // Half the way to where it would have arrived, beside those that did.
                    let arrival = ladder
                        .usual_transit(flight)
                        .map(|transit| scale.height_of(flight.sent_at + transit).unwrap_or(start));
                    let end = arrival.unwrap_or(start).max(start + 2.0 * LINE);
                    Spot { x: f64::midpoint(from.x, far), y: f64::midpoint(start, end) }
                }
            };
            self.arrows.push(Arrow { from, to, style: Style::of(flight), end: End::of(flight) });
        }
        let crosses: Vec<Area> = self.arrows.iter().filter_map(Arrow::cross).collect();
        for (flight, arrow) in ladder.flights.iter().zip(self.arrows.clone()) {
            self.bottom = self.bottom.max(arrow.to.y + LINE);
            if let Arrival::Lost { cause } = &flight.arrival {
                self.put_cause(cause, flight.from, arrow.to, &crosses);
            }
        }
    }

    /// Beside the cross, ahead of it, and lower if something else is there.
    fn put_cause(&mut self, cause: &str, from: Side, at: Spot, crosses: &[Area]) {
        let room = (self.receiver_x - self.sender_x) / 2.0 - 24.0;
        let line = cut(&printable(cause), room);
        let (x, anchor) = match from {
            Side::Sender => (at.x + CROSS + 6.0, Anchor::Start),
            Side::Receiver => (at.x - CROSS - 6.0, Anchor::End),
        };
        let spot = Spot { x, y: at.y - LINE / 2.0 };
        let mut label = Label::new(Role::Cause, vec![line], anchor, spot);
        let taken = || self.labels.iter().map(|label| label.area).chain(crosses.iter().copied());
        while let Some(other) = taken().find(|other| label.area.meets(other)) {
            label.area.top = other.bottom();
        }
        self.bottom = self.bottom.max(label.area.bottom());
        self.labels.push(label);
    }

    /// Names the kinds of arrows that occur.
    fn put_legend(&mut self) {
        let mut kinds: Vec<(Style, End)> =
            self.arrows.iter().map(|arrow| (arrow.style, End::Head)).collect();
        kinds.extend(
            self.arrows
                .iter()
                .filter_map(|arrow| (arrow.end != End::Head).then_some((Style::Data, arrow.end))),
        );
        kinds.sort_unstable_by_key(|(style, end)| (*end, *style));
        kinds.dedup();
        let mut spot = Spot { x: MARGIN, y: self.bottom + 20.0 };
        for (style, end) in kinds {
            let lines = vec![kind_name(style, end).to_owned()];
            let text = text_width(&lines, FONT);
            if spot.x + 64.0 + text > WIDTH - MARGIN {
                spot = Spot { x: MARGIN, y: spot.y + LINE };
            }
            let from = Spot { x: spot.x, y: spot.y + LINE / 2.0 };
            let to = Spot { x: spot.x + 48.0, ..from };
            self.samples.push(Arrow { from, to, style, end });
            self.put(Role::Legend, lines, Anchor::Start, Spot { x: spot.x + 62.0, ..spot });
            spot.x += 62.0 + text + 30.0;
        }
        spot = Spot { x: MARGIN, y: spot.y + LINE };
        let scale = if self.breaks.is_empty() {
            "Time runs downwards; close events are drawn apart."
        } else {
            "Time runs downwards; close events are drawn apart, and waiting is cut at each //."
        };
        self.put(Role::Legend, vec![scale.to_owned()], Anchor::Start, spot);
        self.height = spot.y + LINE + 14.0;
    }

    fn put(&mut self, role: Role, lines: Vec<String>, anchor: Anchor, spot: Spot) -> Area {
        let label = Label::new(role, lines, anchor, spot);
        let area = label.area;
        self.labels.push(label);
        area
    }

    pub(super) fn line_x(&self, side: Side) -> f64 {
        match side {
            Side::Sender => self.sender_x,
            Side::Receiver => self.receiver_x,
        }
    }
}

impl Scale {
    /// How far down a moment is, between those that have a height.
    fn height_of(&self, at: Instant) -> Option<f64> {
        let next = self.moments.partition_point(|(moment, _)| *moment < at);
        let (before, after) = self.moments.split_at(next);
        match (before.last(), after.first()) {
            (Some((before, above)), Some((after, below))) => {
                let share = seconds(*before, at) / seconds(*before, *after);
                Some(above + (below - above) * share)
            }
            (Some((_, y)), None) | (None, Some((_, y))) => Some(*y),
            (None, None) => None,
        }
    }
}

fn notes(ladder: &Ladder, events: &[Event], width: usize) -> Vec<Note> {
    let note = |event: &Event| {
        let (side, text) = match event.what {
            What::Sent(flight) => {
                let flight = &ladder.flights[flight];
                (flight.from, flight.long_label())
            }
            What::Mark(mark) => (ladder.marks[mark].side, ladder.marks[mark].text.clone()),
            What::Ended(flight) | What::EndedAtOnce(flight) => {
                let flight = &ladder.flights[flight];
                let text = match flight.arrival {
                    Arrival::At(_) => String::new(),
                    Arrival::Damaged(_) => flight.short_label(),
                    // Its cross finds its own place.
                    Arrival::Lost { .. } => return None,
                };
                (flight.from.other(), text)
            }
        };
        let text = printable(&text);
        let lines = if text.is_empty() { Vec::new() } else { wrap(&text, width) };
        Some(Note { at: event.at, what: event.what, side, lines })
    };
    events.iter().filter_map(note).collect()
}

/// What notes and times need beside a time line.
fn room(notes: &[Note], side: Side, show_time: impl Fn(Instant) -> String) -> f64 {
    let notes = || notes.iter().filter(move |note| note.side == side);
    let text = notes().map(|note| text_width(&note.lines, FONT));
    let time = notes().map(|note| text_width(&[show_time(note.at)], FONT));
    MARGIN + time.fold(40.0, f64::max) + TIME_GAP + text.fold(60.0, f64::max) + LEADER
}

/// As much of the text as fits.
fn cut(text: &str, room: f64) -> String {
    let mut cut = text.to_owned();
    while text_width(std::slice::from_ref(&cut), FONT) > room && cut.pop().is_some() {}
    cut
}

const fn place(side: Side) -> usize {
    match side {
        Side::Sender => 0,
        Side::Receiver => 1,
    }
}

fn seconds(from: Instant, to: Instant) -> f64 {
    to.since(from).as_secs_f64()
}

fn kind_name(style: Style, end: End) -> &'static str {
    match (end, style) {
        (End::Cross, _) => "lost",
        (End::Damaged, _) => "arrives damaged",
        (End::Head, Style::Data) => "data",
        (End::Head, Style::Again) => "data sent again",
        (End::Head, Style::Ack) => "acknowledgement",
        (End::Head, Style::Control) => "control",
    }
}
