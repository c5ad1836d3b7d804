//! Executes many runs from one plan, on one machine or on the nodes of a cluster. A killed run can
//! be continued.
//!
//! A [`Plan`] is a JSONL file with one run a line. The caller decides what a run is, for example a
//! training or a shard of a checkpoint. Each run has an [id](PlanEntry::id), the hash of its
//! settings, and a folder of that name. A worker [`attempt`]s one index of the plan: it locks the
//! folder, works, and writes the result to the marker `DONE.json`. [`merge`] collects the results
//! in the plan's order and lists the runs that are not done.
//!
//! ```text
//! plan.jsonl ── index i ──► attempt ──► <folder>/<id>/{lock, …, DONE.json | FAILED.txt}
//!                                                        │
//!              in the order of the plan            merge ┘──► results.jsonl
//! ```
//!
//! There is no scheduler and no server. A loop over the indices is a serial sweep. An array job of
//! a cluster is a parallel sweep (see [`index_from`]). Both give the same bytes if a run's result
//! depends on its settings only. [`merge`] removes the fields that hold times: `seconds`,
//! `seconds_…` and `unix_time`. Settings should not use such names.
//!
//! ```
//! use heavytail::sweep::{Attempt, Plan, attempt, merge};
//!
//! let plan = Plan::new([1u32, 2, 3])?;
//! let folder = std::env::temp_dir().join(format!("sweep-{}", std::process::id()));
//! for entry in plan.entries() {
//!     let tried = attempt(&folder, entry, |_run| Ok::<_, std::io::Error>(entry.spec * 10))?;
//!     assert!(matches!(tried, Attempt::Finished));
//! }
//! let merged = merge(&plan, &[&folder])?;
//! assert!(merged.unfinished.is_empty());
//! assert_eq!(merged.rows[2]["result"], 30);
//! # std::fs::remove_dir_all(folder).ok();
//! # Ok::<(), heavytail::Error>(())
//! ```

mod attempt;
mod folder;
mod merge;
mod plan;

pub use attempt::{Attempt, attempt};
pub use merge::{Merged, RunStatus, Unfinished, merge, read_results};
pub use plan::{INDEX_VARIABLES, Plan, PlanEntry, index_from};
