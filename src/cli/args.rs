//! What can be typed. Data only: no function here decides anything.

mod compare;
mod ends;
mod existing;
mod simulate;
pub mod sweep;
mod tree;

use super::link_options::LinkOptions;
use crate::transfer::name::TreePath;
use crate::transport::arq::{ArqConfig, Strategy};
use clap::{Args, Parser, Subcommand};
pub use compare::Compare;
pub use ends::{DialOptions, IntakeOptions, LimitOptions, ListenOptions, RateOptions};
pub use existing::ExistingOptions;
pub use simulate::{Simulate, View};
use std::ffi::OsString;
use std::path::PathBuf;
pub use tree::TreeOptions;

/// Exit codes, shown below the help of every command.
const EXIT_CODES: &str = "\
Exit codes:
  0 done                       8 disk full
  1 other                      9 source missing, unreadable or changed
  2 usage                     10 version mismatch
  3 unreachable              124 the time of --timeout is up
  4 interrupted              129 the terminal was closed
  5 integrity failure        130 interrupted by the user
  6 refused                  143 terminated
  7 target exists";

/// Shown below the help of `volley lab`.
const LAB_HELP: &str = "\
The command finds in its environment:
  A, B           in front of a command line, these run it in that host
  IPA, IPB       the hosts' IPv4 addresses (IP6A, IP6B: IPv6)

  volley lab --loss 1% --delay 25ms -- '$A ping -c 3 $IPB'
  volley lab --rate 100Mbit -- sh -c '$B iperf3 -s -1 & sleep 1; $A iperf3 -c $IPB'

Kernel TCP and all other IP packets meet the link, one by one. Nothing is left when it ends.

Exit code: that of the command; 126 if it cannot be run, 127 if there is none; 1 if there can be
no lab here, 2 usage";

/// Sends files between machines over UDP with a reliability layer of its own, carries the same
/// transfer over TCP to compare, and makes links worse on purpose so that reliability can be watched.
#[derive(Debug, Parser)]
#[command(name = "volley", version, about, after_help = EXIT_CODES)]
#[command(arg_required_else_help = true, subcommand_required = true)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Watch a transfer over a lossy link, in one process, without any set-up, then UDP and TCP side by side;
    /// 5% loss and 25ms delay each way unless said otherwise
    #[command(after_help = EXIT_CODES)]
    Demo(Demo),
    /// Run a command beside two hosts with a lossy link between them, without root: netem for everybody
    /// (Linux)
    #[command(override_usage = "volley lab [OPTIONS] -- COMMAND...", after_help = LAB_HELP)]
    Lab(Lab),
    /// Put a lossy link in front of any UDP program
    #[command(after_help = EXIT_CODES)]
    Relay(Relay),
    /// Listen, and receive files into a directory
    #[command(visible_alias = "receive", after_help = EXIT_CODES)]
    Recv(Recv),
    /// Send files and directories to a listener
    #[command(override_usage = "volley send [OPTIONS] PATH... DEST", after_help = EXIT_CODES)]
    Send(Send),
    /// Offer files and directories, for others to get
    #[command(override_usage = "volley share [OPTIONS] PATH...", after_help = EXIT_CODES)]
    Share(Share),
    /// Get what a `volley share` offers, into a directory
    #[command(after_help = EXIT_CODES)]
    Get(Get),
    /// Carry the same bytes over UDP and over the kernel's TCP, over the same link, and say which was faster
    /// and why; over a link of 1% loss, 25ms delay and 100Mbit each way unless said otherwise
    #[command(override_usage = "volley compare [OPTIONS] [FILE] [HOST]", after_help = EXIT_CODES)]
    Compare(Compare),
    /// The same protocol in virtual time, beside the textbook's strategies and formulas; over a link of
    /// 2% loss, 25ms delay and 10Mbit each way unless said otherwise
    #[command(after_help = EXIT_CODES)]
    Simulate(Simulate),
    /// Write a shell's completion script to standard output
    Completions(Completions),
    /// Write the manual pages, one for the program and one for each command
    Man(Man),
}

/// `volley send`
#[derive(Debug, Args)]
pub struct Send {
    /// The files and directories to send, then where to.
    #[arg(
        required = true,
        num_args = 1..,
        value_name = "PATH... DEST",
        help = "The files and directories to send, then where to: HOST[:PORT]. A directory goes with all that is in it, under its own name, with or without a slash behind it. - is standard input (./- a file of that name)"
    )]
    pub words: Vec<PathBuf>,
    /// What standard input is called at the receiver, where - is sent: "stdin" unless given
    #[arg(long, value_name = "NAME", value_parser = parse_name)]
    pub name: Option<TreePath>,
    /// Say what would be done, and do nothing: nothing is sent but the names, and of what the receiver has
    /// already the hashes; nothing is written anywhere, also no --manifest and no --report
    #[arg(long)]
    pub dry_run: bool,
    /// How the rate is chosen.
    #[command(flatten)]
    pub rate: RateOptions,
    /// Forget what earlier transfers showed of the paths to hosts, and begin as to a new one
    #[arg(long)]
    pub forget_paths: bool,
    /// Who decides what is sent again.
    #[command(flatten)]
    pub arq: ArqOptions,
    /// What a transfer may take.
    #[command(flatten)]
    pub limit: LimitOptions,
    /// How to reach the other side.
    #[command(flatten)]
    pub dial: DialOptions,
    /// Where a report goes
    #[command(flatten)]
    pub report: ReportOptions,
    /// Where committed files are listed
    #[command(flatten)]
    pub manifest: ManifestOptions,
    /// What of directories goes.
    #[command(flatten)]
    pub tree: TreeOptions,
    /// An imperfect link in front of the socket
    #[command(flatten)]
    pub link: LinkOptions,
    /// What to print
    #[command(flatten)]
    pub output: OutputOptions,
}

/// `volley get`
#[derive(Debug, Args)]
pub struct Get {
    /// Where a `volley share` runs.
    #[arg(value_name = "SRC", help = "Where a `volley share` runs: HOST[:PORT]")]
    pub source: String,
    /// Where the files go; the directory you are in unless said otherwise
    #[arg(value_name = "DIR")]
    pub directory: Option<PathBuf>,
    /// Show what is offered, on standard output, and get nothing
    #[arg(long)]
    pub list: bool,
    /// Say what would be done, and do nothing: no file comes, and nothing is written, also no --manifest
    #[arg(long)]
    pub dry_run: bool,
    /// How files are taken in.
    #[command(flatten)]
    pub intake: IntakeOptions,
    /// What a transfer may take.
    #[command(flatten)]
    pub limit: LimitOptions,
    /// How to reach the other side.
    #[command(flatten)]
    pub dial: DialOptions,
    /// An imperfect link in front of the socket
    #[command(flatten)]
    pub link: LinkOptions,
    /// What to print
    #[command(flatten)]
    pub output: OutputOptions,
}

/// The strategy of automatic repeat request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Args)]
pub struct ArqOptions {
    /// How to repeat what is lost: volley's own way, or one of the textbook's, to compare
    #[arg(long, value_name = "NAME", value_parser = parse_strategy, default_value = "volley")]
    pub arq: Strategy,
    /// Frames that go-back-n or selective-repeat may have outstanding
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub window: Option<u32>,
}

impl ArqOptions {
    /// What the transport is told.
    #[must_use]
    pub fn config(self) -> ArqConfig {
        let window = self.window.unwrap_or(ArqConfig::WINDOW);
        ArqConfig { strategy: self.arq, window, ..ArqConfig::default() }
    }
}

/// `volley recv`
#[derive(Debug, Args)]
pub struct Recv {
    /// Where the files go; - writes the one file that is received to standard output, once it is complete and
    /// verified, and ends (./- is a directory of that name)
    #[arg(default_value = ".", value_name = "DIR")]
    pub directory: PathBuf,
    /// How files are taken in.
    #[command(flatten)]
    pub intake: IntakeOptions,
    /// What a transfer may take.
    #[command(flatten)]
    pub limit: LimitOptions,
    /// Where to listen, and for how long.
    #[command(flatten)]
    pub listen: ListenOptions,
    /// An imperfect link in front of the socket
    #[command(flatten)]
    pub link: LinkOptions,
    /// What to print
    #[command(flatten)]
    pub output: OutputOptions,
}

/// `volley share`
#[derive(Debug, Args)]
pub struct Share {
    /// The files and directories to offer. A directory goes with all that is in it, under its own name
    #[arg(required = true, num_args = 1.., value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// How the rate is chosen.
    #[command(flatten)]
    pub rate: RateOptions,
    /// What a transfer may take.
    #[command(flatten)]
    pub limit: LimitOptions,
    /// Where to listen, and for how long.
    #[command(flatten)]
    pub listen: ListenOptions,
    /// What of directories goes.
    #[command(flatten)]
    pub tree: TreeOptions,
    /// An imperfect link in front of the socket
    #[command(flatten)]
    pub link: LinkOptions,
    /// What to print
    #[command(flatten)]
    pub output: OutputOptions,
}

/// `volley demo`
#[derive(Debug, Args)]
pub struct Demo {
    /// The link in the middle: 5% loss and 25ms delay unless said otherwise.
    #[command(flatten)]
    pub link: LinkOptions,
    /// Where a report goes
    #[command(flatten)]
    pub report: ReportOptions,
    /// What to print
    #[command(flatten)]
    pub output: OutputOptions,
}

/// `volley completions`
#[derive(Debug, Args)]
pub struct Completions {
    /// For which shell
    #[arg(value_name = "SHELL")]
    pub shell: clap_complete::Shell,
}

/// `volley man`
#[derive(Debug, Args)]
pub struct Man {
    /// The directory to write them into; without one they go to standard output
    #[arg(value_name = "DIR")]
    pub directory: Option<PathBuf>,
}

/// `volley relay`
#[derive(Debug, Args)]
pub struct Relay {
    /// Where clients send to: PORT or ADDR:PORT of this machine; port 0 takes a free one
    #[arg(long, value_name = "ADDR")]
    pub listen: String,
    /// The server: HOST:PORT, or PORT on this machine
    #[arg(long, value_name = "ADDR")]
    pub to: String,
    /// The link in the middle: out is to the server, back is to the clients
    #[command(flatten)]
    pub link: LinkOptions,
    /// What to print
    #[command(flatten)]
    pub output: TotalOptions,
}

/// `volley lab`
#[derive(Debug, Args)]
pub struct Lab {
    /// What to run: one word is a line for the shell, several are a program and its arguments
    #[arg(last = true, required = true, num_args = 1.., value_name = "COMMAND")]
    pub command: Vec<OsString>,
    /// The link between the hosts: out is from A to B
    #[command(flatten)]
    pub link: LinkOptions,
    /// What to print
    #[command(flatten)]
    pub output: TotalOptions,
}

/// Where a report goes.
#[derive(Clone, Debug, Default, Args)]
pub struct ReportOptions {
    /// Write diagrams and tables of it into this file, for any browser, without network; replaces the file
    #[arg(id = "report", long, value_name = "FILE.html", help_heading = "Output")]
    pub file: Option<PathBuf>,
}

/// Where committed files are listed.
#[derive(Clone, Debug, Default, Args)]
pub struct ManifestOptions {
    /// List each file in this one as soon as it is committed: hash and path, as `b3sum --check` reads them;
    /// replaces the file
    #[arg(id = "manifest", long, value_name = "FILE", help_heading = "Output")]
    pub file: Option<PathBuf>,
}

/// What to print.
#[derive(Clone, Copy, Debug, Default, Args)]
#[command(next_help_heading = "Output")]
pub struct OutputOptions {
    /// One JSON object for each transfer, on standard output
    #[arg(long)]
    pub json: bool,
    /// Events as they happen, on standard output: one JSON object a line
    #[arg(long)]
    pub jsonl: bool,
    /// Only errors
    #[arg(short, long)]
    pub quiet: bool,
}

/// What to print of what is no transfer.
#[derive(Clone, Copy, Debug, Default, Args)]
#[command(next_help_heading = "Output")]
pub struct TotalOptions {
    /// One JSON object at the end, on standard output
    #[arg(long)]
    pub json: bool,
    /// Only errors
    #[arg(short, long)]
    pub quiet: bool,
}

impl From<TotalOptions> for OutputOptions {
    fn from(TotalOptions { json, quiet }: TotalOptions) -> Self {
        Self { json, jsonl: false, quiet }
    }
}

/// The names of the strategies on the command line.
pub const STRATEGIES: [(&str, Strategy); 4] = [
    ("volley", Strategy::Volley),
    ("stop-and-wait", Strategy::StopAndWait),
    ("go-back-n", Strategy::GoBackN),
    ("selective-repeat", Strategy::SelectiveRepeat),
];

/// What a strategy is called on the command line.
#[must_use]
pub fn strategy_name(strategy: Strategy) -> &'static str {
    STRATEGIES.iter().find(|(_, known)| *known == strategy).map_or("", |(name, _)| name)
}

fn parse_strategy(text: &str) -> Result<Strategy, String> {
    let found = STRATEGIES.iter().find(|(name, _)| *name == text);
    found.map(|(_, strategy)| *strategy).ok_or_else(|| {
        let names = STRATEGIES.map(|(name, _)| name);
        format!("write one of {}", names.join(", "))
    })
}

fn parse_name(text: &str) -> Result<TreePath, String> {
    let name = TreePath::parse(text).map_err(|error| error.to_string())?;
    if name.depth() > 0 {
        return Err("write a name, without the directories that it is to lie in".into());
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definitions_are_consistent() {
        Arguments::command().debug_assert();
    }
}
