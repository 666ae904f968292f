//! Single keys from the terminal.
//!
//! A terminal hands over whole lines and shows what is typed. While a [`Keyboard`] is held it does
//! neither; Ctrl-C stays a signal. However the program ends, the terminal is as it was before: when
//! the keyboard is dropped, and by [`restore`] where nothing is dropped any more.

use crate::base::time::Duration;
use crate::os::wait::Waiter;
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios};
use rustix::termios::{tcgetattr, tcsetattr};
use std::io;
use std::os::fd::AsFd;
use std::sync::Mutex;

/// How the terminal was.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

/// A key that means something here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// Space or enter.
    Next,
    /// `c`.
    PlayOn,
    /// `q`, or there is no more to read.
    Quit,
}

/// The terminal's keys, one by one.
#[derive(Debug)]
pub struct Keyboard(());

impl Keyboard {
    /// Takes the keys of the terminal that standard input is.
    ///
    /// # Errors
    /// It is no terminal, or does not let itself be changed.
    pub fn take() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut wanted = before.clone();
        wanted.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
        wanted.special_codes[SpecialCodeIndex::VMIN] = 1;
        wanted.special_codes[SpecialCodeIndex::VTIME] = 0;
        *BEFORE.lock().expect("nobody panics while holding it") = Some(before);
        let keyboard = Self(());
        tcsetattr(io::stdin(), OptionalActions::Now, &wanted)?;
        Ok(keyboard)
    }

    /// The next key that means something, unless `patience` ends before.
    ///
    /// # Errors
    /// As the system says.
    pub fn key(&self, patience: Duration) -> io::Result<Option<Key>> {
        let stdin = io::stdin();
        if Waiter::wait_for_some(&[stdin.as_fd()], patience)?.is_empty() {
            return Ok(None);
        }
        let mut byte = [0];
        if rustix::io::read(&stdin, &mut byte)? == 0 {
            return Ok(Some(Key::Quit));
        }
        Ok(meaning(byte[0]))
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        restore();
    }
}

/// Gives the terminal back as it was, if it was taken.
pub fn restore() {
    let before = BEFORE.lock().ok().and_then(|mut before| before.take());
    if let Some(before) = before {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &before);
    }
}

fn meaning(byte: u8) -> Option<Key> {
    /// Ctrl-D.
    const END_OF_TRANSMISSION: u8 = 4;
    match byte {
        b' ' | b'\r' | b'\n' => Some(Key::Next),
        b'c' | b'C' => Some(Key::PlayOn),
        b'q' | b'Q' | END_OF_TRANSMISSION => Some(Key::Quit),
        _ => None,
    }
}
