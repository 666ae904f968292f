//! What can be seen of a world while it runs, and what its owner says to its connections.

use super::{Flow, World};
use crate::base::time::Instant;
use crate::link::LinkCounts;
use crate::sim::Outcome;
use crate::transport::Connection;
use crate::transport::error::End;

/// One transfer, as it is now.
#[derive(Clone, Debug)]
pub struct Sight {
    /// Bytes that the receiver has taken.
    pub taken: u64,
    /// DATA packets that brought the receiver something new.
    pub fresh_packets: u64,
    /// Whether the receiver has everything.
    pub is_complete: bool,
    /// How the connection ended, for the sender and for the receiver.
    pub ends: [Option<End>; 2],
}

impl World {
    /// The time.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Whether all receivers have everything.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.flows.iter().all(|flow| flow.completed_at.is_some())
    }

    /// Whether every byte that arrived was the one that was sent.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        self.is_intact
    }

    /// Each transfer.
    pub fn sights(&self) -> impl Iterator<Item = Sight> {
        self.flows.iter().map(|flow| Sight {
            taken: flow.taken,
            fresh_packets: flow.fresh_packets,
            is_complete: flow.completed_at.is_some(),
            ends: flow.ends.clone(),
        })
    }

    /// The connections of one transfer as far as there are any, the sender's and the receiver's, to
    /// look at or to be told something.
    pub fn connections(&mut self, flow: usize) -> [Option<&mut Connection>; 2] {
        self.touched[flow] = true;
        let Flow { sender, receiver, .. } = &mut self.flows[flow];
        [sender.as_mut(), receiver.as_mut()]
    }

    /// Datagrams on each way, out and back, that came to where an initiator had been before, or from
    /// where the responder had not found it yet.
    #[must_use]
    pub fn strays(&self) -> [u64; 2] {
        self.strays
    }

    /// What the link has done since it was changed last, on the way out and on the way back.
    #[must_use]
    pub fn link_counts(&self) -> [LinkCounts; 2] {
        [self.out.link().counts(), self.back.link().counts()]
    }

    /// How it went so far.
    #[must_use]
    pub fn outcome(self) -> Outcome {
        Outcome {
            flows: self.flows.into_iter().map(Flow::outcome).collect(),
            out: self.out.link().counts(),
            back: self.back.link().counts(),
        }
    }

    /// Bytes that wait in front of the bottlenecks.
    #[must_use]
    pub fn backlog(&self) -> u64 {
        self.out.link().backlog(self.now) + self.back.link().backlog(self.now)
    }

    /// Bytes of UDP payload that the senders have sent.
    #[must_use]
    pub fn bytes_sent(&self) -> u64 {
        self.flows.iter().map(|flow| flow.sender_stats().bytes_sent).sum()
    }
}
