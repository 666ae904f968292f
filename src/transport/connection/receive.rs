//! What comes in.

use super::{Connection, Event};
use crate::base::ecn::Ecn;
use crate::base::time::{Duration, Instant};
use crate::transport::arq::{self, Strategy};
use crate::transport::batch::PACKET_OVERHEAD;
use crate::transport::config::{
    BASE_DATAGRAM, FRAGMENTS_MAX, FRAMES_MAX, HAVE_INTERVAL, NARROW_AFTER,
};
use crate::transport::congestion::AckSample;
use crate::transport::error::End;
use crate::transport::loss::Acked;
use crate::transport::path::PathId;
use crate::transport::recv_space::Arrival;
use crate::transport::sent_packets::Content;
use crate::transport::timers::Timer;
use crate::transport::trace::{Discard, TraceEvent};
use crate::wire::cursor::{Malformed, Reader};
use crate::wire::frame::{Ack, Frame, read_frame};
use crate::wire::header::{Header, PacketType, full_packet_number};
use crate::wire::protection;
use std::ops::Range;

/// After losses, whether the path became narrower is looked at this much later.
const MTU_ROUND: Duration = Duration::from_secs(1);

/// Takes file bytes at an offset of the transfer space; false if there is no room for them.
pub(super) type TakeData<'a> = dyn FnMut(u64, &[u8]) -> bool + 'a;

impl Connection {
    /// A datagram arrived from `path`, and its IP packet said that of congestion. File bytes that are new go to `take`; where it has no room, the
    /// packet counts as lost and comes again.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        path: PathId,
        ecn: Ecn,
        packet: &[u8],
        take: &mut TakeData<'_>,
    ) {
        let Ok(header) = Header::read(packet) else {
            self.stats.damaged += 1;
            return;
        };
        let Some(contents) = protection::open(packet) else {
            self.stats.damaged += 1;
            return;
        };
        self.stats.datagrams_received += 1;
        self.stats.bytes_received += packet.len() as u64;
        let is_from_peer = path == self.paths.active();
        match header.kind {
            PacketType::Control | PacketType::Data if is_from_peer => {
                self.on_packet(now, (header, ecn, contents), take);
            }
            PacketType::Control | PacketType::Data => {
                self.on_packet_from_elsewhere(now, path, (header, ecn, contents), take);
            }
            _ if !is_from_peer => {}
            PacketType::Hello => self.on_repeated_hello(header.packet_number, packet.len()),
            PacketType::Gone => {}
            PacketType::Refuse | PacketType::Retry | PacketType::Versions | PacketType::Welcome => {
                self.on_answer(now, header, contents);
            }
        }
    }

    pub(super) fn on_packet(
        &mut self,
        now: Instant,
        packet: (Header, Ecn, &[u8]),
        take: &mut TakeData<'_>,
    ) {
        let (header, ecn, contents) = packet;
        if !self.is_established() {
            return;
        }
        let number = full_packet_number(self.acks.expected(), header.packet_number);
        if !self.acks.is_new(number) {
            return;
        }
        if !self.is_validated {
            self.is_validated = true;
            self.on_connected(now);
        }
        if header.kind == PacketType::Data && !self.takes_data {
            return self.violate(Malformed("packet: DATA from a receiver of files"));
        }
        let is_ack_eliciting = if header.kind == PacketType::Data {
            let range = header.offset..header.offset + contents.len() as u64;
            let discard = self.on_data(now, range.clone(), contents, take).err();
            if let Some(reason) = discard {
                self.trace.record(now, || TraceEvent::Discarded { number, range, reason });
            }
            // What is there already counts as received.
            if discard.is_some_and(|reason| reason != Discard::Duplicate) {
                return;
            }
            true
        } else {
            match self.on_frames(now, number, contents) {
                Ok(Some(is_ack_eliciting)) => is_ack_eliciting,
                Ok(None) => return,
                Err(malformed) => {
                    self.violate(malformed);
                    return;
                }
            }
        };
        if !self.is_established() {
            return;
        }
        self.on_valid_packet(now);
        let round_trip = self.rtt.is_sampled().then(|| self.rtt.smoothed());
        self.acks.count_mark(ecn);
        self.acks.on_packet(now, number, is_ack_eliciting, round_trip);
    }

    /// Takes the bytes in, or says why not.
    fn on_data(
        &mut self,
        now: Instant,
        range: Range<u64>,
        payload: &[u8],
        take: &mut TakeData<'_>,
    ) -> Result<(), Discard> {
        let strategy = self.peer.strategy;
        let missing = self.space_in.frontier();
        if !arq::keeps(strategy, &range, missing) {
            return Err(Discard::OutOfOrder { missing });
        }
        let verdict = match self.space_in.judge(&range) {
            Arrival::Refused => return Err(Discard::NoRoom),
            Arrival::Duplicate => Err(Discard::Duplicate),
            Arrival::New if !take(range.start, payload) => return Err(Discard::NoRoom),
            Arrival::New => {
                self.space_in.take(range);
                Ok(())
            }
        };
        if strategy == Strategy::Volley && self.timers.get(Timer::Have).is_none() {
            self.timers.set(Timer::Have, Some(now + HAVE_INTERVAL));
        }
        verdict
    }

    /// Whether any frame asks for an acknowledgement; nothing if the packet has to come again.
    fn on_frames(
        &mut self,
        now: Instant,
        number: u64,
        contents: &[u8],
    ) -> Result<Option<bool>, Malformed> {
        let mut is_ack_eliciting = false;
        let mut has_have = false;
        let mut reader = Reader::new(contents, "frame");
        let mut count = 0;
        while let Some(frame) = read_frame(&mut reader)? {
            count += 1;
            if count > FRAMES_MAX {
                return Err(Malformed("packet: too many frames"));
            }
            is_ack_eliciting |= frame.is_ack_eliciting();
            if self.takes_data && matches!(frame, Frame::Have(_) | Frame::Credit { .. }) {
                return Err(Malformed("frame: HAVE or CREDIT from a sender of files"));
            }
            match frame {
                Frame::Ack(ack) => self.on_ack(now, &ack)?,
                Frame::Close { code, reason } => {
                    let reason = String::from_utf8_lossy(reason).into_owned();
                    self.end(End::Peer { code, reason });
                    return Ok(None);
                }
                Frame::Credit { limit } => {
                    if limit > self.space_out.credit() {
                        self.trace.record(now, || TraceEvent::Credit { limit });
                    }
                    self.space_out.on_credit(limit);
                }
                Frame::Have(_) if std::mem::replace(&mut has_have, true) => {
                    return Err(Malformed("HAVE: a second one in a packet"));
                }
                // Only the newest word counts: an older one knows less than we do.
                Frame::Have(have) if number >= self.acks.expected() => {
                    self.stats.written = self.stats.written.max(have.written);
                    self.space_out.on_have(&have);
                    if self.space_out.fragments() > FRAGMENTS_MAX {
                        return Err(Malformed("HAVE: more gaps than a receiver can have"));
                    }
                    if self.space_out.is_asked_too_much() {
                        return Err(Malformed("HAVE: what had arrived is missing again and again"));
                    }
                }
                Frame::Have(_) => {}
                Frame::PathChallenge(challenge) => {
                    self.answer_due = Some((challenge, contents.len() + PACKET_OVERHEAD));
                }
                // From where the peer is it tells nothing new.
                Frame::PathResponse(_) => {}
                Frame::Ping => {
                    // One at a time: PINGs that come faster than answers get no more of them.
                    self.have_due |= self.takes_data && !self.is_have_in_flight;
                    self.credit.repeat();
                }
                Frame::Working { counter } => self.work.on_heard(counter),
                Frame::Stream { offset, data } => {
                    if self.control_in.on_piece(offset, data).is_err() {
                        return Ok(None);
                    }
                    if self.events.back() != Some(&Event::ControlReceived) {
                        self.events.push_back(Event::ControlReceived);
                    }
                }
            }
        }
        Ok(Some(is_ack_eliciting))
    }

    fn on_ack(&mut self, now: Instant, ack: &Ack) -> Result<(), Malformed> {
        if ack.largest() >= self.sent.next_number() {
            return Err(Malformed("acknowledgement: of a packet never sent"));
        }
        if self.skipped.is_in(&ack.ranges) {
            return Err(Malformed("acknowledgement: of a packet number that was left out"));
        }
        self.on_frames_acked(now, ack);
        let acked = self.loss.on_ack(now, &ack.ranges, &self.rtt, &mut self.sent);
        self.marking.on_acked(&acked.packets);
        self.stats.spurious_retransmissions =
            self.stats.spurious_retransmissions.max(ack.duplicates);
        for (number, sent_at) in &acked.spurious {
            self.trace.record(now, || TraceEvent::Spurious { number: *number });
            self.stats.packets_lost -= 1;
            self.stats.packets_acked += 1;
            if self.paths.is_current(*sent_at) {
                self.congestion.on_spurious_loss(*sent_at);
            }
        }
        if let Some(newest) = acked.largest() {
            let (newest_number, newest_sent_at) = (newest.number, newest.sent_at);
            // An older report says nothing about when its packets arrived.
            let is_current = self.paths.is_current(newest_sent_at);
            let tells_round_trip = newest_number == ack.largest() && acked.is_newest && is_current;
            if tells_round_trip {
                let delay = ack.delay.min(self.peer.max_ack_delay);
                self.rtt.update(now.since(newest_sent_at), delay);
            }
            if acked.is_newest {
                self.on_marks(now, ack.marks, &acked);
            }
            // Only what is small has ended the silence.
            let is_narrow = acked.packets.iter().all(|packet| packet.size <= BASE_DATAGRAM);
            if is_narrow && self.pto_count >= NARROW_AFTER {
                self.mtu.begin_again();
                self.arm_mtu_round(now);
            }
            let (packets, bytes) = self.settle(now, &acked);
            if is_current {
                let delivery = self.delivery.on_ack(now, &acked.packets, bytes, self.rtt.min());
                self.congestion.on_ack(&AckSample {
                    now,
                    packets,
                    bytes,
                    largest: newest_number,
                    sent_at: newest_sent_at,
                    next: self.sent.next_number(),
                    in_flight: self.sent.bytes_in_flight(),
                    is_app_limited: self.is_app_limited,
                    tells_round_trip,
                    delivery,
                    rtt: &self.rtt,
                });
            }
            self.pto_count = 0;
            self.probes = 0;
        }
        self.detect_losses(now);
        Ok(())
    }

    /// Tells the parts what arrived; returns the packets and the bytes that were in flight.
    fn settle(&mut self, now: Instant, acked: &Acked) -> (u32, u64) {
        let (mut packets, mut bytes) = (0, 0);
        for packet in &acked.packets {
            let number = packet.number;
            self.trace.record(now, || TraceEvent::Acked { number });
            match &packet.content {
                Content::Data(range) => self.space_out.on_acked(range),
                Content::MtuProbe => {
                    self.mtu.on_probe_acked(packet.size);
                    let bytes = self.mtu.current();
                    self.congestion.on_datagram_size(bytes);
                    self.trace.record(now, || TraceEvent::DatagramSize { bytes });
                    continue;
                }
                Content::Have => self.is_have_in_flight = false,
                Content::Ping => {}
                Content::Stream(piece) => self.control_out.on_acked(piece),
            }
            self.mtu.on_acked(packet.size);
            (packets, bytes) = (packets + 1, bytes + u64::from(packet.size));
            self.stats.packets_acked += 1;
        }
        (packets, bytes)
    }

    pub(super) fn arm_mtu_round(&mut self, now: Instant) {
        if self.timers.get(Timer::MtuProbe).is_none() {
            self.timers.set(Timer::MtuProbe, Some(now + MTU_ROUND));
        }
    }
}
