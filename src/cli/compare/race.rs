//! Volley and TCP at the same time, each over a link of its own that does the same: what the demo shows.

use super::ways::Way;
use super::{Load, View, virtual_time};
use crate::base::time::Duration;
use crate::base::units::Rate;
use crate::cli::Stop;
use crate::cli::console::Console;
use crate::net::{Impairment, Interrupt};
use crate::report::comparison::{Comparison, LinkUsed, Trial, Venue, table, verdict};
use crate::transport::arq::ArqConfig;
use crate::transport::config::CongestionChoice;

/// What is carried over which link.
#[derive(Clone, Debug)]
pub struct Race {
    /// The link of either one.
    pub link: Impairment,
    /// Bytes, made up.
    pub size: u64,
    /// The rate at which volley sends.
    pub rate: Rate,
    /// Who has not arrived by then is cut off.
    pub limit: Duration,
}

impl Race {
    /// Between hosts of two labs; only for a process that is inside.
    ///
    /// # Errors
    /// There is no lab to be had here, or the user asked to end.
    #[cfg(target_os = "linux")]
    pub fn in_labs(&self, console: &Console, interrupt: &Interrupt) -> Result<(), Stop> {
        let ways = self.ways("cubic");
        let run = |way: &Way| {
            let load = Load::MadeUp(self.size);
            let mut arena = super::hosts::Arena::new(self.link.clone(), &load, self.limit)?;
            let view = View { label: &way.name(), console, bounds: None };
            arena.hold(way, 0, &view, interrupt).map(|(trial, _)| trial)
        };
        let trials = std::thread::scope(|scope| {
            let runs = ways.each_ref().map(|way| scope.spawn(|| run(way)));
            runs.map(|run| run.join().expect("a run does not panic"))
        });
        let [udp, tcp] = trials;
        self.tell(console, Venue::Lab, &ways, [udp?, tcp?]);
        Ok(())
    }

    /// In virtual time, where there is no lab.
    ///
    /// # Errors
    /// The user asked to end.
    pub fn in_virtual_time(&self, console: &Console, interrupt: &Interrupt) -> Result<(), Stop> {
        let ways = self.ways(super::ways::STAND_IN);
        let arena = virtual_time::Arena::new(self.link.clone(), self.size, self.limit);
        let view = View { label: "", console, bounds: None };
        let run = |way| arena.hold(way, 0, &view, interrupt).map(|(trial, _)| trial);
        let [udp, tcp] = ways.each_ref().map(run);
        self.tell(console, Venue::Simulation, &ways, [udp?, tcp?]);
        Ok(())
    }

    fn ways(&self, tcp: &str) -> [Way; 2] {
        let congestion = CongestionChoice::Fixed(self.rate);
        let udp = Way::Udp { congestion, arq: ArqConfig::default() };
        [udp, Way::Tcp { congestion: Some(tcp.to_owned()) }]
    }

    fn tell(&self, console: &Console, venue: Venue, ways: &[Way; 2], trials: [Trial; 2]) {
        let Impairment { out, back, seed } = self.link.clone();
        let mut contenders = ways.each_ref().map(Way::contender);
        for (contender, trial) in contenders.iter_mut().zip(trials) {
            // Of two that run at once nobody knows whose processor time it was.
            contender.trials.push(Trial { cpu: None, ..trial });
        }
        let comparison = Comparison {
            venue,
            size: self.size,
            limit: self.limit,
            link: Some(LinkUsed { out, back, seed }),
            contenders: contenders.into(),
        };
        let (table, verdict) = (table::text(&comparison), verdict::text(&comparison));
        console.tell(&format!("{table}\n{verdict}"));
    }
}
