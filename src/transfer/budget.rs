//! What all transfers of a program share: the files that it may have open.

use std::io;

/// Whether the system says that too many files are open, in this process or in all.
#[must_use]
pub fn is_shortage(error: &io::Error) -> bool {
    #[cfg(unix)]
    {
        use rustix::io::Errno;
        let errno = error.raw_os_error();
        [Errno::MFILE, Errno::NFILE].iter().any(|short| errno == Some(short.raw_os_error()))
    }
    #[cfg(not(unix))]
    {
        let _ = error;
        false
    }
}
