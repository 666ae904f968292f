//! Peers that are not there, that are something else, or that leave: what is said, and how soon.
//!
//! None of these tests waits for silence to last; `tests/campaign.rs` has those that do.

#[expect(dead_code, reason = "each test file uses its part of the harness")]
mod common;

use common::relay::UdpRelay;
use common::{Bench, Outcome, Receiver, Running, free_port, words};
use std::net::TcpListener;

/// Sends a small file to a port of this machine.
#[track_caller]
fn send_to(port: u16, options: &str) -> Outcome {
    let bench = Bench::new();
    bench.file("file", 5);
    bench.volley(&words(&format!("send file 127.0.0.1:{port} --open {options}"))).expect_code(3)
}

/// A transfer over UDP of some seconds, in the middle.
fn in_the_middle(receiver_options: &[&str]) -> (Bench, Receiver, Running) {
    let bench = Bench::new();
    bench.file("file", 2_000_000);
    let receiver = bench.receive(receiver_options);
    let sender =
        bench.start_sending(&receiver, &["file"], &["--cc", "fixed:2Mbit", "--retry", "0"]);
    bench.wait_for_first_bytes();
    (bench, receiver, sender)
}

#[test]
fn a_port_where_nothing_listens_is_known_by_its_refusal() {
    let port = free_port();
    let number = port.to_string();
    let said = ["127.0.0.1 refuses UDP port", &number, "nothing listens there", "volley recv"];
    let sent = send_to(port, "").expect_words(&said);
    assert!(!sent.stderr.contains("no answer"), "{}", sent.stderr);
    let said = ["cannot connect to 127.0.0.1 on TCP port", &number, "refused", "volley recv"];
    send_to(port, "--tcp").expect_words(&said);
}

#[test]
fn a_listener_for_tcp_only_is_told_apart_from_nobody() {
    let port = free_port();
    let _listener = TcpListener::bind(("127.0.0.1", port)).expect("free");
    let said = ["127.0.0.1 accepts connections on TCP port", "says nothing", &port.to_string()];
    send_to(port, "").expect_words(&said);
}

#[test]
fn a_receiver_that_tcp_does_not_reach_is_found_by_udp() {
    let bench = Bench::new();
    bench.file("file", 5);
    let receiver = bench.receive(&[]);
    let relay = UdpRelay::start(&receiver.address);
    let line = format!("send file {} --open", relay.address);
    let said = ["127.0.0.1 answers on UDP port", "not on TCP port", "leave out --tcp"];
    bench.volley(&words(&format!("{line} --tcp"))).expect_code(3).expect_words(&said);
    // To have been asked that is no transfer, and the advice is right.
    bench.volley(&words(&line)).expect_code(0);
    let told = receiver.stop().stderr;
    assert!(!told.contains("sent nothing"), "{told}");
    bench.expect_arrived(&["file"]);
}

#[test]
fn a_listener_of_another_kind_is_no_receiver() {
    let port = free_port();
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("free");
    let echo = std::thread::spawn(move || {
        use std::io::Write;
        let (mut stream, _) = listener.accept().expect("somebody comes");
        stream.write_all(b"220 mail.example ESMTP\r\n").expect("it reads");
        stream
    });
    send_to(port, "--tcp").expect_words(&["something else than `volley recv` listens there"]);
    echo.join().expect("it does not panic");
}

#[test]
fn a_receiver_that_is_killed_is_missed_soon_over_udp() {
    let (_bench, mut receiver, sender) = in_the_middle(&[]);
    receiver.running.kill();
    let port = receiver.address.rsplit(':').next().expect("a port");
    let said = ["127.0.0.1 refuses UDP port", port, "its program has ended", "send again"];
    let sent = sender.finish_before_silence().expect_code(4);
    sent.expect_words(&said);
}

#[test]
fn a_sender_that_is_killed_is_missed_soon_over_udp() {
    let (bench, receiver, mut sender) = in_the_middle(&["--json"]);
    sender.kill();
    receiver.running.wait_for_words(&["127.0.0.1 refuses UDP port", "its program has ended"]);
    let told = receiver.stop();
    assert_eq!(told.json()["exit_code"], 4, "{}", told.stdout);
    bench.expect_names(&[]);
}

#[test]
fn a_sender_that_is_seen_at_another_port_is_followed() {
    let bench = Bench::new();
    bench.file("file", 2_000_000);
    let receiver = bench.receive(&["--once"]);
    let relay = UdpRelay::start(&receiver.address);
    let line = format!("send file {} --open --cc fixed:8Mbit --json", relay.address);
    let sender = Running::start(&bench.from(), &words(&line));
    for position in [0, 500_000, 1_000_000] {
        bench.wait_for_bytes_beyond(position);
        relay.rebind();
    }
    let sent = sender.finish_before_silence().expect_code(0).json();
    assert_eq!(sent["exit_code"], 0);
    receiver.finish_by_farewell().expect_code(0);
    bench.expect_arrived(&["file"]);
}
