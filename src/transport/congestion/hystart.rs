//! HyStart++ (RFC 9406): leaves slow start when the delay grows, before the queue overflows.

use super::AckSample;
use crate::base::time::Duration;

// RFC 9406 4.3.
const MIN_RTT_THRESH: Duration = Duration::from_millis(4);
const MAX_RTT_THRESH: Duration = Duration::from_millis(16);
const MIN_RTT_DIVISOR: u32 = 8;
const N_RTT_SAMPLE: u32 = 8;
const CSS_ROUNDS: u32 = 5;

/// Slow start grows by this fraction of what was acknowledged in conservative slow start.
pub(super) const CSS_GROWTH_DIVISOR: u64 = 4;

/// How slow start goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Double each round.
    SlowStart,
    /// The delay grew: grow less, and see whether it stays.
    Conservative,
    /// The delay stayed: slow start is over.
    Over,
}

#[derive(Clone, Debug)]
pub(super) struct HyStart {
    phase: Phase,
    /// The round ends when this packet number is acknowledged.
    round_end: u64,
    round_min: Option<Duration>,
    last_round_min: Option<Duration>,
    samples: u32,
    /// The round minimum at which conservative slow start began.
    css_baseline: Duration,
    css_rounds: u32,
}

impl HyStart {
    pub(super) fn new() -> Self {
        Self {
            phase: Phase::SlowStart,
            round_end: 0,
            round_min: None,
            last_round_min: None,
            samples: 0,
            css_baseline: Duration::ZERO,
            css_rounds: 0,
        }
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    /// RFC 9406 4.2, for each acknowledgement in slow start.
    pub(super) fn on_ack(&mut self, sample: &AckSample<'_>) -> Phase {
        if sample.largest >= self.round_end {
            self.end_round(sample.next);
        }
        let latest = sample.rtt.latest();
        let round_min =
            *self.round_min.insert(self.round_min.map_or(latest, |min| min.min(latest)));
        self.samples += 1;
        if self.samples < N_RTT_SAMPLE {
            return self.phase;
        }
        match self.phase {
            Phase::SlowStart => {
                if self.last_round_min.is_some_and(|last| round_min >= last + threshold(last)) {
                    self.phase = Phase::Conservative;
                    self.css_baseline = round_min;
                    self.css_rounds = 0;
                }
            }
            Phase::Conservative if round_min < self.css_baseline => self.phase = Phase::SlowStart,
            Phase::Conservative | Phase::Over => {}
        }
        self.phase
    }

    fn end_round(&mut self, next: u64) {
        self.round_end = next;
        self.last_round_min = self.round_min.take();
        self.samples = 0;
        if self.phase == Phase::Conservative {
            self.css_rounds += 1;
            if self.css_rounds >= CSS_ROUNDS {
                self.phase = Phase::Over;
            }
        }
    }
}

fn threshold(last_round_min: Duration) -> Duration {
    (last_round_min / MIN_RTT_DIVISOR).clamp(MIN_RTT_THRESH, MAX_RTT_THRESH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::rtt::Rtt;

    /// Rounds of ten acknowledgements with the given RTT; the phase after each round.
    fn phases(round_rtts_ms: &[u64]) -> Vec<Phase> {
        let mut hystart = HyStart::new();
        let mut number = 0;
        let mut phases = Vec::new();
        for ms in round_rtts_ms {
            let mut phase = Phase::SlowStart;
            for _ in 0..10 {
                let mut rtt = Rtt::default();
                rtt.update(Duration::from_millis(*ms), Duration::ZERO);
                phase = hystart.on_ack(&AckSample {
                    largest: number,
                    next: number + 10,
                    ..AckSample::of_one(1200, &rtt)
                });
                number += 1;
            }
            phases.push(phase);
        }
        phases
    }

    #[test]
    fn a_steady_delay_keeps_slow_start() {
        assert_eq!(phases(&[50; 20]).last(), Some(&Phase::SlowStart));
    }

    #[test]
    fn a_grown_delay_ends_it_after_five_rounds() {
        let seen = phases(&[50, 50, 60, 60, 60, 60, 60, 60]);
        assert_eq!(seen[1..3], [Phase::SlowStart, Phase::Conservative]);
        assert_eq!(seen[7], Phase::Over);
    }

    #[test]
    fn a_passing_delay_resumes_it() {
        assert_eq!(phases(&[50, 50, 60, 52]).last(), Some(&Phase::SlowStart));
    }
}
