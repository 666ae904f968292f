//! `volley lab`, on Linux.
//!
//! The program runs itself again to get into namespaces of its own (see
//! [`entrance`]): [`begin`] finds out which of these processes this is, [`run`]
//! is the command both outside, where it hands over, and inside, where it opens the lab.

use super::args::Lab as Order;
use super::console::Console;
use super::dialer::announce;
use super::output::Output;
use super::{Place, Stop};
use crate::base::text::escape_os;
use crate::lab::entrance::{self, Role};
use crate::lab::{Host, Lab, LabCounts, LabError, LabLink, WayCounts};
use crate::net::{Impairment, Interrupt};
use crate::report::json;
use crate::report::lab::LabSummary;
use crate::report::relay::RelayWay;
use crate::report::summary::Way;
use crate::transfer::outcome::{Failure, Reason};
use std::ffi::OsString;
use std::io;
use std::process::{Command, ExitCode};

/// As shells have it: a program that cannot be run, and one that is not there.
const CANNOT_RUN: u8 = 126;
const NOT_FOUND: u8 = 127;

/// Without a lab.
const NEXT_BEST: &str = "\
next best: volley simulate --cc cubic, the same link in virtual time, where volley's own CUBIC stands in for
kernel TCP; or volley relay, in front of any UDP program";

/// Finds out what this process is for, and does it, unless it is to run the command line: then says
/// where.
///
/// # Errors
/// It has done what it was for, and this is what to end with.
pub fn begin(words: &mut Vec<OsString>) -> Result<Place, ExitCode> {
    let code = match Role::take(words) {
        Role::Outside => return Ok(Place::Outside),
        Role::Threshold { parent } => {
            let crossed = entrance::cross(&parent, words);
            crossed.map_or_else(|error| complain(&error), entrance::exit_code)
        }
        Role::Inside { parent } => match entrance::settle(&parent) {
            Ok(()) if words.get(1).is_some_and(|word| word == entrance::PROBE) => {
                Lab::open(&LabLink::default()).map_or_else(|error| complain(&error), |_| 0)
            }
            Ok(()) => return Ok(Place::Inside),
            Err(error) => complain(&error),
        },
        Role::Host { place } => match words.get(1) {
            Some(program) => match entrance::become_program(&place, program, &words[2..]) {
                Ok(error) => cannot_run(program, &error),
                Err(error) => complain(&error),
            },
            None => {
                Console::plain().say("error: $A and $B go in front of a command");
                CANNOT_RUN
            }
        },
    };
    Err(code.into())
}

/// The command line of this process as the user typed it, whatever the process is for.
#[must_use]
pub fn typed_words() -> Vec<OsString> {
    let mut words = std::env::args_os().collect();
    Role::take(&mut words);
    words
}

fn complain(error: &LabError) -> u8 {
    Console::plain().say(&format!("error: {error}\n{NEXT_BEST}"));
    Reason::Other.code()
}

/// Says why a program does not run, and returns what a shell would end with.
fn cannot_run(program: &OsString, error: &io::Error) -> u8 {
    let name = escape_os(program);
    let (text, code) = match error.kind() {
        io::ErrorKind::NotFound => (format!("there is no program {name}"), NOT_FOUND),
        io::ErrorKind::PermissionDenied => (format!("{name} is no program"), CANNOT_RUN),
        _ => (format!("{name} cannot be run: {error}"), CANNOT_RUN),
    };
    Console::plain().say(&format!("error: {text}"));
    code
}

impl From<LabError> for Stop {
    fn from(error: LabError) -> Self {
        Failure::new(Reason::Other, format!("{error}\n{NEXT_BEST}")).into()
    }
}

/// Runs the command; `words` is its command line.
///
/// # Errors
/// There is no lab to be had here, or the program in it ended with something else than 0.
pub fn run(
    order: &Order,
    (place, words): (Place, &[OsString]),
    output: &Output,
    interrupt: &Interrupt,
) -> Result<(), Stop> {
    let impairment = order.link.impairment()?;
    match place {
        Place::Outside => hand_over(words, interrupt),
        Place::Inside => {
            let code = experiment(order, impairment.as_ref(), output, news_of(interrupt))?;
            if code == 0 { Ok(()) } else { Err(Stop::Ended(code)) }
        }
    }
}

/// Whether there can be a lab: makes one, and takes it down.
///
/// # Errors
/// Why not, and what to do about it.
pub fn probe() -> Result<(), Failure> {
    entrance::probe().map_err(|error| Failure::new(Reason::Other, error.to_string()))
}

/// Runs the same command line inside, and ends as it does.
///
/// # Errors
/// There is no lab to be had here, or the command ended with something else than 0.
pub fn hand_over(words: &[OsString], interrupt: &Interrupt) -> Result<(), Stop> {
    Console::plain().settle();
    match entrance::exit_code(entrance::enter(words, news_of(interrupt))?) {
        0 => Ok(()),
        code => Err(Stop::Ended(code)),
    }
}

/// Tells of each signal once, unless the child has been sent it, too.
fn news_of(interrupt: &Interrupt) -> impl FnMut() -> Option<i32> {
    let mut told = None;
    move || {
        let asked = interrupt.to_pass_on().filter(|signal| told != Some(*signal));
        told = asked.or(told);
        asked
    }
}

/// Opens the lab, runs the command in it, and returns what it ended with.
fn experiment(
    order: &Order,
    impairment: Option<&Impairment>,
    output: &Output,
    pending: impl FnMut() -> Option<i32>,
) -> Result<u8, Stop> {
    let console = output.console(order.output.quiet);
    let lab = Lab::open(&link(impairment))?;
    greet(&console, &lab, impairment);
    let mut command = command(&order.command);
    for (host, name) in [(Host::A, "A"), (Host::B, "B")] {
        let addresses = lab.addresses(host);
        command.env(name, lab.prefix(host)).env(format!("IP{name}"), addresses.v4.to_string());
        let v6 = addresses.v6.map(|v6| v6.to_string()).unwrap_or_default();
        command.env(format!("IP6{name}"), v6);
    }
    console.settle();
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return Ok(cannot_run(&order.command[0], &error)),
    };
    let ended = entrance::attend(&mut child, pending);
    let code = entrance::exit_code(ended.map_err(|error| {
        Failure::new(Reason::Other, format!("cannot wait for the command: {error}"))
    })?);
    let summary = summary(&lab, impairment, lab.counts(), code);
    if order.output.json {
        console.result(&json::lab(&summary).to_string());
    }
    console.tell(&summary.text());
    Ok(code)
}

/// One word is for the shell, as it would have it; several are a program and what it is given.
fn command(words: &[OsString]) -> Command {
    match words {
        [line] => {
            let mut command = Command::new("/bin/sh");
            command.arg("-c").arg(line);
            command
        }
        _ => {
            let mut command = Command::new(&words[0]);
            command.args(&words[1..]);
            command
        }
    }
}

fn link(impairment: Option<&Impairment>) -> LabLink {
    impairment.map_or_else(LabLink::default, |impairment| LabLink {
        out: impairment.out.clone(),
        back: impairment.back.clone(),
        seed: impairment.seed,
    })
}

fn greet(console: &Console, lab: &Lab, impairment: Option<&Impairment>) {
    let [a, b] = Host::BOTH.map(|host| lab.addresses(host).v4);
    console
        .tell(&format!("lab: hosts A ($IPA, {a}) and B ($IPB, {b}); $A and $B run programs there"));
    announce(console, impairment);
    if impairment.is_none() {
        console
            .tell("link: does nothing; to make it worse, add for example --loss 1% --delay 25ms");
    }
}

fn summary(
    lab: &Lab,
    impairment: Option<&Impairment>,
    counts: LabCounts,
    exit_code: u8,
) -> LabSummary {
    let [out_config, back_config] =
        impairment.map_or_else(Default::default, |link| [link.out.clone(), link.back.clone()]);
    let way = |config, counts: WayCounts| RelayWay {
        way: Way { config, counts: counts.link },
        delivered: counts.delivered,
        delivered_bytes: counts.delivered_bytes,
    };
    LabSummary {
        hosts: Host::BOTH.map(|host| lab.addresses(host).v4.to_string()),
        elapsed: counts.elapsed,
        out: way(out_config, counts.out),
        back: way(back_config, counts.back),
        seed: impairment.map(|link| link.seed),
        missed: counts.out.missed + counts.back.missed,
        unsent: counts.out.unsent + counts.back.unsent,
        exit_code,
    }
}
