//! What standard output gets, for programs: nothing, an object for each transfer, or a line for each
//! event.

use super::Stop;
use super::args::OutputOptions;
use super::console::{self, Console};
use super::lines::Lines;
use crate::net::Notice;
use crate::report::events::failure_of;
use crate::report::json;
use crate::report::summary::Summary;
use crate::transfer::outcome::{Failure, Reason};
use std::net::SocketAddr;

/// What standard output gets.
#[derive(Clone, Debug)]
pub enum Output {
    /// `--json`
    Json,
    /// `--jsonl`
    Lines(Lines),
    /// Nothing.
    Nothing,
}

impl Output {
    /// What the options ask for.
    ///
    /// # Errors
    /// They ask for two things, or the system has no thread to spare.
    pub fn new(options: OutputOptions) -> Result<Self, Stop> {
        match (options.json, options.jsonl) {
            (false, false) => Ok(Self::Nothing),
            (true, false) => Ok(Self::Json),
            (false, true) => Lines::start(console::stdout())
                .map(Self::Lines)
                .map_err(|error| console::no_thread(&error).into()),
            (true, true) => Err(Stop::Usage(
                "--json and --jsonl both want standard output; --jsonl ends with what --json prints, \
                 choose one of them (VOLLEY_JSON and VOLLEY_JSONL count as well)"
                    .into(),
            )),
        }
    }

    /// Where people are told things; without bars where a program writes lines all the time.
    #[must_use]
    pub fn console(&self, is_quiet: bool) -> Console {
        match self {
            Self::Lines(_) => Console::without_bars(is_quiet),
            _ => Console::new(is_quiet),
        }
    }

    /// Whether it wants to know what happens to each packet.
    #[must_use]
    pub fn wants_traces(&self) -> bool {
        matches!(self, Self::Lines(_))
    }

    /// This side listens.
    pub fn listening(&self, address: SocketAddr) {
        if let Self::Lines(lines) = self {
            lines.listening(address);
        }
    }

    /// A loop told something.
    pub fn notice(&self, notice: &Notice) {
        if let Self::Lines(lines) = self {
            lines.notice(notice);
        }
    }

    /// A transfer is over.
    pub fn ended(&self, console: &Console, id: u64, summary: &Summary<'_>) {
        let result = || json::transfer(summary, summary.report.verdict().map_or(0, Reason::code));
        match self {
            Self::Json => console.result(&result().to_string()),
            Self::Lines(lines) => lines.ended(id, failure_of(summary.report), result()),
            Self::Nothing => {}
        }
    }

    /// The program ends because it was asked to, outside of any transfer.
    pub fn interrupted(&self, failure: &Failure) {
        if let Self::Lines(lines) = self {
            lines.failed(failure);
        }
    }

    /// The program ends with an error that belongs to no transfer.
    pub fn failed(&self, console: &Console, failure: &Failure) {
        match self {
            Self::Json => console.result(&json::failed(failure).to_string()),
            Self::Lines(lines) => lines.failed(failure),
            Self::Nothing => {}
        }
    }

    /// Waits until all events are written, as long as somebody reads.
    pub fn close(&self) {
        if let Self::Lines(lines) = self
            && lines.flush(console::patience()).is_err()
        {
            console::tell_unread();
        }
    }
}
