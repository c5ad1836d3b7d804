//! The Kolmogorov–Smirnov test against the standard normal law.

use crate::law::normal;
use crate::law::numeric::kolmogorov;

/// P(K > x) of Kolmogorov's law.
///
/// - For large x it is 2 Σ (−1)^(j−1) e^(−2j²x²).
/// - For small x it is 1 − √(2π)/x · Σ e^(−(2j−1)²π²/8x²).
fn survival(x: f64) -> f64 {
    use std::f64::consts::{PI, TAU};
    if x <= 0.0 {
        1.0
    } else if x < 1.0 {
        let sum: f64 = [1.0, 3.0, 5.0, 7.0]
            .iter()
            .map(|j: &f64| (-(j * PI / x).powi(2) / 8.0).exp())
            .sum();
        1.0 - TAU.sqrt() / x * sum
    } else {
        let terms = [1.0, -2.0, 3.0, -4.0, 5.0];
        let sum: f64 = terms
            .iter()
            .map(|j: &f64| j.signum() * (-2.0 * (j * x).powi(2)).exp())
            .sum();
        2.0 * sum
    }
}

/// p-value of the two-sided test that ascending `sorted` values are standard normal.
///
/// Source: Kolmogorov's asymptotic law with Stephens's (1970) correction (√n + 0.12 + 0.11/√n)·D.
pub(super) fn normal_p(sorted: &[f64]) -> f64 {
    let n = sorted.len() as f64;
    let d = kolmogorov(sorted, normal::cdf);
    survival((n.sqrt() + 0.12 + 0.11 / n.sqrt()) * d)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tabulated_values() {
        for (x, p) in [
            (0.0, 0.5),
            (1.0, 0.841_344_746_068_542_9),
            (-1.959_963_984_540_054, 0.025),
            (3.0, 0.998_650_101_968_369_9),
            (-6.0, 9.865_876_450_376_98e-10),
        ] {
            assert!(
                (normal::cdf(x) - p).abs() < 1e-15,
                "{x}: {}",
                normal::cdf(x)
            );
        }
        // Quantiles of Kolmogorov's law, from 200 terms of the series.
        for (x, p) in [
            (0.827_573_555_189_91, 0.5),
            (1.223_847_870_217_03, 0.1),
            (1.358_098_639_322_31, 0.05),
            (1.627_623_611_518_95, 0.01),
        ] {
            assert!((survival(x) - p).abs() < 1e-12, "{x}: {}", survival(x));
        }
        assert!((survival(1.0 - 1e-12) - survival(1.0)).abs() < 1e-11);
        assert_eq!((survival(0.0), survival(40.0)), (1.0, 0.0));
    }

    #[test]
    fn both_sides_count() {
        let shifted: Vec<f64> = (0..50).map(|i| 1.0 + f64::from(i) / 100.0).collect();
        let mirrored: Vec<f64> = shifted.iter().rev().map(|x| -x).collect();
        let (a, b) = (normal_p(&shifted), normal_p(&mirrored));
        assert!(a < 1e-20 && (a / b - 1.0).abs() < 1e-6, "{a} {b}");
    }
}
