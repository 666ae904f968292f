//! When people and systems make mistakes: the documented exit code, and a sentence that says what
//! happened and what to do.

#[expect(dead_code, reason = "each test file uses its part of the harness")]
mod common;

use common::process::{RECEIVE, can, start_as_ordinary_user};
use common::terminal::Terminal;
use common::{Bench, CARRIERS, Outcome, Receiver, Running, free_port, note, words};
use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Slow enough that what a test does happens in the middle of a transfer.
const SLOWLY: [&str; 2] = ["--cc", "fixed:2Mbit"];

/// A file that takes seconds to send, and the options with which it does.
fn long_file(bench: &Bench, carrier: &[&str]) -> Vec<&'static str> {
    if carrier.is_empty() {
        bench.file("long", 4_000_000);
        SLOWLY.to_vec()
    } else {
        bench.long_file("long", 2 << 30);
        CARRIERS[1].to_vec()
    }
}

// Command lines.

/// One line of `wrong_command_lines.txt`.
struct Mistake {
    line: &'static str,
    code: i32,
    words: Vec<OsString>,
    told: Vec<&'static str>,
}

impl Mistake {
    fn read(line: &'static str) -> Self {
        let mut parts = line.splitn(3, '|').map(str::trim);
        let mut part = || parts.next().expect("three parts");
        let code = part().parse().expect("an exit code");
        let words = part().split(' ').map(unescape).collect();
        let told = part().split(" ; ").collect();
        Self { line, code, words, told }
    }
}

/// `''` and `\xNN` as the bytes that they stand for.
fn unescape(word: &str) -> OsString {
    if word == "''" {
        return OsString::new();
    }
    let mut parts = word.split("\\x");
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(&part[..2], 16).expect("two hexadecimal digits"));
        bytes.extend(part[2..].bytes());
    }
    OsString::from_vec(bytes)
}

/// What is wrong with the answer to a mistake.
fn faults(mistake: &Mistake, outcome: &Outcome) -> Vec<String> {
    let Outcome { code, stdout, stderr } = outcome;
    let mut faults = Vec::new();
    let mut check = |is_good: bool, fault: String| {
        if !is_good {
            faults.push(fault);
        }
    };
    check(*code == Some(mistake.code), format!("exit code {code:?}"));
    let (sentence, rest) = stderr.split_once('\n').unwrap_or((stderr, ""));
    check(sentence.starts_with("error: "), "it does not begin with \"error: \"".into());
    let usual = if mistake.code == 2 { "\nFor more information, try '--help'.\n" } else { "" };
    check(rest == usual, format!("more than one sentence: {rest:?}"));
    let is_plain = sentence.chars().all(|c| !c.is_control() && c != '\u{202e}');
    check(is_plain && stdout.is_empty(), format!("not plain: {sentence:?} {stdout:?}"));
    for told in &mistake.told {
        check(sentence.contains(told), format!("it does not say \"{told}\""));
    }
    faults
}

#[test]
fn every_wrong_command_line_gets_its_exit_code_and_one_clear_sentence() {
    /// At the same time.
    const WIDTH: usize = 8;
    let bench = Bench::new();
    bench.file("file", 5);
    bench.file("photo.jpeg", 5);
    fs::create_dir(bench.from().join("folder")).expect("made");
    bench.file("folder/notes.txt", 5);
    let lines = include_str!("wrong_command_lines.txt").lines();
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mistakes: Vec<Mistake> = lines.map(Mistake::read).collect();
    assert!(mistakes.len() >= 200, "{}", mistakes.len());
    let (next, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..WIDTH {
            scope.spawn(|| {
                while let Some(mistake) = mistakes.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = Running::start(&bench.from(), &mistake.words).finish();
                    let faults = faults(mistake, &outcome);
                    if !faults.is_empty() {
                        failed.fetch_add(1, Ordering::Relaxed);
                        eprintln!("{}\n  {}  {faults:?}", mistake.line, outcome.stderr);
                    }
                }
            });
        }
    });
    assert_eq!(failed.into_inner(), 0, "wrong command lines with a wrong answer, see above");
}

#[test]
fn no_words_at_all_get_the_help() {
    let outcome = Bench::new().volley(&[]).expect_code(2).expect_words(&["Usage: volley"]);
    assert!(outcome.stdout.is_empty(), "{}", outcome.stdout);
}

// Exit codes.

/// Where to send so that byte number `at` of what a sender says over TCP is changed on its way to `to`.
fn damaging_proxy(to: &str, at: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let address = listener.local_addr().expect("bound").to_string();
    let to = to.to_owned();
    std::thread::spawn(move || {
        let (near, _) = listener.accept().expect("the sender comes");
        let far = TcpStream::connect(to).expect("the receiver listens");
        std::thread::scope(|scope| {
            scope.spawn(|| pass_on(&near, &far, Some(at)));
            pass_on(&far, &near, None);
        });
    });
    address
}

/// Passes on what comes until its end, with one bit of byte number `at` changed.
fn pass_on(mut from: &TcpStream, mut to: &TcpStream, at: Option<usize>) {
    let mut piece = [0; 4096];
    let mut passed = 0;
    while let Ok(len @ 1..) = from.read(&mut piece) {
        if let Some(bad) = at.and_then(|at| at.checked_sub(passed)).filter(|bad| *bad < len) {
            piece[bad] ^= 1;
        }
        passed += len;
        if to.write_all(&piece[..len]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

#[test]
fn a_byte_that_changes_on_the_way_is_an_integrity_failure_on_both_sides() {
    let bench = Bench::new();
    bench.file("file", 2_000_000);
    let receiver = bench.receive(&["--once"]);
    let address = damaging_proxy(&receiver.address, 1_000_000);
    let sent = bench.volley(&["send", "file", &address, "--open", "--tcp"]);
    sent.expect_code(5).expect_words(&["\"file\" arrived other than it was read"]);
    receiver.finish().expect_code(5).expect_words(&["nothing of it is kept"]);
    bench.expect_names(&[]);
}

/// A datagram that says which versions somebody speaks, in answer to `hello`.
fn versions_packet(hello: &[u8], versions: &[u16]) -> Vec<u8> {
    // PROTOCOL.md 3 and 4: header version 1, type 3; the initiator's id from the HELLO's message.
    let mut packet = vec![0; 16];
    packet[0] = 1 << 6 | 3;
    packet[1..5].copy_from_slice(&hello[16..20]);
    packet[5..9].copy_from_slice(&hello[5..9]);
    packet.push(u8::try_from(versions.len()).expect("few"));
    packet.extend(versions.iter().flat_map(|version| version.to_be_bytes()));
    packet.extend([0; 4]);
    volley::wire::protection::seal(&mut packet);
    packet
}

fn send_to_newer_udp_listener(bench: &Bench) -> Outcome {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback");
    let address = socket.local_addr().expect("bound").to_string();
    let sender = Running::start(&bench.from(), &["send", "file", &address, "--open"]);
    let mut hello = [0; 2000];
    let (len, peer) = socket.recv_from(&mut hello).expect("a HELLO");
    socket.send_to(&versions_packet(&hello[..len], &[2, 3]), peer).expect("loopback");
    sender.finish()
}

/// Answers a sender's first record with `answer`.
fn send_to_newer_tcp_listener(bench: &Bench, answer: &[u8]) -> Outcome {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let address = listener.local_addr().expect("bound").to_string();
    let sender = Running::start(&bench.from(), &["send", "file", &address, "--open", "--tcp"]);
    let (mut stream, _) = listener.accept().expect("the sender comes");
    stream.read_exact(&mut [0; 5]).expect("a record");
    stream.write_all(answer).expect("it listens");
    let outcome = sender.finish();
    drop(stream);
    outcome
}

#[test]
fn another_version_of_the_protocol_is_named() {
    let bench = Bench::new();
    bench.file("file", 5);
    let udp = send_to_newer_udp_listener(&bench);
    udp.expect_code(10).expect_words(&["other versions of the protocol", "[2, 3]", "same version"]);
    // WELCOME with version 2, and CLOSE with code 10.
    let welcome = [1, 0, 0, 0, 2, 0, 2];
    let tcp = send_to_newer_tcp_listener(&bench, &welcome);
    tcp.expect_code(10).expect_words(&["speaks version 2", "same version"]);
    let close = [&[4, 0, 0, 0, 13, 0, 10, 10][..], b"no such one"].concat();
    let tcp = send_to_newer_tcp_listener(&bench, &close[..18]);
    tcp.expect_code(10).expect_words(&["no such on"]);
}

#[test]
fn a_sender_of_another_version_is_told_so_and_the_next_one_served() {
    let bench = Bench::new();
    bench.file("file", 5_000);
    let receiver = bench.receive(&["--once"]);
    let mut stream = TcpStream::connect(&receiver.address).expect("it listens");
    // HELLO with version 9 only.
    let hello = [&[0, 0, 0, 0, 11][..], b"volley", &[1, 0, 9, 0, 0]].concat();
    stream.write_all(&hello).expect("it listens");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer and its end");
    assert_eq!((answer[0], &answer[5..7]), (4, &[0, 10][..]), "CLOSE with code 10");
    drop(stream);
    bench.send(&receiver, &["file"], &[]).expect_code(0);
    receiver.finish_by_farewell().expect_code(0);
}

/// Does what the README's table says about `code`.
fn reach(code: i32) -> Option<i32> {
    let bench = Bench::new();
    bench.file("file", 5_000);
    let options =
        if [4, 124, 129, 130, 143].contains(&code) { long_file(&bench, &[]) } else { vec![] };
    let port = free_port();
    let stop_sender = |signal: &str| {
        let receiver = bench.receive(&[]);
        let sender = bench.start_sending(&receiver, &["long"], &options);
        bench.wait_for_first_bytes();
        sender.signal(signal);
        sender.finish()
    };
    let outcome = match code {
        0 => bench.send(&bench.receive(&[]), &["file"], &[]),
        1 => bench.volley(&["recv", "missing", "--open"]),
        2 => bench.volley(&["send"]),
        3 => bench.volley(&words(&format!("send file 127.0.0.1:{port} --open --tcp"))),
        4 => {
            let receiver = bench.receive(&[]);
            let sender = bench.start_sending(&receiver, &["long"], &options);
            bench.wait_for_first_bytes();
            receiver.stop();
            sender.finish()
        }
        5 => {
            bench.file("file", 2_000_000);
            let receiver = bench.receive(&[]);
            let address = damaging_proxy(&receiver.address, 1_000_000);
            bench.volley(&["send", "file", &address, "--open", "--tcp"])
        }
        6 => {
            bench.file(".hidden", 5);
            bench.send(&bench.receive(&[]), &[".hidden"], &[])
        }
        7 => {
            fs::write(bench.to().join("file"), "there").expect("written");
            bench.send(&bench.receive(&[]), &["file"], &[])
        }
        8 => bench.send(&receive_prepared(&bench, "ulimit -f 1", &[]), &["file"], &[]),
        9 => bench.volley(&words(&format!("send missing 127.0.0.1:{port} --open"))),
        10 => send_to_newer_udp_listener(&bench),
        124 => {
            let options = [&options[..], &["--timeout", "500ms"]].concat();
            bench.send(&bench.receive(&[]), &["long"], &options)
        }
        129 => stop_sender("HUP"),
        130 => stop_sender("INT"),
        143 => stop_sender("TERM"),
        _ => panic!("no way to reach exit code {code} is known"),
    };
    outcome.code
}

#[test]
fn every_exit_code_of_the_readme_is_reached() {
    let readme = include_str!("../README.md");
    let table = readme.split("## Exit codes").nth(1).expect("it has that table");
    let rows = table.lines().skip_while(|line| !line.starts_with("|---"));
    let rows = rows.skip(1).take_while(|line| line.starts_with('|'));
    let cells = rows.map(|row| row.split('|').nth(1).expect("a first cell"));
    let codes: Vec<i32> =
        cells.flat_map(|cell| cell.split(',').map(|code| code.trim().parse().unwrap())).collect();
    assert!(codes.len() >= 15, "{codes:?}");
    for code in codes {
        note(&format!("exit code {code}"));
        assert_eq!(reach(code), Some(code));
    }
}

// What a machine may refuse.

fn receive_prepared(bench: &Bench, preparation: &str, options: &[&str]) -> Receiver {
    let line = [&RECEIVE, options].concat();
    Receiver::listen(Running::start_prepared(&bench.to(), preparation, &line))
}

#[test]
fn a_port_in_use_is_named_whichever_protocol_has_it() {
    let bench = Bench::new();
    for is_udp in [true, false] {
        let port = free_port();
        let address = ("127.0.0.1", port);
        let _udp = is_udp.then(|| UdpSocket::bind(address).expect("free"));
        let _tcp = (!is_udp).then(|| TcpListener::bind(address).expect("free"));
        let line = format!("recv --open --bind 127.0.0.1 --port {port}");
        let told = [&format!("port {port} is in use"), "--port"];
        bench.volley(&words(&line)).expect_code(1).expect_words(&told);
    }
}

/// A network of its own in which IPv6 is off.
const WITHOUT_IPV6: &str = "ip link set lo up && echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6";

#[test]
fn where_ipv6_is_off_ipv4_works_and_ipv6_is_explained() {
    if !can(&["unshare", "-rn", "sh", "-c", WITHOUT_IPV6]) {
        return;
    }
    let bench = Bench::new();
    bench.file("file", 5_000);
    let start = |directory: &Path, line: &str| {
        let script = format!("{WITHOUT_IPV6}; exec \"$@\"");
        let outside = ["unshare", "-rn", "sh", "-c", &script, "sh"];
        Running::start_in(&outside, directory, &words(line))
    };
    let outcome = start(&bench.from(), "recv --open --bind ::1").finish().expect_code(1);
    outcome.expect_words(&["::1 is no address of this machine", "--bind"]);
    let outcome = start(&bench.from(), "send file ::1 --open --tcp").finish().expect_code(3);
    outcome.expect_words(&["cannot connect to ::1", "check"]);
    let outcome = start(&bench.from(), "send file ::1 --open").finish().expect_code(3);
    outcome.expect_words(&["::1", "7117", "check"]);
    // Without --bind it listens on what there is.
    let receiver = start(&bench.to(), "recv --open --timeout 1s").finish().expect_code(124);
    receiver.expect_words(&["volley send PATH... 127.0.0.1 --open"]);
}

#[test]
fn a_host_that_listens_on_ipv4_only_does_not_answer_on_ipv6() {
    let bench = Bench::new();
    bench.file("file", 5);
    let receiver = bench.receive(&[]);
    let port = receiver.address.rsplit_once(':').expect("a port").1;
    for carrier in ["", "--tcp"] {
        let line = format!("send file [::1]:{port} --open {carrier}");
        bench.volley(&words(&line)).expect_code(3).expect_words(&["::1", port, "check"]);
    }
}

#[test]
fn files_and_directories_of_others_are_named_with_what_to_do() {
    let bench = Bench::new();
    bench.file("secret", 5);
    let set_mode = |path: &Path, mode| {
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("ours");
    };
    set_mode(bench.from().parent().expect("below the root"), 0o755);
    set_mode(&bench.from().join("secret"), 0o000);
    set_mode(&bench.to(), 0o555);
    let sending = words("send secret 127.0.0.1 --open");
    let Some(sender) = start_as_ordinary_user(&bench.from(), &sending) else {
        return;
    };
    sender.finish().expect_code(9).expect_words(&[
        "cannot read secret",
        "Permission denied",
        "leave",
    ]);
    let receiver = start_as_ordinary_user(&bench.to(), &RECEIVE).expect("as before");
    let told = ["cannot receive into .", "Permission denied", "that you may write to"];
    receiver.finish().expect_code(1).expect_words(&told);
}

#[test]
fn a_limit_on_file_sizes_at_the_receiver_is_a_full_disk_and_kills_nobody() {
    for carrier in CARRIERS {
        let bench = Bench::new();
        bench.file("file", 1_000_000);
        bench.file("small", 1_000);
        let receiver = receive_prepared(&bench, "ulimit -f 100", &[]);
        let told = ["cannot store \"file\"", "File too large", "ulimit -f"];
        bench.send(&receiver, &["file"], carrier).expect_code(8).expect_words(&told);
        bench.send(&receiver, &["small"], carrier).expect_code(0);
        receiver.stop().expect_words(&told);
        bench.expect_arrived(&["small"]);
    }
}

#[test]
fn too_few_open_files_to_serve_anybody_is_told_at_once_and_a_few_are_enough() {
    let bench = Bench::new();
    bench.file("file", 5_000);
    // The program inherits what whoever runs the tests left open; so far from both sides of the bound.
    for few in ["ulimit -n 8", "ulimit -n 12", "ulimit -n 21"] {
        let run = Running::start_prepared(&bench.to(), few, &RECEIVE);
        let told = ["files are all that this program may have open", "ulimit -n 256"];
        run.finish().expect_code(1).expect_words(&told);
    }
    let receiver = receive_prepared(&bench, "ulimit -n 32", &["--once"]);
    bench.send(&receiver, &["file"], &[]).expect_code(0);
    receiver.finish_by_farewell().expect_code(0);
    bench.expect_arrived(&["file"]);
}

#[test]
fn a_full_disk_is_told_before_anything_is_sent() {
    if !can(&["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"]) {
        return;
    }
    for carrier in CARRIERS {
        let bench = Bench::new();
        bench.file("file", 1_000_000);
        let start = |options: &str| {
            let mount = format!("mount -t tmpfs -o {options} none . && cd \"$PWD\" && exec \"$@\"");
            let outside = ["unshare", "-rm", "sh", "-c", &mount, "sh"];
            Running::start_in(&outside, &bench.to(), &[&RECEIVE[..], &["--once"]].concat())
        };
        let receiver = Receiver::listen(start("size=512k"));
        let told = ["no room for \"file\"", "977 KiB wanted", "512 KiB free", "make room"];
        bench.send(&receiver, &["file"], carrier).expect_code(8).expect_words(&told);
        receiver.finish_by_farewell().expect_code(8).expect_words(&["no room for \"file\""]);
        let full = start("nr_inodes=1").finish().expect_code(8);
        full.expect_words(&["cannot receive into .", "No space left", "make room there"]);
    }
}

// Nobody listens to what is said, or a terminal does.

#[test]
fn exit_codes_stay_where_outputs_are_closed_or_full() {
    let bench = Bench::new();
    bench.file("file", 5_000);
    let port = free_port();
    for preparation in ["exec >&- 2>&-", "exec >/dev/full 2>/dev/full", "exec <&- >&- 2>&-"] {
        note(preparation);
        for (line, code) in [
            ("--help".to_owned(), 0),
            ("send --help".to_owned(), 0),
            ("--version".to_owned(), 0),
            (String::new(), 2),
            ("send".to_owned(), 2),
            ("send --open file".to_owned(), 2),
            (format!("send file 127.0.0.1:{port} --open --tcp --json"), 3),
            (format!("send missing 127.0.0.1:{port} --open --json"), 9),
            ("recv missing --open --json".to_owned(), 1),
        ] {
            let run = Running::start_prepared(&bench.from(), preparation, &words(&line));
            run.finish().expect_code(code);
        }
        let receiver = bench.receive(&["--once", "--overwrite"]);
        let line = format!("send file {} --open --json", receiver.address);
        Running::start_prepared(&bench.from(), preparation, &words(&line)).finish().expect_code(0);
        receiver.finish_by_farewell().expect_code(0);
        bench.expect_arrived(&["file"]);
    }
}

#[test]
fn off_a_terminal_there_are_lines_and_nothing_else() {
    let bench = Bench::new();
    bench.file("file", 300_000);
    let receiver = bench.receive(&["--once"]);
    let sent = bench.send(&receiver, &["file"], &SLOWLY).expect_code(0);
    let received = receiver.finish_by_farewell().expect_code(0);
    for said in [sent.stderr, received.stderr] {
        let is_plain = said.chars().all(|c| c == '\n' || !c.is_control());
        assert!(is_plain && !said.contains('░') && !said.contains('█'), "{said:?}");
    }
}

/// Orders that colour or embolden.
fn has_style(raw: &str) -> bool {
    raw.split("\u{1b}[").skip(1).any(|order| {
        let end = order.find(|c: char| !c.is_ascii_digit() && c != ';');
        end.is_some_and(|end| order[end..].starts_with('m'))
    })
}

/// util-linux is what gives a program a terminal of its own.
fn has_terminals() -> bool {
    can(&["setsid", "--version"])
}

#[test]
fn no_color_means_no_colour() {
    if !has_terminals() {
        return;
    }
    let bench = Bench::new();
    bench.file("file", 300_000);
    let show = |line: &str, environment: &[(&str, &str)], code: i32| {
        let mut terminal = Terminal::start(&bench.from(), &words(line), environment);
        assert_eq!(terminal.finish().0, Some(code), "{}", terminal.raw());
        terminal.raw()
    };
    assert!(has_style(&show("--help", &[], 0)), "the help has headings");
    assert!(!has_style(&show("--help", &[("NO_COLOR", "1")], 0)));
    assert!(!has_style(&show("send --open", &[("NO_COLOR", "1")], 2)));
    let receiver = bench.receive(&["--once"]);
    let line = format!("send file {} --open --cc fixed:2Mbit", receiver.address);
    let shown = show(&line, &[("NO_COLOR", "1")], 0);
    assert!(shown.contains('░') && !has_style(&shown), "{shown:?}");
}

#[test]
fn a_long_sweep_shows_how_far_it_is_and_ends_at_ctrl_c() {
    if !has_terminals() {
        return;
    }
    let bench = Bench::new();
    let line = "simulate --sweep loss=0%..30%:0.5% --repeat 1000 --size 1MB --seed 1";
    let mut terminal = Terminal::start(&bench.from(), &words(line), &[]);
    terminal.wait_for("of 244000 runs");
    terminal.interrupt();
    let (code, shown) = terminal.finish();
    assert_eq!(code, Some(130), "{shown:?}");
    assert_eq!(shown, ["error: interrupted"]);
}

#[test]
fn a_dumb_terminal_gets_no_bar() {
    if !has_terminals() {
        return;
    }
    let bench = Bench::new();
    bench.file("file", 300_000);
    let receiver = bench.receive(&["--once"]);
    let line = format!("send file {} --open --cc fixed:2Mbit", receiver.address);
    let mut terminal = Terminal::start(&bench.from(), &words(&line), &[("TERM", "dumb")]);
    assert_eq!(terminal.finish().0, Some(0));
    let shown = terminal.raw();
    assert!(!shown.contains('\u{1b}') && !shown.contains('░'), "{shown:?}");
}

// Told to end.

/// The last lines on a terminal after Ctrl-C: a whole sentence, and no bar.
#[track_caller]
fn expect_clean_end(terminal: &mut Terminal, code: i32, sentence: &str) {
    let (ended, lines) = terminal.finish();
    assert_eq!(ended, Some(code), "{lines:#?}");
    let is_bar = |line: &&String| line.contains('░') || line.contains('█') || line.contains("RTT ");
    assert_eq!(lines.iter().find(is_bar), None, "a bar is left: {lines:#?}");
    assert_eq!(lines.last().map(String::as_str), Some(sentence), "{lines:#?}");
}

#[test]
fn ctrl_c_on_a_terminal_leaves_a_whole_sentence_and_no_bar() {
    if !has_terminals() {
        return;
    }
    for carrier in CARRIERS {
        let bench = Bench::new();
        let options = long_file(&bench, carrier).join(" ");
        let receiver = bench.receive(&[]);
        let line = format!("send long {} --open {options}", receiver.address);
        let mut sender = Terminal::start(&bench.from(), &words(&line), &[]);
        sender.wait_for("left");
        sender.interrupt();
        let told = "interrupted; what had arrived is kept; the same command goes on from there";
        expect_clean_end(&mut sender, 130, told);
        receiver.wait_for(&told_by_sender(carrier, "the other side was interrupted"));
        receiver.stop();

        let line = format!("recv . --open --bind 127.0.0.1 --port {}", free_port());
        let mut receiver = Terminal::start(&bench.to(), &words(&line), &[]);
        receiver.wait_for("--open\r\n");
        let port = line.rsplit_once(' ').expect("words").1;
        let sending = format!("send long 127.0.0.1:{port} --open {options}");
        let sender = Running::start(&bench.from(), &words(&sending));
        receiver.wait_for("left");
        receiver.interrupt();
        let told = "interrupted; what is complete is kept, and of the rest what the same command can go on with";
        expect_clean_end(&mut receiver, 130, told);
        sender.finish().expect_code(4).expect_words(&["the other side was interrupted"]);
    }
}

/// What a receiver says of a sender that was told to end. Over TCP the sender's last word has no room
/// where the receiver is slow to read, and then only the end of the stream tells it.
fn told_by_sender(carrier: &[&str], words: &str) -> String {
    if carrier.is_empty() { words.into() } else { "nothing received from".into() }
}

/// Interrupts again and again until it has ended: one is an order, two are an end.
fn interrupt_twice(mut running: Running) -> Outcome {
    common::wait_until("it ends", || {
        running.signal("INT");
        running.has_ended()
    });
    running.finish()
}

#[test]
fn a_second_ctrl_c_ends_at_once_on_either_side() {
    let told = ["interrupted twice", "goes on from what was written down"];
    let bench = Bench::new();
    let options = long_file(&bench, &[]);
    // Farewells stay in this link for longer than anybody waits.
    let slow = ["--delay", "2s"];
    let receiver = bench.receive(&[]);
    let sender = bench.start_sending(&receiver, &["long"], &[&options[..], &slow].concat());
    bench.wait_for_first_bytes();
    interrupt_twice(sender).expect_code(130).expect_words(&told);
    receiver.stop();

    let receiver = bench.receive(&slow);
    let sender = bench.start_sending(&receiver, &["long"], &options);
    bench.wait_for_first_bytes();
    interrupt_twice(receiver.running).expect_code(130).expect_words(&told);
    // What the last one left is removed by the next, but for what can be gone on with.
    bench.receive(&[]).stop();
    bench.expect_names(&[]);
    drop(sender);
}

#[test]
fn a_second_ctrl_c_ends_at_once_over_tcp() {
    let bench = Bench::new();
    let options = [&long_file(&bench, CARRIERS[1])[..], &["--retry", "0"]].concat();
    let receiver = bench.receive(&[]);
    let sender = bench.start_sending(&receiver, &["long"], &options);
    bench.wait_for_first_bytes();
    // One interrupt may be enough before the second one comes.
    let sent = interrupt_twice(sender).expect_code(130);
    sent.expect_words(&["interrupted"]);
    receiver.stop();
    bench.forget_unfinished();
    let receiver = bench.receive(&[]);
    let sender = bench.start_sending(&receiver, &["long"], &options);
    bench.wait_for_first_bytes();
    interrupt_twice(receiver.running).expect_code(130).expect_words(&["interrupted"]);
    sender.finish().expect_code(4).expect_words(&["send again"]);
}

#[test]
fn a_hangup_ends_either_side_in_good_order() {
    for carrier in CARRIERS {
        let bench = Bench::new();
        let options = long_file(&bench, carrier);
        let receiver = bench.receive(&[]);
        let sender = bench.start_sending(&receiver, &["long"], &options);
        bench.wait_for_first_bytes();
        sender.signal("HUP");
        sender.finish().expect_code(129).expect_words(&["interrupted"]);
        receiver.wait_for(&told_by_sender(carrier, "the other side was interrupted"));
        bench.forget_unfinished();
        let sender = bench.start_sending(&receiver, &["long"], &options);
        bench.wait_for_first_bytes();
        receiver.running.signal("HUP");
        receiver.finish().expect_code(129).expect_words(&["interrupted; what is complete"]);
        sender.finish().expect_code(4).expect_words(&["the other side was interrupted"]);
        bench.expect_names(&[]);
    }
}

#[test]
fn under_nohup_a_hangup_is_nothing() {
    let bench = Bench::new();
    bench.file("file", 5_000);
    let receiver = receive_prepared(&bench, "trap '' HUP", &["--once"]);
    receiver.running.signal("HUP");
    bench.send(&receiver, &["file"], &[]).expect_code(0);
    receiver.finish_by_farewell().expect_code(0);
    bench.expect_arrived(&["file"]);
}

#[test]
fn a_terminal_that_is_closed_ends_the_sender_and_tells_the_receiver() {
    if !has_terminals() {
        return;
    }
    let bench = Bench::new();
    let options = long_file(&bench, &[]).join(" ");
    let receiver = bench.receive(&[]);
    let line = format!("send long {} --open {options}", receiver.address);
    let mut sender = Terminal::start(&bench.from(), &words(&line), &[]);
    sender.wait_for("left");
    sender.close();
    assert_eq!(sender.finish().0, Some(129));
    receiver.wait_for("the other side was interrupted");
    receiver.stop();
    bench.expect_names(&[]);
}

#[test]
fn what_takes_longer_than_its_timeout_ends_with_124_and_tells_the_other_side() {
    for carrier in CARRIERS {
        let bench = Bench::new();
        let options = [&long_file(&bench, carrier)[..], &["--timeout", "400ms"]].concat();
        let receiver = bench.receive(&[]);
        let sent = bench.send(&receiver, &["long"], &options).expect_code(124);
        sent.expect_words(&["--timeout is up", "the same command goes on"]);
        receiver.wait_for(&told_by_sender(carrier, "the time limit of the other side is up"));
        receiver.stop();
        bench.expect_names(&[]);
    }
}

#[test]
fn a_receiver_whose_timeout_is_up_tells_its_senders() {
    let bench = Bench::new();
    let options = long_file(&bench, &[]);
    let receiver = bench.receive(&["--timeout", "2s"]);
    let sender = bench.start_sending(&receiver, &["long"], &options);
    receiver
        .finish()
        .expect_code(124)
        .expect_words(&["--timeout is up", "what is complete is kept"]);
    sender.finish().expect_code(4).expect_words(&["the time limit of the other side is up"]);
    bench.expect_names(&[]);
}

#[test]
fn a_timeout_counts_where_nobody_answers_and_not_after_the_end() {
    let bench = Bench::new();
    bench.file("file", 5_000);
    let silent = UdpSocket::bind("127.0.0.1:0").expect("loopback");
    let address = silent.local_addr().expect("bound");
    let line = format!("send file {address} --open --timeout 300ms");
    bench.volley(&words(&line)).expect_code(124).expect_words(&["--timeout is up"]);
    bench.volley(&words("recv --open --port 0 --timeout 300ms")).expect_code(124);
    let receiver = bench.receive(&["--once", "--timeout", "1h"]);
    bench.send(&receiver, &["file"], &["--timeout", "1h"]).expect_code(0);
    receiver.finish_by_farewell().expect_code(0);
}
