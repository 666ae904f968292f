//! How much the system lets this process have.

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
