//! `volley send`

use super::args::{ArqOptions, Send};
use super::console::Console;
use super::destination::parse_bind;
use super::output::Output;
use super::progress::Meter;
use super::report::{Recorder, Target};
use super::signals::{Deadline, obituary};
use super::{Stop, manifest, require_open, stdin, summary, words};
use crate::net::{Finished, Impairment, Interrupt, Notice, Observer, dial, tcp};
use crate::report::run::Report;
use crate::report::summary::{Direction, show_ways};
use crate::transfer::outcome::FileReport;
use crate::transport::config::CongestionChoice;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

/// What a transfer that is broken off leaves behind.
const KEPT: &str = "what had arrived is kept; the same command goes on from there";

/// The number of the only transfer.
pub(super) const TRANSFER: u64 = 1;

/// Runs the command.
///
/// # Errors
/// Anything but: every file is committed.
pub fn run(order: &Send, output: &Output, interrupt: &Interrupt) -> Result<(), Stop> {
    let (mut paths, destination) = words::split(&order.words)?;
    let stdin_name = stdin::take(&mut paths, order.name.as_ref())?;
    let mut selection = order.tree.select(paths).map_err(Stop::Usage)?;
    require_open(order.open, "send")?;
    let impairment = order.link.impairment()?;
    if order.tcp {
        refuse_link_for_tcp(order, impairment.as_ref())?;
    }
    let bind = order.bind.as_deref().map(parse_bind).transpose().map_err(Stop::Usage)?;
    let target = order.report.file.as_deref().map(Target::new).transpose()?;
    selection.manifest = manifest::create(order.manifest.file.as_deref())?;
    let manifest = selection.manifest.clone();
    let console = output.console(order.output.quiet);
    let _deadline = Deadline::after(order.timeout, interrupt);
    let addresses = destination.resolve_unless(interrupt)?;
    if let Some(name) = stdin_name {
        selection.spool = Some(stdin::spool(name, &console, interrupt)?);
    }
    let recorder = Recorder::start(order.arq.arq, Report::bounds(1));
    let mut observer = observe(&console, output);
    if target.is_some() {
        observer = recorder.beside(observer);
    }
    let finished = if order.tcp {
        tcp::send(&tcp::Order { selection, addresses, congestion: None }, &observer, interrupt)?
    } else {
        announce(&console, impairment.as_ref());
        let dialled = dial::Order {
            selection,
            addresses,
            bind: bind.map(|(address, port)| SocketAddr::new(address, port.unwrap_or(0))),
            congestion: order.cc,
            arq: order.arq.config(),
            impairment: impairment.clone(),
            traces: output.wants_traces() || target.is_some(),
        };
        dial::send(&dialled, &observer, interrupt)?
    };
    let concluded = conclude(&console, &finished, impairment.as_ref(), output);
    if let Some(target) = target {
        let summary = summary(&finished, Direction::Sent, impairment.as_ref());
        target.write(&recorder.report(&summary, &finished, impairment.as_ref()))?;
        console.tell(&format!("  report      {}", target.name()));
    }
    manifest::finish(manifest.as_ref(), &console, concluded)
}

fn refuse_link_for_tcp(order: &Send, impairment: Option<&Impairment>) -> Result<(), Stop> {
    if impairment.is_some() {
        return Err(Stop::Usage(
            "the options of an imperfect link act on datagrams and cannot be had with --tcp: dropping \
             bytes of a stream is not packet loss, the kernel would never see it and never retransmit"
                .into(),
        ));
    }
    if order.cc != CongestionChoice::Cubic {
        return Err(Stop::Usage("--cc is for UDP; over TCP the kernel chooses the rate".into()));
    }
    if order.arq != ArqOptions::default() {
        let text = "--arq and --window are for UDP; over TCP the kernel sends again what is lost";
        return Err(Stop::Usage(text.into()));
    }
    if order.bind.is_some() {
        return Err(Stop::Usage(
            "--bind is for UDP; over TCP the kernel chooses the address".into(),
        ));
    }
    Ok(())
}

/// Says what is done to the link before it is done.
pub(super) fn announce(console: &Console, impairment: Option<&Impairment>) {
    if let Some(Impairment { out, back, seed }) = impairment {
        console.tell(&format!("link: {}", show_ways(out, back, *seed)));
    }
}

/// Shows progress in one bar.
pub(super) fn observe(console: &Console, output: &Output) -> Observer {
    let (console, output) = (console.clone(), output.clone());
    let meter: Arc<Mutex<Option<Meter>>> = Arc::default();
    Arc::new(move |notice| {
        output.notice(&notice);
        let mut meter = meter.lock().expect("nobody panics while holding it");
        match notice {
            Notice::Started { peer, .. } => *meter = Some(Meter::new(&console, show(peer))),
            Notice::Progress { progress, .. } => {
                if let Some(meter) = meter.as_mut() {
                    meter.update(&progress);
                }
            }
            Notice::Ended { .. } => *meter = None,
            Notice::Traced { .. } => {}
        }
    })
}

fn show(peer: SocketAddr) -> String {
    super::show_peer(peer)
}

/// Says how it ended.
fn conclude(
    console: &Console,
    finished: &Finished,
    impairment: Option<&Impairment>,
    output: &Output,
) -> Result<(), Stop> {
    let summary = summary(finished, Direction::Sent, impairment);
    let verdict = finished.report.verdict();
    output.ended(console, TRANSFER, &summary);
    match verdict {
        None => {
            console.tell(&summary.text());
            Ok(())
        }
        Some(reason) => {
            console.say(&failure_text(finished, || summary.text()));
            Err(Stop::Told(reason))
        }
    }
}

/// One sentence where nothing at all arrived, else the whole summary.
fn failure_text(finished: &Finished, summary: impl FnOnce() -> String) -> String {
    let report = &finished.report;
    if let Some(order) = report.failure.as_ref().filter(|failure| failure.reason.is_order()) {
        return obituary(order.reason, KEPT);
    }
    let counts = &report.counts;
    let nothing = counts.files + counts.directories + counts.links == 0;
    match (&report.failure, &report.files[..]) {
        (Some(failure), _) if nothing => format!("error: {}", failure.text),
        (None, [FileReport { outcome: Err(failure), .. }]) if nothing => {
            format!("error: {}", failure.text)
        }
        _ => format!("error: not everything arrived\n{}", summary()),
    }
}
