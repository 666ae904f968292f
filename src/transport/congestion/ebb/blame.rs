//! Whose loss it is: how much the path loses whatever its queue holds, and how sure that is.

/// New packets count as much as this many earlier ones.
const MEMORY_PACKETS: f64 = 400.0;

/// A path that loses more than this is not believed to do so by itself.
const SHARE_MAX: f64 = 0.5;

/// The path's own loss.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Blame {
    share: f64,
    /// How much intervals of an unloaded path differ from that beyond chance, as a variance of the share.
    spread: f64,
}

impl Blame {
    /// The share of packets that the path loses whoever sends.
    pub(super) fn share(&self) -> f64 {
        self.share
    }

    /// What start-up showed.
    pub(super) fn begin(&mut self, share: f64) {
        self.share = share.min(SHARE_MAX);
    }

    /// So many packets went by a queue that was not full, and this share of them was lost.
    pub(super) fn learn(&mut self, loss: f64, packets: f64) {
        let weight = packets / (packets + MEMORY_PACKETS);
        let off = loss - self.share;
        self.spread += weight * (off * off - self.spread);
        self.share = (self.share + weight * off).min(SHARE_MAX);
    }

    /// The queue was as empty as we can make it, and this was lost of so many packets: the path does not
    /// lose more by itself.
    pub(super) fn bound(&mut self, loss: f64, packets: f64) {
        self.share = self.share.min(loss + 2.0 * self.deviation(packets));
    }

    /// By how much `packets` may lose more or less of themselves by chance.
    pub(super) fn deviation(&self, packets: f64) -> f64 {
        let packets = packets.max(1.0);
        let binomial = self.share.max(1.0 / packets) * (1.0 - self.share) / packets;
        binomial.max(self.spread).sqrt()
    }

    /// What of a loss the path does not explain, as a share of what passes it.
    pub(super) fn excess(&self, loss: f64) -> f64 {
        (loss - self.share) / (1.0 - self.share).max(0.1)
    }
}
