//! Many senders, over UDP and TCP, at one listener: all are served, and none disturbs another.

#[expect(dead_code, reason = "each test file uses its part of the harness")]
mod common;

use common::{Bench, CARRIERS, Running, expect_all_done, side_by_side, wait_until};
use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use volley::net::listen::{Listener, Order};
use volley::net::part::{Reception, Service};
use volley::net::{Interrupt, Notice, Observer};
use volley::transfer::budget::Budget;
use volley::transfer::directory::Directory;
use volley::transfer::keeping::Keeping;
use volley::transfer::outcome::{Failure, Reason};

/// Twenty at once, then one more; `carrier` says how each of them sends.
fn serve_twenty_and_one_more<'a>(carrier: impl Fn(usize) -> &'a [&'a str] + Sync) {
    const COUNT: usize = 20;
    let bench = Bench::new();
    let receiver = bench.receive(&[]);
    let names: Vec<String> = (0..=COUNT).map(|index| format!("file {index}")).collect();
    names.iter().for_each(|name| bench.file(name, 300_000));
    let send = |index: usize| bench.send(&receiver, &[&names[index]], carrier(index));
    expect_all_done(&side_by_side(COUNT, COUNT, send), COUNT);
    send(COUNT).expect_code(0);
    receiver.stop();
    bench.expect_arrived(&names.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn twenty_tcp_senders_at_once_are_served_and_then_one_more() {
    serve_twenty_and_one_more(|_| CARRIERS[1]);
}

#[test]
fn twenty_udp_senders_at_once_are_served_and_then_one_more() {
    serve_twenty_and_one_more(|_| CARRIERS[0]);
}

#[test]
fn twenty_senders_of_both_kinds_at_once_are_served_and_then_one_more() {
    serve_twenty_and_one_more(|index| CARRIERS[index % 2]);
}

/// Where the observer of a doomed transfer panics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doom {
    Started,
    Progress,
}

/// What happened at a listener whose observer panics over some transfers.
#[derive(Debug, Default)]
struct Seen {
    /// From now on, whoever comes is doomed.
    dooms: AtomicBool,
    started: Mutex<usize>,
    doomed: Mutex<HashSet<u64>>,
    /// How each transfer ended, and whether it was doomed.
    ended: Mutex<Vec<(bool, Option<Failure>)>>,
}

fn observe(seen: &Arc<Seen>, doom: Doom) -> Observer {
    let seen = seen.clone();
    // As a panic, but nothing is printed.
    let fail = || std::panic::resume_unwind(Box::new("doomed"));
    Arc::new(move |notice| {
        let is_doomed = |id: &u64| seen.doomed.lock().expect("not held").contains(id);
        match notice {
            Notice::Started { id, .. } => {
                *seen.started.lock().expect("not held") += 1;
                if seen.dooms.load(Ordering::Relaxed) {
                    seen.doomed.lock().expect("not held").insert(id);
                    if doom == Doom::Started {
                        fail();
                    }
                }
            }
            Notice::Progress { id, .. } if is_doomed(&id) => fail(),
            Notice::FellBack { .. }
            | Notice::Listed { .. }
            | Notice::Progress { .. }
            | Notice::Retrying { .. }
            | Notice::Traced { .. } => {}
            Notice::Ended { id, finished } => {
                let ended = (is_doomed(&id), finished.report.failure);
                seen.ended.lock().expect("not held").push(ended);
            }
        }
    })
}

#[test]
fn a_panic_in_one_connection_ends_that_connection_only() {
    for doom in [Doom::Started, Doom::Progress] {
        let bench = Bench::new();
        let listener = Listener::bind(Some(IpAddr::V4(Ipv4Addr::LOCALHOST)), 0).expect("loopback");
        let address = listener.address().to_string();
        let reception = Reception {
            directory: Arc::new(Directory::open(&bench.to()).expect("there")),
            keeping: Keeping::default(),
            takes_hidden: false,
            budget: Budget::default(),
        };
        let service = Service::Receive(reception);
        let order = Order { service, once: false, max_rate: None, impairment: None, traces: false };
        let seen = Arc::new(Seen::default());
        let (observer, interrupt) = (observe(&seen, doom), Interrupt::default());
        let stop = interrupt.clone();
        let serving = std::thread::spawn(move || listener.run(&order, &observer, &stop));
        let send = |name: &str, carrier: &[&str]| {
            let words = [&["send", name, &address, "--open"], carrier].concat();
            Running::start(&bench.from(), &words)
        };
        bench.file("udp", 500_000);
        bench.long_file("tcp", 64 << 20);
        let healthy = [send("udp", &["--cc", "fixed:2Mbit"]), send("tcp", CARRIERS[1])];
        wait_until("both are served", || *seen.started.lock().expect("not held") == 2);
        seen.dooms.store(true, Ordering::Relaxed);
        for (name, carrier) in ["a", "b"].into_iter().zip(CARRIERS) {
            bench.long_file(name, 64 << 20);
            let sent = send(name, carrier).finish().expect_code(1);
            sent.expect_words(&["the other side", "an internal error"]);
        }
        seen.dooms.store(false, Ordering::Relaxed);
        for sender in healthy {
            sender.finish().expect_code(0);
        }
        bench.file("after", 5_000);
        send("after", CARRIERS[0]).finish().expect_code(0);
        interrupt.set(2);
        let ended = serving.join().expect("it did not panic").expect_err("interrupted");
        assert_eq!(ended.reason, Reason::User);
        bench.expect_arrived(&["udp", "tcp", "after"]);
        let ended = seen.ended.lock().expect("not held");
        assert_eq!(ended.len(), 5, "{ended:?}");
        for (is_doomed, failure) in &*ended {
            assert_eq!(failure.as_ref().map(|one| one.reason), is_doomed.then_some(Reason::Other));
        }
    }
}
