//! `volley simulate --trace`: every event of a run, written as it happens.

use super::Stop;
use super::files;
use super::happening;
use super::rows::no_end;
use crate::base::time::Instant;
use crate::net::Interrupt;
use crate::report::trace::{Lines, Settings};
use crate::sim::{self, Order, Outcome};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::ops::ControlFlow;
use std::path::Path;

/// Bytes that are written at a time.
const BUFFER: usize = 1 << 16;

/// Whether the file is standard output.
#[must_use]
pub fn is_stdout(path: &Path) -> bool {
    path == Path::new("-")
}

/// Runs what is ordered and writes it to `path`. Nothing comes back if nobody reads standard output to
/// its end: that is no reason to fail.
///
/// # Errors
/// The file cannot be written, or the run was interrupted.
pub fn write(
    path: &Path,
    order: &Order,
    settings: &Settings<'_>,
    interrupt: &Interrupt,
) -> Result<Option<Outcome>, Stop> {
    let out = if is_stdout(path) { files::stdout() } else { files::create(path) };
    let out = out.map_err(|error| files::cannot_write(path, &error))?;
    let written = write_to(BufWriter::with_capacity(BUFFER, out), order, settings, interrupt);
    if let Some(interrupted) = interrupt.failure() {
        return Err(interrupted.into());
    }
    match written {
        Ok(outcome) => Ok(Some(outcome)),
        Err(error) if is_stdout(path) && error.kind() == ErrorKind::BrokenPipe => Ok(None),
        Err(error) => Err(files::cannot_write(path, &error).into()),
    }
}

fn write_to(
    mut out: impl Write,
    order: &Order,
    settings: &Settings<'_>,
    interrupt: &Interrupt,
) -> io::Result<Outcome> {
    writeln!(out, "{}", Lines::head(settings))?;
    let mut lines = Lines::default();
    let mut latest = Instant::ZERO;
    let mut written = Ok(());
    let outcome = sim::watch(order, &mut |record| {
        latest = record.at;
        written = happening::of_record(&record)
            .filter_map(|happening| lines.line(&happening))
            .try_for_each(|line| writeln!(out, "{line}"));
        if written.is_err() || interrupt.get().is_some() {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    });
    written?;
    if outcome.elapsed().is_none() {
        let failure = interrupt.failure().unwrap_or_else(no_end);
        writeln!(out, "{}", Lines::failed(latest, &failure))?;
    }
    out.flush()?;
    Ok(outcome)
}
