//! What another version of volley left in the partial area.

use super::carrier::{Order, run};
use super::tree;
use rustix::io::Errno;
use std::fs;
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
/// bytes needed not come again.
fn resumed_after(change: impl Fn(&Path)) -> u64 {
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
    let over = run(&Order::new(&from, &to)).expect("there is room");
    assert_eq!(over.sent.verdict(), None, "{:?}", over.sent);
    assert!(tree::contents(&to) == tree::contents(&from), "not as it was sent");
    assert_eq!(tree::left(&to), [""; 0]);
    over.received.counts.resumed
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
