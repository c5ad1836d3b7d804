//! wip
pub mod analysis;
#[cfg(feature = "burn")]
pub mod burn;
pub mod error;
pub mod fit;
pub mod law;
pub mod matrix;
pub mod metrics;
pub mod monitor;
pub mod phase;
#[cfg(feature = "plot")]
pub mod plot;
pub mod record;
pub mod sink;
pub mod spectrum;
pub mod trajectory;

pub use analysis::{Config, LayerReport, analyze, analyze_tensor};
pub use error::{Error, Result};
pub use matrix::WeightMatrix;
pub use monitor::Monitor;
pub use phase::Phase;
pub use record::Record;
pub use trajectory::Trajectory;
