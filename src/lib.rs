//! Watch the weights of a neural network while it learns.
//!
//! heavytail computes the spectrum of every layer's weights and fits the Marchenko–Pastur bulk and
//! the power-law tail. From these it determines in which of the 5+1 phases of training the layer
//! is: Random-like, Bleeding-out, Bulk+Spikes, Bulk-decay, Heavy-tailed or Rank-collapse. The
//! phases are those of Martin and Mahoney's theory of heavy-tailed self-regularisation. Data flows
//! one way:
//!
//! ```text
//! matrix ─► spectrum ─► law, fit, measures ─► phase, controls ─► analysis ─► record ─► run
//!                                                                    │                 │
//!                         burn ─► monitor, checkpoint, survey ───────┘      sink, plot, report
//! ```
//!
//! Two modules are independent of this flow: [`sweep`] executes many runs from one plan, and
//! [`rank_correlation`] computes Kendall's τ and Spearman's ρ.
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
//! # Your own training loop
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
//! | `burn` | yes | [`Monitor`]'s `watch` and `observe`, metrics for burn's dashboard |
//! | `flex` | yes | burn's CPU backend with SIMD and threads |
//! | `plot` | yes | figures in SVG and PNG |
//! | `report` | yes | a report of runs as one self-contained page, `report.html` |
//! | `ndarray`, `wgpu` | | burn's other backends |
//! | `checkpoint` | | weight files, read by tensor: safetensors, PyTorch, burn's records, NumPy |
//! | `tensorboard` | | event files for TensorBoard |
//! | `parquet` | | the table of layers as Parquet |
//! | `cli` | | the program `heavytail`: it classifies checkpoints, watches and exports runs |
//! | `watch` | | `heavytail watch`, a part of `cli` |
//! | `lapack` | | the system's OpenBLAS as a second eigensolver |
//!
//! Without default features the crate contains only the mathematics and does not depend on burn.

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
// This part of `burn` does not use burn. The path lets its tests run without that feature.
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
