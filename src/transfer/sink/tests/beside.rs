//! What is compared beside the transfer.

use super::going_on::interrupted;
use super::*;
use crate::transfer::budget::Pool;

/// A later transfer of `contents`, of which those groups are kept, whose sender has told nothing yet.
fn going_on(contents: &[u8], there: &[u64]) -> Bench {
    let mut bench = interrupted(contents, there);
    bench.sink = bench.again();
    bench.offer(0, "a", 0..contents.len() as u64);
    bench
}

fn bytes_of(group: u64, contents: &[u8]) -> &[u8] {
    let range = group_range(group, contents.len() as u64);
    &contents[range.start as usize..range.end as usize]
}

fn values(groups: Range<u64>, contents: &[u8]) -> Job {
    let size = contents.len() as u64;
    let value = |group| group_value(group, bytes_of(group, contents), size);
    Job::Expect { index: 0, first: groups.start, values: groups.map(value).collect() }
}

fn write(sink: &mut Sink, group: u64, contents: &[u8]) -> Vec<Report> {
    let mut batch = WriteBatch::default();
    batch.push(group * GROUP, bytes_of(group, contents));
    sink.run(Job::Write(batch))
}

/// Groups that are kept and were not compared.
fn claimed(bench: &mut Bench) -> usize {
    let open = bench.sink.open_file(0).expect("under way");
    (0..64).filter(|group| open.kept.claims(*group)).count()
}

/// New bytes do not wait for old ones to be looked at, whatever is told of these.
#[test]
fn what_was_kept_is_read_a_little_at_a_time() {
    let bytes = contents(9 * GROUP);
    let mut bench = going_on(&bytes, &[0, 1, 2, 3, 4, 5, 6, 7]);
    bench.sink.run(values(0..9, &bytes));
    bench.sink.run(Job::ExpectRoot { index: 0, hash: Hash::of(&bytes) });
    write(&mut bench.sink, 8, &bytes);
    assert!(bench.sink.is_busy());
    assert_eq!(claimed(&mut bench), 8, "nothing has been read back");
    assert_eq!(bench.sink.rest(), []);
    assert_eq!(claimed(&mut bench), 4, "not all of it at once");
    let mut reports = Vec::new();
    while bench.sink.is_busy() {
        reports.extend(bench.sink.rest());
    }
    assert_eq!(reports, [Report::Committed { index: 0, hash: Hash::of(&bytes) }]);
}

/// Nor do old ones wait until all new ones are there.
#[test]
fn as_much_is_compared_as_is_written() {
    let bytes = contents(14 * GROUP);
    let mut bench = going_on(&bytes, &[0, 1, 2, 3, 4, 5]);
    bench.sink.run(values(0..14, &bytes));
    for (turn, left) in [(6..10, 2), (10..14, 0)] {
        for group in turn {
            assert!(!bench.sink.is_rest_due());
            write(&mut bench.sink, group, &bytes);
        }
        assert!(bench.sink.is_rest_due());
        bench.sink.rest();
        assert_eq!(claimed(&mut bench), left);
    }
    assert!(!bench.sink.is_rest_due() && !bench.sink.is_busy(), "there is nothing more to do");
}

#[test]
fn where_memory_is_short_values_are_compared_before_more_are_heard() {
    let bytes = contents(4 * GROUP);
    for has_any in [true, false] {
        let mut bench = going_on(&bytes, &[0, 1, 2]);
        let account = bench.sink.policy.account.clone();
        let mut taken = 0;
        while account.take(Pool::State, 80) {
            taken += 80;
        }
        if has_any {
            account.give(Pool::State, 80);
            taken -= 80;
        }
        let mut reports = bench.sink.run(values(0..3, &bytes));
        reports.pop();
        if has_any {
            assert_eq!(claimed(&mut bench), 1, "for one there is room");
        } else {
            assert!(failed(&reports, Reason::Refused), "{reports:?}");
        }
        drop(bench);
        account.give(Pool::State, taken);
        assert!(account.has_room(Pool::State, taken), "all is given back");
    }
}

/// Values of kept groups make room for that of one that comes.
#[test]
fn where_memory_is_short_what_comes_is_heard_all_the_same() {
    let bytes = contents(4 * GROUP);
    let mut bench = going_on(&bytes, &[0, 1, 2]);
    let account = bench.sink.policy.account.clone();
    let mut taken = 0;
    while account.take(Pool::State, 80) {
        taken += 80;
    }
    account.give(Pool::State, 160);
    taken -= 160;
    bench.sink.run(values(0..2, &bytes));
    assert_eq!(claimed(&mut bench), 3, "there is room for both");
    bench.sink.run(values(3..4, &bytes));
    assert_eq!(claimed(&mut bench), 2, "one was compared");
    drop(bench);
    account.give(Pool::State, taken);
}
