//! Floor 3: what only the operating system can tell: the time, randomness, and when something is
//! ready. Drivers use it, and nobody else does: what is below and beside them repeats from a seed.

pub mod clock;
pub mod limits;
pub mod signals;
pub mod streams;
pub mod wait;
