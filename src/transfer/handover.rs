//! The one file that is handed over, as to standard output, in place of getting a name in the directory:
//! all of it once it is verified, or nothing.

use super::name::TreePath;
use super::outcome::{Failure, Reason};
use std::fmt;
use std::fs::File;
use std::sync::{Arc, Mutex};

/// Takes the file, which the sender calls by that path, and says what became of it.
type Take = Box<dyn FnOnce(&TreePath, &File) -> Result<(), Failure> + Send>;

/// Who takes one file, whichever transfer has it first.
#[derive(Clone)]
pub struct Handover(Arc<Mutex<Option<Take>>>);

impl Handover {
    /// `take` has no file yet. It runs where it may block: its transfer waits, and no other.
    pub fn new(
        take: impl FnOnce(&TreePath, &File) -> Result<(), Failure> + Send + 'static,
    ) -> Self {
        Self(Arc::new(Mutex::new(Some(Box::new(take)))))
    }

    /// Hands the file over; it is committed once that is done.
    pub(super) fn give(&self, path: &TreePath, file: &File) -> Result<(), Failure> {
        let take = self.0.lock().expect("nobody panics while holding it").take();
        let take = take.ok_or_else(|| {
            let text = "the receiver was started for one file, and has had another sender's";
            Failure::new(Reason::Refused, text)
        })?;
        take(path, file)
    }
}

impl fmt::Debug for Handover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handover").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn the_first_file_is_handed_over_and_no_other() {
        let (tell, told) = channel();
        let handover = Handover::new(move |path, _| {
            tell.send(path.clone()).expect("it listens");
            Ok(())
        });
        let path = TreePath::parse("a").expect("a path");
        let file = tempfile::tempfile().expect("room");
        handover.give(&path, &file).expect("the first");
        let second = handover.give(&path, &file).expect_err("one only");
        assert_eq!(second.reason, Reason::Refused);
        assert_eq!(told.iter().count(), 1);
    }
}
