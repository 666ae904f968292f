//! What `volley send` and `volley get` have in common: they go to a listener, show how far they are, and
//! say how it ended.

use super::advice::Advice;
use super::args::{ArqOptions, DialOptions, LimitOptions, RateOptions};
use super::console::Console;
use super::destination::Destination;
use super::known_paths::KnownPaths;
use super::link_options::LinkOptions;
use super::local::parse_bind;
use super::output::Output;
use super::progress::Meter;
use super::signals::obituary;
use super::{Stop, show_peer, summary};
use crate::base::text::show_error;
use crate::base::time::Duration;
use crate::base::units::{Rate, show_duration};
use crate::net::call::{Call as Way, TRANSFER, Ways};
use crate::net::part::Errand;
use crate::net::{Finished, Impairment, Interrupt, Notice, Observer, dial};
use crate::report::summary::{Direction, show_ways};
use crate::transfer::outcome::{Failure, FileReport, Planned, Reason};
use crate::transport::arq::ArqConfig;
use crate::transport::config::CongestionChoice;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

/// How to go to a listener.
pub(super) struct Call {
    pub(super) congestion: CongestionChoice,
    /// What is known of paths, where that is of use: to who sends with the default controller. What an imperfect
    /// link shows is no path's.
    known_paths: Option<KnownPaths>,
    max_rate: Option<Rate>,
    pub(super) arq: ArqConfig,
    pub(super) impairment: Option<Impairment>,
    bind: Option<SocketAddr>,
    ways: Ways,
    retry: Duration,
}

impl Call {
    /// What the options ask for.
    ///
    /// # Errors
    /// They make no sense together.
    pub(super) fn new(
        (options, limit): (&DialOptions, LimitOptions),
        link: &LinkOptions,
        rate: Option<RateOptions>,
        arq: Option<ArqOptions>,
    ) -> Result<Self, Stop> {
        let impairment = link.impairment()?;
        let sends = rate.is_some();
        let bind = options.bind.as_deref().map(|text| parse_bind("--bind", text)).transpose();
        let bind = bind.map_err(Stop::Usage)?;
        let (congestion, arq) =
            (rate.map_or(CongestionChoice::default(), |rate| rate.cc), arq.unwrap_or_default());
        let only_udp = only_udp(impairment.is_some(), congestion, arq, bind.is_some());
        let ways = match (options.tcp, options.udp, only_udp) {
            (true, true, _) => {
                return Err(Stop::Usage(
                    "--tcp and --udp exclude one another; choose one of them (VOLLEY_TCP and \
                     VOLLEY_UDP count as well)"
                        .into(),
                ));
            }
            (true, false, Some(why)) => return Err(Stop::Usage(why.into())),
            (true, false, None) => Ways::Tcp,
            (false, false, None) => Ways::UdpElseTcp,
            (false, ..) => Ways::Udp,
        };
        Ok(Self {
            congestion,
            known_paths: KnownPaths::of_user()
                .filter(|_| sends && congestion == CongestionChoice::Ebb && impairment.is_none()),
            max_rate: limit.max_rate,
            arq: arq.config(),
            impairment,
            bind: bind.map(|local| local.socket_address(0)),
            ways,
            retry: options.retry,
        })
    }

    /// The same, without what is known of paths: it is forgotten.
    ///
    /// # Errors
    /// The file of it cannot be removed.
    pub(super) fn forgetting_paths(self) -> Result<Self, Stop> {
        if let Some(known) = KnownPaths::of_user() {
            known.forget().map_err(|error| {
                let said = show_error(&error);
                Failure::new(Reason::Other, format!("cannot forget what is known of paths: {said}"))
            })?;
        }
        Ok(Self { known_paths: None, ..self })
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
        let order = dial::Order {
            errand,
            addresses,
            bind: self.bind,
            congestion: self.congestion,
            known_paths: self.known_paths.as_ref().map(KnownPaths::load).unwrap_or_default(),
            max_rate: self.max_rate,
            arq: self.arq,
            impairment: self.impairment.clone(),
            traces,
        };
        // A list that is half shown would be shown again.
        let retry = if matches!(order.errand, Errand::List) { Duration::ZERO } else { self.retry };
        let finished = Way { order, ways: self.ways, retry }.make(observer, interrupt)?;
        if let Some(known) = &self.known_paths {
            known.remember(&finished);
        }
        Ok(finished)
    }
}

/// What cannot be had over TCP of what was asked for, and why.
fn only_udp(
    has_link: bool,
    congestion: CongestionChoice,
    arq: ArqOptions,
    has_bind: bool,
) -> Option<&'static str> {
    if has_link {
        return Some(
            "the options of an imperfect link act on datagrams and cannot be had with --tcp: dropping \
             bytes of a stream is not packet loss, the kernel would never see it and never retransmit",
        );
    }
    if congestion != CongestionChoice::default() {
        return Some("--cc is for UDP; over TCP the kernel chooses the rate");
    }
    if arq != ArqOptions::default() {
        return Some(
            "--arq and --window are for UDP; over TCP the kernel sends again what is lost",
        );
    }
    has_bind.then_some("--bind is for UDP; over TCP the kernel chooses the address")
}

/// Says what happens on the way to the other side.
pub(super) fn tell_detours(console: &Console, notice: &Notice) {
    match notice {
        Notice::FellBack { peer, .. } => {
            let (host, port) = (peer.ip().to_canonical(), peer.port());
            console.tell(&format!(
                "{host} answers on TCP port {port} but not on UDP port {port}: going on over TCP \
                 (--udp forbids that)"
            ));
        }
        Notice::Retrying { failure, pause, left, .. } => {
            // The cause, without the advice that is being taken.
            let cause = failure.text.split("; ").next().unwrap_or_default();
            let (pause, left) = (show_whole(*pause), show_whole(*left));
            console.tell(&format!("{cause}; trying again in {pause}, for {left} at most"));
        }
        _ => {}
    }
}

/// Says what is done to the link before it is done.
pub(super) fn announce(console: &Console, impairment: Option<&Impairment>) {
    if let Some(Impairment { out, back, seed }) = impairment {
        console.tell(&format!("link: {}", show_ways(out, back, *seed)));
    }
}

/// A span in whole seconds: nobody waits by the millisecond.
fn show_whole(span: Duration) -> String {
    show_duration(Duration::from_secs_f64(span.as_secs_f64().ceil()))
}

/// Shows progress in one bar.
pub(super) fn observe(
    console: &Console,
    congestion: CongestionChoice,
    output: &Output,
) -> Observer {
    let (console, output) = (console.clone(), output.clone());
    let shown = Mutex::new((None::<Meter>, Advice::new(congestion)));
    Arc::new(move |notice| {
        output.notice(&notice);
        tell_detours(&console, &notice);
        let mut shown = shown.lock().expect("nobody panics while holding it");
        let (meter, advice) = &mut *shown;
        match notice {
            Notice::Started { peer, .. } => {
                *meter = Some(Meter::new(&console, show_peer(peer)));
            }
            Notice::Progress { progress, .. } => {
                advice.consider(&console, progress.stats.as_ref());
                if let Some(meter) = meter {
                    meter.update(&progress);
                }
            }
            Notice::Ended { .. } | Notice::Retrying { .. } => {
                *meter = None;
            }
            Notice::FellBack { .. } | Notice::Listed { .. } | Notice::Traced { .. } => {}
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
            _ if report.counts.planned.is_some() => "nothing has been done",
            Direction::Received => {
                "what is complete is kept; the same command goes on from the rest"
            }
            Direction::Sent => "what had arrived is kept; the same command goes on from there",
        };
        return obituary(order.reason, kept);
    }
    let counts = &report.counts;
    let nothing = match &counts.planned {
        Some(planned) => *planned == Planned::default() && counts.same + counts.left == 0,
        None => counts.files + counts.directories + counts.links == 0,
    };
    match (&report.failure, &report.files[..]) {
        (Some(failure), _) if nothing => format!("error: {}", failure.text),
        (None, [FileReport { outcome: Err(failure), .. }]) if nothing => {
            format!("error: {}", failure.text)
        }
        _ if counts.planned.is_some() => {
            format!("error: not everything would arrive\n{}", summary())
        }
        _ => format!("error: not everything arrived\n{}", summary()),
    }
}
