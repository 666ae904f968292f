//! Progress bars: indicatif composes them, and the thread that writes the terminal draws the latest of them.
//!
//! A frame of indicatif says how to get from the one before to this one, and its cursor is where that left it. Where
//! nobody takes what is written, frames are dropped; so only the rows of a frame are kept, and `Screen` knows what
//! stands on the terminal.

use super::queue::OutputQueue;
use super::terminal::{self, Word};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};
use std::io;
use std::sync::Mutex;

/// How often bars are drawn again, at most.
const REFRESH_HZ: u8 = 20;

/// Columns of a bar's cells and the space behind them.
const CELLS: usize = 13;

/// Bytes that a frame takes while it waits, about.
const FRAME: usize = 1024;

/// One line of a bar, in several wordings, the longest one first.
pub(super) type Wordings = Vec<String>;

/// Bars on what `queue` leads to.
pub(super) fn on(queue: OutputQueue<Word>) -> MultiProgress {
    let canvas = Canvas { queue, frame: Mutex::default() };
    let target = ProgressDrawTarget::term_like_with_hz(Box::new(canvas), REFRESH_HZ);
    MultiProgress::with_draw_target(target)
}

/// Bars that nobody sees.
pub(super) fn nowhere() -> MultiProgress {
    MultiProgress::with_draw_target(ProgressDrawTarget::hidden())
}

/// Some lines about what goes on, until it is dropped.
#[derive(Debug)]
pub struct Bar {
    all: MultiProgress,
    bar: ProgressBar,
}

impl Bar {
    /// One below the others, which is empty so far.
    pub(super) fn below(all: &MultiProgress) -> Self {
        Self { all: all.clone(), bar: all.add(ProgressBar::no_length()) }
    }

    /// Shows these lines in the place of those before, each in several wordings, the longest one first.
    pub fn show(&self, lines: &[Vec<String>]) {
        self.set("{msg}", lines, terminal::width());
    }

    /// The same, behind cells that show how much of all is done, where there is room for both.
    pub fn show_portion(&self, done: u64, total: u64, lines: &[Vec<String>]) {
        let width = terminal::width();
        self.bar.set_length(total);
        self.bar.set_position(done.min(total));
        // The shortest wordings say too little to be put beside cells.
        let beside = lines.first().and_then(|first| first.get(..first.len().min(3)));
        let has_room =
            beside.is_some_and(|beside| beside.iter().any(|text| columns(text) + CELLS <= width));
        match has_room {
            true => self.set("{bar:12} {msg}", lines, width - CELLS),
            false => self.set("{msg}", lines, width),
        }
    }

    fn set(&self, template: &str, lines: &[Wordings], width: usize) {
        let lines: Vec<String> = lines.iter().map(|wordings| fit(wordings, width)).collect();
        self.bar.set_style(ProgressStyle::with_template(template).expect("a fixed template"));
        self.bar.set_message(lines.join("\n"));
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
        self.all.remove(&self.bar);
    }
}

/// The longest wording that is no wider than that, or what fits of the shortest.
fn fit(wordings: &[String], width: usize) -> String {
    let text = wordings.iter().find(|text| columns(text) <= width).or(wordings.last());
    text.map_or_else(String::new, |text| text.chars().take(width).collect())
}

/// A character is a column wide: bars show no names.
fn columns(text: &str) -> usize {
    text.chars().count()
}

/// What indicatif takes for a terminal.
#[derive(Debug)]
struct Canvas {
    queue: OutputQueue<Word>,
    frame: Mutex<Frame>,
}

#[derive(Debug, Default)]
struct Frame {
    rows: Vec<String>,
    /// How many the one before had.
    rows_before: usize,
}

impl Frame {
    /// Text of lines that are filled up to this width.
    fn put(&mut self, text: &str, width: usize) {
        for c in text.chars().filter(|c| !c.is_control()) {
            match self.rows.last_mut() {
                Some(row) if columns(row) < width => row.push(c),
                _ => self.rows.push(c.into()),
            }
        }
    }

    /// Its rows, and whether there were more of them before; begins another one.
    fn take(&mut self) -> (Vec<String>, bool) {
        let rows = std::mem::take(&mut self.rows);
        let is_shorter = rows.len() < std::mem::replace(&mut self.rows_before, rows.len());
        (rows.iter().map(|row| row.trim_end().to_owned()).collect(), is_shorter)
    }
}

impl TermLike for Canvas {
    fn width(&self) -> u16 {
        u16::try_from(terminal::width()).unwrap_or(u16::MAX)
    }

    fn height(&self) -> u16 {
        u16::try_from(terminal::size().1).unwrap_or(u16::MAX)
    }

    fn move_cursor_up(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_down(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_right(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_left(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.write_str(text)
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.frame.lock().expect("nobody panics while holding it").put(text, terminal::width());
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        let (rows, is_shorter) = self.frame.lock().expect("nobody panics while holding it").take();
        if is_shorter {
            // What is said from now on is said without the bar that is gone.
            self.queue.replace_in_turn(Word::Bars(rows), FRAME);
        } else {
            self.queue.replace(Word::Bars(rows));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_longest_wording_that_fits_and_one_row() {
        let wordings = ["one two three", "one two", "one"].map(str::to_owned);
        for (width, shown) in
            [(100, "one two three"), (12, "one two"), (7, "one two"), (6, "one"), (2, "on")]
        {
            assert_eq!(fit(&wordings, width), shown);
        }
    }

    #[test]
    fn a_frame_is_its_rows_whatever_came_before() {
        let mut frame = Frame::default();
        ["\r", "one", "   ", "two", "   "].iter().for_each(|text| frame.put(text, 6));
        assert_eq!(frame.take(), (vec!["one".to_owned(), "two".to_owned()], false));
        frame.put("three ", 6);
        assert_eq!(frame.take(), (vec!["three".to_owned()], true));
        assert_eq!(frame.take(), (Vec::new(), true));
        assert_eq!(frame.take(), (Vec::new(), false));
    }
}
