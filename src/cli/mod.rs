//! Floor 5: commands, arguments, progress, exit codes. The only floor that prints.
//!
//! Text is parsed into arguments ([`args`]), arguments into checked orders ([`destination`] and the
//! commands), and each command runs to an exit code. People read standard error; standard output
//! belongs to `--json` and `--jsonl` ([`output`]).

mod advice;
pub mod args;
pub mod bars;
pub mod compare;
pub mod complaint;
pub mod completions;
pub mod console;
pub mod demo;
pub mod destination;
pub mod dialer;
pub mod environment;
mod files;
pub mod get;
pub mod happening;
pub mod intake;
pub mod keyboard;
mod known_paths;
#[cfg_attr(not(target_os = "linux"), path = "no_lab.rs")]
pub mod lab;
pub mod ladder;
pub mod lines;
pub mod link_options;
pub mod listener;
pub mod listing;
pub mod local;
pub mod man;
pub mod manifest;
pub mod output;
pub mod player;
pub mod progress;
mod queue;
pub mod recv;
pub mod relay;
pub mod report;
pub mod rows;
pub mod scratch;
pub mod send;
pub mod share;
pub mod signals;
pub mod simulate;
pub mod stdin;
pub mod stdout;
pub mod story;
pub mod sweep;
pub mod terminal;
pub mod trace;
pub mod view;
pub mod words;

use crate::net::{Carrier, Finished, Impairment, Interrupt};
use crate::report::summary::{Direction, LinkSummary, Summary, Way};
use crate::transfer::outcome::{Failure, Reason};
use args::{Arguments, Command, Get, OutputOptions, Send};
use clap::{CommandFactory, FromArgMatches};
use console::Console;
use output::Output;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

/// The exit code for a command line that makes no sense.
const USAGE: u8 = 2;

/// Why a command ends without having succeeded.
#[derive(Debug)]
pub enum Stop {
    /// A program that was run for the user has ended with this.
    Ended(u8),
    /// It has been told already; only the exit code is left.
    Told(Reason),
    /// The command line makes no sense.
    Usage(String),
    /// Something failed.
    Failed(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// In which network a process finds itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In that of the user.
    Outside,
    /// In one of its own, where a lab can be opened.
    Inside,
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    console::tell_panics();
    let code = begin();
    console::finish();
    code
}

fn begin() -> ExitCode {
    let mut words: Vec<OsString> = std::env::args_os().collect();
    // Before there is any thread.
    let place = match lab::begin(&mut words) {
        Ok(place) => place,
        Err(code) => return code,
    };
    if link_options::asks_for_list(words.iter()) {
        let printed = Console::plain().print(link_options::list().trim_end());
        return printed.map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS);
    }
    let arguments = match parse(&words) {
        Ok(arguments) => arguments,
        Err(error) => return unread(&error, &words),
    };
    let interrupt = Interrupt::default();
    console::obey(&interrupt);
    if let Err(error) = signals::heed(&interrupt, left(place, &arguments.command)) {
        Console::plain().say(&format!("cannot watch for signals: {error}"));
        return Reason::Other.code().into();
    }
    let output = Output::new(output_options(&arguments.command));
    let output = match output {
        Ok(output) => output,
        Err(stop) => return end(stop, &Output::Nothing).into(),
    };
    let done = run(&arguments.command, (place, &words), &output, &interrupt);
    let code = done.err().map_or(0, |stop| end(stop, &output));
    output.close();
    code.into()
}

/// Where a command takes files in.
fn into(command: &Command) -> Option<&Path> {
    match command {
        Command::Get(order) => order.directory.as_deref(),
        Command::Recv(order) => Some(&order.directory),
        _ => None,
    }
}

/// What an end at once leaves of the work. It is for the process that the user started to end so.
fn left(place: Place, command: &Command) -> Option<&'static str> {
    let goes_on = "the same command goes on from what was written down";
    let left = match command {
        Command::Compare(_) | Command::Lab(_) => "all in it is gone",
        Command::Completions(_) | Command::Man(_) => "what is written is not complete",
        Command::Demo(_) => "what it had made lies among the temporary files",
        Command::Get(order) if order.list => "the list is not complete",
        Command::Get(Get { dry_run: true, .. }) | Command::Send(Send { dry_run: true, .. }) => {
            "nothing has been done"
        }
        Command::Recv(_) | Command::Get(_) if into(command).is_some_and(stdout::is_meant) => {
            "what came so far lies among the temporary files"
        }
        Command::Recv(_) | Command::Get(_) | Command::Send(_) => goes_on,
        Command::Relay(_) => "its counts are lost",
        Command::Share(_) => "the other sides keep what is complete, and what they can go on with",
        Command::Simulate(_) => "nothing of it is kept",
    };
    (place == Place::Outside).then_some(left)
}

fn output_options(command: &Command) -> OutputOptions {
    match command {
        Command::Demo(order) => order.output,
        Command::Get(order) => order.output,
        Command::Lab(order) => order.output.into(),
        Command::Recv(order) => order.output,
        Command::Relay(order) => order.output.into(),
        Command::Send(order) => order.output,
        Command::Share(order) => order.output,
        Command::Compare(_) | Command::Completions(_) | Command::Man(_) | Command::Simulate(_) => {
            OutputOptions::default()
        }
    }
}

fn run(
    command: &Command,
    line: (Place, &[OsString]),
    output: &Output,
    interrupt: &Interrupt,
) -> Result<(), Stop> {
    match command {
        Command::Compare(order) => compare::run(order, line, interrupt),
        Command::Demo(order) => demo::run(order, line, output, interrupt),
        Command::Get(order) => get::run(order, output, interrupt),
        Command::Lab(order) => lab::run(order, line, output, interrupt),
        Command::Recv(order) => recv::run(order, output, interrupt),
        Command::Relay(order) => relay::run(order, output, interrupt),
        Command::Send(order) => send::run(order, output, interrupt),
        Command::Share(order) => share::run(order, output, interrupt),
        Command::Simulate(order) => simulate::run(order, interrupt),
        Command::Completions(order) => completions::run(order, definitions()),
        Command::Man(order) => man::run(order, definitions()),
    }
}

/// All that can be typed, or set in the environment.
fn definitions() -> clap::Command {
    environment::with_variables(Arguments::command())
}

/// The long names of all flags.
fn flags() -> impl Iterator<Item = String> {
    let commands = Arguments::command();
    let flags = commands.get_subcommands().flat_map(clap::Command::get_arguments);
    let names: BTreeSet<String> =
        flags.filter_map(|flag| flag.get_long().map(Into::into)).collect();
    names.into_iter()
}

fn parse(words: &[OsString]) -> Result<Arguments, clap::Error> {
    let matches = definitions().try_get_matches_from(words)?;
    Arguments::from_arg_matches(&matches)
}

/// What was typed asks for help, or is no command line.
fn unread(error: &clap::Error, words: &[OsString]) -> ExitCode {
    use clap::error::ErrorKind;
    match error.kind() {
        ErrorKind::DisplayHelp
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
        | ErrorKind::DisplayVersion => {
            // clap knows where to print which.
            let _ = error.print();
            ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(USAGE))
        }
        _ => {
            let typed = words.iter().skip(1).map(|word| word.to_string_lossy().into());
            let mut text = complaint::sentence(error, &typed.collect::<Vec<String>>());
            if let Some(variable) = environment::blame(error, Arguments::command(), words) {
                text += &format!("; the value comes from the environment variable {variable}");
            }
            end(Stop::Usage(text), &Output::Nothing).into()
        }
    }
}

fn end(stop: Stop, output: &Output) -> u8 {
    let console = Console::plain();
    match stop {
        Stop::Ended(code) => code,
        Stop::Told(reason) => reason.code(),
        Stop::Usage(text) => {
            console.say(&complaint::usage(&text));
            USAGE
        }
        Stop::Failed(failure) => {
            output.failed(&console, &failure);
            console.say(&format!("error: {}", failure.text));
            failure.reason.code()
        }
    }
}

/// Nobody gives up authentication and encryption without having said so.
fn require_open(is_open: bool, verb: &str) -> Result<(), Stop> {
    if is_open {
        return Ok(());
    }
    Err(Stop::Usage(format!(
        "secured mode is not there yet; add --open on both sides to {verb} without authentication \
         and encryption, on wires that you trust"
    )))
}

/// The summary of a transfer that is over.
fn summary<'a>(
    finished: &'a Finished,
    direction: Direction,
    impairment: Option<&Impairment>,
) -> Summary<'a> {
    let link = impairment.zip(finished.impaired).map(|(impairment, counts)| LinkSummary {
        out: Way { config: impairment.out.clone(), counts: counts.out },
        back: Way { config: impairment.back.clone(), counts: counts.back },
        seed: impairment.seed,
        found_damaged: counts.found_damaged,
    });
    Summary {
        direction,
        carrier: match finished.carrier {
            Carrier::Tcp => "TCP",
            Carrier::Udp => "UDP",
        },
        peer: show_peer(finished.peer),
        elapsed: finished.elapsed,
        retrying: finished.retrying,
        report: &finished.report,
        link,
    }
}

/// An address as people write it.
fn show_peer(peer: std::net::SocketAddr) -> String {
    local::show(peer)
}
