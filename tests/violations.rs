//! Peers that break the protocol: after the first violation nothing more is carried out, and no command
//! reports success.

#[expect(dead_code, reason = "each test file uses its part of the harness")]
mod common;

use common::liar::{Liar, Said, messages};
use common::{Bench, Receiver, Running, note, wait_until};
use std::fs;
use volley::transfer::entry::{Attributes, Entry, Kind};
use volley::transfer::message::Message;
use volley::wire::handshake::Role;

/// A message of a type that there is not.
const UNKNOWN: [u8; 2] = [99, 0];

fn offer(path: &str) -> Message {
    let attributes = Attributes { mode: 0o644, seconds: 0, nanoseconds: 0 };
    let kind = Kind::File { size: 0, holes: None, attributes, source: None };
    Message::Offer(Entry { path: path.into(), kind })
}

/// What is said in one go, with the unknown message where there is none.
fn stream(parts: &[Option<Message>]) -> Said {
    let mut bytes = Vec::new();
    for part in parts {
        match part {
            Some(message) => message.put(&mut bytes),
            None => bytes.extend_from_slice(&UNKNOWN),
        }
    }
    Said::Messages(bytes)
}

/// Violations of a sender, each in one packet. Behind each of them "behind" is offered.
fn of_a_sender() -> Vec<(&'static str, Vec<Said>)> {
    let (first, behind, end) = (offer("first"), offer("behind"), Message::OfferEnd);
    let all = messages(&[first.clone(), end.clone()]);
    let rest = messages(&[behind.clone(), end.clone()]);
    let mut not_utf8 = Vec::new();
    offer("?").put(&mut not_utf8);
    *not_utf8.last_mut().expect("a path") = 0xff;
    Message::OfferEnd.put(&mut not_utf8);
    let wrong_side = [first.clone(), Message::Accept { below: 1 }, behind.clone(), end.clone()];
    vec![
        (
            "an unknown message first",
            vec![stream(&[None, Some(behind.clone()), Some(end.clone())])],
        ),
        (
            "an unknown message between",
            vec![stream(&[Some(first.clone()), None, Some(behind), Some(end.clone())])],
        ),
        ("an unknown message last", vec![stream(&[Some(first.clone()), Some(end), None])]),
        ("a message of the wrong side", vec![messages(&wrong_side)]),
        ("a path that is not UTF-8", vec![Said::Messages(not_utf8)]),
        ("a violation and the end", vec![stream(&[Some(first.clone()), None]), Said::Close(0)]),
        ("nonsense first", vec![Said::Nonsense, rest.clone()]),
        ("nonsense between", vec![messages(&[first]), Said::Nonsense, rest]),
        ("nonsense last", vec![all.clone(), Said::Nonsense]),
        ("two kinds in one packet", vec![all.clone(), Said::Nonsense, stream(&[None])]),
        ("nonsense and the end", vec![all, Said::Nonsense, Said::Close(0)]),
    ]
}

/// Violations of a receiver that settles the only entry, each in one packet.
fn of_a_receiver() -> Vec<(&'static str, Vec<Said>)> {
    let left = || Some(Message::Left { index: 0 });
    let finished = || Some(Message::Finished);
    let all = stream(&[left(), finished()]);
    vec![
        ("an unknown message first", vec![stream(&[None, left(), finished()])]),
        ("an unknown message between", vec![stream(&[left(), None, finished()])]),
        ("an unknown message last", vec![stream(&[left(), finished(), None])]),
        (
            "a message of the wrong side",
            vec![stream(&[left(), Some(Message::OfferEnd), finished()])],
        ),
        ("a violation and the end", vec![stream(&[left(), None]), Said::Close(0)]),
        ("nonsense first", vec![Said::Nonsense, all]),
        ("nonsense between", vec![stream(&[left()]), Said::Nonsense, stream(&[finished()])]),
    ]
}

/// What holds only in one packet: over TCP each is a record, and the transfer ends with the first.
fn of_a_receiver_at_the_end() -> Vec<(&'static str, Vec<Said>)> {
    let all = stream(&[Some(Message::Left { index: 0 }), Some(Message::Finished)]);
    vec![
        ("nonsense last", vec![all.clone(), Said::Nonsense]),
        ("nonsense and the end", vec![all, Said::Nonsense, Said::Close(0)]),
    ]
}

#[test]
fn nothing_that_a_share_says_behind_a_violation_counts() {
    for (what, said) in of_a_sender() {
        for is_tcp in [false, true] {
            for how in [&[][..], &["--list"], &["--dry-run"]] {
                note(&format!("{what}, TCP {is_tcp}, {how:?}"));
                let bench = Bench::new();
                let (address, answer) = Liar::listen(is_tcp);
                let carrier: &[&str] = if is_tcp { &["--tcp"] } else { &[] };
                let line = [&["get", &address, "--open"][..], carrier, how].concat();
                let running = Running::start(&bench.to(), &line);
                let mut liar = answer();
                liar.say(&said);
                liar.leave();
                let got = running.finish().expect_code(1);
                got.expect_words(&["the sender broke the protocol"]);
                assert!(!bench.to().join("behind").exists());
                if !how.is_empty() {
                    bench.expect_names(&[]);
                }
            }
        }
    }
}

#[test]
fn a_listener_outlives_every_violation_and_keeps_nothing_behind_it() {
    let bench = Bench::new();
    let receiver = bench.receive(&["--once", "--json"]);
    let mut count = 0;
    for (what, said) in of_a_sender() {
        for is_tcp in [false, true] {
            note(&format!("{what}, TCP {is_tcp}"));
            let mut liar = Liar::call(&receiver.address, Role::Sender, is_tcp);
            liar.say(&said);
            count += 1;
            wait_for_violations(&receiver, count);
            liar.leave();
            assert!(!bench.to().join("behind").exists());
            let _ = fs::remove_file(bench.to().join("first"));
        }
    }
    let told = receiver.stop().stderr;
    assert!(!told.contains("nothing was offered"), "{told}");
}

#[test]
fn nothing_that_a_receiver_says_behind_a_violation_counts() {
    let over_udp = of_a_receiver_at_the_end().into_iter().map(|(what, said)| (what, said, false));
    let over_both = [false, true].into_iter().flat_map(|is_tcp| {
        of_a_receiver().into_iter().map(move |(what, said)| (what, said, is_tcp))
    });
    for (what, said, is_tcp) in over_udp.chain(over_both) {
        note(&format!("{what}, TCP {is_tcp}"));
        let bench = Bench::new();
        bench.file("file", 5);
        let (address, answer) = Liar::listen(is_tcp);
        let carrier: &[&str] = if is_tcp { &["--tcp"] } else { &[] };
        let line = [&["send", "file", &address, "--open"][..], carrier].concat();
        let running = Running::start(&bench.from(), &line);
        let mut liar = answer();
        liar.hear_until(|message| *message == Message::OfferEnd);
        liar.say(&said);
        liar.leave();
        running.finish().expect_code(1).expect_words(&["the receiver broke the protocol"]);
    }
}

#[test]
fn a_share_outlives_every_violation_and_has_sent_nothing() {
    let bench = Bench::new();
    bench.file("file", 5);
    let sharer: Receiver = bench.share(&["file"], &["--once"]);
    let mut count = 0;
    for is_tcp in [false, true] {
        for (what, said) in of_a_receiver() {
            note(&format!("{what}, TCP {is_tcp}"));
            let mut liar = Liar::call(&sharer.address, Role::Receiver, is_tcp);
            liar.hear_until(|message| *message == Message::OfferEnd);
            liar.say(&said);
            count += 1;
            wait_for_violations(&sharer, count);
            liar.leave();
        }
    }
    sharer.stop();
}

/// Waits until that many peers have been told to break the protocol.
#[track_caller]
fn wait_for_violations(listener: &Receiver, count: usize) {
    let told = || listener.running.stderr_so_far().matches("broke the protocol").count();
    wait_until("the violation is told", || told() == count);
}

#[test]
fn a_violation_after_the_last_outcome_is_one_and_takes_nothing_back() {
    for is_tcp in [false, true] {
        for said in [Said::Nonsense, stream(&[None]), messages(&[offer("behind")])] {
            note(&format!("{said:?}, TCP {is_tcp}"));
            let bench = Bench::new();
            let (address, answer) = Liar::listen(is_tcp);
            let carrier: &[&str] = if is_tcp { &["--tcp"] } else { &[] };
            let line = [&["get", &address, "--open"][..], carrier].concat();
            let running = Running::start(&bench.to(), &line);
            let mut liar = answer();
            liar.say(&[messages(&[offer("first"), Message::OfferEnd])]);
            liar.hear_until(|message| *message == Message::Finished);
            liar.say(&[said]);
            liar.leave();
            running.finish().expect_code(1).expect_words(&["the sender broke the protocol"]);
            bench.expect_names(&["first"]);
        }
    }
}
