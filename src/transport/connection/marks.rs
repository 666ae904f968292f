//! Marks of congestion: which packets go with them, and what comes of those that met it.

use super::Connection;
use crate::base::time::Instant;
use crate::transport::congestion::MarkSample;
use crate::transport::loss::Acked;
use crate::transport::trace::TraceEvent;
use crate::wire::frame::Marks;

impl Connection {
    /// Begins to test whether the path carries marks, if anybody here answers them: a fixed rate does not, nor
    /// does a classic strategy.
    pub(super) fn test_marking(&mut self) {
        if self.frames.is_none() && self.congestion.answers_marks() {
            self.marking.test(self.sent.next_number());
        }
    }

    /// The newest acknowledgement says what the peer has counted. RFC 9002 7.1 takes the newest packet that it
    /// acknowledges for a marked one; here it is the oldest: one that came of what was answered already
    /// would be answered twice.
    pub(super) fn on_marks(&mut self, now: Instant, counts: Marks, acked: &Acked) {
        let packets = self.marking.on_counts(counts);
        let sent_at = acked.packets.iter().map(|packet| packet.sent_at).min().unwrap_or(now);
        if packets > 0 && self.paths.is_current(sent_at) {
            self.trace.record(now, || TraceEvent::Marked { packets });
            self.congestion.on_mark(&MarkSample { now, sent_at, rtt: &self.rtt });
        }
    }
}
