//! What is due.

use super::{Connection, State};
use crate::base::time::{Instant, earlier};
use crate::transport::error::End;
use crate::transport::timers::Timer;
use crate::transport::trace::TraceEvent;

/// RFC 9002 6.2.4: one or two packets.
const PROBES: u8 = 2;

/// While the silence lasts, twice as many at each timeout from the third one on, up to this many: where a path loses a
/// hundred packets in a row, two at a time do not outlast that before the connection is given up. They are fewer
/// than the first window.
const PROBES_MAX: u8 = 16;

fn probes_after(timeouts: u32) -> u8 {
    let doubled = timeouts.saturating_sub(2).min(PROBES_MAX.ilog2());
    (PROBES << doubled).min(PROBES_MAX)
}

impl Connection {
    /// When [`Connection::handle_timeout`] and [`Connection::poll_transmit`] want to be called again.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let ack = if self.is_established() { self.acks.deadline() } else { None };
        earlier(self.timers.next(), ack)
    }

    /// A deadline has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(timer) = self.timers.expire(now) {
            if timer != Timer::Pace {
                self.trace.record(now, || TraceEvent::TimerFired { timer });
            }
            match timer {
                Timer::Close => self.on_close_timer(),
                Timer::Have => {
                    self.have_due = true;
                    self.acks.report_recent();
                }
                // These only wake the owner: what is due goes out with the next transmission.
                Timer::Hello | Timer::Pace => {}
                Timer::Frame => self.on_frame_timeout(now),
                Timer::Idle => self.on_silence(),
                Timer::Path => self.on_path_timer(now),
                Timer::KeepAlive => {
                    self.ping_due = true;
                    if self.space_out.is_blocked() {
                        self.space_out.press();
                    }
                }
                Timer::Loss => self.detect_losses(now),
                Timer::MtuProbe => self.mtu.on_round_over(),
                Timer::Pto => self.on_probe_timeout(now),
            }
        }
    }

    fn on_silence(&mut self) {
        match self.state {
            State::Connecting(_) => self.end(self.answers.end()),
            State::Established => self.end(End::Silent),
            State::Closing(_) | State::Ended => {}
        }
    }

    fn on_probe_timeout(&mut self, now: Instant) {
        self.pto_count += 1;
        self.probes = probes_after(self.pto_count);
        self.stats.probe_timeouts += 1;
        self.marking.on_probe_timeout();
        // RFC 9002 7.6.1: kPersistentCongestionThreshold.
        if self.pto_count == 3 {
            self.congestion.on_persistent_congestion();
            self.trace_congestion(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_grow_in_number_while_the_silence_lasts() {
        let numbers = [1, 2, 3, 4, 5, 6, 30].map(probes_after);
        assert_eq!(numbers, [2, 2, 4, 8, 16, 16, 16]);
    }
}
