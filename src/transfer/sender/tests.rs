//! A sender, message by message.

use super::*;
use crate::transfer::hash::Hash;
use crate::transfer::message::UNSETTLED_MAX;
use std::fs;

fn sending(contents: &[&[u8]]) -> (tempfile::TempDir, Sending) {
    let dir = tempfile::tempdir().expect("a directory");
    let paths: Vec<_> = (0..contents.len()).map(|i| dir.path().join(format!("f{i}"))).collect();
    for (path, bytes) in paths.iter().zip(contents) {
        fs::write(path, bytes).expect("written");
    }
    let selection = Selection { paths, ..Selection::default() };
    let mut sending = Sending::new(&selection).expect("readable");
    sending.offer(usize::MAX);
    (dir, sending)
}

/// What becomes of a file.
fn outcome(sending: &Sending, name: &str) -> FileOutcome {
    let report = sending.report(Some(Failure::new(Reason::Other, "")), None);
    let file = report.files.into_iter().find(|file| file.name == name);
    file.expect("it was offered").outcome
}

fn say(sending: &mut Sending, message: &Message) -> Result<(), Malformed> {
    message.put(sending.incoming());
    sending.handle_messages()
}

#[test]
fn a_first_flight_may_go_before_the_answer() {
    let (_dir, mut sending) = sending(&[&[1; 100_000], &[2; 100_000]]);
    assert_eq!(sending.released(), FIRST_FLIGHT);
    say(&mut sending, &Message::Accept { below: 1 }).expect("one file");
    assert_eq!(sending.released(), 100_000);
    say(&mut sending, &Message::Accept { below: 2 }).expect("both files");
    assert_eq!(sending.released(), 200_000);
    assert!(say(&mut sending, &Message::Accept { below: 3 }).is_err());
}

fn planning(contents: &[&[u8]]) -> (tempfile::TempDir, Sending) {
    let (dir, _) = sending(contents);
    let paths = (0..contents.len()).map(|i| dir.path().join(format!("f{i}"))).collect();
    let selection = Selection { paths, ..Selection::default() };
    let mut planning = Sending::planning(&selection).expect("readable");
    planning.offer(usize::MAX);
    (dir, planning)
}

#[test]
fn a_plan_says_so_first_and_lets_no_byte_go() {
    let (_dir, mut planning) = planning(&[&[1; 100_000], b"abc"]);
    let mut reader = MessageReader::default();
    reader.buffer().extend(planning.take_outgoing());
    assert_eq!(reader.next_message(), Ok(Some(Message::Plan)));
    assert!(matches!(reader.next_message(), Ok(Some(Message::Offer(_)))));
    assert_eq!((planning.released(), planning.next_wanted(0, 1_000)), (0, None));
    say(&mut planning, &Message::Would { index: 0, replaces: true, there: 5 }).expect("known");
    say(&mut planning, &Message::Renamed { index: 1, path: "f1-1".into() }).expect("known");
    say(&mut planning, &Message::Would { index: 1, replaces: false, there: 0 }).expect("known");
    let would = |replaces, there, renamed| Ok(Done::Would { replaces, there, renamed });
    assert_eq!(outcome(&planning, "f0"), would(true, 5, None));
    assert_eq!(outcome(&planning, "f1"), would(false, 0, Some("f1-1".into())));
    say(&mut planning, &Message::Finished).expect("the end");
    assert!(planning.is_complete() && planning.released() == 0);
    let planned = planning.report(None, None).counts.planned.expect("a plan");
    assert_eq!((planned.files, planned.bytes, planned.resumed), (2, 100_003, 5));
    assert_eq!((planned.replacing, planned.renamed), (1, 1));
}

#[test]
fn a_receiver_answers_what_it_was_asked() {
    let would = |there| Message::Would { index: 0, replaces: false, there };
    let (_dir, mut transfer) = sending(&[b"abc"]);
    assert!(say(&mut transfer, &would(0)).is_err());
    let hash = Hash::of(b"abc");
    for wrong in [
        would(4),
        Message::Would { index: 1, replaces: false, there: 0 },
        Message::Accept { below: 1 },
        Message::Committed { index: 0, hash },
        Message::Kept { index: 0, first: 0, values: vec![hash] },
    ] {
        let (_dir, mut planning) = planning(&[b"abc"]);
        assert!(say(&mut planning, &wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn a_plan_finds_what_cannot_be_read() {
    let (dir, _) = sending(&[b"abc", b"def"]);
    let paths = vec![dir.path().join("f0"), dir.path().join("f1")];
    let selection = Selection { paths, ..Selection::default() };
    let mut planning = Sending::planning(&selection).expect("readable");
    fs::write(dir.path().join("f0"), b"changed").expect("ours");
    planning.offer(usize::MAX);
    let failure = outcome(&planning, "f0").expect_err("another one");
    assert_eq!(failure.reason, Reason::Source);
    say(&mut planning, &Message::Would { index: 0, replaces: false, there: 0 }).expect("known");
    assert!(outcome(&planning, "f0").is_err(), "what was found first counts");
    assert_eq!(outcome(&planning, "f1").expect_err("not asked").reason, Reason::Other);
}

#[test]
fn a_list_is_settled_as_it_is_offered_and_no_byte_of_it_goes() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("file");
    fs::write(&path, [1; 100_000]).expect("written");
    let selection = Selection { paths: vec![path], ..Selection::default() };
    let mut sending = Sending::listing(&selection).expect("readable");
    sending.offer(usize::MAX);
    assert!(sending.is_offered() && !sending.take_outgoing().is_empty());
    assert_eq!((sending.released(), sending.next_wanted(0, 10)), (0, None));
    say(&mut sending, &Message::Accept { below: 1 }).expect("known");
    assert_eq!((sending.released(), sending.next_wanted(0, 10)), (0, None));
    say(&mut sending, &Message::Finished).expect("the end");
    let counts = sending.report(None, None).counts;
    assert!(sending.is_complete() && (counts.entries, counts.listed) == (0, 1), "{counts:?}");
}

#[test]
fn committed_counts_only_with_our_own_hash() {
    let (_dir, mut sending) = sending(&[b"abc", b"def"]);
    sending.read(0, &mut [0; 6]).expect("readable");
    say(&mut sending, &Message::Committed { index: 0, hash: Hash::of(b"abc") }).expect("known");
    say(&mut sending, &Message::Committed { index: 1, hash: Hash::of(b"xyz") }).expect("known");
    assert_eq!(outcome(&sending, "f0"), Ok(Done::committed(Hash::of(b"abc"))));
    assert_eq!(outcome(&sending, "f1").expect_err("another hash").reason, Reason::Integrity);
    assert!(!sending.is_complete());
    say(&mut sending, &Message::Finished).expect("the end");
    assert!(sending.is_complete());
}

#[test]
fn committed_before_the_bytes_went_is_a_lie() {
    let (_dir, mut sending) = sending(&[b"abc"]);
    say(&mut sending, &Message::Committed { index: 0, hash: Hash::of(b"abc") }).expect("known");
    assert!(outcome(&sending, "f0").is_err());
}

#[test]
fn a_source_that_vanishes_fails_that_file_only() {
    let (dir, mut sending) = sending(&[&[1; 2 << 20], b"fine"]);
    sending.read(0, &mut [0; 10]).expect("there so far");
    let file = fs::File::options().write(true).open(dir.path().join("f0")).expect("there");
    file.set_len(5).expect("ours");
    sending.read(1 << 20, &mut [0; 10]).expect_err("shorter now");
    assert_eq!(sending.take_cancelled(), [0..2 << 20]);
    say(&mut sending, &Message::Accept { below: 2 }).expect("both files");
    assert_eq!(sending.next_wanted(0, 1_000), Some(2 << 20..(2 << 20) + 4));
    sending.read(2 << 20, &mut [0; 4]).expect("the other file");
}

#[test]
fn what_is_wanted_reaches_over_files_up_to_one_that_is_not() {
    let (_dir, mut sending) = sending(&[b"abc", b"", b"defg", b"hi", b"j"]);
    say(&mut sending, &Message::Accept { below: 4 }).expect("offered");
    assert_eq!(sending.next_wanted(0, 1_000), Some(0..9));
    assert_eq!(sending.next_wanted(1, 5), Some(1..6));
    let text = String::new();
    let reject = Message::Reject { index: 2, reason: Reason::Exists, text };
    say(&mut sending, &reject).expect("known");
    assert_eq!(sending.next_wanted(0, 1_000), Some(0..3));
    assert_eq!(sending.next_wanted(3, 1_000), Some(7..9));
    assert_eq!(sending.next_wanted(9, 1_000), None, "not judged");
}

#[test]
fn bytes_that_nobody_waits_for_are_not_read_again() {
    let (dir, mut sending) = sending(&[b"abc", b"def"]);
    sending.read(0, &mut [0; 6]).expect("readable");
    say(&mut sending, &Message::Committed { index: 0, hash: Hash::of(b"abc") }).expect("known");
    fs::remove_file(dir.path().join("f0")).expect("there");
    let mut again = [1; 6];
    sending.read(0, &mut again).expect("the other one is there");
    assert_eq!(&again, b"\0\0\0def");
}

#[test]
fn a_comparison_that_is_decided_is_not_gone_on_with() {
    let (_dir, mut sending) = sending(&[&vec![1; 12 << 20]]);
    sending.take_outgoing();
    say(&mut sending, &Message::Prove { index: 0 }).expect("known");
    sending.offer(usize::MAX);
    assert!(sending.has_more() && !sending.take_outgoing().is_empty());
    say(&mut sending, &Message::Accept { below: 1 }).expect("known");
    sending.offer(usize::MAX);
    assert!(!sending.has_more() && sending.take_outgoing().is_empty());
}

#[test]
fn offers_wait_for_room_and_memory_is_bounded() {
    let dir = tempfile::tempdir().expect("a directory");
    let tree = dir.path().join("tree");
    fs::create_dir(&tree).expect("made");
    let count = u32::try_from(UNSETTLED_MAX).expect("few") + 500;
    for number in 0..count {
        fs::write(tree.join(number.to_string()), b"").expect("room");
    }
    let selection = Selection { paths: vec![tree], ..Selection::default() };
    let mut sending = Sending::new(&selection).expect("there");
    sending.offer(1_000);
    assert!(!sending.has_more() && sending.take_outgoing().len() < 1_100);
    sending.offer(usize::MAX);
    while sending.has_more() {
        sending.offer(usize::MAX);
    }
    assert_eq!(sending.source.items().len(), UNSETTLED_MAX);
    for index in 0..1_000 {
        say(&mut sending, &Message::Committed { index, hash: Hash::of(b"") }).expect("known");
    }
    while {
        sending.offer(usize::MAX);
        sending.has_more()
    } {}
    assert!(sending.is_offered());
    assert_eq!(sending.source.items().next(), count + 1, "the directory as well");
}

#[test]
fn a_receiver_that_breaks_the_protocol_is_noticed() {
    let hash = Hash::of(b"abc");
    for message in [
        Message::Accept { below: 2 },
        Message::Committed { index: 1, hash },
        Message::OfferEnd,
        Message::Root { index: 0, hash },
    ] {
        let (_dir, mut sending) = sending(&[b"abc"]);
        assert!(say(&mut sending, &message).is_err(), "{message:?}");
    }
}
