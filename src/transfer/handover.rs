//! The one file that goes to a stream, such as standard output, in place of a directory: all of it once it
//! is verified, or nothing.

use super::name::TreePath;
use super::outcome::{Failure, Reason};
use super::positioned::read_exact_at;
use crate::base::text::show_error;
use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex};

/// What is shown on a terminal may be this long, at most.
const SHOWN_MAX: u64 = 1 << 20;

/// A stream that takes one file, whichever transfer has it first.
#[derive(Clone, Debug)]
pub struct Handover {
    /// Until it has its file.
    stream: Arc<Mutex<Option<File>>>,
    /// People read it, and a terminal obeys what is written to it.
    is_terminal: bool,
}

impl Handover {
    /// A stream that has no file yet.
    #[must_use]
    pub fn new(stream: File, is_terminal: bool) -> Self {
        Self { stream: Arc::new(Mutex::new(Some(stream))), is_terminal }
    }

    /// Writes the file, which the sender calls `path`; on stable storage where the stream leads to a file.
    /// Waits for whoever reads it.
    pub(super) fn give(&self, path: &TreePath, file: &File) -> Result<(), Failure> {
        if self.is_terminal {
            check_plain(path, file)?;
        }
        let mut stream = self.stream.lock().expect("nobody panics while holding it");
        let Some(mut stream) = stream.take() else {
            let text = "the receiver's standard output has had another sender's file";
            return Err(Failure::new(Reason::Refused, text));
        };
        let mut file = file;
        let copied = io::copy(&mut file, &mut stream).and_then(|_| sync(&stream));
        copied.map_err(|error| unwritable(path, &error))
    }
}

fn sync(stream: &File) -> io::Result<()> {
    if stream.metadata()?.is_file() { stream.sync_all() } else { Ok(()) }
}

/// Fails unless the file is text that no terminal mistakes for orders.
fn check_plain(path: &TreePath, file: &File) -> Result<(), Failure> {
    let refused = |what: &str| {
        let text = format!(
            "\"{path}\" is {what}, and the receiver's standard output is a terminal; start it again with \
             its output in a file or a pipe, then send again"
        );
        Err(Failure::new(Reason::Refused, text))
    };
    let size = file.metadata().map_err(|error| unwritable(path, &error))?.len();
    if size > SHOWN_MAX {
        return refused("too long to be read there");
    }
    let mut bytes = vec![0; usize::try_from(size).expect("short")];
    read_exact_at(file, &mut bytes, 0).map_err(|error| unwritable(path, &error))?;
    let is_plain = |c: char| !c.is_control() || matches!(c, '\n' | '\t');
    match std::str::from_utf8(&bytes) {
        Ok(text) if text.chars().all(is_plain) => Ok(()),
        _ => refused("no plain text"),
    }
}

fn unwritable(path: &TreePath, error: &io::Error) -> Failure {
    let (reason, advice) = match error.kind() {
        io::ErrorKind::BrokenPipe => (Reason::Other, "; nobody reads it any more"),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            (Reason::Full, "; make room there and send again")
        }
        _ => (Reason::Other, ""),
    };
    let said = show_error(error);
    let text = format!("cannot write \"{path}\" to the receiver's standard output: {said}{advice}");
    Failure::new(reason, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    fn file(contents: &[u8]) -> File {
        let mut file = tempfile::tempfile().expect("room");
        file.write_all(contents).expect("room");
        // As a partial file that is opened again.
        io::Seek::rewind(&mut file).expect("a file");
        file
    }

    fn path() -> TreePath {
        TreePath::parse("a").expect("a path")
    }

    #[test]
    fn the_first_file_is_written_and_no_other() {
        let (mut reader, writer) = io::pipe().expect("a pipe");
        let handover = Handover::new(std::os::fd::OwnedFd::from(writer).into(), false);
        handover.give(&path(), &file(b"first \x1b[2J")).expect("the first");
        let second = handover.give(&path(), &file(b"second")).expect_err("one only");
        assert_eq!(second.reason, Reason::Refused);
        drop(handover);
        let mut written = Vec::new();
        reader.read_to_end(&mut written).expect("a pipe");
        assert_eq!(written, b"first \x1b[2J");
    }

    #[test]
    fn a_terminal_gets_text_and_nothing_that_it_would_obey() {
        for (contents, is_shown) in [
            (&b"Gr\xc3\xbc\xc3\x9fe\n\tyou\n"[..], true),
            (b"", true),
            (b"a\x1b[2J", false),
            (b"a\0", false),
            (b"\xff\xfe", false),
            (b"\xc2\x9b2J", false),
            (b"\x07", false),
        ] {
            let (mut reader, writer) = io::pipe().expect("a pipe");
            let handover = Handover::new(std::os::fd::OwnedFd::from(writer).into(), true);
            let given = handover.give(&path(), &file(contents));
            assert_eq!(given.is_ok(), is_shown, "{contents:?}");
            drop(handover);
            let mut written = Vec::new();
            reader.read_to_end(&mut written).expect("a pipe");
            assert_eq!(written, if is_shown { contents } else { b"" });
        }
        let handover = Handover::new(file(b""), true);
        let long = vec![b'a'; usize::try_from(SHOWN_MAX).expect("small") + 1];
        handover.give(&path(), &file(&long)).expect_err("nobody reads that");
    }
}
