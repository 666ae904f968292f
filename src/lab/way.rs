//! One direction of a lab's link: a thread that takes packets from one host, puts them into a line,
//! and gives to the other host what comes out.

use super::frame::{Kind, ecn, mark, packet};
use super::port::{Buffers, Port};
use super::tap::Tap;
use super::{LabError, WayCounts};
use crate::base::ecn::Ecn;
use crate::base::time::{Duration, Instant, nanos};
use crate::link::line::Line;
use crate::link::{Direction, Link, LinkConfig};
use crate::os::clock::{Clock, thread_time};
use crate::os::wait::{Waiter, be_punctual};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;

/// The thread looks at whether it is wanted this often.
const PATIENCE: Duration = Duration::from_millis(50);

/// Packets taken before those that have come out are looked at again.
const RECEPTIONS_MAX: usize = 64;

/// One direction.
#[derive(Debug)]
pub struct Way {
    state: Mutex<State>,
    is_over: AtomicBool,
    /// Processor time of its thread, in nanoseconds.
    used: AtomicU64,
}

#[derive(Debug)]
struct State {
    line: Line<Kind>,
    /// The one that has come out last.
    packet: Vec<u8>,
    direction: Direction,
    /// Without what the line counts.
    counts: WayCounts,
    /// What the system has dropped since the port was opened, and at the time of the last reset.
    dropped: [u32; 2],
    /// When the last packet came.
    last: Instant,
    tap: Option<Tap>,
}

impl Way {
    /// A way with nothing in it.
    #[must_use]
    pub fn new(config: &LinkConfig, seed: u64, direction: Direction) -> Self {
        let line = Line::new(Link::new(config, seed, direction));
        let counts = WayCounts::default();
        let last = Instant::ZERO;
        let packet = Vec::new();
        let state = State { line, packet, direction, counts, dropped: [0; 2], last, tap: None };
        Self { state: Mutex::new(state), is_over: AtomicBool::new(false), used: AtomicU64::new(0) }
    }

    /// Begins again with another link, and loses what is in this one.
    pub fn reset(&self, config: &LinkConfig, seed: u64) {
        let mut state = self.state();
        state.line = Line::new(Link::new(config, seed, state.direction));
        state.counts = WayCounts::default();
        state.dropped[1] = state.dropped[0];
    }

    /// What has happened since it began.
    #[must_use]
    pub fn counts(&self) -> WayCounts {
        let state = self.state();
        let [now, before] = state.dropped;
        let missed = now.wrapping_sub(before).into();
        WayCounts { link: state.line.link().counts(), missed, ..state.counts }
    }

    /// Processor time that its thread has used.
    #[must_use]
    pub fn processor_time(&self) -> Duration {
        Duration::from_nanos(self.used.load(Ordering::Relaxed))
    }

    /// Tells `tap` of each packet from now on.
    pub fn watch(&self, tap: Tap) {
        self.state().tap = Some(tap);
    }

    /// Ends the thread, soon.
    pub fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    /// Who panicked with the lock has left the counts as they were.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn carry(&self, from: &Port, to: &Port, clock: Clock) {
        let mut buffers = Buffers::default();
        let mut is_busy = false;
        while !self.is_over.load(Ordering::Relaxed) {
            if !is_busy {
                self.used.store(nanos(thread_time()), Ordering::Relaxed);
                let next = self.state().line.next();
                let until_next = next.map_or(PATIENCE, |at| at.since(clock.now()));
                let _ = Waiter::wait_for_some(&[from.as_fd()], until_next.min(PATIENCE));
            }
            let mut state = self.state();
            is_busy = state.receive(from, clock, &mut buffers);
            state.release(clock.now(), to);
        }
    }
}

impl State {
    /// Takes what has come, and says whether there is probably more.
    fn receive(&mut self, from: &Port, clock: Clock, buffers: &mut Buffers) -> bool {
        for _ in 0..RECEPTIONS_MAX {
            let Ok(Some(received)) = from.receive(buffers) else { return false };
            self.dropped[0] = received.dropped.unwrap_or(self.dropped[0]);
            // It enters the link when it came, also where this thread did not run for a while: the
            // queue then fills and drains as if it had.
            self.last = self.last.max(clock.moment(received.stamp));
            self.put(self.last, &buffers.frame[..received.len]);
        }
        true
    }

    fn put(&mut self, now: Instant, frame: &[u8]) {
        let Some((kind, packet)) = packet(frame) else { return };
        let fate = self.line.put(now, packet.len(), (kind, ecn(packet)), packet);
        if let Some(tap) = &self.tap
            && !tap.tell(now, self.direction, packet, fate)
        {
            self.tap = None;
        }
    }

    fn release(&mut self, now: Instant, to: &Port) {
        while let Some((kind, ecn)) = self.line.take(now, &mut self.packet) {
            if ecn == Ecn::Ce {
                mark(&mut self.packet);
            }
            self.counts.delivered += 1;
            self.counts.delivered_bytes += self.packet.len() as u64;
            self.counts.unsent += u64::from(to.send(kind, &self.packet).is_err());
        }
    }
}

/// Starts the thread that carries packets of `way` between two ports.
///
/// # Errors
/// The system has no thread to spare.
pub fn carry(
    way: &Arc<Way>,
    from: &Arc<Port>,
    to: &Arc<Port>,
    clock: Clock,
) -> Result<JoinHandle<()>, LabError> {
    let (way, from, to) = (way.clone(), from.clone(), to.clone());
    let work = move || {
        be_punctual();
        way.carry(&from, &to, clock);
    };
    std::thread::Builder::new().spawn(work).map_err(LabError::step("start a thread"))
}
