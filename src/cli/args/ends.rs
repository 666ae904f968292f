//! What the two ends of a transfer have in common: whoever dials, whoever listens, takes files in, or
//! chooses the rate.

use super::ManifestOptions;
use super::existing::ExistingOptions;
use crate::base::time::Duration;
use crate::base::units::{Rate, UnitError, parse_duration};
use crate::transport::config::CongestionChoice;
use crate::wire::handshake::MAX_RATE_LEAST;
use clap::Args;

/// How a listener is reached.
#[derive(Clone, Debug, Args)]
pub struct DialOptions {
    /// No authentication, no encryption: for the classroom and trusted wires
    #[arg(long)]
    pub open: bool,
    /// Use a plain TCP connection instead of UDP
    #[arg(long)]
    pub tcp: bool,
    /// Use UDP and nothing else, also where only TCP is answered
    #[arg(long)]
    pub udp: bool,
    /// When the other side is lost, try again for this long; 0: not at all
    #[arg(long, value_name = "D", default_value = "10min", value_parser = parse_retry)]
    pub retry: Duration,
    /// End the whole command after this long, and tell the other side
    #[arg(long, value_name = "D", value_parser = parse_duration)]
    pub timeout: Option<Duration>,
    /// The local address to go out from
    #[arg(long, value_name = "ADDR")]
    pub bind: Option<String>,
}

/// How the rate is chosen.
#[derive(Clone, Copy, Debug, Args)]
pub struct RateOptions {
    /// How to choose the rate over UDP: ebb (fills a lossy path, shares a full one), cubic (as TCP does: slow
    /// where packets get lost at random), bbr (as others do: keeps to the rate that it measures), or fixed:RATE for a
    /// line that is yours
    #[arg(long, value_name = "CC", default_value = "ebb")]
    pub cc: CongestionChoice,
}

/// What a transfer may take.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct LimitOptions {
    /// Take no more of the line than this for a transfer, whichever side sends: bits of IP packets per second, as
    /// --rate counts them, at least 64kbit. Where both sides ask for that the lesser counts; many transfers of one
    /// listener may take as much each
    #[arg(long, visible_alias = "bwlimit", value_name = "RATE", value_parser = parse_max_rate)]
    pub max_rate: Option<Rate>,
}

/// How files are taken in.
#[derive(Clone, Debug, Args)]
pub struct IntakeOptions {
    /// Take names that begin with a dot
    #[arg(long)]
    pub hidden: bool,
    /// Take everything, verify it, and keep nothing: for measuring (`volley compare`) and for lectures
    #[arg(long)]
    pub discard: bool,
    /// Before a file gets its name, read it back from the disk and compare it with the sender's hash. On Linux the
    /// system first forgets its own copy; a disk with a cache of its own may answer from that
    #[arg(long)]
    pub verify: bool,
    /// Where committed files are listed
    #[command(flatten)]
    pub manifest: ManifestOptions,
    /// What becomes of files that are there
    #[command(flatten)]
    pub existing: ExistingOptions,
}

/// Where and how long a listener listens.
#[derive(Clone, Debug, Args)]
pub struct ListenOptions {
    /// No authentication, no encryption: for the classroom and trusted wires
    #[arg(long)]
    pub open: bool,
    /// End after one transfer that completed
    #[arg(long)]
    pub once: bool,
    /// End the whole command after this long, and tell the other sides
    #[arg(long, value_name = "D", value_parser = parse_duration)]
    pub timeout: Option<Duration>,
    /// The port to listen on, UDP and TCP
    #[arg(short, long, value_name = "N", default_value_t = crate::net::DEFAULT_PORT)]
    #[arg(value_parser = parse_port)]
    pub port: u16,
    /// The local address to listen on: ADDR or ADDR:PORT
    #[arg(long, value_name = "ADDR")]
    pub bind: Option<String>,
}

fn parse_max_rate(text: &str) -> Result<Rate, String> {
    let rate: Rate = text.parse().map_err(|error: UnitError| error.to_string())?;
    if rate < MAX_RATE_LEAST {
        return Err("it is too slow for datagrams of 1,500 bytes; write at least 64kbit".into());
    }
    Ok(rate)
}

fn parse_retry(text: &str) -> Result<Duration, String> {
    if text == "0" {
        Ok(Duration::ZERO)
    } else {
        parse_duration(text).map_err(|error| error.to_string())
    }
}

fn parse_port(text: &str) -> Result<u16, String> {
    let wrong = "write a port from 1 to 65535, or 0 for any that is free";
    text.parse().map_err(|_| wrong.to_owned())
}
