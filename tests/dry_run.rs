//! `--dry-run`: what is said, that nothing is done, and that the real command does what was said.

#[expect(dead_code, reason = "each test file uses its part of the harness")]
mod common;

use common::process::start_as_ordinary_user;
use common::schema::Schema;
use common::tree::snapshot;
use common::{Bench, CARRIERS, Outcome, Receiver, wait_until};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// One of each: what is new, the same, another one of the same name, of another size and of the same, and
/// what lies in a directory that is not there.
fn furnished() -> Bench {
    let bench = Bench::new();
    fs::create_dir_all(bench.from().join("tree/made/below")).expect("room");
    fs::create_dir_all(bench.to().join("tree")).expect("room");
    for (name, size) in
        [("new", 300_000), ("same", 2_000_000), ("other", 5_000), ("of one size", 1_500_000)]
    {
        bench.file(&format!("tree/{name}"), size);
    }
    bench.file("tree/made/below/inner", 7);
    bench.file("tree/made/empty", 0);
    symlink("new", bench.from().join("tree/link")).expect("room");
    let (from, to) = (bench.from().join("tree"), bench.to().join("tree"));
    fs::copy(from.join("same"), to.join("same")).expect("room");
    fs::write(to.join("other"), "shorter").expect("room");
    let mut changed = fs::read(from.join("of one size")).expect("there");
    changed[1_200_000] ^= 1;
    fs::write(to.join("of one size"), changed).expect("room");
    bench
}

/// The tree, and when each thing in it was changed last.
fn everything(root: &Path) -> (BTreeMap<PathBuf, String>, Vec<(i64, i64)>) {
    let all = snapshot(root, true);
    let changed = |path: &PathBuf| {
        let metadata = root.join(path).symlink_metadata().expect("there");
        (metadata.ctime(), metadata.ctime_nsec())
    };
    let times = all.keys().map(changed).collect();
    (all, times)
}

/// What became of each file, or would.
fn outcomes(result: &Value) -> BTreeMap<String, (String, Value)> {
    let files = result["files"].as_array().expect("a list").iter();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let outcome = |file: &Value| match text(&file["outcome"]).as_str() {
        "would" => "committed".to_owned(),
        other => other.to_owned(),
    };
    files.map(|file| (text(&file["name"]), (outcome(file), file["renamed"].clone()))).collect()
}

/// The plan and then the transfer, by `run`, which is told the options: both say the same, and the plan has
/// changed nothing.
fn expect_kept(bench: &Bench, options: &[&str], code: i32, run: impl Fn(&[&str]) -> Outcome) {
    let before = everything(&bench.to());
    let said = run(&[options, &["--dry-run", "--json"]].concat()).expect_code(code).json();
    assert_eq!(everything(&bench.to()), before);
    assert_eq!((&said["bytes"], &said["exit_code"]), (&0.into(), &code.into()));
    let done = run(&[options, &["--json"]].concat()).expect_code(code).json();
    assert_eq!(outcomes(&said), outcomes(&done));
    assert_eq!(said["dry_run"]["bytes"], done["bytes"]);
    assert_eq!(said["dry_run"]["files"], done["counts"]["files"]);
    assert_eq!(done["dry_run"], Value::Null);
    for count in ["same", "left", "failed", "skipped_links"] {
        assert_eq!(said["counts"][count], done["counts"][count], "{count}");
    }
}

const POLICIES: [(&[&str], i32); 4] =
    [(&[], 7), (&["--overwrite"], 0), (&["--rename"], 0), (&["--skip-existing"], 0)];

#[test]
fn a_receiver_is_asked_and_then_does_what_it_said() {
    for carrier in CARRIERS {
        for (policy, code) in POLICIES {
            let bench = furnished();
            let receiver = bench.receive(&[policy, &["--once"]].concat());
            expect_kept(&bench, carrier, code, |options| bench.send(&receiver, &["tree"], options));
            // To have been asked is no transfer.
            let told = receiver.finish_by_farewell().expect_code(code);
            told.expect_words(&["127.0.0.1", "asked what would be done (--dry-run): 9 entries"]);
        }
    }
}

#[test]
fn a_getter_judges_itself_and_then_does_what_it_said() {
    for carrier in CARRIERS {
        for (policy, code) in POLICIES {
            let bench = furnished();
            let sharer = bench.share(&["tree"], &["--once"]);
            let options = [carrier, policy].concat();
            expect_kept(&bench, &options, code, |options| bench.get(&sharer, options));
            let told = sharer.finish_by_farewell().expect_code(code);
            told.expect_words(&["127.0.0.1", "asked what would be done (--dry-run): 9 entries"]);
        }
    }
}

#[test]
fn a_person_reads_what_would_be_done() {
    let bench = furnished();
    let receiver = bench.receive(&["--overwrite"]);
    let options = ["--dry-run", "--manifest", "list", "--report", "report.html"];
    let said = bench.send(&receiver, &["tree"], &options).expect_code(0);
    let (first, rest) = said.stderr.split_once('\n').expect("several lines");
    assert!(first.starts_with("would send 5 files (1.72 MiB), 2 directories to 127"), "{first}");
    assert!(first.ends_with("over UDP; nothing was sent"), "{first}");
    let lines: Vec<&str> = rest.lines().map(str::trim).collect();
    for line in [
        "replace     tree/other",
        "replace     tree/of one size",
        "there       1 file (1.91 MiB) with the same contents, not to be sent again",
        "left out    1 symbolic link; send them with --links, or with --copy-links what they lead to",
    ] {
        assert!(lines.contains(&line), "{line:?} in {lines:?}");
    }
    assert!(!bench.from().join("list").exists() && !bench.from().join("report.html").exists());
    let one = bench.send(&receiver, &["tree/new"], &["--dry-run", "--tcp"]).expect_code(0);
    one.expect_words(&["would send new (293 KiB) to 127.0.0.1:", "over TCP; nothing was sent"]);
    receiver.stop();
    let receiver = bench.receive(&[]);
    let refused = bench.send(&receiver, &["tree"], &["--dry-run"]).expect_code(7);
    refused.expect_words(&["error: not everything would arrive", "would fail  tree/other:"]);
    let refused = bench.send(&receiver, &["tree/other"], &["--dry-run"]).expect_code(0);
    refused.expect_words(&["would send other"]);
    receiver.stop();
    fs::remove_dir_all(bench.to().join("tree")).expect("ours");
    let sharer = bench.share(&["tree"], &[]);
    let said = bench.get(&sharer, &["--dry-run"]).expect_code(0);
    said.expect_words(&["would get 6 files (3.63 MiB), 3 directories", "nothing was written"]);
    bench.get(&sharer, &[]).expect_code(0);
    let said = bench.get(&sharer, &["--dry-run"]).expect_code(0);
    said.expect_words(&["would get nothing from 127.0.0.1:"]);
    sharer.stop();
}

#[test]
fn what_cannot_be_read_is_found_before_the_transfer() {
    for carrier in CARRIERS {
        let bench = furnished();
        let secret = bench.from().join("tree/new");
        fs::set_permissions(&secret, Permissions::from_mode(0o000)).expect("ours");
        let receiver = bench.receive(&["--overwrite"]);
        let options = [carrier, &["--dry-run"]].concat();
        let line = [&["send", "tree", &receiver.address, "--open"], &options[..]].concat();
        let Some(asking) = start_as_ordinary_user(&bench.from(), &line) else { return };
        let said = asking.finish().expect_code(9);
        said.expect_words(&["would fail  tree/new: cannot read", "Permission denied"]);
        receiver.stop();
        let line = ["share", "tree", "--open", "--bind", "127.0.0.1", "--port", "0"];
        let sharing = start_as_ordinary_user(&bench.from(), &line).expect("as before");
        let sharer = Receiver::listen(sharing);
        let said = bench.get(&sharer, &[&options[..], &["--overwrite"]].concat()).expect_code(9);
        said.expect_words(&["would fail  tree/new: the sender gave up", "Permission denied"]);
        sharer.stop();
    }
}

/// Bytes of the journal of the only unfinished file.
fn written_down(bench: &Bench) -> u64 {
    let entries = fs::read_dir(bench.to().join(".volley-partial")).into_iter().flatten();
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let journals = paths.filter(|path| path.extension().is_some_and(|end| end == "journal"));
    journals.filter_map(|path| Some(path.metadata().ok()?.len())).max().unwrap_or(0)
}

#[test]
fn what_has_come_already_is_counted_and_a_transfer_under_way_goes_on() {
    let bench = Bench::new();
    bench.file("long", 12_000_000);
    let receiver = bench.receive(&["--once"]);
    let rate = ["--cc", "fixed:24Mbit", "--json"];
    let sending = bench.start_sending(&receiver, &["long"], &rate);
    wait_until("something is written down", || written_down(&bench) > 64);
    for carrier in CARRIERS {
        let options = [carrier, &["--dry-run", "--json"]].concat();
        let said = bench.send(&receiver, &["long"], &options).expect_code(0).json();
        let there = said["dry_run"]["resumed_bytes"].as_u64().expect("a number");
        assert!((1 << 20..=12_000_000).contains(&there), "{said}");
        assert_eq!(said["files"][0]["bytes_there"], there);
    }
    let done = sending.finish().expect_code(0).json();
    assert_eq!(done["resumed_bytes"], 0);
    receiver.finish_by_farewell().expect_code(0);
    bench.expect_arrived(&["long"]);
}

#[test]
fn a_receiver_for_one_file_is_asked_like_any_other() {
    for carrier in CARRIERS {
        let bench = furnished();
        let line = ["recv", "-", "--open", "--bind", "127.0.0.1", "--port", "0"];
        let receiver = Receiver::listen(common::Running::start(&bench.to(), &line));
        let options = [carrier, &["--dry-run"]].concat();
        let said = bench.send(&receiver, &["tree/new"], &options).expect_code(0);
        said.expect_words(&["would send new (293 KiB)"]);
        bench.send(&receiver, &["tree/new", "tree/other"], &options).expect_code(6);
        receiver.stop();
    }
}

#[test]
fn events_of_a_plan_are_valid() {
    let schema = Schema::load("jsonl.schema.json");
    for carrier in CARRIERS {
        let bench = furnished();
        let receiver = bench.receive(&["--jsonl"]);
        let options = [carrier, &["--jsonl", "--dry-run"]].concat();
        let said = bench.send(&receiver, &["tree"], &options).expect_code(7);
        let heard = receiver.stop();
        for told in [said, heard] {
            let events: Vec<Value> =
                told.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
            events.iter().for_each(|event| assert_eq!(schema.fault(event), None));
            let results = events.iter().filter_map(|event| event["result"].as_object());
            let plans = results.filter(|result| result["dry_run"]["files"] == 3);
            assert_eq!(plans.count(), 1, "{events:?}");
        }
    }
}
