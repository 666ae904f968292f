//! What counts as lost, and who has to know.

use super::Connection;
use crate::base::time::Instant;
use crate::transport::congestion::LossSample;
use crate::transport::loss::LossRule;
use crate::transport::sent_packets::{Content, SentPacket};
use crate::transport::timers::Timer;
use crate::transport::trace::TraceEvent;

impl Connection {
    pub(super) fn detect_losses(&mut self, now: Instant) {
        let datagram = self.mtu.current();
        let (lost, next) = self.loss.detect(now, &self.rtt, &mut self.sent);
        let mut newest: Option<SentPacket> = None;
        let (mut packets, mut bytes, mut runs) = (0, 0, 0);
        for (packet, rule) in lost {
            // The probe's own timer decides: too large is not congestion.
            if packet.content == Content::MtuProbe {
                continue;
            }
            self.on_packet_lost(now, &packet, rule);
            if self.paths.is_current(packet.sent_at) {
                (packets, bytes) = (packets + 1, bytes + u64::from(packet.size));
                let follows = newest.is_some_and(|last| last.number + 1 == packet.number);
                runs += u32::from(!follows);
                newest = Some(packet);
            }
        }
        if let Some(newest) = newest {
            self.delivery.on_lost(bytes);
            self.congestion.on_loss(&LossSample {
                now,
                packets,
                bytes,
                runs,
                sent_at: newest.sent_at,
                prior_in_flight: newest.delivery.in_flight(),
                lost_meanwhile: self.delivery.lost_since(&newest.delivery),
                is_app_limited: newest.delivery.is_app_limited(),
                in_flight: self.sent.bytes_in_flight(),
                rtt: &self.rtt,
            });
        }
        if self.mtu.current() != datagram {
            let bytes = self.mtu.current();
            self.trace.record(now, || TraceEvent::DatagramSize { bytes });
        }
        self.trace_congestion(now);
        self.timers.set(Timer::Loss, next);
        self.arm_pto();
    }

    fn on_packet_lost(&mut self, now: Instant, packet: &SentPacket, rule: LossRule) {
        let mut range = None;
        match &packet.content {
            Content::Data(bytes) => {
                self.space_out.on_lost(bytes);
                range = Some(bytes.clone());
            }
            Content::Have => {
                self.is_have_in_flight = false;
                self.have_due = true;
            }
            Content::MtuProbe | Content::Ping => {}
            Content::Stream(piece) => self.control_out.on_lost(piece),
        }
        self.mtu.on_lost(packet.size);
        self.arm_mtu_round(now);
        let number = packet.number;
        self.trace.record(now, || TraceEvent::Lost { number, range, rule });
        self.stats.packets_lost += 1;
    }
}
