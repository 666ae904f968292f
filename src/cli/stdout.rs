//! `-` in place of a directory: standard output gets the one file that is received, once it is verified.

use super::Stop;
use super::args::{IntakeOptions, OutputOptions};
use super::scratch::Scratch;
use super::stdin::is_passing;
use crate::base::text::{escape_os, show_error};
use crate::base::time::Duration;
use crate::net::Interrupt;
use crate::os::streams::was_closed;
use crate::os::wait::Waiter;
use crate::transfer::directory::Directory;
use crate::transfer::handover::Handover;
use crate::transfer::name::TreePath;
use crate::transfer::outcome::{Failure, Reason};
use crate::transfer::positioned::read_exact_at;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What stands for standard output.
pub const WORD: &str = "-";

/// What is shown on a terminal may be this long, at most.
const SHOWN_MAX: u64 = 1 << 20;

/// Bytes that a pipe takes at once if it has any room (PIPE_BUF in pipe(7)): it never keeps us waiting.
const PIECE: usize = 4096;

/// Bytes written to a file at a time.
const CHUNK: usize = 256 << 10;

/// Between two looks at the interrupt.
const PATIENCE: Duration = Duration::from_millis(100);

/// Where the file is kept until it is complete, and where it goes then.
#[derive(Debug)]
pub struct StandardOutput {
    /// Private, for the time of the command.
    pub directory: Arc<Directory>,
    /// What takes the file.
    pub handover: Handover,
    has_part: Arc<AtomicBool>,
    _scratch: Scratch,
}

impl StandardOutput {
    /// What `directory` stands for, if that is standard output.
    ///
    /// # Errors
    /// There is no room for temporary files, or standard output is closed.
    pub fn meant_by(directory: &Path, interrupt: &Interrupt) -> Result<Option<Self>, Failure> {
        if !is_meant(directory) {
            return Ok(None);
        }
        if was_closed(io::stdout()) {
            let text = "standard output is closed (or /dev/null, open for reading and writing); to throw the \
                        file away, write > /dev/null";
            return Err(Failure::new(Reason::Other, text));
        }
        let cannot = |error: io::Error| {
            let text = format!(
                "cannot keep a file in {} until it is complete: {}; make room there, or name another \
                 directory with TMPDIR",
                escape_os(std::env::temp_dir()),
                show_error(&error)
            );
            Failure::new(Reason::Other, text)
        };
        let scratch = Scratch::make().map_err(cannot)?;
        let directory = Arc::new(Directory::open(scratch.path())?);
        let stdout = io::stdout();
        let stream = stdout.as_fd().try_clone_to_owned().map(File::from).map_err(cannot)?;
        let has_part: Arc<AtomicBool> = Arc::default();
        let is_terminal = stdout.is_terminal();
        let mut writer = Writer {
            stream,
            is_terminal,
            interrupt: interrupt.clone(),
            has_part: has_part.clone(),
        };
        let handover = Handover::new(move |path, file| writer.write(path, file));
        Ok(Some(Self { directory, handover, has_part, _scratch: scratch }))
    }

    /// What an interrupt has left.
    #[must_use]
    pub fn left(&self) -> &'static str {
        match self.has_part.load(Ordering::Relaxed) {
            true => "standard output may have a part of the file: do not use it",
            false => "standard output has a complete file or nothing",
        }
    }
}

/// Whether `directory` stands for standard output.
#[must_use]
pub fn is_meant(directory: &Path) -> bool {
    directory == Path::new(WORD)
}

/// Whether `directory` stands for standard output and that is a terminal, where a bar would be in the way.
#[must_use]
pub fn is_shown(directory: &Path) -> bool {
    is_meant(directory) && io::stdout().is_terminal()
}

/// Fails where an option asks for what cannot be had of standard output.
///
/// # Errors
/// A sentence that says which.
pub fn refuse_options(
    directory: &Path,
    intake: &IntakeOptions,
    output: OutputOptions,
) -> Result<(), Stop> {
    if !is_meant(directory) {
        return Ok(());
    }
    let unfit = [
        (output.json, "--json", "it is for the file then"),
        (output.jsonl, "--jsonl", "it is for the file then"),
        (intake.existing.overwrite, "--overwrite", "there is no file in its way"),
        (intake.existing.skip_existing, "--skip-existing", "there is no file in its way"),
        (intake.existing.rename, "--rename", "there is no file in its way"),
        (intake.discard, "--discard", "what is thrown away is not written"),
        (intake.verify, "--verify", "nothing is kept on a disk"),
        (intake.hidden, "--hidden", "there names do not matter"),
    ];
    match unfit.iter().find(|(is_given, ..)| *is_given) {
        Some((_, option, why)) => Err(Stop::Usage(format!(
            "{option} cannot be had where - is standard output: {why}; leave {option} away, or name a \
             directory"
        ))),
        None => Ok(()),
    }
}

/// What writes the file.
#[derive(Debug)]
struct Writer {
    stream: File,
    /// People read it, and a terminal obeys what is written to it.
    is_terminal: bool,
    interrupt: Interrupt,
    /// Some of the file is written, and not all of it.
    has_part: Arc<AtomicBool>,
}

impl Writer {
    /// Writes the whole file; to stable storage where that is a file itself.
    fn write(&mut self, path: &TreePath, file: &File) -> Result<(), Failure> {
        if self.is_terminal {
            check_plain(path, file)?;
        }
        let is_file = self.stream.metadata().is_ok_and(|metadata| metadata.is_file());
        let copied = self.copy(file, if is_file { CHUNK } else { PIECE });
        let copied = copied.and_then(|()| if is_file { self.stream.sync_all() } else { Ok(()) });
        copied.map_err(|error| unwritable(path, &error))?;
        self.has_part.store(false, Ordering::Relaxed);
        Ok(())
    }

    fn copy(&mut self, file: &File, piece_len: usize) -> io::Result<()> {
        let size = file.metadata()?.len();
        let mut piece = vec![0; piece_len];
        let mut at = 0;
        while at < size {
            let len = usize::try_from(size - at).unwrap_or(piece_len).min(piece_len);
            read_exact_at(file, &mut piece[..len], at)?;
            self.put(&piece[..len])?;
            at += len as u64;
        }
        Ok(())
    }

    /// Writes all bytes. Whoever reads them may take as long as they like.
    fn put(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            if self.interrupt.get().is_some() {
                return Err(io::Error::new(io::ErrorKind::Interrupted, "interrupted"));
            }
            if !Waiter::wait_writable(&self.stream, PATIENCE)? {
                continue;
            }
            match self.stream.write(bytes) {
                Ok(written) => {
                    self.has_part.store(true, Ordering::Relaxed);
                    bytes = &bytes[written..];
                }
                Err(error) if is_passing(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
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
        io::ErrorKind::Interrupted => (Reason::Interrupted, "; start it again, then send again"),
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
    use std::io::Read;
    use std::os::fd::OwnedFd;

    fn file(contents: &[u8]) -> File {
        let mut file = tempfile::tempfile().expect("room");
        file.write_all(contents).expect("room");
        file
    }

    /// What is written of a file to a stream, unless it is refused.
    fn written(contents: &[u8], is_terminal: bool) -> Result<Vec<u8>, Failure> {
        let (mut reader, writer) = io::pipe().expect("a pipe");
        let stream = OwnedFd::from(writer).into();
        let (interrupt, has_part) = (Interrupt::default(), Arc::default());
        let mut writer = Writer { stream, is_terminal, interrupt, has_part };
        let done = writer.write(&TreePath::parse("a").expect("a path"), &file(contents));
        assert!(!writer.has_part.load(Ordering::Relaxed));
        drop(writer);
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).expect("a pipe");
        assert!(done.is_ok() || bytes.is_empty());
        done.map(|()| bytes)
    }

    #[test]
    fn a_terminal_gets_text_and_nothing_that_it_would_obey() {
        for plain in [&b"Gr\xc3\xbc\xc3\x9fe\n\tyou\n"[..], b""] {
            assert_eq!(written(plain, true).as_deref(), Ok(plain));
        }
        for obeyed in [&b"a\x1b[2J"[..], b"a\0", b"\xff\xfe", b"\xc2\x9b2J", b"\x07"] {
            assert_eq!(written(obeyed, true).expect_err("refused").reason, Reason::Refused);
            assert_eq!(written(obeyed, false).as_deref(), Ok(obeyed));
        }
        let long = vec![b'a'; usize::try_from(SHOWN_MAX).expect("small") + 1];
        assert!(written(&long, true).expect_err("refused").text.contains("too long"));
    }
}
