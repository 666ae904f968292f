//! Comparisons with known numbers, and what is said of them.

use super::*;
use crate::base::units::Share;
use crate::link::{Bottleneck, LossCounts};

const MBIT: u64 = 1_000_000;

/// A link of 100 Mbit/s and 25 ms each way with that loss.
fn link(loss: f64) -> LinkUsed {
    let rate = Rate::from_bits_per_second(100 * MBIT);
    let delay = Duration::from_millis(25);
    let bottleneck = Some(Bottleneck { rate, queue: 625_000 });
    let back = LinkConfig { delay, bottleneck, ..LinkConfig::default() };
    LinkUsed { out: LinkConfig { loss: Share::new(loss), ..back.clone() }, back, seed: 7 }
}

/// Ten seconds at that many kbit/s.
fn trial(kbit: u64, ended: Ended) -> Trial {
    let lost = LossCounts { chance: 10, ..LossCounts::default() };
    let out = LinkCounts { offered: 1000, offered_bytes: 1_500_000, lost, ..LinkCounts::default() };
    let back = LinkCounts { offered: 500, offered_bytes: 26_000, ..LinkCounts::default() };
    Trial {
        elapsed: Duration::from_secs(10),
        bytes: kbit * 1000 / 8 * 10,
        ended,
        link: Some([out, back]),
        packets_sent: Some(1000),
        retransmissions: Some(11),
        min_rtt: Some(Duration::from_millis(50)),
        cpu: Some(Duration::from_millis(300)),
    }
}

fn contender(name: &str, control: Control, kbits: &[u64]) -> Contender {
    let trials = kbits.iter().map(|kbit| trial(*kbit, Ended::CutOff)).collect();
    Contender { name: name.into(), is_tcp: name.starts_with("TCP"), control, trials }
}

fn comparison(loss: f64, contenders: Vec<Contender>) -> Comparison {
    Comparison {
        venue: Venue::Lab,
        size: 50_000_000,
        limit: Duration::from_secs(10),
        link: Some(link(loss)),
        contenders,
    }
}

#[test]
fn loss_is_named_where_the_formula_explains_the_rate() {
    let fixed = Control::Fixed(Rate::from_bits_per_second(98 * MBIT));
    let all = vec![
        contender("UDP fixed", fixed, &[93_000]),
        contender("TCP cubic", Control::Cubic, &[2_600]),
        contender("TCP reno", Control::Reno, &[2_400]),
    ];
    let said = verdict::sentences(&comparison(0.01, all));
    assert_eq!(
        said,
        [
            "UDP fixed was 36 times as fast as TCP cubic: 93 Mbit/s against 2.6 Mbit/s.",
            "UDP fixed used what the link can carry (95.8 Mbit/s), for a lost packet does not slow it \
             down.",
            "Loss is the reason why TCP cubic and TCP reno are slow: they take each lost packet for \
             congestion and send less, though the 1 % lost here say nothing about the rate; at a round \
             trip of 50 ms the formula leaves about 2.84 Mbit/s.",
        ]
    );
}

#[test]
fn tcp_may_win_and_a_draw_is_a_draw() {
    let bbr = contender("TCP bbr", Control::Bbr, &[91_000, 92_000, 90_000]);
    let slow = contender("UDP volley", Control::Cubic, &[2_500, 2_500, 2_400]);
    let said = verdict::sentences(&comparison(0.01, vec![slow, bbr.clone()]));
    assert!(said[0].starts_with("TCP bbr was 36 times as fast as UDP volley"), "{said:?}");
    assert!(said[2].starts_with("Loss is the reason why UDP volley is slow"), "{said:?}");

    let same = contender("UDP volley", Control::Cubic, &[90_500, 93_000, 95_000]);
    let said = verdict::sentences(&comparison(0.0, vec![same, bbr]));
    assert!(said[0].contains("equally fast"), "{said:?}");
    assert_eq!(said[1..], ["The link is the limit: all of them use what it can carry."]);
}

#[test]
fn loss_is_not_blamed_where_its_formula_allows_the_whole_link() {
    let slow = contender("TCP cubic", Control::Cubic, &[60_000]);
    let fast = contender("UDP volley", Control::Bbr, &[95_000]);
    let said = verdict::sentences(&comparison(0.000_001, vec![slow, fast])).join("\n");
    assert!(!said.contains("Loss is the reason"), "{said}");
    assert!(said.contains("What held back TCP cubic does not show"), "{said}");
}

#[test]
fn what_carries_nothing_wins_nothing() {
    let nothing = vec![
        contender("UDP volley", Control::Cubic, &[0]),
        contender("TCP bbr", Control::Bbr, &[0]),
    ];
    let comparison = comparison(1.0, nothing);
    assert_eq!(verdict::sentences(&comparison), ["Nothing came through: no run carried a byte."]);
    assert!(!table::text(&comparison).contains("NaN"));
}

#[test]
fn an_even_number_of_runs_has_its_middle_between_two() {
    let pair = contender("TCP bbr", Control::Bbr, &[90_000, 80_000]);
    assert_eq!(pair.goodput(), Some(Rate::from_bits_per_second(85 * MBIT)));
}

#[test]
fn the_textbooks_strategies_are_held_back_by_what_they_are() {
    let all = vec![
        contender("stop-and-wait", Control::StopAndWait, &[180]),
        contender("go-back-n", Control::GoBackN { window: 64 }, &[3_000]),
        contender("TCP bbr", Control::Bbr, &[95_000]),
    ];
    let said = verdict::sentences(&comparison(0.01, all)).join("\n");
    assert!(said.contains("stop-and-wait has no more than a window"), "{said}");
    assert!(said.contains("go-back-n sends a whole window again"), "{said}");
}

#[test]
fn what_failed_is_told_and_not_counted() {
    let mut broken = contender("TCP bbr", Control::Bbr, &[1]);
    broken.trials = vec![trial(0, Ended::Failed("the kernel refuses it".into()))];
    let fine = contender("UDP volley", Control::Cubic, &[90_000]);
    let comparison = comparison(0.0, vec![fine, broken]);
    let said = verdict::sentences(&comparison);
    assert!(said[0].ends_with("nothing of the other kind came through."), "{said:?}");
    assert!(table::text(&comparison).contains("failed: the kernel refuses it"));
}

#[test]
fn the_table_has_the_numbers_and_says_what_they_mean() {
    let mut complete = contender("UDP volley", Control::Cubic, &[2_500]);
    complete.trials[0].ended = Ended::Complete;
    let other = contender("TCP bbr", Control::Bbr, &[90_000]);
    let shown = table::text(&comparison(0.01, vec![complete, other]));
    let lines: Vec<Vec<&str>> = shown.lines().map(|l| l.split_whitespace().collect()).collect();
    let found = [&lines[5], &lines[6]].map(|words| words.join(" "));
    assert_eq!(found[0], "UDP volley 10.0 2.50 2.85 2.61 1.46 1.10 0.00 0.30");
    assert_eq!(found[1], "TCP bbr cut off 90.0 - 93.9 1.46 1.10 0.00 0.30");
    assert!(shown.contains("formula of UDP volley: MSS/RTT x 1.22/sqrt(p)"), "{shown}");
    assert!(shown.lines().skip(3).take(4).all(|line| line.chars().count() <= 80), "{shown}");
}

#[test]
fn programs_get_the_same_numbers() {
    let all = vec![
        contender("UDP volley", Control::Cubic, &[2_500]),
        contender("TCP bbr", Control::Bbr, &[90_000]),
    ];
    let value = json::value(&comparison(0.01, all));
    assert_eq!(value["contenders"][1]["runs"][0]["goodput_bits_per_second"], 90 * MBIT);
    assert_eq!(value["contenders"][0]["runs"][0]["ended"], "cut off");
    assert_eq!(value["link"]["out"]["loss"], 0.01);
    assert_eq!(value["verdict"].as_array().map(Vec::len), Some(3));
}
