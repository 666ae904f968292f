//! The options of an imperfect link, seen from outside: what each of them does to a real transfer.

#[expect(dead_code, reason = "each test file uses its part of the harness")]
mod common;

use common::{Bench, seed, words};
use serde_json::Value;

/// Sends a file through a link and returns the sender's report; the file must have arrived.
#[track_caller]
fn report_of(size: u64, link: &str) -> Value {
    let bench = Bench::new();
    bench.file("file", size);
    let receiver = bench.receive(&["--once"]);
    let options = format!("{link} --seed {} --json", seed());
    let sent = bench.send(&receiver, &["file"], &words(&options)).expect_code(0);
    receiver.finish_by_farewell().expect_code(0);
    bench.expect_arrived(&["file"]);
    sent.json()
}

fn count(report: &Value, path: &str) -> u64 {
    report.pointer(path).and_then(Value::as_u64).unwrap_or_else(|| panic!("{path} in {report}"))
}

#[test]
fn fifty_of_fifty_small_files_arrive_though_thirty_percent_are_damaged() {
    let bench = Bench::new();
    let options = format!("--corrupt 30% --json --seed {}", seed());
    let receiver = bench.receive(&words(&options));
    let names: Vec<String> = (0..50).map(|index| format!("file {index}")).collect();
    std::thread::scope(|scope| {
        let (bench, receiver) = (&bench, &receiver);
        for lane in names.chunks(10) {
            scope.spawn(move || {
                for name in lane {
                    bench.file(name, 1_000);
                    bench.send(receiver, &[name], &[]).expect_code(0);
                }
            });
        }
    });
    let received = receiver.stop();
    bench.expect_arrived(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let reports: Vec<Value> = received
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).expect("one object a line"))
        .collect();
    assert_eq!(reports.len(), names.len());
    for report in &reports {
        let damaged = count(report, "/link/back/corrupted");
        assert_eq!(count(report, "/link/found_damaged"), damaged, "{report}");
    }
    let last = reports.iter().map(|report| count(report, "/link/back/corrupted")).max();
    assert!(last > Some(50), "{last:?} damaged");
}

#[test]
fn what_arrives_twice_is_sent_once() {
    let report = report_of(2_000_000, "--duplicate 50% --delay 5ms --cc fixed:50Mbit");
    assert!(count(&report, "/link/out/duplicated") > 500);
    assert_eq!(count(&report, "/link/out/lost"), 0);
    assert!(count(&report, "/transport/retransmissions/spurious") < 10, "{report}");
}

#[test]
fn what_is_overtaken_arrives() {
    let report = report_of(2_000_000, "--reorder 50%:10ms --delay 5ms --cc fixed:50Mbit");
    assert!(count(&report, "/link/out/reordered") > 500);
    assert_eq!(count(&report, "/link/out/lost"), 0);
}

#[test]
fn bursts_and_jitter_are_survived() {
    let report =
        report_of(2_000_000, "--burst-loss 5%:20 --delay 10ms --jitter 9ms --cc fixed:50Mbit");
    assert!(count(&report, "/link/out/lost_by_cause/burst") > 0);
}

#[test]
fn exactly_the_listed_datagrams_are_lost() {
    let report = report_of(100_000, "--drop 5,7-9 --back clean");
    assert_eq!(count(&report, "/link/out/lost_by_cause/listed"), 4);
    assert_eq!(count(&report, "/link/out/lost"), 4);
    assert_eq!(count(&report, "/link/back/lost"), 0);
}

#[test]
fn a_rate_is_an_upper_bound_and_its_queue_drops_what_does_not_fit() {
    let report = report_of(1_000_000, "--rate 8Mbit --queue 20KB --delay 2ms --cc fixed:12Mbit");
    let goodput = count(&report, "/goodput_bits_per_second");
    assert!((4_000_000..8_000_000).contains(&goodput), "{goodput}");
    assert!(count(&report, "/link/out/lost_by_cause/queue") > 0);
}

#[test]
fn the_largest_datagram_that_fits_is_found() {
    let report = report_of(2_000_000, "--mtu 1300 --delay 1ms --cc fixed:50Mbit");
    let largest = count(&report, "/transport/datagram_bytes_max");
    assert!((1_200..=1_272).contains(&largest), "{largest}");
    assert!(count(&report, "/link/out/lost_by_cause/oversize") > 0);
}

#[test]
fn a_preset_is_a_link_with_a_name() {
    let report = report_of(100_000, "--link adsl");
    for (way, rate) in [("out", 1_000_000), ("back", 8_000_000)] {
        assert_eq!(count(&report, &format!("/link/{way}/configured/rate_bits_per_second")), rate);
    }
}

#[test]
fn the_list_of_links_names_its_sources() {
    let bench = Bench::new();
    let listed = bench.volley(&["send", "--link", "list"]).expect_code(0);
    for word in ["satellite", "RFC 2488", "transatlantic", "1 Mbit"] {
        let is_there = listed.stdout.contains(word);
        assert!(is_there, "no {word} in:\n{}", listed.stdout);
    }
}
