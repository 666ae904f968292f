//! `volley recv`

use super::args::Recv;
use super::console::Console;
use super::destination::parse_bind;
use super::output::Output;
use super::progress::Meter;
use super::send::announce;
use super::signals::{Deadline, obituary};
use super::stdout::{self, StandardOutput};
use super::{Stop, manifest, require_open, show_peer, summary};
use crate::base::text::escape;
use crate::base::units::show_size;
use crate::net::listen::{Listener, Reception};
use crate::net::{DEFAULT_PORT, Impairment, Interrupt, Notice, Observer};
use crate::os::limits;
use crate::report::summary::{Direction, Summary, plural};
use crate::transfer::area::Waiting;
use crate::transfer::directory::Directory;
use crate::transfer::keeping::Keeping;
use crate::transfer::outcome::Reason;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

/// Runs the command.
///
/// # Errors
/// It could not listen, was interrupted, or the one transfer did not succeed.
pub fn run(order: &Recv, output: &Output, interrupt: &Interrupt) -> Result<(), Stop> {
    require_open(order.open, "receive")?;
    stdout::refuse_options(order)?;
    let impairment = order.link.impairment()?;
    let (bind, port) = match order.bind.as_deref().map(parse_bind).transpose() {
        Ok(Some((address, port))) => (Some(address), port.unwrap_or(order.port)),
        Ok(None) => (None, order.port),
        Err(text) => return Err(Stop::Usage(text)),
    };
    let console = match stdout::is_shown(&order.directory) {
        true => Console::without_bars(order.output.quiet),
        false => output.console(order.output.quiet),
    };
    let _deadline = Deadline::after(order.timeout, interrupt);
    limits::raise_open_files();
    let listener = Listener::bind(bind, port)?;
    let manifest = manifest::create(order.manifest.file.as_deref())?;
    let output_stream = StandardOutput::meant_by(&order.directory)?;
    let directory = match &output_stream {
        Some(stream) => stream.directory.clone(),
        None => Arc::new(Directory::open(&order.directory)?),
    };
    let keeping = Keeping {
        existing: order.existing.choose().map_err(Stop::Usage)?,
        discards: order.discard,
        verify: order.verify,
        handover: output_stream.as_ref().map(|stream| stream.handover.clone()),
        manifest: manifest.clone(),
    };
    greet(&console, order, &directory, listener.address());
    output.listening(listener.address());
    announce(&console, impairment.as_ref());
    let reception = Reception {
        directory,
        keeping,
        takes_hidden: order.hidden,
        once: order.once || output_stream.is_some(),
        impairment: impairment.clone(),
        traces: output.wants_traces(),
    };
    let observer = observe(&console, impairment, output);
    let done = match listener.run(&reception, &observer, interrupt) {
        Ok(None) => Ok(()),
        Ok(Some(reason)) => Err(Stop::Told(reason)),
        Err(failure) if failure.reason.is_order() => {
            output.interrupted(&failure);
            let kept = match output_stream {
                Some(_) => "standard output gets a complete file or nothing",
                None => {
                    "what is complete is kept, and of the rest what a later `send` can go on with"
                }
            };
            let text = obituary(failure.reason, kept);
            match failure.reason {
                Reason::Deadline => console.say(&text),
                _ => console.tell(&text),
            }
            Err(Stop::Told(failure.reason))
        }
        Err(failure) => Err(failure.into()),
    };
    manifest::finish(manifest.as_ref(), &console, done)
}

/// Says what to type on the other machine.
fn greet(console: &Console, order: &Recv, directory: &Directory, address: SocketAddr) {
    let path = escape(&directory.path().to_string_lossy());
    let free = directory.free_space().map(|bytes| format!(" ({} free)", show_size(bytes)));
    let free = free.unwrap_or_default();
    let (into, what) = match stdout::is_meant(&order.directory) {
        true => {
            let path = escape(&std::env::temp_dir().to_string_lossy());
            (
                format!("one file for standard output, kept in {path}{free} until it is complete"),
                "FILE",
            )
        }
        false => (format!("into {path}{free}"), "PATH..."),
    };
    let port = match address.port() {
        DEFAULT_PORT => String::new(),
        port => format!(":{port}"),
    };
    let mut lines = vec![format!("receiving {into}")];
    let Waiting { files, bytes } = directory.waiting();
    if files > 0 {
        let (files, size) =
            (plural(files, "unfinished file", "unfinished files"), show_size(bytes));
        lines.push(format!(
            "{files} ({size}) of earlier transfers can be gone on with: by the same `volley send` again"
        ));
    }
    if order.discard {
        lines.push("nothing is kept (--discard): what comes is verified and thrown away".into());
    }
    lines.extend([
        "open mode: whoever reaches this port can send, and nothing is encrypted".into(),
        "on the other machine, type:".into(),
    ]);
    for host in reachable_hosts(address.ip()) {
        let host = match host {
            IpAddr::V6(ip) if !port.is_empty() => format!("[{ip}]"),
            ip => ip.to_string(),
        };
        lines.push(format!("  volley send {what} {host}{port} --open"));
    }
    console.tell(&lines.join("\n"));
}

/// The addresses under which others may reach this machine; this machine's own if there are none.
pub(super) fn reachable_hosts(bound: IpAddr) -> Vec<IpAddr> {
    if !bound.is_unspecified() {
        return vec![bound.to_canonical()];
    }
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    let all: Vec<IpAddr> = interfaces
        .iter()
        .map(if_addrs::Interface::ip)
        .filter(|ip| bound.is_ipv6() || ip.is_ipv4())
        .collect();
    let is_usable = |ip: &IpAddr| match ip {
        IpAddr::V4(ip) => !ip.is_loopback() && !ip.is_link_local(),
        IpAddr::V6(ip) => !ip.is_loopback() && !ip.is_unicast_link_local(),
    };
    let usable: Vec<IpAddr> = all.iter().copied().filter(is_usable).collect();
    let own = all.iter().copied().find(IpAddr::is_loopback);
    if usable.is_empty() { own.into_iter().collect() } else { usable }
}

/// Shows each transfer in its own bar, and tells how it ended.
fn observe(console: &Console, impairment: Option<Impairment>, output: &Output) -> Observer {
    let (console, output) = (console.clone(), output.clone());
    let meters: Mutex<HashMap<u64, Meter>> = Mutex::default();
    Arc::new(move |notice| {
        output.notice(&notice);
        let mut meters = meters.lock().expect("nobody panics while holding it");
        match notice {
            Notice::Started { id, peer, .. } => {
                meters.insert(id, Meter::new(&console, show_peer(peer)));
            }
            Notice::Progress { id, progress } => {
                if let Some(meter) = meters.get_mut(&id) {
                    meter.update(&progress);
                }
            }
            Notice::Ended { id, finished } => {
                if let Some(meter) = meters.remove(&id) {
                    meter.clear();
                }
                let summary = summary(&finished, Direction::Received, impairment.as_ref());
                if output.wants_traces() || summary.report.counts.entries > 0 {
                    output.ended(&console, id, &summary);
                }
                conclude(&console, &summary);
            }
            Notice::Traced { .. } => {}
        }
    })
}

fn conclude(console: &Console, summary: &Summary<'_>) {
    let report = summary.report;
    if report.counts.entries == 0 {
        let peer = &summary.peer;
        let why = report.failure.as_ref().map_or("nothing was offered", |failure| &failure.text);
        return console.tell(&format!("{peer} connected and sent nothing: {why}"));
    }
    match report.verdict() {
        None => console.tell(&summary.text()),
        Some(_) => console.say(&summary.text()),
    }
}
