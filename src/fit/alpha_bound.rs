//! A bound on the change of α when a matrix moves. It lets the monitor skip an observation.

use super::search::{MIN_TAIL, SMALL_SAMPLE, Search};
use super::tail::{EQUALITY_TOLERANCE, RELATIVE_FLOOR, logs, usable};

/// Whether α of a matrix that moved by ΔW is certainly within `tolerance` of its old α.
///
/// `eigenvalues` are those of X = WᵀW/N before the move, ascending. `drift` is ‖ΔW‖_F/√N, in units
/// of √λ. `error` bounds the error of the eigensolver, in units of λmax.
///
/// # Formula
///
/// With σ = √λ: no σ moves by more than `drift` (Weyl), and Σ(Δσ)² ≤ drift² (Mirsky). So each ln
/// λ_j lies in a known interval. By Cauchy's inequality Σ_{j>i} ln λ_j moves by at most
/// 2·drift·√(Σ_{j>i} 1/(σ_j − drift)²). Both intervals are widened by the error of the solver
/// before and after the move.
///
/// These intervals bound α_i and D_i of every start i of the tail. The old best start can reach
/// some largest D. A start whose D_i must stay above it cannot win. Every other start must keep its
/// α_i within the tolerance.
///
/// # When it misleads
///
/// It never misleads towards skipping: `false` means that nothing is certain. The bound is far from
/// tight, because the whole drift could go into the one eigenvalue at which the tail begins. A
/// matrix that passes has hardly moved.
///
/// # Source
///
/// L. Mirsky, *Symmetric gauge functions and unitarily invariant norms* (1960).
pub(crate) fn alpha_change_is_within(
    eigenvalues: &[f64],
    drift: f64,
    error: f64,
    tolerance: f64,
) -> bool {
    if drift == 0.0 {
        // The same entries have the same eigenvalues, to the bit.
        return true;
    }
    match usable(eigenvalues) {
        Ok(x) if drift.is_finite() => {
            let error = error * x[x.len() - 1];
            let below = eigenvalues.len() - x.len();
            same_values(&eigenvalues[..below], x, drift, error)
                && MovedBounds::new(x, drift, error).is_some_and(|m| m.holds(&logs(x), tolerance))
        }
        _ => false,
    }
}

/// The interval of values that the solver may return for λ after the move.
fn lambda_interval_after(lambda: f64, drift: f64, error: f64) -> Interval {
    let low = ((lambda - error).max(0.0).sqrt() - drift).max(0.0);
    let high = (lambda + error).sqrt() + drift;
    Interval {
        low: low * low - error,
        high: high * high + error,
    }
}

/// Whether the fit uses the same eigenvalues after the move: none crosses the floor, and they stay
/// unequal.
fn same_values(below: &[f64], x: &[f64], drift: f64, error: f64) -> bool {
    let low = lambda_interval_after(x[0], drift, error);
    let top = lambda_interval_after(x[x.len() - 1], drift, error);
    let under = below
        .last()
        .map_or(0.0, |v| lambda_interval_after(*v, drift, error).high);
    low.low > RELATIVE_FLOOR * top.high
        && (below.is_empty() || under < RELATIVE_FLOOR * top.low)
        && low.high < (1.0 - EQUALITY_TOLERANCE) * top.low
}

/// A closed interval.
#[derive(Debug, Clone, Copy)]
struct Interval {
    low: f64,
    high: f64,
}

/// The intervals of ln λ and of its sums after the move, relative to the old λmax.
struct MovedBounds {
    logs: Vec<Interval>,
    /// Σ_{j>i} ln λ_j for each start i.
    above: Vec<Interval>,
}

/// Allowance for rounding, far above the rounding error of these sums.
const ROUNDING_ALLOWANCE: f64 = 1e-9;

impl MovedBounds {
    /// `None` if an eigenvalue can reach zero.
    fn new(x: &[f64], drift: f64, error: f64) -> Option<Self> {
        let top = *x.last()?;
        let ln = |lambda: f64| (lambda / top).ln();
        let mut logs = Vec::with_capacity(x.len());
        for &lambda in x {
            let range = lambda_interval_after(lambda, drift, error);
            if range.low <= 0.0 {
                return None;
            }
            logs.push(Interval {
                low: ln(range.low) - ROUNDING_ALLOWANCE,
                high: ln(range.high) + ROUNDING_ALLOWANCE,
            });
        }
        let mut above = vec![
            Interval {
                low: 0.0,
                high: 0.0
            };
            x.len()
        ];
        let (mut sum, mut steepness, mut off) = (0.0, 0.0, 0.0);
        for i in (0..x.len() - 1).rev() {
            let lambda = x[i + 1];
            // The true σ is at least this large, before and after the move.
            let sigma = (lambda - error).sqrt() - drift;
            sum += ln(lambda);
            steepness += sigma.powi(-2);
            off -= (-error / lambda).ln_1p() + (-error / (sigma * sigma)).ln_1p();
            let by = 2.0 * drift * f64::sqrt(steepness)
                + off
                + ROUNDING_ALLOWANCE * (x.len() - i) as f64;
            above[i] = Interval {
                low: sum - by,
                high: sum + by,
            };
        }
        Some(Self { logs, above })
    }

    /// α − 1 of the tail from i on; `None` if it has no upper bound.
    fn slope(&self, i: usize) -> Option<Interval> {
        let n = self.logs.len();
        let m = (n - i) as f64;
        let terms = if n < SMALL_SAMPLE { m - 1.0 } else { m };
        let sum = |above: f64, first: f64| above - (m - 1.0) * first;
        let low = sum(self.above[i].low, self.logs[i].high);
        let high = sum(self.above[i].high, self.logs[i].low);
        (low > 0.0).then(|| Interval {
            low: terms / high,
            high: terms / low,
        })
    }

    /// The distance between the empirical and the model cdf at the k-th point of the tail from i
    /// on.
    fn distance(&self, i: usize, k: usize, slope: Interval) -> Interval {
        let (first, point) = (self.logs[i], self.logs[i + k]);
        let cdf = |slope: f64, gap: f64| -(-slope * gap.max(0.0)).exp_m1();
        let model = if k == 0 {
            Interval {
                low: 0.0,
                high: 0.0,
            }
        } else {
            Interval {
                low: cdf(slope.low, point.low - first.high),
                high: cdf(slope.high, point.high - first.low),
            }
        };
        let level = k as f64 / (self.logs.len() - i) as f64;
        Interval {
            low: (model.low - level).max(level - model.high).max(0.0),
            high: (model.high - level).max(level - model.low),
        }
    }

    fn holds(&self, old: &[f64], tolerance: f64) -> bool {
        let n = old.len();
        let Some(best) = Search::default().run(old) else {
            return false;
        };
        let within = |slope: Option<Interval>| {
            slope.is_some_and(|s| {
                s.high - (best.alpha - 1.0) <= tolerance && (best.alpha - 1.0) - s.low <= tolerance
            })
        };
        let slope = self.slope(best.index);
        let Some(range) = slope.filter(|_| within(slope)) else {
            return false;
        };
        let worst = (0..n - best.index)
            .map(|k| self.distance(best.index, k, range).high)
            .fold(0.0, f64::max)
            + ROUNDING_ALLOWANCE;
        let starts = if n < SMALL_SAMPLE {
            n + 1 - MIN_TAIL
        } else {
            n - 1
        };
        (0..starts).all(|i| {
            let slope = self.slope(i);
            let loses = |s: Interval| (0..n - i).any(|k| self.distance(i, k, s).low > worst);
            within(slope) || slope.is_some_and(loses)
        })
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_pcg::Pcg64;

    use super::*;
    use crate::fit::fit_tail;
    use crate::law::{Law, MarchenkoPastur, PowerLaw};

    const ERROR: f64 = 1e-13;

    fn spectrum(kind: usize, n: usize, rng: &mut Pcg64) -> Vec<f64> {
        let noise = MarchenkoPastur::new(1.0, 4 * n, n)
            .unwrap()
            .midpoint_quantiles(n);
        let mut x: Vec<f64> = (0..n)
            .map(|i| match kind {
                0 => PowerLaw::new(2.5, 1.0).unwrap().quantile(rng.random()),
                1 => noise[i],
                2 if i > n - n / 8 => noise[i] * (1.0 + 4.0 * rng.random::<f64>()),
                2 => noise[i],
                _ => (-8.0 * rng.random::<f64>()).exp(),
            })
            .collect();
        x.sort_by(f64::total_cmp);
        x
    }

    /// Moves the singular values by exactly `drift`: spread at random, all at one place, or in
    /// proportion to 1/σ, the worst direction for α.
    fn moved(x: &[f64], drift: f64, way: usize, rng: &mut Pcg64) -> Vec<f64> {
        let mut by: Vec<f64> = match way {
            0 => (0..x.len()).map(|_| rng.random::<f64>() - 0.5).collect(),
            1 | 2 => {
                let tail = fit_tail(x).unwrap();
                let at = x.partition_point(|v| *v < tail.xmin);
                let sign = if way == 1 { 1.0 } else { -1.0 };
                (0..x.len())
                    .map(|i| if i == at { sign } else { 0.0 })
                    .collect()
            }
            _ => x.iter().map(|v| v.sqrt().recip()).collect(),
        };
        let norm = by.iter().map(|v| v * v).sum::<f64>().sqrt();
        by.iter_mut().for_each(|v| *v *= drift / norm);
        let mut y: Vec<f64> = x
            .iter()
            .zip(&by)
            .map(|(v, d)| (v.sqrt() + d).powi(2))
            .collect();
        y.sort_by(f64::total_cmp);
        y
    }

    #[test]
    fn what_is_skipped_has_kept_its_alpha() {
        let mut rng = Pcg64::seed_from_u64(3);
        let mut skipped = 0;
        for trial in 0..2400 {
            let n = 12 + trial % 150;
            let x = spectrum(trial % 4, n, &mut rng);
            let drift = 10f64.powf(-7.0 + 5.0 * rng.random::<f64>());
            let tolerance = [0.01, 0.1][trial % 2];
            if !alpha_change_is_within(&x, drift, ERROR, tolerance) {
                continue;
            }
            skipped += 1;
            let old = fit_tail(&x).unwrap().alpha;
            for way in 0..4 {
                let new = fit_tail(&moved(&x, drift, way, &mut rng)).unwrap().alpha;
                assert!((new - old).abs() <= tolerance, "{trial} {way}: {old} {new}");
            }
        }
        assert!(skipped > 500, "{skipped} of 2400");
    }

    #[test]
    fn what_the_solver_may_be_off_by_counts() {
        let x: Vec<f64> = (0..60).map(|i| 0.7f64.powi(60 - i)).collect();
        // The eigenvalues range down to 1e-9 of the largest.
        assert!(alpha_change_is_within(&x, 1e-9, 1e-15, 0.1));
        assert!(!alpha_change_is_within(&x, 1e-9, 1e-6, 0.1));
        assert!(alpha_change_is_within(&x, 0.0, 1e-6, 0.1));
    }

    #[test]
    fn a_large_move_is_never_skipped() {
        let mut rng = Pcg64::seed_from_u64(4);
        for kind in 0..4 {
            let x = spectrum(kind, 100, &mut rng);
            assert!(alpha_change_is_within(&x, 0.0, ERROR, 0.01));
            assert!(!alpha_change_is_within(&x, 0.3, ERROR, 0.01));
            assert!(!alpha_change_is_within(&x, f64::NAN, ERROR, 0.01));
        }
        assert!(!alpha_change_is_within(&[0.0; 20], 1e-9, ERROR, 0.1));
    }
}
