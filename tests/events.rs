//! `--jsonl`: events as they happen, each valid by `samples/jsonl.schema.json`.

#[expect(dead_code, reason = "each test file uses its part of the harness")]
mod common;

use common::schema::{Schema, sample};
use common::{Bench, CARRIERS, Running, free_port, words};
use serde_json::Value;
use std::collections::HashMap;
use std::fs;
use std::ops::Range;

/// The events in `text`: each valid, in the order of time, and of one transfer at most.
#[track_caller]
fn events(text: &str) -> Vec<Value> {
    let schema = Schema::load("jsonl.schema.json");
    let events: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let mut latest = 0.0;
    for event in &events {
        assert_eq!(schema.fault(event), None);
        let time = event["time"].as_f64().expect("a number");
        assert!(time >= latest, "{event} after {latest}");
        latest = time;
    }
    events
}

fn all<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["event"] == kind).collect()
}

fn phases(events: &[Value]) -> Vec<&str> {
    all(events, "phase").iter().map(|event| event["phase"].as_str().expect("a word")).collect()
}

/// The packet of a loss or a retransmission, and its bytes if it carried any.
fn bytes_of(event: &Value) -> Option<(u64, Range<u64>)> {
    let number = |key: &str| event[key].as_u64();
    let start = number("offset")?;
    Some((number("packet")?, start..start + number("bytes")?))
}

#[test]
fn the_schema_tells_right_from_wrong() {
    let schema = Schema::load("jsonl.schema.json");
    let right = r#"{"event":"loss","time":0.5,"transfer":1,"peer":"a","packet":7,"offset":null,"bytes":null,"rule":"time"}"#;
    let right: Value = serde_json::from_str(right).expect("JSON");
    assert_eq!(schema.fault(&right), None);
    for (key, wrong) in [
        ("event", "lost".into()),
        ("time", (-1).into()),
        ("transfer", 0.into()),
        ("packet", "7".into()),
        ("offset", 1.5.into()),
        ("rule", Value::Null),
        ("more", 1.into()),
    ] {
        let mut event = right.clone();
        event[key] = wrong;
        assert!(schema.fault(&event).is_some(), "{event}");
    }
    for key in right.as_object().expect("an object").keys() {
        let mut event = right.clone();
        event.as_object_mut().expect("an object").remove(key);
        assert!(schema.fault(&event).is_some(), "{event}");
    }
}

#[test]
fn the_page_shows_valid_events() {
    let page = sample("jsonl.md");
    let lines: Vec<&str> = page.lines().filter(|line| line.starts_with("{\"")).collect();
    assert!(lines.len() > 7);
    let schema = Schema::load("jsonl.schema.json");
    for line in lines {
        let event = serde_json::from_str(line).expect("JSON");
        assert_eq!(schema.fault(&event), None);
    }
}

#[test]
fn every_loss_and_every_retransmission_is_told() {
    let bench = Bench::new();
    bench.file("file", 3_000_000);
    let receiver = bench.receive(&["--once", "--jsonl"]);
    let link = ["--loss", "5%", "--delay", "5ms", "--seed", "3", "--cc", "fixed:50Mbit", "--jsonl"];
    let sent = bench.send(&receiver, &["file"], &link).expect_code(0);
    let received = receiver.finish().expect_code(0);
    bench.expect_arrived(&["file"]);
    let (sent, received) = (events(&sent.stdout), events(&received.stdout));

    assert_eq!(phases(&sent), ["connecting", "transferring", "committing"]);
    let complete = sent.last().expect("events");
    assert_eq!((&complete["event"], &complete["events_dropped"]), (&"complete".into(), &0.into()));
    let transport = &complete["result"]["transport"];
    let counted = &transport["retransmissions"];
    let again = all(&sent, "retransmission");
    let total = counted["needed"].as_u64().zip(counted["spurious"].as_u64());
    assert_eq!(total.map(|(needed, spurious)| needed + spurious), Some(again.len() as u64));
    let losses = all(&sent, "loss");
    assert!(losses.len() > 60, "{} of some 2000 packets", losses.len());
    let lost: HashMap<u64, Range<u64>> = losses.iter().filter_map(|loss| bytes_of(loss)).collect();
    let named = again.iter().filter_map(|again| Some((again["of"].as_u64()?, bytes_of(again)?.1)));
    for (of, bytes) in named.clone() {
        assert!(lost[&of].contains(&bytes.start), "{bytes:?} of {of}: {:?}", lost[&of]);
    }
    assert!(named.count() > again.len() / 2);
    let progress = all(&sent, "progress");
    let seconds = complete["time"].as_f64().expect("a number");
    assert!(!progress.is_empty() && progress.len() as f64 <= 4.0 * seconds + 1.0, "{seconds} s");

    assert_eq!(received[0]["event"], "listening");
    assert_eq!(phases(&received), ["transferring", "committing"]);
    let ended = received.last().expect("events");
    assert_eq!(
        (&ended["event"], &ended["result"]["direction"]),
        (&"complete".into(), &"received".into())
    );
    assert_eq!(ended["result"]["files"], complete["result"]["files"]);
}

#[test]
fn a_classic_strategy_tells_what_its_timer_found() {
    let bench = Bench::new();
    bench.file("file", 100_000);
    let receiver = bench.receive(&["--once"]);
    let options = ["--arq", "stop-and-wait", "--loss", "5%", "--seed", "3", "--jsonl"];
    let sent = bench.send(&receiver, &["file"], &options).expect_code(0);
    receiver.finish().expect_code(0);
    let sent = events(&sent.stdout);
    let (losses, again) = (all(&sent, "loss"), all(&sent, "retransmission"));
    let by_timer =
        losses.iter().filter(|loss| loss["rule"] == "timer").filter_map(|loss| bytes_of(loss));
    let lost: HashMap<u64, Range<u64>> = by_timer.collect();
    assert!(!again.is_empty());
    for again in again {
        let (_, bytes) = bytes_of(again).expect("file bytes");
        assert_eq!(lost.get(&again["of"].as_u64().expect("the lost packet")), Some(&bytes));
    }
}

#[test]
fn tcp_has_phases_and_an_end() {
    let bench = Bench::new();
    bench.file("file", 30_000);
    let receiver = bench.receive(&["--once", "--jsonl"]);
    let sent = bench.send(&receiver, &["file"], &["--tcp", "--jsonl"]).expect_code(0);
    for (text, first) in [(sent.stdout, 0), (receiver.finish().expect_code(0).stdout, 1)] {
        let events = events(&text);
        assert_eq!(phases(&events), ["transferring", "committing"]);
        assert_eq!(events[first]["event"], "phase");
        assert_eq!(events.last().expect("events")["result"]["carrier"], "tcp");
    }
}

#[test]
fn an_error_is_the_last_event() {
    let bench = Bench::new();
    bench.file("file", 5_000);
    fs::write(bench.to().join("file"), "as it was").expect("written");
    for carrier in CARRIERS {
        let receiver = bench.receive(&["--jsonl"]);
        let sent = bench.send(&receiver, &["file"], &[carrier, &["--jsonl"]].concat());
        let sent = events(&sent.expect_code(7).stdout);
        let received = events(&receiver.stop().stdout);
        let ended = all(&received, "error");
        for error in [sent.last().expect("events"), ended[0]] {
            assert_eq!((&error["event"], &error["reason"]), (&"error".into(), &"exists".into()));
            assert_eq!(
                (&error["exit_code"], &error["result"]["exit_code"]),
                (&7.into(), &7.into())
            );
            assert!(error["text"].as_str().expect("a sentence").contains("exists"), "{error}");
        }
        assert_eq!((&ended[1]["reason"], &ended[1]["transfer"]), (&"user".into(), &Value::Null));
    }
    let port = free_port();
    for (line, code) in [
        (format!("send missing 127.0.0.1:{port} --open"), 9),
        (format!("send file 127.0.0.1:{port} --open --tcp"), 3),
        (format!("send file nowhere.invalid:{port} --open"), 3),
        ("recv missing --open --port 0".to_owned(), 1),
    ] {
        let failed = bench.volley(&words(&format!("{line} --jsonl"))).expect_code(code);
        let events = events(&failed.stdout);
        let error = events.last().expect("events");
        assert_eq!((&error["exit_code"], &error["result"]), (&code.into(), &Value::Null));
        assert!(failed.stderr.contains(error["text"].as_str().expect("a sentence")), "{error}");
    }
}

#[test]
fn one_of_json_and_jsonl_must_be_chosen() {
    let bench = Bench::new();
    let both = "recv --open --port 0 --json --jsonl";
    bench.volley(&words(both)).expect_code(2).expect_words(&["--json and --jsonl", "VOLLEY_JSON"]);
}

#[test]
fn a_reader_that_stops_reading_or_leaves_does_not_stop_a_transfer() {
    let bench = Bench::new();
    bench.file("file", 16_000_000);
    for (round, is_closed) in [true, false].into_iter().enumerate() {
        let receiver = bench.receive(&["--once", "--overwrite"]);
        let line = format!(
            "send file {} --open --jsonl --loss 5% --seed {round} --cc fixed:300Mbit",
            receiver.address
        );
        let (sender, reader) = if is_closed {
            (Running::start_unheard(&bench.from(), &words(&line)), None)
        } else {
            let (sender, reader) = Running::start_unread(&bench.from(), &words(&line));
            (sender, Some(reader))
        };
        // Events of a thousand losses are more than a pipe holds.
        receiver.finish_by_farewell().expect_code(0);
        bench.expect_arrived(&["file"]);
        drop(reader);
        sender.finish().expect_code(0);
    }
}
