//! `-` among what is to be sent: standard input. All of it is kept in a file without a name before
//! anything is sent, since its size is not known before its end; the room in the directory for temporary
//! files is what bounds it.

use super::Stop;
use super::console::Console;
use super::progress::Gauge;
use super::scratch::Scratch;
use crate::base::text::{escape_os, show_error};
use crate::base::time::Duration;
use crate::base::units::show_size;
use crate::net::Interrupt;
use crate::os::streams::was_closed;
use crate::os::wait::Waiter;
use crate::transfer::name::TreePath;
use crate::transfer::outcome::{Failure, Reason};
use crate::transfer::spool::Spool;
use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

/// What stands for standard input.
pub const WORD: &str = "-";

/// What it is called at the receiver, unless `--name` says otherwise.
const NAME: &str = "stdin";

/// Bytes read at a time.
const CHUNK: usize = 256 << 10;

/// Between two looks at the interrupt.
const PATIENCE: Duration = Duration::from_millis(100);

/// Takes `-` out of the paths; says what to call standard input, if it is to be sent.
///
/// # Errors
/// It stands there twice, is closed or a terminal, or there is a name and nothing to be called so.
pub fn take(paths: &mut Vec<PathBuf>, name: Option<&TreePath>) -> Result<Option<TreePath>, Stop> {
    let before = paths.len();
    paths.retain(|path| path != Path::new(WORD));
    match (before - paths.len(), name) {
        (0, None) => Ok(None),
        (0, Some(_)) => Err(Stop::Usage(
            "--name is what standard input is called at the receiver, and it is not to be sent; leave \
             --name away (VOLLEY_NAME counts as well), or write - for standard input"
                .into(),
        )),
        (1, _) if was_closed(io::stdin()) => Err(Failure::new(
            Reason::Source,
            "standard input is closed (or /dev/null, open for reading and writing); to send an empty \
             file, write < /dev/null",
        )
        .into()),
        (1, _) if io::stdin().is_terminal() => Err(Stop::Usage(
            "standard input is a terminal; pipe into it what is to be sent, as in \
             `tar c DIR | volley send - HOST`, or type it with `cat | volley send - HOST`"
                .into(),
        )),
        (1, name) => {
            let usual = || TreePath::parse(NAME).expect("a plain name");
            Ok(Some(name.cloned().unwrap_or_else(usual)))
        }
        _ => Err(Stop::Usage("standard input can be sent once; write - once".into())),
    }
}

/// Fails where standard input is among the paths of a plan.
///
/// # Errors
/// It is: what it holds would be gone.
pub fn refuse_plan(paths: &[PathBuf]) -> Result<(), Stop> {
    if paths.iter().all(|path| path != Path::new(WORD)) {
        return Ok(());
    }
    Err(Stop::Usage(
        "standard input can be read once, and --dry-run would have nothing left of it to send; leave \
         --dry-run away, or -"
            .into(),
    ))
}

/// Reads standard input to its end, in view of a bar.
///
/// # Errors
/// It cannot be read, there is no room for it, or the interrupt came first.
pub fn spool(name: TreePath, console: &Console, interrupt: &Interrupt) -> Result<Spool, Failure> {
    let unreadable = |error: &io::Error| {
        let text = format!("cannot read standard input: {}", show_error(error));
        Failure::new(Reason::Source, text)
    };
    let mut input = io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .map(File::from)
        .map_err(|error| unreadable(&error))?;
    let mut file = Scratch::make()
        .and_then(|scratch| scratch.nameless_file())
        .map_err(|error| no_room(0, &error))?;
    let mut gauge = Gauge::new(console, "reading standard input".into());
    let mut buffer = vec![0; CHUNK];
    let mut read = 0;
    loop {
        if let Some(Failure { reason, text }) = interrupt.failure() {
            return Err(Failure::new(reason, format!("{text}; nothing has been sent")));
        }
        gauge.update(read);
        // A pipe may have nothing for as long as it likes.
        let ready = Waiter::wait_for_some(&[input.as_fd()], PATIENCE);
        if ready.map_err(|error| unreadable(&error))?.is_empty() {
            continue;
        }
        match input.read(&mut buffer) {
            Ok(0) => return Ok(Spool::new(name, file)),
            Ok(len) => {
                file.write_all(&buffer[..len]).map_err(|error| no_room(read, &error))?;
                read += len as u64;
            }
            Err(error) if is_passing(&error) => {}
            Err(error) => return Err(unreadable(&error)),
        }
    }
}

/// Whether another try may succeed: somebody else may have made the stream one that does not wait.
pub(super) fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock)
}

/// Why what was read cannot be kept.
fn no_room(read: u64, error: &io::Error) -> Failure {
    let directory = escape_os(std::env::temp_dir());
    let (said, read) = (show_error(error), show_size(read));
    let reason = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            Reason::Full
        }
        _ => Reason::Other,
    };
    let text = format!(
        "cannot keep standard input in {directory} until it is sent: {said}, after {read}; make room \
         there, name another directory with TMPDIR, or write it to a file and send that"
    );
    Failure::new(reason, text)
}
