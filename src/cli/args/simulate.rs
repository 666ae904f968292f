//! What can be typed after `volley simulate`.

use super::sweep::Sweep;
use super::{ReportOptions, parse_strategy};
use crate::base::time::Duration;
use crate::base::units::{parse_duration, parse_size};
use crate::cli::link_options::LinkOptions;
use crate::transport::arq::Strategy;
use crate::transport::config::CongestionChoice;
use clap::Args;
use std::path::PathBuf;

/// `volley simulate`
#[derive(Clone, Debug, Args)]
pub struct Simulate {
    /// Bytes to carry
    #[arg(long, value_name = "SIZE", default_value = "10MB", value_parser = parse_size)]
    pub size: u64,
    /// How to repeat what is lost; several names with commas between them make several rows
    #[arg(
        long,
        value_name = "NAMES",
        value_delimiter = ',',
        default_value = "stop-and-wait,go-back-n,selective-repeat,volley",
        value_parser = parse_strategy
    )]
    pub arq: Vec<Strategy>,
    /// How volley's own way chooses its rate: ebb, cubic, bbr, or fixed:RATE; several with commas between them
    /// make a row each
    #[arg(long, value_name = "CC", value_delimiter = ',', default_value = "ebb")]
    pub cc: Vec<CongestionChoice>,
    /// Frames that go-back-n or selective-repeat may have outstanding
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub window: Option<u32>,
    /// How long a classic strategy waits for an acknowledgement; as long as one takes unless given
    #[arg(long, value_name = "D", value_parser = parse_duration)]
    pub timeout: Option<Duration>,
    /// Simulate this often, each time with the next seed, and show the medians
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub repeat: u64,
    /// Simulate at each of several values of loss, delay, rate, window or timeout: FROM..TO:STEP,
    /// FROM..TO:xFACTOR or a list, such as loss=0%..30%:5%, window=1..64:x2, delay=5ms,20ms,80ms
    #[arg(long, value_name = "NAME=VALUES", conflicts_with = "report")]
    pub sweep: Option<Sweep>,
    /// Draw the sweep into this file: measured points, and the textbook's curves dashed beside them
    #[arg(long, value_name = "FILE.svg", value_parser = parse_svg_path)]
    pub plot: Option<PathBuf>,
    /// Transfers side by side over the same link
    #[arg(long, value_name = "N", default_value = "1", value_parser = parse_flows)]
    pub flows: usize,
    /// The link: 2% loss, 25ms delay and 10Mbit each way unless said otherwise.
    #[command(flatten)]
    pub link: LinkOptions,
    /// Where a report goes
    #[command(flatten)]
    pub report: ReportOptions,
    /// One run, to be looked at.
    #[command(flatten)]
    pub view: View,
    /// Every event of the run, one JSON object a line, into this file; - is standard output
    #[arg(long, value_name = "FILE.jsonl", help_heading = "Output")]
    pub trace: Option<PathBuf>,
    /// One JSON object on standard output
    #[arg(long, help_heading = "Output")]
    pub json: bool,
    /// A sweep as comma-separated values on standard output, a line for each point and strategy
    #[arg(long, help_heading = "Output", conflicts_with = "json")]
    pub csv: bool,
}

fn parse_svg_path(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    let is_svg = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("svg"));
    is_svg
        .then_some(path)
        .ok_or_else(|| "a plot is an SVG file; write a name such as plot.svg".into())
}

/// One run of one strategy, to be looked at.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "To look at one run (add --arq with one name)")]
pub struct View {
    /// Draw the first packets between sender and receiver
    #[arg(long)]
    pub ladder: bool,
    /// The same as a picture, into this file
    #[arg(long, value_name = "FILE.svg")]
    pub ladder_svg: Option<PathBuf>,
    /// Tell in sentences what happens to the first packets, and why
    #[arg(long)]
    pub explain: bool,
    /// How many packets with data are shown
    #[arg(long, value_name = "N", default_value = "12", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub packets: u16,
    /// Wait for a key at each event: space or enter shows the next, c plays on, q quits
    #[arg(long)]
    pub step: bool,
    /// Stretch virtual time: with 100x a millisecond takes 100 ms
    #[arg(long, value_name = "N", value_parser = parse_slowdown)]
    pub slow: Option<f64>,
}

fn parse_slowdown(text: &str) -> Result<f64, String> {
    let factor = text.strip_suffix('x').unwrap_or(text).parse().ok();
    let factor = factor.filter(|factor: &f64| (0.001..=1e6).contains(factor));
    factor.ok_or_else(|| "write how many times as long, such as 100x".into())
}

fn parse_flows(text: &str) -> Result<usize, String> {
    let flows = text.parse().ok().filter(|flows| (1..=100).contains(flows));
    flows.ok_or_else(|| "write a number from 1 to 100".into())
}
