//! Fits to a spectrum: the Marchenko–Pastur bulk, the power-law tail with its confidence interval
//! and goodness of fit, and the comparison of the tail with other laws. A fit that cannot be made
//! is a [`NoFit`], never a number.

mod alpha_bound;
mod bootstrap;
mod bulk;
mod compare;
mod hill;
mod noise;
mod search;
mod tail;

use serde::{Deserialize, Serialize};

pub(crate) use alpha_bound::alpha_change_is_within;
pub use bootstrap::{AlphaInterval, GoodnessOfFit, REPLICATES, alpha_interval, goodness_of_fit};
pub use bulk::{BulkFit, MAX_LISTED_SPIKES, Outlier, fit_bulk};
pub use compare::{Comparison, LikelihoodRatio, NestedRatio, against_exponential, compare};
pub use hill::hill_alpha;
pub use noise::{LEVELS, NoiseAlpha, Table as NoiseTable, noise_alpha};
pub use tail::{TailFit, fit_tail};

/// Why there is no fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "reason")]
#[non_exhaustive]
pub enum NoFit {
    /// Every eigenvalue is zero.
    AllZero,
    /// All eigenvalues are equal up to rounding, as those of an orthogonal matrix. There is no
    /// tail.
    AllEqual,
    /// There are not enough eigenvalues above the numerical floor.
    TooFew {
        /// Number of these eigenvalues.
        found: usize,
        /// Number that the fit needs.
        needed: usize,
    },
    /// No candidate for xmin gave α > 1.
    NoPowerLaw,
}

impl std::error::Error for NoFit {}
