//! `volley get`

use super::args::Get;
use super::dialer::{Call, announce, conclude, observe};
use super::intake::{self, Intake};
use super::listing::Listing;
use super::output::Output;
use super::signals::Deadline;
use super::{Stop, manifest, require_open, stdout, words};
use crate::net::Interrupt;
use crate::net::part::Errand;
use crate::report::summary::Direction;
use std::path::Path;

/// Runs the command.
///
/// # Errors
/// Anything but: every file is committed, or all that is offered has been shown.
pub fn run(order: &Get, output: &Output, interrupt: &Interrupt) -> Result<(), Stop> {
    let directory = order.directory.as_deref();
    let source = words::source(&order.source, directory)?;
    require_open(order.dial.open, "get")?;
    let call = Call::new((&order.dial, order.limit), &order.link, None, None)?;
    let into = directory.unwrap_or(Path::new("."));
    let console = intake::console(into, order.output, output);
    let _deadline = Deadline::after(order.dial.timeout, interrupt);
    if order.dry_run {
        refuse_plan(order, into)?;
    }
    if order.list {
        let listing = Listing::new(order, output, &console, interrupt)?;
        announce(&console, call.impairment.as_ref());
        let finished = call.make(Errand::List, source, false, &listing.observer(), interrupt)?;
        return listing.conclude(&finished);
    }
    stdout::refuse_options(into, &order.intake, order.output)?;
    let intake = match order.dry_run {
        true => Intake::look(into, &order.intake)?,
        false => Intake::open(into, &order.intake, interrupt)?,
    };
    let errand = match order.dry_run {
        true => Errand::PlanGet(intake.reception()),
        false => Errand::Get(intake.reception()),
    };
    announce(&console, call.impairment.as_ref());
    let (observer, traces) = (observe(&console, call.congestion, output), output.wants_traces());
    let finished = call.make(errand, source, traces, &observer, interrupt)?;
    let impairment = call.impairment.as_ref();
    let done = conclude(&console, &finished, Direction::Received, impairment, output);
    manifest::finish(intake.manifest().as_ref(), &console, done)
}

/// Fails where there is nothing that a plan could say.
fn refuse_plan(order: &Get, into: &Path) -> Result<(), Stop> {
    let text = match () {
        () if order.list => {
            "--list shows what is offered, --dry-run what would come of getting it; leave one of them away"
        }
        () if stdout::is_meant(into) => {
            "--dry-run says what would become of the files in a directory, and - is standard output; leave \
             --dry-run away, or name a directory"
        }
        () => return Ok(()),
    };
    Err(Stop::Usage(text.into()))
}
