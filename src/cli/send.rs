//! `volley send`

use super::args::{ArqOptions, Send};
use super::console::Console;
use super::destination::{Destination, parse_bind};
use super::progress::Meter;
use super::{Stop, require_open, summary};
use crate::net::{Finished, Impairment, Interrupt, Notice, Observer, dial, tcp};
use crate::report::json;
use crate::report::summary::{Direction, show_ways};
use crate::transfer::outcome::{Failure, Reason};
use crate::transport::config::CongestionChoice;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// Runs the command.
///
/// # Errors
/// Anything but: every file is committed.
pub fn run(order: &Send, interrupt: &Interrupt) -> Result<(), Stop> {
    let (paths, destination) = split_words(&order.words)?;
    require_open(order.open, "send")?;
    let impairment = order.link.impairment()?;
    if order.tcp {
        refuse_link_for_tcp(order, impairment.as_ref())?;
    }
    let bind = order.bind.as_deref().map(parse_bind).transpose().map_err(Stop::Usage)?;
    let console = Console::new(order.output.quiet);
    let addresses =
        destination.resolve().map_err(|text| Failure::new(Reason::Unreachable, text))?;
    let observer = observe(&console);
    let finished = if order.tcp {
        tcp::send(&tcp::Order { paths, addresses }, &observer, interrupt)?
    } else {
        announce(&console, impairment.as_ref());
        let dialled = dial::Order {
            paths,
            addresses,
            bind: bind.map(|(address, port)| SocketAddr::new(address, port.unwrap_or(0))),
            congestion: order.cc,
            arq: order.arq.config(),
            impairment: impairment.clone(),
            traces: false,
        };
        dial::send(&dialled, &observer, interrupt)?
    };
    conclude(&console, &finished, impairment.as_ref(), order.output.json)
}

/// The last word is the destination, all before it are files.
fn split_words(words: &[PathBuf]) -> Result<(Vec<PathBuf>, Destination), Stop> {
    let (last, paths) = words.split_last().expect("clap wants at least one");
    let shown = crate::base::text::escape(&last.to_string_lossy());
    let destination = last.to_str().map_or_else(|| Err("no host".to_owned()), Destination::parse);
    let looks_local = last.exists() && last.file_name().is_some();
    if paths.is_empty() || (looks_local && destination.is_err()) {
        let text = if looks_local {
            format!(
                "did you forget the destination? {shown} is a file here; write \
                 volley send {shown} HOST"
            )
        } else {
            format!("what is to be sent to {shown}? write volley send PATH... {shown}")
        };
        return Err(Stop::Usage(text));
    }
    let destination = destination.map_err(Stop::Usage)?;
    if looks_local && !is_known_host(&destination) {
        let text =
            format!("did you forget the destination? {shown} is a file here and no known host");
        return Err(Stop::Usage(text));
    }
    Ok((paths.to_vec(), destination))
}

fn is_known_host(destination: &Destination) -> bool {
    destination.resolve().is_ok()
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
pub(super) fn observe(console: &Console) -> Observer {
    let console = console.clone();
    let meter: Arc<Mutex<Option<Meter>>> = Arc::default();
    Arc::new(move |notice| {
        let mut meter = meter.lock().expect("nobody panics while holding it");
        match notice {
            Notice::Started { peer, .. } => *meter = Some(Meter::new(&console, show(peer))),
            Notice::Progress { progress, .. } => {
                if let Some(meter) = meter.as_mut() {
                    meter.update(&progress);
                }
            }
            Notice::Ended { .. } => *meter = None,
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
    json: bool,
) -> Result<(), Stop> {
    let summary = summary(finished, Direction::Sent, impairment);
    let verdict = finished.report.verdict();
    if json {
        let code = verdict.map_or(0, Reason::code);
        console.print(&json::transfer(&summary, code).to_string());
    }
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
    if report
        .failure
        .as_ref()
        .is_some_and(|f| matches!(f.reason, Reason::User | Reason::Terminated))
    {
        let text = "interrupted; the receiver keeps only complete files, and the same command sends \
                    the rest again";
        return text.into();
    }
    let nothing = report.files.iter().all(|file| file.outcome.is_err());
    match (&report.failure, &report.files[..]) {
        (Some(failure), _) if nothing => format!("error: {}", failure.text),
        (None, [only]) => match &only.outcome {
            Err(failure) => format!("error: {}", failure.text),
            Ok(_) => summary(),
        },
        _ => format!("error: not everything arrived\n{}", summary()),
    }
}
