//! `volley completions`: what a shell needs to complete command lines.

use super::Stop;
use super::args::Completions;
use super::console::Console;
use clap::Command;

/// Writes the script to standard output.
///
/// # Errors
/// The end was ordered before it was read.
pub fn run(order: &Completions, mut definitions: Command) -> Result<(), Stop> {
    // In memory first: the generator takes a closed stream for a bug.
    let mut script = Vec::new();
    clap_complete::generate(order.shell, &mut definitions, "volley", &mut script);
    Ok(Console::plain().print(String::from_utf8_lossy(&script).trim_end())?)
}
