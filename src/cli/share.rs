//! `volley share`

use super::Stop;
use super::args::Share;
use super::listener::{Listening, Opened, serve};
use super::output::Output;
use super::words;
use crate::base::text::escape_os;
use crate::net::Interrupt;
use crate::net::part::Service;
use crate::report::summary::Direction;
use crate::transfer::source::Source;
use std::path::PathBuf;
use std::sync::Arc;

/// More names than this are counted.
const NAMES_SHOWN: usize = 4;

/// Runs the command.
///
/// # Errors
/// What is to be offered is not there; it could not listen, was interrupted, or the one transfer did not
/// succeed.
pub fn run(order: &Share, output: &Output, interrupt: &Interrupt) -> Result<(), Stop> {
    words::check_offer(&order.paths)?;
    let selection = order.tree.select(order.paths.clone()).map_err(Stop::Usage)?;
    let listening = Listening {
        options: &order.listen,
        limit: order.limit,
        link: &order.link,
        console: output.console(order.output.quiet),
        direction: Direction::Sent,
    };
    let open = || {
        // What cannot be offered is known before anybody comes.
        Source::new(&selection).open()?;
        let selection = Arc::new(selection);
        let headline = headline(&selection.paths);
        Ok(Opened {
            service: Service::Share { selection, congestion: order.rate.cc },
            headlines: vec![headline],
            takes_one: false,
            kept: Box::new(
                || "the other sides keep what is complete, and what they can go on with",
            ),
        })
    };
    serve(&listening, open, output, interrupt)
}

fn headline(paths: &[PathBuf]) -> String {
    let shown = paths.iter().take(NAMES_SHOWN).map(escape_os);
    let shown: Vec<String> = shown.collect();
    let more = match paths.len().saturating_sub(NAMES_SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("sharing {}{more}", shown.join(", "))
}
