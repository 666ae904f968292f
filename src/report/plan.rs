//! What a transfer would do, as a few lines for a person.

use super::summary::{Direction, FILES_SHOWN, Summary, plural, push, put_skipped, put_there};
use crate::base::units::show_size;
use crate::transfer::outcome::{Done, FileReport, Planned};

/// The summary of a transfer of which only this was wanted, one fact a line.
pub(super) fn text(summary: &Summary<'_>, planned: &Planned) -> String {
    let (report, counts) = (summary.report, &summary.report.counts);
    let mut text = headline(summary, planned);
    let replaces = |done: &Done| matches!(done, Done::Would { replaces: true, .. });
    put_names(&mut text, summary, ("replace", replaces), planned.replacing);
    put_names(&mut text, summary, ("rename", |done| done.renamed().is_some()), planned.renamed);
    if planned.resumed_files > 0 {
        let files = plural(planned.resumed_files, "file", "files");
        let there = show_size(planned.resumed);
        push(&mut text, "go on", &format!("{files}, of which {there} came before"));
    }
    put_there(&mut text, counts, "not to be sent again");
    summary.put_failures("would fail", &mut text);
    put_skipped(&mut text, counts);
    if let Some(failure) = &report.failure {
        push(&mut text, "ended", &failure.text);
    }
    text
}

fn headline(summary: &Summary<'_>, planned: &Planned) -> String {
    let Summary { peer, carrier, report, .. } = summary;
    let (would, way, nothing) = match summary.direction {
        Direction::Received => ("get", "from", "nothing was written"),
        Direction::Sent => ("send", "to", "nothing was sent"),
    };
    let Planned { files, bytes, directories, links, .. } = *planned;
    let is_wanted = |file: &&FileReport| matches!(file.outcome, Ok(Done::Would { .. }));
    let only = report.files.iter().find(is_wanted).filter(|_| files + links == 1);
    let mut parts = Vec::new();
    match only {
        Some(only) if files == 1 => parts.push(format!("{} ({})", only.name, show_size(bytes))),
        _ if files > 0 => {
            parts.push(format!("{} ({})", plural(files, "file", "files"), show_size(bytes)));
        }
        _ => {}
    }
    let others = [(directories, "directory", "directories"), (links, "link", "links")];
    let others = others.into_iter().filter(|(count, ..)| *count > 0);
    parts.extend(others.map(|(count, one, many)| plural(count, one, many)));
    if parts.is_empty() {
        return format!("would {would} nothing {way} {peer} over {carrier}");
    }
    format!("would {would} {} {way} {peer} over {carrier}; {nothing}", parts.join(", "))
}

/// The first files of which that holds, and how many more there are.
fn put_names(
    text: &mut String,
    summary: &Summary<'_>,
    (label, holds): (&str, impl Fn(&Done) -> bool),
    count: u64,
) {
    let mut shown = 0;
    for file in &summary.report.files {
        let Some(done) = file.outcome.as_ref().ok().filter(|done| holds(done)) else { continue };
        let renamed = done.renamed().map_or_else(String::new, |path| format!(" to {path}"));
        push(text, label, &format!("{}{renamed}", file.name));
        shown += 1;
        if shown == FILES_SHOWN as u64 {
            break;
        }
    }
    if count > shown {
        push(text, "", &format!("and {} more (--json names them)", count - shown));
    }
}
