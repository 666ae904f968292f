//! What of directories `volley send` sends.

use crate::transfer::rules::Rules;
use crate::transfer::walk::{Links, Selection};
use clap::Args;
use std::path::PathBuf;

/// What of directories goes.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Directories")]
pub struct TreeOptions {
    /// Leave out files and directories that match. A glob without a slash is compared with names at any
    /// depth ('*.tmp', node_modules), one with a slash with the path from the directory that is sent
    /// on ('photos/raw/*.nef'); * and ? stop at slashes, ** does not. Can be given more than once
    #[arg(long, value_name = "GLOB")]
    pub exclude: Vec<String>,
    /// Of directories, send only files that match (and what --exclude leaves of them), and no directories
    /// without such files. Can be given more than once
    #[arg(long, value_name = "GLOB")]
    pub include: Vec<String>,
    /// Send symbolic links as links, where they lead to what lies below the receiver's directory; without
    /// this and --copy-links they are left out, and counted
    #[arg(long)]
    pub links: bool,
    /// Send what symbolic links lead to, wherever that is
    #[arg(long)]
    pub copy_links: bool,
}

impl TreeOptions {
    /// What to send of `paths`.
    ///
    /// # Errors
    /// A glob cannot be read, or the options exclude one another; a sentence that says which.
    pub fn select(&self, paths: Vec<PathBuf>) -> Result<Selection, String> {
        let links = match (self.links, self.copy_links) {
            (true, true) => {
                return Err("--links and --copy-links exclude one another; choose one of them \
                            (VOLLEY_LINKS and VOLLEY_COPY_LINKS count as well)"
                    .into());
            }
            (false, true) => Links::Follow,
            (true, false) => Links::Keep,
            (false, false) => Links::Skip,
        };
        let rules = Rules::new(&self.include, &self.exclude)?;
        Ok(Selection { paths, links, rules, ..Selection::default() })
    }
}
