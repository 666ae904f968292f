//! What goes out.

use super::{Connection, State};
use crate::base::ecn::Ecn;
use crate::base::time::{Duration, Instant};
use crate::transport::batch::{Batch, PACKET_OVERHEAD};
use crate::transport::config::{
    BASE_DATAGRAM, HANDSHAKE_TIMEOUT, HELLO_INTERVAL, KEEP_ALIVE, NARROW_AFTER,
    OUTSTANDING_SPAN_RECEIVER, OUTSTANDING_SPAN_SENDER, PTO_MAX,
};
use crate::transport::sent_packets::{Content, SentPacket};
use crate::transport::timers::Timer;
use crate::transport::trace::TraceEvent;
use crate::wire::cursor::Malformed;
use crate::wire::frame::{Frame, STREAM_OVERHEAD};
use crate::wire::handshake::{HELLO_LEN, Strategy};
use crate::wire::header::{ConnectionId, Header, PacketType, low_bits};
use std::ops::Range;

/// The first HELLOs go at their short interval for this long, later ones at four times that.
const HELLO_SPRINT: Duration = Duration::from_secs(3);

/// Kept free in every control packet, so that an acknowledgement can always go along.
pub(super) const ACK_ROOM: usize = 80;

/// At most this much of a control packet says what is missing.
const HAVE_ROOM: usize = 700;

/// On a path that loses this share or more, the last word goes twice.
const COPIED_LOSS: f64 = 0.02;

/// Round trips shorter than this: what is in flight is in the peer's socket buffer.
const LOCAL_RTT: Duration = Duration::from_millis(2);

impl Connection {
    /// Makes `batch` the next packets to send; false if there is nothing to send now. Their payloads are
    /// still to be filled in.
    pub fn poll_transmit(&mut self, now: Instant, batch: &mut Batch) -> bool {
        self.poll_unfilled(now, batch, true) && self.depart(now, batch)
    }

    /// Makes `batch` what is to go next: packets that are ready, or a train whose payloads have to be
    /// fetched first, if there may be one. Nothing counts as sent before [`Connection::depart`]; a train
    /// that will not go is given back with [`Connection::abandon`]. False if there is nothing to send now.
    pub fn poll_unfilled(&mut self, now: Instant, batch: &mut Batch, may_be_data: bool) -> bool {
        batch.begin(self.paths.active());
        self.watch_outstanding();
        let sends = match &self.state {
            State::Connecting(_) => self.poll_hello(now, batch),
            State::Established if !self.is_validated => self.poll_welcome(batch),
            State::Established => {
                self.poll_path(now, batch)
                    || self.poll_control(now, batch)
                    || self.poll_mtu_probe(now, batch)
                    || self.poll_data(now, batch, may_be_data)
            }
            State::Closing(_) => self.poll_close(now, batch),
            State::Ended => false,
        };
        if sends && let Some(frames) = &mut self.frames {
            frames.occupy_line(now, batch);
        }
        if sends && let Some(limit) = &mut self.limit {
            limit.on_sent(batch);
        }
        sends
    }

    /// A peer that takes everything and acknowledges nothing would have us remember it all.
    fn watch_outstanding(&mut self) {
        let most =
            if self.takes_data { OUTSTANDING_SPAN_RECEIVER } else { OUTSTANDING_SPAN_SENDER };
        if self.sent.span() > most {
            self.violate(Malformed("acknowledgement: none for too many packets"));
        }
    }

    fn poll_hello(&mut self, now: Instant, batch: &mut Batch) -> bool {
        let State::Connecting(hello) = &self.state else {
            return false;
        };
        if self.timers.get(Timer::Hello).is_some_and(|due| due > now) {
            return false;
        }
        let header = Header {
            kind: PacketType::Hello,
            connection_id: ConnectionId::NONE,
            packet_number: u32::try_from(self.hellos.len()).expect("few HELLOs in ten seconds"),
            offset: 0,
        };
        let mut contents = Vec::new();
        hello.put(&mut contents);
        batch.set_packet(header, &contents, HELLO_LEN);
        self.hellos.push(now);
        let begun = self.hellos[0];
        let slower = if now.since(begun) < HELLO_SPRINT { 1 } else { 4 };
        debug_assert!(HELLO_SPRINT < HANDSHAKE_TIMEOUT);
        self.timers.set(Timer::Hello, Some(now + HELLO_INTERVAL * slower));
        true
    }

    /// One WELCOME for each HELLO and nothing else: no more than was received (RFC 9000 8.1).
    fn poll_welcome(&mut self, batch: &mut Batch) -> bool {
        let (Some(number), Some(welcome)) = (self.welcome_due.take(), &self.welcome) else {
            return false;
        };
        let header = Header {
            kind: PacketType::Welcome,
            connection_id: self.peer_id,
            packet_number: number,
            offset: 0,
        };
        let mut contents = Vec::new();
        welcome.put(&mut contents);
        batch.set_packet(header, &contents, 0);
        true
    }

    fn poll_control(&mut self, now: Instant, batch: &mut Batch) -> bool {
        let ack_due = self.acks.deadline().is_some_and(|due| due <= now);
        let stream_due = self.control_out.has_next() && self.may_send_stream(now);
        let probe_due = self.probes > 0 && !self.has_data_to_probe_with();
        if !(ack_due || stream_due || probe_due || self.have_due || self.ping_due) {
            return false;
        }
        // What elicits no acknowledgement would never tell that the path became narrower.
        let elicits = stream_due || probe_due || self.have_due || self.ping_due;
        let limit = if elicits { self.datagram_size() } else { BASE_DATAGRAM };
        let limit = usize::from(limit) - PACKET_OVERHEAD;
        let mut contents = Vec::with_capacity(limit);
        let mut content = None;
        if let Some(limit) = self.credit.news(self.space_in.limit()).filter(|_| self.takes_data) {
            Frame::Credit { limit }.put(&mut contents);
        }
        if let Some(counter) = self.work.take_due() {
            Frame::Working { counter }.put(&mut contents);
        }
        if std::mem::take(&mut self.have_due) {
            Frame::Have(self.space_in.have(HAVE_ROOM)).put(&mut contents);
            content = Some(Content::Have);
            self.is_have_in_flight = true;
        }
        if stream_due || probe_due {
            // What is remembered of the packet is the stream's piece; a HAVE along with it is extra.
            self.is_have_in_flight = false;
            content = Some(self.put_stream(&mut contents, limit - ACK_ROOM));
        }
        if std::mem::take(&mut self.ping_due) && content.is_none() {
            Frame::Ping.put(&mut contents);
            content = Some(Content::Ping);
        }
        if ack_due || self.acks.is_pending() {
            let room = if self.peer.strategy == Strategy::Volley {
                limit - contents.len()
            } else {
                // Each packet is acknowledged by itself: nobody needs the past in every one.
                ACK_ROOM.min(limit - contents.len())
            };
            let ack = self.acks.frame(now, self.space_in.duplicates(), room);
            if let Some(ack) = ack {
                Frame::Ack(ack).put(&mut contents);
            }
        }
        if contents.is_empty() {
            return false;
        }
        batch.set_packet(self.header(PacketType::Control, 0), &contents, 0);
        self.on_control_sent(now, batch, content);
        if stream_due && self.is_last_word() && self.stats.observed_loss().get() >= COPIED_LOSS {
            // Nothing else is on its way that would tell of a loss: only a probe timeout would.
            self.probes = self.probes.max(1);
        }
        true
    }

    /// Whether nothing follows what has just been said.
    fn is_last_word(&self) -> bool {
        !self.control_out.has_next() && !self.has_data_to_send()
    }

    /// Whether a piece of the control stream may go; where only the user's limit holds it back, it is woken.
    fn may_send_stream(&mut self, now: Instant) -> bool {
        if self.probes > 0 {
            return true;
        }
        let has_room = self.sent.bytes_in_flight() < self.window();
        let limited = self.limit_allowance(now, usize::from(self.datagram_size()));
        if has_room && let Err(later) = limited {
            self.timers.set(Timer::Pace, Some(later));
        }
        has_room && limited.is_ok()
    }

    /// How many datagrams of that size the user's limit lets go now, or when it does.
    pub(super) fn limit_allowance(&mut self, now: Instant, size: usize) -> Result<usize, Instant> {
        self.limit.as_mut().map_or(Ok(usize::MAX), |limit| limit.allowance(now, size))
    }

    /// Puts the next piece of the control stream; where a probe has none, the oldest piece again, or
    /// a PING.
    fn put_stream(&mut self, contents: &mut Vec<u8>, limit: usize) -> Content {
        let room = limit.saturating_sub(contents.len() + STREAM_OVERHEAD);
        let piece = self.control_out.next(room).or_else(|| self.control_out.again(room));
        match piece {
            Some((offset, data)) => {
                Frame::Stream { offset, data: &data }.put(contents);
                Content::Stream(offset..offset + data.len() as u64)
            }
            None => {
                Frame::Ping.put(contents);
                Content::Ping
            }
        }
    }

    fn on_control_sent(&mut self, now: Instant, batch: &mut Batch, content: Option<Content>) {
        let Some(content) = content else {
            self.sent.skip();
            self.restart_keep_alive(now);
            return;
        };
        self.probes = self.probes.saturating_sub(1);
        batch.set_ecn(self.marking.codepoint());
        self.record_sent(now, batch.bytes().len(), content, batch.ecn());
        self.arm_pto();
    }

    fn poll_mtu_probe(&mut self, now: Instant, batch: &mut Batch) -> bool {
        let Some(size) = self.mtu.next_probe() else {
            return false;
        };
        let mut contents = Vec::new();
        Frame::Ping.put(&mut contents);
        batch.set_packet(self.header(PacketType::Control, 0), &contents, size.into());
        let number = self.sent.next_number();
        self.trace.record(now, || TraceEvent::MtuProbe { number, bytes: size });
        let patience = self.probe_timeout().max(50 * MS);
        self.timers.set(Timer::MtuProbe, Some(now + patience));
        batch.set_ecn(self.marking.codepoint());
        self.record_sent(now, size.into(), Content::MtuProbe, batch.ecn());
        true
    }

    /// The largest datagram to send now. A probe that stays unanswered may have met a path that became
    /// narrower (RFC 8899 4.3).
    pub(super) fn datagram_size(&self) -> u16 {
        let is_narrow = self.probes > 0 && self.pto_count >= NARROW_AFTER;
        if is_narrow { BASE_DATAGRAM } else { self.mtu.current() }
    }

    pub(super) fn has_data_to_probe_with(&self) -> bool {
        self.frames.is_none() && self.has_data_to_send()
    }

    fn has_data_to_send(&self) -> bool {
        self.space_out.has_next() || self.oldest_outstanding_data().is_some()
    }

    /// What is outstanding in the transfer space, oldest first.
    pub(super) fn oldest_outstanding_data(&self) -> Option<Range<u64>> {
        self.sent.iter().find_map(|packet| match &packet.content {
            Content::Data(range) => Some(range.clone()),
            _ => None,
        })
    }

    pub(super) fn record_sent(&mut self, now: Instant, size: usize, content: Content, ecn: Ecn) {
        let size = u16::try_from(size).expect("a datagram");
        let number = self.sent.next_number();
        let in_flight = self.sent.bytes_in_flight();
        self.congestion.on_sent(now, in_flight);
        let delivery = self.delivery.on_sent(now, in_flight);
        let is_marked = ecn.takes_marks();
        self.marking.on_sent(is_marked.into());
        self.sent.push(SentPacket { number, sent_at: now, size, is_marked, content, delivery });
        self.last_eliciting = now;
        self.restart_keep_alive(now);
    }

    /// Something goes out. A sender that waits for credit asks for it soon: the frame that gave it may
    /// be lost.
    pub(super) fn restart_keep_alive(&mut self, now: Instant) {
        let patience =
            if self.space_out.is_blocked() { self.probe_timeout() * 2 } else { KEEP_ALIVE };
        self.timers.set(Timer::KeepAlive, Some(now + patience));
    }

    /// RFC 9002 6.2.1: armed while something is outstanding and no loss timer is.
    pub(super) fn arm_pto(&mut self) {
        let waits = self.is_established()
            && !self.sent.is_empty()
            && self.timers.get(Timer::Loss).is_none();
        let deadline = waits.then(|| {
            let pto = self.probe_timeout();
            let backed_off = pto * 2u32.pow(self.pto_count.min(10));
            self.last_eliciting + backed_off.min(PTO_MAX.max(pto))
        });
        self.timers.set(Timer::Pto, deadline);
    }

    /// Bytes that may be in flight: the path's and, where there is hardly a path, what the peer's
    /// socket holds.
    pub(super) fn window(&self) -> u64 {
        let path = self.congestion.window();
        let is_local = self.rtt.is_sampled() && self.rtt.min() < LOCAL_RTT;
        if is_local && self.peer.socket_buffer > 0 {
            path.min((self.peer.socket_buffer / 2).max(64 * 1024))
        } else {
            path
        }
    }

    pub(super) fn header(&self, kind: PacketType, offset: u64) -> Header {
        let packet_number = low_bits(self.sent.next_number());
        Header { kind, connection_id: self.peer_id, packet_number, offset }
    }
}

pub(super) const MS: Duration = Duration::from_millis(1);
