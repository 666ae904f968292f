//! `--manifest FILE`: a list of the files that are committed.

use super::Stop;
use super::console::{self, Console};
use super::files::{self, Impatient};
use crate::transfer::manifest::Manifest;
use std::path::Path;

/// Fails where the file can be meant for none.
///
/// # Errors
/// A sentence that says why.
pub fn check(file: Option<&Path>) -> Result<(), Stop> {
    match file {
        Some(file) if file == Path::new("-") => Err(Stop::Usage(
            "--manifest wants a file; /dev/stdout is standard output, and ./- a file of that name"
                .into(),
        )),
        _ => Ok(()),
    }
}

/// Begins the list, if one is wanted. What was there is gone then: to be done last, when nothing else can keep
/// the command from its work.
///
/// # Errors
/// It cannot be written there.
pub fn create(file: Option<&Path>) -> Result<Option<Manifest>, Stop> {
    let create = |file: &Path| {
        if !files::may_stand_still(file) {
            return Manifest::create(file);
        }
        let out = Impatient::start(file.to_owned()).map_err(|error| console::no_thread(&error))?;
        Ok(Manifest::written_to(out, file))
    };
    Ok(file.map(create).transpose()?)
}

/// Completes the list, whatever was `done`. A list that lacks a file is a failure, though the file is there.
///
/// # Errors
/// What was done failed, or the list is not complete.
pub fn finish(
    manifest: Option<&Manifest>,
    console: &Console,
    done: Result<(), Stop>,
) -> Result<(), Stop> {
    let Some(Err(failure)) = manifest.map(Manifest::finish) else {
        return done;
    };
    console.say(&format!("error: {}", failure.text));
    done.and(Err(Stop::Told(failure.reason)))
}
