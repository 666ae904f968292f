//! How a dialer gets to a listener: over TCP where UDP is blocked, and again when it was lost.

#[expect(dead_code, reason = "each test file uses its part of the harness")]
mod common;

use common::process::can;
use common::relay::TcpRelay;
use common::schema::Schema;
use common::{Bench, CARRIERS, Receiver, Running, free_port, words};
use serde_json::Value;
use socket2::{Domain, Socket, Type};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

/// What is said of a way that is not taken.
const FELL_BACK: &str = "going on over TCP";
const TRIES_AGAIN: &str = "trying again in 1 s, for";

/// A listener that UDP does not reach: the relay in front of it is for TCP.
fn behind_tcp(listener: &Receiver) -> TcpRelay {
    TcpRelay::start(&listener.address, 1 << 16, None)
}

/// A receiver at a port that another one can have later.
fn receive_at(bench: &Bench, port: u16) -> Running {
    let line = format!("recv . --open --bind 127.0.0.1 --port {port}");
    let mut running = Running::start(&bench.to(), &words(&line));
    running.wait_to_read(|said| said.contains("type:").then_some(()));
    running
}

/// A sender of a file of a second or more in the middle, and the receiver at `port` killed.
fn lose(bench: &Bench, port: u16, carrier: &[&str], options: &str) -> Running {
    if carrier.is_empty() {
        bench.file("file", 500_000);
    } else {
        bench.long_file("file", 300 << 20);
    }
    let rate = if carrier.is_empty() { "--cc fixed:2Mbit" } else { "--tcp" };
    let mut receiver = receive_at(bench, port);
    let line = format!("send file 127.0.0.1:{port} --open {rate} {options}");
    let sender = Running::start(&bench.from(), &words(&line));
    bench.wait_for_first_bytes();
    receiver.kill();
    sender
}

#[test]
fn a_receiver_that_was_started_anew_says_so_and_is_tried_again_before_silence() {
    let bench = Bench::new();
    let port = free_port();
    let sender = lose(&bench, port, &[], "--retry 1min");
    let _receiver = receive_at(&bench, port);
    // Refusals have stopped, and a silent receiver would be missed after 30 s.
    let sent = sender.finish_before_silence().expect_code(0);
    sent.expect_words(&["trying again"]);
    bench.expect_equal(&["file"]);
}

#[test]
fn a_port_that_udp_does_not_reach_is_reached_over_tcp() {
    let bench = Bench::new();
    bench.file("file", 100_000);
    let receiver = bench.receive(&["--once"]);
    let relay = behind_tcp(&receiver);
    let line = format!("send file {} --open --json", relay.address);
    let sent = bench.volley(&words(&line)).expect_code(0).expect_words(&[FELL_BACK, "--udp"]);
    assert_eq!((&sent.json()["carrier"], &sent.json()["bytes"]), (&"tcp".into(), &100_000.into()));
    receiver.finish_by_farewell().expect_code(0);
    bench.expect_arrived(&["file"]);
    let sharer = bench.share(&["file"], &[]);
    let relay = behind_tcp(&sharer);
    for options in ["--overwrite --jsonl", "--list"] {
        let line = format!("get {} --open {options}", relay.address);
        let got = Running::start(&bench.to(), &words(&line)).finish().expect_code(0);
        let got = got.expect_words(&[FELL_BACK]);
        if options == "--list" {
            assert!(got.stdout.contains("97.7 KiB  file"), "{}", got.stdout);
            continue;
        }
        let kinds = kinds(&got.stdout);
        assert_eq!(kinds.iter().filter(|kind| *kind == "fallback").count(), 1, "{kinds:?}");
        assert_eq!(kinds.last().map(String::as_str), Some("complete"));
    }
    let told = sharer.stop().stderr;
    assert!(!told.contains("connected and"), "the question is no transfer: {told}");
}

/// The kinds of the events, all of them valid.
#[track_caller]
fn kinds(text: &str) -> Vec<String> {
    let schema = Schema::load("jsonl.schema.json");
    let events = text.lines().map(|line| serde_json::from_str(line).expect("JSON"));
    events
        .map(|event: Value| {
            assert_eq!(schema.fault(&event), None);
            event["event"].as_str().expect("a word").to_owned()
        })
        .collect()
}

#[test]
fn a_udp_port_that_stays_silent_gives_way_to_tcp_before_its_time_is_up() {
    let bench = Bench::new();
    bench.file("file", 100_000);
    let receiver = bench.receive(&["--once"]);
    let relay = behind_tcp(&receiver);
    let _silent = UdpSocket::bind(&relay.address).expect("free");
    let line = format!("send file {} --open", relay.address);
    bench.volley(&words(&line)).expect_code(0).expect_words(&[FELL_BACK]);
    receiver.finish_by_farewell().expect_code(0);
    bench.expect_arrived(&["file"]);
}

#[test]
fn time_runs_out_also_while_it_is_asked_whether_tcp_would_do() {
    let bench = Bench::new();
    bench.file("file", 5_000);
    // UDP is refused, and TCP, whose listener has no room for more, gets no answer.
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let any = "127.0.0.1:0".parse::<SocketAddr>().expect("an address");
    listener.bind(&any.into()).expect("loopback");
    listener.listen(0).expect("bound");
    let address = listener.local_addr().expect("bound").as_socket().expect("of IPv4");
    let patience = Duration::from_millis(200);
    let connect = |_| TcpStream::connect_timeout(&address, patience).ok();
    let crowd: Vec<_> = (0..8).map_while(connect).collect();
    assert!(crowd.len() < 8, "it has room");
    let line = format!("send file {address} --open --timeout 2s");
    bench.volley(&words(&line)).expect_code(124);
}

#[test]
fn tcp_is_left_alone_where_udp_was_asked_for() {
    let bench = Bench::new();
    bench.file("file", 5_000);
    let receiver = bench.receive(&[]);
    let relay = behind_tcp(&receiver);
    let options = ["--udp", "--cc fixed:5Mbit", "--arq go-back-n", "--bind 127.0.0.1", "--loss 1%"];
    std::thread::scope(|scope| {
        for option in options {
            let (bench, address) = (&bench, &relay.address);
            scope.spawn(move || {
                let line = format!("send file {address} --open {option}");
                let said = ["127.0.0.1 answers on TCP port", "UDP is blocked", "use --tcp"];
                let sent = bench.volley(&words(&line)).expect_code(3).expect_words(&said);
                assert!(!sent.stderr.contains(FELL_BACK), "{option}: {}", sent.stderr);
            });
        }
    });
    receiver.stop();
    bench.expect_names(&[]);
}

#[test]
fn a_receiver_that_comes_back_is_found_again() {
    for carrier in CARRIERS {
        let bench = Bench::new();
        let port = free_port();
        let sender = lose(&bench, port, carrier, "--jsonl");
        sender.wait_for_words(&[TRIES_AGAIN, "10 min 00 s at most"]);
        let _receiver = receive_at(&bench, port);
        let sent = sender.finish().expect_code(0);
        let kinds = kinds(&sent.stdout);
        assert!(kinds.iter().any(|kind| kind == "retry"), "{kinds:?}");
        assert_eq!(kinds.last().map(String::as_str), Some("complete"));
        bench.expect_equal(&["file"]);
    }
}

#[test]
fn what_is_lost_over_udp_goes_on_over_tcp_where_only_that_comes_back() {
    let bench = Bench::new();
    bench.file("file", 500_000);
    let port = free_port();
    let line = format!("recv . --open --bind 127.0.0.1 --port {port} --rate 2Mbit");
    let mut receiver = Running::start(&bench.to(), &words(&line));
    receiver.wait_to_read(|said| said.contains("type:").then_some(()));
    let line = format!("send file 127.0.0.1:{port} --open --json");
    let sender = Running::start(&bench.from(), &words(&line));
    bench.wait_for_first_bytes();
    receiver.kill();
    sender.wait_for_words(&[TRIES_AGAIN]);
    let receiver = bench.receive(&["--once"]);
    let _relay = TcpRelay::start_at(port, &receiver.address, 1 << 16, None);
    let sent = sender.finish().expect_code(0).expect_words(&[FELL_BACK]).json();
    assert_eq!((&sent["carrier"], &sent["exit_code"]), (&"tcp".into(), &0.into()));
    receiver.finish_by_farewell().expect_code(0);
    bench.expect_arrived(&["file"]);
}

#[test]
fn a_sharer_that_comes_back_is_found_again() {
    let bench = Bench::new();
    bench.file("file", 500_000);
    let port = free_port();
    let line = format!("share file --open --bind 127.0.0.1 --port {port} --cc fixed:2Mbit");
    let share = || {
        let mut running = Running::start(&bench.from(), &words(&line));
        running.wait_to_read(|said| said.contains("type:").then_some(()));
        running
    };
    let mut sharer = share();
    let line = format!("get 127.0.0.1:{port} --open");
    let getter = Running::start(&bench.to(), &words(&line));
    bench.wait_for_first_bytes();
    sharer.kill();
    getter.wait_for_words(&[TRIES_AGAIN]);
    let _sharer = share();
    getter.finish().expect_code(0);
    bench.expect_arrived(&["file"]);
}

#[test]
fn a_peer_that_stays_away_is_given_up_after_the_time_that_was_said() {
    let bench = Bench::new();
    let sender = lose(&bench, free_port(), CARRIERS[1], "--retry 2s --json");
    let sent = sender.finish().expect_code(4);
    let sent = sent.expect_words(&[TRIES_AGAIN, "Connection refused; trying again in"]);
    let sent = sent.expect_words(&["send again when it is back; tried again for 2 s"]);
    assert_eq!(sent.json()["error"]["code"], 4, "{}", sent.stdout);
}

#[test]
fn an_order_to_end_ends_the_waiting_too() {
    for (signal, code) in [(Some("INT"), 130), (None, 124)] {
        let bench = Bench::new();
        let options = if signal.is_none() { "--timeout 4s" } else { "" };
        let sender = lose(&bench, free_port(), CARRIERS[1], options);
        sender.wait_for_words(&[TRIES_AGAIN]);
        signal.iter().for_each(|signal| sender.signal(signal));
        sender.finish_before_silence().expect_code(code);
    }
}

#[test]
fn who_was_never_there_and_who_says_that_it_ends_are_not_tried_again() {
    let bench = Bench::new();
    bench.file("small", 5);
    let port = free_port();
    for carrier in ["--udp", "--tcp"] {
        let line = format!("send small 127.0.0.1:{port} --open {carrier}");
        let sent = bench.volley(&words(&line)).expect_code(3);
        assert!(!sent.stderr.contains("trying again"), "{}", sent.stderr);
    }
    bench.long_file("file", 2 << 30);
    let receiver = bench.receive(&[]);
    let sender = bench.start_sending(&receiver, &["file"], CARRIERS[1]);
    bench.wait_for_first_bytes();
    receiver.stop();
    let sent = sender.finish_before_silence().expect_code(4);
    assert!(!sent.stderr.contains("trying again"), "{}", sent.stderr);
    bench.expect_names(&[]);
}

#[test]
fn a_link_of_ones_own_that_lets_nothing_through_is_named_and_no_firewall() {
    let bench = Bench::new();
    bench.file("file", 5_000);
    let receiver = bench.receive(&[]);
    for options in [&["--loss", "100%"][..], &["--mtu", "1200"], &["--back", "loss=100%"]] {
        let sent = bench.send(&receiver, &["file"], options).expect_code(3);
        let sent = sent.expect_words(&["this command's own imperfect link took all", "--mtu"]);
        assert!(!sent.stderr.contains("firewall"), "{}", sent.stderr);
    }
    receiver.stop();
}

#[test]
fn a_listener_that_stands_still_is_not_called_another_program() {
    let bench = Bench::new();
    bench.file("file", 5_000);
    let receiver = bench.receive(&[]);
    receiver.running.signal("STOP");
    let sent = bench.send(&receiver, &["file"], &[]).expect_code(3);
    sent.expect_words(&["says nothing", "may stand still there"]);
    receiver.running.signal("CONT");
    receiver.stop();
}

/// A machine that is alone with another one on a cable, then the program.
const ON_A_CABLE: &str = "ip link set lo up && ip link add v0 type veth peer name v1 \
    && ip link set v0 up && ip link set v1 up && ip address add fe80::77/64 dev v0 nodad";

#[test]
fn a_machine_that_has_only_addresses_of_its_links_tells_them_and_takes_their_zones() {
    if !can(&["unshare", "-rn", "sh", "-c", ON_A_CABLE]) {
        return;
    }
    let bench = Bench::new();
    let run = |line: &str| {
        let script = format!("{ON_A_CABLE} && exec \"$@\"");
        let outside = ["unshare", "-rn", "sh", "-c", &script, "sh"];
        Running::start_in(&outside, &bench.to(), &words(line)).finish()
    };
    let typed = ["[fe80::77%IFACE]:7320 --open", "IFACE is that machine's own interface"];
    for bind in ["", "--bind fe80::77%v0", "--bind fe80::77", "--bind [fe80::77%v0]:7320"] {
        let line = format!("recv . --open --port 7320 --timeout 300ms {bind}");
        run(&line).expect_code(124).expect_words(&typed);
    }
}
