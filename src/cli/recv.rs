//! `volley recv`

use super::args::Recv;
use super::intake::{self, Intake};
use super::listener::{Listening, Opened, serve};
use super::output::Output;
use super::{Stop, manifest, stdout};
use crate::net::Interrupt;
use crate::net::part::Service;
use crate::report::summary::Direction;

/// Runs the command.
///
/// # Errors
/// It could not listen, was interrupted, or the one transfer did not succeed.
pub fn run(order: &Recv, output: &Output, interrupt: &Interrupt) -> Result<(), Stop> {
    stdout::refuse_options(&order.directory, &order.intake, order.output)?;
    let listening = Listening {
        options: &order.listen,
        limit: order.limit,
        link: &order.link,
        console: intake::console(&order.directory, order.output, output),
        direction: Direction::Received,
    };
    let mut list = None;
    let open = || {
        let intake = Intake::open(&order.directory, &order.intake, interrupt)?;
        list = intake.manifest();
        Ok(Opened {
            service: Service::Receive(intake.reception()),
            headlines: intake.headlines(),
            takes_one: intake.is_stream(),
            kept: Box::new(move || intake.kept()),
        })
    };
    let done = serve(&listening, open, output, interrupt);
    manifest::finish(list.as_ref(), &listening.console, done)
}
