//! What becomes of what comes under a name that something else has.

use crate::transfer::keeping::Existing;
use clap::Args;

/// Set for each option: a heading for all that follow would be one for options that are not ours, too.
const HEADING: &str = "Files of the same name";

/// What becomes of it. Without one of these it fails, and what is there stays.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct ExistingOptions {
    /// Replace files that have the same name and other contents. What is the same already is never sent again
    #[arg(long, help_heading = HEADING)]
    pub overwrite: bool,
    /// Leave what has the same name as it is, without looking into it, and go on
    #[arg(long, help_heading = HEADING)]
    pub skip_existing: bool,
    /// Keep both: what comes under a name that something else has gets a number (a-1.txt)
    #[arg(long, help_heading = HEADING)]
    pub rename: bool,
}

impl ExistingOptions {
    /// What was asked for.
    ///
    /// # Errors
    /// Two of them exclude one another; a sentence that says so.
    pub fn choose(self) -> Result<Existing, String> {
        match (self.overwrite, self.skip_existing, self.rename) {
            (false, false, false) => Ok(Existing::Refuse),
            (true, false, false) => Ok(Existing::Overwrite),
            (false, true, false) => Ok(Existing::Skip),
            (false, false, true) => Ok(Existing::Rename),
            _ => {
                Err("--overwrite, --skip-existing and --rename exclude one another; choose one of \
                      them (VOLLEY_OVERWRITE, VOLLEY_SKIP_EXISTING and VOLLEY_RENAME count as well)"
                    .into())
            }
        }
    }
}
