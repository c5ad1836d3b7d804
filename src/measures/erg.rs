//! The ERG (determinant) condition of the tail.

use serde::{Deserialize, Serialize};

use crate::fit::{NoFit, TailFit};
use crate::spectrum::Spectrum;

/// The number of largest eigenvalues whose product first falls below one.
///
/// # Formula
///
/// With λ̃ = λ/mean(λ) in descending order, `detx_num` is the smallest k with Σ_{i≤k} ln λ̃_i < 0.
/// The division by the mean makes k the same for X = WᵀW/N, WᵀW and any multiple of W. Such a k
/// exists unless all eigenvalues are equal, because the geometric mean is below the arithmetic one.
///
/// # Source
///
/// Martin, Hinrichs, *SETOL: A Semi-Empirical Theory of (Deep) Learning* (arXiv:2507.17912): the
/// ERG or trace-log condition ln det X̃ = 0 holds on the tail of an ideally trained layer.
/// `detx_num` and `erg_gap` are WeightWatcher's `detX_num` and `ERG_gap`, which count the
/// eigenvalue that takes the product below one. Here sums of logarithms replace the product, so
/// nothing under- or overflows.
///
/// # When it misleads
///
/// The theory expects the condition of heavy-tailed, converged layers only. Noise has a `detx_num`
/// too (about 0.7·M at Q = 1 and 0.9·M at Q = 5). Null directions lower the mean, which changes k.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Erg {
    /// k, including the eigenvalue that takes the product below one.
    pub detx_num: usize,
    /// The k-th largest eigenvalue, in units of X = WᵀW/N.
    pub lambda_detx: f64,
    /// The tail of a fitted power law compared with the condition. `None` without a tail.
    pub against_tail: Option<ErgGap>,
}

/// How far a power-law tail is from the ERG condition. All fields are 0 for an ideal layer.
///
/// # When it misleads
///
/// The gaps are as uncertain as the tail's xmin, which jumps if two candidates fit equally well.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ErgGap {
    /// `detx_num` minus the number of eigenvalues in the tail. It is positive if xmin is above
    /// `lambda_detx`.
    pub erg_gap: i64,
    /// Σ ln λ̃ over the eigenvalues λ ≥ xmin.
    pub ln_det_tail: f64,
    /// (xmin − `lambda_detx`)/mean(λ), without unit.
    pub delta_lambda: f64,
}

/// Relative spread that f32 rounding alone gives to equal eigenvalues.
const FLAT: f64 = 1e-5;

/// The ERG condition of a spectrum, compared with its fitted `tail` if there is one.
///
/// # Errors
///
/// Returns [`NoFit::AllZero`] or [`NoFit::AllEqual`]. With equal eigenvalues rounding would decide.
pub fn erg(spectrum: &Spectrum, tail: Option<&TailFit>) -> Result<Erg, NoFit> {
    let x = spectrum.eigenvalues();
    let top = spectrum.lambda_max();
    if top <= 0.0 {
        return Err(NoFit::AllZero);
    }
    if top - x[0] <= FLAT * top {
        return Err(NoFit::AllEqual);
    }
    // Dividing by λmax first keeps the sum from overflowing.
    let mean = x.iter().map(|v| v / top).sum::<f64>() / x.len() as f64;
    let ln = |v: f64| (v / top / mean).ln();
    let mut sum = 0.0;
    let below = x.iter().rev().position(|&v| {
        sum += ln(v);
        sum < 0.0
    });
    let detx_num = below.ok_or(NoFit::AllEqual)? + 1;
    let lambda_detx = x[x.len() - detx_num];
    let against_tail = tail.map(|fit| {
        let start = x.partition_point(|&v| v < fit.xmin);
        ErgGap {
            erg_gap: detx_num as i64 - (x.len() - start) as i64,
            ln_det_tail: x[start..].iter().map(|&v| ln(v)).sum(),
            delta_lambda: (fit.xmin - lambda_detx) / top / mean,
        }
    });
    Ok(Erg {
        detx_num,
        lambda_detx,
        against_tail,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::fit_tail;
    use crate::law::{Law, PowerLaw};

    fn spectrum(x: Vec<f64>) -> Spectrum {
        let m = x.len();
        Spectrum::from_eigenvalues(x, m, m).unwrap()
    }

    fn quantiles(alpha: f64, n: usize) -> Vec<f64> {
        let law = PowerLaw::new(alpha, 1.0).unwrap();
        (0..n)
            .map(|i| law.quantile((i as f64 + 0.5) / n as f64))
            .collect()
    }

    #[test]
    fn by_hand() {
        // Mean 2: λ̃ = 3, ½, ½, ½, ½; 3 · ½ > 1 > 3 · ½ · ½.
        let e = erg(&spectrum(vec![1.0, 1.0, 6.0, 1.0, 1.0]), None).unwrap();
        assert_eq!((e.detx_num, e.lambda_detx), (3, 1.0));
        // With one direction only, the first zero takes the product below one.
        let mut one = vec![0.0; 9];
        one.push(1.0);
        assert_eq!(erg(&spectrum(one), None).unwrap().detx_num, 2);
    }

    #[test]
    fn the_gap_is_zero_where_the_tail_meets_the_condition() {
        let x = quantiles(2.5, 300);
        let s = spectrum(x.clone());
        let mut fit = fit_tail(&x).unwrap();
        let k = erg(&s, None).unwrap().detx_num;
        fit.xmin = x[300 - k];
        let gap = erg(&s, Some(&fit)).unwrap().against_tail.unwrap();
        assert_eq!((gap.erg_gap, gap.delta_lambda), (0, 0.0));
        assert!(gap.ln_det_tail < 0.0 && gap.ln_det_tail > -1.0, "{gap:?}");
        // A tail that starts further up has fewer eigenvalues: both gaps are positive.
        fit.xmin = x[300 - k / 2];
        let gap = erg(&s, Some(&fit)).unwrap().against_tail.unwrap();
        assert_eq!(gap.erg_gap, (k - k / 2) as i64);
        assert!(gap.delta_lambda > 0.0 && gap.ln_det_tail > 1.0, "{gap:?}");
    }

    #[test]
    fn normalisation_and_scale_change_nothing() {
        let x = quantiles(2.0, 400);
        let of = |scale: f64| {
            let x: Vec<f64> = x.iter().map(|v| v * scale).collect();
            let fit = fit_tail(&x).unwrap();
            (erg(&spectrum(x), Some(&fit)).unwrap(), scale)
        };
        let (reference, _) = of(1.0);
        let expected = reference.against_tail.unwrap();
        // 4096 turns X = WᵀW/N of a layer with N = 4096 into WᵀW.
        for (e, scale) in [4096.0, 1e-250, 1e250].map(of) {
            assert_eq!(e.detx_num, reference.detx_num);
            assert!((e.lambda_detx / scale / reference.lambda_detx - 1.0).abs() < 1e-12);
            let gap = e.against_tail.unwrap();
            assert_eq!(gap.erg_gap, expected.erg_gap);
            assert!((gap.ln_det_tail - expected.ln_det_tail).abs() < 1e-9);
            assert!((gap.delta_lambda - expected.delta_lambda).abs() < 1e-9);
        }
    }

    #[test]
    fn without_a_product_there_is_a_reason() {
        assert_eq!(erg(&spectrum(vec![0.0; 9]), None), Err(NoFit::AllZero));
        assert_eq!(erg(&spectrum(vec![3.0; 9]), None), Err(NoFit::AllEqual));
    }
}
