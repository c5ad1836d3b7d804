//! Options of an analysis.

use serde::{Deserialize, Serialize};

use crate::fit::REPLICATES;
use crate::spectrum::Solver;

/// How thorough an analysis is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Depth {
    /// One spectrum, its fits and tabulated noise quantiles. A monitor does this at each
    /// observation.
    Live,
    /// In addition a [`FullAnalysis`](crate::analysis::FullAnalysis): bootstraps of the tail,
    /// likelihood ratios and [controls](crate::controls). It costs about ten times as much.
    #[default]
    Full,
}

/// Options of an analysis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Config {
    /// How the eigenvalues are computed.
    pub solver: Solver,
    /// Whether each kernel position of a convolution is analysed as well. The conventions of the
    /// workshop paper and of WeightWatcher need these slices.
    pub slices: bool,
    /// How thorough the analysis is.
    #[serde(default)]
    pub depth: Depth,
    /// Seed of the bootstraps and permutations. The same seed gives the same numbers.
    #[serde(default)]
    pub seed: u64,
    /// How many of the largest singular values have their vectors examined by [`Depth::Full`]. 0 by
    /// default.
    #[serde(default)]
    pub vectors: usize,
    /// Number of replicates of each bootstrap.
    #[serde(default = "replicates")]
    pub replicates: usize,
}

fn replicates() -> usize {
    REPLICATES
}

impl Default for Config {
    fn default() -> Self {
        Self {
            solver: Solver::Gram,
            slices: true,
            depth: Depth::Full,
            seed: 0,
            vectors: 0,
            replicates: REPLICATES,
        }
    }
}

impl Config {
    /// The default options at [`Depth::Live`].
    pub fn live() -> Self {
        Self {
            depth: Depth::Live,
            ..Self::default()
        }
    }
}
