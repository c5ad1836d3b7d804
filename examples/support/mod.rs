//! What the examples share: a data set to train on and a network to watch.
//!
//! ```text
//! idx (file format) -> data (train and test split) -> batch (tensors) -> lenet5 (network)
//!   -> train (a watched run) -> screen (progress bar and table)
//! ```

// Every example compiles its own copy of this module and uses a part of it.
#![allow(dead_code)]

pub mod batch;
pub mod data;
pub mod idx;
pub mod lenet5;
pub mod screen;
pub mod train;
