//! Where words go: standard error for people, standard output for programs. A closed stream is no
//! reason to fail.

use indicatif::{MultiProgress, ProgressDrawTarget};
use std::io::{IsTerminal, Write};

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
        let is_terminal = std::io::stderr().is_terminal();
        let target = if is_quiet || !is_terminal {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr()
        };
        Self { bars: MultiProgress::with_draw_target(target), is_quiet, is_terminal }
    }

    /// A console without bars.
    #[must_use]
    pub fn plain() -> Self {
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::hidden());
        Self { bars, is_quiet: false, is_terminal: false }
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
        self.bars.suspend(|| {
            let _ = writeln!(std::io::stderr(), "{text}");
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
