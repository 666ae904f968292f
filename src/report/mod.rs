//! Floor 4: numbers to text and JSON. Knows nothing of where they come from.

pub mod events;
pub mod json;
pub mod summary;
