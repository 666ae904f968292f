//! Watches one run in a lab for a report: what the link does to packets, and what the sender tells.
//!
//! Of volley's own transport the sender tells what happens to each packet, and the link adds which ones
//! it lost. A kernel tells nothing of its TCP, but the link sees every segment.

use super::Seen;
use super::segments::Segments;
use super::ways::Way;
use crate::base::time::Instant;
use crate::cli::report::Recorder;
use crate::lab::Lab;
use crate::lab::tap::{Content, Sighting, Watch};
use crate::link::Direction;
use crate::report::run::Bounds;
use crate::wire::header::{Header, PacketType};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::thread::JoinHandle;
use std::time::Duration;

/// Packets that the lab may have told of and nobody looked at.
const SIGHTINGS_MAX: usize = 1 << 16;

/// Losses of one run that are remembered.
const LOSSES_MAX: usize = 1 << 20;

/// The thread looks at whether the run is over this often.
const PATIENCE: Duration = Duration::from_millis(20);

/// Looks at a run until it is closed.
pub(super) struct Eye {
    /// Listens to volley's sender.
    recorder: Option<Recorder>,
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<Found>,
}

/// What the lab told.
struct Found {
    began: Instant,
    kind: Kind,
    /// Packets that the lab could not tell of.
    untold: u64,
}

/// Of what.
enum Kind {
    /// A kernel's TCP.
    Tcp(Box<Segments>),
    /// Volley's transport, whose sender tells the recorder the rest: DATA packets that the link did
    /// not bring.
    Udp { recorder: Recorder, losses: Vec<(Instant, u32)> },
}

impl Eye {
    pub(super) fn open(lab: &Lab, way: &Way, bounds: Bounds) -> Self {
        let watch = lab.watch(SIGHTINGS_MAX);
        let began = lab.now();
        let recorder = (!way.is_tcp()).then(|| Recorder::start(way.strategy(), bounds));
        let kind = match recorder.clone() {
            None => Kind::Tcp(Box::new(Segments::new(began, bounds))),
            Some(recorder) => Kind::Udp { recorder, losses: Vec::new() },
        };
        let is_over = Arc::new(AtomicBool::new(false));
        let until = is_over.clone();
        let found = Found { began, kind, untold: 0 };
        let thread = std::thread::spawn(move || found.look(&watch, &until));
        Self { recorder, is_over, thread }
    }

    /// What is to listen to the sender, where that tells anything.
    pub(super) fn recorder(&self) -> Option<Recorder> {
        self.recorder.clone()
    }

    pub(super) fn close(self) -> Seen {
        self.is_over.store(true, Ordering::Relaxed);
        let found = self.thread.join().expect("looking at packets does not panic");
        let mut seen = match found.kind {
            Kind::Tcp(segments) => segments.finish(),
            Kind::Udp { recorder, losses } => {
                for (at, low) in losses {
                    recorder.lost_on_link(at, low);
                }
                Seen::by(&recorder)
            }
        };
        if found.untold > 0 {
            let untold = found.untold;
            seen.notes.push(format!(
                "{untold} packets came too fast to be shown: some marks are missing."
            ));
        }
        seen
    }
}

impl Found {
    fn look(mut self, watch: &Watch, is_over: &AtomicBool) -> Self {
        loop {
            match watch.sightings().recv_timeout(PATIENCE) {
                Ok(sighting) => self.see(&sighting),
                Err(RecvTimeoutError::Timeout) if !is_over.load(Ordering::Relaxed) => {}
                Err(_) => {
                    self.untold = watch.untold();
                    return self;
                }
            }
        }
    }

    fn see(&mut self, sighting: &Sighting) {
        let losses = match &mut self.kind {
            Kind::Tcp(segments) => return segments.see(sighting),
            Kind::Udp { losses, .. } => losses,
        };
        let Content::Udp { head, .. } = &sighting.content else { return };
        let is_lost = sighting.direction == Direction::Out && !sighting.fate.is_kept_whole();
        let header = Header::read(head).ok().filter(|header| header.kind == PacketType::Data);
        if let Some(header) = header.filter(|_| is_lost && losses.len() < LOSSES_MAX) {
            let at = Instant::ZERO + sighting.at.since(self.began);
            losses.push((at, header.packet_number));
        }
    }
}
