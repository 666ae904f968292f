//! A disk that is full at some point of a large file: what came is gone on with once there is room.

use super::carrier::{Order, run};
use super::tree;
use rustix::io::Errno;
use std::fs;
use std::sync::Arc;
use volley::transfer::disk::{Call, Disk};
use volley::transfer::outcome::Reason;

const MIB: u64 = 1 << 20;

/// Bytes of the file.
const SIZE: u64 = 3 * MIB + 1234;

/// Where there is no room any more.
#[derive(Clone, Copy, Debug)]
enum Point {
    /// Behind so many bytes of the file.
    Data(u64),
    /// At the beginning of the journal.
    Journal,
    /// Behind the journal's first record.
    Records,
    /// For the file's name.
    Name,
}

impl Point {
    fn refuses(self, call: &Call<'_>) -> bool {
        match (self, call) {
            (Self::Data(end), Call::Write { path, at, bytes }) => {
                path.ends_with(".part") && at + bytes.len() as u64 > end
            }
            (Self::Journal, Call::Write { path, .. }) => path.ends_with(".journal"),
            (Self::Records, Call::Write { path, at, .. }) => {
                path.ends_with(".journal") && *at >= 128
            }
            (Self::Name, Call::Rename { to, .. }) => *to == "long",
            _ => false,
        }
    }
}

/// A transfer into a directory that is full at `point`, and one after room was made: says how many bytes
/// needed not come again.
fn resumed_after(point: Point) -> u64 {
    let root = tree::scratch();
    let [from, to] = ["from", "to"].map(|name| root.path().join(name));
    fs::create_dir(&from).expect("room");
    fs::create_dir(&to).expect("room");
    fs::write(from.join("long"), tree::bytes(usize::try_from(SIZE).expect("small"), 1))
        .expect("room");
    fs::write(from.join("other"), "other").expect("room");
    let mut order = Order::new(&from, &to);
    // Groups end where pieces do: what does not fit is refused as a whole.
    order.piece = 1 << 17;
    order.checkpoint = 12;
    order.disks[1] = Disk::watched(Arc::new(move |call: &Call<'_>| {
        if point.refuses(call) { Err(Errno::NOSPC.into()) } else { Ok(()) }
    }));
    let over = run(&order).expect("it begins");
    for report in [&over.sent, &over.received] {
        assert_eq!(report.verdict(), Some(Reason::Full), "{point:?}: {report:?}");
        let failed = report.files.iter().find_map(|file| file.outcome.as_ref().err());
        let text = &failed.expect("one failed").text;
        for words in ["\"long\"", "No space left", "make room there and send again"] {
            assert!(text.contains(words), "{point:?}: {text}");
        }
    }
    assert!(to.join("other").is_file() && !to.join("long").exists(), "{point:?}");
    let over = run(&Order::new(&from, &to)).expect("there is room");
    assert_eq!(over.sent.verdict(), None, "{:?}", over.sent);
    assert!(tree::contents(&to) == tree::contents(&from), "{point:?}: not as it was sent");
    assert!(tree::left(&to).is_empty(), "{point:?}");
    assert_eq!(over.sent.counts.resumed, over.received.counts.resumed);
    over.received.counts.resumed
}

#[test]
fn a_disk_that_is_full_at_any_point_keeps_what_came() {
    for (point, resumed) in [
        (Point::Data(0), 0),
        (Point::Data(SIZE / 2), MIB),
        (Point::Data(SIZE * 999 / 1000), 2 * MIB),
        (Point::Data(SIZE - 1), 3 * MIB),
        (Point::Journal, 0),
        (Point::Records, MIB),
        (Point::Name, SIZE),
    ] {
        assert_eq!(resumed_after(point), resumed, "{point:?}");
    }
}
