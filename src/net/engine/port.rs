//! Where datagrams leave and arrive: the socket, and the imperfect link in front of it if there is one.

use crate::base::ecn::Ecn;
use crate::base::time::{Duration, Instant};
use crate::net::impair::ImpairedLink;
use crate::net::refusal::Refusal;
use crate::net::udp::{Path, ReceiveBuffers, Udp};
use crate::net::{ImpairmentCounts, Seen};
use crate::os::wait::Waiter;
use crate::transport::batch::Batch;
use std::io;

/// A full send buffer is waited for this long; what does not fit then is lost, as any datagram may be.
const WAIT_MAX: Duration = Duration::from_millis(20);

/// Refusals in one turn, for anybody can send them.
const REFUSALS_MAX: usize = 256;

/// A socket behind a link.
#[derive(Debug)]
pub(super) struct Port {
    pub(super) udp: Udp,
    link: Option<ImpairedLink>,
    buffers: ReceiveBuffers,
}

impl Port {
    pub(super) fn new(udp: Udp, link: Option<ImpairedLink>) -> Self {
        Self { udp, link, buffers: ReceiveBuffers::default() }
    }

    /// Sends the datagrams of a batch.
    pub(super) fn send_batch(&mut self, now: Instant, path: Path, batch: &Batch) {
        if let Some(link) = &mut self.link {
            for datagram in batch.datagrams() {
                link.send(now, path, batch.ecn(), datagram);
            }
            link.release_out(now, &self.udp);
        } else if self.udp.send_batch(path, batch).is_err()
            && Waiter::wait_writable(self.udp.socket(), WAIT_MAX).is_ok()
        {
            let _ = self.udp.send_batch(path, batch);
        }
    }

    /// Sends one datagram that takes no marks.
    pub(super) fn send(&mut self, now: Instant, path: Path, datagram: &[u8]) {
        match &mut self.link {
            Some(link) => {
                link.send(now, path, Ecn::NotEct, datagram);
                link.release_out(now, &self.udp);
            }
            None => self.udp.send(path, Ecn::NotEct, datagram),
        }
    }

    /// Passes on what has arrived, up to the size of the buffers, or puts it into the link; true if more
    /// may be there.
    ///
    /// # Errors
    /// The socket does not work any more.
    pub(super) fn receive(
        &mut self,
        now: Instant,
        mut each: impl FnMut(Path, Ecn, &[u8]),
    ) -> io::Result<bool> {
        let Self { udp, link, buffers } = self;
        buffers.receive(udp, |path, ecn, _, datagram| match link {
            Some(link) => link.receive(now, path, ecn, datagram),
            None => each(path, ecn, datagram),
        })
    }

    /// Passes on which of our datagrams were refused.
    pub(super) fn take_refusals(&self, mut each: impl FnMut(&Refusal)) {
        for _ in 0..REFUSALS_MAX {
            match self.udp.poll_refusal() {
                Some(refusal) => refusal.iter().for_each(&mut each),
                None => break,
            }
        }
    }

    /// Sends and passes on what the link has delayed for long enough.
    pub(super) fn release(&mut self, now: Instant, mut each: impl FnMut(Path, Ecn, &[u8])) {
        let Some(link) = &mut self.link else { return };
        link.release_out(now, &self.udp);
        while let Some((path, ecn, datagram)) = link.release_back(now) {
            each(path, ecn, datagram);
        }
    }

    /// Whether datagrams on their way out are still in the link.
    pub(super) fn holds_outgoing(&self) -> bool {
        self.link.as_ref().is_some_and(ImpairedLink::holds_outgoing)
    }

    /// When the link delivers the next delayed datagram.
    pub(super) fn next_release(&self) -> Option<Instant> {
        self.link.as_ref().and_then(ImpairedLink::next_release)
    }

    /// What the link did, if there is one; `found_damaged` is what was made of that.
    pub(super) fn counts(&self, found_damaged: u64) -> Option<ImpairmentCounts> {
        self.link.as_ref().map(|link| link.counts(found_damaged))
    }

    /// What the link lost since the last call, if that is recorded.
    pub(super) fn take_trace(&mut self) -> Vec<(Instant, Seen)> {
        self.link.as_mut().map(ImpairedLink::take_trace).unwrap_or_default()
    }
}
