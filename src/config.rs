//! What an analysis is asked to do.

use serde::{Deserialize, Serialize};

use crate::fit::REPLICATES;
use crate::spectrum::Solver;

/// How deep to look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Depth {
    /// One spectrum, its fits, and tabulated nulls: what a monitor runs at each observation.
    Live,
    /// All of that, and the layer's [doubt](crate::analysis::FullAnalysis): bootstraps of the tail, likelihood
    /// ratios, and [controls](crate::controls). Costs about ten times as much.
    #[default]
    Full,
}

/// How to analyse.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Config {
    /// How eigenvalues are found.
    pub solver: Solver,
    /// Whether each kernel position of a convolution is analysed as well (the workshop paper's
    /// convention and WeightWatcher's need them).
    pub slices: bool,
    /// How deep to look.
    #[serde(default)]
    pub depth: Depth,
    /// Seed of the bootstraps and permutations; the same seed gives the same numbers.
    #[serde(default)]
    pub seed: u64,
    /// How many top singular vectors [`Depth::Full`] examines; none by default.
    #[serde(default)]
    pub vectors: usize,
    /// Replicates of each bootstrap.
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
    /// The default, at [`Depth::Live`].
    pub fn live() -> Self {
        Self {
            depth: Depth::Live,
            ..Self::default()
        }
    }
}
