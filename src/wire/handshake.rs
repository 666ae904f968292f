//! The messages that open a connection: HELLO, and the responder's four answers to it.

use super::cursor::{Malformed, Reader, put_short_string, put_varint};
use super::header::ConnectionId;
use crate::base::units::Rate;
use std::time::Duration;

/// The protocol version that this code speaks.
pub const VERSION: u16 = 1;

/// No version will ever have this number: a HELLO that lists only this one asks who is there.
pub const NO_VERSION: u16 = 0;

/// A HELLO is padded to this many bytes, so that no answer can be larger than what asked for it.
pub const HELLO_LEN: usize = 1200;

/// The least that may be asked for as the most: two full packets take less than half a second.
pub const MAX_RATE_LEAST: Rate = Rate::from_bits_per_second(64_000);

/// The longest cookie.
pub const COOKIE_MAX: usize = 64;

/// The longest reason in a REFUSE.
pub const REASON_MAX: usize = 200;

const VERSIONS_MAX: usize = 16;
const PARAMETERS_MAX: usize = 16;
const KEY_ID_MAX: usize = 32;
const NOISE_MAX: usize = 512;

/// How packets are protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    /// CRC-32: finds accidents, hides and proves nothing.
    Open,
}

/// Which side of the files the initiator is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The initiator has the files.
    Sender,
    /// The initiator wants the files.
    Receiver,
    /// The initiator wants to know what files there are.
    Lister,
    /// The initiator wants to know what would come of getting the files.
    Planner,
}

impl Role {
    /// The byte that stands for it in a HELLO.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Sender => 0,
            Self::Receiver => 1,
            Self::Lister => 2,
            Self::Planner => 3,
        }
    }

    /// The role that a byte stands for.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Sender),
            1 => Some(Self::Receiver),
            2 => Some(Self::Lister),
            3 => Some(Self::Planner),
            _ => None,
        }
    }
}

/// What each side tells the other about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// The largest datagram, in bytes of UDP payload, that this side takes in.
    pub max_datagram: u16,
    /// The longest that this side waits before it acknowledges (RFC 9000 13.2.1).
    pub max_ack_delay: Duration,
    /// Bytes that this side's socket can hold before the host drops datagrams.
    pub socket_buffer: u64,
    /// Who decides what is sent again: the initiator's choice, repeated by a responder that follows it.
    pub strategy: Strategy,
    /// What this side's user allows the transfer to take of the line, whichever side sends.
    pub max_rate: Option<Rate>,
}

/// A way to repeat what was lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// volley's own: selective, by ranges, with time-based loss detection.
    #[default]
    Volley,
    /// One frame at a time.
    StopAndWait,
    /// The receiver keeps nothing out of order; the sender goes back.
    GoBackN,
    /// A timer for each frame.
    SelectiveRepeat,
}

impl Strategy {
    /// All, by their number on the wire.
    const ALL: [Self; 4] = [Self::Volley, Self::StopAndWait, Self::GoBackN, Self::SelectiveRepeat];

    fn read(number: u64) -> Option<Self> {
        usize::try_from(number).ok().and_then(|number| Self::ALL.get(number).copied())
    }
}

impl Parameters {
    const MAX_DATAGRAM: u64 = 1;
    const MAX_ACK_DELAY_US: u64 = 2;
    const SOCKET_BUFFER: u64 = 3;
    const STRATEGY: u64 = 4;
    const MAX_RATE: u64 = 5;

    fn put(&self, out: &mut Vec<u8>) {
        out.push(4 + u8::from(self.max_rate.is_some()));
        let delay = u64::try_from(self.max_ack_delay.as_micros()).unwrap_or(0);
        for (id, value) in [
            (Self::MAX_DATAGRAM, u64::from(self.max_datagram)),
            (Self::MAX_ACK_DELAY_US, delay),
            (Self::SOCKET_BUFFER, self.socket_buffer),
            (Self::STRATEGY, self.strategy as u64),
        ] {
            put_varint(out, id);
            put_varint(out, value);
        }
        if let Some(rate) = self.max_rate {
            put_varint(out, Self::MAX_RATE);
            put_varint(out, rate.bits_per_second());
        }
    }

    /// Unknown parameters are skipped: they are how a later version adds something. Known ones are
    /// held within what this side can live with.
    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let count = usize::from(reader.u8()?);
        if count > PARAMETERS_MAX {
            return Err(reader.malformed());
        }
        let (mut max_datagram, mut strategy) = (1200, 0);
        let mut found = Self {
            max_datagram: 1200,
            max_ack_delay: Duration::from_millis(25),
            socket_buffer: 0,
            strategy: Strategy::Volley,
            max_rate: None,
        };
        for _ in 0..count {
            let (id, value) = (reader.varint()?, reader.varint()?);
            match id {
                Self::MAX_DATAGRAM => max_datagram = value,
                Self::MAX_ACK_DELAY_US => {
                    found.max_ack_delay = Duration::from_micros(value.min(1_000_000));
                }
                Self::SOCKET_BUFFER => found.socket_buffer = value,
                Self::STRATEGY => strategy = value,
                Self::MAX_RATE => {
                    found.max_rate = Some(Rate::from_bits_per_second(value).max(MAX_RATE_LEAST));
                }
                _ => {}
            }
        }
        // Of what comes twice the last one counts, and only that has to be right.
        let datagram = u16::try_from(max_datagram).ok().filter(|bytes| *bytes >= 1200);
        found.max_datagram = datagram.ok_or(reader.malformed())?;
        found.strategy = Strategy::read(strategy).ok_or(reader.malformed())?;
        Ok(found)
    }
}

/// The initiator's first packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// What the initiator wants its packets to carry. First, so that every version finds it.
    pub connection_id: ConnectionId,
    /// The versions the initiator speaks, best first.
    pub versions: Vec<u16>,
    /// How the initiator wants packets protected.
    pub suite: Suite,
    /// Which side of the file the initiator is on.
    pub role: Role,
    /// What the initiator can take.
    pub parameters: Parameters,
    /// What a RETRY gave, else empty.
    pub cookie: Vec<u8>,
}

impl Hello {
    /// Appends the message, without header, padding and trailer.
    pub fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.connection_id.0.to_be_bytes());
        put_versions(out, &self.versions);
        out.push(0); // suite: open
        out.push(self.role.code());
        self.parameters.put(out);
        put_short_string(out, &[]); // key id
        out.extend_from_slice(&0u16.to_be_bytes()); // Noise message
        put_short_string(out, &self.cookie);
    }

    /// Reads a message; the padding after it must be zero.
    ///
    /// # Errors
    /// Malformed, or asks for what no version of this code knows.
    pub fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes, "HELLO");
        let connection_id = ConnectionId(reader.u32()?);
        let versions = read_versions(&mut reader)?;
        let suite = read_suite(&mut reader)?;
        let role = Role::from_code(reader.u8()?).ok_or(reader.malformed())?;
        let parameters = Parameters::read(&mut reader)?;
        reader.short_string(KEY_ID_MAX)?;
        skip_noise(&mut reader)?;
        let cookie = reader.short_string(COOKIE_MAX)?.to_vec();
        if connection_id == ConnectionId::NONE || reader.rest().iter().any(|byte| *byte != 0) {
            return Err(reader.malformed());
        }
        Ok(Self { connection_id, versions, suite, role, parameters, cookie })
    }

    /// The initiator's connection id and versions: the part that is the same in every version, for
    /// answering one that is otherwise not understood.
    ///
    /// # Errors
    /// Malformed.
    pub fn read_invariant(bytes: &[u8]) -> Result<(ConnectionId, Vec<u16>), Malformed> {
        let mut reader = Reader::new(bytes, "HELLO");
        Ok((ConnectionId(reader.u32()?), read_versions(&mut reader)?))
    }
}

/// The responder's yes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// What the responder wants its packets to carry.
    pub connection_id: ConnectionId,
    /// The version chosen from the initiator's list.
    pub version: u16,
    /// What the responder can take.
    pub parameters: Parameters,
}

impl Welcome {
    /// Appends the message, without header and trailer.
    pub fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.connection_id.0.to_be_bytes());
        out.extend_from_slice(&self.version.to_be_bytes());
        out.push(0); // suite: open
        self.parameters.put(out);
        out.extend_from_slice(&0u16.to_be_bytes()); // Noise message
    }

    /// Reads a message.
    ///
    /// # Errors
    /// Malformed.
    pub fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes, "WELCOME");
        let connection_id = ConnectionId(reader.u32()?);
        let version = reader.u16()?;
        read_suite(&mut reader)?;
        let parameters = Parameters::read(&mut reader)?;
        skip_noise(&mut reader)?;
        if connection_id == ConnectionId::NONE || !reader.is_empty() {
            return Err(reader.malformed());
        }
        Ok(Self { connection_id, version, parameters })
    }
}

/// Appends the body of a VERSIONS packet, or the list in a HELLO.
pub fn put_versions(out: &mut Vec<u8>, versions: &[u16]) {
    let listed = &versions[..versions.len().min(VERSIONS_MAX)];
    out.push(u8::try_from(listed.len()).expect("at most 16 versions"));
    for version in listed {
        out.extend_from_slice(&version.to_be_bytes());
    }
}

/// Reads the body of a VERSIONS packet, or the list in a HELLO.
///
/// # Errors
/// None, more than 16, or cut off.
pub fn read_versions(reader: &mut Reader<'_>) -> Result<Vec<u16>, Malformed> {
    match usize::from(reader.u8()?) {
        count @ 1..=VERSIONS_MAX => (0..count).map(|_| reader.u16()).collect(),
        _ => Err(reader.malformed()),
    }
}

/// Why a responder refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefuseCode {
    /// It serves as many connections as it can.
    Busy,
    /// It does not do what the initiator asked for (a role, a suite).
    Unsupported,
}

/// Appends the body of a REFUSE packet.
pub fn put_refuse(out: &mut Vec<u8>, code: RefuseCode, reason: &str) {
    out.push(match code {
        RefuseCode::Busy => 1,
        RefuseCode::Unsupported => 2,
    });
    let end = reason.floor_char_boundary(REASON_MAX);
    put_short_string(out, &reason.as_bytes()[..end]);
}

/// Reads the body of a REFUSE packet.
///
/// # Errors
/// Malformed.
pub fn read_refuse(bytes: &[u8]) -> Result<(RefuseCode, String), Malformed> {
    let mut reader = Reader::new(bytes, "REFUSE");
    let code = match reader.u8()? {
        1 => RefuseCode::Busy,
        // Whatever later versions refuse for, the reason says it.
        _ => RefuseCode::Unsupported,
    };
    let reason = String::from_utf8_lossy(reader.short_string(REASON_MAX)?).into_owned();
    Ok((code, reason))
}

fn read_suite(reader: &mut Reader<'_>) -> Result<Suite, Malformed> {
    match reader.u8()? {
        0 => Ok(Suite::Open),
        _ => Err(reader.malformed()),
    }
}

fn skip_noise(reader: &mut Reader<'_>) -> Result<(), Malformed> {
    let len = usize::from(reader.u16()?);
    if len > NOISE_MAX {
        return Err(reader.malformed());
    }
    reader.bytes(len).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::{Strategy, *};
    use proptest::prelude::*;

    fn parameters() -> Parameters {
        Parameters {
            max_datagram: 1472,
            max_ack_delay: Duration::from_millis(5),
            socket_buffer: 4 << 20,
            strategy: Strategy::GoBackN,
            max_rate: Some(Rate::from_bits_per_second(5_000_000)),
        }
    }

    fn hello() -> Hello {
        Hello {
            connection_id: ConnectionId(9),
            versions: vec![VERSION, 77],
            suite: Suite::Open,
            role: Role::Sender,
            parameters: parameters(),
            cookie: vec![1; 24],
        }
    }

    #[test]
    fn a_hello_reads_back_with_its_padding() {
        let mut bytes = Vec::new();
        hello().put(&mut bytes);
        bytes.resize(HELLO_LEN, 0);
        assert_eq!(Hello::read(&bytes), Ok(hello()));
        assert_eq!(Hello::read_invariant(&bytes), Ok((ConnectionId(9), vec![VERSION, 77])));
        bytes[HELLO_LEN - 1] = 1;
        assert!(Hello::read(&bytes).is_err(), "padding hides nothing");
    }

    #[test]
    fn a_welcome_reads_back() {
        let welcome =
            Welcome { connection_id: ConnectionId(5), version: 1, parameters: parameters() };
        let mut bytes = Vec::new();
        welcome.put(&mut bytes);
        assert_eq!(Welcome::read(&bytes), Ok(welcome));
        bytes.push(0);
        assert!(Welcome::read(&bytes).is_err());
    }

    #[test]
    fn a_refusal_reads_back_and_is_cut_between_characters() {
        let mut bytes = Vec::new();
        put_refuse(&mut bytes, RefuseCode::Busy, &"ü".repeat(150));
        assert_eq!(read_refuse(&bytes), Ok((RefuseCode::Busy, "ü".repeat(100))));
    }

    /// A WELCOME in which the peer says that of itself.
    fn saying(parameters: &[(u64, u64)]) -> Result<Parameters, Malformed> {
        let mut bytes = vec![0, 0, 0, 5, 0, 1, 0];
        bytes.push(u8::try_from(parameters.len()).expect("few"));
        for (id, value) in parameters {
            put_varint(&mut bytes, *id);
            put_varint(&mut bytes, *value);
        }
        bytes.extend_from_slice(&[0, 0]);
        Welcome::read(&bytes).map(|welcome| welcome.parameters)
    }

    /// What a peer says may only lower what this side allows itself.
    #[test]
    fn no_number_of_a_peers_makes_this_side_wait_or_send_beyond_its_own_limits() {
        const MOST: u64 = (1 << 62) - 1;
        for delay in [0, 1, 25_000, 1_000_000, 1_000_001, 1 << 32, MOST] {
            let said = saying(&[(2, delay)]).expect("any time may be said");
            assert!(said.max_ack_delay <= Duration::from_secs(1), "{delay}");
        }
        for size in [0, 1, 1199, 65_536, 1 << 32, MOST] {
            assert!(saying(&[(1, size)]).is_err(), "{size}");
        }
        for size in [1200, 65_535] {
            assert_eq!(saying(&[(1, size)]).map(|said| u64::from(said.max_datagram)), Ok(size));
        }
        for strategy in [4, 255, 1 << 32, MOST] {
            assert!(saying(&[(4, strategy)]).is_err(), "{strategy}");
        }
        for rate in [0, 1, 63_999, 64_000] {
            assert_eq!(saying(&[(5, rate)]).map(|said| said.max_rate), Ok(Some(MAX_RATE_LEAST)));
        }
        assert_eq!(saying(&[]).map(|said| said.max_rate), Ok(None));
        assert!(saying(&[(99, MOST), (63, 0)]).is_ok(), "what is unknown is skipped");
        assert!(saying(&[(99, 0); 17]).is_err(), "and bounded");
    }

    #[test]
    fn a_datagram_limit_below_the_smallest_path_is_refused() {
        let mut bytes = Vec::new();
        Hello { parameters: Parameters { max_datagram: 1199, ..parameters() }, ..hello() }
            .put(&mut bytes);
        assert!(Hello::read(&bytes).is_err());
    }

    #[test]
    fn an_unknown_strategy_is_refused() {
        assert_eq!(Strategy::read(4), None);
        for (number, strategy) in (0..).zip(Strategy::ALL) {
            assert_eq!((Strategy::read(number), strategy as u64), (Some(strategy), number));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Hello::read(&bytes);
            let _ = Hello::read_invariant(&bytes);
            let _ = Welcome::read(&bytes);
            let _ = read_refuse(&bytes);
            let _ = read_versions(&mut Reader::new(&bytes, "VERSIONS"));
        }
    }
}
