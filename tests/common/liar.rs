//! A peer that says what a test wants it to say, over either carrier, to any command.

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;
use volley::net::Interrupt;
use volley::net::tcp::record::{Record, RecordReader};
use volley::transfer::message::{Message, MessageReader};
use volley::transport::control_stream::ControlReceiver;
use volley::wire::cursor::Reader;
use volley::wire::frame::{Frame, read_frame};
use volley::wire::handshake::{Hello, Parameters, Role, Strategy, Suite, VERSION, Welcome};
use volley::wire::header::{ConnectionId, HEADER_LEN, Header, PacketType};
use volley::wire::protection::{self, CRC_LEN};

/// Only guards against waiting for ever.
const PATIENCE: Duration = Duration::from_secs(60);

/// One thing that is said: all of it goes in one packet, or in one write.
#[derive(Clone, Debug)]
pub(crate) enum Said {
    /// Bytes of the stream of messages.
    Messages(Vec<u8>),
    /// A frame, or a record, of a type that there is not.
    Nonsense,
    /// The end, with that code.
    Close(u16),
}

/// The messages as bytes.
pub(crate) fn messages(messages: &[Message]) -> Said {
    let mut bytes = Vec::new();
    messages.iter().for_each(|message| message.put(&mut bytes));
    Said::Messages(bytes)
}

/// What waits for somebody to come, or goes there.
pub(crate) enum Liar {
    Udp(Box<UdpLiar>),
    Tcp(TcpLiar),
}

impl Liar {
    /// Calls `address` with a role; waits until it is heard.
    pub(crate) fn call(address: &str, role: Role, is_tcp: bool) -> Self {
        let address: SocketAddr = address.parse().expect("an address");
        if is_tcp {
            let stream = TcpStream::connect(address).expect("it listens");
            let mut liar = TcpLiar::new(stream);
            liar.put(&Record::Hello { versions: vec![VERSION], role });
            let first = liar.reader.next(&mut |_| false).expect("a record");
            assert!(matches!(first, Some(Record::Welcome { .. })), "{first:?}");
            liar.reader.trust();
            return Self::Tcp(liar);
        }
        let mut liar = UdpLiar::new(UdpSocket::bind("127.0.0.1:0").expect("loopback"));
        liar.peer = Some(address);
        let hello = Hello {
            connection_id: LIAR,
            versions: vec![VERSION],
            suite: Suite::Open,
            role,
            parameters: PARAMETERS,
            cookie: Vec::new(),
        };
        let mut body = Vec::new();
        hello.put(&mut body);
        body.resize(1_200 - HEADER_LEN - CRC_LEN, 0);
        liar.send(PacketType::Hello, &body);
        let (header, contents) = liar.next();
        assert_eq!(header.kind, PacketType::Welcome);
        liar.other = Welcome::read(&contents).expect("a WELCOME").connection_id;
        let mut ping = Vec::new();
        Frame::Ping.put(&mut ping);
        liar.number = 0;
        liar.send(PacketType::Control, &ping);
        Self::Udp(Box::new(liar))
    }

    /// Listens; the address, and what answers the one who comes.
    pub(crate) fn listen(is_tcp: bool) -> (String, impl FnOnce() -> Self) {
        let (tcp, udp) = match is_tcp {
            true => (Some(TcpListener::bind("127.0.0.1:0").expect("loopback")), None),
            false => (None, Some(UdpSocket::bind("127.0.0.1:0").expect("loopback"))),
        };
        let address = match (&tcp, &udp) {
            (Some(listener), _) => listener.local_addr(),
            (_, Some(socket)) => socket.local_addr(),
            _ => unreachable!("one of the two"),
        };
        let answer = move || match (tcp, udp) {
            (Some(listener), _) => {
                let mut liar = TcpLiar::new(listener.accept().expect("somebody comes").0);
                let first = liar.reader.next(&mut |_| false).expect("a record");
                assert!(matches!(first, Some(Record::Hello { .. })), "{first:?}");
                liar.put(&Record::Welcome { version: VERSION });
                liar.reader.trust();
                Self::Tcp(liar)
            }
            (_, socket) => Self::Udp(Box::new(UdpLiar::answer(socket.expect("one of the two")))),
        };
        (address.expect("bound").to_string(), answer)
    }

    /// Says all that at once.
    pub(crate) fn say(&mut self, said: &[Said]) {
        match self {
            Self::Udp(liar) => liar.say(said),
            Self::Tcp(liar) => liar.say(said),
        }
    }

    /// Hears messages until one is like that.
    pub(crate) fn hear_until(&mut self, is_last: impl Fn(&Message) -> bool) {
        loop {
            let mut bytes = Vec::new();
            match self {
                Self::Udp(liar) => assert_eq!(liar.hear(&mut bytes), None, "it ends too soon"),
                Self::Tcp(liar) => assert_eq!(liar.hear(&mut bytes), None, "it ends too soon"),
            }
            let reader = match self {
                Self::Udp(liar) => &mut liar.messages,
                Self::Tcp(liar) => &mut liar.messages,
            };
            reader.buffer().extend(bytes);
            while let Some(message) = reader.next_message().expect("it keeps to the protocol") {
                if is_last(&message) {
                    return;
                }
            }
        }
    }

    /// Lets the other side leave without waiting for this one.
    pub(crate) fn leave(mut self) {
        if matches!(self, Self::Tcp(_)) {
            self.wait_for_close();
        }
    }

    /// With which code and words it is left.
    pub(crate) fn wait_for_close(&mut self) -> (u16, String) {
        loop {
            let mut ignored = Vec::new();
            let closed = match self {
                Self::Udp(liar) => liar.hear(&mut ignored),
                Self::Tcp(liar) => liar.hear(&mut ignored),
            };
            if let Some(closed) = closed {
                return closed;
            }
        }
    }
}

/// The id under which it is called.
const LIAR: ConnectionId = ConnectionId(0x11a2);

const PARAMETERS: Parameters = Parameters {
    max_datagram: 1_472,
    max_ack_delay: Duration::from_millis(5),
    socket_buffer: 0,
    strategy: Strategy::Volley,
    max_rate: None,
};

pub(crate) struct UdpLiar {
    socket: UdpSocket,
    peer: Option<SocketAddr>,
    other: ConnectionId,
    number: u32,
    /// Bytes of the control stream said.
    said: u64,
    control: ControlReceiver,
    messages: MessageReader,
}

impl UdpLiar {
    fn new(socket: UdpSocket) -> Self {
        socket.set_read_timeout(Some(PATIENCE)).expect("a socket");
        Self {
            socket,
            peer: None,
            other: ConnectionId::NONE,
            number: 0,
            said: 0,
            control: ControlReceiver::default(),
            messages: MessageReader::default(),
        }
    }

    fn answer(socket: UdpSocket) -> Self {
        let mut liar = Self::new(socket);
        let (header, contents) = liar.next();
        assert_eq!(header.kind, PacketType::Hello);
        liar.other = Hello::read(&contents).expect("a HELLO").connection_id;
        liar.number = header.packet_number;
        let welcome = Welcome { connection_id: LIAR, version: VERSION, parameters: PARAMETERS };
        let mut body = Vec::new();
        welcome.put(&mut body);
        liar.send(PacketType::Welcome, &body);
        liar.number = 0;
        liar
    }

    fn send(&mut self, kind: PacketType, body: &[u8]) {
        let mut packet = vec![0; HEADER_LEN];
        let (connection_id, packet_number) = (self.other, self.number);
        Header { kind, connection_id, packet_number, offset: 0 }.write(&mut packet);
        self.number += 1;
        packet.extend_from_slice(body);
        packet.extend_from_slice(&[0; CRC_LEN]);
        protection::seal(&mut packet);
        self.socket.send_to(&packet, self.peer.expect("known")).expect("it can be sent to");
    }

    fn next(&mut self) -> (Header, Vec<u8>) {
        let mut bytes = [0; 65_536];
        let (len, peer) = self.socket.recv_from(&mut bytes).expect("somebody speaks");
        self.peer = Some(peer);
        let header = Header::read(&bytes[..len]).expect("a packet");
        (header, protection::open(&bytes[..len]).expect("a packet").to_vec())
    }

    fn say(&mut self, said: &[Said]) {
        let mut contents = Vec::new();
        for said in said {
            match said {
                Said::Messages(data) => {
                    Frame::Stream { offset: self.said, data }.put(&mut contents);
                    self.said += data.len() as u64;
                }
                Said::Nonsense => contents.push(0x7f),
                Said::Close(code) => {
                    Frame::Close { code: *code, reason: b"" }.put(&mut contents);
                }
            }
        }
        self.send(PacketType::Control, &contents);
    }

    /// What comes with the next packet of messages, or the end.
    fn hear(&mut self, out: &mut Vec<u8>) -> Option<(u16, String)> {
        let (header, contents) = self.next();
        let mut reader = Reader::new(&contents, "frame");
        while header.kind == PacketType::Control
            && let Some(frame) = read_frame(&mut reader).expect("well-formed")
        {
            match frame {
                Frame::Stream { offset, data } => {
                    self.control.on_piece(offset, data).expect("within the window");
                }
                Frame::Close { code, reason } => {
                    return Some((code, String::from_utf8_lossy(reason).into_owned()));
                }
                _ => {}
            }
        }
        self.control.read(out);
        None
    }
}

pub(crate) struct TcpLiar {
    stream: TcpStream,
    reader: RecordReader<TcpStream>,
    messages: MessageReader,
}

impl TcpLiar {
    fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        let reader = RecordReader::new(stream.try_clone().expect("a socket"), Interrupt::default());
        Self { stream, reader, messages: MessageReader::default() }
    }

    fn put(&mut self, record: &Record<'_>) {
        let mut bytes = Vec::new();
        record.write_to(&mut bytes);
        self.stream.write_all(&bytes).expect("it reads");
    }

    fn say(&mut self, said: &[Said]) {
        let (mut all, mut one) = (Vec::new(), Vec::new());
        for said in said {
            match said {
                Said::Messages(bytes) => Record::Messages(bytes).write_to(&mut one),
                Said::Nonsense => one = vec![0x7f, 0, 0, 0, 0],
                Said::Close(code) => {
                    Record::Close { code: *code, reason: b"" }.write_to(&mut one);
                }
            }
            all.append(&mut one);
        }
        self.stream.write_all(&all).expect("it reads");
    }

    /// What comes with the next record of messages, or the end; who goes without a word said -1.
    fn hear(&mut self, out: &mut Vec<u8>) -> Option<(u16, String)> {
        match self.reader.next(&mut |_| false) {
            Ok(Some(Record::Messages(bytes))) => out.extend_from_slice(bytes),
            Ok(Some(Record::Close { code, reason })) => {
                return Some((code, String::from_utf8_lossy(reason).into_owned()));
            }
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => return Some((u16::MAX, String::new())),
        }
        None
    }
}
