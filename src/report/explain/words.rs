//! The words of the sentences.

use super::{Carried, Group, Narrator};
use crate::link::Cause;
use crate::report::ladder::Side;
use crate::report::summary::plural;
use crate::transport::arq::Strategy;
use crate::transport::congestion::Phase;
use crate::transport::loss::LossRule;
use crate::transport::trace::Discard;
use crate::wire::describe::{Element, Kind, Packet};
use std::ops::Range;

impl Narrator {
    pub(super) fn put(&self, group: &Group) -> String {
        match group {
            Group::Acked(numbers) => format!("{} acknowledged", self.are(numbers)),
            Group::Again { numbers, of } => self.put_again(numbers, of),
            Group::Arrived(number) => format!("{} arrives", self.name_of(*number)),
            Group::Dropped { numbers, cause } => {
                format!("{} lost on the link, {}", self.are(numbers), cause_of(*cause))
            }
            Group::Lost { numbers, rule: LossRule::Timer, .. } => self.put_timer(numbers),
            Group::Lost { numbers, rule, again } => self.put_loss(numbers, *rule, again),
            Group::Sent(numbers) => self.put_sent(numbers),
        }
    }

    fn put_sent(&self, numbers: &[u64]) -> String {
        let bytes = self.bytes_of(numbers);
        let bytes = bytes.map_or_else(String::new, |bytes| {
            format!("bytes {} to {}", bytes.start, bytes.end - 1)
        });
        let go = if numbers.len() > 1 { "go" } else { "goes" };
        match self.frames_of(numbers) {
            Some(frames) => {
                let (frames, packets) = (named("frame", &frames), named("packet", numbers));
                format!("{frames} {go} out in {packets}: {bytes}")
            }
            None => format!("{} {go} out with {bytes}", named("packet", numbers)),
        }
    }

    fn put_again(&self, numbers: &[u64], of: &[u64]) -> String {
        let now = named("packet", numbers);
        if let Some(frames) = self.frames_of(numbers) {
            let go = if frames.len() > 1 { "go" } else { "goes" };
            return format!("{} {go} out again in {now}", named("frame", &frames));
        }
        if !of.is_empty() {
            return format!("the bytes of {} go out again as {now}", named("packet", &dedup(of)));
        }
        let bytes = self.bytes_of(numbers).unwrap_or_default();
        let bytes = format!("bytes {} to {}", bytes.start, bytes.end.saturating_sub(1));
        if self.probe_timeouts > 0 {
            format!("{bytes} go out again as {now}, to ask for an acknowledgement")
        } else {
            format!("{bytes} go out again as {now}: the receiver says that it misses them (HAVE)")
        }
    }

    /// RFC 9002 6.1, with the packets that gave the others away.
    fn put_loss(&self, numbers: &[u64], rule: LossRule, again: &[(u64, u64)]) -> String {
        let first = numbers.iter().min().map_or(0, |first| first + 1);
        let later: Vec<u64> = self.acked.range(first..).copied().collect();
        let proof = match later.len() {
            0 => "later packets were".to_owned(),
            1 => format!("{} was", named("packet", &later)),
            _ => format!("{} were", named("packet", &later)),
        };
        let lost = list(numbers);
        let (was, is, its) = match numbers.len() {
            1 => ("was", "is", "its"),
            _ => ("were", "are", "their"),
        };
        let mut text = format!("{proof} acknowledged and {lost} {was} not");
        text += &match rule {
            LossRule::Time => {
                format!(", and {its} time is up: {lost} {is} presumed lost (RFC 9002 6.1.2)")
            }
            _ => format!(": {lost} {is} presumed lost (RFC 9002 6.1.1)"),
        };
        let (of, now): (Vec<u64>, Vec<u64>) = again.iter().copied().unzip();
        let now = named("packet", &now);
        if dedup(&of) == dedup(numbers) {
            text += &format!(" and {its} bytes go out again as {now}");
        } else if !of.is_empty() {
            text += &format!("; the bytes of {} go out again as {now}", list(&of));
        }
        text
    }

    /// What a classic strategy does when its timer fires.
    fn put_timer(&self, numbers: &[u64]) -> String {
        let frames = self.frames_of(numbers).unwrap_or_else(|| numbers.to_vec());
        let named = named("frame", &frames);
        let fire = if frames.len() > 1 { "timers of" } else { "timer of" };
        let fires = if frames.len() > 1 { "fire" } else { "fires" };
        let then = match (self.strategy, frames.first()) {
            (Strategy::GoBackN, Some(base)) => {
                format!("the window goes back to {base}, and all frames from there on go out again")
            }
            (Strategy::SelectiveRepeat, _) if frames.len() > 1 => {
                "they go out again, and no others".into()
            }
            (Strategy::SelectiveRepeat, _) => "it goes out again, and no other".into(),
            _ => "no acknowledgement came, and it goes out again".into(),
        };
        format!("the {fire} {named} {fires}: {then}")
    }

    /// "packets 2 and 3 are", or the frames that they are.
    fn are(&self, numbers: &[u64]) -> String {
        let frames = self.frames_of(numbers);
        let named = match &frames {
            Some(frames) => named("frame", frames),
            None => named("packet", numbers),
        };
        let count = frames.map_or(numbers.len(), |frames| frames.len());
        format!("{named} {}", if count > 1 { "are" } else { "is" })
    }

    /// "packet 7", or the frame that it is.
    pub(super) fn name_of(&self, number: u64) -> String {
        match self.packets.get(&number) {
            Some(Carried { frame: Some(frame), .. }) => format!("frame {frame} (packet {number})"),
            _ => format!("packet {number}"),
        }
    }

    /// The frame that begins at that offset.
    pub(super) fn frame_at(&self, offset: u64) -> Option<u64> {
        let mut carried = self.packets.values();
        carried.find(|carried| carried.range.start == offset).and_then(|carried| carried.frame)
    }

    /// The frames that those packets are, if all of them are.
    fn frames_of(&self, numbers: &[u64]) -> Option<Vec<u64>> {
        let frame = |number: &u64| self.packets.get(number).and_then(|carried| carried.frame);
        numbers.iter().map(frame).collect::<Option<Vec<u64>>>().map(|frames| dedup(&frames))
    }

    /// From the first to the last byte that those packets carry.
    fn bytes_of(&self, numbers: &[u64]) -> Option<Range<u64>> {
        let ranges = || numbers.iter().filter_map(|number| self.packets.get(number));
        let start = ranges().map(|carried| carried.range.start).min()?;
        let end = ranges().map(|carried| carried.range.end).max()?;
        Some(start..end)
    }
}

pub(super) fn hello(count: u32) -> String {
    match count {
        1 => "the sender says HELLO".into(),
        _ => "no answer yet: the sender says HELLO again".into(),
    }
}

pub(super) fn connected() -> String {
    "the answer is here: the connection is open".into()
}

pub(super) fn silence() -> String {
    "nothing was heard for too long: the connection is given up".into()
}

/// An acknowledgement goes out; missing packets are named if they are not below `from`.
pub(super) fn acknowledging(ranges: &[Range<u64>], from: u64) -> String {
    let gaps = ranges.windows(2).flat_map(|pair| pair[0].end.max(from)..pair[1].start);
    let missing: Vec<u64> = gaps.collect();
    let missing = match missing.len() {
        0 => String::new(),
        1 => format!(": {} is missing", list(&missing)),
        _ => format!(": {} are missing", list(&missing)),
    };
    format!("the receiver acknowledges {}{missing}", packets_in(ranges))
}

fn packets_in(ranges: &[Range<u64>]) -> String {
    let numbers: Vec<u64> = ranges.iter().cloned().flatten().collect();
    named("packet", &numbers)
}

pub(super) fn dropped_control(side: Side, packet: &Packet, cause: Cause) -> String {
    let whose = match side {
        Side::Receiver => "receiver's",
        Side::Sender => "sender's",
    };
    format!("the {whose} {} is lost on the link, {}", content(packet), cause_of(cause))
}

pub(super) fn damaged(side: Side, packet: &Packet) -> String {
    let what = match (&packet.kind, side) {
        (Kind::Data(_), _) => format!("packet {}", packet.number),
        (_, Side::Receiver) => "a packet of the sender".into(),
        (_, Side::Sender) => "a packet of the receiver".into(),
    };
    format!("{what} arrives damaged: the checksum does not match, and it is thrown away")
}

/// What a packet without data is.
fn content(packet: &Packet) -> String {
    match &packet.kind {
        Kind::Handshake(name) => (*name).to_owned(),
        Kind::Control(elements) => {
            let names = elements.iter().map(|element| match element {
                Element::Ack(ranges) => format!("ACK of {}", packets_in(ranges)),
                Element::Other(name) => (*name).to_owned(),
            });
            // What is acknowledged matters most.
            let mut names: Vec<String> = names.collect();
            names.sort_by_key(|name| !name.starts_with("ACK"));
            names.join(" with ")
        }
        Kind::Data(_) | Kind::Unreadable => format!("packet {}", packet.number),
    }
}

pub(super) fn discarded(name: &str, reason: Discard, missing: Option<u64>) -> String {
    match reason {
        Discard::Duplicate => {
            format!(
                "{name} arrives for nothing: its bytes are there already (it went again in vain)"
            )
        }
        Discard::NoRoom => {
            format!("{name} arrives and is thrown away: the receiver has no room for its bytes")
        }
        Discard::OutOfOrder { .. } => {
            let missing =
                missing.map_or_else(|| "an earlier one".into(), |frame| format!("frame {frame}"));
            format!(
                "{name} arrives and is thrown away: {missing} is missing, and the receiver keeps \
                 nothing out of order"
            )
        }
    }
}

/// What makes a window shrink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    Loss,
    Mark,
    Silence,
}

/// What a controller decided, if it is worth a word.
pub(super) fn congestion(
    (was, phase): (Option<Phase>, Phase),
    (before, window): (u64, u64),
    sign: Sign,
) -> Option<String> {
    let cut = format!("from {before} to {window} bytes");
    let text = match (was, phase) {
        _ if window < before && sign == Sign::Mark => {
            format!("the congestion window shrinks {cut} before anything is lost (RFC 9002 7.1)")
        }
        _ if window < before && sign == Sign::Silence => {
            format!(
                "nothing came back for several probe timeouts: the congestion window shrinks {cut} \
                 (RFC 9002 7.6)"
            )
        }
        _ if window < before && phase.is_of_window() => {
            format!(
                "a loss is taken for congestion: the congestion window shrinks {cut} (RFC 9438 4.6)"
            )
        }
        (None, Phase::SlowStart) => format!(
            "slow start: {window} bytes may be in flight, twice as many after each round trip \
             (RFC 9438 4.10)"
        ),
        (Some(Phase::ConservativeSlowStart), Phase::SlowStart) => {
            "the delay shrank again: slow start goes on (RFC 9406 4.2)".into()
        }
        (_, Phase::SlowStart) => format!("start-up begins again: {window} bytes may be in flight"),
        (_, Phase::ConservativeSlowStart) => {
            "the delay grew: slow start goes on more slowly, to see whether the delay stays \
             (HyStart++, RFC 9406 4.2)"
                .into()
        }
        (Some(Phase::ConservativeSlowStart), Phase::Avoidance) => format!(
            "the delay stayed: slow start is over at {window} bytes, before the queue overflows \
             (HyStart++, RFC 9406 4.2)"
        ),
        (_, Phase::Drain) => {
            "the rate grows no more, or too much is lost: start-up is over, and half of the rate drains its \
             queue (BBR)"
                .into()
        }
        (_, Phase::ProbeUp) => {
            "probe of the rate: a quarter more is sent, to see whether more arrives (BBR)".into()
        }
        (Some(Phase::ProbeUp), Phase::ProbeDown) => {
            "the probe is over: less than the rate is sent, until its queue is gone (BBR)".into()
        }
        (_, Phase::ProbeRoundTrip) => format!(
            "probe of the round trip: only {window} bytes may be in flight, so that no queue is (BBR)"
        ),
        (_, Phase::Avoidance | Phase::Steady | Phase::ProbeDown | Phase::Cruise | Phase::Refill) => {
            return None;
        }
    };
    Some(text)
}

pub(super) fn probe_timeout(count: u32) -> String {
    let again = match count {
        1 => String::new(),
        count => format!(", {count} times in a row; the wait doubles each time"),
    };
    format!("nothing was acknowledged for too long{again}: probe timeout (RFC 9002 6.2)")
}

pub(super) fn mtu_probe(number: u64, bytes: u16) -> String {
    format!("packet {number} asks whether datagrams of {bytes} bytes come through (RFC 8899)")
}

pub(super) fn datagram_size(before: u16, bytes: u16) -> String {
    if bytes > before {
        format!("the probe came through: from now on datagrams have up to {bytes} bytes")
    } else {
        format!("large datagrams no longer come through: back to {bytes} bytes (RFC 8899 4.3)")
    }
}

pub(super) fn credit(limit: u64) -> String {
    format!("the receiver gives credit: bytes up to {} may go", limit.saturating_sub(1))
}

pub(super) fn blocked(limit: u64) -> String {
    format!("all bytes below {limit} are out, and the sender waits for the receiver's credit")
}

pub(super) fn marked(packets: u64) -> String {
    let packets = plural(packets, "packet", "packets");
    format!("{packets} met congestion: a queue marked in time what it would soon drop (RFC 3168)")
}

pub(super) fn spurious(number: u64) -> String {
    format!("packet {number} was only late: it is acknowledged after all (RFC 9438 4.9)")
}

fn cause_of(cause: Cause) -> &'static str {
    match cause {
        Cause::Burst => "in a burst",
        Cause::Chance => "by chance",
        Cause::Listed => "as listed",
        Cause::Oversize => "for it is larger than the link's MTU",
        Cause::Queue => "for the queue is full",
    }
}

/// In order, each once.
fn dedup(numbers: &[u64]) -> Vec<u64> {
    let mut numbers = numbers.to_vec();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

/// "packet 2", "packets 2 to 5 and 8".
fn named(noun: &str, numbers: &[u64]) -> String {
    format!("{noun}{} {}", if numbers.len() > 1 { "s" } else { "" }, list(numbers))
}

/// "2", "2 and 3", "2 to 5, 7 and 9 to 12".
fn list(numbers: &[u64]) -> String {
    let mut runs: Vec<Range<u64>> = Vec::new();
    for number in dedup(numbers) {
        match runs.last_mut() {
            Some(run) if run.end == number => run.end += 1,
            _ => runs.push(number..number + 1),
        }
    }
    let mut parts = Vec::new();
    for run in runs {
        match run.end - run.start {
            1 => parts.push(run.start.to_string()),
            2 => parts.extend([run.start.to_string(), (run.start + 1).to_string()]),
            _ => parts.push(format!("{} to {}", run.start, run.end - 1)),
        }
    }
    match parts.pop() {
        None => String::new(),
        Some(last) if parts.is_empty() => last,
        Some(last) => format!("{} and {last}", parts.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_people_say_them() {
        assert_eq!(list(&[7]), "7");
        assert_eq!(list(&[8, 7]), "7 and 8");
        assert_eq!(list(&[2, 3, 4, 5]), "2 to 5");
        assert_eq!(list(&[1, 3, 4, 6, 7, 8]), "1, 3, 4 and 6 to 8");
        assert_eq!(named("packet", &[9]), "packet 9");
        assert_eq!(named("frame", &[9, 10]), "frames 9 and 10");
    }
}
