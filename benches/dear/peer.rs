//! A peer that builds its packets itself, and keeps to no rule but that they arrive whole.

use std::net::UdpSocket;
use std::time::{Duration, Instant};
use volley::base::range_set::RangeSet;
use volley::transfer::message::Message;
use volley::wire::cursor::Reader;
use volley::wire::frame::{Ack, Frame, Marks, read_frame};
use volley::wire::handshake::{
    HELLO_LEN, Hello, Parameters, Role, Strategy, Suite, VERSION, Welcome,
};
use volley::wire::header::{ConnectionId, HEADER_LEN, Header, PacketType};
use volley::wire::protection::{self, CRC_LEN};

/// Ranges in the acknowledgements that it sends in earnest.
const RANGES: usize = 30;

pub(crate) struct Peer {
    pub(crate) socket: UdpSocket,
    /// The listener's.
    pub(crate) id: ConnectionId,
    pub(crate) number: u32,
    /// Bytes of its control stream.
    pub(crate) said: u64,
    /// Numbers of packets that came.
    pub(crate) received: RangeSet,
    /// Where the transfer space ends that came.
    pub(crate) reached: u64,
    /// Whether the listener has said anything.
    is_spoken_to: bool,
    /// Whether the listener has ended it.
    pub(crate) is_closed: bool,
    /// Every second packet is not acknowledged.
    pub(crate) loses: bool,
    /// Datagrams and their bytes with headers, sent since the connection began.
    pub(crate) sent: (u64, u64),
}

/// A packet with its checksum, at least `len` bytes long.
pub(crate) fn packet(header: Header, body: &[u8], len: usize) -> Vec<u8> {
    let mut packet = vec![0; HEADER_LEN];
    header.write(&mut packet);
    packet.extend_from_slice(body);
    packet.resize((packet.len() + CRC_LEN).max(len), 0);
    protection::seal(&mut packet);
    packet
}

pub(crate) fn hello(id: u32, role: Role, cookie: Vec<u8>) -> Vec<u8> {
    let parameters = Parameters {
        max_datagram: 1_472,
        max_ack_delay: Duration::from_millis(5),
        socket_buffer: 1 << 20,
        strategy: Strategy::Volley,
        max_rate: None,
    };
    let (connection_id, versions) = (ConnectionId(id), vec![VERSION]);
    let hello = Hello { connection_id, versions, suite: Suite::Open, role, parameters, cookie };
    let mut body = Vec::new();
    hello.put(&mut body);
    let connection_id = ConnectionId::NONE;
    let header = Header { kind: PacketType::Hello, connection_id, packet_number: 0, offset: 0 };
    packet(header, &body, HELLO_LEN)
}

impl Peer {
    /// Calls a listener, as 127.0.0.`host`.
    pub(crate) fn call(address: &str, host: u8, role: Role) -> Self {
        let socket = UdpSocket::bind((std::net::Ipv4Addr::new(127, 0, 0, host), 0));
        let socket = socket.expect("an address of this machine");
        socket.connect(address).expect("an address");
        let mut cookie = Vec::new();
        let id = loop {
            socket.send(&hello(77, role, cookie.clone())).expect("loopback");
            socket.set_read_timeout(Some(Duration::from_secs(1))).expect("not zero");
            let mut bytes = [0; 2_048];
            let Ok(len) = socket.recv(&mut bytes) else { continue };
            let header = Header::read(&bytes[..len]).expect("a packet");
            let body = protection::open(&bytes[..len]).expect("a packet");
            match header.kind {
                PacketType::Welcome => break Welcome::read(body).expect("whole").connection_id,
                PacketType::Retry => cookie = body[1..].to_vec(),
                _ => {}
            }
        };
        socket.set_nonblocking(true).expect("a socket");
        let mut peer = Self {
            socket,
            id,
            number: 0,
            said: 0,
            received: RangeSet::new(),
            reached: 0,
            is_spoken_to: false,
            is_closed: false,
            loses: false,
            sent: (0, 0),
        };
        peer.control(&[Frame::Ping]);
        peer
    }

    pub(crate) fn send(&mut self, kind: PacketType, offset: u64, body: &[u8]) {
        let (connection_id, packet_number) = (self.id, self.number);
        let header = Header { kind, connection_id, packet_number, offset };
        self.number += 1;
        self.send_raw(&packet(header, body, 0));
    }

    /// Sends a datagram; what does not fit into the listener's buffer is lost.
    pub(crate) fn send_raw(&mut self, bytes: &[u8]) {
        let _ = self.socket.send(bytes);
        self.sent.0 += 1;
        self.sent.1 += bytes.len() as u64 + 28;
    }

    pub(crate) fn control(&mut self, frames: &[Frame<'_>]) {
        let mut body = Vec::new();
        frames.iter().for_each(|frame| frame.put(&mut body));
        self.send(PacketType::Control, 0, &body);
    }

    /// Says all that at once.
    pub(crate) fn say(&mut self, messages: &[Message]) {
        let mut data = Vec::new();
        messages.iter().for_each(|message| message.put(&mut data));
        self.say_bytes(&data);
    }

    pub(crate) fn say_bytes(&mut self, data: &[u8]) {
        let offset = self.said;
        self.said += data.len() as u64;
        self.control(&[Frame::Stream { offset, data }]);
    }

    /// Takes in what has come, and acknowledges it.
    pub(crate) fn keep_up(&mut self) {
        if self.hear() {
            self.acknowledge();
        }
    }

    /// Takes in what has come; says whether anything has.
    pub(crate) fn hear(&mut self) -> bool {
        let mut bytes = [0; 65_536];
        let mut has_come = false;
        while let Ok(len) = self.socket.recv(&mut bytes) {
            let Ok(header) = Header::read(&bytes[..len]) else { continue };
            let Some(body) = protection::open(&bytes[..len]) else { continue };
            let number = u64::from(header.packet_number);
            match header.kind {
                PacketType::Data => {
                    self.reached = self.reached.max(header.offset + body.len() as u64);
                }
                PacketType::Control => self.hear_frames(body),
                PacketType::Gone => self.is_closed = true,
                _ => continue,
            }
            if !self.loses || header.kind == PacketType::Control || number % 2 == 0 {
                self.received.insert(number..number + 1);
            }
            has_come = true;
        }
        has_come
    }

    fn hear_frames(&mut self, body: &[u8]) {
        let mut reader = Reader::new(body, "frame");
        while let Ok(Some(frame)) = read_frame(&mut reader) {
            self.is_closed |= matches!(frame, Frame::Close { .. });
            self.is_spoken_to |= matches!(frame, Frame::Stream { .. });
        }
    }

    fn acknowledge(&mut self) {
        let ranges: Vec<_> = self.received.iter_down_from(u64::MAX).take(RANGES).collect();
        if !ranges.is_empty() {
            self.control(&[Frame::Ack(Ack {
                delay: Duration::ZERO,
                duplicates: 0,
                marks: Marks::default(),
                ranges,
            })]);
        }
    }

    /// Waits until something is offered.
    pub(crate) fn wait_for_offer(&mut self) {
        let begun = Instant::now();
        while !self.is_spoken_to {
            assert!(begun.elapsed() < Duration::from_secs(60), "nothing is offered");
            self.keep_up();
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    /// Lets so many bytes come, of what is offered.
    pub(crate) fn fetch(&mut self, bytes: u64) {
        let begun = Instant::now();
        while self.reached < bytes && !self.is_closed {
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "nothing more comes: {}",
                self.reached
            );
            self.keep_up();
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    /// How long an answer takes, if one comes within a second.
    pub(crate) fn round_trip(&mut self) -> Option<Duration> {
        self.keep_up();
        let begun = Instant::now();
        // Two are answered at once.
        self.control(&[Frame::Ping]);
        self.control(&[Frame::Ping]);
        while begun.elapsed() < Duration::from_secs(1) {
            if self.hear() {
                let took = begun.elapsed();
                self.acknowledge();
                return Some(took);
            }
            std::thread::sleep(Duration::from_micros(50));
        }
        None
    }
}
