//! How far a transfer is: a bar on a terminal, a plain line a minute elsewhere.

use super::bars::Bar;
use super::console::Console;
use crate::base::time::{Duration, Instant};
use crate::base::units::{Rate, show_duration, show_size};
use crate::os::clock::Clock;
use crate::transfer::session::{Phase, Progress};
use std::collections::VecDeque;

/// Where nobody watches, one line in this time.
const PLAIN_INTERVAL: Duration = Duration::from_secs(60);

/// "The last second" is this long.
const RECENT: Duration = Duration::from_secs(1);

/// One transfer's bar.
#[derive(Debug)]
pub struct Meter {
    console: Console,
    bar: Bar,
    clock: Clock,
    label: String,
    /// Whether the label stays below the bar.
    is_titled: bool,
    /// When how many bytes were there, for the last second.
    recent: VecDeque<(Instant, u64)>,
    next_plain: Instant,
}

impl Meter {
    /// A bar for the transfer called `label`.
    #[must_use]
    pub fn new(console: &Console, label: String) -> Self {
        let bar = console.bar();
        bar.show(&[vec![format!("{label}: connecting"), "connecting".into()]]);
        Self {
            console: console.clone(),
            bar,
            clock: Clock::start(),
            label,
            is_titled: false,
            recent: VecDeque::new(),
            next_plain: Instant::ZERO + PLAIN_INTERVAL,
        }
    }

    /// The same, with its label below the bar.
    #[must_use]
    pub fn titled(self) -> Self {
        Self { is_titled: true, ..self }
    }

    /// Shows how far the transfer is.
    pub fn update(&mut self, progress: &Progress) {
        let now = self.clock.now();
        self.recent.push_back((now, progress.done));
        while self.recent.front().is_some_and(|(at, _)| now.since(*at) > RECENT) {
            self.recent.pop_front();
        }
        if self.console.draws() {
            self.draw(now, progress);
        } else if now >= self.next_plain {
            self.next_plain = now + PLAIN_INTERVAL;
            let path = path(progress).map_or_else(String::new, |path| format!("  {}", path[0]));
            let text = &self.wordings(now, progress)[0];
            self.console.tell(&format!("{}: {text}{path}", self.label));
        }
    }

    fn draw(&self, now: Instant, progress: &Progress) {
        let texts = self.wordings(now, progress);
        let below = [path(progress), self.is_titled.then(|| vec![self.label.clone()])];
        let lines: Vec<_> = std::iter::once(texts).chain(below.into_iter().flatten()).collect();
        if matches!(progress.phase, Phase::Connecting | Phase::Planning) {
            self.bar.show(&lines);
        } else {
            self.bar.show_portion(progress.done, progress.total, &lines);
        }
    }

    /// How far it is, the longest wording first: rate and time left stay until the last.
    fn wordings(&self, now: Instant, progress: &Progress) -> Vec<String> {
        let Progress { done, total, .. } = progress;
        let so_far = show_size(*done);
        match progress.phase {
            Phase::Connecting => return vec!["connecting".into()],
            Phase::Planning => return vec!["finding out what would be done".into()],
            Phase::Committing => {
                return vec![format!("{so_far} there; verifying and storing"), "verifying".into()];
            }
            Phase::Transferring => {}
        }
        let average = Rate::of(*done, now.since(Instant::ZERO));
        let recent = self.recent_rate();
        let of = format!("{so_far} of {}", show_size(*total));
        if !progress.is_total_known {
            return vec![
                format!("{of} and more  {recent} (avg {average})"),
                format!("{so_far}  {recent}"),
            ];
        }
        let percent = done * 100 / (*total).max(1);
        let left = format!("{} left", show_left(total.saturating_sub(*done), average));
        vec![
            format!("{percent}%  {of}  {recent} (avg {average})  {left}"),
            format!("{percent}%  {of}  {recent}  {left}"),
            format!("{percent}%  {recent}  {left}"),
            format!("{recent}  {left}"),
            left,
        ]
    }

    fn recent_rate(&self) -> Rate {
        let (Some((from, before)), Some((to, after))) = (self.recent.front(), self.recent.back())
        else {
            return Rate::of(0, Duration::ZERO);
        };
        Rate::of(after.saturating_sub(*before), to.since(*from))
    }
}

/// Bytes that come in, of which nobody knows how many there will be.
#[derive(Debug)]
pub struct Gauge {
    console: Console,
    bar: Bar,
    clock: Clock,
    label: String,
    next_plain: Instant,
}

impl Gauge {
    /// A bar for what is called `label`.
    #[must_use]
    pub fn new(console: &Console, label: String) -> Self {
        let bar = console.bar();
        let next_plain = Instant::ZERO + PLAIN_INTERVAL;
        Self { console: console.clone(), bar, clock: Clock::start(), label, next_plain }
    }

    /// Shows how many there are.
    pub fn update(&mut self, bytes: u64) {
        let now = self.clock.now();
        let line = || {
            let average = Rate::of(bytes, now.since(Instant::ZERO));
            format!("{}: {} so far (avg {average})", self.label, show_size(bytes))
        };
        if self.console.draws() {
            self.bar.show(&[vec![line(), show_size(bytes)]]);
        } else if now >= self.next_plain {
            self.console.tell(&line());
            self.next_plain = now + PLAIN_INTERVAL;
        }
    }
}

/// What is known of the path, at the sender of a UDP transfer.
fn path(progress: &Progress) -> Option<Vec<String>> {
    let stats = progress.stats.filter(|stats| stats.data_packets_sent > 0)?;
    let rtt = show_duration(stats.smoothed_rtt);
    let (loss, again) = (stats.observed_loss(), stats.retransmissions);
    let short = format!("RTT {rtt}  loss {loss}");
    Some(vec![format!("{short}  {again} packets sent again"), short])
}

fn show_left(bytes: u64, rate: Rate) -> String {
    if rate.bits_per_second() == 0 {
        return "?".into();
    }
    let seconds = bytes as f64 / rate.bytes_per_second();
    Duration::try_from_secs_f64(seconds.ceil()).map_or_else(|_| "?".into(), show_duration)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::stats::Stats;

    #[test]
    fn the_line_says_what_is_known() {
        let meter = Meter::new(&Console::new(true), "a.bin".into());
        let stats = Stats {
            data_packets_sent: 10,
            retransmissions: 1,
            packets_lost: 1,
            packets_acked: 9,
            smoothed_rtt: Duration::from_millis(50),
            ..Stats::default()
        };
        let progress = Progress {
            phase: Phase::Transferring,
            done: 512 << 10,
            total: 1 << 20,
            is_total_known: true,
            stats: Some(stats),
        };
        let lines = |progress| meter.wordings(Instant::from_nanos(1_000_000_000), progress);
        assert_eq!(
            lines(&progress)[0],
            "50%  512 KiB of 1 MiB  0 bit/s (avg 4.19 Mbit/s)  1 s left"
        );
        let growing = Progress { is_total_known: false, ..progress };
        assert_eq!(lines(&growing)[0], "512 KiB of 1 MiB and more  0 bit/s (avg 4.19 Mbit/s)");
        let path = path(&progress).expect("a sender over UDP");
        assert_eq!(path, ["RTT 50 ms  loss 10 %  1 packets sent again", "RTT 50 ms  loss 10 %"]);
    }

    #[test]
    fn rate_and_time_left_stay_where_a_terminal_is_narrow() {
        let meter = Meter::new(&Console::new(true), "a.bin".into());
        let progress = Progress {
            phase: Phase::Transferring,
            done: 40_000_000,
            total: 300_000_000,
            is_total_known: true,
            stats: None,
        };
        let wordings = meter.wordings(Instant::from_nanos(20_000_000_000), &progress);
        let widths: Vec<usize> = wordings.iter().map(|text| text.chars().count()).collect();
        assert!(widths.is_sorted_by(|one, other| one > other), "{wordings:?}");
        assert!(wordings.iter().all(|text| text.ends_with(" left")), "{wordings:?}");
        assert!(widths.iter().any(|width| (20..=26).contains(width)), "{wordings:?}");
    }

    #[test]
    fn nothing_is_promised_while_nothing_moves() {
        assert_eq!(show_left(5, Rate::from_bits_per_second(0)), "?");
        assert_eq!(show_left(1_000_000, Rate::from_bits_per_second(8_000_000)), "1 s");
    }
}
