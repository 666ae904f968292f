//! What is due.

use super::{Connection, State};
use crate::base::time::{Instant, earlier};
use crate::transport::error::End;
use crate::transport::timers::Timer;
use crate::transport::trace::TraceEvent;

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
        self.probes = 2;
        self.stats.probe_timeouts += 1;
        self.marking.on_probe_timeout();
        // RFC 9002 7.6.1: kPersistentCongestionThreshold.
        if self.pto_count == 3 {
            self.congestion.on_persistent_congestion();
            self.trace_congestion(now);
        }
    }
}
