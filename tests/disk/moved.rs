//! Somebody takes the receiver's directory away in the middle, and perhaps puts another one in its place.

use super::carrier::{Order, run};
use super::tree;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use volley::transfer::disk::{Call, Disk};

/// What somebody does to the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    /// It is gone.
    Deleted,
    /// It has another name, and another one its own.
    Replaced,
}

/// A transfer whose receiver's directory suffers that before the call of this number; says how many calls
/// there were.
fn suffer(deed: Deed, number: usize) -> usize {
    let root = tree::scratch();
    let [from, to, moved] = ["from", "to", "moved"].map(|name| root.path().join(name));
    tree::make_source(&from, 1);
    tree::make_target(&to);
    let (before, sent) = (tree::contents(&to), tree::contents(&from));
    let [calls, begun] = [0, usize::MAX].map(|count| Arc::new(AtomicUsize::new(count)));
    let (count, looked, [place, away]) =
        (calls.clone(), begun.clone(), [to.clone(), moved.clone()]);
    let mut order = Order::new(&from, &to);
    order.disks[1] = Disk::watched(Arc::new(move |call: &Call<'_>| {
        let at = count.fetch_add(1, Ordering::Relaxed);
        if matches!(call, Call::Look("")) {
            looked.fetch_min(at, Ordering::Relaxed);
        }
        if at == number {
            match deed {
                Deed::Deleted => fs::remove_dir_all(&place)?,
                Deed::Replaced => {
                    fs::rename(&place, &away)?;
                    fs::create_dir(&place)?;
                }
            }
        }
        Ok(())
    }));
    let over = run(&order);
    let calls = calls.load(Ordering::Relaxed);
    let names = |directory: &Path| fs::read_dir(directory).map_or(0, Iterator::count);
    match deed {
        _ if calls <= number => {}
        Deed::Deleted => {
            assert!(!to.exists() && !moved.exists(), "{number}: nothing is made elsewhere");
            let is_told = over.as_ref().map_or(true, |over| over.received.verdict().is_some());
            // In the end all was committed, and was there.
            assert!(is_told || number > calls / 2, "{number} of {calls}");
        }
        // A transfer that has not begun has no directory yet.
        Deed::Replaced if number <= begun.load(Ordering::Relaxed) => {
            assert!(tree::contents(&moved) == before, "{number}: nothing comes into the older one");
            assert!(over.is_ok_and(|over| over.sent.verdict().is_none()), "{number}");
            assert!(tree::contents(&to) == sent, "{number}");
        }
        Deed::Replaced => {
            assert_eq!(names(&to), 0, "{number}: nothing comes into another directory");
            let found = tree::contents(&moved);
            assert_eq!(tree::fault(&found, &before, &sent), None, "{number}");
            if over.is_ok_and(|over| over.sent.verdict().is_none()) {
                let lacks = sent.iter().find(|(path, what)| found.get(*path) != Some(what));
                assert!(
                    lacks.is_none(),
                    "{number}: {:?} is said to be there",
                    lacks.map(|one| one.0)
                );
            }
        }
    }
    assert!(names(root.path()) <= 3, "{number}: something lies outside");
    calls
}

#[test]
fn a_directory_that_is_taken_away_or_exchanged_gets_nothing_written_elsewhere() {
    for deed in [Deed::Deleted, Deed::Replaced] {
        let calls = suffer(deed, usize::MAX);
        assert!(calls > 50, "these are few calls: {calls}");
        for number in (0..calls).step_by(4) {
            suffer(deed, number);
        }
    }
}
