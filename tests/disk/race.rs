//! Somebody exchanges a directory of the sender's for a link that leads out, all the time.

use super::carrier::{Order, run};
use super::tree;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};

fn race(rounds: u32) {
    let (root, outside) = (tree::scratch(), tree::scratch());
    let [from, to] = ["from", "to"].map(|name| root.path().join(name));
    let (dir, link) = (from.join("tree/d"), from.join("tree/l"));
    fs::create_dir_all(dir.join("deep")).expect("room");
    fs::create_dir(outside.path().join("deep")).expect("room");
    for name in ["file", "deep/file"] {
        fs::write(dir.join(name), "offered").expect("room");
        fs::write(outside.path().join(name), "a secret").expect("room");
    }
    symlink(outside.path(), &link).expect("room");
    let is_over = AtomicBool::new(false);
    let mut came = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                let _ = renameat_with(CWD, &dir, CWD, &link, RenameFlags::EXCHANGE);
            }
        });
        for round in 0..rounds {
            fs::create_dir(&to).expect("room");
            // What it comes to depends on who is faster.
            let _ = run(&Order::new(&from, &to));
            for name in ["d/file", "d/deep/file", "l/file", "l/deep/file"] {
                let Ok(found) = fs::read(to.join("tree").join(name)) else { continue };
                assert_eq!(found, b"offered", "round {round}: {name}");
                came += 1;
            }
            fs::remove_dir_all(&to).expect("ours");
        }
        is_over.store(true, Ordering::Relaxed);
    });
    assert!(came > 0, "nothing was raced against");
}

#[test]
fn nothing_is_sent_by_a_directory_that_is_exchanged_for_a_link() {
    race(100);
}

#[test]
#[ignore = "a campaign"]
fn nothing_is_ever_sent_by_a_directory_that_is_exchanged_for_a_link() {
    let given = std::env::var("VOLLEY_RACE_ROUNDS").ok();
    race(given.map_or(20_000, |rounds| rounds.parse().expect("VOLLEY_RACE_ROUNDS is a number")));
}
