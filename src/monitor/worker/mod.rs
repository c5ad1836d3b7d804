//! The background worker: a queue, the thread that analyses, and another one for full analyses.
//!
//! `queue` ← `pending`, `full` ← `thread` ← `handle`.

mod full;
mod handle;
mod pending;
mod queue;
mod thread;

pub use handle::Overload;
pub(super) use handle::Worker;
pub(super) use queue::Job;
pub(super) use thread::Settings;
