//! Watches one run in a lab for a report: what the link does to packets, and what the sender tells.
//!
//! Of volley's own transport the sender tells what happens to each packet, and the link adds which ones
//! it lost. A kernel tells nothing of its TCP, but the link sees every segment.

use super::segments::{Segments, is_lost};
use super::ways::Way;
use crate::base::time::Instant;
use crate::cli::report::Recorder;
use crate::lab::Lab;
use crate::lab::tap::{Content, Sighting, Watch};
use crate::link::Direction;
use crate::report::run::{Bounds, Packets, Samples};
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

/// What was seen.
pub(super) type Seen = (Samples, Packets);

/// Looks at a run until it is closed.
pub(super) struct Eye {
    recorder: Recorder,
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<Found>,
}

/// What the lab told.
struct Found {
    began: Instant,
    /// Of a kernel's TCP.
    segments: Option<Segments>,
    /// DATA packets of volley's that the link did not bring.
    losses: Vec<(Instant, u32)>,
}

impl Eye {
    pub(super) fn open(lab: &Lab, way: &Way, bounds: Bounds) -> Self {
        let watch = lab.watch(SIGHTINGS_MAX);
        let began = lab.now();
        let recorder = Recorder::start(way.strategy(), bounds);
        let segments = way.is_tcp().then(|| Segments::new(began, bounds));
        let is_over = Arc::new(AtomicBool::new(false));
        let until = is_over.clone();
        let found = Found { began, segments, losses: Vec::new() };
        let thread = std::thread::spawn(move || found.look(&watch, &until));
        Self { recorder, is_over, thread }
    }

    /// Listens to the sender.
    pub(super) fn recorder(&self) -> Recorder {
        self.recorder.clone()
    }

    pub(super) fn close(self) -> Seen {
        self.is_over.store(true, Ordering::Relaxed);
        let found = self.thread.join().expect("looking at packets does not panic");
        if let Some(segments) = found.segments {
            return segments.finish();
        }
        for (at, low) in found.losses {
            self.recorder.lost_on_link(at, low);
        }
        self.recorder.seen()
    }
}

impl Found {
    fn look(mut self, watch: &Watch, is_over: &AtomicBool) -> Self {
        loop {
            match watch.sightings().recv_timeout(PATIENCE) {
                Ok(sighting) => self.see(&sighting),
                Err(RecvTimeoutError::Timeout) if !is_over.load(Ordering::Relaxed) => {}
                Err(_) => return self,
            }
        }
    }

    fn see(&mut self, sighting: &Sighting) {
        if let Some(segments) = &mut self.segments {
            segments.see(sighting);
            return;
        }
        let Content::Udp { head, .. } = &sighting.content else { return };
        let is_data = |header: &Header| header.kind == PacketType::Data;
        let lost = sighting.direction == Direction::Out && is_lost(sighting.fate);
        if let Some(header) = Header::read(head).ok().filter(|header| lost && is_data(header))
            && self.losses.len() < LOSSES_MAX
        {
            let at = Instant::ZERO + sighting.at.since(self.began);
            self.losses.push((at, header.packet_number));
        }
    }
}
