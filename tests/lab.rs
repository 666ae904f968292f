//! `volley lab`: kernel TCP and UDP, and volley itself, over a link in namespaces of their own.
//!
//! Where the system allows no lab the tests say why and prove nothing, unless the environment variable
//! `VOLLEY_TEST_LAB` is set to `must`.
#![cfg(target_os = "linux")]

#[expect(dead_code, reason = "each test file uses its part of the harness")]
mod common;

use common::terminal::Terminal;
use common::{Bench, Outcome, Running, note, seed};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

const PROGRAM: &str = env!("CARGO_BIN_EXE_volley");

/// Runs a line for the shell in a lab.
fn lab(bench: &Bench, options: &str, line: &str) -> Outcome {
    Running::start(&bench.from(), &arguments(options, line)).finish()
}

fn arguments<'a>(options: &'a str, line: &'a str) -> Vec<&'a str> {
    [&["lab"], &common::words(options)[..], &["--", line]].concat()
}

/// The object that the lab wrote below whatever the command wrote.
#[track_caller]
fn report(outcome: &Outcome) -> Value {
    let last = outcome.stdout.lines().last().unwrap_or_default();
    serde_json::from_str(last).unwrap_or_else(|error| panic!("{error} in {outcome:?}"))
}

/// Sends `file` from A to B, over what `carrier` says.
fn transfer(carrier: &str) -> String {
    format!(
        "$B {PROGRAM} recv --open --once ../to & \
         until $B grep -qi :1BCD /proc/net/tcp /proc/net/tcp6; do sleep 0.05; done; \
         $A {PROGRAM} send file $IPB --open {carrier} && wait"
    )
}

#[test]
fn kernel_tcp_carries_a_file_over_a_lossy_link() {
    let bench = Bench::new();
    if !bench.has_lab() {
        return;
    }
    bench.file("file", 3_000_000);
    let options = format!("--loss 1% --delay 1ms --json --seed {}", seed());
    let done = lab(&bench, &options, &transfer("--tcp")).expect_code(0);
    bench.expect_arrived(&["file"]);
    let report = report(&done);
    common::expect_link(&report, 0.01, seed());
    assert!(report["link"]["out"]["offered"].as_u64() > Some(2_000), "packets, not superpackets");
    assert_eq!((&report["missed"], &report["unsent"]), (&0.into(), &0.into()), "{report}");
}

#[test]
fn our_own_transport_carries_a_file_over_a_lossy_link() {
    let bench = Bench::new();
    if !bench.has_lab() {
        return;
    }
    bench.file("file", 3_000_000);
    let options = format!("--loss 1% --delay 1ms --json --seed {}", seed());
    let done = lab(&bench, &options, &transfer("")).expect_code(0);
    bench.expect_arrived(&["file"]);
    let report = report(&done);
    common::expect_link(&report, 0.01, seed());
    assert!(report["link"]["out"]["offered"].as_u64() > Some(2_000), "packets, not superpackets");
}

#[test]
fn a_queue_that_marks_loses_nothing_of_a_sender_that_takes_marks() {
    let bench = Bench::new();
    if !bench.has_lab() {
        return;
    }
    bench.file("file", 8_000_000);
    let options = "--rate 20Mbit --delay 10ms --queue 2bdp --mark 5% --json";
    let done = lab(&bench, options, &transfer("--json")).expect_code(0);
    bench.expect_arrived(&["file"]);
    let out = &report(&done)["link"]["out"];
    assert!(out["marked"].as_u64() > Some(0) && out["lost"] == 0, "{out}");
    let sent = done.stdout.lines().find(|line| line.contains("\"sent\"")).expect("JSON");
    let sent: Value = serde_json::from_str(sent).expect("JSON");
    assert_eq!(sent["transport"]["ecn"]["marked"], out["marked"], "{sent}");
}

#[test]
fn the_first_packet_of_a_program_is_the_first_of_the_link() {
    let bench = Bench::new();
    if !bench.has_lab() {
        return;
    }
    // The hosts have had time to look for neighbours, routers and groups, if they did.
    let line = "sleep 1.5; $A bash -c 'for n in 1 2 3; do echo > /dev/udp/$IPB/9; done'; sleep 0.1";
    let done = lab(&bench, "--drop 1,3 --back clean --json", line).expect_code(0);
    let report = report(&done);
    let out = &report["link"]["out"];
    assert_eq!(
        (&out["offered"], &out["lost"], &out["delivered"]),
        (&3.into(), &2.into(), &1.into())
    );
    // Nobody listens: the one that arrived is refused.
    assert_eq!(report["link"]["back"]["delivered"], 1, "{report}");
}

#[test]
fn the_command_says_what_the_program_ends_with() {
    let bench = Bench::new();
    if !bench.has_lab() {
        return;
    }
    for (line, code) in [
        ("lab -- true", 0),
        ("lab -- sh -c false", 1),
        ("lab -- no-such-program there", 127),
        ("lab -- no-such-program", 127),
        ("lab -- / there", 126),
    ] {
        bench.volley(&common::words(line)).expect_code(code);
    }
    for (line, code) in [
        ("exit 42", 42),
        ("kill -9 $$", 137),
        ("$A no-such-program", 127),
        ("$B sh -c 'exit 9'", 9),
    ] {
        lab(&bench, "", line).expect_code(code);
    }
    let nobody = lab(&bench, "", "$A no-such-program");
    nobody.expect_words(&["no program no-such-program"]);
}

#[test]
fn hosts_see_each_other_and_nothing_else() {
    let bench = Bench::new();
    if !bench.has_lab() {
        return;
    }
    let line = "for host in \"$A\" \"$B\" ''; do $host cat /proc/net/dev; echo; done; \
                $A cat /proc/net/route; echo $IPA $IPB $IP6A $IP6B";
    let done = lab(&bench, "", line).expect_code(0);
    let devices = |text: &str| -> BTreeSet<String> {
        let names = text.lines().filter_map(|line| line.split_once(':'));
        names.map(|(name, _)| name.trim().to_owned()).collect()
    };
    let set = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    let parts: Vec<_> = done.stdout.split("\n\n").collect();
    // Some systems put tunnels into every namespace.
    let common = devices(parts[2]);
    assert!(!common.contains("eth0") && !common.contains("a"), "{}", parts[2]);
    for part in &parts[..2] {
        assert_eq!(devices(part), common.union(&set(&["eth0"])).cloned().collect(), "{part}");
    }
    assert!(done.stdout.contains("198.18.0.1 198.18.0.2"), "{}", done.stdout);
}

#[test]
fn ordinary_users_have_a_lab_too() {
    let bench = Bench::new();
    if !bench.has_lab() {
        return;
    }
    if !rustix::process::geteuid().is_root() {
        return note("the tests run as an ordinary user: all of them prove it");
    }
    // Where nobody may go, the program is copied to where everybody may.
    let root = bench.from();
    let copy = root.join("volley");
    fs::copy(PROGRAM, &copy).expect("room for temporary files");
    for path in [root.parent().expect("the bench"), &root] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("ours");
    }
    let nobody = ["--reuid", "65534", "--regid", "65534", "--clear-groups"];
    let mut command = Command::new("setpriv");
    let line = format!("$A {} relay --help > /dev/null && cat /proc/self/uid_map", copy.display());
    command.args(nobody).arg(&copy).args(["lab", "--loss", "1%", "--", &line]).current_dir("/");
    let Ok(done) = command.output() else { return note("skipped: there is no setpriv") };
    let said = String::from_utf8_lossy(&done.stderr);
    if said.contains("no lab here") {
        return note(&format!("skipped: {said}"));
    }
    assert!(done.status.success(), "{said}");
    let map = String::from_utf8_lossy(&done.stdout);
    assert_eq!(common::words(&map), ["0", "65534", "1"]);
}

#[test]
fn whoever_of_the_lab_is_killed_nothing_is_left() {
    let bench = Bench::new();
    if !bench.has_lab() {
        return;
    }
    for victim in 0..4 {
        let before = (devices(), mounts());
        let line = "$A sleep 1000 & $B sleep 1000 & echo ready > ready; sleep 1000";
        let running = Running::start(&bench.from(), &arguments("--loss 1%", line));
        common::wait_until("the command runs", || bench.from().join("ready").exists());
        let family = family(running.id());
        // Outside, threshold, inside, and the shell, from the outermost on.
        assert!(family.len() >= 6, "{family:?}");
        let status = Command::new("kill").args(["-9", &family[victim].to_string()]).status();
        assert!(status.expect("there is a kill").success());
        let ended = running.finish();
        common::wait_until("all of them have ended", || family.iter().all(|id| is_gone(*id)));
        if victim > 0 {
            ended.expect_code(137);
        }
        fs::remove_file(bench.from().join("ready")).expect("it was there");
        assert_eq!((devices(), mounts()), before);
        bench.expect_names(&[]);
        assert_eq!(fs::read_dir(bench.from()).expect("listed").count(), 0);
    }
}

#[test]
fn an_interrupt_reaches_the_command_once_whoever_sends_it_to_whom() {
    let bench = Bench::new();
    if !bench.has_lab() {
        return;
    }
    if Command::new("setsid").arg("--version").output().is_err() {
        return note("skipped: there is no setsid");
    }
    // Long enough for whoever would pass it on once more.
    let line = "trap 'echo told; over=1' INT; echo ready; \
                while [ -z \"$over\" ]; do sleep 0.05; done; sleep 0.5; exit 5";
    for is_typed in [false, true] {
        let mut terminal = Terminal::start(&bench.from(), &arguments("", line), &[]);
        terminal.wait_for("ready");
        if is_typed {
            terminal.interrupt();
        } else {
            let outermost = terminal.id().to_string();
            let status = Command::new("kill").args(["-INT", &outermost]).status();
            assert!(status.expect("there is a kill").success());
        }
        let (code, lines) = terminal.finish();
        let told = lines.iter().filter(|line| line.ends_with("told")).count();
        assert_eq!((code, told), (Some(5), 1), "typed: {is_typed}, {lines:#?}");
    }
}

#[test]
fn under_nohup_a_hangup_is_nothing_to_a_lab() {
    let bench = Bench::new();
    if !bench.has_lab() {
        return;
    }
    let line = "echo ready > ready; until [ -e go ]; do sleep 0.05; done";
    let running = Running::start_prepared(&bench.from(), "trap '' HUP", &arguments("", line));
    common::wait_until("the command runs", || bench.from().join("ready").exists());
    // Of programs that are that short-lived, one may be gone already.
    let told = family(running.id()).into_iter().map(|id| format!("kill -HUP {id} 2>/dev/null; "));
    let told = Command::new("sh").args(["-c", &told.collect::<String>()]).status();
    told.expect("there is a shell");
    fs::write(bench.from().join("go"), "").expect("room");
    running.finish().expect_code(0);
}

/// The setting counts for the user namespace of who sets it: nobody else notices.
#[test]
fn where_namespaces_are_forbidden_the_setting_is_named() {
    let bench = Bench::new();
    if !bench.has_lab() {
        return;
    }
    let line =
        format!("echo 0 > /proc/sys/user/max_net_namespaces; {PROGRAM} lab -- echo never; echo $?");
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "sh", "-c", &line]);
    let Ok(tried) = command.output() else { return note("skipped: there is no unshare") };
    let said = String::from_utf8_lossy(&tried.stderr);
    assert_eq!(String::from_utf8_lossy(&tried.stdout), "1\n", "{said}");
    for words in ["no lab here", "sysctl -w user.max_net_namespaces=15000", "volley simulate"] {
        assert!(said.contains(words), "no \"{words}\" in {said}");
    }
}

/// A process and its descendants, parents first.
fn family(id: u32) -> Vec<u32> {
    let mut family = vec![id];
    let mut next = 0;
    while let Some(id) = family.get(next) {
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
        let children = children.unwrap_or_default();
        family.extend(children.split_whitespace().map(|id| id.parse::<u32>().expect("a number")));
        next += 1;
    }
    family
}

/// Whether a process has ended, whoever may still have to bury it.
fn is_gone(id: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    status.rsplit(") ").next().is_none_or(|rest| rest.is_empty() || rest.starts_with(['Z', 'X']))
}

fn devices() -> BTreeSet<String> {
    let entries = fs::read_dir("/sys/class/net").into_iter().flatten();
    entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

fn mounts() -> String {
    fs::read_to_string(Path::new("/proc/self/mountinfo")).expect("there is a /proc")
}
