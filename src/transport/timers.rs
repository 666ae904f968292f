//! The deadlines of a connection.

use crate::base::time::Instant;

/// What a deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// The next copy of CLOSE is due.
    Close,
    /// A frame of a classic strategy has waited for its acknowledgement long enough.
    Frame,
    /// A HAVE frame is due.
    Have,
    /// The next HELLO is due.
    Hello,
    /// The peer has been silent for too long.
    Idle,
    /// We have been silent for too long.
    KeepAlive,
    /// The oldest overtaken packet counts as lost.
    Loss,
    /// The MTU probe counts as lost.
    MtuProbe,
    /// The pacer lets the next packet go.
    Pace,
    /// The next challenge to a new path is due, or the path is given up.
    Path,
    /// Nothing was acknowledged for too long.
    Pto,
}

impl Timer {
    const ALL: [Self; 11] = [
        Self::Close,
        Self::Frame,
        Self::Have,
        Self::Hello,
        Self::Idle,
        Self::KeepAlive,
        Self::Loss,
        Self::MtuProbe,
        Self::Pace,
        Self::Path,
        Self::Pto,
    ];
}

/// One optional deadline for each [`Timer`].
#[derive(Clone, Debug, Default)]
pub struct Timers {
    deadlines: [Option<Instant>; Timer::ALL.len()],
    /// The earliest of them: it is asked for far more often than it changes.
    next: Option<Instant>,
}

impl Timers {
    /// Arms `timer`, or disarms it with `None`.
    pub fn set(&mut self, timer: Timer, deadline: Option<Instant>) {
        let before = std::mem::replace(&mut self.deadlines[timer as usize], deadline);
        if let Some(at) = deadline
            && self.next.is_none_or(|next| at <= next)
        {
            self.next = deadline;
        } else if before == self.next {
            self.next = self.deadlines.iter().flatten().min().copied();
        }
    }

    /// When `timer` is due.
    #[must_use]
    pub fn get(&self, timer: Timer) -> Option<Instant> {
        self.deadlines[timer as usize]
    }

    /// Disarms everything.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// The earliest deadline.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.next
    }

    /// Disarms and returns one timer that is due at `now`.
    pub fn expire(&mut self, now: Instant) -> Option<Timer> {
        self.next.filter(|next| *next <= now)?;
        let due =
            Timer::ALL.into_iter().find(|timer| self.get(*timer).is_some_and(|at| at <= now))?;
        self.set(due, None);
        Some(due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::Xoshiro256PlusPlus;
    use rand::{RngExt, SeedableRng};

    #[test]
    fn each_due_timer_fires_once() {
        let mut timers = Timers::default();
        timers.set(Timer::Pto, Some(Instant::from_nanos(5)));
        timers.set(Timer::Loss, Some(Instant::from_nanos(3)));
        timers.set(Timer::Idle, Some(Instant::from_nanos(9)));
        assert_eq!(timers.next(), Some(Instant::from_nanos(3)));
        assert_eq!(timers.expire(Instant::from_nanos(6)), Some(Timer::Loss));
        assert_eq!(timers.expire(Instant::from_nanos(6)), Some(Timer::Pto));
        assert_eq!(timers.expire(Instant::from_nanos(6)), None);
        assert_eq!(timers.next(), Some(Instant::from_nanos(9)));
    }

    #[test]
    fn the_earliest_deadline_is_known_whichever_changes() {
        let mut timers = Timers::default();
        let mut draws = Xoshiro256PlusPlus::seed_from_u64(1);
        for _ in 0..10_000 {
            let timer = Timer::ALL[draws.random_range(0..Timer::ALL.len())];
            let at = draws.random_range(0..20u64);
            timers.set(timer, (at > 0).then(|| Instant::from_nanos(at)));
            let least = Timer::ALL.into_iter().filter_map(|timer| timers.get(timer)).min();
            assert_eq!(timers.next(), least);
        }
    }

    #[test]
    fn every_timer_has_its_own_place() {
        for (index, timer) in Timer::ALL.into_iter().enumerate() {
            assert_eq!(timer as usize, index);
        }
    }
}
