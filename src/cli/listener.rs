//! What `volley recv` and `volley share` have in common: they listen, say what to type on the other
//! machine, and serve whoever comes.

use super::args::{LimitOptions, ListenOptions};
use super::console::Console;
use super::dialer::announce;
use super::link_options::LinkOptions;
use super::local::{THEIR_ZONE, parse_bind, reachable_hosts, show_host};
use super::output::Output;
use super::progress::Meter;
use super::signals::{Deadline, obituary};
use super::{Stop, require_open, show_peer, summary};
use crate::net::listen::{Listener, Order};
use crate::net::part::Service;
use crate::net::{DEFAULT_PORT, Impairment, Interrupt, Notice, Observer};
use crate::os::limits;
use crate::report::summary::{Direction, Summary, plural};
use crate::transfer::outcome::{Failure, Reason};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

/// How to listen.
pub(super) struct Listening<'a> {
    pub(super) options: &'a ListenOptions,
    pub(super) limit: LimitOptions,
    pub(super) link: &'a LinkOptions,
    pub(super) console: Console,
    /// Which way the files go.
    pub(super) direction: Direction,
}

/// What a listener has to offer, or where it takes files in.
pub(super) struct Opened {
    pub(super) service: Service,
    /// What is said of it first.
    pub(super) headlines: Vec<String>,
    /// Whether it takes one file, and then ends.
    pub(super) takes_one: bool,
    /// What has become of the files when it is told to end.
    pub(super) kept: Box<dyn Fn() -> &'static str>,
}

/// The words of each way.
struct Words {
    /// What it does, after "to".
    verb: &'static str,
    /// What anybody can do.
    warning: &'static str,
    /// What to type on the other machine, before and after the host.
    invitation: &'static str,
    /// What who leaves with nothing has done.
    idle: &'static str,
}

impl Words {
    fn of(direction: Direction) -> Self {
        match direction {
            Direction::Received => Self {
                verb: "receive",
                warning: "open mode: whoever reaches this port can send, and nothing is encrypted",
                invitation: "volley send PATH... ",
                idle: "sent nothing",
            },
            Direction::Sent => Self {
                verb: "share",
                warning: "open mode: whoever reaches this port can get them, and nothing is encrypted",
                invitation: "volley get ",
                idle: "got nothing",
            },
        }
    }
}

/// Listens, learns from `open` what to do for whoever comes and how to say that in a line, and does it.
///
/// # Errors
/// It could not listen, was interrupted, or the one transfer did not succeed.
pub(super) fn serve(
    listening: &Listening<'_>,
    open: impl FnOnce() -> Result<Opened, Stop>,
    output: &Output,
    interrupt: &Interrupt,
) -> Result<(), Stop> {
    let Listening { options: order, direction, console, .. } = listening;
    let direction = *direction;
    let words = Words::of(direction);
    require_open(order.open, words.verb)?;
    let impairment = listening.link.impairment()?;
    let bind = order.bind.as_deref().map(|text| parse_bind("--bind", text)).transpose();
    let bind = bind.map_err(Stop::Usage)?.map(|local| local.socket_address(order.port));
    let _deadline = Deadline::after(order.timeout, interrupt);
    limits::raise_open_files();
    check_open_files()?;
    let listener = match bind {
        Some(address) => Listener::bind_to(address)?,
        None => Listener::bind(None, order.port)?,
    };
    let Opened { service, headlines, takes_one, kept } = open()?;
    greet(console, &headlines, (&words, takes_one), listener.address());
    output.listening(listener.address());
    announce(console, impairment.as_ref());
    let serving = Order {
        service,
        once: order.once || takes_one,
        max_rate: listening.limit.max_rate,
        impairment: impairment.clone(),
        traces: output.wants_traces(),
    };
    let observer = observe(console, impairment, direction, output);
    match listener.run(&serving, &observer, interrupt) {
        Ok(None) => Ok(()),
        Ok(Some(reason)) => Err(Stop::Told(reason)),
        Err(failure) if failure.reason.is_order() => {
            output.interrupted(&failure);
            let text = obituary(failure.reason, kept());
            match failure.reason {
                Reason::Deadline => console.say(&text),
                _ => console.tell(&text),
            }
            Err(Stop::Told(failure.reason))
        }
        Err(failure) => Err(failure.into()),
    }
}

/// Fails where the system lets this program open too few files to serve anybody.
fn check_open_files() -> Result<(), Failure> {
    /// What transfers leave alone, without the streams and wakers that are open by now; and one transfer's: its
    /// stream, the file, what is written down of it, and directories.
    const NEEDED: u64 = 9 + 8;
    match limits::open_files() {
        Some((limit, left)) if left < NEEDED => Err(Failure::new(
            Reason::Other,
            format!(
                "{limit} files are all that this program may have open at once, too few to serve anybody; \
                 raise that limit, for example with `ulimit -n 256`"
            ),
        )),
        _ => Ok(()),
    }
}

/// Says what to type on the other machine.
fn greet(
    console: &Console,
    headlines: &[String],
    (words, takes_one): (&Words, bool),
    address: SocketAddr,
) {
    let port = Some(address.port()).filter(|port| *port != DEFAULT_PORT);
    let mut lines = headlines.join("\n");
    lines += &format!("\n{}\non the other machine, type:", words.warning);
    let invitation = match takes_one {
        true => words.invitation.replace("PATH...", "FILE"),
        false => words.invitation.to_owned(),
    };
    for host in reachable_hosts(address.ip()) {
        lines += &format!("\n  {invitation}{} --open", show_host(host, port));
    }
    if lines.contains(THEIR_ZONE) {
        lines +=
            &format!("\n({THEIR_ZONE} is that machine's own interface on this link, such as eth0)");
    }
    console.tell(&lines);
}

/// Shows each transfer in its own bar, and tells how it ended.
fn observe(
    console: &Console,
    impairment: Option<Impairment>,
    direction: Direction,
    output: &Output,
) -> Observer {
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
                meters.remove(&id);
                let summary = summary(&finished, direction, impairment.as_ref());
                let counts = &summary.report.counts;
                if output.wants_traces() || (counts.entries > 0 && counts.planned.is_none()) {
                    output.ended(&console, id, &summary);
                }
                conclude(&console, &summary);
            }
            Notice::FellBack { .. }
            | Notice::Listed { .. }
            | Notice::Retrying { .. }
            | Notice::Traced { .. } => {}
        }
    })
}

fn conclude(console: &Console, summary: &Summary<'_>) {
    let Summary { peer, report, direction, .. } = summary;
    if report.counts.planned.is_some() && report.failure.is_none() {
        let asked = plural(report.counts.entries, "entry", "entries");
        return console.tell(&format!("{peer} asked what would be done (--dry-run): {asked}"));
    }
    match (report.counts.entries, &report.failure) {
        (0, None) if report.counts.listed > 0 => {
            let listed = plural(report.counts.listed, "entry", "entries");
            console.tell(&format!("{peer} looked at the list: {listed}"));
        }
        (0, failure) => {
            let why = failure.as_ref().map_or("nothing was offered", |failure| &failure.text);
            console.tell(&format!("{peer} connected and {}: {why}", Words::of(*direction).idle));
        }
        _ if report.verdict().is_none() => console.tell(&summary.text()),
        _ => console.say(&summary.text()),
    }
}
