//! `volley share` and `volley get`: the listener has the files, and whoever comes gets them.

#[expect(dead_code, reason = "each test file uses its part of the harness")]
mod common;

use common::schema::Schema;
use common::tree::{expect_same, make_random, snapshot};
use common::{Bench, CARRIERS, Receiver, Running, expect_all_done, seed, side_by_side, words};
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::thread::JoinHandle;
use volley::net::Interrupt;
use volley::net::tcp::record::{Record, RecordReader};
use volley::transfer::entry::{Attributes, Entry, Kind};
use volley::transfer::message::Message;
use volley::wire::handshake::{Role, VERSION};

const ATTRIBUTES: Attributes = Attributes { mode: 0o644, seconds: 0, nanoseconds: 0 };

/// A share of one file that takes seconds over either carrier, and a getter in the middle of it.
fn in_the_middle(bench: &Bench, carrier: &[&str], options: &[&str]) -> (Receiver, Running) {
    let slowly = if carrier.is_empty() {
        bench.file("long", 2_000_000);
        &["--cc", "fixed:2Mbit"][..]
    } else {
        bench.long_file("long", 2 << 30);
        &[]
    };
    let sharer = bench.share(&["long"], &[slowly, options].concat());
    let getter = bench.start_getting(&sharer, &[carrier, &["--retry", "0"]].concat());
    bench.wait_for_first_bytes();
    (sharer, getter)
}

#[test]
fn what_is_shared_arrives_as_it_is_over_both_carriers() {
    for (round, carrier) in (0..4).zip(CARRIERS.iter().cycle()) {
        let bench = Bench::new();
        make_random(&bench.from().join("tree"), seed() + round);
        bench.file("file", 1_500_000);
        bench.file("empty", 0);
        let sharer = bench.share(&["tree", "file", "empty"], &["--links", "--once"]);
        let got = bench.get(&sharer, carrier).expect_code(0);
        got.expect_words(&["received", "from 127.0.0.1:"]);
        let sent = sharer.finish_by_farewell().expect_code(0);
        sent.expect_words(&["sharing tree, file, empty", "sent", "to 127.0.0.1:"]);
        bench.expect_equal(&["file", "empty"]);
        bench.expect_names(&["tree", "file", "empty"]);
        expect_same(&bench.from().join("tree"), &bench.to().join("tree"), true);
    }
}

#[test]
fn a_lossy_link_may_be_on_either_side() {
    let link = format!("--loss 20% --delay 5ms --seed {}", seed());
    let link = words(&link);
    for (near, far) in [(&link[..], &[][..]), (&[], &link)] {
        let bench = Bench::new();
        bench.file("file", 2_000_000);
        let rate = ["--cc", "fixed:50Mbit", "--json", "--once"];
        let sharer = bench.share(&["file"], &[&rate, far].concat());
        bench.get(&sharer, near).expect_code(0);
        let sent = sharer.finish().expect_code(0).json();
        bench.expect_arrived(&["file"]);
        let again = &sent["transport"]["retransmissions"]["needed"];
        assert!(again.as_u64() > Some(100), "{sent}");
    }
}

#[test]
fn the_list_shows_what_is_offered_and_nothing_is_written() {
    for carrier in CARRIERS {
        let bench = Bench::new();
        bench.file("file", 5_000);
        fs::create_dir_all(bench.from().join("tree/empty")).expect("made");
        bench.file("tree/inner", 3);
        symlink("empty", bench.from().join("tree/link")).expect("made");
        let sharer = bench.share(&["file", "tree"], &["--links", "--once", "--json"]);
        let list = bench.get(&sharer, &[carrier, &["--list"]].concat()).expect_code(0);
        let mut rows: Vec<&str> = list.stdout.lines().map(str::trim).collect();
        rows.sort_unstable();
        let expected =
            ["3 B  tree/inner", "4.88 KiB  file", "tree/", "tree/empty/", "tree/link -> empty"];
        assert_eq!(rows, expected);
        list.expect_words(&["2 files, 2 directories, 1 link (4.89 KiB) at 127.0.0.1:"]);
        let list = bench.get(&sharer, &[carrier, &["--list", "--json"]].concat()).expect_code(0);
        let list = list.json();
        assert_eq!((&list["bytes"], &list["counts"]["files"]), (&5_003.into(), &2.into()));
        let of = |path: &str| {
            let mut entries = list["entries"].as_array().expect("a list").iter();
            entries.find(|entry| entry["path"] == path).cloned().expect(path)
        };
        assert_eq!(of("tree/inner")["bytes"], 3);
        assert_eq!(
            (&of("tree")["kind"], &of("tree")["bytes"]),
            (&"directory".into(), &Value::Null)
        );
        assert_eq!(of("tree/link")["target"], "empty");
        bench.expect_names(&[]);
        // To have looked is no transfer: the one that is wanted has yet to come.
        bench.get(&sharer, carrier).expect_code(0);
        let told = sharer.finish_by_farewell().expect_code(0);
        assert_eq!(told.json()["direction"], "sent");
        told.expect_words(&["looked at the list: 5 entries"]);
    }
}

#[test]
fn a_reader_of_the_list_that_stands_still_keeps_nobody_from_ending_in_time() {
    let bench = Bench::new();
    common::tree::make_empty_files(&bench.from().join("tree"), 10_000);
    let sharer = bench.share(&["tree"], &[]);
    for carrier in CARRIERS {
        for format in [&[][..], &["--json"]] {
            let line = ["get", &sharer.address, "--open", "--list", "--timeout", "2s"];
            let line = [&line, carrier, format].concat();
            let (running, reader) = Running::start_unread(&bench.to(), &line);
            let told = running.finish_before_silence().expect_code(124);
            told.expect_words(&["the list is not complete"]);
            drop(reader);
        }
    }
    // The other side has been heard to the end: only what reads it stands still.
    let told = sharer.stop().stderr;
    assert_eq!(told.matches("looked at the list: ").count(), 4, "{told}");
}

#[test]
fn a_long_list_comes_whole_and_in_constant_memory() {
    const COUNT: usize = 40_000;
    let bench = Bench::new();
    common::tree::make_empty_files(&bench.from().join("tree"), COUNT);
    let sharer = bench.share(&["tree"], &[]);
    for carrier in CARRIERS {
        let list = bench.get(&sharer, &[carrier, &["--list"]].concat()).expect_code(0);
        let files = list.stdout.lines().filter(|line| line.contains("0 B  tree/")).count();
        assert_eq!(files, COUNT);
    }
    let peak = sharer.running.peak_memory_kib().expect("it runs");
    assert!(peak < 40_000, "{peak} KiB");
    sharer.stop();
}

#[test]
fn who_comes_to_the_wrong_kind_of_listener_is_told_which_command_to_use() {
    for carrier in CARRIERS {
        let bench = Bench::new();
        bench.file("file", 5_000);
        let sharer = bench.share(&["file"], &[]);
        let sent = bench.send(&sharer, &["file"], carrier).expect_code(6);
        sent.expect_words(&["error: refused: `volley share` runs there", "use `volley get`"]);
        bench.get(&sharer, carrier).expect_code(0);
        sharer.stop();
        let receiver = bench.receive(&[]);
        for list in [&[][..], &["--list"]] {
            let got = bench.get(&receiver, &[carrier, list].concat()).expect_code(6);
            got.expect_words(&["error: refused: `volley recv` runs there", "use `volley send`"]);
        }
        let told = receiver.stop().stderr;
        assert!(!told.contains("connected and"), "{told}");
        bench.expect_arrived(&["file"]);
    }
}

#[test]
fn twenty_getters_at_once_are_served_and_then_one_more() {
    const COUNT: usize = 20;
    let bench = Bench::new();
    make_random(&bench.from().join("tree"), seed());
    bench.file("file", 300_000);
    let sharer = bench.share(&["tree", "file"], &[]);
    let get = |index: usize| {
        let name = format!("to {index}");
        fs::create_dir(bench.to().join(&name)).expect("made");
        bench.get(&sharer, &[&[name.as_str()], CARRIERS[index % 2]].concat())
    };
    expect_all_done(&side_by_side(COUNT, COUNT, get), COUNT);
    expect_all_done(&[get(COUNT)], 1);
    sharer.stop();
    let tree = snapshot(&bench.from().join("tree"), false);
    let file = fs::read(bench.from().join("file")).expect("there");
    for index in 0..=COUNT {
        let to = bench.to().join(format!("to {index}"));
        assert!(snapshot(&to.join("tree"), false) == tree, "getter {index}");
        assert!(fs::read(to.join("file")).expect("there") == file, "getter {index}");
    }
}

#[test]
fn what_exists_is_kept_and_hidden_names_are_taken_only_where_the_getter_says_so() {
    for carrier in CARRIERS {
        let bench = Bench::new();
        [".hidden", "old", "new"].iter().for_each(|name| bench.file(name, 5_000));
        fs::write(bench.to().join("old"), "as it was").expect("written");
        let sharer = bench.share(&[".hidden", "old", "new"], &[]);
        let got = bench.get(&sharer, carrier).expect_code(1);
        got.expect_words(&["not everything arrived", "--hidden", "\"old\" exists", "--overwrite"]);
        bench.expect_equal(&["new"]);
        bench.expect_names(&["old", "new"]);
        assert_eq!(fs::read(bench.to().join("old")).expect("there"), b"as it was");
        let got = bench.get(&sharer, &[carrier, &["--overwrite", "--hidden"]].concat());
        got.expect_code(0);
        sharer.stop();
        bench.expect_arrived(&[".hidden", "old", "new"]);
    }
}

#[test]
fn a_getter_that_is_killed_leaves_a_sharer_that_serves_the_next() {
    for carrier in CARRIERS {
        let bench = Bench::new();
        let (sharer, mut getter) = in_the_middle(&bench, carrier, &[]);
        getter.kill();
        let list = bench.get(&sharer, &[carrier, &["--list"]].concat()).expect_code(0);
        assert!(list.stdout.contains("long"), "{list:?}");
        sharer.running.wait_for_words(&["127.0.0.1", "its user has to get it again"]);
        sharer.stop();
    }
}

#[test]
fn a_sharer_that_is_killed_is_missed_soon() {
    for carrier in CARRIERS {
        let bench = Bench::new();
        let (mut sharer, getter) = in_the_middle(&bench, carrier, &[]);
        sharer.running.kill();
        let got = getter.finish_before_silence().expect_code(4);
        got.expect_words(&["127.0.0.1", "get it again when it is back"]);
        bench.expect_names(&[]);
    }
}

/// Who gets must not believe that all is there.
#[test]
fn what_cannot_be_offered_is_told_to_the_other_side() {
    use std::os::unix::ffi::OsStrExt;
    for carrier in CARRIERS {
        let bench = Bench::new();
        fs::create_dir(bench.from().join("tree")).expect("room");
        bench.file("tree/fine", 5_000);
        let name = std::ffi::OsStr::from_bytes(b"not \xff UTF-8");
        fs::write(bench.from().join("tree").join(name), "x").expect("room");
        let sharer = bench.share(&["tree"], &["--once"]);
        let list = bench.get(&sharer, &[carrier, &["--list"]].concat()).expect_code(6);
        list.expect_words(&["not all is offered", "UTF-8"]);
        let got = bench.get(&sharer, carrier).expect_code(6);
        got.expect_words(&["not everything arrived", "UTF-8"]);
        sharer.finish().expect_code(6);
        bench.expect_equal(&["tree/fine"]);
    }
}

#[test]
fn either_side_may_be_interrupted_and_the_other_is_told() {
    for carrier in CARRIERS {
        let bench = Bench::new();
        let (sharer, getter) = in_the_middle(&bench, carrier, &[]);
        getter.signal("INT");
        getter.finish().expect_code(130).expect_words(&["interrupted; what is complete is kept"]);
        let said = ["the other side was interrupted", "its user has to get it again"];
        sharer.running.wait_for_words(&said);
        bench.forget_unfinished();
        let getter = bench.start_getting(&sharer, carrier);
        bench.wait_for_first_bytes();
        sharer.stop().expect_words(&["interrupted; the other sides keep what is complete"]);
        let got = getter.finish_before_silence().expect_code(4);
        got.expect_words(&["the other side was interrupted", "start it again, then get it again"]);
        bench.expect_names(&[]);
    }
}

#[test]
fn who_is_slower_at_a_share_for_one_transfer_is_told_the_truth() {
    let bench = Bench::new();
    let (sharer, slow) = in_the_middle(&bench, &[], &["--once"]);
    fs::create_dir(bench.to().join("fast")).expect("made");
    bench.get(&sharer, &["fast", "--tcp"]).expect_code(0);
    sharer.finish().expect_code(0);
    let told = slow.finish_before_silence().expect_code(4);
    assert!(!told.stderr.contains("interrupted"), "{}", told.stderr);
    told.expect_words(&["--once", "another one is complete", "get it again"]);
    bench.expect_names(&["fast"]);
}

#[test]
fn what_is_no_longer_there_is_refused_by_its_name() {
    for carrier in CARRIERS {
        let bench = Bench::new();
        bench.file("file", 5_000);
        let sharer = bench.share(&["file"], &[]);
        fs::rename(bench.from().join("file"), bench.from().join("away")).expect("ours");
        for list in [&[][..], &["--list"]] {
            let got = bench.get(&sharer, &[carrier, list].concat()).expect_code(9);
            got.expect_words(&["cannot read file", "No such file"]);
        }
        fs::rename(bench.from().join("away"), bench.from().join("file")).expect("ours");
        bench.get(&sharer, carrier).expect_code(0);
        sharer.stop();
        bench.expect_arrived(&["file"]);
    }
}

/// A share over TCP that sends `data`, if any, and then offers `offers` whatever comes. Says with what words
/// it is left, if with any.
fn hostile(offers: Vec<Entry>, data: Option<&'static [u8]>) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let address = listener.local_addr().expect("bound").to_string();
    let serving = std::thread::spawn(move || {
        let (stream, _) = listener.accept().expect("somebody comes");
        let mut reader = RecordReader::new(&stream, Interrupt::default());
        let first = reader.next(&mut |_| false).expect("a record");
        assert!(matches!(first, Some(Record::Hello { .. })), "{first:?}");
        let mut said = Vec::new();
        for entry in offers {
            Message::Offer(entry).put(&mut said);
        }
        Message::OfferEnd.put(&mut said);
        let hello = Record::Welcome { version: VERSION };
        let data = data.map(|bytes| Record::Data { offset: 0, bytes });
        for record in [Some(hello), data, Some(Record::Messages(&said))].into_iter().flatten() {
            put(&stream, &record);
        }
        reader.trust();
        loop {
            match reader.next(&mut |_| false) {
                Ok(Some(Record::Close { reason, .. })) => {
                    return String::from_utf8_lossy(reason).into_owned();
                }
                Ok(Some(_)) => {}
                _ => return String::new(),
            }
        }
    });
    (address, serving)
}

fn put(mut stream: &TcpStream, record: &Record<'_>) {
    let mut bytes = Vec::new();
    record.write_to(&mut bytes);
    // Who is sent away no longer reads.
    let _ = stream.write_all(&bytes);
}

#[test]
fn a_share_that_offers_what_lies_outside_is_refused_and_shown_as_it_is() {
    let entry = |path: &str| {
        let kind = Kind::File { size: 0, holes: None, attributes: ATTRIBUTES, source: None };
        Entry { path: path.into(), kind }
    };
    let link = Entry { path: "l".into(), kind: Kind::Link { target: "../../x".into() } };
    let offers = vec![entry("../evil"), entry("/evil"), entry("a\u{1b}[2J"), link];
    let bench = Bench::new();
    let (address, serving) = hostile(offers.clone(), None);
    let line = ["get", &address, "--open", "--tcp", "--list"];
    let list = Running::start(&bench.to(), &line).finish().expect_code(0);
    let rows: Vec<&str> = list.stdout.lines().map(str::trim).collect();
    let expected = ["0 B  ../evil", "0 B  /evil", "0 B  a\\u{1b}[2J", "l -> ../../x"];
    assert_eq!(rows, expected);
    serving.join().expect("it does not panic");
    let (address, serving) = hostile(offers, None);
    let got = Running::start(&bench.to(), &["get", &address, "--open", "--tcp"]);
    got.finish().expect_code(6).expect_words(&["..", "leads out"]);
    serving.join().expect("it does not panic");
    bench.expect_names(&[]);
    assert!(!bench.from().join("../evil").exists());
}

#[test]
fn a_share_that_sends_bytes_to_one_who_only_looks_is_left() {
    let bench = Bench::new();
    let kind = Kind::File { size: 100, holes: None, attributes: ATTRIBUTES, source: None };
    let (address, serving) = hostile(vec![Entry { path: "file".into(), kind }], Some(b"bytes"));
    let line = ["get", &address, "--open", "--tcp", "--list"];
    let list = Running::start(&bench.to(), &line).finish().expect_code(1);
    list.expect_words(&["the sender broke the protocol", "bytes that were not asked for"]);
    let told = serving.join().expect("it does not panic");
    assert!(told.contains("not asked for"), "{told}");
    bench.expect_names(&[]);
}

#[test]
fn strangers_at_a_share_get_no_word_and_roles_that_do_not_exist_a_sentence() {
    let bench = Bench::new();
    bench.file("file", 5);
    let sharer = bench.share(&["file"], &[]);
    let mut hello = Vec::new();
    Record::Hello { versions: vec![VERSION], role: Role::Lister }.write_to(&mut hello);
    *hello.last_mut().expect("a role") = 4;
    for (first, is_stranger) in [(&b"GET / HTTP/1.1\r\n\r\n"[..], true), (&hello, false)] {
        let mut stream = TcpStream::connect(&sharer.address).expect("it listens");
        stream.write_all(first).expect("it reads");
        let mut answer = Vec::new();
        let _ = std::io::Read::read_to_end(&mut stream, &mut answer);
        let answer = String::from_utf8_lossy(&answer);
        assert_eq!(answer.is_empty(), is_stranger, "{answer:?}");
        assert_eq!(answer.contains("install the same version"), !is_stranger, "{answer:?}");
    }
    bench.get(&sharer, &[]).expect_code(0);
    sharer.stop();
}

#[test]
fn events_of_both_sides_are_valid() {
    let schema = Schema::load("jsonl.schema.json");
    for carrier in CARRIERS {
        let bench = Bench::new();
        bench.file("file", 500_000);
        let sharer = bench.share(&["file"], &["--once", "--jsonl"]);
        let got = bench.get(&sharer, &[carrier, &["--jsonl"]].concat()).expect_code(0);
        let sent = sharer.finish_by_farewell().expect_code(0);
        for (told, direction) in [(got, "received"), (sent, "sent")] {
            let events: Vec<Value> =
                told.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
            events.iter().for_each(|event| assert_eq!(schema.fault(event), None));
            let last = events.last().expect("events");
            assert_eq!(last["event"], "complete");
            assert_eq!(last["result"]["direction"], direction);
        }
        bench.expect_arrived(&["file"]);
    }
}
