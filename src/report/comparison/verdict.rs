//! What a comparison shows, in two or three plain sentences: who was faster, by how much, and why, from
//! the evidence at hand.

use super::table::times;
use super::{Comparison, Contender, Control};
use crate::base::units::{Rate, Share, show_duration};
use crate::report::lettering::wrap;

/// Who reaches this share of what the link can carry has filled it.
const FILLED: f64 = 0.85;

/// A measured goodput within this factor of a formula's is what the formula explains.
const EXPLAINED: f64 = 3.0;

/// Below this many round trips a transfer is mostly its start.
const SHORT: f64 = 15.0;

/// Queues that lose more than this are a reason to be named.
const QUEUE_LOSS: f64 = 0.002;

/// Columns of a terminal, at least.
const LINE: usize = 80;

/// What holds a contender back, as far as it can be told; what teaches most comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reason {
    /// It takes each random loss for congestion.
    LossAsCongestion,
    /// It has one packet, or one window, in a round trip.
    Window,
    /// It sends a whole window again for each packet lost.
    SendsWindowAgain,
    /// The transfer is over before it is up to speed.
    Short,
    /// Its own bursts overflow the queue.
    Queue,
    /// It sends at the rate that it was told.
    OwnRate,
    /// Nothing that was measured tells.
    Unknown,
}

/// The verdict.
#[must_use]
pub fn sentences(comparison: &Comparison) -> Vec<String> {
    let mut said = vec![who(comparison)];
    said.extend(who_filled(comparison));
    said.extend(why_slow(comparison));
    said
}

/// The verdict as lines for a terminal.
#[must_use]
pub fn text(comparison: &Comparison) -> String {
    let wrapped = |sentence: &String| wrap(sentence, LINE).join("\n");
    sentences(comparison).iter().map(wrapped).collect::<Vec<_>>().join("\n")
}

/// Which of the two transports was faster: the fastest of each kind.
fn who(comparison: &Comparison) -> String {
    let best = |is_tcp: bool| {
        let carried = comparison.contenders.iter().filter(|contender| contender.has_carried());
        let kind = carried.filter(|contender| contender.is_tcp == is_tcp);
        kind.filter_map(|contender| Some((contender, contender.goodput()?)))
            .max_by_key(|(_, goodput)| *goodput)
    };
    let ((udp, udp_rate), (tcp, tcp_rate)) = match (best(false), best(true)) {
        (Some(udp), Some(tcp)) => (udp, tcp),
        (Some((only, rate)), None) | (None, Some((only, rate))) => {
            return format!(
                "{} reached {rate}; nothing of the other kind came through.",
                only.name
            );
        }
        (None, None) => return "Nothing came through: no run carried a byte.".into(),
    };
    let ((first, more), (second, less)) = if udp_rate >= tcp_rate {
        ((udp, udp_rate), (tcp, tcp_rate))
    } else {
        ((tcp, tcp_rate), (udp, udp_rate))
    };
    if is_even(first, second) {
        return format!(
            "{} and {} were equally fast, as far as these runs can tell: {more} and {less}.",
            first.name, second.name
        );
    }
    let multiple = times(more, less);
    format!("{} was {multiple} {}: {more} against {less}.", first.name, second.name)
}

/// Whether their runs overlap, or differ by less than a twentieth.
fn is_even(first: &Contender, second: &Contender) -> bool {
    let (Some((least, _)), Some((_, most))) = (first.spread(), second.spread()) else {
        return false;
    };
    least.bits_per_second() as f64 <= most.bits_per_second() as f64 * 1.05
}

/// Who had all that the link gives.
fn who_filled(comparison: &Comparison) -> Option<String> {
    let possible = comparison.possible()?;
    let is_full = |each: &Contender| each.goodput().is_some_and(|g| share(g, possible) >= FILLED);
    let full: Vec<&Contender> = comparison.contenders.iter().filter(|each| is_full(each)).collect();
    if full.is_empty() {
        return None;
    }
    let names = list(&full);
    let loss = comparison.link.as_ref().map_or(Share::ZERO, |link| link.out.random_loss());
    if full.len() == comparison.contenders.len() {
        return Some("The link is the limit: all of them use what it can carry.".into());
    }
    let ignores = full.iter().all(|each| matches!(each.control, Control::Bbr | Control::Fixed(_)));
    let why = match (loss > Share::ZERO && ignores, full.len()) {
        (false, _) => "",
        (true, 1) => ", for a lost packet does not slow it down",
        (true, _) => ", for a lost packet does not slow them down",
    };
    Some(format!("{names} used what the link can carry ({possible}){why}."))
}

/// What held back those who left much of the link unused, each reason once.
fn why_slow(comparison: &Comparison) -> Vec<String> {
    let mut groups: Vec<(Reason, Vec<&Contender>)> = Vec::new();
    for contender in &comparison.contenders {
        let Some(reason) = reason(comparison, contender) else { continue };
        match groups.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, members)) => members.push(contender),
            None => groups.push((reason, vec![contender])),
        }
    }
    groups.sort_by_key(|(reason, _)| *reason);
    groups.iter().map(|(reason, members)| explain(comparison, *reason, members)).collect()
}

/// Why a contender left much of the link unused; nothing if it did not, or has no runs.
fn reason(comparison: &Comparison, contender: &Contender) -> Option<Reason> {
    let goodput = contender.goodput().filter(|_| contender.has_carried())?;
    let link = comparison.link.as_ref()?;
    let possible = comparison.possible();
    if possible.is_some_and(|possible| share(goodput, possible) >= FILLED) {
        return None;
    }
    let cycles = contender.median(|trial| Some(trial.elapsed.as_secs_f64()))?
        / link.round_trip().as_secs_f64().max(1e-6);
    let limits = |rate: Rate| possible.is_none_or(|all| share(rate, all) < FILLED);
    let predicted = comparison.predict(contender).map(|r| r.rate).filter(|rate| limits(*rate));
    Some(match contender.control {
        Control::StopAndWait => Reason::Window,
        Control::GoBackN { .. } if link.out.random_loss() > Share::ZERO => Reason::SendsWindowAgain,
        Control::GoBackN { .. } | Control::SelectiveRepeat { .. } => Reason::Window,
        _ if cycles < SHORT => Reason::Short,
        _ if predicted.is_some_and(|rate| explains(rate, goodput)) => Reason::LossAsCongestion,
        Control::Fixed(_) => Reason::OwnRate,
        _ if contender.queue_loss().get() > QUEUE_LOSS => Reason::Queue,
        _ => Reason::Unknown,
    })
}

fn explains(predicted: Rate, measured: Rate) -> bool {
    let ratio = measured.bits_per_second() as f64 / predicted.bits_per_second().max(1) as f64;
    (1.0 / EXPLAINED..=EXPLAINED).contains(&ratio)
}

fn explain(comparison: &Comparison, reason: Reason, members: &[&Contender]) -> String {
    let names = list(members);
    let (they, are, have, take, send) = match members {
        [_] => ("it", "is", "has", "takes", "sends"),
        _ => ("they", "are", "have", "take", "send"),
    };
    let link = comparison.link.as_ref();
    let round_trip = link.map_or_else(String::new, |link| show_duration(link.round_trip()));
    match reason {
        Reason::LossAsCongestion => {
            let loss = link.map_or(Share::ZERO, |link| link.out.random_loss());
            let rates = members.iter().filter_map(|each| comparison.predict(each)).map(|r| r.rate);
            let allowed = rates.max().map_or_else(String::new, |rate| rate.to_string());
            format!(
                "Loss is the reason why {names} {are} slow: {they} {take} each lost packet for congestion \
                 and {send} less, though the {loss} lost here say nothing about the rate; at a round trip of \
                 {round_trip} the formula leaves about {allowed}."
            )
        }
        Reason::Window => format!(
            "{names} {have} no more than a window of packets under way in each round trip of {round_trip}: \
             the window is the limit, not the link."
        ),
        Reason::SendsWindowAgain => format!(
            "{names} {send} a whole window again for each packet that is lost: most of what the link \
             carries has been carried before."
        ),
        Reason::Short => format!(
            "For {names} the transfer is over within a few round trips of {round_trip}: what is measured is \
             mostly its start and its end."
        ),
        Reason::Queue => {
            let worst = members.iter().map(|each| each.queue_loss());
            let worst = worst.fold(Share::ZERO, |a, b| if a > b { a } else { b });
            format!(
                "{names} {send} more at a time than the queue holds: {they} lost up to {worst}."
            )
        }
        Reason::OwnRate => format!("{names} {send} at the rate that was asked for, and no faster."),
        Reason::Unknown => {
            format!("What held back {names} does not show in what was measured here.")
        }
    }
}

fn share(part: Rate, all: Rate) -> f64 {
    part.bits_per_second() as f64 / all.bits_per_second().max(1) as f64
}

/// "A", "A and B", "A, B and C".
fn list(contenders: &[&Contender]) -> String {
    let names: Vec<&str> = contenders.iter().map(|contender| contender.name.as_str()).collect();
    match &names[..] {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [before @ .., last] => format!("{} and {last}", before.join(", ")),
    }
}
