//! Random transfers over links that misbehave at random: the product's own transport in virtual time.
//!
//! Each seed draws a transfer and what happens to it ([`scenario`]); [`flight`] runs it and says what
//! must hold. A seed that fails prints the line that repeats it. Seeds that failed once are kept in
//! `tests/swarm_seeds.txt`, each with what was wrong then, and run with every `cargo test`.
//!
//! `cargo test --release --test swarm -- --ignored` runs 10,000 of them; `VOLLEY_SWARM=N` makes it N.
//! `VOLLEY_SWARM_SEED=N cargo test --release --test swarm one -- --nocapture` runs one and tells of it.

mod change;
mod draws;
mod flight;
mod scenario;

use scenario::Scenario;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Seeds that `cargo test` runs.
const SHARE: u64 = 600;

/// Seeds of the campaign.
const CAMPAIGN: u64 = 10_000;

/// Failures that are shown; the rest is only counted.
const SHOWN_MAX: usize = 20;

fn number(variable: &str) -> Option<u64> {
    let given = std::env::var(variable).ok()?;
    Some(given.parse().unwrap_or_else(|_| panic!("{variable} is a number")))
}

#[expect(clippy::print_stdout, reason = "libtest holds back what is printed")]
fn note(text: &str) {
    println!("{text}");
}

/// Runs a seed.
fn fly(seed: u64) -> Result<flight::Landed, String> {
    let scenario = Scenario::draw(seed);
    let flown = catch_unwind(AssertUnwindSafe(|| flight::fly(&scenario)));
    flown.unwrap_or_else(|panic| Err(format!("panic: {}", words_of(&*panic)))).map_err(|fault| {
        let again = format!(
            "VOLLEY_SWARM_SEED={seed} cargo test --release --test swarm one -- --nocapture"
        );
        format!("{again} # {fault} [{scenario}]")
    })
}

fn words_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without words")
}

/// Runs seeds on all cores; fails with a line for each that does.
fn fly_all(seeds: &[u64]) {
    let next = AtomicUsize::new(0);
    let faults = Mutex::new(Vec::new());
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(fault) = fly(*seed) {
                        faults.lock().expect("nobody panics here").push((*seed, fault));
                    }
                }
            });
        }
    });
    let mut faults = faults.into_inner().expect("nobody panics here");
    faults.sort();
    let lines: Vec<String> = faults.iter().take(SHOWN_MAX).map(|(_, line)| line.clone()).collect();
    assert!(faults.is_empty(), "{} of {} failed:\n{}", faults.len(), seeds.len(), lines.join("\n"));
}

#[test]
fn a_share_of_the_swarm_arrives() {
    fly_all(&(1..=SHARE).collect::<Vec<_>>());
}

#[test]
#[ignore = "a campaign"]
fn the_swarm_arrives() {
    let count = number("VOLLEY_SWARM").unwrap_or(CAMPAIGN);
    fly_all(&(1..=count).collect::<Vec<_>>());
}

#[test]
fn seeds_that_failed_once_arrive() {
    let kept = include_str!("../swarm_seeds.txt").lines().filter(|line| !line.starts_with('#'));
    let seed = |line: &str| line.split_whitespace().next().and_then(|word| word.parse().ok());
    let seeds: Vec<u64> =
        kept.map(|line| seed(line).unwrap_or_else(|| panic!("no seed: {line}"))).collect();
    fly_all(&seeds);
}

#[test]
fn one_seed_arrives() {
    let seed = number("VOLLEY_SWARM_SEED").unwrap_or(1);
    note(&Scenario::draw(seed).to_string());
    match fly(seed) {
        Ok(landed) => note(&format!("{landed:?}")),
        Err(fault) => panic!("{fault}"),
    }
}
