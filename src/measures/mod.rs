//! Measures of one matrix. [`Metrics`] holds the norms, ranks and entropy of every analysis. The
//! other measures go beyond the original papers. Only a full analysis computes them, and they have
//! no effect on the phase.
//!
//! - [`farms_alpha`] measures how heavy the spectrum is, comparably across layer shapes. Source: Hu
//!   et al. (ICML 2025). It misleads if the signal is a few spikes, because a window keeps less of
//!   them than of the noise.
//! - [`erg`] tests whether the power-law tail is the part of the spectrum with ∏λ̃ = 1. Source:
//!   Martin and Hinrichs, SETOL (2025). It misleads if the start of the tail is poorly determined
//!   or many eigenvalues are null.
//! - [`top_vectors`] tests whether the largest singular vectors are random, and how many entries
//!   they involve. Source: Thamm, Staats, Rosenow (2022). It misleads if singular values nearly
//!   coincide or rows differ in scale.

mod erg;
mod farms;
mod kolmogorov;
mod metrics;
mod vectors;

pub use erg::{Erg, ErgGap, erg};
pub use farms::{FarmsConfig, FarmsFit, Placement, farms_alpha};
pub use metrics::Metrics;
pub(crate) use metrics::{ln_alpha_norm, stable_rank_log};
pub use vectors::{VectorShape, VectorStats, top_vectors};

use crate::error::{Error, LayerError, Result};
use crate::matrix::WeightMatrix;

/// An error if an entry is not finite. It counts the entries of the whole matrix, not of one
/// window.
fn all_finite(matrix: &WeightMatrix) -> Result<()> {
    let values = matrix.values();
    match values.iter().filter(|v| !v.is_finite()).count() {
        0 => Ok(()),
        count => {
            let of = values.len();
            Err(Error::layer(
                matrix.name(),
                LayerError::NotFinite { count, of },
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, RngExt, SeedableRng};

    use crate::matrix::WeightMatrix;

    /// A standard normal number (Box and Muller).
    pub(super) fn normal(rng: &mut impl Rng) -> f64 {
        let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
        radius * (std::f64::consts::TAU * rng.random::<f64>()).cos()
    }

    pub(super) fn gaussian(rows: usize, cols: usize, seed: u64) -> WeightMatrix {
        let mut rng = rand_pcg::Pcg64::seed_from_u64(seed);
        let values: Vec<f64> = (0..rows * cols).map(|_| normal(&mut rng)).collect();
        WeightMatrix::new("w", rows, cols, values).unwrap()
    }

    /// Replace every entry of `matrix` by `f(row, col, entry)`.
    pub(super) fn map(
        matrix: &WeightMatrix,
        mut f: impl FnMut(usize, usize, f64) -> f64,
    ) -> WeightMatrix {
        let cols = matrix.cols();
        let values: Vec<f64> = matrix
            .values()
            .iter()
            .enumerate()
            .map(|(i, &v)| f(i / cols, i % cols, v))
            .collect();
        WeightMatrix::new("w", matrix.rows(), cols, values).unwrap()
    }

    pub(super) fn transposed(matrix: &WeightMatrix) -> WeightMatrix {
        let (rows, cols) = (matrix.rows(), matrix.cols());
        let values: Vec<f64> = (0..rows * cols)
            .map(|i| matrix.values()[(i % rows) * cols + i / rows])
            .collect();
        WeightMatrix::new("w", cols, rows, values).unwrap()
    }
}
