//! A run on disk: its files, its state, its log, and the trajectory read from the log.
//!
//! | file | content |
//! |---|---|
//! | `log.jsonl` | every [`Line`](crate::record::Line), append-only |
//! | `log.jsonl.lock` | locked by the process that writes the log |
//! | `layers.csv` | the layers' records as a table, derived from the log |
//! | `spectra/` | the eigenvalues of each observation |
//! | `pending/` | weights whose full analysis is not in the log yet |
//! | `report.html` | the HTML report |
//!
//! One process writes a run at a time. All readers use [`LogReader`] and treat damage in the same
//! way: they leave out a line that cannot be parsed and an incomplete last line, and add a notice
//! for each.

mod dir;
mod earlier;
mod lock;
mod log;
mod repair;
mod state;
mod trajectory;

pub use dir::RunDir;
pub(crate) use lock::Lock;
pub use log::{LogEntry, LogReader, Progress};
pub use repair::{Repaired, repair};
pub use state::RunState;
pub(crate) use trajectory::PhaseTracker;
pub use trajectory::{Trajectory, Transition};
