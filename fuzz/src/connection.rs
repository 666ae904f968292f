//! A whole connection, on either side of the handshake and of the file.

use super::input::Input;
use super::peer::{Peer, Side, config, parameters};
use volley::base::ecn::Ecn;
use volley::base::time::Instant;
use volley::transport::batch::Batch;
use volley::transport::config::CONTROL_WINDOW;
use volley::transport::{Connection, Event, PathId};
use volley::wire::handshake::{HELLO_LEN, Hello, Role, Suite, VERSION};
use volley::wire::header::ConnectionId;

/// Bytes of file that the side under test has to send, or takes before its disk is full: more than
/// the first flight.
const BYTES: u64 = 80 << 10;

/// Any packets in any order to a connection, whose owner keeps the contract.
pub(crate) fn connection(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let (config, how) = (config(input.u8()), input.u8());
    let role = if how & 1 == 0 { Role::Sender } else { Role::Receiver };
    let parameters = parameters(&mut input);
    let mut peer = Peer::new(&[]);
    if how & 2 == 0 {
        let hello = Hello {
            connection_id: ConnectionId(1),
            versions: vec![VERSION],
            suite: Suite::Open,
            role,
            parameters,
            cookie: Vec::new(),
        };
        let id = ConnectionId(2);
        let connection = Connection::respond(Instant::ZERO, config, id, &hello, 0);
        peer.torment(&mut Owner::of(connection, role == Role::Receiver, true), &mut input);
    } else {
        let connection = Connection::initiate(Instant::ZERO, config, ConnectionId(1), role);
        let mut owner = Owner::of(connection, role == Role::Sender, false);
        if how & 4 == 0 {
            peer.welcome(&mut owner, parameters);
        }
        peer.torment(&mut owner, &mut input);
    }
}

struct Owner {
    connection: Connection,
    is_responder: bool,
    taken: u64,
    written: u64,
    has_room: bool,
    reads_control: bool,
    is_total_known: bool,
    is_ended: bool,
}

impl Owner {
    fn of(mut connection: Connection, has_files: bool, is_responder: bool) -> Self {
        connection.write_control(&[7; 3_000]);
        if has_files {
            connection.release(BYTES);
        }
        Self {
            connection,
            is_responder,
            taken: 0,
            written: 0,
            has_room: true,
            reads_control: true,
            is_total_known: false,
            is_ended: false,
        }
    }
}

impl Side for Owner {
    fn handle_datagram(&mut self, now: Instant, path: PathId, ecn: Ecn, datagram: &[u8]) {
        let Self { connection, taken, has_room, .. } = self;
        connection.handle_datagram(now, path, ecn, datagram, &mut |_, payload| {
            let takes = *has_room && *taken < BYTES;
            *taken += if takes { payload.len() as u64 } else { 0 };
            takes
        });
    }

    fn paths(&self) -> [PathId; 2] {
        let path = self.connection.path();
        [path, self.connection.candidate_path().unwrap_or(path)]
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.connection.handle_timeout(now);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.connection.poll_timeout()
    }

    fn poll_transmit(&mut self, now: Instant, batch: &mut Batch) -> bool {
        let sends = self.connection.poll_transmit(now, batch);
        batch.seal();
        sends
    }

    fn act(&mut self, now: Instant, input: &mut Input<'_>) {
        let what = input.u8();
        let start = u64::from(input.u16());
        let range = start..start + u64::from(input.u16());
        match what % 8 {
            0 => {
                self.written = self.taken;
                self.connection.on_written(now, self.written);
            }
            1 => self.has_room = !self.has_room,
            2 => self.reads_control = !self.reads_control,
            3 => self.connection.cancel_outgoing(&range),
            4 => self.connection.cancel_incoming(range),
            5 => self.connection.reject(&range),
            6 if !self.is_total_known => {
                self.is_total_known = true;
                self.connection.set_total(BYTES + start);
            }
            7 if what > 0xf0 => self.connection.close(3, "enough"),
            _ => self.connection.write_control(&vec![5; usize::from(input.u8())]),
        }
    }

    fn turn(&mut self, _now: Instant) {
        while let Some(event) = self.connection.poll_event() {
            assert!(!self.is_ended, "{event:?} after the end");
            self.is_ended = matches!(event, Event::Ended(_));
        }
        assert_eq!(self.is_ended, self.connection.is_ended());
        if self.reads_control {
            let mut control = Vec::new();
            self.connection.read_control(&mut control);
            assert!(control.len() as u64 <= CONTROL_WINDOW, "{} control bytes", control.len());
        }
        self.connection.take_trace();
        let stats = self.connection.stats();
        let is_unproven = self.is_responder && !self.connection.is_validated();
        let allowed = stats.bytes_received + HELLO_LEN as u64;
        assert!(!is_unproven || stats.bytes_sent <= allowed, "it amplifies: {stats:?}");
        assert!(stats.delivered <= 2 * BYTES, "{stats:?}");
    }

    fn is_over(&self) -> bool {
        self.is_ended
    }
}
