//! A receiver, message by message.

use super::*;
use crate::transfer::budget::{BYTES_MAX, Memory, OF_ANY, STATE_MAX};
use crate::transfer::entry::{Attributes, Kind, SourceId};
use crate::transfer::exchange::{AT_RECEIVER, RECEIVER_STATES, ReceiverState, SenderWord, Verdict};
use crate::transfer::job::Report;
use crate::transfer::message::{Message, MessageReader, UNSETTLED_MAX, UNSETTLED_TEXT_MAX};

fn say(receiving: &mut Receiving, message: &Message) -> Result<(), Failure> {
    message.put(receiving.incoming());
    receiving.handle_messages()
}

fn offer(size: u64, path: &str) -> Message {
    let attributes = Attributes { mode: 0o644, seconds: 0, nanoseconds: 0 };
    let source = Kind::is_identified(size).then_some(SourceId([1; 16]));
    let kind = Kind::File { size, holes: None, attributes, source };
    Message::Offer(Entry { path: path.into(), kind })
}

fn answers(receiving: &mut Receiving) -> Vec<Message> {
    let mut reader = MessageReader::default();
    reader.buffer().extend(receiving.take_outgoing());
    std::iter::from_fn(|| reader.next_message().expect("well-formed")).collect()
}

#[test]
fn empty_data_is_refused() {
    let mut receiving = Receiving::new(false);
    assert!(!receiving.take_data(5, &[]));
    say(&mut receiving, &offer(10, "a")).expect("a file");
    assert!(!receiving.take_data(5, &[]));
}

#[test]
fn a_plan_is_the_first_job_and_takes_no_bytes() {
    let mut planning = Receiving::new(false);
    say(&mut planning, &Message::Plan).expect("first");
    say(&mut planning, &offer(10, "a")).expect("a file");
    assert!(!planning.take_data(0, &[1; 10]));
    assert!(matches!(planning.next_job(), Some(Job::Plan)));
    assert!(matches!(planning.next_job(), Some(Job::Offer { .. })));
    planning.on_report(Report::Would { index: 0, replaces: true, there: 3 });
    let would = Message::Would { index: 0, replaces: true, there: 3 };
    assert_eq!(answers(&mut planning), [would]);
    say(&mut planning, &Message::OfferEnd).expect("the end");
    assert!(matches!(planning.next_job(), Some(Job::Finish)));
    assert_eq!(planning.report(None, None).counts.planned.expect("a plan").replacing, 1);
}

#[test]
fn a_plan_begins_before_the_offers_or_never() {
    let mut late = Receiving::new(false);
    say(&mut late, &offer(10, "a")).expect("a file");
    assert!(say(&mut late, &Message::Plan).is_err());
    let mut over = Receiving::new(false);
    say(&mut over, &Message::OfferEnd).expect("the end");
    assert!(say(&mut over, &Message::Plan).is_err());
    assert!(say(&mut Receiving::listing(), &Message::Plan).is_err());
    // Of its own accord, and then told so.
    let mut own = Receiving::new(false).planning();
    say(&mut own, &Message::Plan).expect("first");
    assert!(matches!(own.next_job(), Some(Job::Plan)));
    assert!(own.next_job().is_none());
}

#[test]
fn where_one_file_is_taken_a_plan_knows_at_the_end() {
    for second in [false, true] {
        let mut planning = Receiving::one_file().planning();
        say(&mut planning, &offer(3, "a")).expect("a file");
        planning.on_report(Report::Would { index: 0, replaces: false, there: 0 });
        assert_eq!(answers(&mut planning), []);
        if second {
            say(&mut planning, &offer(3, "b")).expect("a file");
        }
        say(&mut planning, &Message::OfferEnd).expect("the end");
        let told = answers(&mut planning);
        let comes = told.iter().any(|answer| matches!(answer, Message::Would { .. }));
        assert_eq!(comes, !second, "{told:?}");
    }
}

fn roots(receiving: &mut Receiving) -> usize {
    let jobs = std::iter::from_fn(|| receiving.next_job());
    jobs.filter(|job| matches!(job, Job::ExpectRoot { .. })).count()
}

#[test]
fn the_only_file_is_complete_once_nothing_can_follow() {
    let mut receiving = Receiving::one_file();
    say(&mut receiving, &offer(3, ".a")).expect("a file");
    say(&mut receiving, &Message::Root { index: 0, hash: Hash::of(b"abc") }).expect("known");
    assert_eq!(roots(&mut receiving), 0);
    say(&mut receiving, &Message::OfferEnd).expect("the end");
    assert_eq!(roots(&mut receiving), 1);
}

#[test]
fn of_two_files_where_one_is_taken_neither_is() {
    let mut receiving = Receiving::one_file();
    say(&mut receiving, &offer(3, "a")).expect("a file");
    say(&mut receiving, &Message::Root { index: 0, hash: Hash::of(b"abc") }).expect("known");
    say(&mut receiving, &offer(3, "b")).expect("a file");
    say(&mut receiving, &Message::OfferEnd).expect("the end");
    let refused = |answer: &Message| matches!(answer, Message::Reject { reason, .. } if *reason == Reason::Refused);
    assert_eq!(answers(&mut receiving).iter().filter(|answer| refused(answer)).count(), 2);
    let report = receiving.report(None, None);
    assert_eq!((report.counts.failed, report.verdict()), (2, Some(Reason::Refused)));
}

#[test]
fn bytes_before_their_offer_wait_within_a_bound() {
    let mut receiving = Receiving::new(false);
    assert!(receiving.take_data(0, &[1; 1000]));
    assert!(receiving.next_job().is_none());
    assert!(!receiving.take_data(1000, &[1; 64 * 1024]));
    say(&mut receiving, &offer(5000, "a")).expect("a file");
    assert!(matches!(receiving.next_job(), Some(Job::Offer { index: 0, .. })));
    assert!(matches!(receiving.next_job(), Some(Job::Write(batch)) if batch.len() == 1000));
}

#[test]
fn an_offer_takes_the_early_bytes_that_it_covers() {
    let mut receiving = Receiving::new(false);
    assert!(receiving.take_data(90, &[3; 20]));
    assert!(receiving.take_data(40, &[2; 20]));
    assert!(receiving.take_data(0, &[1; 20]));
    assert!(receiving.take_data(0, &[1; 20]), "it came again");
    for covered in [40, 20] {
        say(&mut receiving, &offer(60, "a")).expect("a file");
        assert!(matches!(receiving.next_job(), Some(Job::Offer { .. })));
        let job = receiving.next_job();
        assert!(matches!(&job, Some(Job::Write(batch)) if batch.len() == covered), "{job:?}");
    }
    assert!(receiving.early.is_empty());
}

#[test]
fn a_slow_disk_makes_the_carrier_wait() {
    let mut receiving = Receiving::new(false);
    say(&mut receiving, &offer(1 << 30, "a")).expect("a file");
    let mut taken = 0;
    while receiving.take_data(taken, &[0; 60_000]) {
        taken += 60_000;
    }
    assert!(taken as usize <= SINK_QUEUE_MAX);
    receiving.next_job();
    let mut total = 0;
    while let Some(Job::Write(batch)) = receiving.next_job() {
        total += batch.len() as u64;
        receiving.on_report(Report::Done { bytes: batch.len(), total });
    }
    assert!(receiving.take_data(taken, &[0; 60_000]));
    assert!(receiving.take_demands().contains(&Demand::Written(taken)));
}

#[test]
fn slow_disks_share_the_memory_of_their_listener() {
    let memory = Memory::default();
    let receiving = |_| Receiving::new(false).within(&memory.account());
    let mut all: Vec<Receiving> = (0..31).map(receiving).collect();
    let mut fill = |receiving: &mut Receiving| {
        let mut taken = 0;
        while receiving.take_data(taken, &[0; 1 << 15]) {
            taken += 1 << 15;
        }
        taken
    };
    for receiving in &mut all {
        say(receiving, &offer(1 << 30, "a")).expect("a file");
    }
    let first: Vec<u64> = all.iter_mut().map(&mut fill).collect();
    assert_eq!(first[0] as usize, SINK_QUEUE_MAX);
    assert_eq!(first[30] as usize, OF_ANY, "who comes last finds some too");
    assert!(first.iter().sum::<u64>() as usize <= BYTES_MAX + 31 * OF_ANY);
    all.drain(..30);
    let last = &mut all[0];
    assert!(last.take_data(first[30], &[0; 1 << 20]), "what the others held is free again");
}

/// What a peer offers and never sends is remembered within what all of them share.
#[test]
fn offers_share_the_memory_of_their_listener_and_the_last_one_finds_some() {
    let memory = Memory::default();
    let long = "n".repeat(250);
    let mut all = Vec::new();
    for peer in 0..64 {
        let mut receiving = Receiving::new(false).within(&memory.account());
        for number in 0..16_000 {
            let path = format!("{long}{number:05}");
            if say(&mut receiving, &offer(1, &path)).is_err() {
                break;
            }
            receiving.take_outgoing();
            while let Some(job) = receiving.next_job() {
                drop(job);
                receiving.on_report(Report::Done { bytes: 0, total: 0 });
            }
        }
        assert!(memory.held() <= STATE_MAX + (peer + 1) * OF_ANY, "{peer}");
        all.push(receiving);
    }
    let mut honest = Receiving::new(false).within(&memory.account());
    for number in 0..20 {
        say(&mut honest, &offer(1, &format!("file {number}"))).expect("an offer");
    }
    let refused = answers(&mut honest);
    assert!(refused.is_empty(), "{refused:?}");
    drop((all, honest));
    assert_eq!(memory.held(), 0);
}

#[test]
fn few_bytes_are_gathered_while_more_are_to_come() {
    let mut receiving = Receiving::new(false);
    say(&mut receiving, &offer(1 << 20, "a")).expect("a file");
    assert!(!receiving.is_gathering(), "there is an offer to hand on");
    receiving.next_job();
    let mut take = |offset, len| {
        assert!(receiving.take_data(offset, &vec![0; len]));
        receiving.is_gathering()
    };
    assert!(take(0, 1_000));
    assert!(take(1_000, GATHER_LEN - 1_001));
    assert!(!take(GATHER_LEN as u64 - 1, 1), "it is worth a write");
    receiving.next_job();
    let offset = GATHER_LEN as u64;
    assert!(receiving.take_data(offset, &[0; 1]) && receiving.is_gathering());
    receiving.flush();
    assert!(!receiving.is_gathering(), "it is a job now");
    receiving.next_job();
    assert!(receiving.take_data(offset + 1, &vec![0; (1 << 20) - GATHER_LEN - 2]));
    receiving.next_job();
    assert!(receiving.take_data((1 << 20) - 1, &[0; 1]) && !receiving.is_gathering());
}

#[test]
fn messages_wait_for_a_disk_that_stalls() {
    let mut receiving = Receiving::new(false);
    for number in 0..2 * JOBS_MAX {
        offer(1, &number.to_string()).put(receiving.incoming());
    }
    receiving.handle_messages().expect("well-formed");
    assert!(!receiving.has_room() && receiving.entries.len() == JOBS_MAX);
    while receiving.next_job().is_some() {
        receiving.on_report(Report::Done { bytes: 0, total: 0 });
    }
    receiving.handle_messages().expect("well-formed");
    assert_eq!(receiving.entries.len(), 2 * JOBS_MAX);
}

/// Does nothing, and says that it is done.
fn idle(receiving: &mut Receiving) {
    while receiving.next_job().is_some() {
        receiving.on_report(Report::Done { bytes: 0, total: 0 });
    }
}

#[test]
fn entries_without_an_outcome_are_bounded_and_those_with_one_are_forgotten() {
    let mut receiving = Receiving::new(false);
    let hash = Hash::of(b"");
    for number in 0..u32::try_from(UNSETTLED_MAX).expect("few") {
        say(&mut receiving, &offer(0, &number.to_string())).expect("room");
        idle(&mut receiving);
    }
    for index in 0..1_000 {
        receiving.on_report(Report::Committed { index, hash });
    }
    assert_eq!(receiving.entries.len(), UNSETTLED_MAX - 1_000);
    for number in 0..1_000 {
        say(&mut receiving, &offer(0, &format!("more {number}"))).expect("room again");
        idle(&mut receiving);
    }
    assert!(say(&mut receiving, &offer(0, "one too many")).is_err());
}

#[test]
fn the_texts_of_entries_without_an_outcome_are_bounded() {
    let mut receiving = Receiving::new(false);
    let long = |number: usize| format!("{number:05}{}", format!("/{}", "n".repeat(250)).repeat(15));
    let fit = UNSETTLED_TEXT_MAX / long(0).len();
    for number in 0..fit {
        say(&mut receiving, &offer(0, &long(number))).expect("room");
        idle(&mut receiving);
    }
    assert_eq!(receiving.entries.len(), fit);
    assert!(say(&mut receiving, &offer(0, &long(fit))).is_err());
}

#[test]
fn no_path_is_offered_twice() {
    let mut receiving = Receiving::new(false);
    for path in ["a", "b/a", "a", "A"] {
        say(&mut receiving, &offer(1, path)).expect("an offer");
    }
    let refused: Vec<_> = answers(&mut receiving)
        .into_iter()
        .filter_map(|answer| match answer {
            Message::Reject { index, text, .. } => Some((index, text)),
            _ => None,
        })
        .collect();
    assert!(matches!(&refused[..], [(2, text)] if text.contains("twice")), "{refused:?}");
}

#[test]
fn links_are_judged_like_paths() {
    let mut receiving = Receiving::new(false);
    for target in ["../../etc/passwd", "/etc/passwd", "b", "../b"] {
        let kind = Kind::Link { target: target.into() };
        let path = format!("d/link to {}", target.len());
        say(&mut receiving, &Message::Offer(Entry { path, kind })).expect("an offer");
    }
    let refused = answers(&mut receiving);
    let is_refused = |index| {
        refused
            .iter()
            .any(|answer| matches!(answer, Message::Reject { index: at, .. } if *at == index))
    };
    assert!(is_refused(0) && is_refused(1) && !is_refused(2) && !is_refused(3));
}

#[test]
fn names_are_judged_here_whatever_the_sender_checked() {
    let mut receiving = Receiving::new(false);
    for name in ["../evil", ".bashrc", "good"] {
        say(&mut receiving, &offer(1, name)).expect("an offer");
    }
    receiving.on_report(Report::Accepted { index: 2 });
    let answers = answers(&mut receiving);
    let refused = |index| {
        answers.iter().any(|answer| {
            matches!(answer,
            Message::Reject { index: at, reason: Reason::Refused, .. } if *at == index)
        })
    };
    assert!(refused(0) && refused(1) && !refused(2));
    assert_eq!(answers.last(), Some(&Message::Accept { below: 3 }));
}

#[test]
fn who_wants_only_the_list_has_no_work_and_is_done_with_the_last_offer() {
    let mut receiving = Receiving::listing();
    for path in ["../evil", ".hidden", "a", "a"] {
        say(&mut receiving, &offer(5, path)).expect("an offer");
    }
    let paths: Vec<String> = receiving.take_listed().into_iter().map(|entry| entry.path).collect();
    assert_eq!(paths, ["../evil", ".hidden", "a", "a"]);
    assert!(!receiving.take_data(0, b"bytes") && !receiving.take_data(40, b"early"));
    let index = 0;
    assert!(say(&mut receiving, &Message::Root { index, hash: Hash::of(b"") }).is_err());
    let mut receiving = Receiving::listing();
    say(&mut receiving, &offer(5, "a")).expect("an offer");
    say(&mut receiving, &Message::OfferEnd).expect("the end");
    assert_eq!(answers(&mut receiving), [Message::Finished]);
    assert!(receiving.is_complete() && receiving.next_job().is_none());
}

#[test]
fn hidden_names_are_taken_where_the_user_said_so() {
    let mut receiving = Receiving::new(true);
    say(&mut receiving, &offer(1, ".bashrc")).expect("an offer");
    assert_eq!(answers(&mut receiving), []);
}

#[test]
fn nothing_is_said_behind_the_last_word() {
    let mut receiving = Receiving::new(false);
    say(&mut receiving, &offer(1, "a")).expect("a file");
    say(&mut receiving, &Message::OfferEnd).expect("the end");
    while receiving.next_job().is_some() {}
    receiving.on_report(Report::Left { index: 0 });
    while receiving.next_job().is_some() {}
    receiving.on_report(Report::Finished);
    let said = answers(&mut receiving);
    let expected = [Message::Left { index: 0 }, Message::Accept { below: 1 }, Message::Finished];
    assert_eq!(said, expected);
}

#[test]
fn it_is_complete_when_every_file_has_an_outcome() {
    let mut receiving = Receiving::new(false);
    say(&mut receiving, &offer(1, "a")).expect("an offer");
    say(&mut receiving, &offer(1, "b")).expect("an offer");
    receiving.on_report(Report::Committed { index: 0, hash: Hash::of(b"a") });
    let text = "gone".to_owned();
    say(&mut receiving, &Message::Failed { index: 1, reason: Reason::Source, text })
        .expect("known");
    assert!(!receiving.is_complete(), "more could be offered");
    say(&mut receiving, &Message::OfferEnd).expect("the end");
    assert!(!receiving.is_complete(), "the sink has something left to do");
    let jobs: Vec<_> = std::iter::from_fn(|| receiving.next_job()).collect();
    assert!(matches!(jobs.last(), Some(Job::Finish)), "{jobs:?}");
    receiving.on_report(Report::Finished);
    assert!(receiving.is_complete());
    assert!(answers(&mut receiving).ends_with(&[Message::Accept { below: 2 }, Message::Finished]));
    assert!(receiving.take_demands().contains(&Demand::Cancel(1..2)));
}

#[test]
fn a_sender_that_breaks_the_protocol_is_noticed() {
    let break_it = |messages: &[Message]| {
        let mut receiving = Receiving::new(false);
        messages.iter().try_for_each(|message| say(&mut receiving, message))
    };
    assert!(break_it(&[Message::OfferEnd, offer(1, "late")]).is_err());
    assert!(break_it(&[Message::Root { index: 0, hash: Hash::of(b"") }]).is_err());
    assert!(break_it(&[Message::Accept { below: 1 }]).is_err());
    assert!(break_it(&[offer(1 << 56, "a"), offer(1, "b")]).is_err());
}

/// A receiver of one file of two groups that is in that state.
fn in_state(state: ReceiverState) -> Receiving {
    let mut receiving = Receiving::new(false);
    say(&mut receiving, &offer(TWO_GROUPS, "a")).expect("a file");
    match state {
        ReceiverState::Unknown | ReceiverState::Open => {}
        ReceiverState::Rooted => {
            say(&mut receiving, &word(SenderWord::Root, 0)).expect("offered");
        }
        ReceiverState::Settled => receiving.on_report(Report::Left { index: 0 }),
    }
    assert_eq!(receiving.state_of(u32::from(state == ReceiverState::Unknown)), state);
    receiving
}

const TWO_GROUPS: u64 = (1 << 20) + 1;

fn word(word: SenderWord, index: u32) -> Message {
    let hash = Hash([7; 32]);
    match word {
        SenderWord::Failed => {
            Message::Failed { index, reason: Reason::Source, text: String::new() }
        }
        SenderWord::Groups => Message::Groups { index, first: 1, values: vec![hash] },
        SenderWord::Root => Message::Root { index, hash },
    }
}

#[test]
fn every_word_in_every_state_does_what_the_table_says() {
    for (kind, name, verdicts) in AT_RECEIVER {
        for (state, verdict) in RECEIVER_STATES.into_iter().zip(verdicts) {
            let mut receiving = in_state(state);
            let before = receiving.waiting;
            let index = u32::from(state == ReceiverState::Unknown);
            let said = say(&mut receiving, &word(kind, index));
            let found = match (said.is_ok(), receiving.waiting > before) {
                (true, true) => Verdict::Take,
                (true, false) => Verdict::Ignore,
                (false, _) => Verdict::Violation,
            };
            assert_eq!(found, verdict, "{name} in {state:?}");
        }
    }
}

#[test]
fn what_does_not_fit_the_entry_or_the_time_is_a_violation() {
    let groups =
        |first, count| Message::Groups { index: 0, first, values: vec![Hash([1; 32]); count] };
    let root = word(SenderWord::Root, 0);
    let lacking =
        Message::Lacking { name: "x".into(), reason: Reason::Source, text: String::new() };
    let end = Message::OfferEnd;
    for (what, messages) in [
        ("GROUPS of a file of one group", vec![offer(5, "a"), groups(0, 1)]),
        ("GROUPS that the file has not", vec![offer(TWO_GROUPS, "a"), groups(2, 1)]),
        ("GROUPS beyond its end", vec![offer(TWO_GROUPS, "a"), groups(1, 2)]),
        ("ROOT of an empty file", vec![offer(0, "a"), root.clone()]),
        ("ROOT twice", vec![offer(5, "a"), root.clone(), root]),
        ("OFFER after the end", vec![end.clone(), offer(5, "a")]),
        ("the end twice", vec![end.clone(), end.clone()]),
        ("LACKING after the end", vec![end, lacking]),
        ("PLAN twice", vec![Message::Plan, Message::Plan]),
    ] {
        let mut receiving = Receiving::new(false);
        let (last, first) = messages.split_last().expect("some");
        first.iter().for_each(|message| say(&mut receiving, message).expect(what));
        assert!(say(&mut receiving, last).is_err(), "{what}");
    }
}

#[test]
fn holes_of_a_transfer_are_so_many_bytes_at_most_and_none_of_the_transfer_space() {
    use crate::transfer::holes::{BLOCK, HOLE_BYTES_MAX, Holes};
    let hollow = |size, path: &str| {
        let Message::Offer(mut entry) = offer(size, path) else { panic!("it is one") };
        if let Kind::File { holes, .. } = &mut entry.kind {
            *holes = Holes::new(size, [0..size - BLOCK]);
        }
        Message::Offer(entry)
    };
    for mut receiving in [Receiving::new(false), Receiving::listing()] {
        say(&mut receiving, &hollow(HOLE_BYTES_MAX, "a")).expect("a block less than that");
        assert_eq!(receiving.offered, BLOCK);
        say(&mut receiving, &hollow(2 * BLOCK, "b")).expect("that many");
        assert!(say(&mut receiving, &hollow(2 * BLOCK, "c")).is_err());
    }
}
