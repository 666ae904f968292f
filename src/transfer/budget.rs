//! What all transfers of a program share: the files that it may have open, memory, and a core. Peers can ask
//! for more than there is; then they wait, or hear that this side is busy.

mod descriptors;
mod memory;
mod turn;

pub use self::descriptors::{Descriptors, Held, is_shortage};
pub use self::memory::{Account, BYTES_MAX, Charge, Memory, OF_ANY, Pool, STATE_MAX};
pub use self::turn::Turn;

/// What a program has to share.
#[derive(Clone, Debug, Default)]
pub struct Budget {
    /// Open files.
    pub descriptors: Descriptors,
    /// Memory that peers can make grow.
    pub memory: Memory,
    /// The hashing of holes.
    pub hashing: Turn,
}
