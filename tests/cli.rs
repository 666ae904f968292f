//! The command line: exit codes, and the words that go along with them.

#[expect(dead_code, reason = "each test file uses its part of the harness")]
mod common;

use common::{Bench, CARRIERS, Running, free_port, words};
use std::fs;
use std::os::unix::ffi::OsStrExt;

/// What must never reach a terminal from a name that somebody else chose.
const ESCAPE: char = '\u{1b}';

#[test]
fn help_and_version_go_to_standard_output() {
    let bench = Bench::new();
    for command in ["", "demo", "recv", "receive", "send", "share", "get"] {
        for flag in ["-h", "--help"] {
            let help = bench.volley(&words(&format!("{command} {flag}"))).expect_code(0);
            assert!(help.stderr.is_empty(), "{}", help.stderr);
            for word in ["Usage: volley", "Exit codes:", "130 interrupted by the user"] {
                assert!(help.stdout.contains(word), "no \"{word}\" in:\n{}", help.stdout);
            }
        }
    }
    for flag in ["-V", "--version"] {
        let version = bench.volley(&[flag]).expect_code(0);
        assert_eq!(version.stdout, format!("volley {}\n", env!("CARGO_PKG_VERSION")));
    }
}

#[test]
fn what_cannot_be_read_is_named_before_anything_is_sent() {
    let bench = Bench::new();
    bench.file("file", 5);
    bench.file(".volley-partial", 5);
    // Nobody listens there, and nobody is asked.
    let port = free_port();
    for (paths, code, told) in [
        ("missing", 9, ["missing", "No such file"]),
        ("file missing", 9, ["missing", "No such file"]),
        ("/dev/null", 9, ["/dev/null", "neither file nor directory"]),
        (".volley-partial", 6, [".volley-partial", "not acceptable"]),
    ] {
        for carrier in ["", "--tcp"] {
            let line = format!("send {paths} 127.0.0.1:{port} --open {carrier}");
            bench.volley(&words(&line)).expect_code(code).expect_words(&told);
        }
    }
    let line = format!("send file ../from/file 127.0.0.1:{port} --open");
    bench.volley(&words(&line)).expect_code(1).expect_words(&["both", "\"file\""]);
}

#[test]
fn names_that_others_chose_are_shown_escaped() {
    let bench = Bench::new();
    let destination = format!("127.0.0.1:{}", free_port());
    for name in [&b"a\x1b[2Jb"[..], b"a\nb", b"a\\b", b"not \xff UTF-8", b"missing \x1b[2J"] {
        let name = std::ffi::OsStr::from_bytes(name);
        if !name.as_bytes().starts_with(b"missing") {
            fs::write(bench.from().join(name), "x").expect("Linux takes such names");
        }
        let arguments = ["send".as_ref(), name, destination.as_ref(), "--open".as_ref()];
        // A name that may not be is refused; what is not there is missing.
        let code = if name.as_bytes().starts_with(b"missing") { 9 } else { 6 };
        let sent = Running::start(&bench.from(), &arguments).finish().expect_code(code);
        let is_plain = sent.stderr.trim_end().chars().all(|c| !c.is_control());
        assert!(is_plain && !sent.stderr.is_empty(), "{:?}", sent.stderr);
    }
    let told = bench.volley(&["recv", "--open", "missing \u{1b}[2J"]).expect_code(1);
    assert!(!told.stderr.contains(ESCAPE), "{:?}", told.stderr);
}

#[test]
fn a_name_may_hold_spaces_quotes_and_letters_of_any_script() {
    let names = ["two words", "it's \"quoted\"", "Füße 文.txt", "-", "--open", "a:b", "$HOME", "*"];
    for carrier in CARRIERS {
        let bench = Bench::new();
        names.iter().for_each(|name| bench.file(name, 5));
        let receiver = bench.receive(&["--once"]);
        // A dash alone means standard input.
        let typed = names.map(|name| if name == "-" { "./-" } else { name });
        let line = [&["send", "--open"], carrier, &["--"], &typed, &[&receiver.address]].concat();
        bench.volley(&line).expect_code(0);
        receiver.finish().expect_code(0);
        bench.expect_arrived(&names);
    }
}

#[test]
fn a_receiver_that_cannot_start_says_what_is_in_the_way() {
    let bench = Bench::new();
    bench.file("file", 5);
    let receiver = bench.receive(&[]);
    let (_, port) = receiver.address.split_once(':').expect("an address");
    let fails = |line: &str, told: &[&str]| {
        let failed = bench.volley(&words(line)).expect_code(1).expect_words(told);
        assert!(failed.stdout.is_empty(), "{}", failed.stdout);
    };
    fails(&format!("recv --open --bind 127.0.0.1 --port {port}"), &[port, "in use"]);
    fails(&format!("recv --open --bind 127.0.0.1:{port}"), &[port, "in use"]);
    fails("recv --open --port 0 missing", &["missing", "No such file"]);
    fails("recv --open --port 0 file", &["file", "irectory"]);
    // Nobody may write there, not even root.
    fails("recv --open --port 0 /proc", &["/proc"]);
    fails("recv --open --port 0 --bind 192.0.2.99", &["192.0.2.99"]);
    receiver.stop();
}

#[test]
fn nobody_there_is_unreachable() {
    let bench = Bench::new();
    bench.file("file", 5);
    let port = free_port();
    for carrier in ["", "--tcp"] {
        let line = format!("send file nowhere.invalid:{port} --open {carrier}");
        bench.volley(&words(&line)).expect_code(3).expect_words(&["nowhere.invalid"]);
    }
    let line = format!("send file 127.0.0.1:{port} --open --tcp");
    let port = port.to_string();
    bench.volley(&words(&line)).expect_code(3).expect_words(&["127.0.0.1", &port, "volley recv"]);
}

#[test]
fn quiet_says_nothing_but_errors() {
    let bench = Bench::new();
    bench.file("file", 5_000);
    let port = free_port().to_string();
    let receiving = ["recv", ".", "--open", "-q", "--once", "--bind", "127.0.0.1", "-p", &port];
    let sending = format!("send file 127.0.0.1:{port} --open --quiet");
    for code in [0, 7] {
        let receiver = Running::start(&bench.to(), &receiving);
        let sent = bench.volley(&words(&sending)).expect_code(code);
        let received = receiver.finish().expect_code(code);
        assert_eq!((sent.stdout.as_str(), received.stdout.as_str()), ("", ""));
        assert_eq!(sent.stderr.is_empty(), code == 0, "{}", sent.stderr);
        assert!(code != 0 || received.stderr.is_empty(), "{}", received.stderr);
        bench.expect_names(&["file"]);
        fs::write(bench.to().join("file"), "something else").expect("ours");
    }
}

#[test]
fn json_is_one_object_on_each_side() {
    for (carrier, name) in CARRIERS.into_iter().zip(["udp", "tcp"]) {
        let bench = Bench::new();
        bench.file("file", 5_000);
        let contents = fs::read(bench.from().join("file")).expect("just written");
        let hash = blake3::hash(&contents).to_string();
        for code in [0, 7] {
            let receiver = bench.receive(&["--once", "--json"]);
            let sent = bench.send(&receiver, &["file"], &[carrier, &["--json"]].concat());
            let sent = sent.expect_code(code).json();
            let received = receiver.finish().expect_code(code).json();
            for (report, direction) in [(&sent, "sent"), (&received, "received")] {
                assert_eq!(report["exit_code"], code, "{report}");
                assert_eq!(report["direction"], direction);
                assert_eq!(report["carrier"], name);
                assert_eq!(report["bytes"], if code == 0 { 5_000 } else { 0 });
                let file = &report["files"][0];
                assert_eq!((file["name"].as_str(), &file["bytes"]), (Some("file"), &5_000.into()));
                let told = file["blake3"].as_str();
                assert_eq!(told, (code == 0).then_some(hash.as_str()), "{report}");
                assert_eq!(file["error"]["code"].as_i64(), (code != 0).then_some(code.into()));
            }
            fs::write(bench.to().join("file"), "something else").expect("ours");
            assert_eq!(sent["transport"].is_object(), name == "udp", "{sent}");
        }
    }
}

#[test]
fn json_is_one_object_also_where_there_is_no_transfer() {
    let bench = Bench::new();
    bench.file("file", 5);
    let port = free_port();
    for (line, code) in [
        (format!("send missing 127.0.0.1:{port} --open"), 9),
        (format!("send file 127.0.0.1:{port} --open --tcp"), 3),
        (format!("send file nowhere.invalid:{port} --open"), 3),
        ("recv missing --open --port 0".to_owned(), 1),
    ] {
        let failed = bench.volley(&words(&format!("{line} --json"))).expect_code(code);
        let report = failed.json();
        assert_eq!(report["exit_code"], code, "{report}");
        assert_eq!(report["error"]["code"], code, "{report}");
        let text = report["error"]["text"].as_str().expect("a sentence");
        assert!(failed.stderr.contains(text), "{text}\n{}", failed.stderr);
    }
}

#[test]
fn files_that_fail_for_different_reasons_make_exit_1() {
    for carrier in CARRIERS {
        let bench = Bench::new();
        [".hidden", "old", "new"].iter().for_each(|name| bench.file(name, 5));
        fs::write(bench.to().join("old"), "as it was").expect("written");
        let receiver = bench.receive(&[]);
        let sent = bench.send(&receiver, &[".hidden", "old", "new"], carrier).expect_code(1);
        sent.expect_words(&["not everything arrived", ".hidden", "\"old\" exists"]);
        receiver.stop();
        bench.expect_equal(&["new"]);
        bench.expect_names(&["old", "new"]);
    }
}

#[test]
fn a_transfer_succeeds_where_nobody_reads_what_is_said() {
    let bench = Bench::new();
    bench.file("file", 5_000);
    let port = free_port();
    let receiving = format!("recv . --open --once --json --bind 127.0.0.1 --port {port}");
    let receiver = Running::start_unheard(&bench.to(), &words(&receiving));
    let sending = format!("send file 127.0.0.1:{port} --open --json");
    let sender = Running::start_unheard(&bench.from(), &words(&sending));
    sender.finish().expect_code(0);
    receiver.finish().expect_code(0);
    bench.expect_arrived(&["file"]);
}
