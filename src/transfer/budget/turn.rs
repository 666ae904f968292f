//! Work that peers can ask for at the price of a few bytes: one thread of the program does it at a time.

use std::sync::{Arc, Mutex, PoisonError};

/// Who has it works; the others wait.
#[derive(Clone, Debug, Default)]
pub struct Turn(Arc<Mutex<()>>);

impl Turn {
    /// Does a small piece of work when nobody else does.
    pub fn within<T>(&self, work: impl FnOnce() -> T) -> T {
        let _turn = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        work()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    #[test]
    fn nobody_works_while_another_does() {
        let (turn, working) = (Turn::default(), AtomicUsize::new(0));
        let work = || {
            assert_eq!(working.fetch_add(1, Ordering::SeqCst), 0);
            thread::yield_now();
            working.fetch_sub(1, Ordering::SeqCst);
        };
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..500).for_each(|_| turn.clone().within(work)));
            }
        });
    }
}
