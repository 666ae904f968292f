//! Shows what happened step by step: all at once, a key for each step, or in slow motion.

use super::Stop;
use super::console::Console;
use super::keyboard::{Key, Keyboard};
use crate::base::text::show_error;
use crate::base::time::{Duration, Instant};
use crate::net::Interrupt;
use crate::os::clock::Clock;
use crate::os::wait::Waiter;
use crate::transfer::outcome::{Failure, Reason};
use std::io::{self, IsTerminal};

/// Between two looks at whether somebody wants it to end.
const LOOK: Duration = Duration::from_millis(50);

/// What the keys do, in one line.
const KEYS: &str = "space or enter: the next event   c: play on   q: quit";

/// The lines that one event adds.
pub type Step = (Instant, Vec<String>);

/// How the steps follow one another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// A key for each.
    pub by_key: bool,
    /// Virtual time takes that many times as long; all at once without one.
    pub slowdown: Option<f64>,
}

/// Shows steps.
#[derive(Debug)]
pub struct Player<'a> {
    console: Console,
    interrupt: &'a Interrupt,
    slowdown: Option<f64>,
    keyboard: Option<Keyboard>,
    /// Slow motion: what the clock showed and when that was in virtual time.
    anchor: Option<(Clock, Instant)>,
}

impl<'a> Player<'a> {
    /// A player; takes the terminal's keys if it needs them.
    ///
    /// # Errors
    /// There is no terminal for keys.
    pub fn new(pace: Pace, interrupt: &'a Interrupt) -> Result<Self, Stop> {
        let console = Console::plain();
        let mut keyboard = None;
        if pace.by_key {
            if !(io::stdin().is_terminal() && io::stdout().is_terminal()) {
                let text = "--step waits for keys and needs a terminal for input and output; \
                            --slow 100x plays without keys";
                return Err(Stop::Usage(text.into()));
            }
            keyboard = Some(Keyboard::take().map_err(|error| no_keys(&error))?);
            console.say(KEYS);
        }
        Ok(Self { console, interrupt, slowdown: pace.slowdown, keyboard, anchor: None })
    }

    /// Shows all steps; says whether somebody has had enough of them.
    ///
    /// # Errors
    /// It was interrupted.
    pub fn play(&mut self, head: &[String], steps: &[Step]) -> Result<bool, Stop> {
        if !head.is_empty() {
            self.console.print(&head.join("\n"))?;
        }
        self.anchor = None;
        for (at, lines) in steps {
            if self.wait(*at)? {
                return Ok(true);
            }
            self.console.print(&lines.join("\n"))?;
        }
        Ok(false)
    }

    /// Waits until what happens at that moment is to be shown; says whether somebody wants to quit.
    fn wait(&mut self, at: Instant) -> Result<bool, Stop> {
        while let Some(keyboard) = &self.keyboard {
            self.look()?;
            match keyboard.key(LOOK).map_err(|error| no_keys(&error))? {
                Some(Key::Next) => return Ok(false),
                Some(Key::Quit) => return Ok(true),
                Some(Key::PlayOn) => self.keyboard = None,
                None => {}
            }
        }
        let Some(slowdown) = self.slowdown else { return Ok(false) };
        let (clock, start) = *self.anchor.get_or_insert_with(|| (Clock::start(), at));
        let due = Instant::ZERO + at.since(start).mul_f64(slowdown);
        while clock.now() < due {
            self.look()?;
            let left = due.since(clock.now()).min(LOOK);
            // With nothing to wait for, only time passes.
            let _ = Waiter::wait_for_some(&[], left);
        }
        Ok(false)
    }

    fn look(&self) -> Result<(), Stop> {
        self.interrupt.failure().map_or(Ok(()), |failure| Err(failure.into()))
    }
}

fn no_keys(error: &io::Error) -> Stop {
    let text = format!("cannot read keys from the terminal: {}", show_error(error));
    Failure::new(Reason::Other, text).into()
}
