//! The options of an imperfect link, the same on every command that can impair.
//!
//! `--link` names a preset, single options replace what it says, and `--back` does so for the way
//! back alone. The text of `--back` is read by the same parser as the options themselves.

use super::Stop;
use crate::base::range_set::RangeSet;
use crate::base::time::Duration;
use crate::base::units::{Rate, Share, parse_duration};
use crate::link::config::{DEFAULT_MTU, QueueSize, parse_drops};
use crate::link::preset::{PRESETS, Preset};
use crate::link::{Bottleneck, BurstLoss, LinkConfig, Reordering};
use crate::net::Impairment;
use crate::os::clock;
use clap::{Args, Command, FromArgMatches};
use std::ffi::OsString;

/// An imperfect link in front of the UDP socket, both ways.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Imperfect link (both directions, drawn apart)")]
pub struct LinkOptions {
    /// A link by name; --link list shows them. Other options replace what it says
    #[arg(long, value_name = "NAME", value_parser = parse_preset)]
    pub link: Option<Preset>,
    /// What each direction does.
    #[command(flatten)]
    pub way: WayOptions,
    /// Other values for the way back, such as 'loss=2%,rate=1Mbit'; or: clean
    #[arg(long, value_name = "LIST", value_parser = parse_back)]
    pub back: Option<Back>,
    /// Repeat the luck of an earlier run
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
}

/// What one direction does; what is not given stays as it was.
#[derive(Clone, Debug, Default, PartialEq, Args)]
pub struct WayOptions {
    /// Lose this share of all datagrams, each by itself
    #[arg(long, value_name = "P%")]
    pub loss: Option<Share>,
    /// Lose this share in bursts of this many on average
    #[arg(long, value_name = "P%:N")]
    pub burst_loss: Option<BurstLoss>,
    /// Lose exactly these, counted from 1, such as 7,9-12
    #[arg(long, value_name = "LIST", value_parser = parse_drops)]
    pub drop: Option<RangeSet>,
    /// Deliver each datagram this much later
    #[arg(long, value_name = "D", value_parser = parse_duration)]
    pub delay: Option<Duration>,
    /// Let the delay wander this far, in order
    #[arg(long, value_name = "D", value_parser = parse_duration)]
    pub jitter: Option<Duration>,
    /// Let this much through, in bits per second of IP packets
    #[arg(long, value_name = "RATE")]
    pub rate: Option<Rate>,
    /// Room in front of the rate: 1bdp (a round trip's worth) unless said otherwise, or bytes
    #[arg(long, value_name = "SIZE")]
    pub queue: Option<QueueSize>,
    /// Mark what takes marks (ECN) while more than this share of the queue is taken
    #[arg(long, value_name = "P%")]
    pub mark: Option<Share>,
    /// Hold this share back so that others overtake it, by 5ms or as said
    #[arg(long, value_name = "P%[:D]")]
    pub reorder: Option<Reordering>,
    /// Deliver this share twice
    #[arg(long, value_name = "P%")]
    pub duplicate: Option<Share>,
    /// Flip a bit in this share
    #[arg(long, value_name = "P%")]
    pub corrupt: Option<Share>,
    /// Lose IP packets that are larger; 1500 unless said otherwise
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u16).range(68..))]
    pub mtu: Option<u16>,
}

/// The way back, where it is not as the way out.
#[derive(Clone, Debug, PartialEq)]
pub enum Back {
    /// It does nothing.
    Clean,
    /// It differs in these.
    Way(Box<WayOptions>),
}

impl LinkOptions {
    /// The imperfect link that the options ask for, if any.
    ///
    /// # Errors
    /// The options do not make sense together.
    pub fn impairment(&self) -> Result<Option<Impairment>, Stop> {
        let asks = self.link.is_some() || self.back.is_some() || self.way != WayOptions::default();
        match (asks, self.seed) {
            (true, _) => self.impairment_from(&LinkConfig::default()).map(Some),
            (false, None) => Ok(None),
            (false, Some(_)) => {
                let text = "--seed says which datagrams get lost; add --loss P% or another option \
                            of the link";
                Err(Stop::Usage(text.into()))
            }
        }
    }

    /// The link that the options make of one that does `usual` both ways.
    ///
    /// # Errors
    /// The options do not make sense together.
    pub fn impairment_from(&self, usual: &LinkConfig) -> Result<Impairment, Stop> {
        let usual = self.link.map_or_else(|| [usual.clone(), usual.clone()], |link| link.ways());
        let [mut out, mut back] = usual.map(|usual| self.way.over(usual));
        match &self.back {
            None => {}
            Some(Back::Clean) => back = LinkConfig::default(),
            Some(Back::Way(way)) => back = way.over(back),
        }
        let round_trip = out.delay + back.delay;
        self.way.narrow(&mut out, round_trip)?;
        match &self.back {
            None => self.way.narrow(&mut back, round_trip)?,
            Some(Back::Clean) => {}
            Some(Back::Way(way)) => {
                let way = WayOptions {
                    rate: way.rate.or(self.way.rate),
                    queue: way.queue.or(self.way.queue),
                    ..WayOptions::default()
                };
                way.narrow(&mut back, round_trip)?;
            }
        }
        Ok(Impairment { out, back, seed: self.seed.unwrap_or_else(fresh_seed) })
    }
}

impl WayOptions {
    /// What these make of `usual`; the bottleneck comes when both delays are known.
    fn over(&self, usual: LinkConfig) -> LinkConfig {
        LinkConfig {
            loss: self.loss.unwrap_or(usual.loss),
            burst_loss: self.burst_loss.or(usual.burst_loss),
            drops: self.drop.clone().unwrap_or(usual.drops),
            delay: self.delay.unwrap_or(usual.delay),
            jitter: self.jitter.unwrap_or(usual.jitter),
            bottleneck: usual.bottleneck,
            mark: self.mark.or(usual.mark),
            policer: usual.policer,
            reordering: self.reorder.unwrap_or(usual.reordering),
            duplication: self.duplicate.unwrap_or(usual.duplication),
            corruption: self.corrupt.unwrap_or(usual.corruption),
            mtu: self.mtu.or(usual.mtu).or(Some(DEFAULT_MTU)),
        }
    }

    fn narrow(&self, config: &mut LinkConfig, round_trip: Duration) -> Result<(), Stop> {
        let usual = config.bottleneck;
        let Some(rate) = self.rate.or(usual.map(|usual| usual.rate)) else {
            let fact = match (self.queue, config.mark) {
                (Some(_), _) => "--queue is the room in front of a rate",
                (None, Some(_)) => "--mark works in the queue in front of a rate",
                (None, None) => return Ok(()),
            };
            let text = format!("{fact}; add --rate, such as --rate 100Mbit");
            return Err(Stop::Usage(text));
        };
        if self.rate.is_none() && self.queue.is_none() {
            return Ok(());
        }
        let queue = self.queue.unwrap_or(QueueSize::DEFAULT).bytes(rate, round_trip);
        config.bottleneck = Some(Bottleneck { rate, queue });
        Ok(())
    }
}

/// Short enough to be read out, typed and put on a slide.
fn fresh_seed() -> u64 {
    clock::random_u64() % 1_000_000
}

fn parse_preset(name: &str) -> Result<Preset, String> {
    Preset::find(name).copied().ok_or_else(|| {
        let names: Vec<_> = PRESETS.iter().map(|preset| preset.name).collect();
        format!("known links are {}; --link list shows what they do", names.join(", "))
    })
}

/// Reads `loss=2%,rate=1Mbit` as if it were `--loss=2% --rate=1Mbit`.
fn parse_back(text: &str) -> Result<Back, String> {
    if text == "clean" {
        return Ok(Back::Clean);
    }
    let mut words: Vec<String> = Vec::new();
    for part in text.split(',') {
        match words.last_mut() {
            // A list of datagrams has commas of its own.
            Some(word) if word.starts_with("--drop=") && !part.contains('=') => {
                word.push(',');
                word.push_str(part);
            }
            _ => words.push(format!("--{}", part.trim())),
        }
    }
    let parser = WayOptions::augment_args(Command::new("back"))
        .no_binary_name(true)
        .disable_help_flag(true)
        .args_override_self(false);
    let matches = parser.try_get_matches_from(words).map_err(|error| first_line(&error))?;
    let way = WayOptions::from_arg_matches(&matches).map_err(|error| first_line(&error))?;
    if way == WayOptions::default() {
        return Err("write a list such as 'loss=2%,rate=1Mbit', or: clean".into());
    }
    Ok(Back::Way(Box::new(way)))
}

/// What is wrong, without advice about a program that is not there.
fn first_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    let fault = line.strip_prefix("error: ").unwrap_or(line);
    format!("{fault}; write a list such as 'loss=2%,rate=1Mbit', or: clean")
}

/// Whether a command line asks for the list of links, whatever else it lacks.
#[must_use]
pub fn asks_for_list<'a>(words: impl Iterator<Item = &'a OsString>) -> bool {
    let words: Vec<_> = words.take_while(|word| *word != "--").collect();
    let pairs = words.windows(2).any(|pair| pair[0] == "--link" && pair[1] == "list");
    pairs || words.iter().any(|word| *word == "--link=list")
}

/// What `--link list` prints.
#[must_use]
pub fn list() -> String {
    let mut text = "Links for --link, seen from the end where their user sits. Other options \
                    replace what they say.\n"
        .to_owned();
    for preset in PRESETS {
        let [out, back] = preset.ways();
        text += &format!("\n{:<14}{}\n", preset.name, preset.about);
        if out == back {
            text += &format!("{:14}each way: {out}\n", "");
        } else {
            text += &format!("{:14}out:  {out}\n{:14}back: {back}\n", "", "");
        }
        text += &format!("{:14}after {}\n", "", preset.source);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Probe {
        #[command(flatten)]
        link: LinkOptions,
    }

    fn ways(line: &str) -> Result<[LinkConfig; 2], String> {
        let words = std::iter::once("volley").chain(line.split_whitespace());
        let probe = Probe::try_parse_from(words).map_err(|error| error.to_string())?;
        match probe.link.impairment() {
            Ok(Some(Impairment { out, back, .. })) => Ok([out, back]),
            Ok(None) => Err("none".into()),
            Err(Stop::Usage(text)) => Err(text),
            Err(stop) => Err(format!("{stop:?}")),
        }
    }

    #[track_caller]
    fn expect(line: &str, out: &str, back: &str) {
        let ways = ways(line).map(|ways| ways.map(|way| way.to_string()));
        assert_eq!(ways, Ok([out.to_owned(), back.to_owned()]), "{line}");
    }

    #[test]
    fn both_ways_do_the_same_unless_told_otherwise() {
        expect("--loss 5% --delay 25ms", "5 % loss, 25 ms delay", "5 % loss, 25 ms delay");
        expect(
            "--loss 5% --delay 25ms --back loss=2%",
            "5 % loss, 25 ms delay",
            "2 % loss, 25 ms delay",
        );
        expect("--loss 5% --back clean", "5 % loss", "nothing");
        expect(
            "--drop 3 --back drop=7,9-12,delay=1ms",
            "datagrams 3 lost",
            "datagrams 7,9-12 lost, 1 ms delay",
        );
    }

    #[test]
    fn a_queue_is_measured_in_round_trips_of_both_ways() {
        expect(
            "--rate 100Mbit --delay 10ms --back delay=30ms,rate=8Mbit,queue=64KiB",
            "10 ms delay, 100 Mbit/s with a queue of 488 KiB",
            "30 ms delay, 8 Mbit/s with a queue of 64 KiB",
        );
        expect(
            "--rate 100Mbit --delay 20ms --queue 2bdp --back rate=10Mbit",
            "20 ms delay, 100 Mbit/s with a queue of 977 KiB",
            "20 ms delay, 10 Mbit/s with a queue of 97.7 KiB",
        );
    }

    #[test]
    fn each_way_may_mark_from_another_part_of_its_queue_on() {
        expect(
            "--rate 8Mbit --queue 64KiB --mark 20% --back mark=50%",
            "8 Mbit/s with a queue of 64 KiB that marks from 20 % on",
            "8 Mbit/s with a queue of 64 KiB that marks from 50 % on",
        );
    }

    #[test]
    fn options_replace_what_a_preset_says() {
        expect(
            "--link adsl --loss 1%",
            "1 % loss, 20 ms delay, 1 Mbit/s with a queue of 14.6 KiB",
            "1 % loss, 20 ms delay, 8 Mbit/s with a queue of 78.1 KiB",
        );
    }

    #[test]
    fn what_makes_no_sense_says_what_to_write() {
        for (line, words) in [
            ("--queue 1bdp", "--rate"),
            ("--mark 50%", "--rate"),
            ("--rate 1Mbit --back clean,mark=5%", "clean"),
            ("--seed 5", "--loss"),
            ("--link moon", "satellite"),
            ("--loss 5% --back loss=2", "percentage"),
            ("--loss 5% --back noise=2", "noise"),
            ("--loss 5% --back ", "a value is required"),
            ("--mtu 12", "68"),
        ] {
            let error = ways(line).expect_err(line);
            assert!(error.contains(words), "{line}: {error}");
        }
    }

    #[test]
    fn the_list_is_shown_however_it_is_asked_for() {
        let asks = |line: &str| {
            let words: Vec<OsString> = line.split_whitespace().map(Into::into).collect();
            asks_for_list(words.iter())
        };
        assert!(asks("send --link list") && asks("demo --loss 5% --link=list"));
        assert!(!asks("send --link lan list") && !asks("send -- --link list"));
    }
}
