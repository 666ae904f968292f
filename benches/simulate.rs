//! How fast the simulator is: `cargo bench --bench simulate`.
//!
//! Simulated packets a second on one core, data and acknowledgements together, and the time of 1 GB
//! over a satellite's path. The time is the processor's: what other programs take of a busy machine
//! does not count. The best of `VOLLEY_BENCH_ROUNDS` (3) is shown.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;
use volley::base::units::{Rate, Share};
use volley::link::{Bottleneck, LinkConfig};
use volley::sim::{self, Order};
use volley::transport::arq::{ArqConfig, Strategy};
use volley::transport::config::CongestionChoice;

fn main() {
    for (name, strategy) in [
        ("volley", Strategy::Volley),
        ("stop-and-wait", Strategy::StopAndWait),
        ("go-back-n", Strategy::GoBackN),
        ("selective-repeat", Strategy::SelectiveRepeat),
    ] {
        measure(name, &order(strategy, 200_000_000, 100, 25, 0.01));
    }
    measure("1 GB, 600 ms, 5 % loss", &order(Strategy::Volley, 1_000_000_000, 200, 300, 0.05));
}

fn order(strategy: Strategy, size: u64, mbit: u64, ms: u64, loss: f64) -> Order {
    let rate = Rate::from_bits_per_second(mbit * 1_000_000);
    let delay = Duration::from_millis(ms);
    let way = LinkConfig {
        loss: Share::new(loss),
        delay,
        bottleneck: Some(Bottleneck { rate, queue: 8 << 20 }),
        ..LinkConfig::default()
    };
    let fixed = Rate::from_bits_per_second(mbit * 980_000);
    let mut order = Order {
        congestion: CongestionChoice::Fixed(fixed),
        arq: ArqConfig { strategy, window: 500, ..ArqConfig::default() },
        size,
        flows: 1,
        out: way.clone(),
        back: way,
        seed: 1,
        limit: Duration::from_secs(10_000_000),
    };
    if strategy == Strategy::StopAndWait {
        order.size /= 10;
    }
    order.follow_textbook();
    order
}

fn measure(name: &str, order: &Order) {
    let runs = (0..rounds()).map(|_| {
        let began = processor_time();
        let outcome = sim::run(order);
        (processor_time() - began, outcome)
    });
    let best = runs.min_by_key(|(took, _)| *took);
    let (took, outcome) = best.expect("at least one round");
    let took = took.as_secs_f64();
    let packets = outcome.out.offered + outcome.back.offered;
    let virtual_time = outcome.elapsed().expect("it completes").as_secs_f64();
    println!(
        "{name:24} {:8.2} million packets/s   {packets} packets, {virtual_time:.1} s in {took:.2} s",
        packets as f64 / took / 1e6
    );
}

fn rounds() -> u32 {
    let asked = std::env::var("VOLLEY_BENCH_ROUNDS").ok().and_then(|text| text.parse().ok());
    asked.unwrap_or(3).max(1)
}

/// What this thread has used.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).expect("it does not run backwards")
}
