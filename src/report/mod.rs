//! Floor 4: numbers to text, pictures and JSON. Knows nothing of where they come from.

pub mod comparison;
pub mod events;
pub mod explain;
pub mod happening;
pub mod html;
pub mod json;
pub mod lab;
pub mod ladder;
mod lettering;
mod lost_bytes;
mod plan;
pub mod plot;
pub mod relay;
pub mod response;
pub mod run;
pub mod summary;
pub mod trace;
