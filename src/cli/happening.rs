//! What the simulator and real sockets see, as `report` takes it.

use crate::base::time::Instant;
use crate::link::Fate;
use crate::net::Seen;
use crate::report::happening::{Happening, What};
use crate::report::ladder::Side;
use crate::sim::record::{self, Record};

/// What a record of a simulation says; of a packet that the link takes, also that it does.
pub fn of_record(record: &Record) -> impl Iterator<Item = Happening<'_>> {
    let side = match record.side {
        record::Side::Receiver => Side::Receiver,
        record::Side::Sender => Side::Sender,
    };
    let transfer = record.flow as u64 + 1;
    let (what, then) = match &record.what {
        record::What::Completed => (What::Completed, None),
        record::What::Noticed(event) => (What::Noticed(event), None),
        record::What::Received { packet, is_damaged: true } => (What::Damaged(packet), None),
        record::What::Received { packet, is_damaged: false } => (What::Received(packet), None),
        record::What::Sampled { congestion_window, bytes_in_flight, smoothed_rtt } => {
            let what = What::Measured {
                congestion_window: *congestion_window,
                bytes_in_flight: *bytes_in_flight,
                smoothed_rtt: *smoothed_rtt,
            };
            (what, None)
        }
        record::What::Sent { packet, fate } => {
            let dropped = match fate {
                Fate::Arrives(_) => None,
                Fate::Lost(cause) => Some(What::Dropped {
                    number: packet.number,
                    packet: Some(packet),
                    cause: *cause,
                }),
            };
            (What::Sent(packet), dropped)
        }
    };
    let whats = [Some(what), then].into_iter().flatten();
    whats.map(move |what| Happening { at: record.at, transfer, side, what })
}

/// What a sender on a real socket saw.
#[must_use]
pub fn of_seen(at: Instant, seen: &Seen) -> Happening<'_> {
    let what = match seen {
        Seen::Connection(event) => What::Noticed(event),
        Seen::LostOnLink { number, cause } => {
            What::Dropped { number: *number, packet: None, cause: *cause }
        }
    };
    Happening { at, transfer: 1, side: Side::Sender, what }
}
