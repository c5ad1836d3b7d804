//! Code that the examples share: data sets, networks and watched trainings.
//!
//! ```text
//! idx, cifar (file formats) -> data (train and test split) -> batch (tensors)
//!   -> layer, lenet5, mini_alexnet (networks)
//!   -> train (a watched run) -> screen (progress bar and table)
//!                            -> checkpoint (continuing a run) -> sweep (many runs)
//! ```

// Every example compiles its own copy of this module and uses only a part of it.
#![allow(dead_code)]

pub mod batch;
pub mod checkpoint;
pub mod cifar;
pub mod data;
pub mod idx;
pub mod layer;
pub mod lenet5;
pub mod mini_alexnet;
pub mod screen;
pub mod sweep;
pub mod train;
