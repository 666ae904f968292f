//! Trains of file bytes. One is *reserved* when its bytes may go, and *departs* once they have been fetched:
//! only then its packets get their numbers and their time, so that a slow disk does not look like a slow
//! path, and what could not be read was never sent.

use super::Connection;
use crate::base::ecn::Ecn;
use crate::base::time::{Duration, Instant};
use crate::transport::batch::{Batch, PACKET_OVERHEAD, Slot};
use crate::transport::config::CongestionChoice;
use crate::transport::limits::Limit;
use crate::transport::send_space::Segment;
use crate::transport::sent_packets::Content;
use crate::transport::timers::Timer;
use crate::transport::trace::TraceEvent;
use crate::wire::header::PacketType;

/// Bytes of one train, at most: what one segmentation offload buffer holds.
const TRAIN_BYTES: usize = 65_000;

/// The path is idle as long as a round trip takes at most this much longer than the shortest.
const IDLE_FACTOR: f64 = 1.25;
const IDLE_SLACK: Duration = Duration::from_millis(2);

impl Connection {
    pub(super) fn poll_data(&mut self, now: Instant, batch: &mut Batch, may_be_data: bool) -> bool {
        if !may_be_data {
            // What has to be fetched first holds back, not the path.
            self.note_lack();
            self.limits.enter(now, Limit::Source);
            return false;
        }
        if self.frames.is_some() {
            return self.poll_frames(now, batch);
        }
        let is_probe = self.probes > 0 && self.has_data_to_probe_with();
        let has_next = is_probe || self.space_out.has_next();
        if has_next {
            self.is_app_limited = false;
        } else {
            self.note_lack();
        }
        if !has_next && !self.has_copy() {
            self.limits.enter(now, self.limit_of_nothing_to_send());
            if self.space_out.is_blocked() {
                self.trace.blocked(now, self.space_out.credit());
            }
            return false;
        }
        let datagram = usize::from(self.datagram_size());
        let train = if is_probe { 1 } else { self.train_length(now, datagram) };
        let payload = datagram - PACKET_OVERHEAD;
        while batch.slots().len() < train {
            let Some(segment) = self.next_segment(payload as u64, is_probe) else {
                break;
            };
            let len = usize::try_from(segment.range.end - segment.range.start)
                .expect("no longer than a payload");
            self.reserve(batch, segment, len, None);
            // A train's datagrams are equal but for the last.
            if len + PACKET_OVERHEAD < batch.segment_size() || len < payload {
                break;
            }
        }
        if batch.slots().is_empty() {
            return false;
        }
        self.probes = self.probes.saturating_sub(1);
        self.pacer.on_sent(batch.bytes().len() as u64);
        self.limits.enter(now, Limit::Sending);
        true
    }

    fn limit_of_pace(&self) -> Limit {
        match self.config.congestion {
            CongestionChoice::Fixed(_) => Limit::AskedRate,
            CongestionChoice::Ebb | CongestionChoice::Cubic | CongestionChoice::Bbr => Limit::Path,
        }
    }

    fn limit_of_nothing_to_send(&self) -> Limit {
        if self.space_out.is_blocked() {
            Limit::Receiver
        } else if self.sent.bytes_in_flight() > 0 {
            Limit::Path
        } else {
            Limit::Answers
        }
    }

    /// How many datagrams may go now; sets the pacer's timer where that is none.
    fn train_length(&mut self, now: Instant, datagram: usize) -> usize {
        let room = self.window().saturating_sub(self.claimed());
        if room < datagram as u64 && self.claimed() > 0 {
            self.limits.enter(now, Limit::Window);
            return 0;
        }
        let rate = self.congestion.pacing_rate(&self.rtt);
        let paced = self.pacer.allowance(now, rate, datagram as u64);
        let limited = self.limit_allowance(now, datagram);
        match (paced, limited) {
            (Ok(bytes), Ok(most)) => {
                let bytes = usize::try_from(bytes.min(room)).unwrap_or(usize::MAX).min(TRAIN_BYTES);
                (bytes / datagram).min(most).clamp(1, self.config.max_train)
            }
            (paced, limited) => {
                if limited.err() > paced.err() {
                    // The user holds back, not the path: the window learns nothing (RFC 9002 7.8).
                    self.note_lack();
                    self.limits.enter(now, Limit::AskedRate);
                } else {
                    self.limits.enter(now, self.limit_of_pace());
                }
                self.timers.set(Timer::Pace, limited.err().max(paced.err()));
                0
            }
        }
    }

    fn next_segment(&mut self, payload: u64, is_probe: bool) -> Option<Segment> {
        if let Some(segment) = self.space_out.next(payload) {
            if segment.again && self.space_out.is_all_sent() {
                self.tail.insure(segment.range.clone(), self.stats.observed_loss().get());
            }
            return Some(segment);
        }
        let range = if is_probe {
            let oldest = self.oldest_outstanding_data()?;
            oldest.start..oldest.end.min(oldest.start + payload)
        } else if self.has_copy() {
            self.tail.next(payload, &self.space_out, self.stats.first_sends())?
        } else {
            return None;
        };
        Some(Segment { range, again: true })
    }

    /// Whether there is a copy to send, and it would take nobody's place: where packets wait, it would only wait
    /// as well.
    fn has_copy(&mut self) -> bool {
        let is_idle = self.rtt.smoothed() <= self.rtt.min().mul_f64(IDLE_FACTOR) + IDLE_SLACK;
        is_idle
            && self.space_out.is_all_sent()
            && self.tail.has_next(&self.space_out, self.stats.first_sends())
    }

    /// Puts a packet with those bytes into the train; of a classic strategy, that frame.
    pub(super) fn reserve(
        &mut self,
        batch: &mut Batch,
        segment: Segment,
        len: usize,
        frame: Option<u64>,
    ) {
        batch.push_data(segment.range.start, len, segment.again, frame);
        self.reserved += (len + PACKET_OVERHEAD) as u64;
    }

    /// There is nothing to send: where the window has room for more, that is what holds back.
    fn note_lack(&mut self) {
        self.is_app_limited = self.claimed() < self.window();
        if self.is_app_limited {
            self.delivery.on_app_limited(self.sent.bytes_in_flight());
        }
    }

    /// Bytes that are in flight, or reserved to be.
    fn claimed(&self) -> u64 {
        self.sent.bytes_in_flight() + self.reserved
    }

    /// The batch leaves now, with its payloads filled in: numbers its packets and takes note of them. False
    /// if it must not go any more, because the connection has ended or moved: then it is abandoned.
    pub fn depart(&mut self, now: Instant, batch: &mut Batch) -> bool {
        if !batch.slots().is_empty() {
            if !self.is_established() || batch.path() != self.paths.active() {
                self.abandon(batch);
                return false;
            }
            // Never within a train, whose numbers its receiver may take for one sequence.
            if self.frames.is_none() && self.skipped.leaves_out(self.sent.next_number()) {
                self.sent.skip();
            }
            batch.set_ecn(self.marking.codepoint());
            for index in 0..batch.slots().len() {
                let slot = batch.slots()[index].clone();
                let header = self.header(PacketType::Data, slot.offset);
                batch.put_header(index, header);
                self.on_data_sent(now, &slot, batch.ecn());
            }
            self.arm_pto();
        }
        self.stats.datagrams_sent += batch.datagrams().count() as u64;
        self.stats.bytes_sent += batch.bytes().len() as u64;
        true
    }

    fn on_data_sent(&mut self, now: Instant, slot: &Slot, ecn: Ecn) {
        let Slot { again, frame, .. } = *slot;
        let (number, range) = (self.sent.next_number(), slot.range());
        let size = slot.payload.len() + PACKET_OVERHEAD;
        self.reserved -= size as u64;
        self.stats.data_packets_sent += 1;
        self.stats.retransmissions += u64::from(again);
        self.trace.record(now, || {
            let range = range.clone();
            TraceEvent::DataSent { number, range, again, frame }
        });
        match frame {
            Some(frame) => self.on_frame_sent(now, frame),
            None => self.record_sent(now, size, Content::Data(range), ecn),
        }
    }

    /// A batch will not be sent: its bytes are still to go.
    pub fn abandon(&mut self, batch: &Batch) {
        for slot in batch.slots() {
            self.reserved -= (slot.payload.len() + PACKET_OVERHEAD) as u64;
            match slot.frame {
                Some(frame) => self.on_frame_abandoned(frame),
                None => self.space_out.on_lost(&slot.range()),
            }
        }
    }
}
