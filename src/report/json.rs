//! What a transfer was like, as one JSON object for programs.

use super::lab::LabSummary;
use super::relay::{RelaySummary, RelayWay};
use super::summary::{Direction, LinkSummary, Summary, Way};
use crate::base::units::Share;
use crate::link::{LinkConfig, LinkCounts};
use crate::transfer::outcome::{Counts, Done, Failure, FileReport, Planned};
use crate::transport::ecn::EcnState;
use crate::transport::limits::Limit;
use crate::transport::stats::Stats;
use serde_json::{Value, json};

/// The object of a transfer that is over. `exit_code` is what the program ends with because of it.
#[must_use]
pub fn transfer(summary: &Summary<'_>, exit_code: u8) -> Value {
    let report = summary.report;
    let direction = match summary.direction {
        Direction::Received => "received",
        Direction::Sent => "sent",
    };
    json!({
        "exit_code": exit_code,
        "direction": direction,
        "carrier": summary.carrier.to_ascii_lowercase(),
        "peer": summary.peer,
        "seconds": summary.in_all().as_secs_f64(),
        "bytes": report.counts.bytes,
        "hole_bytes": report.counts.holes,
        "resumed_bytes": report.counts.resumed,
        "goodput_bits_per_second": summary.goodput().bits_per_second(),
        "files": report.files.iter().map(file).collect::<Vec<_>>(),
        "counts": counts(&report.counts),
        "dry_run": report.counts.planned.as_ref().map(planned),
        "error": report.failure.as_ref().map(failure),
        "transport": report.stats.as_ref().map(|stats| transport(summary, stats)),
        "link": summary.link.as_ref().map(link),
    })
}

/// The object of a relay that has ended, and the program with it with `exit_code`.
#[must_use]
pub fn relay(summary: &RelaySummary, exit_code: u8) -> Value {
    let RelaySummary { out, back, .. } = summary;
    json!({
        "exit_code": exit_code,
        "listen": summary.listen,
        "to": summary.to,
        "seconds": summary.elapsed.as_secs_f64(),
        "link": { "seed": summary.seed, "out": relay_way(out), "back": relay_way(back) },
        "clients": { "ever": summary.clients_ever, "displaced": summary.clients_displaced },
        "refused": summary.refused,
        "unsent": summary.unsent,
        "unsent_because": summary.unsent_because,
    })
}

/// The object of a lab that has ended.
#[must_use]
pub fn lab(summary: &LabSummary) -> Value {
    let LabSummary { hosts: [a, b], out, back, .. } = summary;
    json!({
        "exit_code": summary.exit_code,
        "hosts": { "a": a, "b": b },
        "seconds": summary.elapsed.as_secs_f64(),
        "link": { "seed": summary.seed, "out": relay_way(out), "back": relay_way(back) },
        "missed": summary.missed,
        "unsent": summary.unsent,
    })
}

fn relay_way(relayed: &RelayWay) -> Value {
    let mut value = way(&relayed.way);
    value["delivered"] = relayed.delivered.into();
    value["delivered_ip_bytes"] = relayed.delivered_bytes.into();
    value
}

/// The object of a program that ended before there was a transfer.
#[must_use]
pub fn failed(error: &Failure) -> Value {
    json!({ "exit_code": error.reason.code(), "error": failure(error) })
}

fn counts(counts: &Counts) -> Value {
    json!({
        "files": counts.files,
        "directories": counts.directories,
        "links": counts.links,
        "same": counts.same,
        "left": counts.left,
        "failed": counts.failed,
        "skipped_links": counts.skipped_links,
        "skipped_special": counts.skipped_special,
    })
}

fn planned(planned: &Planned) -> Value {
    json!({
        "files": planned.files,
        "bytes": planned.bytes,
        "resumed_files": planned.resumed_files,
        "resumed_bytes": planned.resumed,
        "directories": planned.directories,
        "links": planned.links,
        "replacing": planned.replacing,
        "renamed": planned.renamed,
    })
}

fn file(file: &FileReport) -> Value {
    let done = file.outcome.as_ref().ok();
    json!({
        "name": file.name,
        "bytes": file.size,
        "outcome": match &file.outcome {
            Ok(Done::Committed { .. }) => "committed",
            Ok(Done::Same(_)) => "same",
            Ok(Done::Left) => "left",
            Ok(Done::Would { .. }) => "would",
            Err(_) => "failed",
        },
        "replaces": match done {
            Some(Done::Would { replaces, .. }) => Some(replaces),
            _ => None,
        },
        "bytes_there": match done {
            Some(Done::Would { there, .. }) => Some(there),
            _ => None,
        },
        "renamed": done.and_then(Done::renamed),
        "blake3": done.and_then(|done| done.hash()).map(ToString::to_string),
        "error": file.outcome.as_ref().err().map(failure),
    })
}

fn failure(failure: &Failure) -> Value {
    json!({ "code": failure.reason.code(), "text": failure.text })
}

fn transport(summary: &Summary<'_>, stats: &Stats) -> Value {
    let limited = |limit| stats.limits.of(limit).as_secs_f64();
    json!({
        "throughput_bits_per_second": summary.throughput(stats).bits_per_second(),
        "wire_efficiency": summary.wire_efficiency(stats).get(),
        "datagrams_sent": stats.datagrams_sent,
        "datagrams_received": stats.datagrams_received,
        "datagrams_damaged": stats.damaged,
        "udp_payload_bytes_sent": stats.bytes_sent,
        "data_packets_sent": stats.data_packets_sent,
        "retransmissions": {
            "needed": stats.needed_retransmissions(),
            "spurious": stats.unneeded_retransmissions(),
        },
        "probe_timeouts": stats.probe_timeouts,
        "observed_loss": stats.observed_loss().get(),
        "ecn": {
            "path": ecn_state(stats.ecn.state),
            "sent": stats.ecn.sent,
            "marked": stats.ecn.met,
            "received": {
                "ect0": stats.ecn.received.ect0,
                "ect1": stats.ecn.received.ect1,
                "ce": stats.ecn.received.ce,
            },
        },
        "rtt_seconds": {
            "smoothed": stats.smoothed_rtt.as_secs_f64(),
            "min": stats.min_rtt.as_secs_f64(),
        },
        "datagram_bytes_max": stats.datagram_size,
        "limited_seconds": {
            "path": limited(Limit::Path),
            "window": limited(Limit::Window),
            "receiver": limited(Limit::Receiver),
            "answers": limited(Limit::Answers),
            "source": limited(Limit::Source),
            "asked_rate": limited(Limit::AskedRate),
            "processor": limited(Limit::Sending),
        },
    })
}

/// What is known of whether the path carries marks.
fn ecn_state(state: EcnState) -> &'static str {
    match state {
        EcnState::Off => "off",
        EcnState::Testing => "testing",
        EcnState::Unknown => "unknown",
        EcnState::Capable => "capable",
        EcnState::Failed => "failed",
    }
}

fn link(link: &LinkSummary) -> Value {
    json!({
        "seed": link.seed,
        "out": way(&link.out),
        "back": way(&link.back),
        "found_damaged": link.found_damaged,
    })
}

fn way(way: &Way) -> Value {
    let mut value = link_counts(&way.counts);
    value["configured"] = configured(&way.config);
    value
}

pub(super) fn link_counts(counts: &LinkCounts) -> Value {
    json!({
        "offered": counts.offered,
        "lost": counts.lost.total(),
        "lost_by_cause": {
            "burst": counts.lost.burst,
            "chance": counts.lost.chance,
            "listed": counts.lost.listed,
            "oversize": counts.lost.oversize,
            "queue": counts.lost.queue,
        },
        "observed_loss": counts.loss().get(),
        "marked": counts.marked,
        "corrupted": counts.corrupted,
        "duplicated": counts.duplicated,
        "reordered": counts.reordered,
    })
}

pub(super) fn configured(config: &LinkConfig) -> Value {
    json!({
        "text": config.to_string(),
        "loss": config.loss.get(),
        "burst_loss": config.burst_loss.map(|bursts| json!({
            "share": bursts.share().get(),
            "mean_length": bursts.mean_length(),
        })),
        "dropped": config.drops.iter().map(|range| [range.start, range.end - 1]).collect::<Vec<_>>(),
        "delay_seconds": config.delay.as_secs_f64(),
        "jitter_seconds": config.jitter.as_secs_f64(),
        "rate_bits_per_second": config.bottleneck.map(|narrow| narrow.rate.bits_per_second()),
        "queue_bytes": config.bottleneck.map(|narrow| narrow.queue),
        "mark_from": config.mark.map(Share::get),
        "reordering": {
            "share": config.reordering.share.get(),
            "by_seconds": config.reordering.by.as_secs_f64(),
        },
        "duplication": config.duplication.get(),
        "corruption": config.corruption.get(),
        "mtu": config.mtu,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer::outcome::Reason;

    #[test]
    fn a_failure_is_an_object_too() {
        let failed = failed(&Failure::new(Reason::Unreachable, "no answer"));
        assert_eq!(failed.to_string(), r#"{"error":{"code":3,"text":"no answer"},"exit_code":3}"#);
    }
}
