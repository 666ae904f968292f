//! Output that nobody takes: a terminal that is held (Ctrl-S), a pipe that is full, a program that stands still. It
//! stops nothing, and keeps nothing from ending in time.

#[expect(dead_code, reason = "each test file uses its part of the harness")]
mod common;

use common::held::{Held, Stream};
use common::{Bench, CARRIERS, Running, free_port, wait_until, words};
use std::fs;
use std::net::UdpSocket;
use std::path::Path;

/// Every stream, held in every way.
fn all_kinds() -> impl Iterator<Item = Held> {
    let streams = [&[Stream::Err][..], &[Stream::Out], &[Stream::Out, Stream::Err]];
    streams
        .into_iter()
        .flat_map(|streams| [false, true].map(|is_terminal| Held { streams, is_terminal }))
}

/// A listener whose output is held, and its address.
fn listen(directory: &Path, line: &str, held: Held) -> (Running, String) {
    let port = free_port();
    let line = format!("{line} --open --bind 127.0.0.1 --port {port}");
    let listener = held.start(directory, &words(&line));
    wait_until("it listens", || UdpSocket::bind(("127.0.0.1", port)).is_err());
    (listener, format!("127.0.0.1:{port}"))
}

#[track_caller]
fn expect_end_by_one_signal(running: Running) {
    running.signal("TERM");
    running.finish_before_silence().expect_code(143);
}

#[test]
fn a_receiver_serves_twenty_and_ends_by_one_signal_whatever_is_held() {
    for held in all_kinds() {
        for options in ["", "--json", "--jsonl"] {
            common::note(&format!("{held:?} {options}"));
            let bench = Bench::new();
            let (receiver, address) = listen(&bench.to(), &format!("recv . {options}"), held);
            // All kinds stand still at the first word; one is to do so for long.
            let count = if options == "--json" { 20 } else { 2 };
            for number in 0..count {
                let name = format!("file {number}");
                bench.file(&name, 1_000);
                let carrier = CARRIERS[number % 2];
                let line = [&["send", &name, &address, "--open"], carrier].concat();
                bench.volley(&line).expect_code(0);
            }
            expect_end_by_one_signal(receiver);
            assert!((0..count).all(|number| bench.to().join(format!("file {number}")).exists()));
        }
    }
}

#[test]
fn a_sharer_serves_on_whatever_is_held() {
    for held in all_kinds() {
        let bench = Bench::new();
        bench.file("file", 100_000);
        let (sharer, address) = listen(&bench.from(), "share file --json", held);
        for carrier in CARRIERS {
            let directory = bench.to().join(format!("{}", carrier.len()));
            fs::create_dir(&directory).expect("room");
            let line = [&["get", &address, "--open"], carrier].concat();
            Running::start(&directory, &line).finish().expect_code(0);
        }
        expect_end_by_one_signal(sharer);
    }
}

#[test]
fn who_sends_or_gets_ends_as_the_transfer_does_whatever_is_held() {
    for held in all_kinds() {
        for options in [&["--json"][..], &["--jsonl", "--tcp"]] {
            let bench = Bench::new();
            bench.file("file", 300_000);
            let receiver = bench.receive(&["--once"]);
            let line = [&["send", "file", &receiver.address, "--open"], options].concat();
            held.start(&bench.from(), &line).finish().expect_code(0);
            receiver.finish().expect_code(0);
            bench.expect_arrived(&["file"]);
            let sharer = bench.share(&["file"], &["--once"]);
            let line = [&["get", &sharer.address, "--open"], options].concat();
            held.start(&bench.to(), &line).finish().expect_code(0);
            sharer.finish().expect_code(0);
        }
    }
}

#[test]
fn a_sender_under_way_ends_by_one_signal_whatever_is_held() {
    for held in all_kinds() {
        let bench = Bench::new();
        bench.file("long", 8_000_000);
        let receiver = bench.receive(&[]);
        let line = ["send", "long", &receiver.address, "--open", "--json", "--cc", "fixed:2Mbit"];
        let sender = held.start(&bench.from(), &line);
        bench.wait_for_first_bytes();
        expect_end_by_one_signal(sender);
        receiver.wait_for("the other side was interrupted");
        receiver.stop();
    }
}

/// Commands that are for what they write: they wait for whoever reads, until they are told to end.
#[test]
fn what_only_writes_waits_for_its_reader_and_ends_by_one_signal() {
    let bench = Bench::new();
    bench.file("file", 5);
    let sharer = bench.share(&["file"], &[]);
    for line in [
        "simulate --size 100kB --seed 1",
        "simulate --size 100kB --seed 1 --json",
        "simulate --arq go-back-n --ladder --seed 1",
        "simulate --arq go-back-n --size 1MB --trace - --seed 1",
        "simulate --sweep loss=0%..10%:5% --size 100kB --csv --seed 1",
        "completions bash",
        "man",
        &format!("get {} --open --list", sharer.address),
    ] {
        for is_terminal in [false, true] {
            common::note(line);
            let held = Held { streams: &[Stream::Out, Stream::Err], is_terminal };
            let running = held.start(&bench.from(), &words(line));
            running.wait_until_it_watches_for_signals();
            expect_end_by_one_signal(running);
        }
    }
    sharer.stop();
}

#[test]
fn what_goes_on_for_long_ends_by_one_signal_whatever_is_held() {
    let bench = Bench::new();
    let port = free_port();
    for line in [
        "demo".to_owned(),
        "compare --size 20MB".to_owned(),
        "simulate --size 3GB --delay 300ms --loss 5% --seed 1".to_owned(),
        "simulate --sweep loss=0%..30%:0.5% --repeat 1000 --size 1MB --seed 1".to_owned(),
        format!("relay --listen 127.0.0.1:0 --to 127.0.0.1:{port} --json"),
    ] {
        for held in all_kinds() {
            common::note(&line);
            let running = held.start(&bench.from(), &words(&line));
            running.wait_until_it_watches_for_signals();
            expect_end_by_one_signal(running);
        }
    }
}

/// A named pipe that nobody reads.
fn fifo(path: &Path) -> String {
    let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU);
    rustix::fs::mknodat(rustix::fs::CWD, path, kind, mode, 0).expect("room");
    path.to_str().expect("plain").to_owned()
}

#[test]
fn a_manifest_that_nobody_reads_stops_no_transfer() {
    for carrier in CARRIERS {
        let bench = Bench::new();
        let (theirs, ours) = (fifo(&bench.to().join("fifo")), fifo(&bench.from().join("fifo")));
        let receiver = bench.receive(&["--manifest", &theirs]);
        for number in 0..3 {
            let name = format!("file {number}");
            bench.file(&name, 1_000);
            bench.send(&receiver, &[&name], carrier).expect_code(0);
        }
        bench.file("last", 5);
        let told = ["cannot write the manifest", "nobody reads it"];
        let options = [carrier, &["--manifest", &ours]].concat();
        bench.send(&receiver, &["last"], &options).expect_code(1).expect_words(&told);
        receiver.running.signal("TERM");
        receiver.finish_by_farewell().expect_code(143).expect_words(&told);
    }
}

#[test]
fn a_manifest_that_somebody_reads_is_complete() {
    let bench = Bench::new();
    bench.file("file", 1_000);
    let path = fifo(&bench.from().join("fifo"));
    let receiver = bench.receive(&[]);
    let reader = std::thread::spawn({
        let path = path.clone();
        move || fs::read_to_string(path).expect("a pipe")
    });
    bench.send(&receiver, &["file"], &["--manifest", &path]).expect_code(0);
    assert!(reader.join().expect("it does not panic").ends_with("  file\n"));
    receiver.stop();
}

#[test]
fn a_file_that_a_simulation_writes_may_be_a_pipe_that_nobody_reads() {
    let bench = Bench::new();
    let path = fifo(&bench.from().join("fifo.svg"));
    for option in ["--trace", "--ladder-svg"] {
        let line = ["simulate", "--arq", "go-back-n", "--size", "50kB", option, &path];
        let running = Running::start(&bench.from(), &line);
        running.wait_until_it_watches_for_signals();
        expect_end_by_one_signal(running);
    }
    let line = ["simulate", "--sweep", "loss=0%..10%:5%", "--size", "50kB", "--plot", &path];
    let running = Running::start(&bench.from(), &line);
    running.wait_until_it_watches_for_signals();
    expect_end_by_one_signal(running);
}

#[test]
fn a_second_signal_ends_at_once_whatever_is_held() {
    for held in all_kinds() {
        let bench = Bench::new();
        bench.file("long", 8_000_000);
        // Farewells stay in this link for longer than anybody waits.
        let (mut receiver, address) = listen(&bench.to(), "recv . --json --delay 2s", held);
        let line =
            format!("send long {address} --open --json --cc fixed:2Mbit --retry 0 --delay 1s");
        let sender = Running::start(&bench.from(), &words(&line));
        bench.wait_for_first_bytes();
        wait_until("it ends", || {
            receiver.signal("TERM");
            receiver.has_ended()
        });
        receiver.finish().expect_code(143);
        drop(sender);
    }
}

#[test]
fn a_signal_that_a_wrapper_passes_on_counts_once() {
    for pair in [["INT", "INT"], ["INT", "TERM"]] {
        let bench = Bench::new();
        let receiver = bench.receive(&[]);
        let both = format!("kill -{} $0; kill -{} $0", pair[0], pair[1]);
        let id = receiver.running.id().to_string();
        let sent = std::process::Command::new("sh").args(["-c", &both, &id]).status();
        assert!(sent.expect("a shell").success());
        let ended = receiver.finish().expect_code(130);
        assert!(!ended.stderr.contains("twice"), "{}", ended.stderr);
    }
}
