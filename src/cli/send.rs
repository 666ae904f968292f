//! `volley send`

use super::args::Send;
use super::dialer::{Call, announce, conclude, observe};
use super::output::Output;
use super::report::{Recorder, Target};
use super::signals::Deadline;
use super::{Stop, manifest, require_open, stdin, summary, words};
use crate::net::Interrupt;
use crate::net::part::Errand;
use crate::report::run::Report;
use crate::report::summary::Direction;
use std::sync::Arc;

/// Runs the command.
///
/// # Errors
/// Anything but: every file is committed.
pub fn run(order: &Send, output: &Output, interrupt: &Interrupt) -> Result<(), Stop> {
    let (mut paths, destination) = words::split(&order.words)?;
    if order.dry_run {
        stdin::refuse_plan(&paths)?;
    }
    let stdin_name = stdin::take(&mut paths, order.name.as_ref())?;
    let mut selection = order.tree.select(paths).map_err(Stop::Usage)?;
    require_open(order.dial.open, "send")?;
    let call =
        Call::new((&order.dial, order.limit), &order.link, Some(order.rate), Some(order.arq))?;
    let call = if order.forget_paths { call.forgetting_paths()? } else { call };
    // A plan leaves nothing behind.
    let report_file = order.report.file.as_deref().filter(|_| !order.dry_run);
    let target = report_file.map(Target::new).transpose()?;
    let manifest_file = order.manifest.file.as_deref().filter(|_| !order.dry_run);
    manifest::check(manifest_file)?;
    let console = output.console(order.output.quiet);
    let _deadline = Deadline::after(order.dial.timeout, interrupt);
    if let Some(name) = stdin_name {
        selection.spool = Some(stdin::spool(name, &console, interrupt)?);
    }
    let recorder = Recorder::start(order.arq.arq, Report::bounds(1));
    let mut observer = observe(&console, call.congestion, output);
    if target.is_some() {
        observer = recorder.beside(observer);
    }
    selection.manifest = manifest::create(manifest_file)?;
    let manifest = selection.manifest.clone();
    announce(&console, call.impairment.as_ref());
    let selection = Arc::new(selection);
    let errand = if order.dry_run { Errand::PlanSend(selection) } else { Errand::Send(selection) };
    let traces = output.wants_traces() || target.is_some();
    let finished = call.make(errand, destination, traces, &observer, interrupt)?;
    let impairment = call.impairment.as_ref();
    let concluded = conclude(&console, &finished, Direction::Sent, impairment, output);
    let concluded = manifest::finish(manifest.as_ref(), &console, concluded);
    if let Some(target) = target {
        let summary = summary(&finished, Direction::Sent, impairment);
        target.write(&recorder.report(&summary, &finished, impairment))?;
        console.tell(&format!("  report      {}", target.name()));
    }
    concluded
}
