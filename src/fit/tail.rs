//! The fit of a power law to the upper tail of a spectrum.

use serde::{Deserialize, Serialize};

use super::NoFit;
use super::search::{MIN_TAIL, Search};

/// A power law fitted to the upper tail of a spectrum.
///
/// # Formula
///
/// The eigenvalues ascend, x_0 ≤ … ≤ x_{n−1}. Each i is tried as xmin = x_i, with the m = n−i
/// eigenvalues from x_i on:
///
/// - α_i = 1 + m / Σ_{j≥i} ln(x_j/x_i),
/// - D_i = max_k |1 − (x_{i+k}/x_i)^(1−α_i) − k/m|, k = 0 … m−1.
///
/// The first i with the smallest D_i wins, and σ = (α−1)/√m. With fewer than 20 eigenvalues the
/// estimator is the unbiased α_i = 1 + (m−1)/Σ…, and m ≥ 8.
///
/// # Source
///
/// Clauset, Shalizi, Newman (2009). The one-sided empirical cdf and the search over every
/// eigenvalue are those of WeightWatcher 0.7, so α can be compared with the numbers of its users.
/// Unlike there, the cut at the small end is relative (1e-12·λmax): W and 1e-6·W give the same α.
///
/// # When it misleads
///
/// σ ignores the search for xmin. The true spread is larger, most of all for short tails. Noise has
/// an α too, and for small matrices this α lies in the range that is called heavy-tailed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TailFit {
    /// Exponent of the density λ^−α, above 1.
    pub alpha: f64,
    /// The smallest eigenvalue of the tail, in units of X = WᵀW/N.
    pub xmin: f64,
    /// Kolmogorov–Smirnov distance D of the tail from the fitted law.
    pub d: f64,
    /// Textbook standard error of α, (α−1)/√`n_tail`.
    pub sigma: f64,
    /// Number of eigenvalues from xmin on.
    pub n_tail: usize,
    /// Number of eigenvalues that the fit used, those above 1e-12·λmax.
    pub n: usize,
}

/// Relative numerical floor. Eigenvalues below it are zero up to rounding.
pub(crate) const RELATIVE_FLOOR: f64 = 1e-12;

/// Relative spread that f32 rounding alone gives to equal eigenvalues.
pub(super) const EQUALITY_TOLERANCE: f64 = 1e-5;

/// Fit a power law to the tail of ascending, non-negative `eigenvalues`.
///
/// # Errors
///
/// Returns [`NoFit`] if the spectrum is zero, flat, too small, or no xmin gives α > 1.
pub fn fit_tail(eigenvalues: &[f64]) -> Result<TailFit, NoFit> {
    let x = usable(eigenvalues)?;
    let start = Search::default().run(&logs(x)).ok_or(NoFit::NoPowerLaw)?;
    let (alpha, n) = (start.alpha, x.len());
    let n_tail = n - start.index;
    Ok(TailFit {
        alpha,
        xmin: x[start.index],
        d: start.d,
        sigma: (alpha - 1.0) / (n_tail as f64).sqrt(),
        n_tail,
        n,
    })
}

/// The eigenvalues above the numerical floor, if a power law can be fitted to them.
pub(crate) fn usable(eigenvalues: &[f64]) -> Result<&[f64], NoFit> {
    let top = eigenvalues.last().copied().unwrap_or(0.0);
    if top <= 0.0 {
        return Err(NoFit::AllZero);
    }
    let x = &eigenvalues[eigenvalues.partition_point(|&x| x <= RELATIVE_FLOOR * top)..];
    match x {
        _ if x.len() < MIN_TAIL => Err(NoFit::TooFew {
            found: x.len(),
            needed: MIN_TAIL,
        }),
        [low, ..] if top - low <= EQUALITY_TOLERANCE * top => Err(NoFit::AllEqual),
        _ => Ok(x),
    }
}

/// ln(x/x_max), which does not depend on the overall scale.
pub(crate) fn logs(x: &[f64]) -> Vec<f64> {
    let top = x.last().copied().unwrap_or(1.0);
    x.iter().map(|v| (v / top).ln()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::law::{Law, PowerLaw};

    fn quantiles(alpha: f64, n: usize) -> Vec<f64> {
        let law = PowerLaw::new(alpha, 1.0).unwrap();
        (0..n)
            .map(|i| law.quantile((i as f64 + 0.5) / n as f64))
            .collect()
    }

    #[test]
    fn a_planted_exponent_comes_back() {
        for alpha in [1.8, 2.5, 4.0] {
            let fit = fit_tail(&quantiles(alpha, 400)).unwrap();
            assert!((fit.alpha / alpha - 1.0).abs() < 0.03, "{fit:?}");
        }
    }

    #[test]
    fn scale_changes_only_xmin() {
        let x = quantiles(2.5, 200);
        let scaled: Vec<f64> = x.iter().map(|v| v * 1e-24).collect();
        let (a, b) = (fit_tail(&x).unwrap(), fit_tail(&scaled).unwrap());
        assert_eq!(a.n_tail, b.n_tail);
        assert!((a.alpha / b.alpha - 1.0).abs() < 1e-12);
        assert!((a.xmin * 1e-24 / b.xmin - 1.0).abs() < 1e-12);
    }

    #[test]
    fn what_has_no_tail_says_why() {
        assert_eq!(fit_tail(&[0.0; 30]), Err(NoFit::AllZero));
        assert_eq!(fit_tail(&[2.0; 30]), Err(NoFit::AllEqual));
        assert_eq!(
            fit_tail(&[1.0, 2.0, 3.0]),
            Err(NoFit::TooFew {
                found: 3,
                needed: 8
            })
        );
        let mut low_rank = vec![0.0; 90];
        low_rank.extend([1.0, 2.0, 3.0]);
        assert!(matches!(
            fit_tail(&low_rank),
            Err(NoFit::TooFew { found: 3, .. })
        ));
    }
}
