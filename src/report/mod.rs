//! Floor 4: numbers to text and JSON. Knows nothing of where they come from.

pub mod json;
pub mod summary;
