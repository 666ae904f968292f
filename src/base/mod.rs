//! Floor 0: what every other floor counts with: moments, units and sets of ranges.

pub mod ecn;
pub mod range_set;
pub mod text;
pub mod time;
pub mod units;
pub(crate) mod work;
