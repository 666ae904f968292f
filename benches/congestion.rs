//! What each congestion controller makes of every path of the judge: `cargo bench --bench congestion`.
//!
//! Words after `--` choose scenarios by their names. `VOLLEY_JUDGE_CC` names controllers (all), and
//! `VOLLEY_JUDGE_SEEDS` how many seeds a row is the median of (5). Virtual time: the figures do not
//! depend on the machine. The columns are explained in `sim::judge`.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use volley::sim::judge::{self, Verdict};
use volley::transport::config::CongestionChoice;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let asked = std::env::var("VOLLEY_JUDGE_CC").unwrap_or_else(|_| "ebb,cubic,bbr".into());
    let controllers: Vec<CongestionChoice> =
        asked.split(',').map(|text| text.parse().expect("names of controllers")).collect();
    let seeds = std::env::var("VOLLEY_JUDGE_SEEDS").ok().and_then(|text| text.parse().ok());
    println!("{}", Verdict::heading());
    for scenario in judge::all() {
        if words.is_empty() || words.iter().any(|word| scenario.name.contains(word)) {
            for controller in &controllers {
                let verdict = judge::judge(&scenario, *controller, seeds.unwrap_or(5));
                println!("{}", verdict.row(&scenario.name, *controller));
            }
        }
    }
}
