//! What must hold for every diagram, and one diagram letter by letter.

use super::layout::{Layout, WIDTH};
use super::parts::Area;
use super::*;
use proptest::prelude::*;

fn at(ms: f64) -> Instant {
    Instant::ZERO + Duration::from_secs_f64(ms / 1000.0)
}

/// A window of six over 25 ms each way: packets 2 and 7 are lost, the second by the queue; an ACK arrives damaged.
fn sample() -> Ladder {
    let mut ladder = Ladder {
        title: "Selective repeat, 2 of 12 packets lost & one \"ACK\" damaged <seed 7>".to_owned(),
        ..Ladder::default()
    };
    let mut data = |number: u32, ms: f64, cause: Option<&str>| {
        let first = if number < 10 { number } else { [2, 7][number as usize - 10] } * 1180;
        ladder.flights.push(Flight {
            from: Side::Sender,
            sent_at: at(ms),
            arrival: match cause {
                Some(cause) => Arrival::Lost { cause: cause.to_owned() },
                None => Arrival::At(at(ms + 25.1)),
            },
            kind: Kind::Data,
            label: format!("{number}  bytes {first}-{}", first + 1179),
            is_again: number >= 10,
        });
    };
    for number in 0..6 {
        data(number, 0.1 * f64::from(number), (number == 2).then_some("by chance"));
    }
    for (number, ms) in [(6, 50.1), (7, 50.2), (8, 50.4), (9, 50.5)] {
        data(number, ms, (number == 7).then_some("in the queue"));
    }
    data(10, 50.4, None);
    data(11, 180.0, None);
    let acks = [
        ("ACK 0", 25.1),
        ("ACK 0-1", 25.2),
        ("ACK 0-1, 3", 25.4),
        ("ACK 0-1, 3-4", 25.5),
        ("ACK 0-1, 3-5", 25.6),
        ("ACK 0-6", 75.2),
        ("ACK 0-6, 8", 75.5),
        ("ACK 0-6, 8-9", 75.6),
        ("ACK 0-11", 205.1),
    ];
    for (label, ms) in acks {
        let arrives = at(ms + 25.0);
        ladder.flights.push(Flight {
            from: Side::Receiver,
            sent_at: at(ms),
            arrival: match label {
                "ACK 0-6, 8" => Arrival::Damaged(arrives),
                "ACK 0-6" => Arrival::Lost { cause: "by chance".to_owned() },
                _ => Arrival::At(arrives),
            },
            kind: Kind::Ack,
            label: label.to_owned(),
            is_again: false,
        });
    }
    for (ms, text) in [
        (50.4, "3 is acknowledged and 2 is not: 2 is presumed lost, its bytes go out again"),
        (180.0, "the timer fires: nothing heard for 80 ms"),
    ] {
        ladder.marks.push(Mark { side: Side::Sender, at: at(ms), text: text.to_owned() });
    }
    ladder
}

#[test]
fn a_ladder_is_drawn_letter_by_letter_as_expected() {
    let expected = include_str!("tests/sample.txt");
    let drawn = sample().text(80).to_string();
    assert!(drawn == expected, "drawn:\n{drawn}\nexpected:\n{expected}");
}

#[test]
fn the_steps_put_together_are_the_diagram() {
    let drawing = sample().text(100);
    assert_eq!(drawing.steps.len(), 2 * 21 + 2);
    assert!(drawing.steps.is_sorted_by_key(|step| step.at));
    assert!(drawing.steps.iter().all(|step| !step.lines.is_empty()));
    assert_eq!(drawing.steps[0].lines.len(), 1);
}

#[test]
fn the_beginning_of_a_ladder_ends_when_its_last_packet_has_arrived() {
    let first = sample().first(6);
    let data = first.flights.iter().filter(|flight| flight.kind == Kind::Data);
    let names: Vec<String> = data.map(Flight::short_label).collect();
    assert_eq!(names, ["0", "1", "2", "3", "4", "5"]);
    let acks = first.flights.iter().filter(|flight| flight.kind == Kind::Ack);
    assert_eq!(acks.count(), 5);
    assert!(first.marks.is_empty());
    assert!(first.title.ends_with("(the first 6 data packets)"), "{}", first.title);
    assert_eq!(sample().first(12), sample());
    assert!(sample().first(0).flights.is_empty());
    // Two data packets are sent at 50.4 ms: the list's order decides.
    let labels: Vec<String> = sample().first(9).flights.iter().map(Flight::short_label).collect();
    assert!(labels.contains(&"8".to_owned()) && !labels.contains(&"10".to_owned()));
}

#[test]
fn packets_of_one_moment_have_arrows_of_their_own() {
    let flights = (0..10).map(|number| Flight {
        from: Side::Sender,
        sent_at: Instant::ZERO,
        arrival: Arrival::At(at(20.0)),
        kind: Kind::Data,
        label: format!("{number}  bytes"),
        is_again: false,
    });
    let ladder = Ladder { flights: flights.collect(), ..Ladder::default() };
    let arrows = Layout::of(&ladder).arrows;
    for pair in arrows.windows(2) {
        assert!(pair[1].from.y - pair[0].from.y >= 20.0, "{pair:?}");
        assert!(pair[1].to.y - pair[0].to.y >= 8.0, "{pair:?}");
    }
}

#[test]
fn a_long_wait_is_cut_and_the_cut_is_marked() {
    let layout = Layout::of(&sample());
    assert_eq!(layout.breaks.len(), 1, "the wait for the timer");
    assert!(sample().svg().contains("waiting is cut"));
}

#[test]
fn the_picture_says_what_is_lost_again_and_damaged_without_colour() {
    let svg = sample().svg();
    let document = roxmltree::Document::parse(&svg).expect("the picture is well-formed");
    let texts = document.descendants().filter(|node| node.has_tag_name("text"));
    let texts: Vec<&str> = texts.filter_map(|node| node.text()).collect();
    assert!(texts.contains(&sample().title.as_str()), "{texts:?}");
    for wanted in
        ["in the queue", "11  bytes 8260-9439, again", "ACK 0-6, 8 damaged", "data sent again"]
    {
        assert!(texts.contains(&wanted), "no {wanted} in {texts:?}");
    }
    let dashed = document.descendants().filter(|node| node.has_attribute("stroke-dasharray"));
    assert_eq!(dashed.count(), 3, "two retransmissions and the legend's");
}

#[test]
fn areas_with_an_edge_in_common_do_not_meet() {
    let area = |top| Area { left: 0.0, top, width: 9.0, height: 21.0 };
    assert!(!area(995.0679317646201).meets(&area(1016.06793176462)));
    assert!(area(995.0).meets(&area(1015.0)));
}

fn any_moment() -> impl Strategy<Value = Instant> {
    prop_oneof![0..5_u64, 0..300_000_000_u64, any::<u64>()].prop_map(Instant::from_nanos)
}

fn any_words() -> impl Strategy<Value = String> {
    prop_oneof!["[ -~]{0,40}", "[a-z]{1,9}( [a-z]{1,9}){0,12}", any::<String>()]
}

fn any_flight() -> impl Strategy<Value = Flight> {
    let arrival = prop_oneof![
        4 => any_moment().prop_map(Arrival::At),
        1 => any_moment().prop_map(Arrival::Damaged),
        2 => any_words().prop_map(|cause| Arrival::Lost { cause }),
    ];
    let kind = prop_oneof![Just(Kind::Data), Just(Kind::Ack), Just(Kind::Control)];
    let side = prop_oneof![Just(Side::Sender), Just(Side::Receiver)];
    (side, any_moment(), arrival, kind, any_words(), any::<bool>()).prop_map(
        |(from, sent_at, arrival, kind, label, is_again)| Flight {
            from,
            sent_at,
            arrival,
            kind,
            label,
            is_again,
        },
    )
}

fn any_ladder() -> impl Strategy<Value = Ladder> {
    let side = prop_oneof![Just(Side::Sender), Just(Side::Receiver)];
    let mark = (side, any_moment(), any_words());
    let mark = mark.prop_map(|(side, at, text)| Mark { side, at, text });
    let flights = proptest::collection::vec(any_flight(), 0..20);
    (any_words(), flights, proptest::collection::vec(mark, 0..4))
        .prop_map(|(title, flights, marks)| Ladder { title, flights, marks })
}

/// The same with a label on each flight by which it can be found.
fn numbered(mut ladder: Ladder) -> Ladder {
    for (number, flight) in ladder.flights.iter_mut().enumerate() {
        flight.label = format!("#{number}#  x");
        if let Arrival::Lost { cause } = &mut flight.arrival {
            "by chance".clone_into(cause);
        }
    }
    ladder.marks.clear();
    ladder
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_line_is_wider_than_the_terminal(ladder in any_ladder(), width in 0_usize..130) {
        let drawing = ladder.text(width);
        prop_assert!(drawing.steps.is_sorted_by_key(|step| step.at));
        for line in drawing.to_string().lines() {
            prop_assert!(line.chars().count() <= width.max(40), "{line}");
            prop_assert!(!line.contains(char::is_control), "{line}");
        }
    }

    #[test]
    fn every_flight_is_shown_once_where_it_begins_and_once_where_it_arrives(
        ladder in any_ladder().prop_map(numbered),
    ) {
        let steps = ladder.text(120).steps;
        for (number, flight) in ladder.flights.iter().enumerate() {
            let shown = |wanted: &str| {
                let lines = steps.iter().filter(|step| step.lines.iter().any(|l| l.contains(wanted)));
                lines.map(|step| step.at).collect::<Vec<_>>()
            };
            let name = format!("#{number}#");
            let ends: Vec<Instant> = flight.arrived_at().into_iter().collect();
            let ends = ends.into_iter().map(|end| end.max(flight.sent_at));
            let expected: Vec<Instant> = [flight.sent_at].into_iter().chain(ends).collect();
            prop_assert_eq!(shown(&name), expected);
            prop_assert_eq!(shown(&format!("{name}  x")), [flight.sent_at]);
        }
    }

    #[test]
    fn no_label_of_the_picture_touches_another_or_the_edge(ladder in any_ladder()) {
        let layout = Layout::of(&ladder);
        for (number, label) in layout.labels.iter().enumerate() {
            let area = label.area;
            prop_assert!(area.left >= 0.0 && area.left + area.width <= WIDTH, "{label:?}");
            prop_assert!(area.top >= 0.0 && area.bottom() <= layout.height, "{label:?}");
            for other in &layout.labels[..number] {
                prop_assert!(!area.meets(&other.area), "{label:?} {other:?}");
            }
        }
        prop_assert_eq!(layout.arrows.len(), ladder.flights.len());
        prop_assert!(roxmltree::Document::parse(&ladder.svg()).is_ok());
    }

    #[test]
    fn the_picture_keeps_the_order_of_times(ladder in any_ladder()) {
        let layout = Layout::of(&ladder);
        let mut ends: Vec<(Instant, f64)> = Vec::new();
        for (flight, arrow) in ladder.flights.iter().zip(&layout.arrows) {
            ends.push((flight.sent_at, arrow.from.y));
            if let Some(end) = flight.arrived_at() {
                ends.push((end.max(flight.sent_at), arrow.to.y));
            }
        }
        ends.sort_by(|one, other| one.1.total_cmp(&other.1));
        prop_assert!(ends.is_sorted_by_key(|(at, _)| *at), "{ends:?}");
    }
}
