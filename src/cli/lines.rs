//! `--jsonl`: events on standard output as they happen, one JSON object a line.
//!
//! A thread of its own makes and writes them: a transfer only puts what happened into a queue. Whoever
//! reads slowly loses events of packets, which are counted, and never holds up a transfer.

use super::queue::{OutputQueue, WAITING_MAX, Worth};
use crate::base::time::{Duration, Instant};
use crate::net::{Notice, Seen};
use crate::os::clock::Clock;
use crate::report::events::Events;
use crate::transfer::outcome::Failure;
use crate::transfer::session::Progress;
use crate::transport::trace::TraceEvent;
use serde_json::Value;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;

/// Something to tell, of transfer `id` where there is one, and when it was.
#[derive(Debug)]
enum Item {
    Ended { id: u64, failure: Option<Failure>, result: Value },
    Failed(Failure),
    FellBack(u64),
    Listening(SocketAddr),
    Progress { id: u64, progress: Box<Progress> },
    Retrying { id: u64, failure: Failure, pause: Duration },
    Started { id: u64, peer: String },
    Traced { id: u64, event: TraceEvent },
}

/// Bytes that an item takes while it waits, about.
const SIZE: usize = size_of::<(Instant, Item)>();

/// The way to the thread that makes and writes them.
#[derive(Clone, Debug)]
pub struct Lines {
    clock: Clock,
    queue: OutputQueue<(Instant, Item)>,
}

impl Lines {
    /// Starts to write to `out`; time begins now.
    ///
    /// # Errors
    /// The system has no thread to spare.
    pub(super) fn start<W: io::Write + AsFd + Send + 'static>(out: W) -> io::Result<Self> {
        let mut events = Events::default();
        let text_of = move |(at, item), dropped| {
            let values = values(&mut events, at, item, dropped);
            values.iter().map(|value| format!("{value}\n")).collect::<String>()
        };
        let queue = OutputQueue::start(move || Ok(out), WAITING_MAX, text_of)?;
        Ok(Self { clock: Clock::start(), queue })
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
                self.put(Item::Progress { id: *id, progress: progress.clone() });
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

    /// Waits until all is written; not for a reader that takes nothing for as long as `patience`. A closed
    /// stream is no reason to fail.
    ///
    /// # Errors
    /// Nobody reads.
    pub(super) fn flush(&self, patience: Duration) -> io::Result<()> {
        match self.queue.flush(patience) {
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Err(error),
            _ => Ok(()),
        }
    }

    fn put_trace(&self, id: u64, events: &[(Instant, Seen)], now: Instant) {
        // The loop has a clock of its own.
        let here = self.clock.now();
        let losses = events.iter().filter_map(|(at, seen)| match seen {
            Seen::Connection(
                event @ (TraceEvent::Lost { .. } | TraceEvent::DataSent { again: true, .. }),
            ) => Some(((here - now.since(*at), Item::Traced { id, event: event.clone() }), SIZE)),
            _ => None,
        });
        self.queue.put_all(losses, Worth::Passing);
    }

    fn put(&self, item: Item) {
        let (size, worth) = match &item {
            Item::Progress { .. } | Item::Traced { .. } => (SIZE, Worth::Passing),
            // The result is by far the largest part, and it is made once for each transfer.
            Item::Ended { result, .. } => (SIZE + result.to_string().len(), Worth::Result),
            _ => (SIZE, Worth::Result),
        };
        self.queue.put((self.clock.now(), item), size, worth);
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
    use std::io::{PipeReader, Read};

    fn unread() -> (Lines, PipeReader) {
        let (reader, writer) = io::pipe().expect("a pipe");
        (Lines::start(writer).expect("a thread"), reader)
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
        let (lines, mut reader) = unread();
        let peer = ([192, 0, 2, 7], 7117).into();
        lines.notice(&Notice::Started { id: 1, peer, carrier: crate::net::Carrier::Udp });
        let lost = 3 * (WAITING_MAX / SIZE) as u64;
        lose(&lines, lost);
        lines.ended(1, None, Value::Null);
        let dropped = lines.queue.dropped();
        assert!(dropped > lost / 2, "{dropped} of {lost}");
        // From now on it reads.
        let reading = std::thread::spawn(move || {
            let mut text = String::new();
            let mut piece = [0; 4096];
            while !text.contains("events_dropped") {
                let len = reader.read(&mut piece).expect("a pipe");
                text += std::str::from_utf8(&piece[..len]).expect("ASCII");
            }
            text
        });
        lines.flush(Duration::MAX).expect("it reads");
        let text = reading.join().expect("it does not panic");
        let last: Value = serde_json::from_str(text.lines().last().expect("lines")).expect("JSON");
        assert_eq!(
            (&last["event"], &last["events_dropped"]),
            (&"complete".into(), &dropped.into())
        );
        let told = text.lines().filter(|line| line.contains(r#""event":"loss""#)).count();
        assert_eq!(told as u64 + dropped, lost);
    }

    #[test]
    fn who_never_reads_is_not_waited_for_and_a_closed_stream_is_no_failure() {
        let (lines, reader) = unread();
        let peer = ([192, 0, 2, 7], 7117).into();
        lines.notice(&Notice::Started { id: 1, peer, carrier: crate::net::Carrier::Udp });
        lose(&lines, 10_000);
        lines.failed(&Failure::new(Reason::Other, "it failed"));
        assert!(lines.flush(Duration::from_millis(50)).is_err());
        drop(reader);
        lines.flush(Duration::MAX).expect("closed");
        lose(&lines, 10);
        lines.flush(Duration::MAX).expect("closed");
    }
}
