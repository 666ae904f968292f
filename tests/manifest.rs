//! `--manifest FILE`: what is committed and nothing else, as `b3sum --check` reads it.

#[expect(dead_code, reason = "each test file uses its part of the harness")]
mod common;

use common::process::can;
use common::tree::make_random;
use common::{Bench, CARRIERS, Running, seed, words};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

/// What a manifest says, by path.
#[track_caller]
fn read(path: &Path) -> BTreeMap<String, String> {
    let text = fs::read_to_string(path).expect("it was written");
    assert!(text.is_empty() || text.ends_with('\n'), "{text}");
    let lines: Vec<_> = text.lines().collect();
    let entries = lines.iter().map(|line| {
        let (hash, path) = line.split_at_checked(64).expect("a hash");
        assert!(hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')), "{line}");
        (path.strip_prefix("  ").expect("two spaces").to_owned(), hash.to_owned())
    });
    let entries: BTreeMap<_, _> = entries.collect();
    assert_eq!(entries.len(), lines.len(), "each file once: {text}");
    entries
}

/// What it should say of all files below `root`, which are called `prefix` and their path.
fn expected(root: &Path, prefix: &str) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(root).expect("there") {
        let entry = entry.expect("there");
        let name = entry.file_name().into_string().expect("UTF-8");
        let path = format!("{prefix}{name}");
        let kind = entry.file_type().expect("there");
        if kind.is_dir() {
            all.append(&mut expected(&entry.path(), &format!("{path}/")));
        } else if kind.is_file() {
            let hash = blake3::hash(&fs::read(entry.path()).expect("there"));
            all.insert(path, hash.to_string());
        }
    }
    all
}

/// Lets b3sum itself check it, where there is one.
#[track_caller]
fn expect_checked(manifest: &Path, directory: &Path) {
    if !can(&["b3sum", "--version"]) {
        return;
    }
    let mut command = Command::new("b3sum");
    let checked = command.arg("--check").arg(manifest).current_dir(directory).output();
    let checked = checked.expect("it runs");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
}

#[test]
fn a_command_that_does_not_start_leaves_an_older_list_alone() {
    let bench = Bench::new();
    bench.file("file", 5);
    fs::write(bench.from().join("sums"), "old").expect("written");
    for (line, code) in [
        ("get 127.0.0.1 missing --open --manifest sums", 1),
        ("recv missing --open --bind 127.0.0.1 --port 0 --manifest sums", 1),
        ("recv . --open --bind 192.0.2.7 --manifest sums", 1),
        ("send - --name x/ 127.0.0.1 --open --manifest sums", 2),
        ("send file 127.0.0.1 --open --manifest sums --report missing/report.html", 1),
    ] {
        let ended = bench.volley(&words(line));
        assert_eq!(ended.code, Some(code), "{line}: {ended:?}");
        assert_eq!(fs::read(bench.from().join("sums")).expect("there"), b"old", "{line}");
    }
}

#[test]
fn both_sides_list_what_is_committed_as_b3sum_checks_it() {
    for carrier in CARRIERS {
        let bench = Bench::new();
        make_random(&bench.from().join("tree"), seed());
        for name in ["two  words", " first", "-rf", "Füße 文", "empty"] {
            bench.file(&format!("tree/{name}"), if name == "empty" { 0 } else { 2_000_000 });
        }
        let receiver = bench.receive(&["--once", "--manifest", "../received"]);
        let options = [carrier, &["--links", "--manifest", "../sent"]].concat();
        bench.send(&receiver, &["tree"], &options).expect_code(0);
        receiver.finish_by_farewell().expect_code(0);
        let [from, to] = [bench.from(), bench.to()];
        for (side, manifest) in [(&from, "../sent"), (&to, "../received")] {
            let manifest = side.join(manifest);
            assert_eq!(read(&manifest), expected(side, ""));
            expect_checked(&manifest, side);
        }
    }
}

#[test]
fn what_is_not_committed_is_not_listed() {
    for carrier in CARRIERS {
        let bench = Bench::new();
        ["old", "new", "-"].iter().for_each(|name| bench.file(name, 5_000));
        fs::write(bench.to().join("old"), "as it was").expect("written");
        let receiver = bench.receive(&["--once", "--manifest", "../received"]);
        let options = [carrier, &["--manifest", "../sent"]].concat();
        bench.send(&receiver, &["old", "new", "./-"], &options).expect_code(7);
        receiver.finish_by_farewell().expect_code(7);
        for (side, manifest) in [(bench.from(), "../sent"), (bench.to(), "../received")] {
            let listed = read(&side.join(manifest));
            assert_eq!(listed.keys().collect::<Vec<_>>(), ["./-", "new"]);
            expect_checked(&side.join(manifest), &side);
        }
    }
}

#[test]
fn a_receiver_that_goes_on_lists_all_transfers_as_they_come() {
    let bench = Bench::new();
    ["one", "two"].iter().for_each(|name| bench.file(name, 5_000));
    let receiver = bench.receive(&["--manifest", "../received"]);
    let manifest = bench.to().join("../received");
    for (name, carrier) in ["one", "two"].into_iter().zip(CARRIERS) {
        bench.send(&receiver, &[name], carrier).expect_code(0);
        // Listed before the sender knew.
        assert!(read(&manifest).contains_key(name));
    }
    receiver.stop();
    assert_eq!(read(&manifest), expected(&bench.to(), ""));
}

#[test]
fn a_list_that_cannot_be_completed_is_a_failure_though_the_files_are_there() {
    let bench = Bench::new();
    bench.file("file", 5_000);
    let told = ["cannot write the manifest /dev/full", "No space left"];
    let full = words("--once --manifest /dev/full");
    let receiver = bench.receive(&full);
    bench.send(&receiver, &["file"], &full[1..]).expect_code(8).expect_words(&told);
    receiver.finish_by_farewell().expect_code(8).expect_words(&told);
    bench.expect_arrived(&["file"]);
    // What else went wrong is told as well, and first.
    fs::write(bench.to().join("file"), "as it was").expect("written");
    let receiver = bench.receive(&["--once"]);
    let told = ["exists", told[0]];
    bench.file("more", 5);
    bench.send(&receiver, &["file", "more"], &full[1..]).expect_code(7).expect_words(&told);
}

#[test]
fn what_comes_from_standard_input_is_listed_by_the_name_it_has() {
    let bench = Bench::new();
    let receiver = bench.receive(&["--once"]);
    let (sender, stdin) = Running::start_fed(
        &bench.from(),
        &["send", "-", &receiver.address, "--open", "--manifest", "sums", "--name", "x"],
        &[],
    );
    drop(stdin);
    sender.finish().expect_code(0);
    assert_eq!(read(&bench.from().join("sums")), expected(&bench.to(), ""));
}
