//! How far a transfer is: a bar on a terminal, a plain line a minute elsewhere.

use super::console::Console;
use crate::base::time::{Duration, Instant};
use crate::base::units::{Rate, show_duration, show_size};
use crate::os::clock::Clock;
use crate::transfer::session::{Phase, Progress};
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::VecDeque;

/// Where nobody watches, one line in this time.
const PLAIN_INTERVAL: Duration = Duration::from_secs(60);

/// "The last second" is this long.
const RECENT: Duration = Duration::from_secs(1);

/// One transfer's bar.
#[derive(Debug)]
pub struct Meter {
    console: Console,
    bar: ProgressBar,
    clock: Clock,
    label: String,
    /// When how many bytes were there, for the last second.
    recent: VecDeque<(Instant, u64)>,
    next_plain: Instant,
}

impl Meter {
    /// A bar for the transfer called `label`.
    #[must_use]
    pub fn new(console: &Console, label: String) -> Self {
        let bar = console.bars().add(ProgressBar::no_length());
        let style = ProgressStyle::with_template("{spinner} {wide_msg}");
        bar.set_style(style.expect("a fixed template"));
        bar.set_message(format!("{label}: connecting"));
        Self {
            console: console.clone(),
            bar,
            clock: Clock::start(),
            label,
            recent: VecDeque::new(),
            next_plain: Instant::ZERO + PLAIN_INTERVAL,
        }
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
            let path = path(progress).map_or_else(String::new, |path| format!("  {path}"));
            self.console.tell(&format!("{}: {}{path}", self.label, self.line(now, progress)));
        }
    }

    /// Takes the bar away.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
        self.console.bars().remove(&self.bar);
    }

    fn draw(&self, now: Instant, progress: &Progress) {
        let has_bar = !matches!(progress.phase, Phase::Connecting | Phase::Planning);
        if has_bar && self.bar.length() != Some(progress.total) {
            self.bar.set_length(progress.total);
            let style = ProgressStyle::with_template("{bar:12} {wide_msg}{prefix}");
            self.bar.set_style(style.expect("a fixed template"));
        }
        self.bar.set_position(progress.done.min(progress.total));
        self.bar.set_message(self.line(now, progress));
        self.bar.set_prefix(path(progress).map_or_else(String::new, |path| format!("\n{path}")));
        self.bar.tick();
    }

    fn line(&self, now: Instant, progress: &Progress) -> String {
        match progress.phase {
            Phase::Connecting => "connecting".into(),
            Phase::Planning => "finding out what would be done".into(),
            Phase::Committing => {
                format!("{} there; verifying and storing", show_size(progress.done))
            }
            Phase::Transferring => self.transferring(now, progress),
        }
    }

    fn transferring(&self, now: Instant, progress: &Progress) -> String {
        let Progress { done, total, .. } = progress;
        let average = Rate::of(*done, now.since(Instant::ZERO));
        if !progress.is_total_known {
            return format!(
                "{} of {} and more  {} (avg {average})",
                show_size(*done),
                show_size(*total),
                self.recent_rate(),
            );
        }
        format!(
            "{}%  {} of {}  {} (avg {average})  {} left",
            done * 100 / (*total).max(1),
            show_size(*done),
            show_size(*total),
            self.recent_rate(),
            show_left(total.saturating_sub(*done), average),
        )
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
    bar: ProgressBar,
    clock: Clock,
    label: String,
    next_plain: Instant,
}

impl Gauge {
    /// A bar for what is called `label`.
    #[must_use]
    pub fn new(console: &Console, label: String) -> Self {
        let bar = console.bars().add(ProgressBar::no_length());
        let style = ProgressStyle::with_template("{spinner} {wide_msg}");
        bar.set_style(style.expect("a fixed template"));
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
            self.bar.set_message(line());
            self.bar.tick();
        } else if now >= self.next_plain {
            self.console.tell(&line());
            self.next_plain = now + PLAIN_INTERVAL;
        }
    }
}

impl Drop for Gauge {
    /// Takes the bar away.
    fn drop(&mut self) {
        self.bar.finish_and_clear();
        self.console.bars().remove(&self.bar);
    }
}

/// What is known of the path, at the sender of a UDP transfer.
fn path(progress: &Progress) -> Option<String> {
    let stats = progress.stats.filter(|stats| stats.data_packets_sent > 0)?;
    let rtt = show_duration(stats.smoothed_rtt);
    let (loss, again) = (stats.observed_loss(), stats.retransmissions);
    Some(format!("RTT {rtt}  loss {loss}  {again} packets sent again"))
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
        let line = meter.line(Instant::from_nanos(1_000_000_000), &progress);
        assert_eq!(line, "50%  512 KiB of 1 MiB  0 bit/s (avg 4.19 Mbit/s)  1 s left");
        let growing = Progress { is_total_known: false, ..progress };
        let line = meter.line(Instant::from_nanos(1_000_000_000), &growing);
        assert_eq!(line, "512 KiB of 1 MiB and more  0 bit/s (avg 4.19 Mbit/s)");
        assert_eq!(path(&progress).as_deref(), Some("RTT 50 ms  loss 10 %  1 packets sent again"));
    }

    #[test]
    fn nothing_is_promised_while_nothing_moves() {
        assert_eq!(show_left(5, Rate::from_bits_per_second(0)), "?");
        assert_eq!(show_left(1_000_000, Rate::from_bits_per_second(8_000_000)), "1 s");
    }
}
