//! What a report says in words: for those who read, print, or hear it.

use crate::base::time::Duration;
use crate::base::units::{Rate, Share, show_duration, show_size};
use crate::report::lettering::markup;
use crate::report::run::{Kind, Report, Run, Sample};
use crate::report::summary::{LinkSummary, show_counts, show_ways};

/// One row for each run.
pub(super) fn runs(report: &Report) -> String {
    let heads = [
        "Run",
        "Time",
        "Goodput",
        "Of what the link could carry",
        "On the wire",
        "Sent again",
        "Queue delay",
    ];
    let rows: Vec<Vec<String>> = report.runs.iter().map(row).collect();
    let table = table("Results", &heads, &rows);
    format!(
        "{table}{}<p class=\"fine\">Goodput: file bytes over time. What the link could carry: its rate, \
         less what it loses and less headers. On the wire: IP packets of the sender. Queue delay: what \
         a packet of the sender waited in front of the link's rate, on average.</p>\n",
        broken_off(report)
    )
}

/// Who did not come to its end, each reason once.
fn broken_off(report: &Report) -> String {
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for run in &report.runs {
        let Some(why) = run.totals.broken_off.as_deref() else { continue };
        match reasons.iter_mut().find(|(known, _)| *known == why) {
            Some((_, labels)) => labels.push(&run.label),
            None => reasons.push((why, vec![&run.label])),
        }
    }
    let sentence = |(why, labels): &(&str, Vec<&str>)| {
        let end = if labels.len() == 1 { "its end" } else { "their end" };
        let labels = labels.join(", ");
        format!("<p>{} did not come to {end}: {}</p>\n", markup(&labels), markup(why))
    };
    reasons.iter().map(sentence).collect()
}

fn row(run: &Run) -> Vec<String> {
    let unknown = || "not known".to_owned();
    let elapsed = show_duration(run.totals.elapsed);
    let time = match &run.totals.broken_off {
        Some(_) => format!("broken off after {elapsed}"),
        None => elapsed,
    };
    let share = run.capacity().map(|capacity| share(run.goodput(), capacity).to_string());
    let again = run.totals.retransmissions.map(|packets| format!("{packets} packets"));
    let narrow = run.link.as_ref().filter(|link| link.out.config.bottleneck.is_some());
    let delay = narrow.map(|link| show_duration(link.out.counts.mean_wait()));
    vec![
        run.label.clone(),
        time,
        run.goodput().to_string(),
        share.unwrap_or_else(|| "no limit set".into()),
        run.totals.wire_bytes.map_or_else(unknown, show_size),
        again.unwrap_or_else(unknown),
        delay.unwrap_or_else(|| "no queue".into()),
    ]
}

fn share(goodput: Rate, capacity: Rate) -> Share {
    Share::of(goodput.bits_per_second(), capacity.bits_per_second())
}

/// What the links were asked to do, and what they did.
pub(super) fn links(report: &Report) -> String {
    let links: Vec<(&Run, &LinkSummary)> =
        report.runs.iter().filter_map(|run| Some((run, run.link.as_ref()?))).collect();
    let configured = |link: &LinkSummary| show_ways(&link.out.config, &link.back.config, link.seed);
    let mut asked: Vec<String> = links.iter().map(|(_, link)| configured(link)).collect();
    asked.dedup();
    let body = match &asked[..] {
        [] => {
            "<p>No imperfect link was put in: what is seen is the network as it was.</p>\n".into()
        }
        [same] => {
            let rows = links.iter().map(|(run, link)| observed(run, link)).collect::<Vec<_>>();
            let table = table("Observed", &["Run", "To the receiver", "Back"], &rows);
            format!("<p>Configured: {}</p>\n{table}", markup(same))
        }
        _ => {
            let rows = links.iter().map(|(run, link)| {
                let mut row = observed(run, link);
                row.insert(1, configured(link));
                row
            });
            let heads = ["Run", "Configured", "Observed to the receiver", "Observed back"];
            table("Configured and observed", &heads, &rows.collect::<Vec<_>>())
        }
    };
    format!("<section aria-labelledby=\"link\">\n<h2 id=\"link\">The link</h2>\n{body}</section>\n")
}

fn observed(run: &Run, link: &LinkSummary) -> Vec<String> {
    vec![run.label.clone(), show_counts(&link.out.counts), show_counts(&link.back.counts)]
}

/// How often what happened to packets, for those who cannot see the marks.
pub(super) fn packets(report: &Report) -> String {
    let heads = ["Run", "Sent", "Sent again", "Lost on the link", "Declared lost", "Acknowledged"];
    let known = report.runs.iter().filter(|run| !run.packets.is_empty());
    let rows: Vec<Vec<String>> = known
        .map(|run| {
            let counts = Kind::ALL.map(|kind| run.packets.of(kind).total().to_string());
            std::iter::once(run.label.clone()).chain(counts).collect()
        })
        .collect();
    table("Packets with file bytes", &heads, &rows)
}

/// The curves of goodput, in words.
pub(super) fn describe_goodput(report: &Report) -> String {
    let runs = report.runs.iter().map(|run| {
        let windows = run.samples.goodput(run.totals.elapsed);
        let most = windows.iter().map(|(_, rate)| *rate).max();
        let most = most.map_or_else(String::new, |rate| format!(", {rate} at most"));
        format!("{}: {} on average{most}", run.label, run.goodput())
    });
    let capacity = report.runs.iter().find_map(Run::capacity);
    let line =
        capacity.map(|rate| format!(" The dotted line is what the link could carry: {rate}."));
    format!("{}.{}", runs.collect::<Vec<_>>().join("; "), line.unwrap_or_default())
}

/// The curves of the congestion window, in words.
pub(super) fn describe_window(report: &Report) -> String {
    let show = |bytes: u64| show_size(bytes);
    let text = describe(report, |sample| sample.path?.congestion_window, show);
    match &report.runs[..] {
        [_] => format!("{text} The thin line is what was in flight."),
        _ => text,
    }
}

/// The curves of the round-trip time, in words.
pub(super) fn describe_rtt(report: &Report) -> String {
    let rtt = |sample: &Sample| Some(sample.path?.smoothed_rtt).filter(|rtt| !rtt.is_zero());
    describe(report, rtt, |rtt: Duration| show_duration(rtt))
}

fn describe<T: Ord + Copy>(
    report: &Report,
    of: impl Fn(&Sample) -> Option<T>,
    show: impl Fn(T) -> String,
) -> String {
    let runs = report.runs.iter().filter_map(|run| {
        let values: Vec<T> = run.samples.iter().filter_map(|sample| of(&sample)).collect();
        let (least, most) = (*values.iter().min()?, *values.iter().max()?);
        Some(match least == most {
            true => format!("{}: {} all the time", run.label, show(least)),
            false => format!("{}: between {} and {}", run.label, show(least), show(most)),
        })
    });
    let known: Vec<String> = runs.collect();
    let others = if known.len() < report.runs.len() { "; the others have none" } else { "" };
    format!("{}{others}.", known.join("; "))
}

/// A table whose cells say what they are where it is too narrow for columns.
fn table(caption: &str, heads: &[&str], rows: &[Vec<String>]) -> String {
    let cells = |row: &Vec<String>| {
        let named = row.iter().zip(heads).enumerate().map(|(place, (cell, head))| {
            let cell = markup(cell);
            match place {
                0 => format!("<th scope=\"row\" role=\"rowheader\">{cell}</th>"),
                _ => format!("<td role=\"cell\" data-head=\"{head}\">{cell}</td>"),
            }
        });
        format!("<tr role=\"row\">{}</tr>\n", named.collect::<String>())
    };
    let heads_text: String = heads
        .iter()
        .map(|head| format!("<th scope=\"col\" role=\"columnheader\">{head}</th>"))
        .collect();
    format!(
        "<table role=\"table\">\n<caption>{caption}</caption>\n<thead role=\"rowgroup\"><tr role=\"row\">{heads_text}</tr></thead>\n\
         <tbody role=\"rowgroup\">\n{}</tbody>\n</table>\n",
        rows.iter().map(cells).collect::<String>()
    )
}
