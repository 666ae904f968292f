//! A report as one HTML file that needs nothing else: no network, no other file.
//!
//! What can be said in words stands in the page (`tables`); the curves and marks (`data`) go in as
//! JSON, and `report.js` draws them with uPlot (`uplot/README.md`). The page's policy forbids it to
//! ask for anything, whatever the names in it try.

mod data;
mod tables;

use super::lettering::markup;
use crate::report::run::{Kind, Report, Run};

const UPLOT_VERSION: &str = "1.6.32";
const UPLOT: &str = include_str!("uplot/uPlot.iife.min.js");
const UPLOT_STYLE: &str = include_str!("uplot/uPlot.min.css");
const SCRIPT: &str = include_str!("report.js");
const STYLE: &str = include_str!("report.css");

const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
                      base-uri 'none'; form-action 'none'";

/// The whole file.
#[must_use]
pub fn page(report: &Report) -> String {
    let title = markup(&report.title);
    let data = data::script(report);
    let parts = [
        header(report),
        tables::runs(report),
        charts(report),
        sequence(report),
        tables::links(report),
        notes(report),
    ];
    let body = parts.concat();
    let version = env!("CARGO_PKG_VERSION");
    format!(
        r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>{UPLOT_STYLE}</style>
<style>
{STYLE}</style>
</head>
<body>
<main>
{body}<footer>Made by volley {version}. Curves are drawn by uPlot {UPLOT_VERSION}, MIT licence, (c) 2022 Leon Sorokin.</footer>
</main>
<script type="application/json" id="data">{data}</script>
<script>{UPLOT}</script>
<script>
{SCRIPT}</script>
</body>
</html>
"#
    )
}

fn header(report: &Report) -> String {
    let title = markup(&report.title);
    let sentences = report.verdict.iter().map(|text| format!("<p>{}</p>\n", markup(text)));
    let verdict = if report.verdict.is_empty() {
        String::new()
    } else {
        format!(
            "<section class=\"verdict\" aria-label=\"Verdict\">\n{}</section>\n",
            sentences.collect::<String>()
        )
    };
    format!(
        r#"<header>
<h1>{title}</h1>
<button type="button" id="theme" hidden>Dark</button>
</header>
{verdict}<p class="again">To do it again:</p>
<pre tabindex="0"><code>{}</code></pre>
<p class="fine">{}</p>
"#,
        markup(&report.command),
        markup(&report.repeats),
    )
}

fn charts(report: &Report) -> String {
    let knows_path = report.runs.iter().any(|run| run.samples.iter().any(|s| s.path.is_some()));
    let mut text = String::from(
        "<section id=\"curves\" aria-labelledby=\"over-time\">\n<h2 id=\"over-time\">Over time</h2>\n",
    );
    text += "<noscript><p>The diagrams need JavaScript; the tables do not.</p></noscript>\n";
    text += "<div id=\"choice\" role=\"group\" aria-label=\"Runs that are shown\"></div>\n\
             <p class=\"fine\" id=\"part\" aria-live=\"polite\" hidden></p>\n";
    text += &figure("goodput", "Goodput", &tables::describe_goodput(report));
    if knows_path {
        text += &figure("cwnd", "Congestion window", &tables::describe_window(report));
        text += &figure("rtt", "Round-trip time", &tables::describe_rtt(report));
    }
    text + "</section>\n"
}

fn figure(id: &str, title: &str, caption: &str) -> String {
    let caption = markup(caption);
    format!(
        "<figure>\n<h3 id=\"{id}-title\">{title}</h3>\n<div class=\"chart\" id=\"{id}\" role=\"img\" \
         aria-labelledby=\"{id}-title\" aria-describedby=\"{id}-caption\"></div>\n\
         <figcaption id=\"{id}-caption\">{caption}</figcaption>\n</figure>\n"
    )
}

fn sequence(report: &Report) -> String {
    if report.runs.iter().all(|run| run.packets.is_empty()) {
        return String::new();
    }
    let thinned: Vec<&Run> = report.runs.iter().filter(|run| is_thinned(run)).collect();
    let thinned = if thinned.is_empty() {
        String::new()
    } else {
        "<p class=\"fine\" id=\"thinned\">There were too many packets to draw each one: the legend \
         says of how many one is drawn.</p>\n"
            .to_owned()
    };
    format!(
        r#"<section id="packets" aria-labelledby="sequence-title">
<h2 id="sequence-title">Packet by packet</h2>
<div class="tools">
<span id="which"></span>
<span class="zoom" role="group" aria-label="Part that is shown"></span>
</div>
<div id="kinds" role="group" aria-label="Marks that are shown"></div>
<figure>
<div class="chart tall" id="sequence" role="group" tabindex="0" aria-labelledby="sequence-title" aria-describedby="sequence-caption"></div>
<p class="fine" id="view" aria-live="polite"></p>
<figcaption id="sequence-caption">Each mark is a packet: when it was, and where its bytes lie in what is sent.
<span class="screen">Drag over a part to see it closer; a double click shows all again. With the keyboard: + and -, the
arrows, and 0 for all.</span></figcaption>
{thinned}</figure>
{}</section>
"#,
        tables::packets(report),
    )
}

fn is_thinned(run: &Run) -> bool {
    Kind::ALL.iter().any(|kind| run.packets.of(*kind).every() > 1)
}

fn notes(report: &Report) -> String {
    let notes = report.runs.iter().flat_map(|run| run.notes.iter().map(move |note| (run, note)));
    let notes: String = notes
        .map(|(run, note)| format!("<li><b>{}</b>: {}</li>\n", markup(&run.label), markup(note)))
        .collect();
    if notes.is_empty() {
        return notes;
    }
    format!(
        "<section aria-labelledby=\"notes\">\n<h2 id=\"notes\">Notes</h2>\n<ul>\n{notes}</ul>\n</section>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::{Duration, Instant};
    use crate::report::run::{Packets, Path, Sample, Samples, Totals};
    use crate::transport::loss::LossRule;
    use crate::transport::trace::TraceEvent;
    use serde_json::Value;

    const HOSTILE: &str = "</script><script>alert(1)</script><!-- <b onclick='x'>\" & \u{2028}";

    fn run(packets: u64) -> Run {
        let bounds = Report::bounds(1);
        let (mut samples, mut marks) = (Samples::new(bounds), Packets::new(bounds));
        for number in 0..packets {
            let at = Instant::from_nanos(number * 12_345);
            let range = number * 1452..(number + 1) * 1452;
            marks.traced(
                at,
                &TraceEvent::DataSent { number, range: range.clone(), again: false, frame: None },
            );
            if number % 20 == 0 {
                let (range, rule) = (Some(range), LossRule::Time);
                marks.traced(at, &TraceEvent::Lost { number, range, rule });
            } else {
                marks.traced(at, &TraceEvent::Acked { number });
            }
            let rtt = Duration::from_millis(50);
            let path = Path {
                congestion_window: Some(number),
                bytes_in_flight: number,
                smoothed_rtt: rtt,
            };
            samples.push(Sample { at, delivered: number * 1452, path: Some(path) });
        }
        let totals = Totals { elapsed: Duration::from_secs(9), ..Totals::default() };
        let label = "volley".into();
        Run { label, link: None, totals, samples, packets: marks, notes: Vec::new() }
    }

    /// The text of the element with the data.
    fn data(page: &str) -> Value {
        let begin = "<script type=\"application/json\" id=\"data\">";
        let (_, rest) = page.split_once(begin).expect("there are data");
        let (text, _) = rest.split_once("</script>").expect("they end");
        serde_json::from_str(text).expect("they are JSON")
    }

    #[test]
    fn hostile_names_stay_text() {
        let mut named = run(3);
        named.label = HOSTILE.into();
        named.notes = vec![HOSTILE.into()];
        named.totals.broken_off = Some(HOSTILE.into());
        let hostile = || HOSTILE.to_owned();
        let verdict = vec![hostile()];
        let report = Report {
            title: hostile(),
            command: hostile(),
            repeats: hostile(),
            verdict,
            runs: vec![named],
        };
        let shown = page(&report);
        let plain = page(&Report { runs: vec![run(3)], ..Report::default() });
        for trap in ["<script", "</script", "<!--", "<b "] {
            let counts = [&shown, &plain].map(|page| page.matches(trap).count());
            assert_eq!(counts[0], counts[1], "{trap}");
        }
        assert!(shown.contains("&lt;/script&gt;&lt;script&gt;alert(1)"));
        assert_eq!(data(&shown)["runs"][0]["label"], HOSTILE);
    }

    #[test]
    fn a_gigabyte_fits_into_a_few_megabytes() {
        let runs = vec![run((1 << 30) / 1452)];
        let shown = page(&Report { runs, ..Report::default() });
        assert!(shown.len() < 5_000_000, "{} bytes", shown.len());
        assert!(shown.contains("too many packets to draw each one"));
        let marks = &data(&shown)["runs"][0]["packets"]["marks"];
        assert!(marks["sent"]["every"].as_u64() > Some(1));
        assert_eq!(marks["declared"]["every"], 1, "all losses are there");
    }

    #[test]
    fn where_nothing_is_known_of_packets_nothing_is_drawn_of_them() {
        let shown = page(&Report { runs: vec![run(0)], ..Report::default() });
        for id in ["sequence", "cwnd", "rtt"] {
            assert!(!shown.contains(&format!("id=\"{id}\"")), "{id}");
        }
        assert!(shown.contains("id=\"goodput\""));
    }

    #[test]
    fn the_vendored_files_are_those_of_the_release() {
        let origin = include_str!("uplot/README.md");
        assert!(UPLOT.contains(&format!("(v{UPLOT_VERSION})")) && origin.contains(UPLOT_VERSION));
        assert!(include_str!("uplot/LICENSE").contains("MIT"));
        // Each of our own texts goes into an element that its own end would close.
        for text in [UPLOT, SCRIPT, UPLOT_STYLE, STYLE] {
            assert!(!text.contains("</script") && !text.contains("</style"));
            assert!(
                !text.contains("url(") && !text.contains("import(") && !text.contains("fetch(")
            );
        }
    }
}
