//! A run on the disk: its files, its state, its log, and the trajectory that the log tells.
//!
//! | file | holds |
//! |---|---|
//! | `log.jsonl` | every [`Line`](crate::record::Line), append-only; what the run is |
//! | `log.jsonl.lock` | locked by the process that writes the log |
//! | `layers.csv` | the layers' records as a table, derived from the log |
//! | `spectra/` | the eigenvalues of each observation |
//! | `pending/` | weights that wait for their full analysis, until it is in the log |
//! | `report.html` | the page |
//!
//! One process writes a run at a time. All readers share [`LogReader`] and with it one policy for
//! damage: a whole line that cannot be read is left out and told by a notice, and so is a last line
//! that a crash has cut off.

mod dir;
mod earlier;
mod lock;
mod log;
mod repair;
mod trajectory;

pub use dir::{RunDir, RunState};
pub(crate) use lock::Lock;
pub use log::{LogEntry, LogReader, Progress};
pub use repair::{Repaired, repair};
pub(crate) use trajectory::Hysteresis;
pub use trajectory::{Trajectory, Transition};
