//! How fast the path delivers: one sample with each acknowledgement
//! (draft-cheng-iccrg-delivery-rate-estimation-02).

use super::sent_packets::SentPacket;
use crate::base::time::{Duration, Instant};

/// What was delivered when a packet was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Bytes acknowledged until then.
    delivered: u64,
    /// Bytes that had come to count as lost until then.
    lost: u64,
    /// When the last of them were.
    delivered_at: Instant,
    /// When the packet was sent whose acknowledgement that was: the sending of this flight begins there.
    first_sent_at: Instant,
    /// Bytes in flight before it.
    in_flight: u64,
    is_app_limited: bool,
}

impl Snapshot {
    /// Bytes in flight before the packet was sent.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.in_flight
    }

    /// It was sent by somebody who had nothing more to send.
    #[must_use]
    pub fn is_app_limited(&self) -> bool {
        self.is_app_limited
    }
}

/// What was delivered between the sending of a packet and its acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliverySample {
    /// Bytes.
    pub bytes: u64,
    /// In this time: the longer one of sending them and of hearing of them. So neither packets that
    /// were sent slowly nor acknowledgements that came all at once look like a fast path.
    pub interval: Duration,
    /// Bytes that were delivered when the packet was sent.
    pub prior_delivered: u64,
    /// Bytes in flight when it was sent.
    pub prior_in_flight: u64,
    /// Bytes that have come to count as lost since.
    pub lost: u64,
    /// The sender had nothing more to send while these packets went: the path may be faster.
    pub is_app_limited: bool,
}

impl DeliverySample {
    /// Bytes per second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.bytes as f64 / self.interval.as_secs_f64().max(1e-6)
    }
}

/// Counts what is delivered.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Bytes acknowledged in all.
    delivered: u64,
    /// Bytes that came to count as lost, in all.
    lost: u64,
    delivered_at: Instant,
    first_sent_at: Instant,
    /// Until so many bytes are delivered, what arrives was sent by somebody who had nothing more to send.
    app_limited_until: u64,
    /// What was sent before says nothing of this path.
    begun_at: Instant,
}

impl Delivery {
    /// Nothing is delivered yet.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            delivered: 0,
            lost: 0,
            delivered_at: now,
            first_sent_at: now,
            app_limited_until: 0,
            begun_at: now,
        }
    }

    /// Bytes acknowledged in all.
    #[must_use]
    pub fn delivered(&self) -> u64 {
        self.delivered
    }

    /// A packet goes, with that many bytes in flight before it.
    pub fn on_sent(&mut self, now: Instant, in_flight: u64) -> Snapshot {
        if in_flight == 0 {
            (self.first_sent_at, self.delivered_at) = (now, now);
        }
        Snapshot {
            delivered: self.delivered,
            lost: self.lost,
            delivered_at: self.delivered_at,
            first_sent_at: self.first_sent_at,
            in_flight,
            is_app_limited: self.delivered < self.app_limited_until,
        }
    }

    /// So many bytes came to count as lost.
    pub fn on_lost(&mut self, bytes: u64) {
        self.lost += bytes;
    }

    /// Bytes that have come to count as lost since.
    #[must_use]
    pub fn lost_since(&self, snapshot: &Snapshot) -> u64 {
        self.lost.saturating_sub(snapshot.lost)
    }

    /// There is nothing more to send, and the window has room.
    pub fn on_app_limited(&mut self, in_flight: u64) {
        self.app_limited_until = self.delivered + in_flight.max(1);
    }

    /// These packets, of `bytes` in all, were acknowledged for the first time. There is no sample where
    /// `min_rtt` has not passed: acknowledgements were lost or held back.
    pub fn on_ack(
        &mut self,
        now: Instant,
        packets: &[SentPacket],
        bytes: u64,
        min_rtt: Duration,
    ) -> Option<DeliverySample> {
        self.delivered += bytes;
        self.delivered_at = now;
        let newest = packets
            .iter()
            .filter(|packet| packet.sent_at >= self.begun_at)
            .max_by_key(|packet| (packet.delivery.delivered, packet.number))?;
        let prior = newest.delivery;
        let sending = newest.sent_at.since(prior.first_sent_at);
        self.first_sent_at = newest.sent_at;
        let interval = sending.max(now.since(prior.delivered_at));
        (interval >= min_rtt).then_some(DeliverySample {
            bytes: self.delivered.saturating_sub(prior.delivered),
            interval,
            prior_delivered: prior.delivered,
            prior_in_flight: prior.in_flight,
            lost: self.lost_since(&prior),
            is_app_limited: prior.is_app_limited,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::sent_packets::Content;

    const MS: Duration = Duration::from_millis(1);
    const SIZE: u16 = 1_000;

    fn at(ms: u64) -> Instant {
        Instant::ZERO + MS * u32::try_from(ms).expect("small")
    }

    struct Path {
        delivery: Delivery,
        sent: Vec<SentPacket>,
    }

    impl Path {
        fn new() -> Self {
            Self { delivery: Delivery::new(at(0)), sent: Vec::new() }
        }

        fn send(&mut self, ms: u64) {
            let in_flight = self.sent.len() as u64 * u64::from(SIZE);
            let delivery = self.delivery.on_sent(at(ms), in_flight);
            let number = self.sent.last().map_or(0, |last| last.number + 1);
            let content = Content::Ping;
            self.sent.push(SentPacket {
                number,
                sent_at: at(ms),
                size: SIZE,
                is_marked: false,
                content,
                delivery,
            });
        }

        fn ack(&mut self, ms: u64, packets: usize) -> Option<DeliverySample> {
            let acked: Vec<_> = self.sent.drain(..packets).collect();
            self.delivery.on_ack(at(ms), &acked, packets as u64 * u64::from(SIZE), 100 * MS)
        }
    }

    #[test]
    fn a_sample_is_what_a_round_trip_delivered() {
        let mut path = Path::new();
        (0..100).for_each(|ms| path.send(ms));
        for ms in 100..200 {
            path.ack(ms, 1);
            path.send(ms);
        }
        let sample = path.ack(200, 1).expect("a round trip has passed");
        assert_eq!((sample.bytes, sample.interval), (100_000, 100 * MS));
        assert_eq!(sample.rate(), 1e6);
        assert!(!sample.is_app_limited);
    }

    #[test]
    fn acknowledgements_that_come_all_at_once_do_not_look_like_a_fast_path() {
        let mut path = Path::new();
        (0..100).for_each(|ms| path.send(ms));
        let sample = path.ack(200, 100).expect("a round trip has passed");
        assert_eq!((sample.bytes, sample.interval), (100_000, 200 * MS));
    }

    #[test]
    fn less_than_the_shortest_round_trip_is_no_sample() {
        let mut path = Path::new();
        path.send(0);
        assert_eq!(path.ack(99, 1), None);
    }

    #[test]
    fn what_was_sent_for_want_of_more_is_marked_until_it_is_delivered() {
        let mut path = Path::new();
        path.send(0);
        path.delivery.on_app_limited(1_000);
        path.send(50);
        assert!(!path.ack(100, 1).expect("a sample").is_app_limited, "sent before");
        path.send(100);
        assert!(path.ack(150, 1).expect("a sample").is_app_limited);
        assert!(!path.ack(200, 1).expect("a sample").is_app_limited, "sent afterwards");
    }
}
