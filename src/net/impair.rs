//! An imperfect link in front of a real socket: datagrams are lost and delayed on purpose, both ways,
//! after sealing and before segmentation offload.

use super::udp::{Path, Udp};
use super::{Impairment, ImpairmentCounts, Seen};
use crate::base::time::Instant;
use crate::link::{Direction, Fate, Link};
use crate::wire::header::{Header, PacketType};
use std::collections::BTreeMap;

/// Datagrams that are delayed at the same time, each way; more are dropped, as a queue would.
const DELAYED_MAX: usize = 1 << 17;

/// Both directions of an imperfect link.
#[derive(Debug)]
pub struct ImpairedLink {
    out: DelayLine,
    back: DelayLine,
    trace: Option<Vec<(Instant, Seen)>>,
}

impl ImpairedLink {
    /// A link as `impairment` says; records what it loses if `traces`.
    #[must_use]
    pub fn new(impairment: Impairment, traces: bool) -> Self {
        let line =
            |direction| DelayLine::new(Link::new(impairment.link, impairment.seed, direction));
        Self {
            out: line(Direction::Out),
            back: line(Direction::Back),
            trace: traces.then(Vec::new),
        }
    }

    /// Sends a datagram through the link.
    pub fn send(&mut self, now: Instant, udp: &Udp, path: Path, datagram: &[u8]) {
        match self.out.link.carry(now) {
            Fate::Arrives(at) if at <= now => udp.send(path, datagram),
            Fate::Arrives(at) => self.out.hold(at, path, datagram),
            Fate::Lost => self.record_lost(now, datagram),
        }
    }

    fn record_lost(&mut self, now: Instant, datagram: &[u8]) {
        if let (Some(trace), Ok(header)) = (&mut self.trace, Header::read(datagram))
            && header.kind == PacketType::Data
        {
            trace.push((now, Seen::LostOnLink(header.packet_number)));
        }
    }

    /// A datagram arrived at the socket: true if it comes out of the link at once.
    pub fn receive(&mut self, now: Instant, path: Path, datagram: &[u8]) -> bool {
        match self.back.link.carry(now) {
            Fate::Arrives(at) if at <= now => true,
            Fate::Arrives(at) => {
                self.back.hold(at, path, datagram);
                false
            }
            Fate::Lost => false,
        }
    }

    /// Sends what has been delayed for long enough.
    pub fn release_out(&mut self, now: Instant, udp: &Udp) {
        while let Some((path, datagram)) = self.out.release(now) {
            udp.send(path, &datagram);
        }
    }

    /// The next received datagram that has been delayed for long enough.
    pub fn release_back(&mut self, now: Instant) -> Option<(Path, Vec<u8>)> {
        self.back.release(now)
    }

    /// Whether datagrams on their way out are still being delayed.
    #[must_use]
    pub fn holds_outgoing(&self) -> bool {
        self.out.next().is_some()
    }

    /// When the next delayed datagram comes out.
    #[must_use]
    pub fn next_release(&self) -> Option<Instant> {
        [self.out.next(), self.back.next()].into_iter().flatten().min()
    }

    /// What the link did.
    #[must_use]
    pub fn counts(&self) -> ImpairmentCounts {
        ImpairmentCounts { out: self.out.link.counts(), back: self.back.link.counts() }
    }

    /// What the link lost since the last call.
    pub fn take_trace(&mut self) -> Vec<(Instant, Seen)> {
        self.trace.as_mut().map(std::mem::take).unwrap_or_default()
    }
}

/// One direction, and the datagrams that are in it.
#[derive(Debug)]
struct DelayLine {
    link: Link,
    held: BTreeMap<(Instant, u64), (Path, Vec<u8>)>,
    order: u64,
}

impl DelayLine {
    fn new(link: Link) -> Self {
        Self { link, held: BTreeMap::new(), order: 0 }
    }

    fn hold(&mut self, at: Instant, path: Path, datagram: &[u8]) {
        if self.held.len() < DELAYED_MAX {
            self.held.insert((at, self.order), (path, datagram.to_vec()));
            self.order += 1;
        }
    }

    fn release(&mut self, now: Instant) -> Option<(Path, Vec<u8>)> {
        let first = self.held.first_entry().filter(|entry| entry.key().0 <= now)?;
        Some(first.remove())
    }

    fn next(&self) -> Option<Instant> {
        self.held.first_key_value().map(|((at, _), _)| *at)
    }
}
