//! The datagram's outside, what opens a connection, and the frames inside.

use super::input::Input;
use super::peer::{crc_sealed, packet};
use std::ops::Range;
use volley::base::time::{Duration, Instant};
use volley::transport::handshake::{Acceptor, Answer, Duty, HALF_OPEN_QUIET, Load, initiators_id};
use volley::wire::cursor::{Reader, put_short_string, put_varint, varint_len};
use volley::wire::frame::{Frame, read_frame};
use volley::wire::handshake::{
    COOKIE_MAX, HELLO_LEN, Hello, REASON_MAX, Welcome, put_refuse, put_versions, read_refuse,
    read_versions,
};
use volley::wire::header::{
    HEADER_LEN, Header, PacketType, full_packet_number, low_bits, peek_connection_id,
};
use volley::wire::protection::{self, CRC_LEN};

/// Integers of variable length, and strings behind their length.
pub(crate) fn varints(bytes: &[u8]) {
    let mut reader = Reader::new(bytes, "varint");
    while let Ok(value) = reader.varint() {
        let mut again = Vec::new();
        put_varint(&mut again, value);
        assert_eq!(again.len(), varint_len(value));
        assert_eq!(Reader::new(&again, "varint").varint(), Ok(value));
    }
    let mut reader = Reader::new(bytes, "string");
    while let Ok(string) = reader.short_string(200) {
        let mut again = Vec::new();
        put_short_string(&mut again, string);
        assert_eq!(Reader::new(&again, "string").short_string(200), Ok(string));
    }
}

/// Header and trailer: of these bytes, and of the same bytes with the right checksum.
pub(crate) fn datagram(bytes: &[u8]) {
    if let Ok(header) = Header::read(bytes) {
        let mut again = [0; HEADER_LEN];
        header.write(&mut again);
        assert_eq!(again, bytes[..HEADER_LEN]);
        assert_eq!(peek_connection_id(bytes), Some(header.connection_id));
        let expected = header.offset;
        let number = full_packet_number(expected, header.packet_number);
        assert_eq!(low_bits(number), header.packet_number);
        assert!(number.abs_diff(expected) <= 1 << 31 || expected < 1 << 32, "{expected} {number}");
    }
    let contents = protection::open(bytes);
    assert!(contents.is_none_or(|contents| contents.len() + HEADER_LEN + CRC_LEN == bytes.len()));
    if bytes.len() >= HEADER_LEN {
        let sealed = crc_sealed(bytes.to_vec());
        assert_eq!(protection::open(&sealed), Some(&bytes[HEADER_LEN..]));
    }
}

/// HELLO, its answers, and what a listener makes of it. The first byte says which.
pub(crate) fn handshake(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    match input.u8() % 5 {
        0 => hello(input.rest()),
        1 => welcome(input.rest()),
        2 => {
            let mut reader = Reader::new(input.rest(), "VERSIONS");
            if let Ok(versions) = read_versions(&mut reader) {
                let mut again = Vec::new();
                put_versions(&mut again, &versions);
                assert_eq!(read_versions(&mut Reader::new(&again, "VERSIONS")), Ok(versions));
            }
        }
        3 => {
            if let Ok((code, reason)) = read_refuse(input.rest())
                // What is not UTF-8 grows when it is replaced.
                && reason.len() <= REASON_MAX
            {
                let mut again = Vec::new();
                put_refuse(&mut again, code, &reason);
                assert_eq!(read_refuse(&again), Ok((code, reason)));
            }
        }
        _ => listener(&mut input),
    }
}

fn hello(bytes: &[u8]) {
    let Ok(hello) = Hello::read(bytes) else {
        return;
    };
    assert!(hello.cookie.len() <= COOKIE_MAX);
    let invariant = (hello.connection_id, hello.versions.clone());
    assert_eq!(Hello::read_invariant(bytes), Ok(invariant));
    let mut again = Vec::new();
    hello.put(&mut again);
    assert_eq!(Hello::read(&again), Ok(hello));
}

fn welcome(bytes: &[u8]) {
    if let Ok(welcome) = Welcome::read(bytes) {
        let mut again = Vec::new();
        welcome.put(&mut again);
        assert_eq!(Welcome::read(&again), Ok(welcome));
    }
}

/// A listener's answer costs it no more bytes than it got, and a cookie that it gave out lets in.
fn listener(input: &mut Input<'_>) {
    let flags = input.u8();
    let busy = if flags & 1 == 1 { HALF_OPEN_QUIET } else { 0 };
    let load = Load { half_open: busy, is_full: flags & 2 != 0 };
    let kind = if flags & 4 == 4 { PacketType::Welcome } else { PacketType::Hello };
    let mut body = input.rest().to_vec();
    if flags & 8 == 0 {
        body.resize(HELLO_LEN - HEADER_LEN - CRC_LEN, 0);
    }
    let duty = if flags & 16 == 0 { Duty::Receive } else { Duty::Share };
    let datagram = packet(kind, 0, 0, &body);
    let mut acceptor = Acceptor::new(duty, [7; 32]);
    let answer = acceptor.on_hello(Instant::ZERO, b"peer", &datagram, load);
    match answer {
        Answer::Ignore => {}
        Answer::Accept { hello, .. } => {
            assert_eq!(initiators_id(&datagram), Some(hello.connection_id));
            assert!(flags & 7 == 0, "a listener under load asks for a cookie first");
        }
        Answer::Reply(reply) => {
            assert!(reply.len() <= datagram.len(), "no amplification");
            let header = Header::read(&reply).expect("its own packet");
            let contents = protection::open(&reply).expect("its own packet");
            if header.kind == PacketType::Retry {
                let cookie = Reader::new(contents, "RETRY").short_string(COOKIE_MAX);
                let cookie = cookie.expect("a cookie").to_vec();
                return_cookie(&mut acceptor, &body, cookie, load);
            }
        }
    }
}

fn return_cookie(acceptor: &mut Acceptor, body: &[u8], cookie: Vec<u8>, load: Load) {
    let hello = Hello { cookie, ..Hello::read(body).expect("it was asked for a cookie") };
    let mut body = Vec::new();
    hello.put(&mut body);
    body.resize(HELLO_LEN - HEADER_LEN - CRC_LEN, 0);
    let later = Instant::ZERO + Duration::from_secs(1);
    let again = packet(PacketType::Hello, 1, 0, &body);
    let answer = acceptor.on_hello(later, b"peer", &again, load);
    assert!(matches!(answer, Answer::Accept { is_proven: true, .. }), "{answer:?}");
}

/// The contents of a CONTROL packet.
pub(crate) fn frames(bytes: &[u8]) {
    let mut reader = Reader::new(bytes, "frame");
    while let Ok(Some(frame)) = read_frame(&mut reader) {
        match &frame {
            Frame::Ack(ack) => expect_apart(ack.ranges.iter().rev(), ack.largest() + 1),
            Frame::Have(have) => expect_apart(have.missing.iter(), have.upper),
            _ => {}
        }
        let mut again = Vec::new();
        frame.put(&mut again);
        let mut reader = Reader::new(&again, "frame");
        assert_eq!(read_frame(&mut reader), Ok(Some(frame)));
        assert!(reader.is_empty());
    }
}

/// Ascending, not empty, not adjacent, and none reaches beyond `end`.
fn expect_apart<'a>(ranges: impl Iterator<Item = &'a Range<u64>>, end: u64) {
    let mut least = 0;
    for range in ranges {
        assert!(least <= range.start && range.start < range.end && range.end <= end, "{range:?}");
        least = range.end + 1;
    }
}
