//! Where words go: standard error for people, standard output for programs. A closed stream is no
//! reason to fail.

use super::terminal::Terminal;
use indicatif::{MultiProgress, ProgressDrawTarget};
use std::io::{IsTerminal, Write};

/// How often bars are drawn again, at most.
const REFRESH_HZ: u8 = 20;

/// Writes lines, above the progress bars where there are some.
#[derive(Clone, Debug)]
pub struct Console {
    bars: MultiProgress,
    is_quiet: bool,
    is_terminal: bool,
}

impl Console {
    /// A console that says everything and draws bars on a terminal, or neither if `is_quiet`.
    #[must_use]
    pub fn new(is_quiet: bool) -> Self {
        // A terminal that calls itself dumb cannot move its cursor.
        let is_dumb = std::env::var_os("TERM").is_some_and(|name| name == "dumb");
        let is_terminal = std::io::stderr().is_terminal() && !is_dumb;
        let target = if is_quiet || !is_terminal {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::term_like_with_hz(Box::new(Terminal::default()), REFRESH_HZ)
        };
        Self { bars: MultiProgress::with_draw_target(target), is_quiet, is_terminal }
    }

    /// A console without bars.
    #[must_use]
    pub fn plain() -> Self {
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::hidden());
        let is_terminal = std::io::stderr().is_terminal();
        Self { bars, is_quiet: false, is_terminal }
    }

    /// A console without bars, that says everything unless `is_quiet`.
    #[must_use]
    pub fn without_bars(is_quiet: bool) -> Self {
        Self { is_quiet, ..Self::plain() }
    }

    /// Where bars are drawn.
    #[must_use]
    pub fn bars(&self) -> &MultiProgress {
        &self.bars
    }

    /// Whether bars are seen by anybody.
    #[must_use]
    pub fn draws(&self) -> bool {
        self.is_terminal && !self.is_quiet
    }

    /// Whether only errors are to be said.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.is_quiet
    }

    /// Tells a person something, unless quiet.
    pub fn tell(&self, text: &str) {
        if !self.is_quiet {
            self.say(text);
        }
    }

    /// Tells a person something that must be said.
    pub fn say(&self, text: &str) {
        // Over the `^C` that a terminal may have put there.
        let start = if self.is_terminal { "\r" } else { "" };
        self.bars.suspend(|| {
            let _ = writeln!(std::io::stderr(), "{start}{text}");
        });
    }

    /// Writes a line for programs.
    pub fn print(&self, line: &str) {
        self.bars.suspend(|| {
            let mut out = std::io::stdout();
            let _ = writeln!(out, "{line}").and_then(|()| out.flush());
        });
    }
}
