//! What a terminal shows: lines that stay, and below them bars that are drawn again and again.
//!
//! Each row of a bar stays in one line. The cursor stays behind the last one, which is where a terminal shows
//! `^C`: a few columns are left free for that.

use std::io;
use std::os::fd::AsFd;

/// Columns left free: `^C` twice.
const MARGIN: usize = 4;

/// Where the size cannot be had.
const SIZE: (usize, usize) = (80, 24);

/// Something for people.
#[derive(Debug)]
pub(super) enum Word {
    /// Lines that stay, and no bars from now on.
    Last(String),
    /// Lines that stay.
    Text(String),
    /// The rows of all bars as they are now.
    Bars(Vec<String>),
}

/// What stands on the terminal, or comes out of the other end of a pipe, where there are no bars.
#[derive(Debug, Default)]
pub(super) struct Screen {
    bars: Vec<String>,
    /// The columns of each row of bars, the topmost first.
    drawn: Vec<usize>,
    /// Messages of which it has been said that they are missing.
    missing: u64,
    /// There are to be no more bars.
    is_over: bool,
}

impl Screen {
    /// What to write for `word` to be seen, where `dropped` lines have had no room so far.
    pub(super) fn show(&mut self, word: Word, dropped: u64) -> String {
        let (columns, rows) = size();
        let mut bytes = self.erase(columns);
        if dropped > self.missing {
            let missing = dropped - self.missing;
            bytes += &format!("({missing} messages that nobody took are left out here)\n");
            self.missing = dropped;
        }
        match word {
            Word::Text(text) => bytes += &text,
            Word::Bars(bars) if !self.is_over => self.bars = bars,
            Word::Bars(_) => {}
            Word::Last(text) => {
                self.is_over = true;
                self.bars = Vec::new();
                bytes += &text;
            }
        }
        bytes + &self.draw(columns, rows)
    }

    /// Takes the bars away. A terminal that has become narrower shows a row as several.
    fn erase(&mut self, columns: usize) -> String {
        let rows: usize = self.drawn.drain(..).map(|width| width.div_ceil(columns).max(1)).sum();
        match rows {
            0 => String::new(),
            rows => format!("\r\x1b[2K{}", "\x1b[1A\x1b[2K".repeat(rows - 1)),
        }
    }

    fn draw(&mut self, columns: usize, rows: usize) -> String {
        let width = columns.saturating_sub(MARGIN).max(1);
        let fitting = self.bars.iter().map(|row| row.chars().take(width).collect());
        let lines: Vec<String> = fitting.take(rows.saturating_sub(1).max(1)).collect();
        self.drawn = lines.iter().map(|line| line.chars().count()).collect();
        lines.join("\r\n")
    }
}

/// Columns for bars.
pub(super) fn width() -> usize {
    size().0.saturating_sub(MARGIN).max(1)
}

/// Columns for text that is laid out for a stream: those of its terminal, within reason; and as many
/// everywhere for a file.
#[must_use]
pub fn columns(stream: impl AsFd) -> usize {
    let size = rustix::termios::tcgetwinsize(stream);
    size.map_or(80, |size| usize::from(size.ws_col).clamp(60, 120))
}

/// Columns and rows of the terminal that standard error is.
pub(super) fn size() -> (usize, usize) {
    match rustix::termios::tcgetwinsize(io::stderr()) {
        Ok(size) if size.ws_col > 0 => (size.ws_col.into(), size.ws_row.into()),
        _ => SIZE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_take_the_place_of_bars_which_come_again_below() {
        let mut screen = Screen::default();
        let bars = || Word::Bars(vec!["a bar".into(), "another".into()]);
        assert_eq!(screen.show(bars(), 0), "a bar\r\nanother");
        let gone = "\r\x1b[2K\x1b[1A\x1b[2K";
        assert_eq!(
            screen.show(Word::Text("text\n".into()), 0),
            format!("{gone}text\na bar\r\nanother")
        );
        assert_eq!(screen.show(bars(), 0), format!("{gone}a bar\r\nanother"));
        assert_eq!(screen.show(Word::Bars(Vec::new()), 0), gone);
        assert_eq!(screen.show(Word::Text("text\n".into()), 0), "text\n");
        screen.show(bars(), 0);
        assert_eq!(screen.show(Word::Last("last\n".into()), 0), format!("{gone}last\n"));
        assert_eq!(screen.show(bars(), 0), "");
    }

    #[test]
    fn a_row_that_a_narrower_terminal_has_wrapped_is_erased_as_well() {
        let mut screen = Screen { drawn: vec![50, 10], ..Screen::default() };
        assert_eq!(screen.erase(20).matches("\x1b[2K").count(), 4);
        assert_eq!(screen.erase(20), "");
    }

    #[test]
    fn what_is_missing_is_said_once() {
        let mut screen = Screen::default();
        let text = |screen: &mut Screen, dropped| screen.show(Word::Text("text\n".into()), dropped);
        assert_eq!(text(&mut screen, 0), "text\n");
        assert_eq!(text(&mut screen, 3), "(3 messages that nobody took are left out here)\ntext\n");
        assert_eq!(text(&mut screen, 3), "text\n");
        assert!(text(&mut screen, 4).starts_with("(1 "));
    }
}
