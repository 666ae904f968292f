//! A whole transfer in one thread: what either side says and sends goes to the other as over TCP.

use std::collections::VecDeque;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use volley::transfer::directory::Directory;
use volley::transfer::disk::Disk;
use volley::transfer::job::{Job, Report};
use volley::transfer::keeping::{Existing, Keeping};
use volley::transfer::outcome::{Failure, TransferReport};
use volley::transfer::receiver::{Demand, Receiving};
use volley::transfer::sender::Sending;
use volley::transfer::sink::{Sink, SinkPolicy};
use volley::transfer::source::Source;
use volley::transfer::walk::{Links, Selection};

/// Only something that hangs takes so many steps.
const STEPS_MAX: usize = 100_000;

/// Bytes of offers in one step.
const OFFERS_MAX: usize = 32 << 10;

/// What goes where, and how.
pub(crate) struct Order<'a> {
    /// Everything in it is named to the sender.
    pub(crate) from: &'a Path,
    pub(crate) to: &'a Path,
    /// The sender's and the receiver's.
    pub(crate) disks: [Disk; 2],
    pub(crate) keeping: Keeping,
    /// What does not match may come again.
    pub(crate) can_repeat: bool,
    /// Nothing is done, only said.
    pub(crate) is_plan: bool,
    /// Bytes sent at once.
    pub(crate) piece: u64,
    /// What is verified is written down after so many of them.
    pub(crate) checkpoint: usize,
    /// Hears what is committed.
    pub(crate) heard: &'a dyn Fn(&str),
}

impl<'a> Order<'a> {
    pub(crate) fn new(from: &'a Path, to: &'a Path) -> Self {
        Self {
            from,
            to,
            disks: [Disk::default(), Disk::default()],
            keeping: Keeping { existing: Existing::Overwrite, ..Keeping::default() },
            can_repeat: false,
            is_plan: false,
            piece: 400_000,
            checkpoint: 3,
            heard: &|_| {},
        }
    }
}

/// How it ended.
pub(crate) struct Over {
    pub(crate) sent: TransferReport,
    pub(crate) received: TransferReport,
}

/// Carries a transfer to its end.
///
/// # Errors
/// It does not begin: the receiver's directory or what is to be sent is not as it should be.
pub(crate) fn run(order: &Order<'_>) -> Result<Over, Failure> {
    let mut carrier = Carrier::begin(order)?;
    for _ in 0..STEPS_MAX {
        carrier.step(order);
        if carrier.is_complete() {
            let Carrier { sending, receiving, sink, .. } = carrier;
            drop(sink);
            let (sent, received) = (sending.report(None, None), receiving.report(None, None));
            return Ok(Over { sent, received });
        }
    }
    panic!("the transfer does not end");
}

/// Carries a transfer for so many steps, of which each sends a piece, and leaves it.
///
/// # Errors
/// As [`run`].
pub(crate) fn cut_off(order: &Order<'_>, steps: usize) -> Result<(), Failure> {
    let mut carrier = Carrier::begin(order)?;
    for _ in 0..steps {
        if !carrier.is_complete() {
            carrier.step(order);
        }
    }
    Ok(())
}

struct Carrier {
    sending: Sending,
    source: Source,
    /// What goes after all.
    restored: VecDeque<Range<u64>>,
    receiving: Receiving,
    sink: Sink,
    /// The next byte of the transfer space.
    at: u64,
    pieces: usize,
    /// The paths of the entries, in their order.
    offered: Vec<String>,
}

impl Carrier {
    fn begin(order: &Order<'_>) -> Result<Self, Failure> {
        let mut paths: Vec<_> = std::fs::read_dir(order.from)
            .expect("it can be listed")
            .map(|entry| entry.expect("it can be listed").path())
            .collect();
        paths.sort();
        let selection = Selection { paths, links: Links::Keep, ..Selection::default() };
        let [sender, receiver] = order.disks.clone();
        let directory = match order.is_plan {
            true => Directory::look(order.to)?,
            false => Directory::open_on(receiver, order.to)?,
        };
        let (sending, receiving) = match order.is_plan {
            true => (Sending::planning(&selection), Receiving::new(false).planning()),
            false => (Sending::new(&selection), Receiving::new(false)),
        };
        let policy = SinkPolicy {
            keeping: order.keeping.clone(),
            can_repeat: order.can_repeat,
            ..SinkPolicy::default()
        };
        let mut source = Source::new_on(sender, &selection);
        source.open()?;
        Ok(Self {
            sending,
            source,
            restored: VecDeque::new(),
            receiving,
            sink: Sink::new(Arc::new(directory), policy, 1),
            at: 0,
            pieces: 0,
            offered: Vec::new(),
        })
    }

    fn is_complete(&self) -> bool {
        self.sending.is_complete() && self.receiving.is_complete()
    }

    fn step(&mut self, order: &Order<'_>) {
        self.sending.offer(OFFERS_MAX);
        self.read_on();
        self.receiving.incoming().extend(self.sending.take_outgoing());
        // A stream keeps no list of what is still to go.
        self.sending.take_cancelled();
        self.restored.extend(self.sending.take_restored());
        let has_gone = self.send_piece(order.piece);
        let is_idle = !has_gone && !self.sending.has_more() && !self.source.is_busy();
        self.work(order, is_idle);
        for demand in self.receiving.take_demands() {
            // Over TCP a message asks for what has to come again, and nothing else can.
            if let Demand::Again(range) = demand
                && order.can_repeat
            {
                self.restored.push_back(range);
            }
        }
        self.sending.incoming().extend(self.receiving.take_outgoing());
        self.sending.handle_messages().expect("the receiver keeps to the protocol");
    }

    /// Has the source do its jobs, and a little of what is read beside what goes.
    fn read_on(&mut self) {
        while let Some(job) = self.sending.next_job() {
            let reports = self.source.run(job);
            reports.into_iter().for_each(|report| self.sending.on_report(report));
        }
        let reports = self.source.rest();
        reports.into_iter().for_each(|report| self.sending.on_report(report));
    }

    /// Sends what the receiver waits for; false if there is nothing.
    fn send_piece(&mut self, max: u64) -> bool {
        let again = self.restored.pop_front();
        let is_again = again.is_some();
        let Some(wanted) = again.or_else(|| self.sending.next_wanted(self.at, max)) else {
            return false;
        };
        let mut bytes = vec![0; usize::try_from(wanted.end - wanted.start).expect("a piece")];
        let (is_whole, reports) = self.source.read(wanted.start, &mut bytes);
        reports.into_iter().for_each(|report| self.sending.on_report(report));
        if is_whole {
            self.at = if is_again { self.at } else { wanted.end };
            self.pieces += 1;
            assert!(self.receiving.take_data(wanted.start, &bytes), "there is always room");
            self.sending.on_sent(wanted);
        }
        true
    }

    fn work(&mut self, order: &Order<'_>, is_idle: bool) {
        loop {
            self.receiving.handle_messages().expect("the sender keeps to the protocol");
            let reports = match self.receiving.next_job() {
                Some(job) => {
                    if let Job::Offer { wanted, .. } = &job {
                        let path = wanted.as_ref().map(|(path, _)| path.as_str().to_owned());
                        self.offered.push(path.unwrap_or_default());
                    }
                    self.sink.run(job)
                }
                None if is_idle => self.sink.rest(),
                None => break,
            };
            if reports.is_empty() && !self.sink.is_busy() {
                break;
            }
            self.tell(order, reports);
        }
        if self.pieces >= order.checkpoint {
            self.pieces = 0;
            let reports = self.sink.checkpoint();
            self.tell(order, reports);
        }
    }

    fn tell(&mut self, order: &Order<'_>, reports: Vec<Report>) {
        for report in reports {
            if let Report::Committed { index, .. } | Report::Same { index, .. } = report {
                (order.heard)(&self.offered[index as usize]);
            }
            self.receiving.on_report(report);
        }
    }
}
