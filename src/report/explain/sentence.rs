//! A sentence and its lines.

use crate::base::time::Instant;
use crate::report::lettering::{printable, wrap};

/// Columns that the time has in front of a sentence.
const TIME_WIDTH: usize = 14;

/// Something said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sentence {
    /// When it happened.
    pub at: Instant,
    /// What happened, and why.
    pub text: String,
}

impl Sentence {
    /// The sentence behind its time, in lines of at most `width` columns (at least 40 are used).
    #[must_use]
    pub fn lines(&self, width: usize) -> Vec<String> {
        let ms = self.at.since(Instant::ZERO).as_secs_f64() * 1e3;
        let width = width.max(40) - TIME_WIDTH;
        let lines = wrap(&printable(&self.text), width).into_iter().enumerate();
        lines
            .map(|(number, line)| match number {
                0 => format!("{ms:>9.1} ms  {line}"),
                _ => format!("{:TIME_WIDTH$}{line}", ""),
            })
            .collect()
    }
}

/// What is told, above the sentences.
#[must_use]
pub fn head(title: &str, width: usize) -> Vec<String> {
    let mut head = wrap(&printable(title), width.max(40));
    head.push(String::new());
    head
}
