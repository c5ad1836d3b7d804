//! The reasons why a tensor is not analysed.

use serde::{Deserialize, Serialize};

/// Why a tensor is not analysed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "reason")]
#[non_exhaustive]
pub enum SkipReason {
    /// Rank 0 or 1, such as biases and normalisation. Such a tensor is no matrix and has no
    /// spectrum.
    Vector,
    /// One side of the matrix is 0 or 1, so there is at most one eigenvalue.
    TooSmall,
    /// The user's patterns exclude the layer.
    Excluded,
    /// The rank is 3 or more, and the meaning of the axes is unknown.
    UnknownLayout,
    /// The framework had not initialised the values when the model was first observed.
    NotInitialised,
    /// The matrix has fewer eigenvalues than the user requires.
    TooFewEigenvalues {
        /// Number of eigenvalues of the matrix.
        found: usize,
        /// Required number.
        needed: usize,
    },
    /// The tensor shares its storage with another one, which is analysed.
    Tied {
        /// Name of the other tensor.
        to: String,
    },
    /// The tensor has the values of another one, which is analysed.
    SameValues {
        /// Name of the other tensor.
        to: String,
    },
    /// The reader of the file cannot read the tensor.
    Unreadable {
        /// The reader's message.
        message: String,
    },
    /// Another part of the survey analyses the tensor, elsewhere or later.
    NotYet,
}
