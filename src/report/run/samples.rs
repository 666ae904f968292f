//! What was known of a run at moments that are at least some time apart.

use super::Bounds;
use crate::base::time::{Duration, Instant};
use crate::base::units::Rate;

/// The goodput of a run is an average over this part of its time, or longer where little was sampled.
const WINDOWS: usize = 60;

/// One moment of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// When.
    pub at: Instant,
    /// File bytes known to have arrived.
    pub delivered: u64,
    /// What the sender thinks of the path, where it is known.
    pub path: Option<Path>,
}

/// What a sender thinks of the path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Path {
    /// Bytes that may be in flight, if a congestion controller says so.
    pub congestion_window: Option<u64>,
    /// Bytes in flight.
    pub bytes_in_flight: u64,
    /// Smoothed round-trip time; zero before the first measurement.
    pub smoothed_rtt: Duration,
}

/// The moments of a run, at least some time apart.
#[derive(Clone, Debug)]
pub struct Samples {
    max: usize,
    apart: Duration,
    kept: Vec<Sample>,
    /// The newest one, if it is too close to the last one kept.
    latest: Option<Sample>,
}

impl Samples {
    /// None yet.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self { max: bounds.samples, apart: Duration::ZERO, kept: Vec::new(), latest: None }
    }

    /// Takes the next sample. Time does not go back, and what has arrived stays there.
    pub fn push(&mut self, mut sample: Sample) {
        if let Some(before) = self.latest.as_ref().or(self.kept.last()) {
            sample.at = sample.at.max(before.at);
            sample.delivered = sample.delivered.max(before.delivered);
        }
        let is_close = self.kept.last().is_some_and(|last| sample.at.since(last.at) < self.apart);
        if is_close {
            self.latest = Some(sample);
            return;
        }
        self.latest = None;
        self.kept.push(sample);
        if self.kept.len() > self.max {
            self.thin(sample.at);
        }
    }

    /// The samples kept, and the newest one.
    pub fn iter(&self) -> impl Iterator<Item = Sample> {
        self.kept.iter().chain(&self.latest).copied()
    }

    /// Nothing was sampled.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// The goodput of a run that took `elapsed`: the middle of each window, and the rate within it.
    #[must_use]
    pub fn goodput(&self, elapsed: Duration) -> Vec<(Instant, Rate)> {
        let windows = (self.kept.len() / 2).clamp(1, WINDOWS);
        let window = elapsed / u32::try_from(windows).expect("few windows");
        let samples: Vec<Sample> = self.iter().collect();
        let mut before = 0;
        let ends = (1..).map(|end| Instant::ZERO + window * end).take(windows);
        ends.map(|end| {
            let delivered = delivered_at(&samples, end);
            let rate = Rate::of(delivered - before, window);
            before = delivered;
            (end - window / 2, rate)
        })
        .collect()
    }

    fn thin(&mut self, now: Instant) {
        let wanted = u32::try_from(self.max / 2).expect("few samples");
        self.apart = now.since(Instant::ZERO) / wanted.max(1);
        let mut last: Option<Instant> = None;
        let apart = self.apart;
        self.kept.retain(|sample| {
            let is_apart = last.is_none_or(|last| sample.at.since(last) >= apart);
            if is_apart {
                last = Some(sample.at);
            }
            is_apart
        });
    }
}

/// Bytes delivered at a moment, on the straight line between the samples around it.
fn delivered_at(samples: &[Sample], at: Instant) -> u64 {
    let place = samples.partition_point(|sample| sample.at <= at);
    let before = place.checked_sub(1).map_or(Sample::default(), |place| samples[place]);
    let Some(after) = samples.get(place) else { return before.delivered };
    let part = at.since(before.at).as_secs_f64() / after.at.since(before.at).as_secs_f64();
    let gain = (after.delivered - before.delivered) as f64 * part;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a part of a number of bytes"
    )]
    let gain = gain as u64;
    before.delivered + gain
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::run::Report;

    fn sample(ms: u64, delivered: u64) -> Sample {
        Sample { at: Instant::from_nanos(ms * 1_000_000), delivered, path: None }
    }

    #[test]
    fn however_much_is_sampled_a_bounded_part_is_kept_and_the_newest() {
        let bounds = Report::bounds(1);
        let mut samples = Samples::new(bounds);
        for ms in 0..1_000_000 {
            samples.push(sample(ms, ms * 1000));
        }
        let kept: Vec<Sample> = samples.iter().collect();
        assert!((bounds.samples / 4..=bounds.samples + 1).contains(&kept.len()), "{}", kept.len());
        assert_eq!(kept.last(), Some(&sample(999_999, 999_999_000)));
        // The curve is the same as with all of them: 1 MB/s.
        for (at, rate) in samples.goodput(Duration::from_secs(1000)) {
            let bits = rate.bits_per_second();
            assert!((7_990_000..=8_010_000).contains(&bits), "{bits} bit/s at {at}");
        }
    }

    #[test]
    fn the_windows_hold_all_bytes_and_none_twice() {
        let mut samples = Samples::new(Report::bounds(1));
        for (ms, delivered) in [(100, 0), (150, 700), (400, 100), (800, 9000), (1000, 10_000)] {
            samples.push(sample(ms, delivered));
        }
        let windows = samples.goodput(Duration::from_secs(1));
        let rates = windows.iter().map(|(_, rate)| rate.bytes_per_second());
        let total: f64 = rates.map(|rate| rate / windows.len() as f64).sum();
        assert_eq!((windows.len(), total.round()), (2, 10_000.0), "{windows:?}");
    }

    #[test]
    fn nothing_sampled_is_no_goodput() {
        let windows = Samples::new(Report::bounds(1)).goodput(Duration::ZERO);
        assert!(windows.iter().all(|(_, rate)| rate.bits_per_second() == 0));
    }
}
