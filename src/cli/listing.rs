//! `volley get --list`: what is offered, on standard output, as it is told.

use super::args::Get;
use super::console::{self, Console};
use super::dialer::tell_detours;
use super::output::Output;
use super::queue::OutputQueue;
use super::signals::obituary;
use super::{Stop, show_peer};
use crate::base::text::{escape, escape_os};
use crate::base::units::show_size;
use crate::net::{Carrier, Finished, Interrupt, Notice, Observer};
use crate::report::summary::plural;
use crate::transfer::entry::{Entry, Kind};
use crate::transfer::outcome::{Failure, Reason};
use serde_json::{Value, json};
use std::io::ErrorKind;
use std::sync::{Arc, Mutex};

/// Bytes of paths that one JSON object holds, at most: the other side says how many there are.
const JSON_TEXT_MAX: usize = 64 << 20;

/// Bytes that wait to be written, at most: then whoever tells what is offered waits, too.
const WAITING_MAX: usize = 64 << 20;

/// Shows what is offered.
pub(super) struct Listing {
    console: Console,
    outgoing: OutputQueue<String>,
    interrupt: Interrupt,
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
    /// More was asked for than to look, or the system has no thread to spare.
    pub(super) fn new(
        order: &Get,
        output: &Output,
        console: &Console,
        interrupt: &Interrupt,
    ) -> Result<Self, Stop> {
        refuse_options(order)?;
        if matches!(output, Output::Lines(_)) {
            let text = "--list has no events; show it with --json, or as it is";
            return Err(Stop::Usage(text.into()));
        }
        let outgoing = OutputQueue::start(|| Ok(console::stdout()), WAITING_MAX, |text, _| text)
            .map_err(|error| console::no_thread(&error))?;
        let (console, interrupt) = (console.clone(), interrupt.clone());
        let is_json = matches!(output, Output::Json);
        Ok(Self { console, outgoing, interrupt, is_json, seen: Arc::default() })
    }

    /// Shows entries as they are told.
    pub(super) fn observer(&self) -> Observer {
        let (console, outgoing) = (self.console.clone(), self.outgoing.clone());
        let (seen, is_json, interrupt) = (self.seen.clone(), self.is_json, self.interrupt.clone());
        Arc::new(move |notice| {
            let Notice::Listed { entries, .. } = notice else {
                return tell_detours(&console, &notice);
            };
            let mut seen = seen.lock().expect("nobody panics while holding it");
            seen.count(&entries);
            if !is_json {
                let lines: String = entries.iter().map(|entry| line(entry) + "\n").collect();
                put(&outgoing, lines, &interrupt);
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
            self.flush()?;
            return Err(self.stop(failure.clone()));
        }
        let peer = show_peer(finished.peer);
        if self.is_json && seen.text_len > JSON_TEXT_MAX {
            let text = "the list is too long for one JSON object; leave --json away";
            return Err(Failure::new(Reason::Other, text).into());
        }
        let total = seen.show();
        if self.is_json {
            let text = format!("{}\n", seen.json(peer.clone(), finished.carrier));
            put(&self.outgoing, text, &self.interrupt);
        }
        self.flush()?;
        if !self.is_json {
            self.console.tell(&format!("{total} at {peer}"));
        }
        for lacking in &finished.report.files {
            if let Err(failure) = &lacking.outcome {
                self.console.say(&format!("error: not all is offered: {}", failure.text));
            }
        }
        finished.report.verdict().map_or(Ok(()), |reason| Err(Stop::Told(reason)))
    }

    /// Waits for whoever reads.
    fn flush(&self) -> Result<(), Stop> {
        let flushed = self.outgoing.flush_unless(|| self.interrupt.get().is_some());
        // A closed stream is no reason to fail.
        let is_unread = flushed.is_err_and(|error| error.kind() == ErrorKind::TimedOut);
        let failure = self.interrupt.failure().filter(|_| is_unread);
        failure.map_or(Ok(()), |failure| Err(self.stop(failure)))
    }

    fn stop(&self, failure: Failure) -> Stop {
        if !failure.reason.is_order() {
            return failure.into();
        }
        self.console.say(&obituary(failure.reason, "the list is not complete"));
        Stop::Told(failure.reason)
    }
}

/// Has a part of the list written: none may be left out.
fn put(outgoing: &OutputQueue<String>, text: String, interrupt: &Interrupt) {
    let size = text.len();
    // That it is not complete is told at the end.
    let _ = outgoing.put_patiently(text, size, || interrupt.get().is_some());
}

/// Fails where something is asked for that only files need.
fn refuse_options(order: &Get) -> Result<(), Stop> {
    let intake = &order.intake;
    let existing = &intake.existing;
    let unfit = [
        (intake.manifest.file.is_some(), "--manifest"),
        (existing.overwrite, "--overwrite"),
        (existing.skip_existing, "--skip-existing"),
        (existing.rename, "--rename"),
        (intake.verify, "--verify"),
        (intake.discard, "--discard"),
        (intake.hidden, "--hidden"),
    ];
    let text = if let Some(directory) = &order.directory {
        let directory = escape_os(directory);
        format!("--list gets nothing and needs no directory; leave --list away, or {directory}")
    } else if let Some((_, option)) = unfit.iter().find(|(is_given, _)| *is_given) {
        format!("--list gets nothing, and {option} is for what is got; leave one of them away")
    } else {
        return Ok(());
    };
    Err(Stop::Usage(text))
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
