//! Whole directories: what goes, what arrives, and what does not.

#[expect(dead_code, reason = "each test file uses its part of the harness")]
mod common;

use common::process::{RECEIVE, start_as_ordinary_user};
use common::tree::{expect_same, make_empty_files, make_random, snapshot};
use common::{Bench, CARRIERS, Receiver, seed, words};
use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

/// Sends the tree `tree`, expects this exit code, and says what the sender said.
fn send_tree(bench: &Bench, options: &[&str], code: i32) -> String {
    let receiver = bench.receive(&["--once"]);
    let sent = bench.send(&receiver, &["tree"], options).expect_code(code);
    receiver.finish_by_farewell();
    sent.stderr
}

#[test]
fn random_trees_arrive_as_they_are_over_both_carriers() {
    for round in 0..6 {
        let seed = seed() + round;
        for carrier in CARRIERS {
            let bench = Bench::new();
            make_random(&bench.from().join("tree"), seed);
            send_tree(&bench, &[carrier, &["--links"]].concat(), 0);
            expect_same(&bench.from().join("tree"), &bench.to().join("tree"), true);
        }
    }
}

#[test]
fn a_tree_comes_through_a_lossy_link() {
    let bench = Bench::new();
    make_random(&bench.from().join("tree"), 7);
    make_empty_files(&bench.from().join("tree/many"), 1_000);
    let options =
        format!("--loss 10% --delay 2ms --reorder 5% --cc fixed:50Mbit --seed {}", seed());
    send_tree(&bench, &words(&options), 0);
    expect_same(&bench.from().join("tree"), &bench.to().join("tree"), false);
}

#[test]
fn a_slash_behind_a_directory_means_nothing_and_a_dot_means_its_name() {
    let bench = Bench::new();
    fs::create_dir_all(bench.from().join("tree/deep")).expect("made");
    for (word, arrives) in
        [("tree/", "tree"), ("tree/deep/..", "tree"), ("tree/deep/.", "deep"), (".", "from")]
    {
        let receiver = bench.receive(&["--once"]);
        bench.send(&receiver, &[word], &[]).expect_code(0);
        receiver.finish().expect_code(0);
        assert!(bench.to().join(arrives).is_dir(), "{word}");
        fs::remove_dir_all(bench.to().join(arrives)).expect("it is there");
        bench.expect_names(&[]);
    }
}

#[test]
fn links_are_left_out_sent_or_followed_as_the_user_says() {
    let bench = Bench::new();
    let tree = bench.from().join("tree");
    fs::create_dir_all(tree.join("dir")).expect("made");
    bench.file("tree/dir/file", 5_000);
    bench.file("outside", 5_000);
    symlink("dir/file", tree.join("inner")).expect("made");
    symlink("../../outside", tree.join("dir/outer")).expect("made");
    symlink("..", tree.join("dir/loop")).expect("made");

    let told = send_tree(&bench, &[], 0);
    assert!(told.contains("3 symbolic links"), "{told}");
    assert!(told.contains("--links") && told.contains("--copy-links"), "{told}");
    assert_eq!(fs::read_dir(bench.to().join("tree/dir")).expect("there").count(), 1);
    fs::remove_dir_all(bench.to().join("tree")).expect("it is there");

    // At the receiver ../../outside is above what may be written to by one: it lies in its directory.
    send_tree(&bench, &["--links"], 0);
    let link = |path: &str| fs::read_link(bench.to().join("tree").join(path)).expect("a link");
    assert_eq!(link("inner"), OsStr::new("dir/file"));
    assert_eq!(link("dir/loop"), OsStr::new(".."));
    fs::remove_dir_all(bench.to().join("tree")).expect("it is there");

    let told = send_tree(&bench, &["--copy-links"], 9);
    assert!(told.contains("tree/dir/loop leads back"), "{told}");
    bench.expect_equal(&["tree/dir/file"]);
    let same = fs::read(bench.to().join("tree/dir/outer")).expect("there");
    assert_eq!(same, fs::read(bench.from().join("outside")).expect("there"));
    assert!(bench.to().join("tree/inner").is_file());
}

#[test]
fn links_that_lead_out_are_named_and_everything_else_arrives() {
    for carrier in CARRIERS {
        let bench = Bench::new();
        fs::create_dir(bench.from().join("tree")).expect("made");
        bench.file("tree/file", 5_000);
        symlink("/etc/passwd", bench.from().join("tree/absolute")).expect("made");
        symlink("../../up", bench.from().join("tree/up")).expect("made");
        let told = send_tree(&bench, &[carrier, &["--links"]].concat(), 6);
        assert!(told.contains("tree/absolute") && told.contains("tree/up"), "{told}");
        bench.expect_equal(&["tree/file"]);
        assert_eq!(fs::read_dir(bench.to().join("tree")).expect("there").count(), 1);
    }
}

#[test]
fn what_cannot_be_sent_is_named_and_everything_else_arrives() {
    for carrier in CARRIERS {
        let bench = Bench::new();
        let tree = bench.from().join("tree");
        fs::create_dir(&tree).expect("made");
        bench.file("tree/file", 5_000);
        fs::write(tree.join(OsStr::from_bytes(b"bad \xff name")), b"x").expect("written");
        fs::write(tree.join("bad\\name"), b"x").expect("written");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            tree.join("pipe"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .expect("made");
        let told = send_tree(&bench, carrier, 6);
        assert!(told.contains("not UTF-8") && told.contains("no file name may hold"), "{told}");
        assert!(told.contains("1 special file: tree/pipe"), "{told}");
        bench.expect_equal(&["tree/file"]);
        assert_eq!(fs::read_dir(bench.to().join("tree")).expect("there").count(), 1);
    }
}

#[test]
fn globs_choose_what_goes() {
    let bench = Bench::new();
    for directory in ["tree/src", "tree/target/deep", "tree/empty"] {
        fs::create_dir_all(bench.from().join(directory)).expect("made");
    }
    for file in ["tree/src/a.rs", "tree/src/a.tmp", "tree/target/deep/b.rs", "tree/c.txt"] {
        bench.file(file, 100);
    }
    let names = || {
        let all = snapshot(&bench.to().join("tree"), true).into_keys();
        let names: Vec<String> = all.map(|path| path.display().to_string()).collect();
        fs::remove_dir_all(bench.to().join("tree")).expect("it is there");
        names
    };
    send_tree(&bench, &["--exclude", "*.tmp", "--exclude", "target"], 0);
    assert_eq!(names(), ["", "c.txt", "empty", "src", "src/a.rs"]);
    send_tree(&bench, &["--include", "*.rs", "--exclude", "tree/target"], 0);
    assert_eq!(names(), ["", "src", "src/a.rs"]);
    let line = format!("send tree 127.0.0.1:{} --open --exclude [z-a]", common::free_port());
    bench.volley(&words(&line)).expect_code(2).expect_words(&["[z-a]"]);
}

#[test]
fn directories_merge_and_what_is_in_the_way_stays() {
    for carrier in CARRIERS {
        let bench = Bench::new();
        fs::create_dir_all(bench.from().join("tree/sub")).expect("made");
        ["tree/new", "tree/old", "tree/sub/file"].iter().for_each(|name| bench.file(name, 5_000));
        fs::create_dir(bench.to().join("tree")).expect("made");
        fs::write(bench.to().join("tree/old"), "as it was").expect("written");
        fs::write(bench.to().join("tree/sub"), "a file").expect("written");
        let told = send_tree(&bench, carrier, 7);
        assert!(told.contains("\"tree/old\" exists") && told.contains("tree/sub"), "{told}");
        bench.expect_equal(&["tree/new"]);
        assert_eq!(fs::read(bench.to().join("tree/old")).expect("there"), b"as it was");
        assert_eq!(fs::read(bench.to().join("tree/sub")).expect("there"), b"a file");
    }
}

#[test]
fn hidden_names_inside_a_tree_go_along_but_a_hidden_tree_does_not() {
    let bench = Bench::new();
    fs::create_dir_all(bench.from().join("tree/.git")).expect("made");
    bench.file("tree/.git/config", 100);
    send_tree(&bench, &[], 0);
    bench.expect_equal(&["tree/.git/config"]);
    fs::create_dir(bench.from().join(".ssh")).expect("made");
    bench.file(".ssh/authorized_keys", 100);
    let receiver = bench.receive(&[]);
    bench.send(&receiver, &[".ssh"], &[]).expect_code(6).expect_words(&["--hidden"]);
    receiver.stop();
    bench.expect_names(&["tree"]);
}

#[test]
fn what_is_read_back_from_the_disk_arrives_as_it_is() {
    for carrier in CARRIERS {
        let bench = Bench::new();
        make_random(&bench.from().join("tree"), seed());
        bench.file("tree/long", 3_000_000);
        bench.file("tree/closed", 5_000);
        let set_mode = |path: &Path, mode| {
            fs::set_permissions(path, Permissions::from_mode(mode)).expect("ours");
        };
        // Its owner may not even read it there; who sends it may do everything.
        if rustix::process::geteuid().is_root() {
            set_mode(&bench.from().join("tree/closed"), 0o200);
        }
        set_mode(bench.to().parent().expect("the bench"), 0o755);
        set_mode(&bench.to(), 0o777);
        let line = [&RECEIVE[..], &["--once", "--verify"]].concat();
        let Some(receiver) = start_as_ordinary_user(&bench.to(), &line) else { return };
        let receiver = Receiver::listen(receiver);
        bench.send(&receiver, &["tree"], &[carrier, &["--links"]].concat()).expect_code(0);
        receiver.finish_by_farewell().expect_code(0);
        expect_same(&bench.from().join("tree"), &bench.to().join("tree"), true);
    }
}

#[test]
fn many_files_are_one_line_and_little_memory() {
    for carrier in CARRIERS {
        let bench = Bench::new();
        make_empty_files(&bench.from().join("tree"), 5_000);
        let receiver = bench.receive(&["--once"]);
        let sent = bench.send(&receiver, &["tree"], carrier).expect_code(0);
        assert!(sent.stderr.contains("sent 5000 files, 6 directories (0 B)"), "{}", sent.stderr);
        assert!(sent.stderr.lines().count() < 10, "{}", sent.stderr);
        let received = receiver.finish_by_farewell().expect_code(0);
        assert!(received.stderr.contains("received 5000 files"), "{}", received.stderr);
        assert!(received.stderr.lines().count() < 10, "{}", received.stderr);
        expect_same(&bench.from().join("tree"), &bench.to().join("tree"), true);
    }
}

/// As with the caches of package managers: nobody may write to the directories, not even their owner.
#[test]
fn a_read_only_directory_takes_what_is_added_to_it_and_stays_one() {
    for carrier in CARRIERS {
        let bench = Bench::new();
        let set_mode = |path: &Path, mode| {
            fs::set_permissions(path, Permissions::from_mode(mode)).expect("ours");
        };
        set_mode(bench.to().parent().expect("the bench"), 0o755);
        set_mode(&bench.to(), 0o777);
        fs::create_dir_all(bench.from().join("tree/sub")).expect("room");
        let Some(receiver) = start_as_ordinary_user(&bench.to(), &RECEIVE) else { return };
        let receiver = Receiver::listen(receiver);
        let closed = ["tree", "tree/sub"];
        let set_closed = |root: &Path, mode| {
            closed.iter().for_each(|path| set_mode(&root.join(path), mode));
        };
        for name in ["tree/sub/first", "tree/sub/second", "tree/third"] {
            set_closed(&bench.from(), 0o755);
            bench.file(name, 5_000);
            set_closed(&bench.from(), 0o555);
            bench.send(&receiver, &["tree"], carrier).expect_code(0);
            bench.expect_equal(&[name]);
            for path in closed {
                let there = fs::metadata(bench.to().join(path)).expect("there");
                assert_eq!(there.permissions().mode() & 0o777, 0o555, "{path} after {name}");
            }
        }
        set_closed(&bench.from(), 0o755);
        set_closed(&bench.to(), 0o755);
        receiver.stop();
    }
}
