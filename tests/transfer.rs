//! Real transfers over loopback, over UDP and TCP: what arrives, what does not, and what is said.

#[expect(dead_code, reason = "each test file uses its part of the harness")]
mod common;

use common::{
    Bench, CARRIERS, Outcome, Receiver, expect_all_done, expect_link, seed, side_by_side, words,
};
use std::fs::{self, File};
use std::io::Write;

/// Around everything that could be a boundary: nothing, the payload of the smallest and of an Ethernet
/// datagram, 16 bits, and a group of the hash.
const SIZES: [u64; 14] = [
    0, 1, 1179, 1180, 1181, 1451, 1452, 1453, 65_534, 65_535, 65_536, 1_048_575, 1_048_576,
    1_048_577,
];

/// Slow enough that what a test does happens in the middle of a transfer.
const SLOWLY: [&str; 2] = ["--cc", "fixed:2Mbit"];

/// A file that takes seconds to send: at [`SLOWLY`]'s rate over UDP, by its size over TCP.
fn long_file(bench: &Bench, name: &str, carrier: &[&str]) -> Vec<&'static str> {
    if carrier.is_empty() {
        bench.file(name, 2_000_000);
        SLOWLY.to_vec()
    } else {
        bench.long_file(name, 2 << 30);
        CARRIERS[1].to_vec()
    }
}

#[test]
fn files_of_every_awkward_size_arrive_one_by_one() {
    let names = SIZES.map(|size| format!("{size} bytes"));
    for carrier in CARRIERS {
        let bench = Bench::new();
        let receiver = bench.receive(&[]);
        for (name, size) in names.iter().zip(SIZES) {
            bench.file(name, size);
            bench.send(&receiver, &[name], carrier).expect_code(0);
            // Exit 0 means that it is there now.
            bench.expect_equal(&[name]);
        }
        receiver.stop();
        bench.expect_arrived(&names.each_ref().map(String::as_str));
    }
}

#[test]
fn many_files_share_a_transfer_empty_ones_among_them() {
    let mut sizes = SIZES.to_vec();
    sizes.extend([0, 0, 3, 0, 5_000, 0]);
    let names: Vec<String> = (0..sizes.len()).map(|index| format!("file {index}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for carrier in CARRIERS {
        let bench = Bench::new();
        names.iter().zip(&sizes).for_each(|(name, size)| bench.file(name, *size));
        let receiver = bench.receive(&["--once"]);
        bench.send(&receiver, &names, carrier).expect_code(0);
        receiver.finish_by_farewell().expect_code(0);
        bench.expect_arrived(&names);
    }
}

#[test]
fn what_the_link_loses_is_sent_again() {
    for (loss, share) in [("5%", 0.05), ("30%", 0.3)] {
        let bench = Bench::new();
        bench.file("file", 2_000_000);
        let receiver = bench.receive(&["--once"]);
        let seed = seed();
        let options = format!("--loss {loss} --delay 5ms --seed {seed} --cc fixed:50Mbit --json");
        let sent = bench.send(&receiver, &["file"], &words(&options)).expect_code(0);
        receiver.finish().expect_code(0);
        bench.expect_arrived(&["file"]);
        let report = sent.json();
        expect_link(&report, share, seed);
        assert_eq!(report["link"]["out"]["configured"]["delay_seconds"], 0.005);
        assert!(report["link"]["out"]["offered"].as_u64() >= Some(1_000), "{report}");
        assert!(report["transport"]["retransmissions"]["needed"].as_u64() > Some(0), "{report}");
    }
}

#[test]
fn the_strategies_of_the_textbook_carry_files_too() {
    for strategy in ["stop-and-wait", "go-back-n", "selective-repeat"] {
        let bench = Bench::new();
        bench.file("file", 100_000);
        bench.file("empty", 0);
        let receiver = bench.receive(&["--once"]);
        let link = format!("--loss 10% --delay 2ms --seed {} --json", seed());
        let options = format!("{link} --arq {strategy} --window 8");
        let sent = bench.send(&receiver, &["file", "empty"], &words(&options)).expect_code(0);
        receiver.finish().expect_code(0);
        bench.expect_arrived(&["file", "empty"]);
        let again = &sent.json()["transport"]["retransmissions"];
        assert!(again["needed"].as_u64() > Some(2), "{strategy}: {again}");
    }
}

/// What is left of a transfer may all have been cancelled.
#[test]
fn the_strategies_of_the_textbook_end_with_files_that_are_there_or_refused() {
    for strategy in ["stop-and-wait", "go-back-n", "selective-repeat"] {
        let bench = Bench::new();
        bench.file("first", 200_000);
        bench.file("last", 300_000);
        let receiver = bench.receive(&[]);
        let options = ["--arq", strategy];
        bench.send(&receiver, &["last"], &options).expect_code(0);
        bench.send(&receiver, &["last"], &options).expect_code(0);
        bench.file("last", 310_000);
        bench.send(&receiver, &["first", "last"], &options).expect_code(7);
        receiver.stop();
        bench.expect_equal(&["first"]);
    }
}

#[test]
fn both_sides_may_be_behind_a_lossy_link() {
    let bench = Bench::new();
    bench.file("file", 2_000_000);
    let (near, far) = (seed(), seed() + 1);
    let receiver = bench.receive(&words(&format!("--once --json --loss 20% --seed {far}")));
    let options = format!("--loss 10% --delay 5ms --seed {near} --cc fixed:50Mbit --json");
    let sent = bench.send(&receiver, &["file"], &words(&options)).expect_code(0);
    let received = receiver.finish().expect_code(0);
    bench.expect_arrived(&["file"]);
    expect_link(&sent.json(), 0.1, near);
    expect_link(&received.json(), 0.2, far);
}

#[test]
fn fifty_of_fifty_small_files_arrive_through_thirty_percent_loss_both_ways() {
    const COUNT: usize = 50;
    let bench = Bench::new();
    let receiver = bench.receive(&[]);
    let names: Vec<String> = (0..COUNT).map(|index| format!("file {index}")).collect();
    let outcomes = side_by_side(COUNT, 8, |index| {
        bench.file(&names[index], 1_000);
        let options = format!("--loss 30% --seed {}", seed() + index as u64);
        bench.send(&receiver, &[&names[index]], &words(&options))
    });
    expect_all_done(&outcomes, COUNT);
    receiver.stop();
    bench.expect_arrived(&names.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn what_exists_is_kept_and_other_files_of_the_transfer_arrive() {
    for carrier in CARRIERS {
        let bench = Bench::new();
        ["before", "old", "after"].iter().for_each(|name| bench.file(name, 100_000));
        fs::write(bench.to().join("old"), "as it was").expect("written");
        let receiver = bench.receive(&[]);
        let sent = bench.send(&receiver, &["before", "old", "after"], carrier);
        sent.expect_code(7).expect_words(&["\"old\" exists", "--overwrite"]);
        receiver.stop();
        bench.expect_equal(&["before", "after"]);
        bench.expect_names(&["before", "old", "after"]);
        let old = fs::read(bench.to().join("old")).expect("still there");
        assert_eq!(old, b"as it was");
    }
}

#[test]
fn what_exists_is_replaced_where_the_receiver_says_so() {
    for carrier in CARRIERS {
        let bench = Bench::new();
        bench.file("old", 100_000);
        fs::write(bench.to().join("old"), "as it was").expect("written");
        let receiver = bench.receive(&["--overwrite", "--once"]);
        bench.send(&receiver, &["old"], carrier).expect_code(0);
        receiver.finish_by_farewell().expect_code(0);
        bench.expect_arrived(&["old"]);
    }
}

#[test]
fn hidden_names_are_taken_only_where_the_receiver_says_so() {
    for carrier in CARRIERS {
        let bench = Bench::new();
        [".hidden", "plain"].iter().for_each(|name| bench.file(name, 5_000));
        let receiver = bench.receive(&[]);
        let sent = bench.send(&receiver, &[".hidden", "plain"], carrier);
        sent.expect_code(6).expect_words(&[".hidden", "--hidden"]);
        receiver.stop();
        bench.expect_arrived(&["plain"]);
        let receiver = bench.receive(&["--hidden", "--once"]);
        bench.send(&receiver, &[".hidden"], carrier).expect_code(0);
        receiver.finish_by_farewell().expect_code(0);
        bench.expect_arrived(&[".hidden", "plain"]);
    }
}

#[test]
fn once_ends_with_how_the_one_transfer_ended() {
    for carrier in CARRIERS {
        let bench = Bench::new();
        bench.file("file", 5_000);
        for code in [0, 7] {
            let receiver = bench.receive(&["--once"]);
            bench.send(&receiver, &["file"], carrier).expect_code(code);
            receiver.finish_by_farewell().expect_code(code);
            bench.expect_names(&["file"]);
            fs::write(bench.to().join("file"), "something else").expect("ours");
        }
    }
}

/// Whatever became of an earlier transfer: the next one works, and nothing else is left.
#[track_caller]
fn expect_still_serving(bench: &Bench, receiver: Receiver, carrier: &[&str]) -> Outcome {
    bench.file("next", 5_000);
    bench.send(&receiver, &["next"], carrier).expect_code(0);
    let stopped = receiver.stop();
    bench.expect_arrived(&["next"]);
    stopped
}

#[test]
fn a_sender_that_is_killed_leaves_a_listener_that_serves_the_next() {
    for carrier in CARRIERS {
        let bench = Bench::new();
        let options = long_file(&bench, "long", carrier);
        let receiver = bench.receive(&[]);
        let mut sender = bench.start_sending(&receiver, &["long"], &options);
        bench.wait_for_first_bytes();
        sender.kill();
        expect_still_serving(&bench, receiver, carrier);
    }
}

#[test]
fn a_sender_that_is_interrupted_says_so_and_the_receiver_serves_the_next() {
    for carrier in CARRIERS {
        for (signal, code) in [("INT", 130), ("TERM", 143)] {
            let bench = Bench::new();
            let options = long_file(&bench, "long", carrier);
            let receiver = bench.receive(&[]);
            let sender = bench.start_sending(&receiver, &["long"], &options);
            bench.wait_for_first_bytes();
            sender.signal(signal);
            sender.finish().expect_code(code).expect_words(&["interrupted"]);
            let told = expect_still_serving(&bench, receiver, carrier);
            told.expect_words(&["the other side was interrupted"]);
        }
    }
}

#[test]
fn the_farewell_of_an_interrupted_sender_comes_out_of_a_link_that_delays_it() {
    let bench = Bench::new();
    let options = [&long_file(&bench, "long", CARRIERS[0]), &["--delay", "20ms"][..]].concat();
    let receiver = bench.receive(&[]);
    let sender = bench.start_sending(&receiver, &["long"], &options);
    bench.wait_for_first_bytes();
    sender.signal("INT");
    sender.finish().expect_code(130);
    let told = expect_still_serving(&bench, receiver, CARRIERS[0]);
    told.expect_words(&["the other side was interrupted"]);
}

#[test]
fn a_receiver_that_is_interrupted_tells_the_sender() {
    for carrier in CARRIERS {
        let bench = Bench::new();
        let options = long_file(&bench, "long", carrier);
        let receiver = bench.receive(&[]);
        let sender = bench.start_sending(&receiver, &["long"], &options);
        bench.wait_for_first_bytes();
        receiver.stop().expect_words(&["interrupted"]);
        let sent = sender.finish().expect_code(4);
        // It was told: it did not wait until its patience was over.
        assert!(!sent.stderr.contains("nothing received"), "{}", sent.stderr);
        sent.expect_words(&["interrupted"]);
        bench.expect_names(&[]);
    }
}

#[test]
fn a_receiver_that_is_killed_is_missed_at_once_over_tcp() {
    let bench = Bench::new();
    let options = [&long_file(&bench, "long", CARRIERS[1])[..], &["--retry", "0"]].concat();
    let mut receiver = bench.receive(&[]);
    let sender = bench.start_sending(&receiver, &["long"], &options);
    bench.wait_for_first_bytes();
    receiver.running.kill();
    sender.finish().expect_code(4).expect_words(&["send again"]);
    // The next receiver sweeps away what that one left.
    expect_still_serving(&bench, bench.receive(&[]), CARRIERS[1]);
}

#[test]
fn the_farewell_of_a_sender_comes_out_of_a_link_that_delays_it() {
    let bench = Bench::new();
    bench.file("file", 5_000);
    let receiver = bench.receive(&["--once"]);
    bench.send(&receiver, &["file"], &["--delay", "20ms"]).expect_code(0);
    receiver.finish_by_farewell().expect_code(0);
}

const CHANGING: [&str; 4] = ["before", "longer", "shorter", "after"];

/// The longest of the small files beside them.
const SMALL: u64 = 100_000;

/// In the middle of the one file, and before the other's turn, makes them longer and shorter.
fn change(bench: &Bench) {
    let open = |name| File::options().append(true).open(bench.from().join(name)).expect("there");
    open("longer").write_all(b"more").expect("written");
    open("shorter").set_len(1_000).expect("shortened");
}

#[track_caller]
fn expect_only_unchanged_files(bench: &Bench, sent: Outcome, receiver: Receiver) {
    let told = ["longer changed while it was sent", "shorter changed while it was sent"];
    sent.expect_code(9).expect_words(&told);
    receiver.stop().expect_words(&told);
    bench.expect_arrived(&["before", "after"]);
}

#[test]
fn files_that_change_while_they_are_sent_over_udp_are_not_committed() {
    let bench = Bench::new();
    let sizes = [SMALL, 3 << 20, 2 << 20, SMALL];
    CHANGING.iter().zip(sizes).for_each(|(name, size)| bench.file(name, size));
    let receiver = bench.receive(&[]);
    let sender = bench.start_sending(&receiver, &CHANGING, &["--cc", "fixed:8Mbit"]);
    bench.wait_for_bytes_beyond(SMALL);
    change(&bench);
    expect_only_unchanged_files(&bench, sender.finish(), receiver);
}

#[test]
fn files_that_change_while_they_are_sent_over_tcp_are_not_committed() {
    let bench = Bench::new();
    ["before", "shorter", "after"].iter().for_each(|name| bench.file(name, SMALL));
    bench.long_file("longer", 256 << 20);
    let receiver = bench.receive(&[]);
    let sender = bench.start_sending(&receiver, &CHANGING, CARRIERS[1]);
    bench.wait_for_bytes_beyond(SMALL);
    // A receiver that stands still makes the sender stand still, and so there is time.
    receiver.running.signal("STOP");
    change(&bench);
    receiver.running.signal("CONT");
    expect_only_unchanged_files(&bench, sender.finish(), receiver);
}

#[test]
fn a_listener_that_is_told_to_end_leaves_its_directory_as_it_was() {
    let bench = Bench::new();
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let receiver = bench.receive(&[]);
        receiver.running.signal(signal);
        receiver.finish().expect_code(code);
        bench.expect_names(&[]);
    }
}
