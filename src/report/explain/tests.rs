//! What is said of what happens.

use super::*;

/// Listens, and keeps what is said.
struct Audience {
    narrator: Narrator,
    told: Vec<String>,
}

impl Audience {
    fn of(narrator: Narrator) -> Self {
        Self { narrator, told: Vec::new() }
    }

    fn hear(&mut self, ms: u64, side: Side, what: What<'_>) {
        let at = Instant::from_nanos(ms * 1_000_000);
        let happening = Happening { at, transfer: 1, side, what };
        let told = self.narrator.hear(&happening).into_iter();
        self.told.extend(told.map(|sentence| sentence.text));
    }

    fn notice(&mut self, ms: u64, event: TraceEvent) {
        self.hear(ms, Side::Sender, What::Noticed(&event));
    }

    fn send(&mut self, ms: u64, number: u64, range: Range<u64>, again: bool) {
        self.notice(ms, TraceEvent::DataSent { number, range, again, frame: None });
    }

    fn lose(&mut self, ms: u64, number: u64, range: Range<u64>, rule: LossRule) {
        self.notice(ms, TraceEvent::Lost { number, range: Some(range), rule });
    }

    fn ack(&mut self, ms: u64, numbers: Range<u64>) {
        numbers.for_each(|number| self.notice(ms, TraceEvent::Acked { number }));
    }

    #[track_caller]
    fn expect(mut self, sentences: &[&str]) {
        self.told.extend(self.narrator.finish().into_iter().map(|sentence| sentence.text));
        assert_eq!(self.told, sentences);
    }
}

/// Packets 0 to 9 with ten bytes each go out at once.
fn after_ten_packets(narrator: Narrator) -> Audience {
    let mut audience = Audience::of(narrator);
    (0..10).for_each(|number| audience.send(0, number, number * 10..number * 10 + 10, false));
    audience
}

#[test]
fn a_loss_is_told_with_its_proof_and_its_repetition() {
    let mut audience = after_ten_packets(Narrator::new(Strategy::Volley));
    audience.ack(50, 0..7);
    audience.ack(51, 8..10);
    audience.lose(51, 7, 70..80, LossRule::Packets);
    audience.send(51, 14, 70..80, true);
    audience.ack(99, 14..15);
    audience.expect(&[
        "packets 0 to 9 go out with bytes 0 to 99",
        "packets 0 to 6 are acknowledged",
        "packets 8 and 9 are acknowledged",
        "packets 8 and 9 were acknowledged and 7 was not: 7 is presumed lost (RFC 9002 6.1.1) and \
         its bytes go out again as packet 14",
        "packet 14 is acknowledged",
    ]);
}

#[test]
fn losses_of_one_moment_are_one_sentence_and_the_repetition_may_come_later() {
    let mut audience = after_ten_packets(Narrator::new(Strategy::Volley));
    audience.ack(50, 9..10);
    audience.lose(60, 7, 70..80, LossRule::Time);
    audience.lose(60, 8, 80..90, LossRule::Time);
    audience.send(61, 10, 70..80, true);
    audience.send(61, 11, 80..90, true);
    audience.told.clear();
    audience.expect(&["the bytes of packets 7 and 8 go out again as packets 10 and 11"]);
}

#[test]
fn only_what_goes_again_at_once_is_said_to() {
    let mut audience = after_ten_packets(Narrator::new(Strategy::Volley));
    audience.ack(50, 9..10);
    audience.lose(60, 7, 70..80, LossRule::Packets);
    audience.lose(60, 8, 80..90, LossRule::Packets);
    audience.send(60, 10, 70..80, true);
    audience.ack(61, 5..6);
    let told = audience.told.pop().unwrap_or_default();
    let text = "packet 9 was acknowledged and 7 and 8 were not: 7 and 8 are presumed lost \
                (RFC 9002 6.1.1); the bytes of 7 go out again as packet 10";
    assert_eq!(told, text);
}

#[test]
fn silence_is_told_by_how_long_it_lasts() {
    let mut audience = after_ten_packets(Narrator::new(Strategy::Volley));
    for ms in [100, 300] {
        audience.notice(ms, TraceEvent::TimerFired { timer: Timer::Pto });
    }
    audience.send(300, 10, 0..10, true);
    audience.expect(&[
        "packets 0 to 9 go out with bytes 0 to 99",
        "nothing was acknowledged for too long: probe timeout (RFC 9002 6.2)",
        "nothing was acknowledged for too long, 2 times in a row; the wait doubles each time: probe \
         timeout (RFC 9002 6.2)",
        "bytes 0 to 9 go out again as packet 10, to ask for an acknowledgement",
    ]);
}

#[test]
fn a_story_is_about_its_bytes_and_no_others() {
    let mut audience = after_ten_packets(Narrator::about(Strategy::Volley, 70..80));
    for number in [3, 7] {
        let dropped = What::Dropped { number, packet: None, cause: Cause::Burst };
        audience.hear(0, Side::Sender, dropped);
    }
    audience.ack(50, 8..10);
    audience.lose(50, 3, 30..40, LossRule::Packets);
    audience.lose(50, 7, 70..80, LossRule::Packets);
    audience.notice(50, TraceEvent::TimerFired { timer: Timer::Pto });
    audience.send(51, 10, 30..40, true);
    audience.send(51, 11, 70..80, true);
    audience.ack(99, 10..12);
    audience.expect(&[
        "packet 7 goes out with bytes 70 to 79",
        "packet 7 is lost on the link, in a burst",
        "packets 8 and 9 were acknowledged and 7 was not: 7 is presumed lost (RFC 9002 6.1.1)",
        "the bytes of packet 7 go out again as packet 11",
        "packet 11 is acknowledged",
    ]);
}

#[test]
fn the_controller_is_told_with_its_reason() {
    let mut audience = Audience::of(Narrator::new(Strategy::Volley));
    for (phase, before, window) in [
        (Phase::SlowStart, 12_000, 12_000),
        (Phase::ConservativeSlowStart, 90_000, 90_000),
        (Phase::Avoidance, 99_000, 99_000),
        (Phase::Avoidance, 100_000, 70_000),
    ] {
        audience.notice(0, TraceEvent::Congestion { phase, window, before });
    }
    (0..3).for_each(|_| audience.notice(0, TraceEvent::TimerFired { timer: Timer::Pto }));
    let (phase, window, before) = (Phase::SlowStart, 2_400, 70_000);
    audience.notice(0, TraceEvent::Congestion { phase, window, before });
    audience.notice(5, TraceEvent::Acked { number: 7 });
    audience.notice(5, TraceEvent::Marked { packets: 3 });
    let (phase, window, before) = (Phase::Avoidance, 60_000, 71_000);
    audience.notice(5, TraceEvent::Congestion { phase, window, before });
    let told = audience.told.join("; ");
    for words in [
        "slow start: 12000 bytes",
        "slow start goes on more slowly",
        "slow start is over at 99000 bytes",
        "shrinks from 100000 to 70000 bytes (RFC 9438 4.6)",
        "shrinks from 70000 to 2400 bytes (RFC 9002 7.6)",
        "3 packets met congestion",
        "shrinks from 71000 to 60000 bytes before anything is lost (RFC 9002 7.1)",
    ] {
        assert!(told.contains(words), "no \"{words}\" in {told}");
    }
}

#[test]
fn lines_are_no_wider_than_asked_and_begin_with_the_time() {
    let text =
        "a sentence of many words that does not fit into one line of forty columns".to_owned();
    let sentence = Sentence { at: Instant::from_nanos(12_345_678), text };
    let lines = sentence.lines(40);
    assert_eq!(lines[0], "     12.3 ms  a sentence of many words");
    assert!(lines.len() > 2 && lines.iter().all(|line| line.chars().count() <= 40), "{lines:?}");
}

#[test]
fn what_is_remembered_has_a_bound() {
    let mut audience = Audience::of(Narrator::new(Strategy::Volley));
    for number in 0..2 * REMEMBERED_MAX as u64 {
        audience.send(number, number, number * 10..number * 10 + 10, false);
        audience.ack(number, number..number + 1);
    }
    let Narrator { packets, acked, .. } = audience.narrator;
    assert_eq!((packets.len(), acked.len()), (REMEMBERED_MAX, REMEMBERED_MAX));
}
