//! What kept the sender from sending more, by time (as the kernel's TCP does in `tcp_info`: busy time, time
//! limited by the receiver's window, time limited by the send buffer).

use crate::base::time::{Duration, Instant};
use crate::base::units::Share;

/// What keeps the sender from sending more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// The pacer waits, or the last bytes are on their way.
    Path,
    /// The congestion window is full.
    Window,
    /// The receiver gives no credit: its disk is behind.
    Receiver,
    /// All that may go has arrived: the receiver has to accept, verify or store.
    Answers,
    /// Bytes are being read.
    Source,
    /// The rate that a user asked for, or allows at most.
    AskedRate,
    /// Nothing: it sends.
    Sending,
}

impl Limit {
    const ALL: [Self; 7] = [
        Self::Path,
        Self::Window,
        Self::Receiver,
        Self::Answers,
        Self::Source,
        Self::AskedRate,
        Self::Sending,
    ];
}

/// How long each limit held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimitTimes {
    nanos: [u64; Limit::ALL.len()],
}

impl LimitTimes {
    /// How long that one held.
    #[must_use]
    pub fn of(&self, limit: Limit) -> Duration {
        Duration::from_nanos(self.nanos[limit as usize])
    }

    /// The one that held longest, and its share of the time; none where nothing was ever to send.
    #[must_use]
    pub fn longest(&self) -> Option<(Limit, Share)> {
        let total: u64 = self.nanos.iter().sum();
        let limit = Limit::ALL.into_iter().max_by_key(|limit| self.of(*limit))?;
        (total > 0).then(|| (limit, Share::of(self.nanos[limit as usize], total)))
    }

    /// Takes note that `limit` held for so long.
    pub fn add(&mut self, limit: Limit, span: Duration) {
        let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        let held = &mut self.nanos[limit as usize];
        *held = held.saturating_add(nanos);
    }
}

/// The limit that holds now, and how long each held before.
#[derive(Clone, Debug, Default)]
pub struct LimitClock {
    now: Option<(Instant, Limit)>,
    times: LimitTimes,
}

impl LimitClock {
    /// From now on it is this one.
    pub fn enter(&mut self, now: Instant, limit: Limit) {
        let (since, before) = self.now.unwrap_or((now, limit));
        if before != limit {
            self.times.add(before, now.since(since));
        }
        if before != limit || self.now.is_none() {
            self.now = Some((now, limit));
        }
    }

    /// How long each held until it was followed by another.
    #[must_use]
    pub fn times(&self) -> LimitTimes {
        self.times
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_nanos(ms * 1_000_000)
    }

    #[test]
    fn time_goes_to_what_held_until_then() {
        let mut clock = LimitClock::default();
        assert_eq!(clock.times().longest(), None);
        clock.enter(at(5), Limit::Path);
        clock.enter(at(25), Limit::Path);
        clock.enter(at(35), Limit::Source);
        clock.enter(at(45), Limit::Path);
        let times = clock.times();
        let spans = [Limit::Path, Limit::Source, Limit::Receiver].map(|limit| times.of(limit));
        assert_eq!(spans, [30, 10, 0].map(Duration::from_millis));
        assert_eq!(times.longest(), Some((Limit::Path, Share::new(0.75))));
    }
}
