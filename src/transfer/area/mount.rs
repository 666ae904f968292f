//! Where a directory is mounted: between two mounts nothing can be renamed, be they of one file system.

use cap_std::fs::Dir;
use std::io;

/// A file system, and the mount through which it was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::transfer) struct Mount {
    #[cfg(unix)]
    device: u64,
    /// Where the system says.
    #[cfg(target_os = "linux")]
    id: Option<u64>,
}

impl Mount {
    /// That of an open directory.
    ///
    /// # Errors
    /// As the system says.
    pub(in crate::transfer) fn of(dir: &Dir) -> io::Result<Self> {
        #[cfg(not(unix))]
        let _ = dir;
        Ok(Self {
            #[cfg(unix)]
            device: cap_std::fs::MetadataExt::dev(&dir.dir_metadata()?),
            #[cfg(target_os = "linux")]
            id: id_of(dir)?,
        })
    }
}

#[cfg(target_os = "linux")]
fn id_of(dir: &Dir) -> io::Result<Option<u64>> {
    use rustix::fs::{AtFlags, StatxFlags, statx};
    use rustix::io::Errno;
    match statx(dir, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID) {
        Ok(found) => {
            let says = found.stx_mask & StatxFlags::MNT_ID.bits() != 0;
            Ok(says.then_some(found.stx_mnt_id))
        }
        // Older systems have no such call, and some sandboxes forbid what they do not know.
        Err(Errno::NOSYS | Errno::PERM) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
