//! What signals of the terminal mean to this program.

use signal_hook::consts::{SIGHUP, SIGINT};
use signal_hook::low_level::siginfo::{Cause, Origin};

/// Whether a terminal that is closed is to end this program: `nohup` has the signal ignored, which
/// every program inherits and none should undo. Where the system does not tell, the signal keeps its
/// meaning, so that both are right.
#[must_use]
pub fn is_hangup_ours() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask & (1 << (SIGHUP - 1)) == 0)
}

/// Whether this is Ctrl-C, which the terminal sends to all processes in its foreground, and not an
/// interrupt that somebody has sent to this one.
#[must_use]
pub fn is_for_all(signal: &Origin) -> bool {
    signal.signal == SIGINT && signal.cause == Cause::Kernel
}
