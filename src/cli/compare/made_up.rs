//! The file that is sent: the user's, or bytes made up.

use super::Load;
use super::shot::cannot;
use crate::cli::Stop;
use crate::cli::scratch::make_up;
use std::path::{Path, PathBuf};

/// What a receiver calls bytes that were made up.
const MADE_UP: &str = "volley-compare.bin";

/// Where the file is; made up in `directory` if there is none.
///
/// # Errors
/// There is no room for it.
pub(super) fn file(load: &Load, directory: &Path) -> Result<PathBuf, Stop> {
    match load {
        Load::File(path) => Ok(path.clone()),
        Load::MadeUp(size) => {
            let path = directory.join(MADE_UP);
            make_up(&path, *size, 0).map_err(|error| cannot("make up a file", &error))?;
            Ok(path)
        }
    }
}
