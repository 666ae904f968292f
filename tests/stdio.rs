//! `-`: what comes from standard input, and what goes to standard output.

#[expect(dead_code, reason = "each test file uses its part of the harness")]
mod common;

use common::process::PROGRAM;
use common::terminal::Terminal;
use common::{Bench, CARRIERS, Outcome, Receiver, Running, free_port};
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// A receiver that writes to standard output.
const RECEIVE: [&str; 7] = ["recv", "-", "--open", "--bind", "127.0.0.1", "--port", "0"];

/// Bytes that are no text, of several groups.
fn noise(len: usize) -> Vec<u8> {
    (0..=u8::MAX).cycle().step_by(7).take(len).collect()
}

/// A directory for the temporary files of one process.
fn temporary(bench: &Bench) -> String {
    let path = bench.from().parent().expect("the bench").join("tmp");
    fs::create_dir_all(&path).expect("room for temporary files");
    path.to_str().expect("plain").to_owned()
}

#[track_caller]
fn expect_empty(directory: &str) {
    let left: Vec<_> = fs::read_dir(directory).expect("there").collect();
    assert!(left.is_empty(), "{left:?}");
}

/// Sends `bytes` as standard input.
#[track_caller]
fn send_bytes(bench: &Bench, address: &str, bytes: &[u8], options: &[&str]) -> Outcome {
    let tmp = temporary(bench);
    let line = [&["send", "-", address, "--open"], options].concat();
    let (sender, mut stdin) = Running::start_fed(&bench.from(), &line, &[("TMPDIR", &tmp)]);
    stdin.write_all(bytes).expect("it reads");
    drop(stdin);
    let sent = sender.finish();
    expect_empty(&tmp);
    sent
}

#[test]
fn standard_input_arrives_under_its_name_over_both_carriers() {
    for carrier in CARRIERS {
        let bench = Bench::new();
        let receiver = bench.receive(&[]);
        for (len, name) in [(0, "empty"), (5, "short"), (3_000_001, "Füße & so")] {
            let options = [carrier, &["--name", name]].concat();
            let sent = send_bytes(&bench, &receiver.address, &noise(len), &options).expect_code(0);
            assert!(sent.stderr.contains(&format!("sent {name}")), "{}", sent.stderr);
            assert_eq!(fs::read(bench.to().join(name)).expect("it arrived"), noise(len));
        }
        send_bytes(&bench, &receiver.address, b"hello\n", carrier).expect_code(0);
        assert_eq!(fs::read(bench.to().join("stdin")).expect("it arrived"), b"hello\n");
        let mode = fs::metadata(bench.to().join("stdin")).expect("there").permissions().mode();
        assert_eq!(mode & 0o111, 0, "as a shell makes files");
        send_bytes(&bench, &receiver.address, b"other\n", carrier).expect_code(7);
        receiver.stop();
    }
}

#[test]
fn standard_input_goes_beside_files() {
    let bench = Bench::new();
    bench.file("file", 5_000);
    let receiver = bench.receive(&["--once"]);
    let line = ["send", "-", "file", &receiver.address, "--open"];
    let (sender, mut stdin) = Running::start_fed(&bench.from(), &line, &[]);
    stdin.write_all(b"hello").expect("it reads");
    drop(stdin);
    sender.finish().expect_code(0);
    receiver.finish_by_farewell().expect_code(0);
    bench.expect_equal(&["file"]);
    bench.expect_names(&["file", "stdin"]);
}

#[test]
fn who_reads_standard_input_can_be_interrupted_and_leaves_nothing() {
    let bench = Bench::new();
    let tmp = temporary(&bench);
    let receiver = bench.receive(&[]);
    for (signal, options, code) in
        [("INT", &[][..], 130), ("TERM", &[], 143), ("", &["--timeout", "300ms"], 124)]
    {
        let line = [&["send", "-", &receiver.address, "--open"], options].concat();
        let (sender, mut stdin) = Running::start_fed(&bench.from(), &line, &[("TMPDIR", &tmp)]);
        // More than a pipe holds: it has begun to read, and has nothing to read now.
        let written = stdin.write_all(&noise(1 << 20));
        if !signal.is_empty() {
            written.expect("it reads");
            sender.signal(signal);
        }
        sender.finish().expect_code(code).expect_words(&["nothing has been sent"]);
        expect_empty(&tmp);
        drop(stdin);
    }
    receiver.stop();
    bench.expect_names(&[]);
}

#[test]
fn standard_input_that_finds_no_room_or_cannot_be_read_says_so() {
    let bench = Bench::new();
    let port = free_port();
    let line = format!("{PROGRAM} send - 127.0.0.1:{port} --open");
    let run = |script: &str| {
        let whole: [&str; 0] = [];
        let script = format!("{script}; exit $?");
        let outside = ["sh", "-c", &script, "sh"];
        Running::start_in(&outside, &bench.from(), &whole).finish()
    };
    let told = ["cannot keep standard input in", "after", "TMPDIR"];
    run(&format!("ulimit -f 100; head -c 1000000 /dev/zero | {line}"))
        .expect_code(8)
        .expect_words(&told);
    let told = ["cannot keep standard input in /nowhere", "No such file", "after 0 B", "TMPDIR"];
    run(&format!("export TMPDIR=/nowhere; echo hello | {line}")).expect_code(1).expect_words(&told);
    run(&format!("{line} < ."))
        .expect_code(9)
        .expect_words(&["cannot read standard input", "directory"]);
    run(&format!("echo hello | {line} --tcp")).expect_code(3).expect_words(&["volley recv"]);
}

#[test]
fn a_terminal_as_standard_input_is_refused_and_shows_how_much_was_read() {
    let bench = Bench::new();
    let receiver = bench.receive(&["--once"]);
    let line = ["send", "-", &receiver.address, "--open"];
    let (code, lines) = Terminal::start(&bench.from(), &line, &[]).finish();
    let said = lines.join(" ");
    assert!(
        code == Some(2) && said.contains("is a terminal") && said.contains("cat |"),
        "{lines:?}"
    );
    let (mut sender, mut stdin) = Terminal::start_fed(&bench.from(), &line);
    stdin.write_all(&noise(1 << 20)).expect("it reads");
    sender.wait_for("reading standard input: ");
    drop(stdin);
    assert_eq!(sender.finish().0, Some(0));
    receiver.finish_by_farewell().expect_code(0);
    assert_eq!(fs::read(bench.to().join("stdin")).expect("it arrived"), noise(1 << 20));
}

/// A receiver whose standard output goes to `out` in the receiver's directory.
fn receive_to_file(bench: &Bench, options: &[&str]) -> Receiver {
    let tmp = temporary(bench);
    let preparation = format!("export TMPDIR={tmp}; exec > out");
    let line = [&RECEIVE, options].concat();
    Receiver::listen(Running::start_prepared(&bench.to(), &preparation, &line))
}

fn written(bench: &Bench) -> Vec<u8> {
    fs::read(bench.to().join("out")).expect("the shell made it")
}

#[test]
fn one_file_goes_to_standard_output_over_both_carriers() {
    for carrier in CARRIERS {
        for size in [0, 5, 3_000_001] {
            let bench = Bench::new();
            bench.file(".file", size);
            // Whatever its mode, it can be read again.
            let closed = fs::Permissions::from_mode(0o200);
            let is_root = rustix::process::geteuid().is_root();
            if is_root {
                fs::set_permissions(bench.from().join(".file"), closed).expect("ours");
            }
            let receiver = receive_to_file(&bench, &[]);
            bench.send(&receiver, &[".file"], carrier).expect_code(0);
            receiver.finish_by_farewell().expect_code(0).expect_words(&["received .file"]);
            assert!(written(&bench) == fs::read(bench.from().join(".file")).expect("there"));
            expect_empty(&temporary(&bench));
        }
    }
}

#[test]
fn what_is_not_one_file_is_refused_and_nothing_is_written() {
    for carrier in CARRIERS {
        let bench = Bench::new();
        ["one", "two"].iter().for_each(|name| bench.file(name, 50_000));
        fs::create_dir(bench.from().join("tree")).expect("made");
        bench.file("tree/file", 5);
        for paths in [&["one", "two"][..], &["one", "tree"], &["tree"]] {
            let receiver = receive_to_file(&bench, &[]);
            let told = ["writes one file to its standard output", "or start recv with a directory"];
            bench.send(&receiver, paths, carrier).expect_code(6).expect_words(&told);
            receiver.finish_by_farewell().expect_code(6).expect_words(&told);
            assert_eq!(written(&bench), b"");
        }
    }
}

#[test]
fn half_a_file_is_never_written() {
    let bench = Bench::new();
    bench.file("file", 2_000_000);
    let receiver = receive_to_file(&bench, &[]);
    let mut sender = bench.start_sending(&receiver, &["file"], &["--cc", "fixed:2Mbit"]);
    receiver.wait_for("receiving one file for standard output");
    common::wait_until("bytes arrive", || holds_partial(Path::new(&temporary(&bench))));
    sender.kill();
    receiver.stop().expect_words(&["standard output has a complete file or nothing"]);
    assert_eq!(written(&bench), b"");
    expect_empty(&temporary(&bench));
}

/// Whether any file below the directory has bytes.
fn holds_partial(directory: &Path) -> bool {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.into_iter().any(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => holds_partial(&entry.path()),
        Ok(metadata) => metadata.len() > 0,
        Err(_) => false,
    })
}

#[test]
fn a_reader_that_has_left_is_an_error_on_both_sides() {
    for carrier in CARRIERS {
        let bench = Bench::new();
        bench.file("file", 500_000);
        let (running, reader) = Running::start_unread(&bench.to(), &RECEIVE);
        let receiver = Receiver::listen(running);
        drop(reader);
        let told = ["standard output", "Broken pipe", "nobody reads it any more"];
        bench.send(&receiver, &["file"], carrier).expect_code(1).expect_words(&told);
        receiver.finish_by_farewell().expect_code(1).expect_words(&told);
    }
}

#[test]
fn a_reader_that_stands_still_keeps_nobody_from_ending_in_time() {
    for carrier in CARRIERS {
        let bench = Bench::new();
        bench.file("file", 500_000);
        let line = [&RECEIVE[..], &["--timeout", "2s"]].concat();
        let (running, reader) = Running::start_unread(&bench.to(), &line);
        let receiver = Receiver::listen(running);
        let sender = bench.start_sending(&receiver, &["file"], carrier);
        let received = receiver.finish_by_farewell().expect_code(124);
        received.expect_words(&["may have a part of the file: do not use it"]);
        sender
            .finish_before_silence()
            .expect_code(4)
            .expect_words(&["start it again, then send again"]);
        drop(reader);
    }
}

#[test]
fn a_full_standard_output_is_a_full_disk() {
    let bench = Bench::new();
    bench.file("file", 500_000);
    let running = Running::start_prepared(&bench.to(), "exec > /dev/full", &RECEIVE);
    let receiver = Receiver::listen(running);
    let told = ["standard output", "No space left", "make room there"];
    bench.send(&receiver, &["file"], &[]).expect_code(8).expect_words(&told);
    receiver.finish_by_farewell().expect_code(8).expect_words(&told);
}

#[test]
fn a_terminal_shows_text_and_refuses_what_it_would_obey() {
    for (contents, code, shown) in [
        (&b"Hello, you two.\n"[..], 0, "Hello, you two."),
        (b"a\x1b]0;title\x07b", 6, "no plain text"),
    ] {
        let bench = Bench::new();
        fs::write(bench.from().join("file"), contents).expect("written");
        let port = free_port().to_string();
        let line = ["recv", "-", "--open", "--bind", "127.0.0.1", "--port", &port];
        let mut receiver = Terminal::start(&bench.to(), &line, &[]);
        receiver.wait_for("volley send FILE");
        let address = format!("127.0.0.1:{port}");
        bench.volley(&["send", "file", &address, "--open"]).expect_code(code);
        let (ended, lines) = receiver.finish();
        assert_eq!(ended, Some(code), "{lines:?}");
        assert!(lines.join(" ").contains(shown), "{lines:?}");
        assert!(!receiver.raw().contains("\u{1b}]0;"), "{lines:?}");
    }
}

#[test]
fn a_stream_that_is_closed_is_not_taken_for_an_empty_or_a_bottomless_one() {
    let bench = Bench::new();
    bench.file("file", 5_000);
    let receiver = bench.receive(&[]);
    let send = |preparation: &str| {
        let line = ["send", "-", &receiver.address, "--open"];
        Running::start_prepared(&bench.from(), preparation, &line).finish()
    };
    send("exec <&-").expect_code(9).expect_words(&["standard input is closed", "< /dev/null"]);
    send("exec < /dev/null").expect_code(0);
    receiver.stop();
    let sharer = bench.share(&["file"], &[]);
    let get = |preparation: &str| {
        let line = ["get", &sharer.address, "-", "--open"];
        Running::start_prepared(&bench.to(), preparation, &line).finish()
    };
    get("exec >&-").expect_code(1).expect_words(&["standard output is closed", "> /dev/null"]);
    get("exec > /dev/null").expect_code(0);
    sharer.stop();
}
