//! Steps of work, counted in tests: what a hostile datagram costs must not depend on the machine.

#[cfg(test)]
use std::cell::Cell;

#[cfg(test)]
thread_local! {
    static STEPS: Cell<u64> = const { Cell::new(0) };
}

/// Something kept in a large set was looked for or looked at.
pub(crate) fn step() {
    #[cfg(test)]
    STEPS.with(|steps| steps.set(steps.get() + 1));
}

/// Steps on this thread so far.
#[cfg(test)]
pub(crate) fn steps() -> u64 {
    STEPS.with(Cell::get)
}
