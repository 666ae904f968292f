//! Runs over the real path to a `volley recv`.

use super::shot::{Shot, cannot};
use super::ways::Way;
use super::{Load, Seen, View, made_up};
use crate::cli::Stop;
use crate::cli::args::Compare;
use crate::cli::destination::Destination;
use crate::cli::report::Recorder;
use crate::cli::scratch::Scratch;
use crate::net::Interrupt;
use crate::report::comparison::Trial;
use crate::report::run::Run;

/// A listener somewhere, and what to send there.
#[derive(Debug)]
pub(super) struct Arena {
    host: String,
    shot: Shot,
    _scratch: Scratch,
}

impl Arena {
    /// Finds the host.
    ///
    /// # Errors
    /// There is none of that name, or the options ask for a link, which is not ours here.
    pub(super) fn new(
        order: &Compare,
        load: &Load,
        destination: Destination,
        interrupt: &Interrupt,
    ) -> Result<Self, Stop> {
        if !order.open {
            return Err(Stop::Usage(format!(
                "there is no file {destination}; to compare over the path to a host of that name, add \
                 --open on both sides: without authentication and encryption, on wires that you trust"
            )));
        }
        if order.link.impairment()?.is_some() {
            let text = "the options of a link make one here; the path to a host is as it is: leave out \
                        the host, or the options";
            return Err(Stop::Usage(text.into()));
        }
        let host = destination.to_string();
        let addresses = destination.resolve_unless(interrupt)?;
        let scratch = Scratch::make().map_err(|error| cannot("make a directory", &error))?;
        let path = made_up::file(load, scratch.path())?;
        Ok(Self { host, shot: Shot { path, addresses, limit: order.limit }, _scratch: scratch })
    }

    pub(super) fn host(&self) -> String {
        self.host.clone()
    }

    /// One run, and what a report shows of it.
    ///
    /// # Errors
    /// The user asked to end.
    pub(super) fn hold(
        &self,
        way: &Way,
        view: &View<'_>,
        interrupt: &Interrupt,
    ) -> Result<(Trial, Option<Run>), Stop> {
        let recorder = view.bounds.map(|bounds| Recorder::start(way.strategy(), bounds));
        let trial = self.shot.fire(way, view, recorder.as_ref(), interrupt)?;
        let seen = recorder.as_ref().map(Seen::by);
        let run = seen.map(|seen| seen.picture(way.name(), &trial, None));
        Ok((trial, run))
    }
}
