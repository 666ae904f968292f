//! Limits and defaults of a connection, each with its unit and reason.

use super::arq::ArqConfig;
use super::path::PathId;
use crate::base::time::Duration;
use crate::base::units::{Rate, Share, UnitError};
use std::fmt;
use std::str::FromStr;

/// Datagrams that every path carries: the base of the MTU search, in bytes of UDP payload
/// (RFC 8899 5.1.2 BASE_PLPMTU; RFC 9000 14.1).
pub const BASE_DATAGRAM: u16 = 1200;

/// The longest wait before an acknowledgement. Shorter than QUIC's 25 ms: the ACKs of a bulk
/// transfer are cheap beside its data, and the tail waits for them.
pub const MAX_ACK_DELAY: Duration = Duration::from_millis(5);

/// Acknowledgements in a round trip.
pub const ACKS_PER_ROUND: u32 = 16;

/// Shorter round trips count as this long where packets in one are counted: what is in flight there is in
/// buffers, and the fastest paths need no more acknowledgements for it.
pub const ACK_ROUND_MIN: Duration = Duration::from_millis(4);

/// No acknowledgement waits for less.
pub const ACK_DELAY_MIN: Duration = Duration::from_millis(1);

/// Ack-eliciting packets between acknowledgements at the least (RFC 9000 13.2.2); and of the first packets,
/// so that slow start has a clock.
pub const ACK_EVERY_MIN: u64 = 2;

/// How many packets count as the first ones.
pub const START_PACKETS: u64 = 100;

/// Packet numbers below the largest received that the receiver remembers: the window of
/// 1 Gbit/s over 600 ms is 50,000 packets.
pub const ACK_WINDOW: u64 = 1 << 16;

/// Frames in one CONTROL packet, at most. This writer puts five into one; what a packet costs its reader is
/// bounded by its length, and this keeps what each frame costs beside its length from counting.
pub const FRAMES_MAX: u32 = 256;

/// Without any packet from the peer for this long, the connection is lost (RFC 9308 3.2).
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Nothing to send for this long: ask the peer whether it is there. Several of these fit into
/// [`IDLE_TIMEOUT`], so that losing some does no harm.
pub const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// No answer to a HELLO for this long: unreachable.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Refusals (ICMP port unreachable) that mean something, if nothing is received meanwhile and they come
/// for at least [`REFUSED_HELLO_SPAN`] or [`REFUSED_SPAN`]. Hosts send few of them: Linux about one in
/// a second to each address.
pub const REFUSALS_MIN: u32 = 3;

/// HELLOs refused for this long: nobody listens there.
pub const REFUSED_HELLO_SPAN: Duration = Duration::from_secs(1);

/// Packets of a connection refused for this long: the peer's program has ended. Longer than a program
/// on the way that refuses now and then, while rules change, would keep at it.
pub const REFUSED_SPAN: Duration = Duration::from_secs(3);

/// A peer that says for this long that it does not know the connection has lost it: it was started anew. Unlike a
/// refusal, that quotes an id which only somebody on the way can know.
pub const GONE_SPAN: Duration = Duration::from_secs(1);

/// After a peer said so, it is asked again as soon as this.
pub const GONE_PROBE: Duration = Duration::from_millis(400);

/// Time between the first HELLOs: at 30 % loss both ways half of the attempts fail.
pub const HELLO_INTERVAL: Duration = Duration::from_millis(250);

/// Longest time between probes into silence, so that a link that comes back is noticed.
pub const PTO_MAX: Duration = Duration::from_secs(3);

/// Probe timeouts in a row after which probes keep to the base size: the path may have become narrower
/// (RFC 8899 4.3). If that helps, it has.
pub const NARROW_AFTER: u32 = 2;

/// A new path that does not answer for this long is given up: three PTOs before the first RTT sample
/// (RFC 9000 8.2.4).
pub const PATH_PATIENCE: Duration = Duration::from_secs(3);

/// Another new path is not challenged sooner after one.
pub const PATH_REST: Duration = Duration::from_millis(250);

/// Bytes sent to a path that has not answered, for each byte that came from there (RFC 9000 8.1).
pub const AMPLIFICATION_MAX: u64 = 3;

/// Time between two HAVE frames while data arrives.
pub const HAVE_INTERVAL: Duration = Duration::from_millis(250);

/// Bytes of the control stream that may be unacknowledged or out of order.
pub const CONTROL_WINDOW: u64 = 64 * 1024;

/// Ranges of received bytes that the receiver tells apart, at most; more gaps than that and new ones wait.
pub const RECEIVED_RANGES_MAX: usize = 1 << 16;

/// Bytes of credit for each such range, so that who has little under way takes little memory: at 30 % loss
/// there is a range for each 7,000 bytes in flight.
pub const BYTES_PER_RANGE: u64 = 4096;

/// Pieces of the control stream that its receiver keeps apart.
pub const PIECES_MAX: usize = 1024;

/// Ranges that a sender keeps apart of what was delivered or lost: more than an honest receiver can
/// cause.
pub const FRAGMENTS_MAX: usize = 2 * RECEIVED_RANGES_MAX;

/// Packet numbers between the oldest outstanding packet and the newest, at most: what a sender at
/// 10 Gbit/s over a second has outstanding.
pub const OUTSTANDING_SPAN_SENDER: u64 = 1 << 21;

/// The same for the receiver of files, which has few packets outstanding unless its peer acknowledges
/// nothing.
pub const OUTSTANDING_SPAN_RECEIVER: u64 = 1 << 16;

/// Bytes beyond what the disk has taken that a sender may always send: covers a scheduling pause of
/// the disk worker of 60 ms at 1 Gbit/s.
pub const CREDIT_BACKLOG: u64 = 8 * 1024 * 1024;

/// New bytes that credit lets go wait until they are this many, or all there are: worth a packet.
pub const LEAST_PIECE: u64 = 1024;

/// Bytes that a receiver may ask for again after it had them: so many times those that were sent, and this
/// many in any case. A comparison in vain costs an honest one each byte once, groups that arrive damaged
/// three times each byte at most.
pub const AGAIN_TIMES: u64 = 4;
/// See [`AGAIN_TIMES`].
pub const AGAIN_MIN: u64 = 4 << 20;

/// Packets of the initial window (RFC 9002 7.2).
pub const INITIAL_WINDOW_PACKETS: u64 = 10;

/// DATA that may follow the offer before the receiver has accepted it.
pub const FIRST_FLIGHT: u64 = 64 * 1024;

/// The CLOSE code for a peer that broke the protocol.
pub const PROTOCOL_VIOLATION: u16 = 0xffff;

/// How a sender chooses its rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CongestionChoice {
    /// RFC 9438: fair to TCP, takes every loss for congestion.
    Cubic,
    /// Tests whose loss and whose queue it is: fills a lossy path, and shares a full one.
    #[default]
    Ebb,
    /// draft-ietf-ccwg-bbr: sends at the rate that the path delivered lately.
    Bbr,
    /// The rate that the user asks for, whatever is lost.
    Fixed(Rate),
}

impl fmt::Display for CongestionChoice {
    /// As it is written on the command line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cubic => write!(f, "cubic"),
            Self::Ebb => write!(f, "ebb"),
            Self::Bbr => write!(f, "bbr"),
            Self::Fixed(rate) => {
                write!(f, "fixed:{}Mbit", rate.bits_per_second() as f64 / 1e6)
            }
        }
    }
}

impl FromStr for CongestionChoice {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        match text.split_once(':') {
            None if text == "cubic" => Ok(Self::Cubic),
            None if text == "ebb" => Ok(Self::Ebb),
            None if text == "bbr" => Ok(Self::Bbr),
            Some(("fixed", rate)) => rate.parse().map(Self::Fixed),
            _ => Err(UnitError::new("write ebb, cubic, bbr, or fixed:RATE such as fixed:50Mbit")),
        }
    }
}

/// What an earlier transfer showed of a path.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KnownPath {
    /// The shortest round trip.
    pub round_trip: Duration,
    /// Bytes that were in flight when it was full.
    pub window: u64,
    /// What it lost of its packets.
    pub loss: Share,
}

/// What the owner of a connection decides.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// How to choose the rate.
    pub congestion: CongestionChoice,
    /// What is known of the path, where this side begins and sends.
    pub known_path: Option<KnownPath>,
    /// What the transfer may take of the line at most, in bits of IP packets, whichever side sends.
    pub max_rate: Option<Rate>,
    /// Who decides what is sent again, and when.
    pub arq: ArqConfig,
    /// The largest datagram to try, in bytes of UDP payload.
    pub max_datagram: u16,
    /// Bytes that the socket can hold before the host drops datagrams.
    pub socket_buffer: u64,
    /// Datagrams in one train handed to the socket.
    pub max_train: usize,
    /// Whether to record what happens to each packet.
    pub trace: bool,
    /// Where the peer is in the beginning.
    pub path: PathId,
    /// What challenges to new paths are made from: random, and nobody else's.
    pub secret: [u8; 32],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn congestion_choices_are_read_as_they_are_written() {
        let fixed = CongestionChoice::Fixed(Rate::from_bits_per_second(50_000_000));
        let (cubic, ebb) = (CongestionChoice::Cubic, CongestionChoice::Ebb);
        let bbr = CongestionChoice::Bbr;
        for (text, choice) in
            [("cubic", cubic), ("ebb", ebb), ("bbr", bbr), ("fixed:50Mbit", fixed)]
        {
            assert_eq!(text.parse(), Ok(choice));
            assert_eq!(choice.to_string(), text);
        }
        for text in ["", "reno", "fixed", "fixed:", "fixed:50", "cubic:5Mbit"] {
            assert!(text.parse::<CongestionChoice>().is_err(), "{text}");
        }
    }
}
