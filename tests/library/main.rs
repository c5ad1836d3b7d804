//! What the library promises, tested through its public interface. Nothing here needs burn or the
//! program.

mod alarms;
#[cfg(feature = "checkpoint")]
mod checkpoint;
#[cfg(feature = "checkpoint")]
mod checkpoint_damage;
mod cost;
mod doubt;
#[path = "../../examples/support/ensembles/mod.rs"]
mod ensembles;
mod monitor;
mod noise;
#[cfg(feature = "plot")]
mod plots;
#[cfg(any(feature = "parquet", feature = "tensorboard"))]
mod python;
mod recorded;
mod recovery;
mod reference_bank;
#[cfg(feature = "report")]
mod report;
#[cfg(any(feature = "parquet", feature = "report", feature = "tensorboard"))]
mod required;
mod run_state;
#[cfg(feature = "parquet")]
mod tables;
#[cfg(feature = "tensorboard")]
mod tensorboard;
