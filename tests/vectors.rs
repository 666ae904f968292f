//! The test vectors of PROTOCOL.md: what the page shows is what this program writes.

use std::fmt::Write;
use std::time::Duration;
use volley::transfer::entry::{Attributes, Entry, Kind, SourceId};
use volley::transfer::hash::{GROUP, Groups, group_count, group_range, group_value};
use volley::transfer::holes::{BLOCK, Holes};
use volley::transfer::message::Message;
use volley::wire::frame::{Ack, Frame, Marks};
use volley::wire::handshake::{Hello, Parameters, Role, Strategy, Suite, VERSION, Welcome};
use volley::wire::header::{ConnectionId, HEADER_LEN, Header, PacketType};
use volley::wire::protection::{self, CRC_LEN};

const PAGE: &str = include_str!("../PROTOCOL.md");

const PARAMETERS: Parameters = Parameters {
    max_datagram: 1_472,
    max_ack_delay: Duration::from_millis(5),
    socket_buffer: 1 << 22,
    strategy: Strategy::Volley,
    max_rate: None,
};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("it grows");
        text
    })
}

/// Header, message and CRC of a packet of at least `least` bytes, as the page shows them.
fn packet(kind: PacketType, connection_id: ConnectionId, body: &[u8], least: usize) -> String {
    let mut packet = vec![0; HEADER_LEN];
    Header { kind, connection_id, packet_number: 0, offset: 0 }.write(&mut packet);
    packet.extend_from_slice(body);
    packet.resize(packet.len().max(least - CRC_LEN), 0);
    packet.extend_from_slice(&[0; CRC_LEN]);
    protection::seal(&mut packet);
    let (header, crc) = (&packet[..HEADER_LEN], &packet[packet.len() - CRC_LEN..]);
    format!("{}\n{}\n{}\n", hex(header), hex(body), hex(crc))
}

#[track_caller]
fn expect_shown(shown: &str) {
    assert!(PAGE.contains(shown), "PROTOCOL.md does not show\n{shown}");
}

#[test]
fn a_whole_hello_and_its_welcome() {
    let (ours, theirs) = (ConnectionId(0xc0ff_ee01), ConnectionId(0x0bad_cafe));
    let hello = Hello {
        connection_id: ours,
        versions: vec![VERSION],
        suite: Suite::Open,
        role: Role::Sender,
        parameters: PARAMETERS,
        cookie: Vec::new(),
    };
    let mut body = Vec::new();
    hello.put(&mut body);
    expect_shown(&packet(PacketType::Hello, ConnectionId::NONE, &body, 1_200));
    for max_rate in [None, Some("5Mbit".parse().expect("a rate"))] {
        let mut body = Vec::new();
        let parameters = Parameters { max_rate, ..PARAMETERS };
        Welcome { connection_id: theirs, version: VERSION, parameters }.put(&mut body);
        expect_shown(&packet(PacketType::Welcome, ours, &body, CRC_LEN));
    }
}

#[test]
fn an_acknowledgement_with_marks() {
    let ranges = vec![100..106, 98..99, 90..96];
    let (delay, marks) = (Duration::from_micros(1_250), Marks { ect0: 12, ect1: 0, ce: 2 });
    let mut shown = Vec::new();
    Frame::Ack(Ack { delay, duplicates: 3, marks, ranges }).put(&mut shown);
    let bytes = "0b 4069 44e2 03 02 05 00 00 01 05 | 0c 00 02";
    expect_shown(bytes);
    assert_eq!(hex(&shown), bytes.replace([' ', '|'], ""));
}

#[test]
fn the_values_of_two_groups_and_one_byte_and_their_root() {
    let size = 2 * GROUP + 1;
    let bytes: Vec<u8> = (0..=250).cycle().take(usize::try_from(size).expect("small")).collect();
    let mut groups = Groups::default();
    let mut shown = String::new();
    for group in 0..group_count(size) {
        let range = group_range(group, size);
        let [start, end] = [range.start, range.end].map(|at| usize::try_from(at).expect("small"));
        let value = group_value(group, &bytes[start..end], size);
        groups.put(group, value);
        writeln!(shown, "{}", hex(&value.0)).expect("it grows");
    }
    let root = groups.root(group_count(size)).expect("all are known");
    assert_eq!(root.0, *blake3::hash(&bytes).as_bytes());
    writeln!(shown, "{}", hex(&root.0)).expect("it grows");
    expect_shown(&shown);
}

#[test]
fn an_offer_with_holes() {
    let size = 70 * GROUP + 5;
    let holes = Holes::new(size, [BLOCK..GROUP, 64 * GROUP..size]).expect("in order");
    let attributes = Attributes { mode: 0o644, seconds: 1_000_000_000, nanoseconds: 0 };
    let source = Some(SourceId([7; 16]));
    let kind = Kind::File { size, holes: Some(holes), attributes, source };
    assert_eq!((size, kind.layout().space()), (73_400_325, 66_125_824));
    let mut shown = Vec::new();
    Message::Offer(Entry { path: "h".into(), kind }).put(&mut shown);
    expect_shown(&format!("{}\n", hex(&shown)));
}
