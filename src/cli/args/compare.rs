//! What can be typed after `volley compare`.

use super::ReportOptions;
use crate::base::time::Duration;
use crate::base::units::{parse_duration, parse_size};
use crate::cli::link_options::LinkOptions;
use crate::transport::config::CongestionChoice;
use clap::Args;
use std::path::PathBuf;

/// `volley compare`
#[derive(Debug, Args)]
pub struct Compare {
    /// The file to send, and over whose real path; both can be left out.
    #[arg(
        num_args = 0..,
        value_name = "FILE HOST",
        help = "The file to send, if not made-up bytes; and HOST[:PORT] of a `volley recv --open \
                --discard` to compare over the real path to it, if not over a link made here"
    )]
    pub words: Vec<PathBuf>,
    /// Bytes to make up and send
    #[arg(long, value_name = "SIZE", default_value = "50MB", value_parser = parse_size)]
    pub size: u64,
    /// Compare this often, in turn, each time with the next seed, and show the medians
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub repeat: u32,
    /// Cut each run off after this long, and show how far it came
    #[arg(long, value_name = "D", default_value = "10s", value_parser = parse_duration)]
    pub limit: Duration,
    /// Compare the textbook's strategies as well: stop-and-wait, go-back-n, selective-repeat
    #[arg(long)]
    pub all: bool,
    /// How volley chooses its rate: ebb, cubic, bbr, or fixed:RATE; several with commas between them make
    /// several rows
    #[arg(long, value_name = "CC", value_delimiter = ',', default_value = "ebb")]
    pub cc: Vec<CongestionChoice>,
    /// With HOST: no authentication, no encryption, for the classroom and trusted wires
    #[arg(long)]
    pub open: bool,
    /// The link: 1% loss, 25ms delay and 100Mbit each way unless said otherwise.
    #[command(flatten)]
    pub link: LinkOptions,
    /// Where a report goes
    #[command(flatten)]
    pub report: ReportOptions,
    /// One JSON object on standard output
    #[arg(long, help_heading = "Output")]
    pub json: bool,
    /// Only the result, and errors
    #[arg(short, long, help_heading = "Output")]
    pub quiet: bool,
}
