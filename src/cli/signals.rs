//! Orders to end from outside: Ctrl-C, SIGTERM, a terminal that is closed, and `--timeout`.
//!
//! The first one asks for an orderly end: the other side is told, and nothing half there is left. A
//! second signal ends the program at once.

use super::console;
use super::keyboard;
use crate::base::time::{Duration, Instant};
use crate::net::{DEADLINE, Interrupt};
use crate::os::clock::Clock;
use crate::os::signals::{is_for_all, is_hangup_ours};
use crate::transfer::outcome::Reason;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::exfiltrator::WithOrigin;
use std::io;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};

/// A signal that comes this soon after another is the same order once more: a wrapper passes on what the
/// terminal has sent to all.
const ECHO: Duration = Duration::from_millis(200);

/// Watches for signals from now on. The second order ends the program at once, and says what is `left` of its
/// work; without that it means nothing.
///
/// # Errors
/// The system refuses.
pub fn heed(interrupt: &Interrupt, left: Option<&'static str>) -> io::Result<()> {
    // A limit on the size of files (`ulimit -f`) is to fail the write, not to kill the program.
    signal_hook::flag::register(SIGXFSZ, std::sync::Arc::default())?;
    let hangup = if is_hangup_ours() { &[SIGHUP][..] } else { &[] };
    let mut signals = SignalsInfo::<WithOrigin>::new([&[SIGINT, SIGTERM], hangup].concat())?;
    let interrupt = interrupt.clone();
    std::thread::Builder::new().spawn(move || {
        let (clock, mut orders) = (Clock::start(), Orders::default());
        for sent in signals.forever() {
            if orders.is_echo(clock.now()) {
                continue;
            }
            let is_second = interrupt.get().is_some_and(|asked| asked != DEADLINE);
            if let Some(left) = left.filter(|_| is_second) {
                leave(sent.signal, left);
            }
            if is_for_all(&sent) {
                interrupt.set_for_all(sent.signal);
            } else {
                interrupt.set(sent.signal);
            }
        }
    })?;
    Ok(())
}

/// Tells orders from their echoes.
#[derive(Debug, Default)]
struct Orders {
    /// When the last one came.
    last: Option<Instant>,
}

impl Orders {
    fn is_echo(&mut self, now: Instant) -> bool {
        let is_echo = self.last.is_some_and(|last| now.since(last) < ECHO);
        if !is_echo {
            self.last = Some(now);
        }
        is_echo
    }
}

/// Ends a command that takes too long, unless it is dropped before.
#[derive(Debug)]
pub struct Deadline {
    _over: Option<Sender<()>>,
}

impl Deadline {
    /// Asks for an orderly end after `span`, if there is one.
    #[must_use]
    pub fn after(span: Option<Duration>, interrupt: &Interrupt) -> Self {
        let over = span.map(|span| {
            let (over, waits) = channel::<()>();
            let interrupt = interrupt.clone();
            std::thread::spawn(move || {
                let is_up = waits.recv_timeout(span) == Err(RecvTimeoutError::Timeout);
                if is_up && interrupt.get().is_none() {
                    interrupt.set(DEADLINE);
                }
            });
            over
        });
        Self { _over: over }
    }
}

/// What is said of a command that ends by order: who gave it, and what became of the files.
#[must_use]
pub fn obituary(order: Reason, files: &str) -> String {
    match order {
        Reason::Deadline => format!("error: the time of --timeout is up; {files}"),
        _ => format!("interrupted; {files}"),
    }
}

/// The second signal: nothing is waited for, also nobody who reads.
fn leave(signal: i32, left: &str) -> ! {
    keyboard::restore();
    console::finish_at_once(&format!("interrupted twice: ended at once; {left}"));
    std::process::exit(128 + signal);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_that_is_passed_on_counts_once() {
        let mut orders = Orders::default();
        let mut echoes = |times: &[u64]| -> Vec<bool> {
            let times = times.iter().map(|ms| Instant::ZERO + Duration::from_millis(*ms));
            times.map(|now| orders.is_echo(now)).collect()
        };
        // What comes later counts, however many there were in between.
        assert_eq!(echoes(&[1000, 1000, 1150, 1199, 1200]), [false, true, true, true, false]);
        assert_eq!(echoes(&[1399, 1400]), [true, false]);
    }
}
