//! The judge's short table is what it was: a change of a controller shows as a difference of numbers.
//!
//! `VOLLEY_WRITE_JUDGEMENT=1 cargo test --test congestion` writes `tests/congestion.txt` anew, to be
//! looked at and committed.

use std::fs;
use std::path::Path;
use volley::sim::judge::{self, Verdict};
use volley::transport::config::CongestionChoice;

/// The controllers that are judged at every change.
const JUDGED: &[CongestionChoice] =
    &[CongestionChoice::Ebb, CongestionChoice::Cubic, CongestionChoice::Bbr];

#[test]
fn the_short_table_is_as_it_was() {
    let mut now = format!("{}\n", Verdict::heading());
    for scenario in judge::few() {
        for controller in JUDGED {
            let verdict = judge::judge(&scenario, *controller, 1);
            now += &format!("{}\n", verdict.row(&scenario.name, *controller));
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/congestion.txt");
    if std::env::var_os("VOLLEY_WRITE_JUDGEMENT").is_some() {
        fs::write(&path, &now).expect("the table can be written");
    }
    let before = fs::read_to_string(&path).expect("the table is there");
    assert_eq!(before, now, "VOLLEY_WRITE_JUDGEMENT=1 writes it anew");
}
