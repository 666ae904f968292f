//! Flow control: how far the receiver lets the sender go (RFC 9000 4).
//!
//! The credit is an offset. Below it lie, missing or not yet written, no more bytes than the
//! allowance: a fixed backlog, and twice what the sink drains in a round trip. A slow disk thus
//! shrinks the allowance to the backlog, a fast path over a long distance widens it as it speeds up.

use super::config::CREDIT_BACKLOG;
use crate::base::time::{Duration, Instant};

/// The drain rate is measured over spans of this length, at the least.
const SPAN: Duration = Duration::from_millis(50);

/// The receiver's half: computes the allowance, and remembers the credit that was announced.
#[derive(Clone, Debug)]
pub struct CreditGrant {
    announced: u64,
    span_start: Instant,
    span_written: u64,
    /// Bytes per second.
    drain_rate: f64,
    /// Bytes that may be on their way or waiting for the disk.
    allowance: u64,
}

impl CreditGrant {
    /// A grant of the backlog.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            announced: 0,
            span_start: now,
            span_written: 0,
            drain_rate: 0.0,
            allowance: CREDIT_BACKLOG,
        }
    }

    /// Bytes that may be on their way or waiting for the disk.
    #[must_use]
    pub fn allowance(&self) -> u64 {
        self.allowance
    }

    /// Takes note of what the sink has written so far.
    pub fn on_written(&mut self, now: Instant, written: u64, round_trip: Duration) {
        let elapsed = now.since(self.span_start);
        if elapsed < SPAN.max(round_trip / 2) {
            return;
        }
        let drained = written.saturating_sub(self.span_written);
        self.drain_rate = drained as f64 / elapsed.as_secs_f64();
        (self.span_start, self.span_written) = (now, written);
        let beyond = 2.0 * round_trip.as_secs_f64() * self.drain_rate;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "positive, and a float cast saturates"
        )]
        let allowance = CREDIT_BACKLOG.saturating_add(beyond as u64);
        self.allowance = allowance;
    }

    /// The credit to announce, if it is not the one announced last.
    pub fn news(&mut self, limit: u64) -> Option<u64> {
        let is_news = limit != self.announced;
        self.announced = limit;
        is_news.then_some(limit)
    }

    /// Announce again: the peer may have missed it.
    pub fn repeat(&mut self) {
        self.announced = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gigabit_over_600_ms_does_not_starve() {
        let round_trip = Duration::from_millis(600);
        let mut grant = CreditGrant::new(Instant::ZERO);
        let bdp = 75_000_000u64;
        let mut now = Instant::ZERO;
        let mut written = 0;
        for _ in 0..30 {
            now += Duration::from_millis(100);
            written += 12_500_000;
            grant.on_written(now, written, round_trip);
        }
        assert!(grant.allowance() > 2 * bdp);
    }

    #[test]
    fn a_disk_that_stalls_gets_the_backlog_and_no_more() {
        let mut grant = CreditGrant::new(Instant::ZERO);
        for ms in 0..1_000 {
            grant.on_written(Instant::from_nanos(ms * 1_000_000), 1_000, Duration::from_millis(50));
        }
        assert_eq!(grant.allowance(), CREDIT_BACKLOG);
    }

    #[test]
    fn news_are_told_once_unless_repeated() {
        let mut grant = CreditGrant::new(Instant::ZERO);
        assert_eq!(grant.news(CREDIT_BACKLOG), Some(CREDIT_BACKLOG));
        assert_eq!(grant.news(CREDIT_BACKLOG), None);
        grant.repeat();
        assert_eq!(grant.news(CREDIT_BACKLOG), Some(CREDIT_BACKLOG));
    }
}
