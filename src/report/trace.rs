//! Every event of a simulated run, as one JSON object a line. `samples/trace.md` is its page,
//! `samples/trace.schema.json` its schema.
//!
//! Words that `--jsonl` has too mean the same here, and come from the same code.

use super::events::{error, loss, place, retransmission};
use super::happening::{Happening, What};
use super::json::configured;
use super::ladder::Side;
use super::lost_bytes::LostBytes;
use crate::base::time::{Duration, Instant};
use crate::base::units::Rate;
use crate::link::{Cause, LinkConfig};
use crate::transfer::outcome::Failure;
use crate::transport::config::CongestionChoice;
use crate::transport::congestion::Phase;
use crate::transport::timers::Timer;
use crate::transport::trace::{Discard, TraceEvent};
use crate::wire::describe::{Element, Kind, Packet};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What the first line calls the format, and its version. A field or an event that is added changes
/// nothing; one that goes, or means something else, changes the version.
const FORMAT: (&str, u32) = ("volley-trace", 1);

/// How a run was ordered, for the first line.
#[derive(Clone, Debug)]
pub struct Settings<'a> {
    /// The strategy's name.
    pub strategy: &'a str,
    /// Frames that a classic strategy may have outstanding.
    pub window: Option<u32>,
    /// How long a classic strategy waits.
    pub timeout: Option<Duration>,
    /// How volley's own way chooses its rate.
    pub congestion: CongestionChoice,
    /// File bytes of each transfer.
    pub size: u64,
    /// Transfers side by side.
    pub flows: usize,
    /// What all luck is drawn from.
    pub seed: u64,
    /// From the senders to the receivers, and the other way.
    pub ways: [&'a LinkConfig; 2],
}

/// Makes lines, and remembers what it takes to do so.
#[derive(Debug, Default)]
pub struct Lines {
    transfers: BTreeMap<u64, Transfer>,
}

/// What is remembered of a transfer.
#[derive(Debug, Default)]
struct Transfer {
    lost: LostBytes,
    /// What was last measured of the path.
    path: Option<(u64, u64, Duration)>,
}

impl Lines {
    /// The first line.
    #[must_use]
    pub fn head(settings: &Settings<'_>) -> Value {
        let [out, back] = settings.ways.map(configured);
        let (congestion, rate) = match settings.congestion {
            CongestionChoice::Cubic => ("cubic", None),
            CongestionChoice::Ebb => ("ebb", None),
            CongestionChoice::Bbr => ("bbr", None),
            CongestionChoice::Fixed(rate) => ("fixed", Some(rate)),
        };
        json!({
            "event": "trace",
            "time": 0.0,
            "format": FORMAT.0,
            "version": FORMAT.1,
            "program": concat!("volley ", env!("CARGO_PKG_VERSION")),
            "seed": settings.seed,
            "settings": {
                "strategy": settings.strategy,
                "window_frames": settings.window,
                "timeout_seconds": settings.timeout.map(|timeout| timeout.as_secs_f64()),
                "congestion": congestion,
                "congestion_bits_per_second": rate.map(Rate::bits_per_second),
                "bytes": settings.size,
                "transfers": settings.flows,
                "link": { "out": out, "back": back },
            },
        })
    }

    /// The line of something that happened; none if a measurement found nothing new.
    pub fn line(&mut self, happening: &Happening<'_>) -> Option<Value> {
        let transfer = self.transfers.entry(happening.transfer).or_default();
        let mut value = match happening.what {
            What::Completed => json!({ "event": "complete" }),
            What::Damaged(packet) => drop(packet.number, "damage", happening.side.other()),
            What::Dropped { number, cause, .. } => drop(number, cause_name(cause), happening.side),
            What::Measured { congestion_window, bytes_in_flight, smoothed_rtt } => {
                let path = (congestion_window, bytes_in_flight, smoothed_rtt);
                if transfer.path.replace(path) == Some(path) {
                    return None;
                }
                json!({
                    "event": "path",
                    "cwnd_bytes": congestion_window,
                    "bytes_in_flight": bytes_in_flight,
                    "rtt_seconds": smoothed_rtt.as_secs_f64(),
                })
            }
            What::Noticed(event) => noticed(event, &mut transfer.lost),
            What::Received(packet) => datagram("received", packet),
            What::Sent(packet) => datagram("sent", packet),
        };
        value["transfer"] = happening.transfer.into();
        value["side"] = match happening.side {
            Side::Receiver => "receiver",
            Side::Sender => "sender",
        }
        .into();
        Some(stamp(happening.at, value))
    }

    /// The last line of a run that came to no end.
    #[must_use]
    pub fn failed(at: Instant, failure: &Failure) -> Value {
        stamp(at, error(failure))
    }
}

/// Virtual time is exact to the nanosecond.
fn stamp(at: Instant, mut value: Value) -> Value {
    value["time"] = at.since(Instant::ZERO).as_secs_f64().into();
    value
}

fn datagram(event: &str, packet: &Packet) -> Value {
    let mut value = json!({
        "event": event,
        "packet": packet.number,
        "datagram_bytes": packet.size,
        "kind": "unreadable",
    });
    match &packet.kind {
        Kind::Data(range) => {
            let (offset, bytes) = place(range);
            value["kind"] = "data".into();
            (value["offset"], value["bytes"]) = (offset.into(), bytes.into());
        }
        Kind::Control(elements) => {
            value["kind"] = "control".into();
            value["frames"] = elements.iter().map(frame_name).collect();
            let acks = elements.iter().filter_map(|element| match element {
                Element::Ack(ranges) => {
                    Some(ranges.iter().map(|range| [range.start, range.end - 1]))
                }
                Element::Other(_) => None,
            });
            value["acknowledged"] = acks.flatten().map(|range| json!(range)).collect();
        }
        Kind::Handshake(name) => {
            value["kind"] = "handshake".into();
            value["frames"] = json!([name]);
        }
        Kind::Unreadable => {}
    }
    value
}

fn frame_name(element: &Element) -> Value {
    match element {
        Element::Ack(_) => "ACK".into(),
        Element::Other(name) => (*name).into(),
    }
}

fn drop(number: u32, cause: &str, from: Side) -> Value {
    let way = match from {
        Side::Receiver => "back",
        Side::Sender => "out",
    };
    json!({ "event": "drop", "packet": number, "cause": cause, "way": way })
}

fn cause_name(cause: Cause) -> &'static str {
    match cause {
        Cause::Burst => "burst",
        Cause::Chance => "chance",
        Cause::Listed => "listed",
        Cause::Oversize => "oversize",
        Cause::Queue => "queue",
    }
}

/// What a connection concludes.
fn noticed(event: &TraceEvent, lost: &mut LostBytes) -> Value {
    match event {
        TraceEvent::Acked { number } => json!({ "event": "acked", "packet": number }),
        TraceEvent::Blocked { limit } => json!({ "event": "blocked", "credit_offset": limit }),
        TraceEvent::Congestion { phase, window, before } => json!({
            "event": "congestion",
            "phase": phase_name(*phase),
            "cwnd_bytes": window,
            "cwnd_bytes_before": before,
        }),
        TraceEvent::Connected => json!({ "event": "connected" }),
        TraceEvent::Credit { limit } => json!({ "event": "credit", "credit_offset": limit }),
        TraceEvent::DataSent { number, range, again, frame } => {
            let (offset, bytes) = place(range);
            let mut value = match again {
                true => retransmission(*number, range, lost.find(range)),
                false => json!({
                    "event": "transmission", "packet": number, "offset": offset, "bytes": bytes,
                }),
            };
            value["frame"] = (*frame).into();
            value
        }
        TraceEvent::DatagramSize { bytes } => {
            json!({ "event": "datagram-size", "datagram_bytes": bytes })
        }
        TraceEvent::Discarded { number, range, reason } => {
            let (offset, bytes) = place(range);
            let (reason, missing) = match reason {
                Discard::Duplicate => ("duplicate", None),
                Discard::NoRoom => ("no-room", None),
                Discard::OutOfOrder { missing } => ("out-of-order", Some(missing)),
            };
            json!({
                "event": "discarded", "packet": number, "offset": offset, "bytes": bytes,
                "reason": reason, "missing_offset": missing,
            })
        }
        TraceEvent::Lost { number, range, rule } => {
            lost.lose(*number, range.as_ref());
            loss(*number, range.as_ref(), *rule)
        }
        TraceEvent::Marked { packets } => json!({ "event": "marked", "packets": packets }),
        TraceEvent::MtuProbe { number, bytes } => {
            json!({ "event": "mtu-probe", "packet": number, "datagram_bytes": bytes })
        }
        TraceEvent::Spurious { number } => json!({ "event": "spurious", "packet": number }),
        TraceEvent::TimerFired { timer } => {
            json!({ "event": "timer", "timer": timer_name(*timer) })
        }
    }
}

fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Avoidance => "congestion-avoidance",
        Phase::ConservativeSlowStart => "conservative-slow-start",
        Phase::SlowStart => "slow-start",
        Phase::Steady => "steady",
        Phase::Drain => "drain",
        Phase::ProbeDown => "probe-down",
        Phase::Cruise => "cruise",
        Phase::Refill => "refill",
        Phase::ProbeUp => "probe-up",
        Phase::ProbeRoundTrip => "probe-round-trip",
    }
}

fn timer_name(timer: Timer) -> &'static str {
    match timer {
        Timer::Close => "close",
        Timer::Frame => "frame",
        Timer::Have => "have",
        Timer::Hello => "hello",
        Timer::Idle => "idle",
        Timer::KeepAlive => "keep-alive",
        Timer::Loss => "loss",
        Timer::MtuProbe => "mtu-probe",
        Timer::Pace => "pace",
        Timer::Path => "path",
        Timer::Pto => "probe",
    }
}
