//! The curves and marks of a report, as the page's script reads them.

use crate::base::time::{Duration, Instant};
use crate::report::run::{Kind, Packets, Report, Run, Sample, Thinned};
use serde_json::{Value, json};

/// The JSON of a report, as it may stand in a script element: whatever names it contains, no tag and no
/// comment begins in it.
pub(super) fn script(report: &Report) -> String {
    let runs: Vec<Value> = report.runs.iter().map(run).collect();
    // HTML 13.2.5.4 and on: only "<" leads out of a script's text. In JSON it stands in strings only.
    json!({ "runs": runs }).to_string().replace('<', "\\u003c")
}

fn run(run: &Run) -> Value {
    let goodput = run.samples.goodput(run.totals.elapsed);
    let (times, rates): (Vec<f64>, Vec<u64>) =
        goodput.into_iter().map(|(at, rate)| (seconds(at), rate.bits_per_second())).unzip();
    json!({
        "label": run.label,
        "seconds": rounded(run.totals.elapsed),
        "capacity": run.capacity().map(|rate| rate.bits_per_second()),
        "goodput": [times, rates],
        "cwnd": curve(run, |sample| Some(sample.path?.congestion_window?.into())),
        "inFlight": curve(run, |sample| Some(sample.path?.bytes_in_flight.into())),
        "rtt": curve(run, |sample| {
            let rtt = sample.path?.smoothed_rtt;
            (!rtt.is_zero()).then(|| rounded(rtt).into())
        }),
        "packets": packets(&run.packets),
    })
}

/// Times, and a value for each.
fn curve(run: &Run, of: impl Fn(&Sample) -> Option<Value>) -> Value {
    let known = run.samples.iter().filter_map(|sample| Some((seconds(sample.at), of(&sample)?)));
    let (times, values): (Vec<f64>, Vec<Value>) = known.unzip();
    json!([times, values])
}

fn packets(packets: &Packets) -> Value {
    let marks = Kind::ALL.map(|kind| (name(kind).to_owned(), marks(packets.of(kind))));
    json!({ "end": packets.end(), "marks": serde_json::Map::from_iter(marks) })
}

/// One list for each thing to know, which is half as long as a list of objects.
fn marks(marks: &Thinned) -> Value {
    let kept = marks.kept();
    json!({
        "total": marks.total(),
        "every": marks.every(),
        "time": kept.iter().map(|mark| seconds(mark.at)).collect::<Vec<_>>(),
        "number": kept.iter().map(|mark| mark.number).collect::<Vec<_>>(),
        "start": kept.iter().map(|mark| mark.range.start).collect::<Vec<_>>(),
        "bytes": kept.iter().map(|mark| mark.range.end - mark.range.start).collect::<Vec<_>>(),
    })
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Acked => "acked",
        Kind::DeclaredLost => "declared",
        Kind::LostOnLink => "lost",
        Kind::Sent => "sent",
        Kind::SentAgain => "again",
    }
}

fn seconds(at: Instant) -> f64 {
    rounded(at.since(Instant::ZERO))
}

/// Seconds to the microsecond: more digits say nothing and take room.
fn rounded(span: Duration) -> f64 {
    (span.as_secs_f64() * 1e6).round() / 1e6
}
