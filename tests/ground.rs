//! What a receiver's directory and a sender's files may be, and what they may stand on.

#[expect(dead_code, reason = "each test file uses its part of the harness")]
mod common;

use common::process::{RECEIVE, can};
use common::tree::{expect_same, make_random};
use common::{Bench, CARRIERS, Receiver, Running, seed, wait_until};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::net::UnixListener;

/// A receiver for one transfer in a mount namespace of its own, in whose directory `mount` was done; what
/// comes is copied to `out` beside it.
fn receive_on(bench: &Bench, mount: &str) -> Receiver {
    let script = format!(
        "{mount} && cd \"$PWD\"; code=0; \"$@\" || code=$?; \
         cp -a . ../out; rm -rf ../out/.volley-partial; exit $code"
    );
    let outside = ["unshare", "-rm", "sh", "-ec", &script, "sh"];
    let line = [&RECEIVE[..], &["--once"]].concat();
    Receiver::listen(Running::start_in(&outside, &bench.to(), &line))
}

const OVERLAY: &str = "mkdir ../under && mount -t tmpfs none ../under && \
                       mkdir ../under/l ../under/u ../under/w && mount -t overlay none . \
                       -o lowerdir=../under/l,upperdir=../under/u,workdir=../under/w";

#[test]
fn a_tree_arrives_on_whatever_file_system_can_be_had() {
    for mount in ["mount -t tmpfs none .", OVERLAY, "mount --bind . ."] {
        let trying = format!("mkdir a && cd a && mkdir b && cd b && {mount}");
        let temp = tempfile::tempdir().expect("room");
        let tried = format!("cd {} && {trying}", temp.path().display());
        if !can(&["unshare", "-rm", "sh", "-ec", &tried]) {
            continue;
        }
        for carrier in CARRIERS {
            let bench = Bench::new();
            make_random(&bench.from().join("tree"), seed());
            let receiver = receive_on(&bench, mount);
            let options = [carrier, &["--links"][..]].concat();
            bench.send(&receiver, &["tree"], &options).expect_code(0);
            receiver.finish_by_farewell().expect_code(0);
            let out = bench.to().with_file_name("out");
            expect_same(&bench.from().join("tree"), &out.join("tree"), true);
        }
    }
}

#[test]
fn where_no_more_files_fit_those_that_do_arrive_and_the_others_are_named() {
    if !can(&["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"]) {
        return;
    }
    for carrier in CARRIERS {
        let bench = Bench::new();
        let names: Vec<String> = (0..60).map(|index| format!("file {index}")).collect();
        names.iter().for_each(|name| bench.file(name, 500));
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let receiver = receive_on(&bench, "mount -t tmpfs -o nr_inodes=30 none .");
        let sent = bench.send(&receiver, &names, carrier).expect_code(8);
        sent.expect_words(&["No space left", "make room there and send again"]);
        receiver.finish_by_farewell().expect_code(8);
        let out = bench.to().with_file_name("out");
        let mut came = 0;
        for name in names.iter().filter(|name| out.join(name).exists()) {
            let bytes = |path| fs::read(path).expect("there");
            assert!(bytes(out.join(name)) == bytes(bench.from().join(name)), "{name}");
            came += 1;
        }
        assert!((1..60).contains(&came), "{came}");
    }
}

/// Kernels before 5.6, sandboxes and some network file systems know none of these.
#[test]
fn where_the_system_lacks_its_newer_calls_a_tree_arrives_all_the_same() {
    const LACKS: [&str; 4] = [
        "inject=renameat2:error=ENOSYS",
        "inject=renameat2:error=EINVAL",
        "inject=openat2:error=ENOSYS",
        "inject=fallocate,copy_file_range,statx:error=ENOSYS",
    ];
    for lack in LACKS {
        let calls = lack["inject=".len()..].split(':').next().expect("there is one");
        let traced = format!("trace={calls}");
        let strace = ["strace", "-f", "-q", "-o", "/dev/null", "-e", &traced, "-e", lack];
        if !can(&[&strace[..], &["true"]].concat()) {
            continue;
        }
        let bench = Bench::new();
        make_random(&bench.from().join("tree"), seed());
        bench.file("file", 2_500_000);
        let line = [&RECEIVE[..], &["--once"]].concat();
        let receiver = Receiver::listen(Running::start_in(&strace, &bench.to(), &line));
        bench.send(&receiver, &["tree", "file"], &["--links"]).expect_code(0);
        receiver.finish_by_farewell().expect_code(0);
        expect_same(&bench.from().join("tree"), &bench.to().join("tree"), true);
        bench.expect_equal(&["file"]);
    }
}

#[test]
fn a_link_to_a_directory_is_one_and_nothing_else_is_that_is_none() {
    let bench = Bench::new();
    bench.file("file", 5_000);
    let at = |name: &str| bench.to().join(name);
    fs::create_dir(at("real")).expect("room");
    symlink("real", at("link")).expect("room");
    let line = ["recv", "link", "--open", "--bind", "127.0.0.1", "--port", "0", "--once"];
    let receiver = Receiver::listen(Running::start(&bench.to(), &line));
    bench.send(&receiver, &["file"], &[]).expect_code(0);
    receiver.finish_by_farewell().expect_code(0);
    assert_eq!(fs::metadata(at("real/file")).expect("there").len(), 5_000);

    fs::write(at("plain"), "mine").expect("room");
    symlink("nowhere", at("dangling")).expect("room");
    symlink("around", at("around")).expect("room");
    mknodat(CWD, at("fifo"), FileType::Fifo, Mode::RWXU, 0).expect("a FIFO can be made");
    for name in ["plain", "fifo", "around", "/dev/null"] {
        let line = ["recv", name, "--open", "--bind", "127.0.0.1", "--port", "0", "--once"];
        let ended = Running::start(&bench.to(), &line).finish();
        assert!(ended.code.is_some_and(|code| (1..10).contains(&code)), "{name}: {ended:?}");
        assert!(ended.stderr.contains(name), "{ended:?}");
    }
    assert_eq!(fs::read(at("plain")).expect("there"), b"mine");
}

#[test]
fn what_is_no_file_is_named_and_not_waited_for() {
    let bench = Bench::new();
    let at = |name: &str| bench.from().join(name);
    mknodat(CWD, at("fifo"), FileType::Fifo, Mode::RWXU, 0).expect("a FIFO can be made");
    let _socket = UnixListener::bind(at("socket")).expect("a socket can be made");
    let receiver = bench.receive(&[]);
    for carrier in CARRIERS {
        for name in ["fifo", "socket", "/dev/null", "/dev/zero"] {
            let sent = bench.send(&receiver, &[name], carrier).expect_code(9);
            sent.expect_words(&[name, "neither file nor directory"]);
        }
    }
    receiver.stop();
    bench.expect_names(&[]);
}

/// The files of /proc say that they are empty, and are not.
#[cfg(target_os = "linux")]
#[test]
fn a_file_that_says_it_is_empty_and_is_not_is_no_empty_file() {
    let bench = Bench::new();
    let receiver = bench.receive(&[]);
    for carrier in CARRIERS {
        let sent = bench.send(&receiver, &["/proc/version"], carrier).expect_code(9);
        sent.expect_words(&["/proc/version"]);
    }
    receiver.stop();
    bench.expect_names(&[]);
}

#[test]
fn each_name_of_a_file_with_several_arrives_as_a_file_of_its_own() {
    for carrier in CARRIERS {
        let bench = Bench::new();
        let tree = bench.from().join("tree");
        fs::create_dir_all(tree.join("deep")).expect("room");
        bench.file("tree/one", 300_000);
        fs::hard_link(tree.join("one"), tree.join("two")).expect("room");
        fs::hard_link(tree.join("one"), tree.join("deep/three")).expect("room");
        let receiver = bench.receive(&["--once"]);
        bench.send(&receiver, &["tree"], carrier).expect_code(0);
        receiver.finish_by_farewell().expect_code(0);
        bench.expect_equal(&["tree/one", "tree/two", "tree/deep/three"]);
        let links = fs::metadata(bench.to().join("tree/two")).expect("there").nlink();
        assert_eq!(links, 1);
    }
}

/// What a shell or a program would take for an option, or for standard input.
#[test]
fn files_that_are_called_like_options_arrive_under_their_names() {
    const NAMES: [&str; 6] = ["-", "--help", "-rf", "stdin", "a:b", "~"];
    for carrier in CARRIERS {
        let bench = Bench::new();
        NAMES.iter().for_each(|name| bench.file(name, 5_000));
        let receiver = bench.receive(&["--once"]);
        let paths = NAMES.map(|name| format!("./{name}"));
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        bench.send(&receiver, &paths, carrier).expect_code(0);
        receiver.finish_by_farewell().expect_code(0);
        bench.expect_arrived(&NAMES);
    }
}

#[test]
fn names_at_their_longest_and_deepest_arrive_and_one_byte_more_is_named() {
    let bench = Bench::new();
    let [longest, wide] = ["x".repeat(255), "ü".repeat(127)];
    let deepest = format!("{}file", "d/".repeat(126));
    let too_deep = format!("{}file", "e/".repeat(128));
    for path in [&longest, &wide, &deepest, &too_deep] {
        let file = format!("tree/{path}");
        let directory = file.rsplit_once('/').expect("in a tree").0;
        fs::create_dir_all(bench.from().join(directory)).expect("room");
        bench.file(&file, 500);
    }
    let receiver = bench.receive(&["--once"]);
    let sent = bench.send(&receiver, &["tree"], &[]);
    assert!(matches!(sent.code, Some(6 | 9)), "{sent:?}");
    sent.expect_words(&["deeper than 128"]);
    receiver.finish_by_farewell();
    bench.expect_equal(
        &[&longest, &wide, &deepest]
            .map(|path| format!("tree/{path}"))
            .each_ref()
            .map(String::as_str),
    );
    assert!(!bench.to().join("tree").join(too_deep).exists());
}

/// Another program, or its user, cleans up in the middle.
#[test]
fn a_partial_area_that_is_removed_in_the_middle_costs_that_transfer_and_no_other() {
    for carrier in CARRIERS {
        let bench = Bench::new();
        bench.file("file", 40_000_000);
        let receiver = bench.receive(&[]);
        let options = [carrier, &["--retry", "0"][..]].concat();
        let sender = bench.start_sending(&receiver, &["file"], &options);
        bench.wait_for_first_bytes();
        fs::remove_dir_all(bench.to().join(".volley-partial")).expect("it is there");
        let sent = sender.finish();
        let is_there = bench.to().join("file").exists();
        // It may have been committed before.
        assert_eq!(sent.code == Some(0), is_there, "{sent:?}");
        bench.send(&receiver, &["file"], carrier).expect_code(0);
        receiver.stop();
        bench.expect_arrived(&["file"]);
    }
}

#[test]
fn a_directory_that_goes_is_told_and_one_that_comes_in_its_place_is_used() {
    for carrier in CARRIERS {
        let bench = Bench::new();
        bench.file("file", 5_000);
        let inbox = bench.to().join("inbox");
        fs::create_dir(&inbox).expect("room");
        let line = ["recv", "inbox", "--open", "--bind", "127.0.0.1", "--port", "0"];
        let receiver = Receiver::listen(Running::start(&bench.to(), &line));
        bench.send(&receiver, &["file"], carrier).expect_code(0);
        fs::remove_dir_all(&inbox).expect("ours");
        for _ in 0..2 {
            let sent = bench.send(&receiver, &["file"], carrier).expect_code(1);
            sent.expect_words(&["directory is not there any more"]);
        }
        fs::create_dir(&inbox).expect("room");
        bench.send(&receiver, &["file"], carrier).expect_code(0);
        assert_eq!(fs::metadata(inbox.join("file")).expect("there").len(), 5_000);
        receiver.stop();
    }
}

/// As when a disk is unplugged: nothing goes to what is below it.
#[test]
fn a_file_system_that_is_unmounted_is_missed_until_it_is_back() {
    if !can(&["unshare", "-rm", "sh", "-c", "mount -t tmpfs none /mnt && umount -l /mnt"]) {
        return;
    }
    let bench = Bench::new();
    bench.file("file", 5_000);
    for below in ["disk", "disk/inbox"] {
        fs::create_dir(bench.to().join(below)).expect("room");
    }
    // Two files from outside say when it goes and comes.
    let script = "mount -t tmpfs none disk; mkdir disk/inbox; \"$@\" & \
                  until [ -e ../away ]; do sleep 0.05; done; umount -l disk; touch ../is_away; \
                  until [ -e ../back ]; do sleep 0.05; done; mount -t tmpfs none disk; \
                  mkdir disk/inbox; touch ../is_back; wait";
    let outside = ["unshare", "-rm", "sh", "-c", script, "sh"];
    let line = ["recv", "disk/inbox", "--open", "--bind", "127.0.0.1", "--port", "0"];
    let receiver = Receiver::listen(Running::start_in(&outside, &bench.to(), &line));
    let tell = |told: &str, done: &str| {
        fs::write(bench.to().with_file_name(told), "").expect("room");
        wait_until(done, || bench.to().with_file_name(done).exists());
    };
    bench.send(&receiver, &["file"], &[]).expect_code(0);
    tell("away", "is_away");
    let sent = bench.send(&receiver, &["file"], &[]).expect_code(1);
    sent.expect_words(&["is not mounted any more"]);
    tell("back", "is_back");
    bench.send(&receiver, &["file"], &[]).expect_code(0);
    drop(receiver);
    assert_eq!(fs::read_dir(bench.to().join("disk/inbox")).expect("there").count(), 0);
}

/// No file can be moved to another file system, nor through another mount of the same one.
#[test]
fn what_is_mounted_in_the_directory_takes_no_files_and_that_is_told_before_any_byte() {
    let mount = "mkdir -p tree/disk tree/bound plain && mount -t tmpfs none tree/disk && \
                 mount --bind plain tree/bound";
    let temp = tempfile::tempdir().expect("room");
    let tried = format!("cd {} && {mount}", temp.path().display());
    if !can(&["unshare", "-rm", "sh", "-ec", &tried]) {
        return;
    }
    for carrier in CARRIERS {
        let bench = Bench::new();
        for name in ["disk", "bound", "plain"] {
            fs::create_dir_all(bench.from().join("tree").join(name)).expect("room");
            bench.file(&format!("tree/{name}/file"), 3_000_000);
        }
        let script = format!("{mount} && exec \"$@\"");
        let outside = ["unshare", "-rm", "sh", "-ec", &script, "sh"];
        let receiver = Receiver::listen(Running::start_in(&outside, &bench.to(), &RECEIVE));
        let told = ["tree/disk/file", "tree/bound/file", "on another file system", "receive into"];
        let plan = [carrier, &["--dry-run"][..]].concat();
        bench.send(&receiver, &["tree"], &plan).expect_code(1).expect_words(&told);
        bench.send(&receiver, &["tree"], carrier).expect_code(1).expect_words(&told);
        bench.expect_equal(&["tree/plain/file"]);
        receiver.stop().expect_words(&["on another file system"]);
    }
}

#[test]
fn a_partial_area_on_another_file_system_is_refused() {
    let mount = "mkdir .volley-partial && mount -t tmpfs none .volley-partial";
    let temp = tempfile::tempdir().expect("room");
    let tried = format!("cd {} && {mount}", temp.path().display());
    if !can(&["unshare", "-rm", "sh", "-ec", &tried]) {
        return;
    }
    let bench = Bench::new();
    let script = format!("{mount} && exec \"$@\"");
    let outside = ["unshare", "-rm", "sh", "-ec", &script, "sh"];
    let refused = Running::start_in(&outside, &bench.to(), &RECEIVE).finish().expect_code(1);
    refused.expect_words(&[".volley-partial in it is on another file system"]);
}
