//! Weight files.

mod parts;

pub use parts::{Part, parts};
