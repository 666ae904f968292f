//! An imperfect link in front of a real socket: datagrams are lost, delayed and damaged on purpose,
//! both ways, after sealing and before segmentation offload.

use super::udp::{Path, Udp};
use super::{Impairment, ImpairmentCounts, Seen};
use crate::base::ecn::Ecn;
use crate::base::time::{Instant, earlier};
use crate::link::line::Line;
use crate::link::{Cause, Direction, Fate, Link};
use crate::wire::header::{Header, PacketType};

/// Both directions of an imperfect link.
#[derive(Debug)]
pub struct ImpairedLink {
    out: Line<Path>,
    back: Line<Path>,
    /// What has just come out.
    datagram: Vec<u8>,
    trace: Option<Vec<(Instant, Seen)>>,
}

impl ImpairedLink {
    /// A link as `impairment` says; records what it loses if `traces`.
    #[must_use]
    pub fn new(impairment: &Impairment, traces: bool) -> Self {
        let Impairment { out, back, seed } = impairment;
        Self {
            out: Line::new(Link::new(out, *seed, Direction::Out)),
            back: Line::new(Link::new(back, *seed, Direction::Back)),
            datagram: Vec::new(),
            trace: traces.then(Vec::new),
        }
    }

    /// Puts a datagram into the way out.
    pub fn send(&mut self, now: Instant, path: Path, ecn: Ecn, datagram: &[u8]) {
        let size = path.ip_size(datagram.len());
        if let Fate::Lost(cause) = self.out.put(now, size, (path, ecn), datagram) {
            self.record_lost(now, datagram, cause);
        }
    }

    fn record_lost(&mut self, now: Instant, datagram: &[u8], cause: Cause) {
        if let (Some(trace), Ok(header)) = (&mut self.trace, Header::read(datagram))
            && header.kind == PacketType::Data
        {
            let number = header.packet_number;
            trace.push((now, Seen::LostOnLink { number, cause }));
        }
    }

    /// Puts a datagram that arrived at the socket into the way back.
    pub fn receive(&mut self, now: Instant, path: Path, ecn: Ecn, datagram: &[u8]) {
        self.back.put(now, path.ip_size(datagram.len()), (path, ecn), datagram);
    }

    /// Sends what has come out of the way out.
    pub fn release_out(&mut self, now: Instant, udp: &Udp) {
        while let Some((path, ecn)) = self.out.take(now, &mut self.datagram) {
            udp.send(path, ecn, &self.datagram);
        }
    }

    /// The next received datagram that has come out of the way back.
    pub fn release_back(&mut self, now: Instant) -> Option<(Path, Ecn, &[u8])> {
        let (path, ecn) = self.back.take(now, &mut self.datagram)?;
        Some((path, ecn, &self.datagram))
    }

    /// Whether datagrams are still on their way out.
    #[must_use]
    pub fn holds_outgoing(&self) -> bool {
        self.out.next().is_some()
    }

    /// When the next datagram comes out.
    #[must_use]
    pub fn next_release(&self) -> Option<Instant> {
        earlier(self.out.next(), self.back.next())
    }

    /// What the link did; `found_damaged` datagrams were dropped behind it.
    #[must_use]
    pub fn counts(&self, found_damaged: u64) -> ImpairmentCounts {
        let [out, back] = [&self.out, &self.back].map(|line| line.link().counts());
        ImpairmentCounts { out, back, found_damaged }
    }

    /// What the link lost since the last call.
    pub fn take_trace(&mut self) -> Vec<(Instant, Seen)> {
        self.trace.as_mut().map(std::mem::take).unwrap_or_default()
    }
}
