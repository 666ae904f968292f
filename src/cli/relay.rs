//! `volley relay`

use super::args::Relay as Order;
use super::bars::Bar;
use super::console::Console;
use super::destination::Destination;
use super::dialer::announce;
use super::local::{parse_bind, reachable_hosts, show_host};
use super::output::Output;
use super::{Stop, show_peer};
use crate::base::text::escape;
use crate::base::time::Duration;
use crate::base::units::Rate;
use crate::net::relay::{Relay, RelayCounts, Wanted, WayCounts};
use crate::net::{Impairment, Interrupt};
use crate::report::json;
use crate::report::relay::{RelaySummary, RelayWay};
use crate::report::summary::Way;
use crate::transfer::outcome::{Failure, Reason};
use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};

/// Where nobody watches, one line in this time.
const PLAIN_INTERVAL: Duration = Duration::from_secs(60);

/// Looks at the counts that make up the last second.
const RECENT: usize = 5;

/// Runs the command.
///
/// # Errors
/// It could not listen, or was interrupted, which is how it ends.
pub fn run(order: &Order, output: &Output, interrupt: &Interrupt) -> Result<(), Stop> {
    let impairment = order.link.impairment()?;
    let listen = parse_listen(&order.listen).map_err(Stop::Usage)?;
    let server = find(&order.to)?;
    let console = output.console(order.output.quiet);
    let relay = Relay::bind(listen, server)?;
    let listen = relay.address();
    greet(&console, listen, server, impairment.as_ref());
    let mut gauge = Gauge::new(&console);
    let ran = relay.run(impairment.as_ref(), |counts| gauge.update(counts), interrupt);
    drop(gauge);
    let (counts, reason) = ran?;
    let summary = summary(listen, server, impairment.as_ref(), counts);
    if order.output.json {
        console.result(&json::relay(&summary, reason.code()).to_string());
    }
    console.tell(&summary.text());
    Err(Stop::Told(reason))
}

/// Reads `PORT`, `:PORT` or `ADDR:PORT`; a port alone is one of all addresses.
fn parse_listen(text: &str) -> Result<Wanted, String> {
    if let Some(port) = bare_port(text)? {
        return Ok(Wanted::Any(port));
    }
    let local = parse_bind("--listen", text)?;
    if local.port.is_none() {
        let example = local.socket_address(5300);
        let ip = local.ip;
        return Err(format!("--listen {ip} lacks a port; write for example --listen {example}"));
    }
    Ok(Wanted::At(local.socket_address(0)))
}

/// The server that `PORT`, `:PORT` or `HOST:PORT` means; the port alone is one of this machine.
fn find(text: &str) -> Result<SocketAddr, Stop> {
    let found = match bare_port(text).map_err(Stop::Usage)? {
        Some(port) => SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port),
        None => {
            let destination = Destination::parse_with_port(text).map_err(Stop::Usage)?;
            let addresses = destination.resolve();
            addresses.map_err(|error| Failure::new(Reason::Unreachable, error))?[0]
        }
    };
    if found.port() == 0 {
        return Err(Stop::Usage("0 is no port to relay to; ports are 1 to 65535".into()));
    }
    Ok(found)
}

/// The port, where the text has nothing else.
fn bare_port(text: &str) -> Result<Option<u16>, String> {
    let digits = text.strip_prefix(':').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(None);
    }
    let port = digits.parse().map(Some);
    port.map_err(|_| format!("{} is no port; ports are 1 to 65535", escape(digits)))
}

/// Says what to point clients at, and what will happen to their datagrams.
fn greet(
    console: &Console,
    listen: SocketAddr,
    server: SocketAddr,
    impairment: Option<&Impairment>,
) {
    let mut lines = vec![format!("relaying to {}; point clients at", show_peer(server))];
    for host in reachable_hosts(listen.ip()) {
        lines.push(format!("  {}", show_host(host, Some(listen.port()))));
    }
    console.tell(&lines.join("\n"));
    announce(console, impairment);
    if impairment.is_none() {
        console
            .tell("link: does nothing; to make it worse, add for example --loss 5% --delay 25ms");
    }
}

/// Shows what happens while it happens: a line on a terminal, one line a minute elsewhere.
struct Gauge {
    console: Console,
    bar: Bar,
    /// When how many bytes had come out, each way.
    recent: VecDeque<(Duration, [u64; 2])>,
    next_plain: Duration,
}

impl Gauge {
    fn new(console: &Console) -> Self {
        let bar = console.bar();
        let recent = VecDeque::from([(Duration::ZERO, [0; 2])]);
        Self { console: console.clone(), bar, recent, next_plain: PLAIN_INTERVAL }
    }

    fn update(&mut self, counts: &RelayCounts) {
        let RelayCounts { elapsed, out, back, clients, .. } = counts;
        let (before, bytes) = self.recent[0];
        let ways = [("out", out, bytes[0]), ("back", back, bytes[1])];
        let [out, back] = ways.map(|(name, way, before_bytes)| {
            let bytes = way.delivered_bytes - before_bytes;
            show_way(name, way, Rate::of(bytes, elapsed.saturating_sub(before)))
        });
        self.recent.push_back((*elapsed, ways.map(|(_, way, _)| way.delivered_bytes)));
        if self.recent.len() > RECENT {
            self.recent.pop_front();
        }
        if self.console.draws() {
            let clients = format!("clients now: {}", clients.now);
            self.bar.show(&[out, back, clients].map(|line| vec![line]));
        } else if *elapsed >= self.next_plain {
            self.next_plain += PLAIN_INTERVAL;
            self.console.tell(&format!("{out}; {back}; clients now: {}", clients.now));
        }
    }
}

/// Short enough for a line on a terminal.
fn show_way(name: &str, way: &WayCounts, rate: Rate) -> String {
    let WayCounts { link, delivered, .. } = way;
    let lost = link.lost.total();
    format!(
        "{name:<4} {rate}, {delivered} delivered, {lost} lost of {} ({})",
        link.offered,
        link.loss()
    )
}

fn summary(
    listen: SocketAddr,
    server: SocketAddr,
    impairment: Option<&Impairment>,
    counts: RelayCounts,
) -> RelaySummary {
    let RelayCounts { elapsed, out, back, clients, unsent, last_error } = counts;
    let [out_config, back_config] =
        impairment.map_or_else(Default::default, |link| [link.out.clone(), link.back.clone()]);
    let way = |config, counts: WayCounts| RelayWay {
        way: Way { config, counts: counts.link },
        delivered: counts.delivered,
        delivered_bytes: counts.delivered_bytes,
    };
    RelaySummary {
        listen: show_peer(listen),
        to: show_peer(server),
        elapsed,
        out: way(out_config, out),
        back: way(back_config, back),
        seed: impairment.map(|link| link.seed),
        clients_ever: clients.ever,
        clients_displaced: clients.displaced,
        refused: clients.refused,
        unsent,
        unsent_because: last_error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_to_listen_read() {
        for (text, port) in [("5300", 5300), (":5300", 5300), ("0", 0)] {
            assert_eq!(parse_listen(text), Ok(Wanted::Any(port)), "{text}");
        }
        for text in ["127.0.0.1:5300", "[::1]:5300"] {
            let address = text.parse().expect("an address");
            assert_eq!(parse_listen(text), Ok(Wanted::At(address)), "{text}");
        }
        for text in ["", ":", "65536", "127.0.0.1", "::1", "localhost:53", "127.0.0.1:x", "a b"] {
            assert!(parse_listen(text).is_err(), "{text}");
        }
    }

    #[test]
    fn servers_are_found() {
        for (text, found) in [
            ("53", "127.0.0.1:53"),
            (":53", "127.0.0.1:53"),
            ("192.0.2.7:53", "192.0.2.7:53"),
            ("[::1]:53", "[::1]:53"),
        ] {
            assert_eq!(find(text).expect(text).to_string(), found);
        }
        for text in [
            "",
            ":",
            "0",
            ":0",
            "65536",
            "192.0.2.7",
            "host",
            "host:0",
            "host:x",
            "::1",
            "0.0.0.0:53",
        ] {
            assert!(matches!(find(text), Err(Stop::Usage(_))), "{text}");
        }
        let error = find("no-such-host.invalid:53").expect_err("reserved (RFC 6761)");
        assert!(matches!(error, Stop::Failed(Failure { reason: Reason::Unreachable, .. })));
    }
}
