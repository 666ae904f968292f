//! What the user allows at most (`--max-rate`), counted in bytes of IP packets as a line carries them.

use super::batch::Batch;
use super::pacer::Pacer;
use crate::base::time::Instant;
use crate::base::units::Rate;

/// Bytes of IPv4 and UDP headers that a line carries with each datagram.
pub const IP_AND_UDP: usize = 28;

/// Lets datagrams go at a rate, whatever the controller would allow.
#[derive(Clone, Debug)]
pub struct RateLimit {
    /// Bytes per second.
    rate: f64,
    pacer: Pacer,
}

impl RateLimit {
    /// At most `rate`, from now on.
    #[must_use]
    pub fn new(now: Instant, rate: Rate) -> Self {
        Self { rate: rate.bytes_per_second(), pacer: Pacer::new(now, 0) }
    }

    /// How many datagrams of `size` bytes may go now; or when to ask again.
    ///
    /// # Errors
    /// The moment at which some may go.
    pub fn allowance(&mut self, now: Instant, size: usize) -> Result<usize, Instant> {
        let packet = (size + IP_AND_UDP) as u64;
        let bytes = self.pacer.allowance(now, self.rate, packet)?;
        Ok(usize::try_from(bytes / packet).unwrap_or(usize::MAX))
    }

    /// These datagrams go.
    pub fn on_sent(&mut self, batch: &Batch) {
        let headers = batch.datagrams().count() * IP_AND_UDP;
        self.pacer.on_sent((batch.bytes().len() + headers) as u64);
    }
}
