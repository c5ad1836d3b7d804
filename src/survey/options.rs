//! The options of a survey.

use std::sync::Arc;

use crate::checkpoint::Checkpoint;
use crate::config::Config;
use crate::monitor::Selection;

/// The options of [`survey`](super::survey).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SurveyOptions {
    /// Which statistics to compute for each layer, and how.
    pub config: Config,
    /// The layers to analyse, by name.
    pub selection: Selection,
    /// The smallest number of eigenvalues of a matrix. Smaller matrices are skipped.
    pub min_evals: usize,
    /// The number of layers that are analysed at the same time. Memory grows with it: each layer
    /// needs its tensor in f64 and a few M×M matrices.
    pub jobs: usize,
    /// Whether to fill WeightWatcher's columns in that tool's conventions.
    /// [`Survey`](super::Survey) lists them.
    pub weightwatcher: bool,
    /// The model to which low-rank adapters belong. With it, each adapted layer has two rows:
    /// `…[lora]` for the adapter's product and `…[merged]` for the sum of the base weight and the
    /// product.
    pub base: Option<Arc<Checkpoint>>,
    /// Part i of n, counted from 0. Only every n-th tensor is read, and only its rows are returned.
    /// Rows that need no reading belong to part 0. Tied weights are recognised within a part only.
    pub shard: Option<(usize, usize)>,
    /// The number of heads into which query, key and value projections are split. `None` leaves
    /// them whole.
    pub heads: Option<usize>,
    /// LoRA's α. It replaces the `lora_alpha` of an `adapter_config.json` in the file's folder.
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
