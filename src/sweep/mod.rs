//! Many runs from one plan, on one machine or on a cluster's nodes, killed and continued at will.
//!
//! A [`Plan`] is a JSONL file, one run a line, whatever a run is to the caller: a training, a shard of a
//! checkpoint. Each run has an [id](PlanEntry::id), the hash of its settings, and a folder of that name. A worker
//! [`attempt`]s one index of the plan: it locks the folder, works, and leaves the result as the marker
//! `DONE.json`. [`merge`] collects the results in the plan's order and names the runs that are not done.
//!
//! ```text
//! plan.jsonl ── index i ──► attempt ──► <folder>/<id>/{lock, …, DONE.json | FAILED.txt}
//!                                                        │
//!              plan's order, whoever ran them      merge ┘──► results.jsonl
//! ```
//!
//! There is no scheduler and no server: a loop over the indices is a serial sweep, and an array job of any
//! cluster is a parallel one (see [`index_from`]). The results are the same bytes either way, as long as a
//! run's result is a function of its settings; fields that tell times ([`is_timing`]) are dropped.
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
pub use merge::{EntryState, Merged, Unfinished, is_timing, merge, read_results};
pub use plan::{INDEX_VARIABLES, Plan, PlanEntry, index_from};
