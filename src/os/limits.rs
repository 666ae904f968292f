//! How much the system lets this process have.

use rustix::io::Errno;
use rustix::process::{Resource, getrlimit, setrlimit};

/// Asks for as many open files as this process may have, where the system begins with fewer: a listener's
/// hundreds of transfers have some each. It goes on with fewer if it must.
pub fn raise_open_files() {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        let _ = setrlimit(Resource::Nofile, limit);
    }
}

/// How many files this process may have open at once, and how many more than it has, where the system tells.
#[must_use]
pub fn open_files() -> Option<(u64, u64)> {
    let limit = getrlimit(Resource::Nofile).current?;
    let open = match std::fs::read_dir("/proc/self/fd") {
        // The directory that is looked into is among them.
        Ok(entries) => (entries.count() as u64).saturating_sub(1),
        Err(error) if error.raw_os_error() == Some(Errno::MFILE.raw_os_error()) => limit,
        Err(_) => return None,
    };
    Some((limit, limit.saturating_sub(open)))
}
