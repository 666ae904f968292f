//! IPv6, both families at once, and what routers write into IP headers.

#[expect(dead_code, reason = "each test file uses its part of the harness")]
mod common;

use common::relay::UdpRelay;
use common::{Bench, CARRIERS, Receiver, Running, free_port, note, words};
use std::net::{Ipv6Addr, UdpSocket};

/// Whether this machine has IPv6 at all.
fn has_ipv6() -> bool {
    let has = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
    if !has {
        note("skipped: this machine has no IPv6");
    }
    has
}

/// A receiver that listens at `bind`, or everywhere, and its port.
fn receive_at(bench: &Bench, bind: &str) -> (Receiver, u16) {
    let port = free_port();
    let line = format!("recv . --open --port {port} {bind}");
    let running = Running::start(&bench.to(), &words(&line));
    let receiver = Receiver { running, address: format!("[::1]:{port}") };
    receiver.wait_for(&port.to_string());
    (receiver, port)
}

#[test]
fn files_go_over_ipv6_by_both_carriers() {
    if !has_ipv6() {
        return;
    }
    let bench = Bench::new();
    let (receiver, _) = receive_at(&bench, "--bind ::1");
    for (carrier, name) in CARRIERS.iter().zip(["by udp", "by tcp"]) {
        bench.file(name, 2_000_000);
        let sent = bench.send(&receiver, &[name], &[carrier, &["--json"][..]].concat());
        let peer = sent.expect_code(0).json()["peer"].to_string();
        assert!(peer.contains("::1"), "{peer}");
    }
    receiver.stop();
    bench.expect_arrived(&["by udp", "by tcp"]);
}

#[test]
fn a_listener_at_all_addresses_serves_both_families_at_once() {
    if !has_ipv6() {
        return;
    }
    let bench = Bench::new();
    let (receiver, port) = receive_at(&bench, "");
    let mut names = Vec::new();
    for host in ["127.0.0.1", "[::1]", "localhost", "[::ffff:127.0.0.1]"] {
        for (carrier, by) in CARRIERS.iter().zip(["udp", "tcp"]) {
            let name = format!("{} by {by}", host.replace(':', ""));
            bench.file(&name, 300_000);
            let address = format!("{host}:{port}");
            let line = [&["send", &name, &address, "--open"], *carrier].concat();
            bench.volley(&line).expect_code(0);
            names.push(name);
        }
    }
    receiver.stop();
    bench.expect_arrived(&names.iter().map(String::as_str).collect::<Vec<_>>());
}

/// As where a phone leaves one network for another that has the other family only.
#[test]
fn a_sender_that_moves_from_ipv4_to_ipv6_and_back_is_followed() {
    if !has_ipv6() {
        return;
    }
    let bench = Bench::new();
    bench.file("file", 2_000_000);
    let (receiver, port) = receive_at(&bench, "--once");
    let places = [format!("127.0.0.1:{port}"), format!("[::1]:{port}")];
    let relay = UdpRelay::start(&places[0]);
    let line = format!("send file {} --open --cc fixed:8Mbit --json", relay.address);
    let sender = Running::start(&bench.from(), &words(&line));
    for (position, place) in [(0, &places[1]), (500_000, &places[0]), (1_000_000, &places[1])] {
        bench.wait_for_bytes_beyond(position);
        relay.rebind_to(place);
    }
    let sent = sender.finish_before_silence().expect_code(0).json();
    assert_eq!(sent["retries"].as_u64().unwrap_or(0), 0, "{sent}");
    receiver.finish_by_farewell().expect_code(0);
    bench.expect_arrived(&["file"]);
}

/// Congestion experienced on every packet, no ECN at all, and bits that mean something else; to one who takes
/// marks and to one who does not.
#[test]
fn whatever_a_router_writes_beside_the_addresses_the_bytes_arrive() {
    for (rate, state) in [("--cc fixed:20Mbit", "off"), ("--max-rate 20Mbit", "failed")] {
        let bench = Bench::new();
        bench.file("file", 2_000_000);
        let receiver = bench.receive(&["--once"]);
        let relay = UdpRelay::start(&receiver.address);
        let line = format!("send file {} --open {rate} --json", relay.address);
        let sender = Running::start(&bench.from(), &words(&line));
        for (position, bits) in [(0, 3), (400_000, 0), (800_000, 0xb8 | 1), (1_200_000, 0xff)] {
            bench.wait_for_bytes_beyond(position);
            relay.mark(bits);
        }
        let sent = sender.finish_before_silence().expect_code(0).json();
        receiver.finish_by_farewell().expect_code(0);
        bench.expect_arrived(&["file"]);
        assert_eq!(sent["transport"]["ecn"]["path"], state, "{sent}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn what_a_sender_lets_be_marked_arrives_as_it_went() {
    let bench = Bench::new();
    bench.file("file", 2_000_000);
    let receiver = bench.receive(&["--once", "--json"]);
    let sent = bench.send(&receiver, &["file"], &["--json"]).expect_code(0).json();
    let received = receiver.finish_by_farewell().expect_code(0).json();
    let (sent, received) = (&sent["transport"]["ecn"], &received["transport"]["ecn"]);
    assert_eq!((&sent["path"], &sent["marked"]), (&"capable".into(), &0.into()), "{sent}");
    let count = sent["sent"].as_u64();
    assert!(count > Some(1_300), "{sent}");
    let arrived = received["received"]["ect0"].as_u64();
    assert!(arrived > Some(1_300) && arrived <= count, "{arrived:?} of {count:?}");
}
