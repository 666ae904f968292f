//! A network namespace, held open.

use super::{LabError, entrance};
use nix::sched::{CloneFlags, setns, unshare};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// The calling thread's network namespace, as a file.
const OWN: &str = "/proc/thread-self/ns/net";

/// A network namespace: it lasts as long as this, or a process in it.
#[derive(Debug)]
pub struct NetNs(File);

impl NetNs {
    /// A new one, with nothing in it.
    ///
    /// # Errors
    /// The system refuses.
    pub fn new() -> Result<Self, LabError> {
        // A thread is moved by making a namespace: one that has nothing else to do.
        let made = on_a_thread(|| -> io::Result<File> {
            unshare(CloneFlags::CLONE_NEWNET)?;
            File::open(OWN)
        });
        made.and_then(|made| made).map(Self).map_err(LabError::step("make a network namespace"))
    }

    /// Runs `work` on a thread in the namespace.
    ///
    /// # Errors
    /// The system does not let the thread in.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, LabError> {
        let done = on_a_thread(|| -> io::Result<T> {
            setns(&self.0, CloneFlags::CLONE_NEWNET)?;
            Ok(work())
        });
        done.and_then(|done| done).map_err(LabError::step("enter a network namespace"))
    }

    /// Where other processes of the lab find it, for as long as this process has it open.
    #[must_use]
    pub fn path(&self) -> String {
        format!("/proc/{}/fd/{}", entrance::own_place(), self.0.as_raw_fd())
    }
}

impl AsFd for NetNs {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn on_a_thread<T: Send>(work: impl FnOnce() -> T + Send) -> io::Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().spawn_scoped(scope, work)?;
        thread.join().map_err(|_| io::Error::other("a thread of the lab panicked"))
    })
}
