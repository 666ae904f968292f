//! `-` in place of a directory: standard output gets the one file that is received, once it is verified.

use super::Stop;
use super::args::{IntakeOptions, OutputOptions};
use super::scratch::Scratch;
use crate::base::text::show_error;
use crate::transfer::directory::Directory;
use crate::transfer::handover::Handover;
use crate::transfer::outcome::{Failure, Reason};
use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;

/// What stands for standard output.
pub const WORD: &str = "-";

/// Where the file is kept until it is complete, and where it goes then.
#[derive(Debug)]
pub struct StandardOutput {
    /// Private, for the time of the command.
    pub directory: Arc<Directory>,
    /// What takes the file.
    pub handover: Handover,
    _scratch: Scratch,
}

impl StandardOutput {
    /// What `directory` stands for, if that is standard output.
    ///
    /// # Errors
    /// There is no room for temporary files, or standard output is closed.
    pub fn meant_by(directory: &Path) -> Result<Option<Self>, Failure> {
        if !is_meant(directory) {
            return Ok(None);
        }
        let cannot = |error: io::Error| {
            let text = format!(
                "cannot keep a file in {} until it is complete: {}; make room there, or name another \
                 directory with TMPDIR",
                crate::base::text::escape(&std::env::temp_dir().to_string_lossy()),
                show_error(&error)
            );
            Failure::new(Reason::Other, text)
        };
        let scratch = Scratch::make().map_err(cannot)?;
        let directory = Arc::new(Directory::open(scratch.path())?);
        let stdout = io::stdout();
        let stream = stdout.as_fd().try_clone_to_owned().map(File::from).map_err(cannot)?;
        let handover = Handover::new(stream, stdout.is_terminal());
        Ok(Some(Self { directory, handover, _scratch: scratch }))
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
