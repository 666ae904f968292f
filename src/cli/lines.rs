//! `--jsonl`: events on standard output as they happen, one JSON object a line.
//!
//! A thread of its own makes and writes them: a transfer only puts what happened into a queue. Whoever
//! reads slowly loses events of packets, which are counted, and never holds up a transfer.

use crate::base::time::{Duration, Instant};
use crate::net::{Notice, Seen};
use crate::os::clock::Clock;
use crate::report::events::Events;
use crate::transfer::outcome::Failure;
use crate::transfer::session::Progress;
use crate::transport::trace::TraceEvent;
use serde_json::Value;
use std::collections::VecDeque;
use std::io::{self, BufWriter, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

/// What may wait to be written: some seconds of loss at full speed, in a few megabytes.
const QUEUE_MAX: usize = 1 << 16;

/// Beginnings and ends may wait beyond that, for a receiver that serves many.
const RESERVE: usize = 1 << 10;

/// Something to tell, of transfer `id` where there is one, and when it was.
#[derive(Debug)]
enum Item {
    Ended { id: u64, failure: Option<Failure>, result: Value },
    Failed(Failure),
    FellBack(u64),
    Listening(SocketAddr),
    Progress { id: u64, progress: Progress },
    Retrying { id: u64, failure: Failure, pause: Duration },
    Started { id: u64, peer: String },
    Traced { id: u64, event: TraceEvent },
}

impl Item {
    /// Whether it may be left out where nobody reads fast enough.
    fn is_dispensable(&self) -> bool {
        matches!(self, Self::Progress { .. } | Self::Traced { .. })
    }
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<(Instant, Item)>,
    dropped: u64,
    /// Items written.
    written: u64,
    /// No more items come.
    is_closed: bool,
    /// No more lines will be written.
    is_over: bool,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// The way to the thread that writes.
#[derive(Clone, Debug)]
pub struct Lines {
    clock: Clock,
    shared: Arc<Shared>,
}

impl Lines {
    /// Starts to write to `out`; time begins now.
    ///
    /// # Errors
    /// The system has no thread to spare.
    pub fn start(out: impl Write + Send + 'static) -> io::Result<Self> {
        let shared: Arc<Shared> = Arc::default();
        let theirs = shared.clone();
        std::thread::Builder::new().spawn(move || {
            // A closed stream is no reason to fail.
            let _ = theirs.write(BufWriter::new(out));
            let mut state = theirs.lock();
            state.is_over = true;
            state.queue.clear();
            theirs.changed.notify_all();
        })?;
        Ok(Self { clock: Clock::start(), shared })
    }

    /// Tells what a loop told its owner; the end of a transfer is told by [`Lines::ended`].
    pub fn notice(&self, notice: &Notice) {
        match notice {
            Notice::Ended { .. } | Notice::Listed { .. } => {}
            Notice::Retrying { id, failure, pause, .. } => {
                self.put(Item::Retrying { id: *id, failure: failure.clone(), pause: *pause });
            }
            Notice::FellBack { id, .. } => self.put(Item::FellBack(*id)),
            Notice::Progress { id, progress } => {
                self.put(Item::Progress { id: *id, progress: *progress });
            }
            Notice::Started { id, peer, .. } => {
                self.put(Item::Started { id: *id, peer: super::show_peer(*peer) });
            }
            Notice::Traced { id, events, now } => self.put_trace(*id, events, *now),
        }
    }

    /// A transfer is over; `result` is what `--json` prints.
    pub fn ended(&self, id: u64, failure: Option<Failure>, result: Value) {
        self.put(Item::Ended { id, failure, result });
    }

    /// The program ends with an error that belongs to no transfer.
    pub fn failed(&self, failure: &Failure) {
        self.put(Item::Failed(failure.clone()));
    }

    /// This side listens.
    pub fn listening(&self, address: SocketAddr) {
        self.put(Item::Listening(address));
    }

    /// Waits until all is written; not for a reader that takes nothing for as long as `patience`. Says
    /// whether it was worth waiting.
    #[must_use]
    pub fn close(&self, patience: Duration) -> bool {
        let mut state = self.shared.lock();
        state.is_closed = true;
        self.shared.changed.notify_all();
        while !state.is_over {
            let before = state.written;
            let waiting = self.shared.changed.wait_timeout(state, patience);
            let (next, waited) = waiting.expect("nobody panics while holding it");
            state = next;
            if waited.timed_out() && state.written == before {
                return false;
            }
        }
        true
    }

    fn put_trace(&self, id: u64, events: &[(Instant, Seen)], now: Instant) {
        // The loop has a clock of its own.
        let here = self.clock.now();
        self.put_all(events.iter().filter_map(|(at, seen)| match seen {
            Seen::Connection(
                event @ (TraceEvent::Lost { .. } | TraceEvent::DataSent { again: true, .. }),
            ) => Some((here - now.since(*at), Item::Traced { id, event: event.clone() })),
            _ => None,
        }));
    }

    fn put(&self, item: Item) {
        self.put_all([(self.clock.now(), item)]);
    }

    fn put_all(&self, items: impl IntoIterator<Item = (Instant, Item)>) {
        let mut state = self.shared.lock();
        let before = state.queue.len();
        for (at, item) in items {
            let room = if item.is_dispensable() { QUEUE_MAX } else { QUEUE_MAX + RESERVE };
            if state.is_over || state.queue.len() >= room {
                state.dropped += 1;
            } else {
                state.queue.push_back((at, item));
            }
        }
        if state.queue.len() > before {
            self.shared.changed.notify_all();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics while holding it")
    }

    /// Writes until closed, or until nobody reads.
    fn write(&self, mut out: impl Write) -> io::Result<()> {
        let mut events = Events::default();
        loop {
            let mut state = self.lock();
            if state.queue.is_empty() && !state.is_closed {
                drop(state);
                // Whoever reads sees all that has happened before nothing happens for a while.
                out.flush()?;
                state = self.lock();
            }
            while state.queue.is_empty() && !state.is_closed {
                state = self.changed.wait(state).expect("nobody panics while holding it");
            }
            let Some((at, item)) = state.queue.pop_front() else {
                drop(state);
                return out.flush();
            };
            let dropped = state.dropped;
            drop(state);
            for value in values(&mut events, at, item, dropped) {
                writeln!(out, "{value}")?;
            }
            self.lock().written += 1;
        }
    }
}

/// The events that an item makes.
fn values(events: &mut Events, at: Instant, item: Item, dropped: u64) -> Vec<Value> {
    match item {
        Item::Ended { id, failure, result } => {
            vec![events.ended(at, id, failure.as_ref(), result, dropped)]
        }
        Item::Failed(failure) => vec![events.failed(at, &failure, dropped)],
        Item::FellBack(id) => vec![events.fell_back(at, id)],
        Item::Listening(address) => vec![events.listening(at, address)],
        Item::Progress { id, progress } => events.progress(at, id, &progress),
        Item::Retrying { id, failure, pause } => vec![events.retrying(at, id, &failure, pause)],
        Item::Started { id, peer } => {
            events.started(at, id, peer);
            Vec::new()
        }
        Item::Traced { id, event } => events.traced(at, id, &event).into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer::outcome::Reason;
    use std::sync::mpsc::{Receiver, Sender, channel};

    /// A reader that takes a piece only when told to.
    struct Slow {
        may: Receiver<()>,
        taken: Sender<Vec<u8>>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.may.recv().map_err(|_| io::ErrorKind::BrokenPipe)?;
            let _ = self.taken.send(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn slow() -> (Lines, Sender<()>, Receiver<Vec<u8>>) {
        let ((allow, may), (taken, pieces)) = (channel(), channel());
        (Lines::start(Slow { may, taken }).expect("a thread"), allow, pieces)
    }

    fn lose(lines: &Lines, packets: u64) {
        for number in 0..packets {
            let rule = crate::transport::loss::LossRule::Time;
            let event = TraceEvent::Lost { number, range: Some(0..10), rule };
            let events = vec![(Instant::ZERO, Seen::Connection(event))];
            lines.notice(&Notice::Traced { id: 1, events, now: Instant::ZERO });
        }
    }

    #[test]
    fn who_reads_nothing_holds_nobody_up_and_what_is_left_out_is_counted() {
        let (lines, allow, pieces) = slow();
        let peer = ([192, 0, 2, 7], 7117).into();
        lines.notice(&Notice::Started { id: 1, peer, carrier: crate::net::Carrier::Udp });
        lose(&lines, 3 * QUEUE_MAX as u64);
        lines.ended(1, None, Value::Null);
        let dropped = lines.shared.lock().dropped;
        assert!(dropped > QUEUE_MAX as u64, "{dropped}");
        // From now on it reads.
        let reading = std::thread::spawn(move || {
            let mut text = Vec::new();
            while allow.send(()).is_ok() {
                let Ok(piece) = pieces.recv() else { break };
                text.extend(piece);
            }
            String::from_utf8(text).expect("JSON")
        });
        assert!(lines.close(Duration::MAX));
        let text = reading.join().expect("it does not panic");
        let last: Value = serde_json::from_str(text.lines().last().expect("lines")).expect("JSON");
        assert_eq!(
            (&last["event"], &last["events_dropped"]),
            (&"complete".into(), &dropped.into())
        );
        let lost = text.lines().filter(|line| line.contains(r#""event":"loss""#)).count();
        assert_eq!(lost as u64 + dropped, 3 * QUEUE_MAX as u64);
    }

    #[test]
    fn who_never_reads_again_is_not_waited_for() {
        let (lines, allow, pieces) = slow();
        lose(&lines, 10);
        lines.failed(&Failure::new(Reason::Other, "it failed"));
        assert!(!lines.close(Duration::from_millis(50)));
        drop((allow, pieces));
        assert!(lines.close(Duration::MAX), "closed");
    }

    #[test]
    fn a_closed_stream_ends_the_writing_and_nothing_else() {
        let (lines, allow, _) = slow();
        drop(allow);
        lines.failed(&Failure::new(Reason::Other, "it failed"));
        lose(&lines, 10);
        assert!(lines.close(Duration::MAX));
    }
}
