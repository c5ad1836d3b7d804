//! Why a tensor is left out.

use serde::{Deserialize, Serialize};

/// Why a tensor is left out of the analysis.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "reason")]
#[non_exhaustive]
pub enum SkipReason {
    /// Rank 0 or 1 (biases, normalisation): no matrix, no spectrum.
    Vector,
    /// One side of the matrix is 1 or 0, so that at most one eigenvalue exists.
    TooSmall,
    /// The user's patterns exclude the layer.
    Excluded,
    /// Rank 3 or more, and what the axes mean is not known.
    UnknownLayout,
    /// The framework had not drawn its values when the model was first observed.
    NotInitialised,
    /// Fewer eigenvalues than the user asks for.
    TooFewEigenvalues {
        /// How many the matrix has.
        found: usize,
        /// How many are asked for.
        needed: usize,
    },
    /// It shares its storage with another tensor, which has the row.
    Tied {
        /// The other tensor.
        to: String,
    },
    /// Its values are those of another tensor, which has the row.
    SameValues {
        /// The other tensor.
        to: String,
    },
    /// The file's reader refuses it.
    Unreadable {
        /// Why.
        message: String,
    },
    /// It belongs to a part of the survey that is made elsewhere or later.
    NotYet,
}
