//! The classic strategies of automatic repeat request, each beside its textbook.
//!
//! A strategy numbers the frames in the order in which they are first sent. It says which frame goes
//! next and when its timer fires, and learns which frames were acknowledged; it knows nothing of
//! packets, bytes and sockets. All three share the receiver's rule of [`keeps`].

mod go_back_n;
mod selective_repeat;
mod stop_and_wait;

use crate::base::time::{Duration, Instant};
use crate::base::units::Rate;
pub use crate::wire::handshake::Strategy;
use std::fmt::Debug;
use std::ops::Range;

/// A classic strategy and its numbers, as the sender's owner asks for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArqConfig {
    /// Which one; both sides follow it.
    pub strategy: Strategy,
    /// Frames that may be outstanding; stop-and-wait has one.
    pub window: u32,
    /// How long a frame's acknowledgement is waited for; the probe timeout of RFC 9002 6.2.1 unless
    /// given.
    pub timeout: Option<Duration>,
    /// The rate of the line, for a sender that transmits when the line is free; else frames go as soon
    /// as the window lets them.
    pub line: Option<Rate>,
}

impl ArqConfig {
    /// The frames that may be outstanding unless said otherwise.
    pub const WINDOW: u32 = 64;
}

impl Default for ArqConfig {
    fn default() -> Self {
        Self { strategy: Strategy::Volley, window: Self::WINDOW, timeout: None, line: None }
    }
}

/// The sender's part of a strategy.
pub trait Arq: Debug + Send {
    /// The frame to transmit now, whose timer is to fire at `deadline`; nothing if none may go.
    /// `has_new` says whether there are frames that were never sent.
    fn next(&mut self, deadline: Instant, has_new: bool) -> Option<u64>;

    /// The frame leaves only now, after it had to be fetched: its timer is to fire at `deadline`.
    fn on_sent(&mut self, frame: u64, deadline: Instant);

    /// The receiver has that frame.
    fn on_ack(&mut self, frame: u64);

    /// When the next timer fires.
    fn timer(&self) -> Option<Instant>;

    /// The timer has fired; returns the frame that it was for.
    fn on_timeout(&mut self) -> Option<u64>;
}

/// The sender's part; nothing for volley's own way, which is not of this kind.
#[must_use]
pub fn sender(config: &ArqConfig) -> Option<Box<dyn Arq>> {
    let window = u64::from(config.window.max(1));
    match config.strategy {
        Strategy::Volley => None,
        Strategy::StopAndWait => Some(Box::<stop_and_wait::StopAndWait>::default()),
        Strategy::GoBackN => Some(Box::new(go_back_n::GoBackN::new(window))),
        Strategy::SelectiveRepeat => Some(Box::new(selective_repeat::SelectiveRepeat::new(window))),
    }
}

/// Whether a receiver keeps bytes that begin at `range`, when it has all below `frontier`: those of
/// stop-and-wait and go-back-N have room for the next frame and no other.
#[must_use]
pub fn keeps(strategy: Strategy, range: &Range<u64>, frontier: u64) -> bool {
    match strategy {
        Strategy::StopAndWait | Strategy::GoBackN => range.start <= frontier,
        Strategy::SelectiveRepeat | Strategy::Volley => true,
    }
}

#[cfg(test)]
mod tests;
