//! A sender, message by message.

use super::*;
use crate::transfer::exchange::{AT_SENDER, ReceiverWord, SENDER_STATES, SenderState, Verdict};
use crate::transfer::hash::{GROUP, Hash};
use crate::transfer::message::{MessageReader, UNSETTLED_MAX};
use crate::transfer::source::Source;
use std::fs;

/// A sender, its source, and the directory of its files.
struct Bench {
    sending: Sending,
    source: Source,
    dir: tempfile::TempDir,
}

impl Bench {
    fn new(contents: &[&[u8]], begin: fn(&Selection) -> Sending) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let names = (0..contents.len()).map(|i| format!("f{i}"));
        let paths: Vec<_> = names.map(|name| dir.path().join(name)).collect();
        for (path, bytes) in paths.iter().zip(contents) {
            fs::write(path, bytes).expect("written");
        }
        let selection = Selection { paths, ..Selection::default() };
        let mut source = Source::new(&selection);
        source.open().expect("readable");
        Self { sending: begin(&selection), source, dir }
    }

    /// Offers, and does all jobs.
    fn offer(&mut self, room: usize) {
        self.sending.offer(room);
        while let Some(job) = self.sending.next_job() {
            let reports = self.source.run(job);
            reports.into_iter().for_each(|report| self.sending.on_report(report));
        }
    }

    fn offer_all(&mut self) {
        while {
            self.offer(usize::MAX);
            self.sending.has_more()
        } {}
    }

    /// Hashes what is to be hashed aside.
    fn rest(&mut self) {
        self.offer(0);
        while self.source.is_busy() {
            let reports = self.source.rest();
            reports.into_iter().for_each(|report| self.sending.on_report(report));
        }
    }

    /// Reads bytes, and has them go.
    fn send(&mut self, range: Range<u64>) -> Option<Vec<u8>> {
        self.offer(0);
        let mut bytes = vec![1; usize::try_from(range.end - range.start).expect("small")];
        let (is_whole, reports) = self.source.read(range.start, &mut bytes);
        reports.into_iter().for_each(|report| self.sending.on_report(report));
        if is_whole {
            self.sending.on_sent(range);
        }
        is_whole.then_some(bytes)
    }

    fn say(&mut self, message: &Message) -> Result<(), Failure> {
        say(&mut self.sending, message)?;
        self.offer(0);
        Ok(())
    }
}

fn sending(contents: &[&[u8]]) -> Bench {
    let mut bench = Bench::new(contents, Sending::new);
    bench.offer_all();
    bench
}

/// What becomes of a file.
fn outcome(sending: &Sending, name: &str) -> FileOutcome {
    let report = sending.report(Some(Failure::new(Reason::Other, "")), None);
    let file = report.files.into_iter().find(|file| file.name == name);
    file.expect("it was offered").outcome
}

fn say(sending: &mut Sending, message: &Message) -> Result<(), Failure> {
    message.put(sending.incoming());
    sending.handle_messages()
}

#[test]
fn a_first_flight_may_go_before_the_answer() {
    let mut bench = sending(&[&[1; 100_000], &[2; 100_000]]);
    assert_eq!(bench.sending.released(), FIRST_FLIGHT);
    bench.say(&Message::Accept { below: 1 }).expect("one file");
    assert_eq!(bench.sending.released(), 100_000);
    bench.say(&Message::Accept { below: 2 }).expect("both files");
    assert_eq!(bench.sending.released(), 200_000);
    assert!(bench.say(&Message::Accept { below: 3 }).is_err());
}

fn planning(contents: &[&[u8]]) -> Bench {
    let mut bench = Bench::new(contents, Sending::planning);
    bench.offer_all();
    bench
}

#[test]
fn a_plan_says_so_first_and_lets_no_byte_go() {
    let mut bench = planning(&[&[1; 100_000], b"abc"]);
    let mut reader = MessageReader::default();
    reader.buffer().extend(bench.sending.take_outgoing());
    assert_eq!(reader.next_message(), Ok(Some(Message::Plan)));
    assert!(matches!(reader.next_message(), Ok(Some(Message::Offer(_)))));
    assert_eq!((bench.sending.released(), bench.sending.next_wanted(0, 1_000)), (0, None));
    bench.say(&Message::Would { index: 0, replaces: true, there: 5 }).expect("known");
    bench.say(&Message::Renamed { index: 1, path: "f1-1".into() }).expect("known");
    bench.say(&Message::Would { index: 1, replaces: false, there: 0 }).expect("known");
    let would = |replaces, there, renamed| Ok(Done::Would { replaces, there, renamed });
    assert_eq!(outcome(&bench.sending, "f0"), would(true, 5, None));
    assert_eq!(outcome(&bench.sending, "f1"), would(false, 0, Some("f1-1".into())));
    bench.say(&Message::Finished).expect("the end");
    assert!(bench.sending.is_complete() && bench.sending.released() == 0);
    let planned = bench.sending.report(None, None).counts.planned.expect("a plan");
    assert_eq!((planned.files, planned.bytes, planned.resumed), (2, 100_003, 5));
    assert_eq!((planned.replacing, planned.renamed), (1, 1));
}

#[test]
fn a_receiver_answers_what_it_was_asked() {
    let would = |there| Message::Would { index: 0, replaces: false, there };
    let mut bench = sending(&[b"abc"]);
    assert!(bench.say(&would(0)).is_err());
    let hash = Hash::of(b"abc");
    for wrong in [
        would(4),
        Message::Would { index: 1, replaces: false, there: 0 },
        Message::Accept { below: 1 },
        Message::Committed { index: 0, hash },
        Message::Kept { index: 0, first: 0, values: vec![hash] },
    ] {
        let mut bench = planning(&[b"abc"]);
        assert!(bench.say(&wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn a_plan_finds_what_cannot_be_read() {
    let mut bench = Bench::new(&[b"abc", b"def"], Sending::planning);
    fs::write(bench.dir.path().join("f0"), b"changed").expect("ours");
    bench.offer_all();
    let failure = outcome(&bench.sending, "f0").expect_err("another one");
    assert_eq!(failure.reason, Reason::Source);
    bench.say(&Message::Would { index: 0, replaces: false, there: 0 }).expect("known");
    assert!(outcome(&bench.sending, "f0").is_err(), "what was found first counts");
    assert_eq!(outcome(&bench.sending, "f1").expect_err("not asked").reason, Reason::Other);
}

#[test]
fn a_list_is_settled_as_it_is_offered_and_no_byte_of_it_goes() {
    let mut bench = Bench::new(&[&[1; 100_000]], Sending::listing);
    bench.offer_all();
    assert!(bench.sending.is_offered() && !bench.sending.take_outgoing().is_empty());
    assert_eq!((bench.sending.released(), bench.sending.next_wanted(0, 10)), (0, None));
    bench.say(&Message::Finished).expect("the end");
    let counts = bench.sending.report(None, None).counts;
    let counted = (counts.entries, counts.listed);
    assert!(bench.sending.is_complete() && counted == (0, 1), "{counts:?}");
}

#[test]
fn committed_counts_only_with_our_own_hash() {
    let mut bench = sending(&[b"abc", b"def"]);
    bench.send(0..6).expect("readable");
    bench.say(&Message::Committed { index: 0, hash: Hash::of(b"abc") }).expect("known");
    bench.say(&Message::Committed { index: 1, hash: Hash::of(b"xyz") }).expect("known");
    assert_eq!(outcome(&bench.sending, "f0"), Ok(Done::committed(Hash::of(b"abc"))));
    assert_eq!(outcome(&bench.sending, "f1").expect_err("another hash").reason, Reason::Integrity);
    assert!(!bench.sending.is_complete());
    bench.say(&Message::Finished).expect("the end");
    assert!(bench.sending.is_complete());
}

#[test]
fn an_outcome_before_the_hash_was_told_or_the_bytes_went_breaks_the_protocol() {
    let hash = Hash::of(b"abc");
    for outcome in [Message::Committed { index: 0, hash }, Message::Same { index: 0, hash }] {
        assert!(sending(&[b"abc"]).say(&outcome).is_err(), "{outcome:?}: not even read");
    }
    let mut bench = sending(&[b"abc"]);
    bench.send(0..2).expect("readable");
    assert!(bench.say(&Message::Committed { index: 0, hash }).is_err(), "one byte has not gone");
    let mut bench = sending(&[b"abc"]);
    bench.send(0..2).expect("readable");
    bench.say(&Message::Same { index: 0, hash }).expect("compared with what was told");
}

/// Four groups and a bit, no two alike.
fn long() -> Vec<u8> {
    (0..(4 << 20) + 5u32).map(|at| (at / 1000 % 251) as u8).collect()
}

#[test]
fn what_is_kept_is_hashed_here_and_counts_for_nothing_before() {
    let bytes = long();
    let hash = Hash::of(&bytes);
    let mut bench = sending(&[&bytes]);
    let values = vec![Hash([7; 32]); 5];
    bench.say(&Message::Kept { index: 0, first: 0, values }).expect("it may have that");
    bench.say(&Message::Accept { below: 1 }).expect("offered");
    assert_eq!((bench.sending.spared(), bench.sending.next_wanted(0, 9)), (4 << 20 | 5, None));
    let early = Message::Committed { index: 0, hash };
    assert!(say(&mut bench.sending, &early).is_err(), "nobody has hashed anything");
    let mut bench = sending(&[&bytes]);
    let values = vec![Hash([7; 32]); 5];
    bench.say(&Message::Kept { index: 0, first: 0, values }).expect("it may have that");
    bench.sending.take_outgoing();
    bench.rest();
    let mut reader = MessageReader::default();
    reader.buffer().extend(bench.sending.take_outgoing());
    for group in 0..5u64 {
        let start = usize::try_from(group << 20).expect("small");
        let end = bytes.len().min(start + (1 << 20));
        let value =
            crate::transfer::hash::group_value(group, &bytes[start..end], bytes.len() as u64);
        let told = Message::Groups { index: 0, first: group, values: vec![value] };
        assert_eq!(reader.next_message(), Ok(Some(told)));
    }
    assert_eq!(reader.next_message(), Ok(Some(Message::Root { index: 0, hash })));
    let lie = Message::Committed { index: 0, hash: Hash([7; 32]) };
    bench.say(&lie).expect("well-formed");
    assert_eq!(outcome(&bench.sending, "f0").expect_err("a lie").reason, Reason::Integrity);
}

/// The receiver compared, found another file, and goes on with what an earlier transfer brought.
#[test]
fn what_is_kept_after_a_comparison_is_hashed_here() {
    let bytes = long();
    let mut bench = sending(&[&bytes]);
    bench.say(&Message::Prove { index: 0 }).expect("it may compare");
    bench
        .say(&Message::Kept { index: 0, first: 1, values: vec![Hash([7; 32]); 3] })
        .expect("it may have that");
    bench.say(&Message::Accept { below: 1 }).expect("offered");
    bench.sending.take_outgoing();
    bench.rest();
    let mut reader = MessageReader::default();
    reader.buffer().extend(bench.sending.take_outgoing());
    let told = std::iter::from_fn(|| reader.next_message().expect("well-formed"));
    let told: Vec<u64> = told
        .map(|message| match message {
            Message::Groups { first, values, .. } if values.len() == 1 => first,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(told, [1, 2, 3]);
}

#[test]
fn what_was_kept_in_error_goes_after_all() {
    let bytes = long();
    let hash = Hash::of(&bytes);
    let mut bench = sending(&[&bytes]);
    let values = vec![Hash([7; 32]); 4];
    bench.say(&Message::Kept { index: 0, first: 0, values }).expect("it may have that");
    bench.say(&Message::Accept { below: 1 }).expect("offered");
    bench.rest();
    let again = |first, count| Message::Again { index: 0, first, count };
    bench.say(&again(1, 2)).expect("they were kept");
    assert_eq!(bench.sending.take_restored(), [1 << 20..3 << 20]);
    assert_eq!(bench.sending.spared(), 2 << 20);
    assert_eq!(bench.sending.next_wanted(0, 1 << 40), Some(1 << 20..3 << 20));
    bench.send(4 << 20..(4 << 20) + 5).expect("readable");
    bench.send(1 << 20..2 << 20).expect("readable");
    assert_eq!(bench.sending.state_of(0), SenderState::AcceptedHashed, "one group has not gone");
    bench.send(2 << 20..3 << 20).expect("readable");
    bench.say(&Message::Committed { index: 0, hash }).expect("all of it is there");
    assert_eq!(outcome(&bench.sending, "f0"), Ok(Done::committed(hash)));
    for (first, count) in [(4, 1), (0, 6), (3, 2), (1 << 61, 2), (0, 0)] {
        let mut bench = sending(&[&bytes]);
        let values = vec![Hash([7; 32]); 4];
        bench.say(&Message::Kept { index: 0, first: 0, values }).expect("it may have that");
        assert!(bench.say(&again(first, count)).is_err(), "{first} {count}");
    }
}

#[test]
fn a_source_that_vanishes_fails_that_file_only() {
    let mut bench = sending(&[&[1; 2 << 20], b"fine"]);
    bench.send(0..10).expect("there so far");
    let file = fs::File::options().write(true).open(bench.dir.path().join("f0")).expect("there");
    file.set_len(5).expect("ours");
    assert!(bench.send(1 << 20..(1 << 20) + 10).is_none(), "shorter now");
    assert_eq!(bench.sending.take_cancelled(), [0..2 << 20]);
    bench.say(&Message::Accept { below: 2 }).expect("both files");
    assert_eq!(bench.sending.next_wanted(0, 1_000), Some(2 << 20..(2 << 20) + 4));
    bench.send(2 << 20..(2 << 20) + 4).expect("the other file");
}

#[test]
fn a_file_that_is_rejected_for_what_it_holds_is_looked_at_again() {
    let text = "not what was sent";
    for (changes, reason) in [(false, Reason::Integrity), (true, Reason::Source)] {
        let mut bench = sending(&[b"abc"]);
        if changes {
            fs::write(bench.dir.path().join("f0"), "longer").expect("ours");
        }
        let reason_told = Reason::Integrity;
        bench
            .say(&Message::Reject { index: 0, reason: reason_told, text: text.into() })
            .expect("known");
        assert_eq!(outcome(&bench.sending, "f0").expect_err("rejected").reason, reason);
    }
}

#[test]
fn what_is_wanted_reaches_over_files_up_to_one_that_is_not() {
    let mut bench = sending(&[b"abc", b"", b"defg", b"hi", b"j"]);
    bench.say(&Message::Accept { below: 4 }).expect("offered");
    assert_eq!(bench.sending.next_wanted(0, 1_000), Some(0..9));
    assert_eq!(bench.sending.next_wanted(1, 5), Some(1..6));
    let text = String::new();
    let reject = Message::Reject { index: 2, reason: Reason::Exists, text };
    bench.say(&reject).expect("known");
    assert_eq!(bench.sending.next_wanted(0, 1_000), Some(0..3));
    assert_eq!(bench.sending.next_wanted(3, 1_000), Some(7..9));
    assert_eq!(bench.sending.next_wanted(9, 1_000), None, "not judged");
}

#[test]
fn offers_wait_for_room_and_memory_is_bounded() {
    let mut bench = Bench::new(&[], Sending::new);
    let tree = bench.dir.path().join("tree");
    fs::create_dir(&tree).expect("made");
    let count = u32::try_from(UNSETTLED_MAX).expect("few") + 500;
    for number in 0..count {
        fs::write(tree.join(number.to_string()), b"").expect("room");
    }
    bench.source = Source::new(&Selection { paths: vec![tree], ..Selection::default() });
    bench.offer(1_000);
    assert!(bench.sending.take_outgoing().len() < 1_100);
    bench.offer_all();
    assert_eq!(bench.sending.items.len(), UNSETTLED_MAX);
    for index in 0..1_000 {
        bench.say(&Message::Committed { index, hash: Hash::of(b"") }).expect("known");
    }
    bench.offer_all();
    assert!(bench.sending.is_offered());
    assert_eq!(bench.sending.items.next(), count + 1, "the directory as well");
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
        let mut bench = sending(&[b"abc"]);
        assert!(bench.say(&message).is_err(), "{message:?}");
    }
}

/// Only file systems in memory make files of that size.
#[test]
fn what_exceeds_the_transfer_space_is_named_and_all_else_is_offered() {
    const HALF: u64 = 1 << 55;
    let Ok(dir) = tempfile::tempdir_in("/dev/shm") else { return };
    let sizes =
        [("small", 5), ("beyond", u64::MAX / 2), ("half", HALF), ("rest", HALF + 1), ("end", 9)];
    let paths = sizes.map(|(name, size)| {
        let path = dir.path().join(name);
        fs::File::create(&path).and_then(|file| file.set_len(size)).map(|()| path)
    });
    let Ok(paths) = paths.into_iter().collect::<Result<Vec<_>, _>>() else { return };
    let selection = Selection { paths, ..Selection::default() };
    let mut source = Source::new(&selection);
    source.open().expect("readable");
    let mut bench = Bench { sending: Sending::new(&selection), source, dir };
    bench.offer_all();
    for (name, fits) in
        [("small", true), ("beyond", false), ("half", true), ("rest", false), ("end", true)]
    {
        let failure = outcome(&bench.sending, name).expect_err("nobody has answered").text;
        assert_eq!(failure.contains("64 PiB"), !fits, "{name}: {failure}");
    }
}

/// A transfer of a file of two groups that is in that state.
fn in_state(state: SenderState) -> Bench {
    let mut bench = sending(&[&vec![1; TWO_GROUPS]]);
    if matches!(state, SenderState::Gone | SenderState::AcceptedGone) {
        bench.send(0..TWO_GROUPS as u64).expect("readable");
    }
    if matches!(state, SenderState::Hashed | SenderState::AcceptedHashed) {
        bench.say(&Message::Prove { index: 0 }).expect("a file");
        bench.rest();
    }
    let is_accepted = matches!(
        state,
        SenderState::Accepted | SenderState::AcceptedHashed | SenderState::AcceptedGone
    );
    if is_accepted {
        bench.say(&Message::Accept { below: 1 }).expect("one file");
    }
    if state == SenderState::Settled {
        bench.say(&Message::Left { index: 0 }).expect("offered");
    }
    let index = u32::from(state == SenderState::Unknown);
    assert_eq!(bench.sending.state_of(index), state);
    bench
}

const TWO_GROUPS: usize = (1 << 20) + 1;

fn word(word: ReceiverWord, index: u32) -> Message {
    let hash = Hash::of(&[1; TWO_GROUPS]);
    match word {
        ReceiverWord::Again => Message::Again { index, first: 1, count: 1 },
        ReceiverWord::Committed => Message::Committed { index, hash },
        ReceiverWord::Kept => Message::Kept { index, first: 1, values: vec![hash] },
        ReceiverWord::Left => Message::Left { index },
        ReceiverWord::Prove => Message::Prove { index },
        ReceiverWord::Reject => {
            Message::Reject { index, reason: Reason::Exists, text: String::new() }
        }
        ReceiverWord::Renamed => Message::Renamed { index, path: "other".into() },
        ReceiverWord::Same => Message::Same { index, hash },
        ReceiverWord::Would => Message::Would { index, replaces: false, there: 0 },
    }
}

/// What can be seen of a file that a message changes.
fn seen(sending: &Sending) -> String {
    let item = sending.items.get(0);
    let item = item.map(|item| (item.is_settled, item.proof, &item.renamed));
    format!("{item:?} {:?} {:?} {:?}", sending.cancelled, sending.restored, sending.ledger)
}

#[test]
fn every_word_in_every_state_does_what_the_table_says() {
    for (kind, name, verdicts) in AT_SENDER {
        for (state, verdict) in SENDER_STATES.into_iter().zip(verdicts) {
            let mut bench = in_state(state);
            if kind == ReceiverWord::Would {
                bench.sending.purpose = Purpose::Plan;
            }
            if kind == ReceiverWord::Again {
                // As it is when groups were kept before.
                let kept = bench.sending.unwanted.insert(GROUP..TWO_GROUPS as u64);
                bench.sending.ledger.resume(kept);
            }
            let before = seen(&bench.sending);
            let message = word(kind, u32::from(state == SenderState::Unknown));
            let said = say(&mut bench.sending, &message);
            let is_changed = seen(&bench.sending) != before;
            let found = match (said.is_ok(), is_changed) {
                (true, true) => Verdict::Take,
                (true, false) => Verdict::Ignore,
                (false, _) => Verdict::Violation,
            };
            assert_eq!(found, verdict, "{name} in {state:?}");
        }
    }
}

#[test]
fn each_purpose_has_its_words() {
    for (purpose, fits) in [
        (Purpose::List, [false; 5]),
        (Purpose::Plan, [false, false, true, true, true]),
        (Purpose::Transfer, [true, true, false, true, true]),
    ] {
        let messages = [
            Message::Accept { below: 1 },
            word(ReceiverWord::Kept, 0),
            word(ReceiverWord::Would, 0),
            word(ReceiverWord::Prove, 0),
            word(ReceiverWord::Left, 0),
        ];
        for (message, fits) in messages.iter().zip(fits) {
            let mut bench = in_state(SenderState::Offered);
            bench.sending.purpose = purpose;
            assert_eq!(
                say(&mut bench.sending, message).is_ok(),
                fits,
                "{message:?} in {purpose:?}"
            );
        }
    }
}

#[test]
fn what_is_said_of_the_whole_is_said_once_and_in_its_time() {
    let left = Message::Left { index: 0 };
    let accept = |below| Message::Accept { below };
    for (what, messages) in [
        ("FINISHED with an entry open", vec![Message::Finished]),
        ("FINISHED twice", vec![left.clone(), Message::Finished, Message::Finished]),
        ("anything after FINISHED", vec![left, Message::Finished, accept(1)]),
        ("ACCEPT of no more", vec![accept(1), accept(1)]),
        ("ACCEPT of less", vec![accept(1), accept(0)]),
        ("ACCEPT of nothing", vec![accept(0)]),
        (
            "the same groups kept twice",
            vec![word(ReceiverWord::Kept, 0), word(ReceiverWord::Kept, 0)],
        ),
    ] {
        let mut bench = in_state(SenderState::Offered);
        let (last, first) = messages.split_last().expect("some");
        first.iter().for_each(|message| say(&mut bench.sending, message).expect(what));
        assert!(say(&mut bench.sending, last).is_err(), "{what}");
    }
}
