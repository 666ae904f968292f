//! A transfer in sentences: what happened, why, and by which section of which RFC; a classic strategy
//! in the words of its textbook.
//!
//! [`Narrator::hear`] takes what happens in order and gives back what there is to say. Things of one
//! kind at one moment make one sentence, so a sentence is complete only when something else happens
//! (`Group`). What is remembered has a bound.

mod sentence;
mod words;

pub use sentence::{Sentence, head};

use self::words::Sign;
use super::happening::{Happening, What};
use super::ladder::Side;
use super::lost_bytes::LostBytes;
use crate::base::time::Instant;
use crate::link::Cause;
use crate::transport::arq::Strategy;
use crate::transport::congestion::Phase;
use crate::transport::loss::LossRule;
use crate::transport::timers::Timer;
use crate::transport::trace::{Discard, TraceEvent};
use crate::wire::describe::{Element, Kind, Packet};
use crate::wire::header::full_packet_number;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Packets remembered, of those sent and of those acknowledged.
const REMEMBERED_MAX: usize = 1 << 14;

/// What a DATA packet carries.
#[derive(Clone, Debug)]
struct Carried {
    range: Range<u64>,
    /// Which frame of a classic strategy it is.
    frame: Option<u64>,
}

/// What is to be said in one sentence. Numbers are those of packets.
#[derive(Debug)]
enum Group {
    /// An acknowledgement arrived.
    Acked(Vec<u64>),
    /// Bytes go out again, and of which lost packets.
    Again { numbers: Vec<u64>, of: Vec<u64> },
    /// A frame arrived.
    Arrived(u64),
    /// The link takes DATA packets.
    Dropped { numbers: Vec<u64>, cause: Cause },
    /// Packets count as lost; and which of them go again at once, as which packets.
    Lost { numbers: Vec<u64>, rule: LossRule, again: Vec<(u64, u64)> },
    /// New bytes go out.
    Sent(Vec<u64>),
}

/// Tells a transfer.
#[derive(Debug)]
pub struct Narrator {
    strategy: Strategy,
    /// Tell only what becomes of those bytes.
    focus: Option<Range<u64>>,
    packets: BTreeMap<u64, Carried>,
    acked: BTreeSet<u64>,
    lost: LostBytes,
    pending: Option<(Instant, Group)>,
    told: Vec<Sentence>,
    phase: Option<Phase>,
    datagram: u16,
    hellos: u32,
    /// Of packets below this it was said if they were missing.
    missing_from: u64,
    /// Probe timeouts since something was acknowledged.
    probe_timeouts: u32,
    /// When it was last known of packets that they met congestion.
    marked_at: Option<Instant>,
    /// The next credit is worth a word.
    waits_for_credit: bool,
}

impl Narrator {
    /// Tells everything.
    #[must_use]
    pub fn new(strategy: Strategy) -> Self {
        Self {
            strategy,
            focus: None,
            packets: BTreeMap::new(),
            acked: BTreeSet::new(),
            lost: LostBytes::default(),
            pending: None,
            told: Vec::new(),
            phase: None,
            datagram: 0,
            hellos: 0,
            missing_from: 0,
            probe_timeouts: 0,
            marked_at: None,
            waits_for_credit: true,
        }
    }

    /// Tells only what becomes of those bytes of the transfer space.
    #[must_use]
    pub fn about(strategy: Strategy, bytes: Range<u64>) -> Self {
        Self { focus: Some(bytes), ..Self::new(strategy) }
    }

    /// Something happened, not before what happened last. Gives back what can be said now.
    pub fn hear(&mut self, happening: &Happening<'_>) -> Vec<Sentence> {
        let at = happening.at;
        match (happening.what, happening.side) {
            (What::Noticed(event), Side::Sender) => self.on_sender(at, event),
            (What::Noticed(TraceEvent::Discarded { number, reason, .. }), Side::Receiver) => {
                self.on_discarded(at, *number, *reason);
            }
            (What::Dropped { number, packet, cause }, side) => {
                self.on_dropped(at, side, number, packet, cause);
            }
            // The packets of everything have no place in the story of some.
            _ if self.focus.is_some() => {}
            (What::Sent(packet), side) => self.on_sent(at, side, packet),
            (What::Received(packet), Side::Receiver) => self.on_received(at, packet),
            (What::Damaged(packet), side) => self.say(at, words::damaged(side, packet)),
            (What::Completed, _) => {
                self.say(at, "the receiver has every byte: the transfer is complete".into());
            }
            (What::Noticed(_), Side::Receiver)
            | (What::Received(_), Side::Sender)
            | (What::Measured { .. }, _) => {}
        }
        std::mem::take(&mut self.told)
    }

    /// Nothing more happens. Gives back what is left to say.
    pub fn finish(&mut self) -> Vec<Sentence> {
        self.flush();
        std::mem::take(&mut self.told)
    }

    fn say(&mut self, at: Instant, text: String) {
        self.flush();
        self.told.push(Sentence { at, text });
    }

    /// Says something that is not about certain bytes.
    fn remark(&mut self, at: Instant, text: impl FnOnce() -> String) {
        if self.focus.is_none() {
            self.say(at, text());
        }
    }

    fn on_sender(&mut self, at: Instant, event: &TraceEvent) {
        match event {
            TraceEvent::Acked { number } => self.on_acked(at, *number),
            TraceEvent::Congestion { phase, window, before } => {
                let was = self.phase.replace(*phase);
                let sign = match self.probe_timeouts {
                    3.. => Sign::Silence,
                    _ if self.marked_at == Some(at) => Sign::Mark,
                    _ => Sign::Loss,
                };
                let text = words::congestion((was, *phase), (*before, *window), sign);
                if let Some(text) = text {
                    self.remark(at, || text);
                }
            }
            TraceEvent::DataSent { number, range, again, frame } => {
                let carried = Carried { range: range.clone(), frame: *frame };
                self.packets.insert(*number, carried);
                if self.packets.len() > REMEMBERED_MAX {
                    self.packets.pop_first();
                }
                self.on_data(at, *number, range, *again);
            }
            TraceEvent::Lost { number, range, rule } => {
                self.lost.lose(*number, range.as_ref());
                self.on_lost(at, *number, *rule);
            }
            TraceEvent::TimerFired { timer: Timer::Pto } => {
                self.probe_timeouts += 1;
                let count = self.probe_timeouts;
                self.remark(at, || words::probe_timeout(count));
            }
            TraceEvent::DatagramSize { bytes } => {
                let before = std::mem::replace(&mut self.datagram, *bytes);
                self.remark(at, || words::datagram_size(before, *bytes));
            }
            TraceEvent::Credit { limit } => {
                if std::mem::take(&mut self.waits_for_credit) {
                    self.remark(at, || words::credit(*limit));
                }
            }
            TraceEvent::Blocked { limit } => {
                self.waits_for_credit = true;
                self.remark(at, || words::blocked(*limit));
            }
            TraceEvent::Connected => self.remark(at, words::connected),
            TraceEvent::Marked { packets } => {
                self.marked_at = Some(at);
                self.remark(at, || words::marked(*packets));
            }
            TraceEvent::MtuProbe { number, bytes } => {
                self.remark(at, || words::mtu_probe(*number, *bytes));
            }
            TraceEvent::Spurious { number } if self.concerns(*number) => {
                self.say(at, words::spurious(*number));
            }
            TraceEvent::TimerFired { timer: Timer::Idle } => self.remark(at, words::silence),
            TraceEvent::Discarded { .. }
            | TraceEvent::Spurious { .. }
            | TraceEvent::TimerFired { .. } => {}
        }
    }

    fn on_data(&mut self, at: Instant, number: u64, range: &Range<u64>, again: bool) {
        let of = if again { self.lost.find(range) } else { None };
        if !self.concerns(number) {
            return;
        }
        match (&mut self.pending, of) {
            (Some((moment, Group::Sent(numbers))), _) if *moment == at && !again => {
                numbers.push(number);
            }
            (Some((moment, Group::Lost { numbers, rule, again })), Some(of))
                if *moment == at && *rule != LossRule::Timer && numbers.contains(&of) =>
            {
                again.push((of, number));
            }
            (Some((moment, Group::Again { numbers, of: lost })), _) if *moment == at && again => {
                numbers.push(number);
                lost.extend(of);
            }
            _ => {
                let group = match again {
                    true => Group::Again { numbers: vec![number], of: of.into_iter().collect() },
                    false => Group::Sent(vec![number]),
                };
                self.begin(at, group);
            }
        }
    }

    fn on_acked(&mut self, at: Instant, number: u64) {
        if !matches!(self.pending, Some((_, Group::Acked(_)))) {
            // What is acknowledged from here on has proved no earlier loss.
            self.flush();
        }
        self.probe_timeouts = 0;
        self.acked.insert(number);
        if self.acked.len() > REMEMBERED_MAX {
            self.acked.pop_first();
        }
        // Those that carry no data are of no interest.
        if !self.packets.contains_key(&number) || !self.concerns(number) {
            return;
        }
        match &mut self.pending {
            Some((moment, Group::Acked(numbers))) if *moment == at => numbers.push(number),
            _ => self.begin(at, Group::Acked(vec![number])),
        }
    }

    fn on_lost(&mut self, at: Instant, number: u64, rule: LossRule) {
        if !self.concerns(number) {
            return;
        }
        match &mut self.pending {
            Some((moment, Group::Lost { numbers, rule: same, .. }))
                if *moment == at && *same == rule =>
            {
                numbers.push(number);
            }
            _ => self.begin(at, Group::Lost { numbers: vec![number], rule, again: Vec::new() }),
        }
    }

    fn on_dropped(
        &mut self,
        at: Instant,
        side: Side,
        number: u32,
        packet: Option<&Packet>,
        cause: Cause,
    ) {
        if let Some(packet) = packet.filter(|packet| !matches!(packet.kind, Kind::Data(_))) {
            self.remark(at, || words::dropped_control(side, packet, cause));
            return;
        }
        let latest = self.packets.last_key_value().map_or(0, |(number, _)| *number);
        let number = full_packet_number(latest, number);
        if !self.concerns(number) {
            return;
        }
        match &mut self.pending {
            Some((moment, Group::Dropped { numbers, cause: same }))
                if *moment == at && *same == cause =>
            {
                numbers.push(number);
            }
            _ => self.begin(at, Group::Dropped { numbers: vec![number], cause }),
        }
    }

    fn on_sent(&mut self, at: Instant, side: Side, packet: &Packet) {
        match &packet.kind {
            Kind::Handshake("HELLO") => {
                self.hellos += 1;
                self.say(at, words::hello(self.hellos));
            }
            Kind::Handshake(name) => self.say(at, format!("the receiver answers {name}")),
            Kind::Control(elements) if side == Side::Receiver => {
                let acks = elements.iter().find_map(|element| match element {
                    Element::Ack(ranges) => Some(ranges),
                    Element::Other(_) => None,
                });
                if let Some(ranges) = acks {
                    self.on_acknowledging(at, ranges);
                }
            }
            Kind::Control(_) | Kind::Data(_) | Kind::Unreadable => {}
        }
    }

    /// The receiver acknowledges: of a classic strategy's, the frame that has just arrived.
    fn on_acknowledging(&mut self, at: Instant, ranges: &[Range<u64>]) {
        match self.pending.take() {
            Some((moment, Group::Arrived(number))) if moment == at => {
                let frame = self.name_of(number);
                self.say(at, format!("{frame} arrives, and the receiver acknowledges it"));
            }
            pending => {
                self.pending = pending;
                if self.strategy == Strategy::Volley {
                    self.say(at, words::acknowledging(ranges, self.missing_from));
                    let end = ranges.iter().map(|range| range.end).max();
                    self.missing_from = self.missing_from.max(end.unwrap_or_default());
                }
            }
        }
    }

    fn on_received(&mut self, at: Instant, packet: &Packet) {
        if self.strategy != Strategy::Volley && matches!(packet.kind, Kind::Data(_)) {
            self.begin(at, Group::Arrived(packet.number.into()));
        }
    }

    fn on_discarded(&mut self, at: Instant, number: u64, reason: Discard) {
        if self.concerns(number) {
            // What arrived is what is thrown away.
            self.pending.take_if(|(_, group)| matches!(group, Group::Arrived(_)));
            let missing = match reason {
                Discard::OutOfOrder { missing } => self.frame_at(missing),
                Discard::Duplicate | Discard::NoRoom => None,
            };
            self.say(at, words::discarded(&self.name_of(number), reason, missing));
        }
    }

    /// Whether the packet's bytes are among those that are told of.
    fn concerns(&self, number: u64) -> bool {
        self.focus.as_ref().is_none_or(|focus| {
            let carried = self.packets.get(&number).map(|carried| &carried.range);
            carried.is_some_and(|range| range.start < focus.end && focus.start < range.end)
        })
    }

    fn begin(&mut self, at: Instant, group: Group) {
        self.flush();
        self.pending = Some((at, group));
    }

    fn flush(&mut self) {
        if let Some((at, group)) = self.pending.take() {
            let text = self.put(&group);
            self.told.push(Sentence { at, text });
        }
    }
}

#[cfg(test)]
mod tests;
