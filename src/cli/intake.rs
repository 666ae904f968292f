//! What `volley recv` and `volley get` have in common: where files are taken in, and how they are kept.

use super::args::{IntakeOptions, OutputOptions};
use super::console::Console;
use super::output::Output;
use super::stdout::{self, StandardOutput};
use super::{Stop, manifest};
use crate::base::text::escape_os;
use crate::base::units::show_size;
use crate::net::Interrupt;
use crate::net::part::Reception;
use crate::report::summary::plural;
use crate::transfer::area::Waiting;
use crate::transfer::budget::Budget;
use crate::transfer::directory::Directory;
use crate::transfer::keeping::{Existing, Keeping};
use crate::transfer::manifest::Manifest;
use std::path::Path;
use std::sync::Arc;

/// Where files are taken in.
#[derive(Debug)]
pub(super) struct Intake {
    directory: Arc<Directory>,
    keeping: Keeping,
    takes_hidden: bool,
    /// Where standard output is in place of a directory.
    stream: Option<StandardOutput>,
}

/// The console of a command that takes files into `directory`.
pub(super) fn console(directory: &Path, options: OutputOptions, output: &Output) -> Console {
    match stdout::is_shown(directory) {
        true => Console::without_bars(options.quiet),
        false => output.console(options.quiet),
    }
}

/// How files are kept in a directory.
fn keeping(existing: Existing, options: &IntakeOptions) -> Keeping {
    let (discards, verify) = (options.discard, options.verify);
    Keeping { existing, discards, verify, ..Keeping::default() }
}

impl Intake {
    /// Opens `directory`, or standard output where that is `-`.
    ///
    /// # Errors
    /// Nothing can be received into it, or the options make no sense together.
    pub(super) fn open(
        directory: &Path,
        options: &IntakeOptions,
        interrupt: &Interrupt,
    ) -> Result<Self, Stop> {
        let existing = options.existing.choose().map_err(Stop::Usage)?;
        manifest::check(options.manifest.file.as_deref())?;
        let stream = StandardOutput::meant_by(directory, interrupt)?;
        let directory = match &stream {
            Some(stream) => stream.directory.clone(),
            None => Arc::new(Directory::open(directory)?),
        };
        let manifest = manifest::create(options.manifest.file.as_deref())?;
        let handover = stream.as_ref().map(|stream| stream.handover.clone());
        let keeping = Keeping { manifest, handover, ..keeping(existing, options) };
        Ok(Self { directory, keeping, takes_hidden: options.hidden, stream })
    }

    /// Looks at `directory`, to say what would become of it.
    ///
    /// # Errors
    /// Nothing could be received into it, or the options make no sense together.
    pub(super) fn look(directory: &Path, options: &IntakeOptions) -> Result<Self, Stop> {
        let existing = options.existing.choose().map_err(Stop::Usage)?;
        let directory = Arc::new(Directory::look(directory)?);
        let keeping = keeping(existing, options);
        Ok(Self { directory, keeping, takes_hidden: options.hidden, stream: None })
    }

    /// What the transfers are told of it.
    pub(super) fn reception(&self) -> Reception {
        Reception {
            directory: self.directory.clone(),
            keeping: self.keeping.clone(),
            takes_hidden: self.takes_hidden,
            budget: Budget::default(),
        }
    }

    /// Whether one file is taken, and nothing else.
    pub(super) fn is_stream(&self) -> bool {
        self.stream.is_some()
    }

    /// The list of what is committed.
    pub(super) fn manifest(&self) -> Option<Manifest> {
        self.keeping.manifest.clone()
    }

    /// What a transfer that is told to end leaves behind.
    pub(super) fn kept(&self) -> &'static str {
        match &self.stream {
            Some(stream) => stream.left(),
            None => {
                "what is complete is kept, and of the rest what the same command can go on with"
            }
        }
    }

    /// Where files go, and what is special about that.
    pub(super) fn headlines(&self) -> Vec<String> {
        let free = self.directory.free_space().map(|bytes| format!(" ({} free)", show_size(bytes)));
        let free = free.unwrap_or_default();
        let shown = |path: &Path| escape_os(path);
        if self.is_stream() {
            let path = shown(&std::env::temp_dir());
            return vec![format!(
                "receiving one file for standard output, kept in {path}{free} until it is complete"
            )];
        }
        let mut lines = vec![format!("receiving into {}{free}", shown(self.directory.path()))];
        let Waiting { files, bytes } = self.directory.waiting();
        if files > 0 {
            let files = plural(files, "unfinished file", "unfinished files");
            let size = show_size(bytes);
            lines.push(format!(
                "{files} ({size}) of earlier transfers can be gone on with: by the same command again"
            ));
        }
        if self.keeping.discards {
            lines
                .push("nothing is kept (--discard): what comes is verified and thrown away".into());
        }
        lines
    }
}
