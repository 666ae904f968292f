//! A ladder (time-sequence diagram): the sender's time line on the left, the receiver's on the right, time
//! running down, and every packet an arrow between them.
//!
//! [`Ladder::text`] draws it for a terminal, [`Ladder::svg`] for a slide.

mod layout;
mod parts;
pub mod svg;
pub mod text;

use crate::base::time::{Duration, Instant};

/// One of the two time lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The side that sends the data, on the left.
    Sender,
    /// The side that receives it, on the right.
    Receiver,
}

/// What a packet carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Bytes of files.
    Data,
    /// An acknowledgement and nothing else.
    Ack,
    /// Handshake, control, probes, close.
    Control,
}

/// How a packet's way ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It arrives.
    At(Instant),
    /// It does not.
    Lost {
        /// What took it, so that "lost ..." reads on: "by chance", "in the queue".
        cause: String,
    },
    /// It arrives, the checksum does not match, and it is thrown away.
    Damaged(Instant),
}

/// One packet on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flight {
    /// Who sends it.
    pub from: Side,
    /// When.
    pub sent_at: Instant,
    /// How its way ends.
    pub arrival: Arrival,
    /// What it carries.
    pub kind: Kind,
    /// What it is, its name first, then after two spaces the rest: "5  bytes 5900-7079", "ACK 0-4". The
    /// end of the arrow shows only the name.
    pub label: String,
    /// Whether it carries bytes that went out before.
    pub is_again: bool,
}

/// Something that happens on one side: a timer fires, a packet is declared lost and why, what goes
/// out again and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Where.
    pub side: Side,
    /// When.
    pub at: Instant,
    /// What.
    pub text: String,
}

/// A transfer, or its beginning, as packets between two time lines. The order of flights and marks does not
/// matter except among those of the same moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ladder {
    /// What is seen, with the options that show it again.
    pub title: String,
    /// Every packet.
    pub flights: Vec<Flight>,
    /// Everything else.
    pub marks: Vec<Mark>,
}

/// Something that a diagram shows at one moment.
#[derive(Clone, Copy, Debug)]
struct Event {
    at: Instant,
    what: What,
}

/// Numbers are places in the ladder's lists. The order is the one within a moment: what arrives is the
/// reason for what is noticed, and that for what is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Ended(usize),
    Mark(usize),
    Sent(usize),
    /// The end of a flight that takes no time: its beginning must come first.
    EndedAtOnce(usize),
}

impl Ladder {
    /// The ladder up to its first `count` data packets: what is sent and noticed until the last of
    /// them has arrived. The title then says so.
    #[must_use]
    pub fn first(&self, count: usize) -> Self {
        let mut data: Vec<&Flight> = self.flights.iter().filter(|f| f.kind == Kind::Data).collect();
        if data.len() <= count {
            return self.clone();
        }
        data.sort_by_key(|flight| flight.sent_at);
        // Data packets of one moment are told apart by their order in the list.
        let mut left_of_moment = 0;
        let last_moment = count.checked_sub(1).map(|last| data[last].sent_at);
        if let Some(moment) = last_moment {
            left_of_moment = data[..count].iter().filter(|flight| flight.sent_at == moment).count();
        }
        let end = data[..count].iter().map(|flight| self.end_of(flight)).max().unwrap_or_default();
        let mut is_kept = |flight: &Flight| match (flight.kind, last_moment) {
            (_, None) => false,
            (Kind::Data, Some(moment)) if flight.sent_at == moment => {
                let is_kept = left_of_moment > 0;
                left_of_moment = left_of_moment.saturating_sub(1);
                is_kept
            }
            (Kind::Data, Some(moment)) => flight.sent_at < moment,
            _ => flight.sent_at <= end,
        };
        let flights = self.flights.iter().filter(|flight| is_kept(flight)).cloned().collect();
        let is_seen = |mark: &&Mark| last_moment.is_some() && mark.at <= end;
        Self {
            title: format!("{} (the first {count} data packets)", self.title),
            flights,
            marks: self.marks.iter().filter(is_seen).cloned().collect(),
        }
    }

    /// The ladder for a terminal that is `width` columns wide (at least 40 are used).
    #[must_use]
    pub fn text(&self, width: usize) -> text::Drawing {
        text::draw(self, width)
    }

    /// The ladder as a picture, a whole SVG file.
    #[must_use]
    pub fn svg(&self) -> String {
        svg::draw(&layout::Layout::of(self))
    }

    /// Everything that happens, in order.
    fn events(&self) -> Vec<Event> {
        let mut events = Vec::with_capacity(2 * self.flights.len() + self.marks.len());
        for (place, flight) in self.flights.iter().enumerate() {
            let end = self.end_of(flight);
            events.push(Event { at: flight.sent_at, what: What::Sent(place) });
            let what =
                if end > flight.sent_at { What::Ended(place) } else { What::EndedAtOnce(place) };
            events.push(Event { at: end, what });
        }
        let marks = self.marks.iter().enumerate();
        events.extend(marks.map(|(place, mark)| Event { at: mark.at, what: What::Mark(place) }));
        events.sort_by_key(|event| (event.at, event.what));
        events
    }

    /// When the arrow ends: on arrival, or for a lost packet half the way.
    fn end_of(&self, flight: &Flight) -> Instant {
        match flight.arrival {
            Arrival::At(at) | Arrival::Damaged(at) => at.max(flight.sent_at),
            Arrival::Lost { .. } => {
                flight.sent_at + self.usual_transit(flight).unwrap_or_default() / 2
            }
        }
    }

    /// How long the packets took that went the same way at about the same time and arrived.
    fn usual_transit(&self, lost: &Flight) -> Option<Duration> {
        let neighbour = &self.flights[self.neighbour(lost)?];
        neighbour.arrived_at().map(|at| at.since(neighbour.sent_at))
    }

    /// Which packet that arrived went the same way at about the same time.
    fn neighbour(&self, lost: &Flight) -> Option<usize> {
        let distance = |other: &Flight| {
            lost.sent_at.since(other.sent_at).max(other.sent_at.since(lost.sent_at))
        };
        self.flights
            .iter()
            .enumerate()
            .filter(|(_, other)| other.from == lost.from && other.arrived_at().is_some())
            .min_by_key(|(_, other)| (other.kind != lost.kind, distance(other)))
            .map(|(place, _)| place)
    }
}

impl Flight {
    /// What stands at the beginning of its arrow.
    fn long_label(&self) -> String {
        if self.is_again { format!("{}, again", self.label) } else { self.label.clone() }
    }

    /// What stands at the end of its arrow.
    fn short_label(&self) -> String {
        let name = self.label.split("  ").next().unwrap_or_default();
        match self.arrival {
            Arrival::Damaged(_) => format!("{name} damaged"),
            _ => name.to_owned(),
        }
    }

    fn arrived_at(&self) -> Option<Instant> {
        match self.arrival {
            Arrival::At(at) | Arrival::Damaged(at) => Some(at),
            Arrival::Lost { .. } => None,
        }
    }
}

impl Side {
    /// The side that it talks to.
    pub(super) const fn other(self) -> Self {
        match self {
            Self::Sender => Self::Receiver,
            Self::Receiver => Self::Sender,
        }
    }
}

/// Moments in milliseconds, with the fewest decimals that keep neighbours apart, one to three.
fn time_labels(moments: &[Instant]) -> impl Fn(Instant) -> String {
    let show = |at: Instant, decimals: usize| {
        let all = format!("{}.{:03}", at.as_nanos() / 1_000_000, at.as_nanos() / 1_000 % 1_000);
        all[..all.len() - (3 - decimals)].to_owned()
    };
    let is_enough = |decimals: &usize| {
        let mut pairs = moments.windows(2).filter(|pair| pair[0] != pair[1]);
        pairs.all(|pair| show(pair[0], *decimals) != show(pair[1], *decimals))
    };
    let decimals = (1..3).find(is_enough).unwrap_or(3);
    move |at| show(at, decimals)
}

#[cfg(test)]
mod tests;
