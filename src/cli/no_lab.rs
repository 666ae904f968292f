//! `volley lab` where there are no namespaces: it says so.

use super::args::Lab as Order;
use super::output::Output;
use super::{Place, Stop};
use crate::net::Interrupt;
use crate::transfer::outcome::{Failure, Reason};
use std::ffi::OsString;
use std::process::ExitCode;

/// There is only the process that the user started.
///
/// # Errors
/// None.
pub fn begin(_words: &mut Vec<OsString>) -> Result<Place, ExitCode> {
    Ok(Place::Outside)
}

/// Fails.
///
/// # Errors
/// Always: the lab is made of Linux's namespaces.
pub fn run(
    _order: &Order,
    _line: (Place, &[OsString]),
    _output: &Output,
    _interrupt: &Interrupt,
) -> Result<(), Stop> {
    probe().map_err(Stop::from)
}

/// The command line as the user typed it.
#[must_use]
pub fn typed_words() -> Vec<OsString> {
    std::env::args_os().collect()
}

/// There cannot be a lab.
///
/// # Errors
/// Always: it is made of Linux's namespaces.
pub fn probe() -> Result<(), Failure> {
    let text = "there is a lab on Linux only; volley simulate shows the same link in virtual time, and \
                volley relay puts it in front of any UDP program";
    Err(Failure::new(Reason::Other, text))
}

/// Fails.
///
/// # Errors
/// Always: there is no inside.
pub fn hand_over(_words: &[OsString], _interrupt: &Interrupt) -> Result<(), Stop> {
    probe().map_err(Stop::from)
}
