//! `volley simulate --ladder`: what the simulator recorded, as a time-sequence diagram.

use crate::base::time::Instant;
use crate::link::{Cause, Fate};
use crate::report::ladder::{Arrival, Flight, Kind, Ladder, Mark, Side};
use crate::sim::record::{self, Record, What};
use crate::transport::loss::LossRule;
use crate::transport::timers::Timer;
use crate::transport::trace::{Discard, TraceEvent};
use crate::wire::describe::{self, Element, Packet};
use crate::wire::header::low_bits;
use std::collections::HashSet;

/// The beginning of a recorded run, with that many DATA packets.
#[must_use]
pub fn of(title: &str, records: &[Record], packets: usize) -> Ladder {
    let mut ladder = Ladder { title: title.to_owned(), ..Ladder::default() };
    let again = sent_again(records);
    for record in records {
        let side = match record.side {
            record::Side::Receiver => Side::Receiver,
            record::Side::Sender => Side::Sender,
        };
        match &record.what {
            What::Sent { packet, fate } => {
                let is_data = matches!(packet.kind, describe::Kind::Data(_));
                let is_again = is_data && again.contains(&packet.number);
                ladder.flights.extend(flight(record.at, side, packet, *fate, is_again));
            }
            What::Noticed(event) => {
                let text = notice(event);
                ladder.marks.extend(text.map(|text| Mark { side, at: record.at, text }));
            }
            What::Completed | What::Received { .. } | What::Sampled { .. } => {}
        }
    }
    ladder.first(packets)
}

/// The numbers of the DATA packets whose bytes had been sent before.
fn sent_again(records: &[Record]) -> HashSet<u32> {
    let again = records.iter().filter_map(|record| match &record.what {
        What::Noticed(TraceEvent::DataSent { number, again: true, .. }) => Some(low_bits(*number)),
        _ => None,
    });
    again.collect()
}

fn flight(
    sent_at: Instant,
    from: Side,
    packet: &Packet,
    fate: Fate,
    is_again: bool,
) -> Option<Flight> {
    let (kind, label) = match &packet.kind {
        describe::Kind::Data(range) => {
            (Kind::Data, format!("{}  bytes {}-{}", packet.number, range.start, range.end - 1))
        }
        describe::Kind::Control(elements) => control(elements)?,
        describe::Kind::Handshake(name) => (Kind::Control, (*name).to_owned()),
        describe::Kind::Unreadable => return None,
    };
    let arrival = match fate {
        Fate::Arrives(arrival) if arrival.flip.is_some() => Arrival::Damaged(arrival.at),
        Fate::Arrives(arrival) => Arrival::At(arrival.at),
        Fate::Lost(cause) => Arrival::Lost { cause: name(cause).to_owned() },
    };
    Some(Flight { from, sent_at, arrival, kind, label, is_again })
}

fn control(elements: &[Element]) -> Option<(Kind, String)> {
    let ack = elements.iter().find_map(|element| match element {
        Element::Ack(ranges) => Some(ranges),
        Element::Other(_) => None,
    });
    if let Some(ranges) = ack {
        let shown: Vec<String> = ranges
            .iter()
            .map(|range| match range.end - range.start {
                1 => range.start.to_string(),
                _ => format!("{}-{}", range.start, range.end - 1),
            })
            .collect();
        return Some((Kind::Ack, format!("ACK {}", shown.join(", "))));
    }
    let names: Vec<&str> = elements
        .iter()
        .filter_map(|element| match element {
            Element::Other(name) => Some(*name),
            Element::Ack(_) => None,
        })
        .collect();
    (!names.is_empty()).then(|| (Kind::Control, names.join(" ")))
}

fn name(cause: Cause) -> &'static str {
    match cause {
        Cause::Burst => "in a burst",
        Cause::Chance => "by chance",
        Cause::Listed => "as listed",
        Cause::Oversize => "too large",
        Cause::Queue => "in the queue",
    }
}

fn notice(event: &TraceEvent) -> Option<String> {
    match event {
        TraceEvent::Lost { number, rule, .. } => Some(match rule {
            LossRule::Packets => format!("{number} is lost: 3 later ones are acknowledged"),
            LossRule::Time => format!("{number} is lost: its time is up"),
            LossRule::Timer => format!("the timer of {number} fires"),
        }),
        TraceEvent::TimerFired { timer: Timer::Pto } => Some("probe timeout".into()),
        TraceEvent::Discarded { number, reason, .. } => Some(match reason {
            Discard::Duplicate => format!("{number} was there already"),
            Discard::NoRoom => format!("no room for {number}"),
            Discard::OutOfOrder { .. } => format!("{number} is out of order"),
        }),
        _ => None,
    }
}
