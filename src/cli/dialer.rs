//! What `volley send` and `volley get` have in common: they go to a listener, show how far they are, and
//! say how it ended.

use super::args::{ArqOptions, DialOptions, RateOptions};
use super::console::Console;
use super::destination::{Destination, parse_bind};
use super::link_options::LinkOptions;
use super::output::Output;
use super::progress::Meter;
use super::signals::obituary;
use super::{Stop, show_peer, summary};
use crate::net::part::Errand;
use crate::net::{Finished, Impairment, Interrupt, Notice, Observer, dial, tcp};
use crate::report::summary::{Direction, show_ways};
use crate::transfer::outcome::FileReport;
use crate::transport::arq::ArqConfig;
use crate::transport::config::CongestionChoice;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

/// The number of the only transfer.
pub(super) const TRANSFER: u64 = 1;

/// How to go to a listener.
pub(super) struct Call {
    pub(super) congestion: CongestionChoice,
    pub(super) arq: ArqConfig,
    pub(super) impairment: Option<Impairment>,
    bind: Option<SocketAddr>,
    is_tcp: bool,
}

impl Call {
    /// What the options ask for.
    ///
    /// # Errors
    /// They make no sense together.
    pub(super) fn new(
        options: &DialOptions,
        link: &LinkOptions,
        rate: Option<RateOptions>,
        arq: Option<ArqOptions>,
    ) -> Result<Self, Stop> {
        let impairment = link.impairment()?;
        let bind = options.bind.as_deref().map(parse_bind).transpose().map_err(Stop::Usage)?;
        let (congestion, arq) =
            (rate.map_or(CongestionChoice::Cubic, |rate| rate.cc), arq.unwrap_or_default());
        if options.tcp {
            refuse_for_tcp(impairment.is_some(), congestion, arq, bind.is_some())?;
        }
        Ok(Self {
            congestion,
            arq: arq.config(),
            impairment,
            bind: bind.map(|(address, port)| SocketAddr::new(address, port.unwrap_or(0))),
            is_tcp: options.tcp,
        })
    }

    /// Does `errand` at `destination`.
    ///
    /// # Errors
    /// Nobody could be reached there.
    pub(super) fn make(
        &self,
        errand: Errand,
        destination: Destination,
        traces: bool,
        observer: &Observer,
        interrupt: &Interrupt,
    ) -> Result<Finished, Stop> {
        let addresses = destination.resolve_unless(interrupt)?;
        if self.is_tcp {
            let order = tcp::Order { errand, addresses, congestion: None };
            return Ok(tcp::dial(&order, observer, interrupt)?);
        }
        let order = dial::Order {
            errand,
            addresses,
            bind: self.bind,
            congestion: self.congestion,
            arq: self.arq,
            impairment: self.impairment.clone(),
            traces,
        };
        Ok(dial::dial(&order, observer, interrupt)?)
    }
}

fn refuse_for_tcp(
    has_link: bool,
    congestion: CongestionChoice,
    arq: ArqOptions,
    has_bind: bool,
) -> Result<(), Stop> {
    let text = match () {
        () if has_link => {
            "the options of an imperfect link act on datagrams and cannot be had with --tcp: dropping \
             bytes of a stream is not packet loss, the kernel would never see it and never retransmit"
        }
        () if congestion != CongestionChoice::Cubic => {
            "--cc is for UDP; over TCP the kernel chooses the rate"
        }
        () if arq != ArqOptions::default() => {
            "--arq and --window are for UDP; over TCP the kernel sends again what is lost"
        }
        () if has_bind => "--bind is for UDP; over TCP the kernel chooses the address",
        () => return Ok(()),
    };
    Err(Stop::Usage(text.into()))
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
            Notice::Started { peer, .. } => *meter = Some(Meter::new(&console, show_peer(peer))),
            Notice::Progress { progress, .. } => {
                if let Some(meter) = meter.as_mut() {
                    meter.update(&progress);
                }
            }
            Notice::Ended { .. } => *meter = None,
            Notice::Listed { .. } | Notice::Traced { .. } => {}
        }
    })
}

/// Says how it ended.
///
/// # Errors
/// Not every entry is committed.
pub(super) fn conclude(
    console: &Console,
    finished: &Finished,
    direction: Direction,
    impairment: Option<&Impairment>,
    output: &Output,
) -> Result<(), Stop> {
    let summary = summary(finished, direction, impairment);
    let verdict = finished.report.verdict();
    output.ended(console, TRANSFER, &summary);
    match verdict {
        None => {
            console.tell(&summary.text());
            Ok(())
        }
        Some(reason) => {
            console.say(&failure_text(finished, direction, || summary.text()));
            Err(Stop::Told(reason))
        }
    }
}

/// One sentence where nothing at all arrived, else the whole summary.
fn failure_text(
    finished: &Finished,
    direction: Direction,
    summary: impl FnOnce() -> String,
) -> String {
    let report = &finished.report;
    if let Some(order) = report.failure.as_ref().filter(|failure| failure.reason.is_order()) {
        let kept = match direction {
            Direction::Received => {
                "what is complete is kept; the same command goes on from the rest"
            }
            Direction::Sent => "what had arrived is kept; the same command goes on from there",
        };
        return obituary(order.reason, kept);
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
