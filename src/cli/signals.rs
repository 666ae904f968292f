//! Orders to end from outside: Ctrl-C, SIGTERM, a terminal that is closed, and `--timeout`.
//!
//! The first one asks for an orderly end: the other side is told, and nothing half there is left. A
//! second signal ends the program at once.

use super::console::Console;
use super::keyboard;
use crate::base::time::Duration;
use crate::net::{DEADLINE, Interrupt};
use crate::os::signals::{is_for_all, is_hangup_ours};
use crate::transfer::outcome::Reason;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::exfiltrator::WithOrigin;
use std::io::{self, IsTerminal};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};

/// Watches for signals from now on. From the second one on, they are for `insist`.
///
/// # Errors
/// The system refuses.
pub fn heed(interrupt: &Interrupt, insist: fn(i32)) -> io::Result<()> {
    // A limit on the size of files (`ulimit -f`) is to fail the write, not to kill the program.
    signal_hook::flag::register(SIGXFSZ, std::sync::Arc::default())?;
    let hangup = if is_hangup_ours() { &[SIGHUP][..] } else { &[] };
    let mut signals = SignalsInfo::<WithOrigin>::new([&[SIGINT, SIGTERM], hangup].concat())?;
    let interrupt = interrupt.clone();
    std::thread::spawn(move || {
        for sent in signals.forever() {
            if interrupt.get().is_some_and(|asked| asked != DEADLINE) {
                insist(sent.signal);
            }
            if is_for_all(&sent) {
                interrupt.set_for_all(sent.signal);
            } else {
                interrupt.set(sent.signal);
            }
        }
    });
    Ok(())
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

/// The second signal: nothing is waited for. A progress bar may stand in the current line.
pub fn leave(signal: i32, left: &str) -> ! {
    keyboard::restore();
    let line_end = if io::stderr().is_terminal() { "\n" } else { "" };
    Console::plain().say(&format!("{line_end}interrupted twice: ended at once; {left}"));
    std::process::exit(128 + signal);
}
