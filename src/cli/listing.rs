//! `volley get --list`: what is offered, on standard output, as it is told.

use super::console::Console;
use super::dialer::tell_detours;
use super::output::Output;
use super::signals::obituary;
use super::{Stop, show_peer};
use crate::base::text::escape;
use crate::base::units::show_size;
use crate::net::{Carrier, Finished, Notice, Observer};
use crate::report::summary::plural;
use crate::transfer::entry::{Entry, Kind};
use crate::transfer::outcome::{Failure, Reason};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::{Arc, Mutex};

/// Bytes of paths that one JSON object holds, at most: the other side says how many there are.
const JSON_TEXT_MAX: usize = 64 << 20;

/// Shows what is offered.
pub(super) struct Listing {
    console: Console,
    is_json: bool,
    seen: Arc<Mutex<Seen>>,
}

/// What has been offered so far.
#[derive(Debug, Default)]
struct Seen {
    files: u64,
    directories: u64,
    links: u64,
    bytes: u64,
    text_len: usize,
    /// For JSON.
    entries: Vec<Value>,
}

impl Listing {
    /// Shows it where `output` says.
    ///
    /// # Errors
    /// More was asked for than to look.
    pub(super) fn new(
        directory: Option<&Path>,
        output: &Output,
        console: &Console,
    ) -> Result<Self, Stop> {
        let text = match (directory, output) {
            (Some(directory), _) => format!(
                "--list gets nothing and needs no directory; leave --list away, or {}",
                escape(&directory.to_string_lossy())
            ),
            (None, Output::Lines(_)) => {
                "--list has no events; show it with --json, or as it is".to_owned()
            }
            (None, output) => {
                let is_json = matches!(output, Output::Json);
                return Ok(Self { console: console.clone(), is_json, seen: Arc::default() });
            }
        };
        Err(Stop::Usage(text))
    }

    /// Shows entries as they are told.
    pub(super) fn observer(&self) -> Observer {
        let (console, seen, is_json) = (self.console.clone(), self.seen.clone(), self.is_json);
        Arc::new(move |notice| {
            let Notice::Listed { entries, .. } = notice else {
                return tell_detours(&console, &notice);
            };
            let mut seen = seen.lock().expect("nobody panics while holding it");
            seen.count(&entries);
            if !is_json {
                let lines: Vec<String> = entries.iter().map(line).collect();
                console.print(&lines.join("\n"));
            } else if seen.text_len <= JSON_TEXT_MAX {
                seen.entries.extend(entries.iter().map(value));
            }
        })
    }

    /// Says what there was in all.
    ///
    /// # Errors
    /// It is not known to the end.
    pub(super) fn conclude(&self, finished: &Finished) -> Result<(), Stop> {
        let seen = std::mem::take(&mut *self.seen.lock().expect("nobody panics while holding it"));
        if let Some(failure) = &finished.report.failure {
            if failure.reason.is_order() {
                self.console.say(&obituary(failure.reason, "the list is not complete"));
                return Err(Stop::Told(failure.reason));
            }
            return Err(failure.clone().into());
        }
        let peer = show_peer(finished.peer);
        if self.is_json && seen.text_len > JSON_TEXT_MAX {
            let text = "the list is too long for one JSON object; leave --json away";
            return Err(Failure::new(Reason::Other, text).into());
        }
        let total = seen.show();
        if self.is_json {
            self.console.print(&seen.json(peer, finished.carrier).to_string());
        } else {
            self.console.tell(&format!("{total} at {peer}"));
        }
        for lacking in &finished.report.files {
            if let Err(failure) = &lacking.outcome {
                self.console.say(&format!("error: not all is offered: {}", failure.text));
            }
        }
        finished.report.verdict().map_or(Ok(()), |reason| Err(Stop::Told(reason)))
    }
}

impl Seen {
    fn count(&mut self, entries: &[Entry]) {
        for entry in entries {
            match entry.kind {
                Kind::Directory { .. } => self.directories += 1,
                Kind::File { size, .. } => {
                    self.files += 1;
                    self.bytes = self.bytes.saturating_add(size);
                }
                Kind::Link { .. } => self.links += 1,
            }
            self.text_len += entry.text_len();
        }
    }

    fn show(&self) -> String {
        let mut parts = vec![plural(self.files, "file", "files")];
        if self.directories > 0 {
            parts.push(plural(self.directories, "directory", "directories"));
        }
        if self.links > 0 {
            parts.push(plural(self.links, "link", "links"));
        }
        format!("{} ({})", parts.join(", "), show_size(self.bytes))
    }

    fn json(self, peer: String, carrier: Carrier) -> Value {
        json!({
            "exit_code": 0,
            "carrier": match carrier { Carrier::Tcp => "tcp", Carrier::Udp => "udp" },
            "peer": peer,
            "bytes": self.bytes,
            "counts": {
                "files": self.files, "directories": self.directories, "links": self.links,
            },
            "entries": self.entries,
        })
    }
}

/// An entry as a row: what it takes, and where it would lie.
fn line(entry: &Entry) -> String {
    let path = escape(&entry.path);
    match &entry.kind {
        Kind::Directory { .. } => format!("{:>10}  {path}/", ""),
        Kind::File { size, .. } => format!("{:>10}  {path}", show_size(*size)),
        Kind::Link { target } => format!("{:>10}  {path} -> {}", "", escape(target)),
    }
}

fn value(entry: &Entry) -> Value {
    let (kind, bytes, target) = match &entry.kind {
        Kind::Directory { .. } => ("directory", None, None),
        Kind::File { size, .. } => ("file", Some(size), None),
        Kind::Link { target } => ("link", None, Some(target)),
    };
    json!({ "path": entry.path, "kind": kind, "bytes": bytes, "target": target })
}
