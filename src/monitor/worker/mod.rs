//! The background worker: a queue, the analysis thread, and a thread for full analyses.
//!
//! `handle` starts `thread` and fills `queue`. `thread` takes jobs from `queue`, and uses `full`
//! and `pending`. `full` returns its results through `queue`.

mod full;
mod handle;
mod pending;
mod queue;
mod thread;

pub use handle::Overload;
pub(super) use handle::Worker;
pub(super) use queue::Job;
pub(super) use thread::Settings;
