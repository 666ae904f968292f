//! `volley simulate`, as people call it.

#[expect(dead_code, reason = "each test file uses its part of the harness")]
mod common;

use common::schema::{Schema, sample};
use common::terminal::Terminal;
use common::{Bench, words};
use serde_json::Value;
use std::collections::HashMap;

fn simulate(line: &str) -> common::Outcome {
    Bench::new().volley(&words(&format!("simulate {line}")))
}

#[test]
fn the_table_shows_each_strategy_beside_its_textbook() {
    let shown = simulate("--seed 7 --size 2MB --back clean,delay=25ms").expect_code(2);
    shown.expect_words(&["--back"]);
    let shown = simulate("--seed 7 --size 2MB --back loss=0%").expect_code(0).stdout;
    for word in ["stop-and-wait", "go-back-n", "selective-repeat", "volley", "1/(C + T p/(1-p))"] {
        assert!(shown.contains(word), "no {word} in:\n{shown}");
    }
    assert!(shown.contains("seed 7"), "{shown}");
}

#[test]
fn the_same_seed_gives_the_same_words() {
    let line = "--seed 5 --size 1MB --repeat 3 --loss 5% --jitter 3ms --corrupt 1%";
    let [one, same] = [simulate(line), simulate(line)].map(|run| run.expect_code(0).stdout);
    assert_eq!(one, same);
    assert_ne!(one, simulate(&line.replace("5 ", "6 ")).stdout);
}

#[test]
fn programs_get_one_object() {
    let line = "--seed 5 --size 1MB --arq go-back-n,volley --cc fixed:9Mbit --flows 2 --json";
    let report = simulate(line).expect_code(0).json();
    let runs = report["runs"].as_array().expect("an array");
    let names: Vec<&Value> = runs.iter().map(|run| &run["strategy"]).collect();
    assert_eq!(names, ["go-back-n", "volley"]);
    assert!(runs.iter().all(|run| run["seconds"].as_f64() > Some(0.5)), "{report}");
}

#[test]
fn a_ladder_shows_what_is_lost_and_sent_again() {
    let line = "--ladder --arq go-back-n --window 6 --drop 6 --loss 0% --rate 1Mbit --seed 1";
    let shown = simulate(line).expect_code(0).stdout;
    for word in [
        "sender",
        "receiver",
        "X as listed",
        "5 is out of order",
        "the timer of 4 fires",
        ", again",
        "ACK 0-1",
    ] {
        assert!(shown.contains(word), "no {word} in:\n{shown}");
    }
    assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
    let bench = Bench::new();
    let file = ["simulate", "--arq", "volley", "--seed", "1", "--ladder-svg", "out.svg"];
    bench.volley(&file).expect_code(0);
    let picture = std::fs::read_to_string(bench.from().join("out.svg")).expect("written");
    assert!(picture.starts_with("<svg") && picture.contains("HELLO"), "{picture}");
    simulate("--ladder").expect_code(2).expect_words(&["--arq"]);
}

/// Cheap, and with a formula for every strategy.
const SWEEP: &str = "--sweep loss=0%..20%:10% --back loss=0%,rate=1Gbit --size 300kB --seed 3";

#[test]
fn a_sweep_is_a_table_with_a_row_for_each_point() {
    let shown = simulate(&format!("{SWEEP} --arq go-back-n,volley")).expect_code(0).stdout;
    for word in ["go-back-n", "volley", "textbook", "off by", "Mbit/s", "W >= C", "seed 3"] {
        assert!(shown.contains(word), "no {word} in:\n{shown}");
    }
    let is_point = |line: &&str| line.starts_with("     ") && line.contains('.');
    assert_eq!(shown.lines().filter(is_point).count(), 3, "{shown}");
    assert!(!shown.contains("% loss"), "what is varied is no property of the link: {shown}");
    // The same numbers as without a sweep.
    let line = SWEEP.replace("--sweep loss=0%..20%:10%", "--loss 10%") + " --arq go-back-n --json";
    let alone = simulate(&line).expect_code(0).json();
    let swept = simulate(&format!("{SWEEP} --arq go-back-n --json")).expect_code(0).json();
    assert_eq!(swept["runs"][1]["loss"], 0.1);
    assert_eq!(swept["runs"][1]["seconds"], alone["runs"][0]["seconds"]);
    assert_eq!(swept["runs"][1]["textbook"], alone["runs"][0]["textbook"]);
}

#[test]
fn a_sweep_for_other_programs_is_a_line_for_each_point_and_strategy() {
    let line =
        format!("{SWEEP} --csv --repeat 2 --arq stop-and-wait,volley --cc cubic,fixed:5Mbit");
    let shown = simulate(&line).expect_code(0).stdout;
    assert_eq!(shown, simulate(&line).expect_code(0).stdout);
    let mut lines = shown.lines();
    let header: Vec<&str> = lines.next().expect("a header").split(',').collect();
    let expected = "loss,strategy,congestion_control,seconds,goodput_bits_per_second,\
                    goodput_bits_per_second_least,goodput_bits_per_second_most,efficiency,\
                    efficiency_least,efficiency_most,retransmissions_per_packet,\
                    textbook_efficiency,deviation,seed,repeat";
    assert_eq!(header.join(","), expected);
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
    assert_eq!(rows.len(), 9, "{shown}");
    assert!(rows.iter().all(|row| row.len() == header.len()), "{shown}");
    assert_eq!(rows[3][..3], ["0.1", "stop-and-wait", ""]);
    assert_eq!(rows[5][..3], ["0.1", "volley", "fixed:5Mbit"]);
    assert_eq!(rows[5][13..], ["3", "2"]);
}

#[test]
fn a_sweep_is_a_picture_too() {
    let bench = Bench::new();
    let draw = |sweep: &str, file: &str| {
        let line = format!("simulate --size 100kB --seed 3 --repeat 3 {sweep} --plot {file}");
        bench.volley(&words(&line)).expect_code(0);
        std::fs::read_to_string(bench.from().join(file)).expect("written")
    };
    for (sweep, label) in [
        ("--sweep loss=0%..20%:10%", "loss (%)"),
        ("--sweep delay=1ms,20ms", "delay of one way (ms)"),
        ("--sweep rate=1Mbit..8Mbit:x2", "rate (Mbit/s)"),
        ("--sweep window=1..8:x2", "window (frames)"),
        ("--sweep timeout=60ms,70ms", "timeout (ms)"),
    ] {
        let picture = draw(sweep, "one.svg");
        for word in [label, "efficiency (% of the line's time)".replace('\'', "&apos;").as_str()] {
            assert!(picture.contains(word), "no {word}: {picture}");
        }
        assert_eq!(picture, draw(sweep, "same.svg"), "{sweep}");
    }
    let shared = draw("--sweep loss=0%,5% --flows 2 --arq volley", "flows.svg");
    assert!(shared.contains("goodput (Mbit/s)"), "{shared}");
}

#[test]
fn what_never_ends_is_said_and_fails() {
    let run = simulate("--loss 100% --arq volley --seed 1").expect_code(1);
    assert!(run.stdout.contains("no end"), "{}", run.stdout);
    run.expect_words(&["did not come to an end"]);
    let line = "--sweep loss=99%,100% --arq volley --seed 1 --size 10kB --plot out.svg";
    let run = simulate(line).expect_code(1);
    assert!(run.stdout.contains("no end"), "{}", run.stdout);
}

/// The lines of a trace, each valid by its schema, in the order of time.
#[track_caller]
fn traced(text: &str) -> Vec<Value> {
    let schema = Schema::load("trace.schema.json");
    let mut latest = 0.0;
    let lines = text.lines().map(|line| {
        let event: Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(schema.fault(&event), None);
        let time = event["time"].as_f64().expect("a number");
        assert!(time >= latest, "{event} after {latest}");
        latest = time;
        event
    });
    lines.collect()
}

fn count(events: &[Value], of: &[(&str, &str)]) -> usize {
    let is_of = |event: &&Value| of.iter().all(|(key, value)| event[*key] == *value);
    events.iter().filter(is_of).count()
}

#[test]
fn a_trace_tells_every_packet_from_its_sending_to_its_end() {
    let bench = Bench::new();
    let line = "simulate --size 3MB --seed 4 --loss 3% --burst-loss 1%:3 --corrupt 1% --duplicate 1% \
                --queue 20KiB --drop 40 --cc fixed:12Mbit --arq volley --trace run.jsonl";
    let table = bench.volley(&words(line)).expect_code(0).stdout;
    assert!(table.contains("volley fixed:12Mbit  "), "{table}");
    let text = std::fs::read_to_string(bench.from().join("run.jsonl")).expect("written");
    let events = traced(&text);
    let head = &events[0];
    assert_eq!((&head["format"], &head["version"]), (&"volley-trace".into(), &1.into()));
    assert_eq!((&head["seed"], &head["settings"]["bytes"]), (&4.into(), &3_000_000.into()));
    let sent = |side| count(&events, &[("event", "sent"), ("side", side)]);
    let received = |side| count(&events, &[("event", "received"), ("side", side)]);
    let causes = ["chance", "burst", "queue", "listed", "damage"];
    for cause in causes {
        assert!(count(&events, &[("event", "drop"), ("cause", cause)]) > 0, "{cause}");
    }
    let taken = |side, damages| {
        let all = count(&events, &[("event", "drop"), ("side", side)]);
        let damaged = count(&events, &[("event", "drop"), ("side", side), ("cause", "damage")]);
        if damages { damaged } else { all - damaged }
    };
    // What is sent is lost, arrives (some twice), is thrown away damaged, or is under way at the end.
    let ended = taken("sender", false) + received("receiver") + taken("receiver", true);
    let (sent_out, most) = (sent("sender"), sent("sender") * 103 / 100);
    assert!((sent_out - 20..most).contains(&ended), "{ended} of {sent_out}");
    assert!(sent("receiver") > 100 && received("sender") > 100);

    let lost: HashMap<u64, &Value> = events
        .iter()
        .filter(|event| event["event"] == "loss" && event["side"] == "sender")
        .filter_map(|event| Some((event["packet"].as_u64()?, event)))
        .collect();
    let again: Vec<&Value> =
        events.iter().filter(|event| event["event"] == "retransmission").collect();
    assert!(again.len() > 50 && lost.len() > 50, "{} of {}", again.len(), lost.len());
    for event in again.iter().filter(|event| !event["of"].is_null()) {
        assert_eq!(lost[&event["of"].as_u64().expect("a number")]["offset"], event["offset"]);
    }
    for event in ["acked", "timer", "path", "congestion", "credit", "connected"] {
        assert!(count(&events, &[("event", event)]) > 0, "{event}");
    }
    assert_eq!(count(&events, &[("event", "complete"), ("side", "receiver")]), 1);
}

#[test]
fn a_trace_of_each_strategy_goes_to_standard_output_and_repeats() {
    for strategy in ["stop-and-wait", "go-back-n", "selective-repeat", "volley"] {
        let line = format!("--size 60kB --seed 3 --loss 10% --arq {strategy} --trace -");
        let run = simulate(&line).expect_code(0);
        let events = traced(&run.stdout);
        assert_eq!(events[0]["settings"]["strategy"], strategy);
        assert_eq!(count(&events, &[("event", "complete")]), 1);
        assert_eq!(count(&events, &[("reason", "out-of-order")]) > 0, strategy == "go-back-n");
        assert!(run.stderr.contains(strategy), "the table is for people: {}", run.stderr);
        assert_eq!(run.stdout, simulate(&line).stdout);
    }
    let flows = simulate("--size 60kB --flows 3 --arq volley --trace - --json").expect_code(0);
    let events = traced(&flows.stdout);
    assert_eq!(count(&events, &[("event", "complete")]), 3);
    assert!(events.iter().any(|event| event["transfer"] == 3));
}

#[test]
fn a_trace_says_how_a_run_ends_that_does_not() {
    let run = simulate("--loss 100% --arq volley --seed 1 --trace -").expect_code(1);
    let events = traced(&run.stdout);
    let last = events.last().expect("events");
    assert_eq!((&last["event"], &last["exit_code"]), (&"error".into(), &1.into()));
    assert!(count(&events, &[("event", "drop"), ("cause", "chance")]) > 5);
    simulate("--arq volley --trace missing/file").expect_code(1).expect_words(&["missing/file"]);
    simulate("--trace file").expect_code(2).expect_words(&["--trace", "--arq"]);
    simulate("--arq volley --repeat 2 --trace file").expect_code(2).expect_words(&["--repeat"]);
}

#[test]
fn the_page_of_the_trace_shows_valid_lines() {
    let page = sample("trace.md");
    let lines: Vec<&str> = page.lines().filter(|line| line.starts_with("{\"")).collect();
    assert!(lines.len() > 7);
    traced(&lines.join("\n"));
    let schema: Value = serde_json::from_str(&sample("trace.schema.json")).expect("JSON");
    for choice in schema["oneOf"].as_array().expect("a list") {
        let name = choice["$ref"].as_str().expect("a reference").trim_start_matches("#/$defs/");
        assert!(page.contains(&format!("`{name}`")), "the page does not say what {name} is");
    }
}

#[test]
fn a_run_is_told_with_its_reasons() {
    let told = |line: &str| {
        let text = simulate(line).expect_code(0).stdout;
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        // Sentences go over several lines.
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let volley = told("--explain --arq volley --cc cubic --drop 9 --loss 0% --packets 24 --seed 1");
    for sentence in [
        "the sender says HELLO",
        "slow start: 12000 bytes may be in flight",
        "packets 2 to 10 go out with bytes 0 to 10619",
        "packet 7 is lost on the link, as listed",
        "the receiver acknowledges packets 0 to 6 and 8: 7 is missing",
        "packets 8 to 10 were acknowledged and 7 was not, and its time is up: 7 is presumed lost (RFC 9002 6.1.2)",
        "the congestion window shrinks from 21621 to 15134 bytes (RFC 9438 4.6)",
        "the bytes of packet 7 go out again as packet 20",
    ] {
        assert!(volley.contains(sentence), "no \"{sentence}\" in {volley}");
    }
    let line = "--explain --drop 6 --loss 0% --rate 1Mbit --seed 1 --window 6 --packets 14";
    for (strategy, sentences) in [
        (
            "go-back-n",
            &[
                "frame 3 is lost on the link, as listed",
                "frame 4 (packet 5) arrives and is thrown away: frame 3 is missing",
                "the timer of frame 3 fires: the window goes back to 3",
                "frame 3 goes out again in packet 11",
            ][..],
        ),
        (
            "selective-repeat",
            &[
                "frame 4 (packet 5) arrives, and the receiver acknowledges it",
                "the timer of frame 3 fires: it goes out again, and no other",
            ],
        ),
        ("stop-and-wait", &["frame 1 goes out in packet", "it goes out again"]),
    ] {
        let text = told(&format!("{line} --arq {strategy}"));
        for sentence in sentences {
            assert!(text.contains(sentence), "no \"{sentence}\" in {text}");
        }
    }
    simulate("--explain --arq volley --json").expect_code(2).expect_words(&["--explain", "--json"]);
    simulate("--explain --arq volley --flows 2").expect_code(2).expect_words(&["--flows"]);
}

const STEPS: [&str; 10] =
    ["simulate", "--ladder", "--arq", "volley", "--seed", "1", "--loss", "0%", "--packets", "3"];

#[test]
fn keys_show_one_event_after_another() {
    let bench = Bench::new();
    let mut terminal = Terminal::start(&bench.from(), &[&STEPS[..], &["--step"]].concat(), &[]);
    terminal.wait_for("q: quit");
    assert!(!terminal.raw().contains("HELLO"), "{}", terminal.raw());
    terminal.press(" ");
    terminal.wait_for("HELLO |");
    assert!(!terminal.raw().contains("WELCOME"), "{}", terminal.raw());
    terminal.press("x\r ");
    terminal.wait_for("WELCOME");
    terminal.press("c");
    let (code, lines) = terminal.finish();
    assert_eq!(code, Some(0));
    assert!(lines.iter().any(|line| line.contains("bytes 2360-3539")), "{lines:?}");
    assert!(terminal.shows_what_is_typed(), "the terminal is as it was");
}

#[test]
fn whoever_has_seen_enough_leaves_and_the_terminal_is_as_it_was() {
    let bench = Bench::new();
    for (how, code) in [("q", 0), ("\u{3}", 130)] {
        let arguments = ["simulate", "--explain", "--arq", "volley", "--seed", "1", "--step"];
        let mut terminal = Terminal::start(&bench.from(), &arguments, &[]);
        terminal.wait_for("q: quit");
        terminal.press(" ");
        terminal.wait_for("says HELLO");
        assert!(!terminal.shows_what_is_typed());
        terminal.press(how);
        let (left, lines) = terminal.finish();
        assert_eq!(left, Some(code), "{lines:?}");
        assert!(terminal.shows_what_is_typed());
        assert!(!terminal.raw().contains("WELCOME"), "{lines:?}");
    }
}

#[test]
fn slow_motion_needs_no_terminal_and_shows_the_same() {
    let line = STEPS[1..].join(" ");
    let slow = simulate(&format!("{line} --slow 2x")).expect_code(0).stdout;
    assert_eq!(slow, simulate(&line).stdout);
    for (option, words) in [("--step", ["--step", "terminal"]), ("--slow 0x", ["0x", "100x"])] {
        simulate(&format!("{line} {option}")).expect_code(2).expect_words(&words);
    }
    simulate("--slow 10x").expect_code(2).expect_words(&["--slow", "--ladder"]);
    simulate("--step --arq volley").expect_code(2).expect_words(&["--step", "--explain"]);
}
