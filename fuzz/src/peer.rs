//! A peer that breaks every rule but one: its packets arrive whole.

use super::input::Input;
use volley::base::ecn::Ecn;
use volley::base::time::{Duration, Instant};
use volley::transfer::entry::{Attributes, Entry, Kind, SourceId};
use volley::transfer::hash::{Hash, group_count, group_range, group_value};
use volley::transfer::holes::{BLOCK, HOLES_MAX, Holes};
use volley::transfer::message::Message;
use volley::transfer::outcome::Reason;
use volley::transport::PathId;
use volley::transport::arq::{ArqConfig, Strategy};
use volley::transport::batch::Batch;
use volley::transport::config::Config;
use volley::transport::config::CongestionChoice;
use volley::wire::cursor::Reader;
use volley::wire::frame::{Ack, Frame, Have, Marks, read_frame};
use volley::wire::handshake::{Parameters, VERSION, Welcome};
use volley::wire::header::{
    ConnectionId, HEADER_LEN, Header, OFFSET_END, PacketType, full_packet_number,
};
use volley::wire::protection::{self, CRC_LEN};

/// File bytes that one run sends, at most: enough for groups of the hash, and soon done.
const DATA_MAX: usize = 3 << 20;

/// Kinds of messages from this number on came later.
const LATER: u8 = 228;

/// Trains that a side may send at one moment.
const TRAINS_MAX: usize = 1 << 12;

/// Deadlines that pass before a side has given up on a silent peer.
const DEADLINES_MAX: usize = 1 << 14;

/// One side of a connection, with its owner.
pub(crate) trait Side {
    fn handle_datagram(&mut self, now: Instant, path: PathId, ecn: Ecn, datagram: &[u8]);

    /// Where the peer is, and where it may be.
    fn paths(&self) -> [PathId; 2];
    fn handle_timeout(&mut self, now: Instant);
    fn poll_timeout(&self) -> Option<Instant>;
    /// The next train, sealed.
    fn poll_transmit(&mut self, now: Instant, batch: &mut Batch) -> bool;
    /// The owner does something.
    fn act(&mut self, now: Instant, input: &mut Input<'_>);
    /// What the owner does at every turn. Fails where something grew beyond its bound.
    fn turn(&mut self, now: Instant);
    /// Whether nothing more will happen.
    fn is_over(&self) -> bool;
}

/// The packet, with its checksum.
pub(crate) fn packet(kind: PacketType, packet_number: u32, offset: u64, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; HEADER_LEN];
    let connection_id = ConnectionId(1);
    Header { kind, connection_id, packet_number, offset }.write(&mut bytes);
    bytes.extend_from_slice(body);
    crc_sealed(bytes)
}

/// The bytes with their checksum behind them.
pub(crate) fn crc_sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.extend_from_slice(&[0; CRC_LEN]);
    protection::seal(&mut bytes);
    bytes
}

/// What the side under test is configured with.
pub(crate) fn config(flags: u8) -> Config {
    let rate = "50Mbit".parse().expect("a rate");
    Config {
        arq: ArqConfig { strategy: strategy(flags >> 5), ..ArqConfig::default() },
        congestion: match (flags & 1, flags & 6) {
            (0, 0) => CongestionChoice::Cubic,
            (0, 2) => CongestionChoice::Bbr,
            (0, _) => CongestionChoice::Ebb,
            _ => CongestionChoice::Fixed(rate),
        },
        known_path: None,
        max_rate: (flags & 6 == 6).then_some(rate),
        max_datagram: if flags & 2 == 0 { 1472 } else { 9000 },
        socket_buffer: if flags & 4 == 0 { 4 << 20 } else { 0 },
        max_train: if flags & 8 == 0 { 44 } else { 1 },
        trace: flags & 16 != 0,
        path: PathId::default(),
        secret: [0; 32],
    }
}

fn strategy(bits: u8) -> Strategy {
    match bits & 3 {
        0 => Strategy::Volley,
        1 => Strategy::StopAndWait,
        2 => Strategy::GoBackN,
        _ => Strategy::SelectiveRepeat,
    }
}

/// What the peer says of itself.
pub(crate) fn parameters(input: &mut Input<'_>) -> Parameters {
    let max_datagram = input.u16().max(1200);
    let [_, low] = max_datagram.to_be_bytes();
    Parameters {
        strategy: strategy(low),
        max_datagram,
        max_ack_delay: Duration::from_micros(input.u32().min(1_000_000).into()),
        socket_buffer: input.u32().into(),
        max_rate: None,
    }
}

/// Of a file of odd size: every third block but for the first ones, and the last one where that is so.
fn holes(size: u64) -> impl Iterator<Item = std::ops::Range<u64>> {
    let count = size % HOLES_MAX as u64;
    let starts = (0..count).map(|at| (3 * at + 1) * BLOCK).take_while(move |start| *start < size);
    starts.map(move |start| start..size.min(start + BLOCK))
}

/// A file; where its path ends with a slash a directory, where it says `>` a link.
fn entry(size: u64, path: &str) -> Entry {
    let attributes = Attributes { mode: 0o640, seconds: size.cast_signed(), nanoseconds: 7 };
    let (path, kind) = match (path.strip_suffix('/'), path.split_once('>')) {
        (Some(directory), _) => (directory, Kind::Directory { attributes }),
        (None, Some((link, target))) => (link, Kind::Link { target: target.into() }),
        (None, None) => {
            let source = Kind::is_identified(size).then_some(SourceId([9; 16]));
            let holes = (size % 2 == 1).then(|| Holes::new(size, holes(size)).expect("in order"));
            (path, Kind::File { size, holes, attributes, source })
        }
    };
    Entry { path: path.into(), kind }
}

pub(crate) struct Peer {
    now: Instant,
    /// The number of the next packet.
    number: u32,
    /// Bytes of the control stream said in order.
    said: u64,
    /// Bytes of the transfer space sent in order.
    data: u64,
    data_left: usize,
    /// One more than the largest packet number received.
    seen: u64,
    /// Of the packets received.
    marks: Marks,
    /// Sizes of the files.
    sizes: Vec<u64>,
    last: Vec<u8>,
    /// Where its packets come from.
    path: PathId,
    /// What it was challenged with last.
    challenge: Option<[u8; 8]>,
}

impl Peer {
    /// A peer that knows of files of these sizes.
    pub(crate) fn new(sizes: &[u64]) -> Self {
        Self {
            now: Instant::ZERO,
            number: 0,
            said: 0,
            data: 0,
            data_left: DATA_MAX,
            seen: 0,
            marks: Marks::default(),
            sizes: sizes.to_vec(),
            last: Vec::new(),
            path: PathId::default(),
            challenge: None,
        }
    }

    /// Does to `side` whatever the bytes say, then falls silent until it gives up.
    pub(crate) fn torment(&mut self, side: &mut impl Side, input: &mut Input<'_>) {
        self.turn(side);
        while !input.is_empty() {
            self.step(side, input);
            self.turn(side);
        }
        for _ in 0..DEADLINES_MAX {
            if side.is_over() {
                return;
            }
            let deadline = side.poll_timeout().expect("who waits has a deadline");
            self.now = self.now.max(deadline);
            self.turn(side);
        }
        panic!("it does not give up");
    }

    /// Everything that is due on the side.
    fn turn(&mut self, side: &mut impl Side) {
        if side.poll_timeout().is_some_and(|deadline| deadline <= self.now) {
            side.handle_timeout(self.now);
        }
        side.turn(self.now);
        let mut batch = Batch::default();
        let mut trains = 0;
        while side.poll_transmit(self.now, &mut batch) {
            assert!(side.paths().contains(&batch.path()), "nobody is there");
            batch.datagrams().for_each(|datagram| {
                self.marks.count(batch.ecn());
                self.receive(datagram);
            });
            trains += 1;
            assert!(trains < TRAINS_MAX, "it does not stop sending");
        }
        let deadline = side.poll_timeout();
        assert!(deadline.is_none_or(|at| at > self.now), "it never sleeps: {deadline:?}");
    }

    fn receive(&mut self, datagram: &[u8]) {
        let header = Header::read(datagram).expect("its own packet");
        let contents = protection::open(datagram).expect("its own packet");
        if matches!(header.kind, PacketType::Control | PacketType::Data) {
            self.seen = self.seen.max(full_packet_number(self.seen, header.packet_number) + 1);
        }
        if header.kind == PacketType::Control {
            let frame = read_frame(&mut Reader::new(contents, "frame"));
            if let Frame::PathChallenge(challenge) = frame.expect("its own").expect("no padding") {
                self.challenge = Some(challenge);
            }
        }
    }

    fn step(&mut self, side: &mut impl Side, input: &mut Input<'_>) {
        let what = input.u8();
        // Of every four packets' numbers, one may jump and one lie.
        if what & 0xc0 == 0x80 {
            self.number = self.number.wrapping_add(input.u16().into());
        }
        let lie = (what & 0xc0 == 0xc0).then(|| input.u32());
        // Of every four, one comes from another port and one from another host.
        self.path = match what & 0x30 {
            0x10 => PathId { host: 0, port: 1 },
            0x20 => PathId { host: 1, port: 0 },
            _ => PathId::default(),
        };
        let honest = self.number;
        self.number = lie.unwrap_or(honest);
        match what & 0x0f {
            0 => {
                let shift = input.u8() % 16;
                self.now += Duration::from_micros(u64::from(input.u16()) << shift);
            }
            1 => side.act(self.now, input),
            2 => self.send_data(side, input),
            3 => {
                let datagram = input.short().to_vec();
                side.handle_datagram(self.now, self.path, Ecn::NotEct, &datagram);
            }
            4 => side.handle_datagram(self.now, self.path, Ecn::Ce, &self.last.clone()),
            5 => {
                let (kind, offset) = (kind(input.u8()), input.u64() % OFFSET_END);
                self.send(side, kind, offset, input.short());
            }
            _ => {
                let contents = self.contents(what & 0x0f, input);
                self.send(side, PacketType::Control, 0, &contents);
            }
        }
        if lie.is_some() {
            self.number = honest;
        }
    }

    /// Frames.
    fn contents(&mut self, what: u8, input: &mut Input<'_>) -> Vec<u8> {
        let mut contents = Vec::new();
        match what {
            6 => contents.extend_from_slice(input.short()),
            7 => {
                let frames = input.short();
                let most = 1_400usize.checked_div(frames.len()).unwrap_or(0);
                contents = frames.repeat(most.min(usize::from(input.u8()) + 1));
            }
            8 => self.say(input.short(), &mut contents),
            9 | 10 => {
                let mut message = Vec::new();
                self.message(input).put(&mut message);
                self.say(&message, &mut contents);
            }
            11 => Frame::Credit { limit: input.u32().into() }.put(&mut contents),
            12 => Frame::Have(have(input)).put(&mut contents),
            13 => {
                Frame::Ping.put(&mut contents);
                self.challenge.into_iter().for_each(|data| {
                    Frame::PathResponse(data).put(&mut contents);
                });
            }
            14 if self.seen > 0 => self.ack(self.seen, 0).put(&mut contents),
            15 if self.seen > 0 => {
                let back = u64::from(input.u8());
                self.ack(self.seen.saturating_sub(back).max(1), input.u16()).put(&mut contents);
            }
            _ => {}
        }
        contents
    }

    fn send(&mut self, side: &mut impl Side, kind: PacketType, offset: u64, body: &[u8]) {
        self.last = packet(kind, self.number, offset, body);
        let [.., ecn] = self.number.to_be_bytes();
        self.number = self.number.wrapping_add(1);
        side.handle_datagram(self.now, self.path, Ecn::from_bits(ecn), &self.last);
    }

    /// Zeros, which are what the files hold, or ones: in order, or anywhere.
    fn send_data(&mut self, side: &mut impl Side, input: &mut Input<'_>) {
        let how = input.u8();
        let byte = how >> 5 & 1;
        let count = if how & 1 == 0 { 1 } else { usize::from(input.u8()) + 1 };
        let len = match how & 2 {
            0 => 1_180,
            _ => usize::from(input.u16()) % 1_500,
        };
        let mut offset = match how & 12 {
            0 | 4 => self.data,
            8 => input.u32().into(),
            _ => input.u64() % OFFSET_END,
        };
        let stride = if how & 16 == 0 { len as u64 } else { 2 * len as u64 };
        for _ in 0..count {
            if self.data_left < len || offset >= OFFSET_END {
                return;
            }
            self.data_left -= len;
            self.send(side, PacketType::Data, offset, &vec![byte; len]);
            offset += stride;
            if how & 8 == 0 {
                self.data = offset;
            }
            self.turn(side);
        }
    }

    /// The next piece of the control stream.
    fn say(&mut self, bytes: &[u8], contents: &mut Vec<u8>) {
        Frame::Stream { offset: self.said, data: bytes }.put(contents);
        self.said += bytes.len() as u64;
    }

    /// Any message, with the hashes of files full of zeros.
    fn message(&mut self, input: &mut Input<'_>) -> Message {
        let (kind, number) = (input.u8(), input.u8());
        // What came later has the highest numbers, so that older inputs mean what they did.
        let kind = if kind < LATER { kind % 12 } else { 12 + (kind - LATER) % 7 };
        let index = u32::from(number);
        let size = self.sizes.get(usize::from(number)).copied().unwrap_or(0);
        let text = || "because".to_owned();
        match kind {
            0..3 => {
                // Mostly what is sent, or a little around it.
                let size = match kind {
                    0 => number.into(),
                    1 => input.u32().into(),
                    _ => 1_180 * u64::from(input.u16()),
                };
                let entry = entry(size, &String::from_utf8_lossy(input.short()));
                self.sizes.push(entry.kind.size());
                Message::Offer(entry)
            }
            3 => Message::OfferEnd,
            4 => Message::Root { index, hash: zeros_hash(size) },
            5 => {
                let zeros = zeros(size);
                let value = |group| {
                    let range = group_range(group, zeros.len() as u64);
                    let len = usize::try_from(range.end - range.start).expect("a group");
                    group_value(group, &zeros[..len], zeros.len() as u64)
                };
                let values = (0..group_count(zeros.len() as u64)).map(value).collect();
                Message::Groups { index, first: 0, values }
            }
            6 => Message::Failed { index, reason: Reason::Source, text: text() },
            7 => Message::Accept { below: index },
            8 => Message::Committed { index, hash: zeros_hash(size) },
            9 => Message::Plan,
            10 => Message::Would { index, replaces: number & 1 == 0, there: size / 2 },
            12 => {
                let first = u64::from(input.u8() % 4);
                Message::Kept { index, first, values: vec![zeros_hash(size)] }
            }
            13 => Message::Prove { index },
            14 => Message::Same { index, hash: zeros_hash(size) },
            15 => Message::Left { index },
            16 => Message::Renamed { index, path: String::from_utf8_lossy(input.short()).into() },
            17 => {
                let name = String::from_utf8_lossy(input.short()).into();
                Message::Lacking { name, reason: Reason::Source, text: text() }
            }
            18 => Message::Finished,
            _ => {
                let reason = Reason::from_code(input.u8().into());
                Message::Reject { index, reason, text: text() }
            }
        }
    }

    /// Acknowledges below `end`: all, or what the bits of `pattern` leave of every sixteen; as many of what
    /// was marked met congestion.
    fn ack(&self, end: u64, pattern: u16) -> Frame<'static> {
        let mut ranges = vec![end - 1..end];
        for number in (end.saturating_sub(1 << 12)..end - 1).rev() {
            let last = ranges.last_mut().expect("never empty");
            match pattern >> (number % 16) & 1 {
                0 if last.start == number + 1 => last.start = number,
                0 => ranges.push(number..number + 1),
                _ => {}
            }
            if ranges.len() > 200 {
                break;
            }
        }
        let (delay, ce) = (Duration::from_micros(pattern.into()), pattern.count_ones().into());
        let marks = Marks { ect0: self.marks.ect0.saturating_sub(ce), ect1: 0, ce };
        Frame::Ack(Ack { delay, duplicates: 0, marks, ranges })
    }

    /// Answers a HELLO.
    pub(crate) fn welcome(&mut self, side: &mut impl Side, parameters: Parameters) {
        let welcome = Welcome { connection_id: ConnectionId(2), version: VERSION, parameters };
        let mut body = Vec::new();
        welcome.put(&mut body);
        self.turn(side);
        let welcome = packet(PacketType::Welcome, 0, 0, &body);
        side.handle_datagram(self.now, self.path, Ecn::NotEct, &welcome);
    }
}

fn have(input: &mut Input<'_>) -> Have {
    let (written, count) = (u64::from(input.u32()), input.u8() % 64);
    let mut missing = Vec::new();
    let mut end = 0;
    for _ in 0..count {
        let start = end + u64::from(input.u16()) + 1;
        end = start + u64::from(input.u16()) + 1;
        missing.push(start..end);
    }
    Have { written, upper: end + u64::from(input.u16()), missing }
}

fn kind(byte: u8) -> PacketType {
    use PacketType::{Control, Data, Hello, Refuse, Retry, Versions, Welcome};
    [Control, Data, Hello, Refuse, Retry, Versions, Welcome][usize::from(byte) % 7]
}

fn zeros(size: u64) -> Vec<u8> {
    vec![0; usize::try_from(size).unwrap_or(0).min(DATA_MAX)]
}

fn zeros_hash(size: u64) -> Hash {
    Hash::of(&zeros(size))
}
