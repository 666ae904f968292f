//! The terminal that progress bars are drawn on.
//!
//! A terminal shows `^C` where the cursor stands. indicatif fills each line and leaves the cursor
//! behind its last column, from where that would go to the next line, and the bar would then be cleared
//! one line too low. So bars are drawn on a terminal that is a little narrower than the real one.

use indicatif::TermLike;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::Mutex;

/// Columns left free: `^C` twice.
const MARGIN: u16 = 4;

/// Where the size cannot be had.
const SIZE: (u16, u16) = (80, 24);

/// Standard error, as bars see it; written when it is flushed.
#[derive(Debug, Default)]
pub struct Terminal {
    pending: Mutex<Pending>,
}

#[derive(Debug, Default)]
struct Pending {
    bytes: String,
    column: u16,
}

impl Terminal {
    /// Text, with line ends where the narrower terminal would wrap. A character is a column wide: bars
    /// show no names.
    fn put(&self, text: &str) -> io::Result<()> {
        let width = self.width();
        let mut pending = self.pending.lock().expect("nobody panics while holding it");
        for c in text.chars() {
            if matches!(c, '\r' | '\n') {
                pending.column = 0;
            } else {
                if pending.column == width {
                    pending.bytes.push_str("\r\n");
                    pending.column = 0;
                }
                pending.column += 1;
            }
            pending.bytes.push(c);
        }
        Ok(())
    }

    fn order(&self, order: &str) -> io::Result<()> {
        self.pending.lock().expect("nobody panics while holding it").bytes.push_str(order);
        Ok(())
    }

    fn move_cursor(&self, count: usize, direction: char) -> io::Result<()> {
        if count == 0 { Ok(()) } else { self.order(&format!("\x1b[{count}{direction}")) }
    }
}

impl TermLike for Terminal {
    fn width(&self) -> u16 {
        size().0.saturating_sub(MARGIN).max(1)
    }

    fn height(&self) -> u16 {
        size().1
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'A')
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'B')
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'C')
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'D')
    }

    fn write_line(&self, s: &str) -> io::Result<()> {
        self.put(s)?;
        self.put("\n")
    }

    fn write_str(&self, s: &str) -> io::Result<()> {
        self.put(s)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.put("\r")?;
        self.order("\x1b[2K")
    }

    fn flush(&self) -> io::Result<()> {
        let mut pending = self.pending.lock().expect("nobody panics while holding it");
        let bytes = std::mem::take(&mut pending.bytes);
        // indicatif panics where it cannot draw, and a terminal that was closed is no reason to.
        let _ = io::stderr().write_all(bytes.as_bytes());
        Ok(())
    }
}

/// Columns for text that is laid out for a stream: those of its terminal, within reason; and as many
/// everywhere for a file.
#[must_use]
pub fn columns(stream: impl AsFd) -> usize {
    let size = rustix::termios::tcgetwinsize(stream);
    size.map_or(80, |size| usize::from(size.ws_col).clamp(60, 120))
}

/// Columns and rows.
fn size() -> (u16, u16) {
    #[cfg(unix)]
    if let Ok(size) = rustix::termios::tcgetwinsize(io::stderr())
        && size.ws_col > 0
    {
        return (size.ws_col, size.ws_row);
    }
    SIZE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_before_the_margin() {
        let terminal = Terminal::default();
        let width = usize::from(terminal.width());
        terminal.write_str(&"a".repeat(width)).expect("it is kept");
        terminal.write_str("b").expect("it is kept");
        let bytes = terminal.pending.lock().expect("whole").bytes.clone();
        assert_eq!(bytes, format!("{}\r\nb", "a".repeat(width)));
    }
}
