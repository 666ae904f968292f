//! A bounded number of open files, for transfers of more files than a process may have open.

use std::collections::VecDeque;
use std::io;

/// Far below the 256 that the strictest systems allow a process, and enough for the files that share
/// a window.
pub(super) const OPEN_MAX: usize = 32;

/// The files used last.
#[derive(Debug)]
pub struct OpenFiles<F> {
    opened: VecDeque<(u32, F)>,
    max: usize,
}

impl<F> Default for OpenFiles<F> {
    fn default() -> Self {
        Self { opened: VecDeque::new(), max: OPEN_MAX }
    }
}

impl<F> OpenFiles<F> {
    /// From now on so many of them, at least one and at most the usual number.
    pub fn limit(&mut self, max: usize) {
        self.max = max.clamp(1, OPEN_MAX);
    }

    /// The file of that index; opened if it is not, in the place of the one used longest ago.
    ///
    /// # Errors
    /// As `open` says.
    pub fn get(&mut self, index: u32, open: impl FnOnce() -> io::Result<F>) -> io::Result<&F> {
        let place = self.opened.iter().position(|(held, _)| *held == index);
        let entry = match place.and_then(|place| self.opened.remove(place)) {
            Some(entry) => entry,
            None => {
                self.opened.truncate(self.max - 1);
                (index, open()?)
            }
        };
        self.opened.push_front(entry);
        Ok(&self.opened[0].1)
    }

    /// Closes the file of that index.
    pub fn close(&mut self, index: u32) {
        self.opened.retain(|(held, _)| *held != index);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn the_file_used_longest_ago_makes_room() {
        let opened = Cell::new(0);
        let open = || {
            opened.set(opened.get() + 1);
            tempfile::tempfile()
        };
        let mut files = OpenFiles::default();
        let most = u32::try_from(OPEN_MAX).expect("few");
        for index in 0..most {
            files.get(index, open).expect("a file");
        }
        files.get(0, open).expect("still open");
        assert_eq!(opened.get(), OPEN_MAX);
        files.get(most, open).expect("a file");
        files.get(0, open).expect("still open");
        assert_eq!((opened.get(), files.opened.len()), (OPEN_MAX + 1, OPEN_MAX));
        files.get(1, open).expect("opened again");
        assert_eq!(opened.get(), OPEN_MAX + 2);
        files.close(1);
        assert_eq!(files.opened.len(), OPEN_MAX - 1);
    }
}
