//! What another version of volley left in the partial area.

use super::carrier::{Order, cut_off, run};
use super::tree;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::io::Errno;
use std::fs;
use std::os::unix::fs::{chown, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use volley::transfer::disk::{Call, Disk};

const SIZE: usize = (3 << 20) + 1234;

/// The one file of the partial area whose name ends so.
fn left(to: &Path, end: &str) -> PathBuf {
    let names = tree::left(to);
    let name = names.iter().find(|name| name.ends_with(end)).expect("it was cut off in the middle");
    to.join(tree::AREA).join(name)
}

/// A transfer that was cut off, then `change` to what it left, then the same transfer again: says how many
/// bytes needed not come again. Nothing is left.
fn resumed_after(change: impl Fn(&Path)) -> u64 {
    let (resumed, left) = gone_on_after(change);
    assert_eq!(left, [""; 0]);
    resumed
}

/// The same; says also what is left.
fn gone_on_after(change: impl Fn(&Path)) -> (u64, Vec<String>) {
    let root = tree::scratch();
    let [from, to] = ["from", "to"].map(|name| root.path().join(name));
    fs::create_dir(&from).expect("room");
    fs::create_dir(&to).expect("room");
    fs::write(from.join("long"), tree::bytes(SIZE, 1)).expect("room");
    let mut order = Order::new(&from, &to);
    order.piece = 1 << 17;
    order.checkpoint = 12;
    order.disks[1] = Disk::watched(Arc::new(|call: &Call<'_>| match call {
        Call::Write { path, at, .. } if path.ends_with(".part") && *at >= 5 << 19 => {
            Err(Errno::NOSPC.into())
        }
        _ => Ok(()),
    }));
    run(&order).expect("it begins");
    change(&to);
    let mut plan = Order::new(&from, &to);
    plan.is_plan = true;
    run(&plan).expect("it can be looked at");
    let over = run(&Order::new(&from, &to)).expect("there is room");
    assert_eq!(over.sent.verdict(), None, "{:?}", over.sent);
    assert!(tree::contents(&to) == tree::contents(&from), "not as it was sent");
    (over.received.counts.resumed, tree::left(&to))
}

#[test]
fn a_journal_of_another_version_is_begun_anew_and_what_it_is_of_arrives() {
    assert_eq!(resumed_after(|_| {}), 2 << 20, "otherwise it is gone on with");
    for version in [&b"volleyj0"[..], b"volleyj2", b"volleyj9", b"somebody"] {
        let write = |to: &Path| {
            let journal = left(to, ".journal");
            let mut bytes = fs::read(&journal).expect("there");
            bytes[..8].copy_from_slice(version);
            fs::write(&journal, bytes).expect("ours");
        };
        assert_eq!(resumed_after(write), 0, "{version:?}");
    }
}

#[test]
fn what_a_later_version_may_add_behind_a_journal_counts_for_nothing() {
    let append = |to: &Path| {
        let journal = left(to, ".journal");
        let bytes = [fs::read(&journal).expect("there"), vec![7; 200]].concat();
        fs::write(&journal, bytes).expect("ours");
    };
    assert_eq!(resumed_after(append), 2 << 20);
}

#[test]
fn a_journal_without_its_file_and_a_file_without_its_journal_are_nothing() {
    for end in [".part", ".journal"] {
        let remove = |to: &Path| fs::remove_file(left(to, end)).expect("ours");
        assert_eq!(resumed_after(remove), 0, "{end}");
    }
}

/// While a receiver runs, nothing is swept away.
fn keep(to: &Path) {
    let area = fs::File::open(to.join(tree::AREA)).expect("there");
    area.lock_shared().expect("nobody sweeps");
    // For as long as the process lives.
    std::mem::forget(area);
}

#[test]
fn what_is_no_file_of_ours_in_the_place_of_one_is_gone_on_with_by_nobody() {
    let outside = tree::scratch();
    let victim = outside.path().join("victim");
    fs::write(&victim, "mine").expect("room");
    let replace = |path: PathBuf, number: u32| {
        fs::remove_file(&path).expect("ours");
        match number {
            0 => symlink(&victim, path).expect("room"),
            1 => symlink("nowhere", path).expect("room"),
            2 => fs::create_dir(path).expect("room"),
            _ => mknodat(CWD, path, FileType::Fifo, Mode::from(0o600), 0).expect("room"),
        }
    };
    for (end, number) in
        [".part", ".journal"].into_iter().flat_map(|end| (0..4).map(move |at| (end, at)))
    {
        let (resumed, left) = gone_on_after(|to| {
            keep(to);
            replace(left(to, end), number);
        });
        assert_eq!(resumed, 0, "{end} {number}");
        assert_eq!(left.len(), usize::from(number == 2), "{end} {number}: {left:?}");
    }
    assert_eq!(fs::read(&victim).expect("there"), b"mine");
}

#[test]
fn a_journal_with_another_name_is_not_written_to() {
    let outside = tree::scratch();
    let other = outside.path().join("other");
    let before = std::cell::RefCell::new(Vec::new());
    let link = |to: &Path| {
        fs::hard_link(left(to, ".journal"), &other).expect("of one file system");
        *before.borrow_mut() = fs::read(&other).expect("there");
    };
    assert_eq!(resumed_after(link), 0);
    assert_eq!(fs::read(&other).expect("there"), *before.borrow());
}

#[test]
fn a_file_that_was_given_to_somebody_else_is_gone_on_with_by_nobody() {
    for end in [".part", ".journal"] {
        let has_given = std::cell::Cell::new(false);
        let give = |to: &Path| has_given.set(chown(left(to, end), Some(12_345), None).is_ok());
        let resumed = resumed_after(give);
        // Only the superuser can give anything away.
        assert_eq!(resumed, if has_given.get() { 0 } else { 2 << 20 }, "{end}");
    }
}

#[test]
fn what_waits_and_may_not_be_opened_stands_in_nobodys_way() {
    let root = tree::scratch();
    let [from, to] = ["from", "to"].map(|name| root.path().join(name));
    fs::create_dir(&from).expect("room");
    fs::create_dir(&to).expect("room");
    fs::write(from.join("long"), tree::bytes(SIZE, 1)).expect("room");
    cut_off(&Order::new(&from, &to), 6).expect("it begins");
    let waits = format!("{}/{}", tree::AREA, tree::left(&to).pop().expect("it was cut off"));
    // What is sent now takes the place of what waits.
    fs::write(from.join("long"), tree::bytes(SIZE, 2)).expect("room");
    let mut order = Order::new(&from, &to);
    let closed = waits.clone();
    order.disks[1] = Disk::watched(Arc::new(move |call: &Call<'_>| match call {
        Call::Look(path) if *path == closed => Err(Errno::ACCESS.into()),
        _ => Ok(()),
    }));
    let over = run(&order).expect("it begins");
    assert_eq!(over.sent.verdict(), None, "{:?}", over.sent);
    assert!(to.join(waits).exists(), "it is not ours to take away");
}
