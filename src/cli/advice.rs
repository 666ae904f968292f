//! What a user should know while a transfer still runs.

use super::console::Console;
use crate::base::units::Share;
use crate::transport::config::CongestionChoice;
use crate::transport::limits::Limit;
use crate::transport::stats::Stats;

/// Of fewer packets, loss is not known well enough.
const PACKETS_MIN: u64 = 1_000;

/// From this loss on, cubic's window stays small on any path that is worth the words.
const LOSS_MIN: f64 = 0.002;

/// Without a queue, a round trip takes at most this much longer than the shortest.
const NO_QUEUE_FACTOR: f64 = 1.25;

/// Says once what a choice of the user's costs on this path.
#[derive(Debug)]
pub(super) struct Advice {
    is_due: bool,
}

impl Advice {
    /// Only the choice of cubic has something to be said about it.
    pub(super) fn new(congestion: CongestionChoice) -> Self {
        Self { is_due: congestion == CongestionChoice::Cubic }
    }

    /// Says it, once the path shows it.
    pub(super) fn consider(&mut self, console: &Console, stats: Option<&Stats>) {
        if let Some(loss) = stats.filter(|_| self.is_due).and_then(loss_without_queue) {
            self.is_due = false;
            console.tell(&format!(
                "cubic takes every lost packet for a full queue and slows down: {loss} are lost here without \
                 one; ebb, the default, is not slowed down by that"
            ));
        }
    }
}

/// The loss of a path that holds the sender back and shows no queue.
fn loss_without_queue(stats: &Stats) -> Option<Share> {
    let loss = stats.observed_loss();
    let longest = stats.limits.longest().map(|(limit, _)| limit);
    let is_path = matches!(longest, Some(Limit::Window | Limit::Path));
    let has_queue = stats.smoothed_rtt > stats.min_rtt.mul_f64(NO_QUEUE_FACTOR);
    let is_known = stats.packets_acked + stats.packets_lost >= PACKETS_MIN;
    (is_path && is_known && !has_queue && loss.get() >= LOSS_MIN).then_some(loss)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::Duration;

    fn stats() -> Stats {
        let mut stats = Stats {
            packets_acked: 990,
            packets_lost: 10,
            smoothed_rtt: Duration::from_millis(51),
            min_rtt: Duration::from_millis(50),
            ..Stats::default()
        };
        stats.limits.add(Limit::Window, Duration::from_secs(1));
        stats
    }

    #[test]
    fn only_loss_without_a_queue_that_holds_the_sender_back_counts() {
        assert_eq!(loss_without_queue(&stats()), Some(Share::new(0.01)));
        let queue = Stats { smoothed_rtt: Duration::from_millis(80), ..stats() };
        let clean = Stats { packets_lost: 0, packets_acked: 1_000, ..stats() };
        let few = Stats { packets_lost: 5, packets_acked: 100, ..stats() };
        let mut slow_disk = stats();
        slow_disk.limits.add(Limit::Source, Duration::from_secs(9));
        for other in [queue, clean, few, slow_disk] {
            assert_eq!(loss_without_queue(&other), None);
        }
    }
}
