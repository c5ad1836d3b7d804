//! Controls: analyses of the same entries in another arrangement.
//!
//! Eigenvalues beyond the noise edge need not come from correlated directions. Entries with a heavy
//! tail, a mean, or rows and columns of unequal scale have the same effect. Each control keeps one
//! of these causes and removes the other explanations of the outliers.

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::fit::{BulkFit, against_exponential, fit_bulk, fit_tail};
use crate::matrix::WeightMatrix;
use crate::phase::{Annotation, Phase, classify};
use crate::spectrum::{Solver, Spectrum};

/// Results for a rearranged matrix.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Control {
    /// Its phase. `None` if it is unclassifiable.
    pub phase: Option<Phase>,
    /// Its probability of being Random-like, from 0 to 1. 0 without a phase.
    pub random_like: f64,
    /// Number of its eigenvalues beyond the noise edge.
    pub num_spikes: usize,
    /// Its largest eigenvalue, in units of X = WᵀW/N.
    pub lambda_max_x: f64,
}

/// The controls of a full analysis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Controls {
    /// The entries minus their mean in random order, several times. This keeps their distribution
    /// and removes every correlation.
    pub permuted: Vec<Control>,
    /// |mean|/sd of the entries in units of (NM)^(−1/4). Above 1 the mean alone makes a spike.
    pub mean_shift: f64,
    /// Rows and columns scaled to equal norms by Sinkhorn's iteration on the squared entries. This
    /// keeps correlations in general position and removes unequal variances.
    pub equalised: Control,
}

/// Number of random orders for matrices with up to [`LARGE`] eigenvalues. Larger ones get one.
const PERMUTATIONS: usize = 4;
const LARGE: usize = 1024;
/// Number of Sinkhorn's iterations. After three the norms are equal to a few per cent.
const SINKHORN_ITERATIONS: usize = 8;

impl Controls {
    /// Analyse a matrix in random orders and with equalised norms.
    ///
    /// # Errors
    ///
    /// Fails if the eigensolver fails.
    pub fn new(matrix: &WeightMatrix, solver: Solver, seed: u64) -> Result<Self> {
        let mut rng = Pcg64::seed_from_u64(seed);
        let rounds = if matrix.m() <= LARGE { PERMUTATIONS } else { 1 };
        let count = matrix.values().len() as f64;
        let mean = matrix.values().iter().sum::<f64>() / count;
        let mut values: Vec<f64> = matrix.values().iter().map(|v| v - mean).collect();
        let largest = values.iter().fold(f64::MIN_POSITIVE, |a, v| a.max(v.abs()));
        let square: f64 = values.iter().map(|v| (v / largest).powi(2)).sum();
        let sd = largest * (square / count).sqrt();
        let mut permuted = Vec::with_capacity(rounds);
        for _ in 0..rounds {
            for i in (1..values.len()).rev() {
                values.swap(i, rng.random_range(0..=i));
            }
            permuted.push(control(matrix, values.clone(), solver)?);
        }
        let equal = equalised(matrix);
        Ok(Self {
            permuted,
            mean_shift: if sd > 0.0 {
                mean.abs() / sd * count.powf(0.25)
            } else {
                0.0
            },
            equalised: control(matrix, equal, solver)?,
        })
    }

    /// The annotations that the controls give to a matrix with this phase, bulk and λmax.
    pub(crate) fn annotations(
        &self,
        phase: Phase,
        bulk: &BulkFit,
        lambda_max: f64,
    ) -> Vec<Annotation> {
        let mut annotations = Vec::new();
        let spikes = self
            .permuted
            .iter()
            .map(|r| r.num_spikes)
            .max()
            .unwrap_or(0);
        let reach = self
            .permuted
            .iter()
            .map(|r| r.lambda_max_x)
            .fold(0.0, f64::max);
        // One in a hundred noise matrices has a spike, so most of the orders must have one.
        let trapped = self.permuted.iter().filter(|r| r.num_spikes > 0).count();
        if 2 * trapped > self.permuted.len() {
            annotations.push(Annotation::CorrelationTrap);
        }
        if self.mean_shift > 1.0 {
            annotations.push(Annotation::MeanShift);
        }
        if matches!(phase, Phase::RandomLike | Phase::RankCollapse) {
            return annotations;
        }
        // The comparison is between one matrix and a few, so it allows for their scatter.
        let scatter = 2.0 * (spikes as f64).sqrt() + 1.0;
        if lambda_max <= 1.1 * reach + bulk.edge_scale
            && bulk.num_spikes as f64 <= spikes as f64 + scatter
        {
            annotations.push(Annotation::EntryDistribution);
        }
        if self.equalised.phase == Some(Phase::RandomLike) {
            annotations.push(Annotation::ScaleHeterogeneity);
        }
        annotations
    }
}

fn control(matrix: &WeightMatrix, values: Vec<f64>, solver: Solver) -> Result<Control> {
    let matrix = matrix.with_values(matrix.rows(), matrix.cols(), values)?;
    let spectrum = Spectrum::from_matrix(&matrix, solver)?;
    let bulk = fit_bulk(&spectrum);
    let tail = fit_tail(spectrum.eigenvalues());
    let ratio = tail
        .as_ref()
        .ok()
        .and_then(|t| against_exponential(spectrum.eigenvalues(), t));
    let verdict = classify(&spectrum, &bulk, &tail, ratio.as_ref(), None);
    Ok(Control {
        phase: verdict.as_ref().ok().map(|v| v.phase),
        random_like: verdict.map_or(0.0, |v| v.probabilities[Phase::RandomLike as usize]),
        num_spikes: bulk.map_or(0, |b| b.num_spikes),
        lambda_max_x: spectrum.lambda_max(),
    })
}

/// Entries whose rows and columns have mean square 1. Zero rows and columns stay zero.
fn equalised(matrix: &WeightMatrix) -> Vec<f64> {
    let (rows, cols) = (matrix.rows(), matrix.cols());
    let mut values = matrix.values().to_vec();
    for _ in 0..SINKHORN_ITERATIONS {
        for row in values.chunks_exact_mut(cols) {
            let square: f64 = row.iter().map(|v| v * v).sum();
            if square > 0.0 {
                let factor = (cols as f64 / square).sqrt();
                row.iter_mut().for_each(|v| *v *= factor);
            }
        }
        let mut squares = vec![0.0; cols];
        for row in values.chunks_exact(cols) {
            for (square, v) in squares.iter_mut().zip(row) {
                *square += v * v;
            }
        }
        for square in &mut squares {
            *square = if *square > 0.0 {
                (rows as f64 / *square).sqrt()
            } else {
                0.0
            };
        }
        for row in values.chunks_exact_mut(cols) {
            for (v, factor) in row.iter_mut().zip(&squares) {
                *v *= factor;
            }
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equalising_makes_norms_equal() {
        let values: Vec<f64> = (0..60 * 20)
            .map(|i| (((i * 37) % 101) as f64 - 50.0) * (1.0 + (i % 20) as f64))
            .collect();
        let w = equalised(&WeightMatrix::new("w", 60, 20, values).unwrap());
        let column = |j: usize| -> f64 { w.iter().skip(j).step_by(20).map(|v| v * v).sum() };
        assert!((column(0) / column(19) - 1.0).abs() < 1e-9);
        let row = |i: usize| -> f64 { w[i * 20..(i + 1) * 20].iter().map(|v| v * v).sum() };
        assert!((row(0) / row(59) - 1.0).abs() < 0.02);
    }
}
