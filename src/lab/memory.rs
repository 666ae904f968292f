//! A directory in memory that nobody else sees, gone with the process.

use super::LabError;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};
use rustix::mount::{fsconfig_create, fsmount, fsopen};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;

/// A file system of its own, mounted nowhere: it lasts as long as this.
#[derive(Debug)]
pub struct MemoryDirectory(OwnedFd);

impl MemoryDirectory {
    /// An empty one. Only a process that is inside may make one (Linux 5.2 and later).
    ///
    /// # Errors
    /// The system refuses.
    pub fn make() -> Result<Self, LabError> {
        let made = || -> io::Result<OwnedFd> {
            let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
            fsconfig_create(&context)?;
            Ok(fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?)
        };
        made().map(Self).map_err(LabError::step("keep files in memory"))
    }

    /// Where this process finds it.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.0.as_raw_fd()).into()
    }
}
