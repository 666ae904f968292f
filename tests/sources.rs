//! Sources that grow, shrink, are rewritten, vanish or cannot be read: that file fails with its name and
//! the reason, on both sides and in every form of output, and all others arrive.

#[expect(dead_code, reason = "each test file uses its part of the harness")]
mod common;

use common::process::start_as_ordinary_user;
use common::{Bench, CARRIERS, Outcome, Receiver, Running, note};
use serde_json::Value;
use std::fs::{self, File, Permissions};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;
use std::sync::mpsc::{Receiver as Told, Sender, channel};

/// The file that something happens to.
const BAD: &str = "tree/bad";

/// Those beside it, some before it and some behind, whatever the order in which a directory is read.
const OTHERS: [&str; 8] = [
    "tree/a",
    "tree/b",
    "tree/empty",
    "tree/sub/c",
    "tree/sub/d",
    "tree/y",
    "tree/z",
    "tree/sub/deep/e",
];

/// The longest of them.
const SMALL: u64 = 100_000;

/// What happens to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Grows,
    Shrinks,
    IsRewritten,
    Vanishes,
    BecomesUnreadable,
}

const CHANGES: [Change; 5] = [
    Change::Grows,
    Change::Shrinks,
    Change::IsRewritten,
    Change::Vanishes,
    Change::BecomesUnreadable,
];

/// When it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    /// After the file was offered, before it is opened.
    Offered,
    /// In the middle of reading it.
    Read,
}

impl Change {
    fn happen(self, path: &Path) {
        let file = || File::options().write(true).open(path).expect("there");
        match self {
            Self::Grows => {
                let mut file = File::options().append(true).open(path).expect("there");
                file.write_all(b"more").expect("room for temporary files");
            }
            Self::Shrinks => file().set_len(1_000).expect("shortened"),
            Self::IsRewritten => file().write_all_at(b"other", 5).expect("written"),
            Self::Vanishes => fs::remove_file(path).expect("there"),
            Self::BecomesUnreadable => {
                fs::set_permissions(path, Permissions::from_mode(0o000)).expect("ours");
            }
        }
    }

    /// What is said of it.
    fn words(self, moment: Moment) -> [&'static str; 2] {
        match (self, moment) {
            (Self::Grows, _) => ["it became longer", "send it again"],
            (Self::Shrinks, _) => ["it became shorter", "send it again"],
            (Self::IsRewritten, _) => ["it was written to", "send it again"],
            (Self::Vanishes, Moment::Offered) => ["removed or renamed", "send it again"],
            (Self::Vanishes, Moment::Read) => ["replaced or removed", "send it again"],
            (Self::BecomesUnreadable, Moment::Offered) => ["Permission denied", "ask its owner"],
            (Self::BecomesUnreadable, Moment::Read) => ["has another mode", "send it again"],
        }
    }
}

/// A stream that stands still in the middle: its sender cannot go on, and whatever happens meanwhile
/// happens in the middle of a transfer.
struct Dam {
    address: String,
    is_full: Told<()>,
    open: Sender<()>,
}

impl Dam {
    /// Lets the first `bytes` through to `to`, and everything else once it is opened.
    fn before(to: &str, bytes: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let address = listener.local_addr().expect("bound").to_string();
        let (tell, is_full) = channel();
        let (open, opened) = channel();
        let to = to.to_owned();
        std::thread::spawn(move || {
            let (near, _) = listener.accept().expect("the sender comes");
            let far = TcpStream::connect(to).expect("the receiver listens");
            std::thread::scope(|scope| {
                scope.spawn(|| pass_on(&far, &near));
                pass_on((&near).take(bytes), &far);
                let _ = tell.send(());
                let _ = opened.recv();
                pass_on(&near, &far);
                let _ = far.shutdown(Shutdown::Write);
            });
        });
        Self { address, is_full, open }
    }
}

fn pass_on(mut from: impl Read, mut to: impl Write) {
    // Either side may leave when it likes.
    let _ = std::io::copy(&mut from, &mut to);
}

/// The tree, and before it, a file that takes long enough for everything to be offered meanwhile.
fn make_sources(bench: &Bench, moment: Moment, long: u64) {
    fs::create_dir_all(bench.from().join("tree/sub/deep")).expect("made");
    for (number, name) in (0..).zip(OTHERS) {
        bench.file(name, if name == "tree/empty" { 0 } else { SMALL - number });
    }
    match moment {
        Moment::Offered => {
            bench.file(BAD, SMALL);
            bench.long_file("long", long);
        }
        Moment::Read => {
            bench.long_file(BAD, long);
            bench.file("long", SMALL);
        }
    }
    let root = bench.from();
    for path in [root.parent().expect("the bench"), &root] {
        fs::set_permissions(path, Permissions::from_mode(0o755)).expect("ours");
    }
}

fn start_sending(bench: &Bench, address: &str, options: &[&str]) -> Option<Running> {
    let line = [&["send", "long", "tree", address, "--open", "--json"], options].concat();
    start_as_ordinary_user(&bench.from(), &line)
}

/// Starts to send, lets the change happen in the middle, and waits for the end; `None` where the program
/// cannot be run as somebody to whom files can be closed.
fn send_over_udp(bench: &Bench, receiver: &Receiver, change: Change) -> Option<Outcome> {
    let sender = start_sending(bench, &receiver.address, &["--cc", "fixed:8Mbit"])?;
    bench.wait_for_bytes_beyond(SMALL);
    sender.signal("STOP");
    change.happen(&bench.from().join(BAD));
    sender.signal("CONT");
    Some(sender.finish())
}

fn send_over_tcp(
    bench: &Bench,
    receiver: &Receiver,
    change: Change,
    moment: Moment,
) -> Option<Outcome> {
    // In the middle of the file that is long: all others are shorter together.
    let at = match moment {
        Moment::Offered => SMALL,
        Moment::Read => 2 * SMALL * OTHERS.len() as u64,
    };
    let dam = Dam::before(&receiver.address, at);
    let sender = start_sending(bench, &dam.address, CARRIERS[1])?;
    dam.is_full.recv().expect("the stream is longer");
    change.happen(&bench.from().join(BAD));
    dam.open.send(()).expect("it waits");
    Some(sender.finish())
}

/// Fails unless `report` says that the bad file, and no other, failed for that reason.
#[track_caller]
fn expect_reported(report: &Value, words: [&str; 2]) {
    let files = report["files"].as_array().expect("a list");
    let failed: Vec<_> = files.iter().filter(|file| !file["error"].is_null()).collect();
    let [bad] = failed[..] else { panic!("one fails: {report}") };
    assert_eq!((&bad["name"], &bad["error"]["code"]), (&BAD.into(), &9.into()), "{report}");
    let text = bad["error"]["text"].as_str().expect("a sentence");
    for word in [BAD, words[0], words[1]] {
        assert!(text.contains(word), "no \"{word}\" in {text}");
    }
    assert_eq!(report["exit_code"], 9, "{report}");
}

#[track_caller]
fn expect_only_the_bad_one_failed(
    bench: &Bench,
    sent: Outcome,
    received: Outcome,
    words: [&str; 2],
) {
    let [sent, received] =
        [sent, received].map(|side| side.expect_code(9).expect_words(&words).expect_words(&[BAD]));
    expect_reported(&sent.json(), words);
    let last = received.stdout.lines().last().expect("events");
    let last: Value = serde_json::from_str(last).expect("JSON");
    expect_reported(&last["result"], words);
    assert!(!bench.to().join(BAD).exists());
    bench.expect_arrived_in_tree();
}

impl Bench {
    #[track_caller]
    fn expect_arrived_in_tree(&self) {
        self.expect_equal(&[&OTHERS[..], &["long"]].concat());
        self.expect_names(&["long", "tree"]);
    }
}

fn try_one(moment: Moment, is_tcp: bool, change: Change) {
    note(&format!("{change:?}"));
    let bench = Bench::new();
    // Longer than all that the sockets on the way hold, or two seconds of the rate.
    make_sources(&bench, moment, if is_tcp { 64 << 20 } else { 2 << 20 });
    let receiver = bench.receive(&["--once", "--jsonl"]);
    let sent = match is_tcp {
        true => send_over_tcp(&bench, &receiver, change, moment),
        false => send_over_udp(&bench, &receiver, change),
    };
    let Some(sent) = sent else { return };
    let received = receiver.finish_by_farewell();
    expect_only_the_bad_one_failed(&bench, sent, received, change.words(moment));
}

fn try_all(moment: Moment, is_tcp: bool) {
    std::thread::scope(|scope| {
        for change in CHANGES {
            scope.spawn(move || try_one(moment, is_tcp, change));
        }
    });
}

#[test]
fn what_happens_between_offer_and_reading_fails_that_file_only_over_udp() {
    try_all(Moment::Offered, false);
}

#[test]
fn what_happens_between_offer_and_reading_fails_that_file_only_over_tcp() {
    try_all(Moment::Offered, true);
}

#[test]
fn what_happens_in_the_middle_of_reading_fails_that_file_only_over_udp() {
    try_all(Moment::Read, false);
}

#[test]
fn what_happens_in_the_middle_of_reading_fails_that_file_only_over_tcp() {
    try_all(Moment::Read, true);
}

#[test]
fn what_may_not_be_read_from_the_start_is_named_and_all_else_arrives() {
    for carrier in CARRIERS {
        let bench = Bench::new();
        make_sources(&bench, Moment::Offered, SMALL);
        fs::create_dir(bench.from().join("tree/closed")).expect("made");
        bench.file("tree/closed/inside", 5);
        for path in [BAD, "tree/closed"] {
            fs::set_permissions(bench.from().join(path), Permissions::from_mode(0o000))
                .expect("ours");
        }
        let receiver = bench.receive(&["--once"]);
        let Some(sender) = start_sending(&bench, &receiver.address, carrier) else { return };
        let told = ["cannot read tree/bad", "cannot read tree/closed", "Permission denied"];
        let sent = sender.finish().expect_code(9).expect_words(&told);
        let files = sent.json()["files"].as_array().expect("a list").clone();
        assert_eq!(files.iter().filter(|file| file["error"]["code"] == 9).count(), 2);
        receiver.finish_by_farewell().expect_code(9).expect_words(&["cannot read tree/bad"]);
        bench.expect_arrived_in_tree();
    }
}
