//! Files that a command writes where its user says. That may be a pipe that nobody reads: then whoever writes
//! waits, unless the end is ordered.

use super::console::{self, is_ordered_to_end};
use super::queue::{OutputQueue, WAITING_MAX, Worth};
use crate::base::text::{escape_os, show_error};
use crate::transfer::outcome::{Failure, Reason};
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

/// Bytes that wait for whoever reads, before whoever writes does.
const AHEAD: usize = 1 << 20;

/// Whether opening or writing it may have to wait for somebody else: a pipe or a device.
pub(super) fn may_stand_still(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
}

/// The file at `path`, made anew.
///
/// # Errors
/// As the system says.
pub(super) fn create(path: &Path) -> io::Result<Box<dyn Write>> {
    if !may_stand_still(path) {
        return Ok(Box::new(File::create(path)?));
    }
    let path = path.to_owned();
    Ok(Box::new(Patient::start(move || open(&path))?))
}

/// Standard output, for what a command is for.
///
/// # Errors
/// The system has no thread to spare.
pub(super) fn stdout() -> io::Result<Box<dyn Write>> {
    Ok(Box::new(Patient::start(|| Ok(console::stdout()))?))
}

/// Writes a file.
///
/// # Errors
/// It cannot be written, or the end is ordered.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let written = create(path).and_then(|mut out| {
        out.write_all(bytes)?;
        out.flush()
    });
    written.map_err(|error| cannot_write(path, &error))
}

/// Why it is not written: it cannot be, or nobody took it before the end was ordered.
pub(super) fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    console::order().unwrap_or_else(|| {
        let (path, said) = (escape_os(path), show_error(error));
        Failure::new(Reason::Other, format!("cannot write {path}: {said}"))
    })
}

fn open(path: &Path) -> io::Result<File> {
    File::options().write(true).open(path)
}

/// Waits for whoever reads.
struct Patient(OutputQueue<Vec<u8>>);

impl Patient {
    fn start<W: Write + AsFd>(
        open: impl FnOnce() -> io::Result<W> + Send + 'static,
    ) -> io::Result<Self> {
        OutputQueue::start(open, AHEAD, |bytes, _| bytes).map(Self)
    }
}

impl Write for Patient {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.put_patiently(bytes.to_vec(), bytes.len(), is_ordered_to_end)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush_unless(is_ordered_to_end)
    }
}

/// Waits for nobody until all is to be flushed, and then not for long.
#[derive(Debug)]
pub(super) struct Impatient(OutputQueue<Vec<u8>>);

impl Impatient {
    /// Opens what is at `path` when somebody else lets it.
    ///
    /// # Errors
    /// The system has no thread to spare.
    pub(super) fn start(path: PathBuf) -> io::Result<Self> {
        OutputQueue::start(move || open(&path), WAITING_MAX, |bytes, _| bytes).map(Self)
    }
}

impl Write for Impatient {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.put(bytes.to_vec(), bytes.len(), Worth::Passing);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.0.flush(console::patience()) {
            Err(error) if error.kind() == ErrorKind::TimedOut => {
                Err(io::Error::new(error.kind(), "nobody reads it"))
            }
            Ok(()) if self.0.dropped() > 0 => {
                Err(io::Error::new(ErrorKind::TimedOut, "it was read too slowly"))
            }
            flushed => flushed,
        }
    }
}
