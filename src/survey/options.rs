//! How a checkpoint is judged.

use std::sync::Arc;

use crate::checkpoint::Checkpoint;
use crate::config::Config;
use crate::monitor::Selection;

/// How to judge a checkpoint.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SurveyOptions {
    /// How deep to look at each layer.
    pub config: Config,
    /// Which layers, by name.
    pub selection: Selection,
    /// Matrices with fewer eigenvalues are left out.
    pub min_evals: usize,
    /// Layers analysed at once. Memory grows with it: each holds its tensor in f64 and a few M×M
    /// matrices.
    pub jobs: usize,
    /// Fill WeightWatcher's columns in that tool's conventions: see [`Survey`](super::Survey).
    pub weightwatcher: bool,
    /// The model that low-rank adapters belong to: each adapted layer has a row `…[merged]` beside
    /// that of the adapter's product.
    pub base: Option<Arc<Checkpoint>>,
    /// Part i of n, counted from 0: only every n-th tensor is read, and only its rows are returned.
    /// Those that need no reading belong to part 0. Tied weights are recognised within a part.
    pub shard: Option<(usize, usize)>,
    /// Split query, key and value projections into so many heads.
    pub heads: Option<usize>,
    /// LoRA's α, where no `adapter_config.json` beside the file tells it.
    pub lora_alpha: Option<f64>,
}

impl Default for SurveyOptions {
    fn default() -> Self {
        Self {
            config: Config::live(),
            selection: Selection::default(),
            min_evals: 2,
            jobs: 1,
            weightwatcher: false,
            base: None,
            shard: None,
            heads: None,
            lora_alpha: None,
        }
    }
}
