//! What comes back: after losses that were none, after silence, and after a probe of the round trip.

use super::Bbr;
use super::bounds::Bounds;
use super::model::Plateau;
use super::state::State;
use crate::base::time::Instant;
use crate::transport::congestion::{AckSample, LossSample};

/// How things stood before the losses of a round.
#[derive(Clone, Copy, Debug)]
pub(super) struct Undo {
    bounds: Bounds,
    cwnd: f64,
    /// The state that they ended.
    pub(super) state: Option<State>,
    /// Packets taken for lost that have not turned up.
    missing: u32,
    /// Packets sent until then belong to an earlier round.
    earlier: Instant,
    newest: Instant,
}

impl Default for Undo {
    fn default() -> Self {
        let (earlier, newest) = (Instant::ZERO, Instant::ZERO);
        Self { bounds: Bounds::none(), cwnd: 0.0, state: None, missing: 0, earlier, newest }
    }
}

impl Undo {
    /// Before the first loss of the round after that one.
    pub(super) fn after(last: &Self, bounds: Bounds, cwnd: f64) -> Self {
        Self { bounds, cwnd, state: None, missing: 0, earlier: last.newest, newest: last.newest }
    }

    pub(super) fn on_loss(&mut self, sample: &LossSample<'_>) {
        self.missing += sample.packets;
        self.newest = self.newest.max(sample.sent_at);
    }

    /// A packet turns up; whether it is the last one that was missing.
    pub(super) fn on_late(&mut self, sent_at: Instant) -> bool {
        if sent_at <= self.earlier || self.missing == 0 {
            return false;
        }
        self.missing -= 1;
        self.missing == 0
    }
}

impl Bbr {
    /// Nothing of the round was lost after all.
    pub(super) fn restore(&mut self) {
        self.cwnd = self.cwnd.max(self.undo.cwnd);
        self.bounds.undo(&self.undo.bounds);
        self.loss_rounds.forget_loss();
        self.plateau = Plateau::default();
        let is_probing = matches!(self.state, State::ProbeRtt { .. });
        match self.undo.state.take() {
            Some(State::Startup) => {
                self.is_full = false;
                if !is_probing {
                    self.state = State::Startup;
                }
            }
            Some(State::Up(_)) if !is_probing => self.refill(self.sent_at),
            Some(_) | None => {}
        }
    }

    /// To be restored when what holds it down is over.
    pub(super) fn save_window(&mut self) {
        let is_held_down =
            self.silent_since.is_some() || matches!(self.state, State::ProbeRtt { .. });
        let least = if is_held_down { self.saved_cwnd } else { 0.0 };
        self.saved_cwnd = self.cwnd.max(least);
    }

    /// Whether an acknowledgement ends a silence; the window before it comes back.
    pub(super) fn end_silence(&mut self, sample: &AckSample<'_>) {
        if self.silent_since.is_some_and(|since| sample.sent_at >= since) {
            self.silent_since = None;
            self.cwnd = self.cwnd.max(self.saved_cwnd);
        }
    }
}
