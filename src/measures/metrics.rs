//! Norms, ranks and entropy of one spectrum, in the papers' normalisation X = WᵀW/N with natural
//! logarithms. [`Record`](crate::Record) converts them to WeightWatcher's columns (WᵀW, log10) and
//! contains both.

use serde::{Deserialize, Serialize};

use crate::spectrum::Spectrum;

/// Scalar measures of one spectrum of X = WᵀW/N.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Metrics {
    /// Largest eigenvalue λmax.
    pub lambda_max: f64,
    /// Smallest eigenvalue λmin.
    pub lambda_min: f64,
    /// Σλ = ‖W‖²_F/N.
    pub total: f64,
    /// Stable rank R_s = Σλ/λmax, from 1 to M. 0 for a zero matrix.
    pub stable_rank: f64,
    /// Hard rank: the number of singular values above the tolerance sv_max·(ε_f32/2)·√(N+M+1)
    /// (Numerical Recipes).
    pub hard_rank: usize,
    /// Entropy S = −Σ p ln p / ln M, p = λ/Σλ. It is 1 for equal eigenvalues and 0 for a single
    /// one.
    pub entropy: f64,
}

impl Metrics {
    /// The measures of a spectrum. An all-zero spectrum has ranks and entropy 0.
    pub fn new(spectrum: &Spectrum) -> Self {
        let x = spectrum.eigenvalues();
        let lambda_max = spectrum.lambda_max();
        let total = spectrum.total();
        let tolerance =
            f64::from(f32::EPSILON) / 2.0 * ((spectrum.n() + spectrum.m() + 1) as f64).sqrt();
        let zero = lambda_max <= 0.0;
        let entropy: f64 = if zero || x.len() < 2 {
            0.0
        } else {
            let sum: f64 = x
                .iter()
                .filter(|&&v| v > 0.0)
                .map(|v| v / total)
                .map(|p| -p * p.ln())
                .sum();
            sum / (x.len() as f64).ln()
        };
        Self {
            lambda_max,
            lambda_min: x[0],
            total,
            stable_rank: if zero { 0.0 } else { total / lambda_max },
            hard_rank: if zero {
                0
            } else {
                let floor = lambda_max * tolerance * tolerance;
                x.len() - x.partition_point(|&v| v <= floor)
            },
            entropy,
        }
    }
}

/// ln Σ λ^α, computed so that no scale over- or underflows. `None` for an all-zero spectrum.
pub(crate) fn ln_alpha_norm(spectrum: &Spectrum, alpha: f64) -> Option<f64> {
    let top = spectrum.lambda_max();
    (top > 0.0).then(|| {
        let sum: f64 = spectrum
            .eigenvalues()
            .iter()
            .map(|x| (x / top).powf(alpha))
            .sum();
        alpha * top.ln() + sum.ln()
    })
}

/// R_s^log = ln‖W‖²_F / ln λmax, in a normalisation that multiplies both by `scale`. `None` if
/// |ln λmax| < 0.1, because the quotient is then meaningless.
pub(crate) fn stable_rank_log(metrics: &Metrics, scale: f64) -> Option<f64> {
    let denominator = (metrics.lambda_max * scale).ln();
    (denominator.is_finite() && denominator.abs() >= 0.1)
        .then(|| (metrics.total * scale).ln() / denominator)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics(x: Vec<f64>) -> Metrics {
        let m = x.len();
        Metrics::new(&Spectrum::from_eigenvalues(x, 2 * m, m).unwrap())
    }

    #[test]
    fn known_spectra() {
        let flat = metrics(vec![2.0; 16]);
        assert_eq!((flat.hard_rank, flat.stable_rank), (16, 16.0));
        assert!((flat.entropy - 1.0).abs() < 1e-14);
        let mut one = vec![0.0; 15];
        one.push(3.0);
        let one = metrics(one);
        assert_eq!((one.hard_rank, one.stable_rank, one.entropy), (1, 1.0, 0.0));
        let zero = metrics(vec![0.0; 16]);
        assert_eq!(
            (zero.hard_rank, zero.stable_rank, zero.entropy),
            (0, 0.0, 0.0)
        );
    }

    #[test]
    fn logarithms_survive_any_scale() {
        let s = Spectrum::from_eigenvalues(vec![1e-200, 2e-200], 4, 2).unwrap();
        assert!(ln_alpha_norm(&s, 3.0).unwrap().is_finite());
        let near_one = metrics(vec![0.5, 1.0]);
        assert_eq!(stable_rank_log(&near_one, 1.0), None);
        assert!(stable_rank_log(&near_one, 100.0).is_some());
    }
}
