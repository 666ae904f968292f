//! `--max-rate` on either side, over either carrier. How steady it is, is told in virtual time
//! (`transport/connection/tests/limited.rs`, `net/tcp/throttle.rs`); here only that it works.

#[expect(dead_code, reason = "each test file uses its part of the harness")]
mod common;

use common::{Bench, CARRIERS};

/// Two seconds at the limit, and a fraction of one without it.
const SIZE: u64 = 1_000_000;
const LIMIT: [&str; 2] = ["--max-rate", "4Mbit"];

/// Fails unless it took about as long as the limit says: never less, and more where the machine is busy.
#[track_caller]
fn expect_held(seconds: Option<f64>) {
    let seconds = seconds.expect("it says how long it took");
    assert!((1.6..10.0).contains(&seconds), "{seconds} s");
}

#[test]
fn a_sender_keeps_to_its_own_limit_and_to_its_peers() {
    for carrier in CARRIERS {
        for (ours, theirs) in [(&LIMIT[..], &[][..]), (&[], &LIMIT)] {
            let bench = Bench::new();
            bench.file("file", SIZE);
            let receiver = bench.receive(&[&["--once"], theirs].concat());
            let options = [carrier, ours, &["--json"]].concat();
            let sent = bench.send(&receiver, &["file"], &options).expect_code(0);
            receiver.finish().expect_code(0);
            bench.expect_arrived(&["file"]);
            expect_held(sent.json()["seconds"].as_f64());
        }
    }
}

#[test]
fn a_sharer_keeps_to_its_own_limit_and_to_its_peers() {
    for carrier in CARRIERS {
        for (ours, theirs) in [(&LIMIT[..], &[][..]), (&[], &LIMIT)] {
            let bench = Bench::new();
            bench.file("file", SIZE);
            let sharer = bench.share(&["file"], &[&["--once"], ours].concat());
            let got = bench.get(&sharer, &[carrier, theirs, &["--json"]].concat()).expect_code(0);
            sharer.finish().expect_code(0);
            bench.expect_arrived(&["file"]);
            expect_held(got.json()["seconds"].as_f64());
        }
    }
}
