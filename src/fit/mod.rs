//! What is fitted to a spectrum: the Marchenko–Pastur bulk, the power-law tail with its interval and
//! its goodness of fit, and how the tail compares with rival laws. A fit that cannot be made is a
//! [`NoFit`], never a number.

mod bootstrap;
mod bulk;
mod compare;
mod drift;
mod hill;
mod noise;
mod search;
mod tail;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use bootstrap::{AlphaInterval, GoodnessOfFit, REPLICATES, alpha_interval, goodness_of_fit};
pub use bulk::{BulkFit, LISTED, Outlier, fit_bulk};
pub use compare::{Comparison, LikelihoodRatio, NestedRatio, against_exponential, compare};
pub(crate) use drift::alpha_holds;
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

impl fmt::Display for NoFit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoFit::AllZero => f.write_str("every eigenvalue is zero"),
            NoFit::AllEqual => f.write_str("all eigenvalues are equal"),
            NoFit::TooFew { found, needed } => {
                write!(f, "{found} usable eigenvalues, {needed} are needed")
            }
            NoFit::NoPowerLaw => f.write_str("no start of the tail gives α > 1"),
        }
    }
}

impl std::error::Error for NoFit {}

/// What a reader should know before trusting a fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "doubt")]
#[non_exhaustive]
pub enum Doubt {
    /// The tail holds few eigenvalues: α's true spread is well above its textbook σ.
    ShortTail {
        /// Eigenvalues in the tail.
        n_tail: usize,
    },
    /// Fewer than 20 eigenvalues: the small-sample estimator was used.
    SmallSample {
        /// Eigenvalues in all.
        n: usize,
    },
    /// α < 2: steeper correlations than the theory expects of a well-trained layer.
    VeryHeavy,
    /// α > 6: lighter than the theory's range; α of noise of the same shape tells whether it says anything.
    NotHeavy,
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Doubt::ShortTail { n_tail } => {
                write!(f, "{n_tail} tail eigenvalues: α is unreliable")
            }
            Doubt::SmallSample { n } => {
                write!(f, "{n} eigenvalues: small-sample estimate of α")
            }
            Doubt::VeryHeavy => f.write_str("α < 2: heavier than the theory's range"),
            Doubt::NotHeavy => f.write_str(
                "α > 6: lighter than the theory's range; compare with noise of this shape",
            ),
        }
    }
}
