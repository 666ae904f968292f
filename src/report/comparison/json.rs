//! A comparison as one JSON object for programs.

use super::{Comparison, Contender, Ended, Trial, Venue, verdict};
use crate::base::units::Rate;
use crate::link::LinkCounts;
use crate::report::json::{configured, link_counts};
use serde_json::{Value, json};

/// The object.
#[must_use]
pub fn value(comparison: &Comparison) -> Value {
    let (venue, host) = match &comparison.venue {
        Venue::Lab => ("lab", None),
        Venue::Path { host } => ("path", Some(host)),
        Venue::Simulation => ("simulation", None),
    };
    let link = comparison.link.as_ref().map(|link| {
        json!({ "seed": link.seed, "out": configured(&link.out), "back": configured(&link.back) })
    });
    let contenders = comparison.contenders.iter().map(|each| contender(comparison, each));
    json!({
        "venue": venue,
        "host": host,
        "bytes": comparison.size,
        "limit_seconds": comparison.limit.as_secs_f64(),
        "link": link,
        "possible_bits_per_second": comparison.possible().map(Rate::bits_per_second),
        "contenders": contenders.collect::<Vec<_>>(),
        "verdict": verdict::sentences(comparison),
    })
}

fn contender(comparison: &Comparison, contender: &Contender) -> Value {
    let formula = comparison.predict(contender).map(|response| {
        json!({ "bits_per_second": response.rate.bits_per_second(), "formula": response.formula })
    });
    json!({
        "name": contender.name,
        "carrier": if contender.is_tcp { "tcp" } else { "udp" },
        "goodput_bits_per_second": contender.goodput().map(Rate::bits_per_second),
        "formula": formula,
        "runs": contender.trials.iter().map(trial).collect::<Vec<_>>(),
    })
}

fn trial(trial: &Trial) -> Value {
    let (ended, error) = match &trial.ended {
        Ended::Complete => ("complete", None),
        Ended::CutOff => ("cut off", None),
        Ended::Failed(text) => ("failed", Some(text)),
    };
    let way = |link: LinkCounts| {
        let mut value = link_counts(&link);
        value["offered_ip_bytes"] = link.offered_bytes.into();
        value["mean_wait_seconds"] = link.mean_wait().as_secs_f64().into();
        value
    };
    let link = trial.link.map(|[out, back]| json!({ "out": way(out), "back": way(back) }));
    json!({
        "ended": ended,
        "error": error,
        "seconds": trial.elapsed.as_secs_f64(),
        "bytes": trial.bytes,
        "goodput_bits_per_second": trial.goodput().bits_per_second(),
        "link": link,
        "packets_sent": trial.packets_sent,
        "retransmissions": trial.retransmissions,
        "min_rtt_seconds": trial.min_rtt.map(|span| span.as_secs_f64()),
        "cpu_seconds": trial.cpu.map(|span| span.as_secs_f64()),
    })
}
