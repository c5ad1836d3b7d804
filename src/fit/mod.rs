//! What is fitted to a spectrum: the Marchenko–Pastur bulk, the power-law tail with its interval and
//! its goodness of fit, and how the tail compares with rival laws. A fit that cannot be made is a
//! [`NoFit`], never a number.

mod alpha_bound;
mod bootstrap;
mod bulk;
mod compare;
mod hill;
mod noise;
mod search;
mod tail;

use serde::{Deserialize, Serialize};

pub(crate) use alpha_bound::alpha_holds;
pub use bootstrap::{AlphaInterval, GoodnessOfFit, REPLICATES, alpha_interval, goodness_of_fit};
pub use bulk::{BulkFit, LISTED, Outlier, fit_bulk};
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
    /// All eigenvalues are equal to rounding: an orthogonal or constant matrix has no tail.
    AllEqual,
    /// Not enough eigenvalues above the numerical floor.
    TooFew {
        /// How many there are.
        found: usize,
        /// How many the fit needs.
        needed: usize,
    },
    /// No candidate for xmin gave α > 1.
    NoPowerLaw,
}

impl std::error::Error for NoFit {}
