//! What happens during transfers, as one JSON object for each event. `samples/jsonl.md` is its page,
//! `samples/jsonl.schema.json` its schema.

use super::lost_bytes::LostBytes;
use crate::base::time::{Duration, Instant};
use crate::base::units::Rate;
use crate::transfer::outcome::{Failure, Reason, TransferReport};
use crate::transfer::session::{Phase, Progress};
use crate::transport::loss::LossRule;
use crate::transport::trace::TraceEvent;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Range;

/// Between two progress events of a transfer.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(250);

/// Makes events of what it is told, and remembers what it takes to do so.
#[derive(Debug, Default)]
pub struct Events {
    transfers: BTreeMap<u64, Transfer>,
    /// No event is earlier than the one before it.
    latest: Instant,
}

/// A transfer under way.
#[derive(Debug)]
struct Transfer {
    peer: String,
    began: Instant,
    phase: Option<Phase>,
    next_progress: Instant,
    lost: LostBytes,
}

impl Events {
    /// This side listens.
    pub fn listening(&mut self, at: Instant, address: SocketAddr) -> Value {
        let (address, port) = (address.ip().to_string(), address.port());
        self.stamp(at, json!({ "event": "listening", "address": address, "port": port }))
    }

    /// A transfer with `peer` began.
    pub fn started(&mut self, at: Instant, id: u64, peer: String) {
        let (phase, next_progress, lost) = (None, Instant::ZERO, LostBytes::default());
        self.transfers.insert(id, Transfer { peer, began: at, phase, next_progress, lost });
    }

    /// How far a transfer is: an event for each phase, and one for the progress every now and then.
    pub fn progress(&mut self, at: Instant, id: u64, progress: &Progress) -> Vec<Value> {
        let Some(transfer) = self.transfers.get_mut(&id) else {
            return Vec::new();
        };
        let mut values = Vec::new();
        if transfer.phase.replace(progress.phase) != Some(progress.phase) {
            let phase = match progress.phase {
                Phase::Connecting => "connecting",
                Phase::Planning => "planning",
                Phase::Transferring => "transferring",
                Phase::Committing => "committing",
            };
            values.push(json!({ "event": "phase", "phase": phase }));
        }
        if progress.phase != Phase::Connecting && at >= transfer.next_progress {
            transfer.next_progress = at + PROGRESS_INTERVAL;
            values.push(transfer.measure(at, progress));
        }
        values.into_iter().map(|value| self.of(at, id, value)).collect()
    }

    /// A transfer goes on over TCP, because UDP gets no answer.
    pub fn fell_back(&mut self, at: Instant, id: u64) -> Value {
        self.of(at, id, json!({ "event": "fallback", "carrier": "tcp" }))
    }

    /// The other side is lost, and will be tried again after `pause`.
    pub fn retrying(&mut self, at: Instant, id: u64, failure: &Failure, pause: Duration) -> Value {
        let (text, pause) = (&failure.text, pause.as_secs_f64());
        self.of(at, id, json!({ "event": "retry", "text": text, "pause_seconds": pause }))
    }

    /// Something happened to a packet; most of it is no event.
    pub fn traced(&mut self, at: Instant, id: u64, event: &TraceEvent) -> Option<Value> {
        let transfer = self.transfers.get_mut(&id)?;
        let value = match event {
            TraceEvent::Lost { number, range, rule } => {
                transfer.lost.lose(*number, range.as_ref());
                loss(*number, range.as_ref(), *rule)
            }
            TraceEvent::DataSent { number, range, again: true, .. } => {
                retransmission(*number, range, transfer.lost.find(range))
            }
            _ => return None,
        };
        Some(self.of(at, id, value))
    }

    /// A transfer is over: complete, or failed. `result` is what `--json` prints; `dropped` events of
    /// this run had to be left out.
    pub fn ended(
        &mut self,
        at: Instant,
        id: u64,
        failure: Option<&Failure>,
        result: Value,
        dropped: u64,
    ) -> Value {
        let mut value = failure.map_or_else(|| json!({ "event": "complete" }), error);
        value["result"] = result;
        value["events_dropped"] = dropped.into();
        let value = self.of(at, id, value);
        self.transfers.remove(&id);
        value
    }

    /// The program ends with an error that belongs to no transfer.
    pub fn failed(&mut self, at: Instant, failure: &Failure, dropped: u64) -> Value {
        let mut value = error(failure);
        for key in ["transfer", "peer", "result"] {
            value[key] = Value::Null;
        }
        value["events_dropped"] = dropped.into();
        self.stamp(at, value)
    }

    /// Says of which transfer an event is.
    fn of(&mut self, at: Instant, id: u64, mut value: Value) -> Value {
        value["transfer"] = id.into();
        value["peer"] = self.transfers.get(&id).map(|known| known.peer.as_str()).into();
        self.stamp(at, value)
    }

    /// Says when an event was.
    fn stamp(&mut self, at: Instant, mut value: Value) -> Value {
        self.latest = self.latest.max(at);
        let micros = self.latest.as_nanos() / 1000;
        value["time"] = (micros as f64 / 1e6).into();
        value
    }
}

impl Transfer {
    fn measure(&self, at: Instant, progress: &Progress) -> Value {
        let Progress { done, total, stats, .. } = progress;
        // A receiver sends no data: it knows nothing of the path.
        let stats = stats.as_ref().filter(|stats| stats.data_packets_sent > 0);
        json!({
            "event": "progress",
            "bytes": done,
            "total": total,
            "goodput_bits_per_second": Rate::of(*done, at.since(self.began)).bits_per_second(),
            "rtt_seconds": stats.map(|stats| stats.smoothed_rtt.as_secs_f64()),
            "observed_loss": stats.map(|stats| stats.observed_loss().get()),
            "retransmissions": stats.map(|stats| stats.retransmissions),
        })
    }
}

/// A packet was declared lost, in the words of `--jsonl` and `--trace`.
pub(super) fn loss(number: u64, range: Option<&Range<u64>>, rule: LossRule) -> Value {
    let rule = match rule {
        LossRule::Packets => "packets",
        LossRule::Time => "time",
        LossRule::Timer => "timer",
    };
    let (offset, bytes) = range.map(place).unzip();
    json!({ "event": "loss", "packet": number, "offset": offset, "bytes": bytes, "rule": rule })
}

/// Bytes go again that lost packet `of` had, if one was lost.
pub(super) fn retransmission(number: u64, range: &Range<u64>, of: Option<u64>) -> Value {
    let (offset, bytes) = place(range);
    json!({
        "event": "retransmission", "packet": number, "of": of, "offset": offset, "bytes": bytes,
    })
}

/// What a transfer that is over failed with, in one sentence; nothing if every file is committed.
#[must_use]
pub fn failure_of(report: &TransferReport) -> Option<Failure> {
    let reason = report.verdict()?;
    let of_files = report.files.iter().filter_map(|file| file.outcome.as_ref().err());
    let same = report.failure.iter().chain(of_files).find(|failure| failure.reason == reason);
    let text = same.map_or("files failed for different reasons", |failure| &failure.text);
    Some(Failure::new(reason, text))
}

/// What went wrong.
pub(super) fn error(failure: &Failure) -> Value {
    json!({
        "event": "error",
        "exit_code": failure.reason.code(),
        "reason": name(failure.reason),
        "text": failure.text,
    })
}

/// Where bytes are, and how many.
pub(super) fn place(range: &Range<u64>) -> (u64, u64) {
    (range.start, range.end - range.start)
}

fn name(reason: Reason) -> &'static str {
    match reason {
        Reason::Deadline => "deadline",
        Reason::Exists => "exists",
        Reason::Full => "full",
        Reason::HungUp => "hung-up",
        Reason::Integrity => "integrity",
        Reason::Interrupted => "interrupted",
        Reason::Other => "other",
        Reason::Refused => "refused",
        Reason::Source => "source",
        Reason::Terminated => "terminated",
        Reason::Unreachable => "unreachable",
        Reason::User => "user",
        Reason::Version => "version",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_nanos(ms * 1_000_000)
    }

    fn begun() -> Events {
        let mut events = Events::default();
        events.started(at(0), 1, "192.0.2.7:7117".into());
        events
    }

    fn lost(events: &mut Events, number: u64, range: Range<u64>) -> Value {
        let event = TraceEvent::Lost { number, range: Some(range), rule: LossRule::Packets };
        events.traced(at(5), 1, &event).expect("an event")
    }

    fn again(events: &mut Events, number: u64, range: Range<u64>) -> Value {
        let event = TraceEvent::DataSent { number, range, again: true, frame: None };
        events.traced(at(6), 1, &event).expect("an event")["of"].take()
    }

    #[test]
    fn an_event_says_when_and_of_which_transfer() {
        let mut events = begun();
        let shown = lost(&mut events, 3, 10..20).to_string();
        assert_eq!(
            shown,
            r#"{"bytes":10,"event":"loss","offset":10,"packet":3,"peer":"192.0.2.7:7117","rule":"packets","time":0.005,"transfer":1}"#
        );
    }

    #[test]
    fn a_retransmission_names_the_lost_packet() {
        let mut events = begun();
        lost(&mut events, 1, 10..20);
        lost(&mut events, 2, 20..30);
        lost(&mut events, 3, 50..60);
        assert_eq!(again(&mut events, 9, 10..15), 1);
        assert_eq!(again(&mut events, 10, 15..28), 1, "and a part of 2");
        assert_eq!(again(&mut events, 11, 28..30), 2);
        assert_eq!(again(&mut events, 12, 28..30), Value::Null, "nobody said that 11 is lost");
        lost(&mut events, 12, 28..30);
        assert_eq!(again(&mut events, 13, 28..30), 12);
        assert_eq!(again(&mut events, 14, 50..60), 3);
        assert!(events.transfers[&1].lost.len() <= 1);
    }

    #[test]
    fn each_phase_is_told_once_and_progress_four_times_a_second() {
        let mut events = begun();
        let mut counts = [0, 0];
        for ms in 0..1000 {
            let phase = if ms < 500 { Phase::Transferring } else { Phase::Committing };
            let progress =
                Progress { phase, done: ms, total: 1000, is_total_known: true, stats: None };
            for value in events.progress(at(ms), 1, &progress) {
                counts[usize::from(value["event"] == "progress")] += 1;
            }
        }
        assert_eq!(counts, [2, 4]);
    }

    #[test]
    fn time_never_goes_back() {
        let mut events = begun();
        events.listening(at(10), ([127, 0, 0, 1], 7117).into());
        assert_eq!(lost(&mut events, 1, 0..1)["time"], 0.010);
    }
}
