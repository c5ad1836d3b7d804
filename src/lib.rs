//! Watch the weights of a neural network while it learns.
//!
//! heavytail computes the spectrum of every layer's weights, fits the Marchenko–Pastur bulk and the
//! power-law tail, and says in which of the 5+1 phases of training the layer is: Random-like,
//! Bleeding-out, Bulk+Spikes, Bulk-decay, Heavy-tailed or Rank-collapse (Martin and Mahoney's theory
//! of heavy-tailed self-regularisation). Data flows one way:
//!
//! ```text
//! matrix ─► spectrum ─► law, fit, metrics, beyond ─► phase, controls ─► full, analysis ─► record ─► trajectory
//!                                                                                │                   │
//!                                   burn ─► monitor, checkpoint ─────────────────┘              sink, plot, report
//! ```
//!
//! Beside it stand [`sweep`], many runs from one plan, and [`correlation`], of ranks.
//!
//! # One matrix
//!
//! ```
//! use heavytail::{Config, WeightMatrix, analyze};
//!
//! let weights: Vec<f32> = (0..60 * 20).map(|i| ((i * 7919) % 101) as f32 - 50.0).collect();
//! let layer = analyze(&WeightMatrix::new("fc1", 60, 20, weights)?, &Config::default())?;
//! println!("{layer}");
//! # Ok::<(), heavytail::Error>(())
//! ```
//!
//! # One line on burn's learner
//!
#![cfg_attr(feature = "flex", doc = "```no_run")]
#![cfg_attr(not(feature = "flex"), doc = "```ignore")]
//! use burn::train::{Learner, LearnerModel};
//! # use burn::optim::ModuleOptimizer;
//! # fn demo<M: LearnerModel>(model: M, optim: ModuleOptimizer, lr: f64) -> heavytail::Result<()> {
//! use heavytail::Monitor;
//!
//! let monitor = Monitor::builder().dir("runs/first").build()?;
//! let learner = Learner::new(monitor.watch(model), optim, lr);
//! // … training.launch(learner) …
//! let outcome = monitor.finish();
//! # Ok(())
//! # }
//! ```
//!
//! # A loop of one's own
//!
#![cfg_attr(feature = "flex", doc = "```no_run")]
#![cfg_attr(not(feature = "flex"), doc = "```ignore")]
//! # use burn::module::Module;
//! # fn demo<M: Module>(mut model: M, train_one_epoch: fn(M) -> M) -> heavytail::Result<()> {
//! use heavytail::Monitor;
//!
//! let monitor = Monitor::builder().include("^fc").build()?;
//! for epoch in 1..=10 {
//!     model = train_one_epoch(model);
//!     monitor.observe(epoch, &model);
//! }
//! for record in monitor.finish().trajectory.records() {
//!     println!("{} {}: {:?}", record.stamp.epoch, record.layer, record.phase());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! | feature | default | gives |
//! |---|---|---|
//! | `burn` | yes | [`Monitor::watch`](monitor::Monitor), `Monitor::observe`, metrics for burn's dashboard |
//! | `flex` | yes | burn's CPU backend with SIMD and threads |
//! | `plot` | yes | figures in SVG and PNG |
//! | `report` | yes | a run as one self-contained page, `report.html` |
//! | `ndarray`, `wgpu` | | burn's other backends |
//! | `checkpoint` | | weight files, tensor by tensor: safetensors, PyTorch, burn's records, NumPy |
//! | `tensorboard` | | event files for TensorBoard |
//! | `parquet` | | the table of layers as Parquet |
//! | `cli` | | the program `heavytail`, which judges checkpoints, watches and exports runs |
//! | `watch` | | `heavytail watch`, a part of `cli` |
//! | `lapack` | | the system's OpenBLAS as a second eigensolver |
//!
//! Without default features only the mathematics is left, and no burn is compiled.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(missing_docs)]

pub mod analysis;
#[cfg(feature = "burn")]
pub mod burn;
#[cfg(feature = "checkpoint")]
pub mod checkpoint;
pub mod config;
pub mod controls;
pub mod rank_correlation;
// A part of `burn` that needs no burn: this is how its tests run without it.
#[cfg(all(test, not(feature = "burn")))]
#[path = "burn/epochs/mod.rs"]
mod epochs;
pub mod error;
mod file_names;
mod files;
pub mod fit;
pub mod law;
pub mod matrix;
pub mod measures;
pub mod monitor;
pub mod palette;
pub mod phase;
#[cfg(feature = "plot")]
pub mod plot;
pub mod record;
#[cfg(feature = "report")]
pub mod report;
pub mod run;
#[cfg(any(feature = "plot", feature = "report"))]
mod scene;
mod scratch;
pub mod sink;
mod skip_reason;
pub mod spectrum;
#[cfg(feature = "checkpoint")]
pub mod survey;
pub mod sweep;

pub use analysis::{Analyzer, LayerReport, analyze, analyze_tensor};
pub use config::{Config, Depth};
pub use error::{Error, LayerError, Result};
pub use file_names::FileNames;
pub use matrix::WeightMatrix;
pub use monitor::Monitor;
pub use phase::Phase;
pub use record::Record;
pub use run::Trajectory;
