//! Open files: a process may have so many, and sockets are among them.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Files that the program has open whatever it transfers: standard streams, sockets, wakers, the receiver's
/// directory and its partial area, and what is open for a moment.
const RESERVED: usize = 14;

/// Where the system does not say: what the strictest ones allow.
const USUAL: usize = 256;

/// The files that a process may have open for transfers.
#[derive(Clone, Debug)]
pub struct Descriptors(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    max: usize,
    taken: AtomicUsize,
}

/// Some of them; given back when dropped.
#[derive(Debug)]
pub struct Held {
    descriptors: Descriptors,
    count: usize,
}

impl Default for Descriptors {
    /// Those that the system lets this process have now.
    fn default() -> Self {
        #[cfg(unix)]
        let most = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        #[cfg(not(unix))]
        let most = None;
        let most = most.map_or(USUAL, |most: u64| usize::try_from(most).unwrap_or(usize::MAX));
        Self::new(most.saturating_sub(RESERVED))
    }
}

impl Descriptors {
    /// So many.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self(Arc::new(Inner { max, taken: AtomicUsize::new(0) }))
    }

    /// Takes so many, if that many are left.
    #[must_use]
    pub fn take(&self, count: usize) -> Option<Held> {
        let more = |taken: usize| taken.checked_add(count).filter(|taken| *taken <= self.0.max);
        let done = self.0.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        done.is_ok().then(|| Held { descriptors: self.clone(), count })
    }

    /// Takes up to so many that are no more than convenient: half of them, at most, of those that are free
    /// while more than half of all are.
    #[must_use]
    pub fn take_spare(&self, count: usize) -> Held {
        let free = self.0.max.saturating_sub(self.0.taken.load(Ordering::Relaxed));
        let count = count.min(free.saturating_sub(self.0.max / 2) / 2);
        self.take(count).unwrap_or(Held { descriptors: self.clone(), count: 0 })
    }
}

impl Held {
    /// How many.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.descriptors.0.taken.fetch_sub(self.count, Ordering::Relaxed);
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_convenient_leaves_what_is_needed() {
        let all = Descriptors::new(40);
        let mut held = Vec::new();
        let mut spare = Vec::new();
        while let Some(share) = all.take(8) {
            held.push(share);
            spare.push(all.take_spare(80));
        }
        let spare: Vec<usize> = spare.iter().map(Held::count).collect();
        assert_eq!((held.len(), spare), (4, vec![6, 0, 0, 0]));
        assert!(all.take(3).is_none());
        held.pop();
        assert!(all.take(8).is_some(), "given back");
    }
}
