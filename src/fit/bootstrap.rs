//! Bootstraps of the tail: a confidence interval for α, and a test whether the tail is a power law.
//! Each replicate repeats the search for xmin.

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use serde::{Deserialize, Serialize};

use super::NoFit;
use super::search::{Search, TailStart};
use super::tail::{logs, usable};
use crate::law::normal;

/// Number of replicates that suffices for a 90 % interval and for p at the 10 % level.
pub const REPLICATES: usize = 200;

/// Nominal coverage of [`AlphaInterval`], for which [`expanded_tail_probability`] is made.
const LEVEL: f64 = 0.9;

/// A confidence interval for α.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AlphaInterval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Nominal coverage: the share of such intervals that should contain α.
    pub level: f64,
    /// Number of resampled spectra that could be fitted.
    pub replicates: usize,
}

/// Test of the power law as the law of the tail.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GoodnessOfFit {
    /// Probability of a tail at least as far from its power law if the law is true. Below 0.1 the
    /// law is ruled out.
    pub p: f64,
    /// Number of synthetic spectra that could be fitted.
    pub replicates: usize,
}

/// A 90 % interval for α of ascending `eigenvalues`.
///
/// # Formula
///
/// The interval lies between the q and 1−q quantiles of α over `replicates` fits. Each fit is to as
/// many eigenvalues, drawn with replacement, and repeats the search for xmin. So the interval
/// includes the uncertainty of the search.
///
/// q is a little below 5 %. The percentiles are expanded for the size m of the fitted tail:
/// q = Φ(−√(m/(m−1))·t), where t is Student's 95 % point with m−1 degrees of freedom.
///
/// # Source
///
/// Efron (1979), the percentile bootstrap; Hesterberg, *What teachers should know about the
/// bootstrap* (2015), for the expansion.
///
/// # When it misleads
///
/// Coverage measured on independent planted power laws, α from 1.8 to 4, 2000 samples a cell, 200
/// replicates:
///
/// | n | 10 | 15 | 20 | 30 | 50 | 100 | 250 | 1000 |
/// |---|---|---|---|---|---|---|---|---|
/// | pure power law | .83 | .85 | .82 | .85 | .87 | .90 | .91 | .92 |
/// | half of n a uniform body | .91 | .97 | .96 | .95 | .93 | .92 | .92 | .93 |
/// | half of n a lognormal body | .77 | .93 | .97 | .96 | .93 | .91 | .91 | .92 |
/// | four fifths a lognormal body | .72 | .83 | .96 | .95 | .94 | .94 | .96 | .93 |
///
/// Most intervals that miss α lie above it. The search favours short tails, so α is biased upwards
/// (for pure power laws at n = 50 by .12·(α−1)). For the same reason an interval need not contain
/// the fitted α.
///
/// Other intervals were measured before the expansion, with n ≥ 50 and other seeds. Plain
/// percentiles cover .86 for pure power laws at n = 50. Basic and bias-corrected intervals cover as
/// little as .70 and .75 in some cell. Draws whose tail comes from the fitted law cover .82. A
/// normal interval on ln(α−1) covers .93 for pure power laws at n = 50, but .88 in the last row.
///
/// Eigenvalues repel each other. The draws are independent, and they repeat values that never
/// repeat in a spectrum.
///
/// # Errors
///
/// Returns the same [`NoFit`] as [`fit_tail`](super::fit_tail).
pub fn alpha_interval(
    eigenvalues: &[f64],
    replicates: usize,
    seed: u64,
) -> Result<AlphaInterval, NoFit> {
    let logs = logs(usable(eigenvalues)?);
    let mut search = Search::default();
    let start = search.run(&logs).ok_or(NoFit::NoPowerLaw)?;
    let tail = expanded_tail_probability(logs.len() - start.index);
    let mut resampled = Resampler::new(seed);
    let mut alphas: Vec<f64> = (0..replicates.max(1))
        .filter_map(|_| search.run(resampled.with_replacement(&logs)))
        .map(|start| start.alpha)
        .collect();
    alphas.sort_by(f64::total_cmp);
    let point = |p| quantile(&alphas, p).ok_or(NoFit::NoPowerLaw);
    Ok(AlphaInterval {
        low: point(tail)?,
        high: point(1.0 - tail)?,
        level: LEVEL,
        replicates: alphas.len(),
    })
}

/// The share of replicates beyond each end of the interval, for a tail of m eigenvalues:
/// Φ(−√(m/(m−1))·t), where t is Student's 95 % point with m−1 degrees of freedom, by Cornish and
/// Fisher's expansion. A plain percentile interval is too narrow for few values, as σ is with 1/m
/// instead of 1/(m−1).
fn expanded_tail_probability(m: usize) -> f64 {
    let nu = (m.max(3) - 1) as f64;
    let z: f64 = 1.644_853_627;
    let t = z
        + (z.powi(3) + z) / (4.0 * nu)
        + (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / (96.0 * nu * nu);
    normal::cdf(-t * ((nu + 1.0) / nu).sqrt())
}

/// Whether the tail of ascending `eigenvalues` could come from a power law.
///
/// # Formula
///
/// p = (1 + #{D* ≥ D})/(1 + `replicates`), where D* is the distance of the fit to a synthetic
/// spectrum of as many eigenvalues. Each of them comes from the fitted law with probability
/// n_tail/n, else it is drawn from the eigenvalues below xmin. Each replicate repeats the search
/// for xmin.
///
/// # Source
///
/// Clauset, Shalizi, Newman (2009), §4.1. A bootstrap's p is never zero: Davison and Hinkley
/// (1997), §4.2.3.
///
/// # When it misleads
///
/// p ≤ 0.1 for this share of 500 independent samples (200 replicates):
///
/// | sample | n = 50 | 100 | 500 | 1000 |
/// |---|---|---|---|---|
/// | power law, α = 2.5 | .05 | .07 | .08 | |
/// | the same above as many uniform values | | .06 | .07 | |
/// | exponential from 0 | | | .40 | .40 |
/// | exponential, rate·xmin = 1.9 | | | .44 | .52 |
/// | uniform | | | .75 | |
///
/// A small p can be trusted, a large one cannot. If the sample is not a power law, the search moves
/// to a short tail that could be one. Where the search kept 100 of 500 values from an exponential,
/// .88 were refused. A large p with a small `n_tail` means nothing. At n = 15 to 30 power laws are
/// refused in .07 to .09 of samples, exponentials in .19, uniform values in .41 to .44. Eigenvalues
/// are more rigid than the independent draws they are compared with, which should make p larger.
///
/// # Errors
///
/// Returns the same [`NoFit`] as [`fit_tail`](super::fit_tail).
pub fn goodness_of_fit(
    eigenvalues: &[f64],
    replicates: usize,
    seed: u64,
) -> Result<GoodnessOfFit, NoFit> {
    let logs = logs(usable(eigenvalues)?);
    let mut search = Search::default();
    let start = search.run(&logs).ok_or(NoFit::NoPowerLaw)?;
    let mut resampled = Resampler::new(seed);
    let (mut fitted, mut as_far) = (0, 0);
    for _ in 0..replicates {
        if let Some(replicate) = search.run(resampled.draw_from_fit(&logs, start)) {
            fitted += 1;
            as_far += usize::from(replicate.d >= start.d);
        }
    }
    Ok(GoodnessOfFit {
        p: (1 + as_far) as f64 / (1 + fitted) as f64,
        replicates: fitted,
    })
}

/// Generates ascending samples, one after the other in the same memory.
struct Resampler {
    rng: Pcg64,
    counts: Vec<usize>,
    logs: Vec<f64>,
}

impl Resampler {
    fn new(seed: u64) -> Self {
        Self {
            rng: Pcg64::seed_from_u64(seed),
            counts: Vec::new(),
            logs: Vec::new(),
        }
    }

    /// As many values as `logs`, drawn from them with replacement.
    fn with_replacement(&mut self, logs: &[f64]) -> &[f64] {
        self.draw(logs, logs.len());
        &self.logs
    }

    /// The body is drawn with replacement, the tail comes from the fitted law.
    fn draw_from_fit(&mut self, logs: &[f64], start: TailStart) -> &[f64] {
        let tail = self.draw(logs, start.index);
        // Rényi: the gaps of m sorted exponentials are exponentials of mean 1/m, …, 1/1. So no sort
        // is needed.
        let mut y = logs[start.index];
        for left in (1..=tail).rev() {
            let e = -(1.0 - self.rng.random::<f64>()).ln();
            y += e / (left as f64 * (start.alpha - 1.0));
            self.logs.push(y);
        }
        &self.logs
    }

    /// Draw as many indices as there are `logs`. Keep the values of those below `body`, and return
    /// the number of the others.
    fn draw(&mut self, logs: &[f64], body: usize) -> usize {
        self.counts.clear();
        self.counts.resize(body, 0);
        let mut beyond = 0;
        for _ in logs {
            match self.counts.get_mut(self.rng.random_range(0..logs.len())) {
                Some(count) => *count += 1,
                None => beyond += 1,
            }
        }
        self.logs.clear();
        for (&value, &count) in logs.iter().zip(&self.counts) {
            self.logs.extend(std::iter::repeat_n(value, count));
        }
        beyond
    }
}

/// The p-quantile of sorted values, with linear interpolation. `None` without values.
fn quantile(sorted: &[f64], p: f64) -> Option<f64> {
    let at = p * sorted.len().checked_sub(1)? as f64;
    let below = at.floor();
    let low = sorted.get(below as usize)?;
    let high = sorted.get(at.ceil() as usize)?;
    Some(low + (at - below) * (high - low))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::fit_tail;
    use crate::law::{Exponential, Law, PowerLaw};

    fn sample(law: &dyn Law, n: usize, seed: u64) -> Vec<f64> {
        let mut rng = Pcg64::seed_from_u64(seed);
        let mut x: Vec<f64> = (0..n).map(|_| law.sample(&mut rng)).collect();
        x.sort_by(f64::total_cmp);
        x
    }

    #[test]
    fn a_planted_exponent_is_inside_about_nine_times_in_ten() {
        let law = PowerLaw::new(2.5, 1.0).unwrap();
        let covered = (0..60)
            .filter(|&seed| {
                let interval = alpha_interval(&sample(&law, 100, seed), 100, seed).unwrap();
                assert!(interval.low < interval.high);
                interval.low <= 2.5 && 2.5 <= interval.high
            })
            .count();
        // Within 3.5 standard deviations of 54.
        assert!((46..=60).contains(&covered), "{covered} of 60");
    }

    #[test]
    fn power_laws_pass_and_long_exponential_tails_do_not() {
        let refused = |x: &[f64], seed| goodness_of_fit(x, 99, seed).unwrap().p <= 0.1;
        let law = PowerLaw::new(2.5, 1.0).unwrap();
        let passed = (0..20)
            .filter(|&seed| !refused(&sample(&law, 500, seed), seed))
            .count();
        // 18.3 are expected from the measured rate.
        assert!(passed >= 14, "{passed} of 20");
        // From an exponential the search often moves to a short tail, for which p decides nothing.
        // Where it kept 100 values, 88 % were refused when this was measured.
        let long: Vec<bool> = (0..40)
            .map(|seed| {
                (
                    seed,
                    sample(&Exponential::new(1.0, 0.0).unwrap(), 500, seed),
                )
            })
            .filter(|(_, x)| fit_tail(x).unwrap().n_tail >= 100)
            .map(|(seed, x)| refused(&x, seed))
            .collect();
        let hits = long.iter().filter(|&&r| r).count();
        assert!(long.len() >= 5 && 10 * hits >= 6 * long.len(), "{long:?}");
    }

    #[test]
    fn scale_changes_neither_interval_nor_p() {
        let x = sample(&PowerLaw::new(2.2, 1.0).unwrap(), 150, 3);
        let (fit, interval) = (fit_tail(&x).unwrap(), alpha_interval(&x, 100, 1).unwrap());
        let p = goodness_of_fit(&x, 100, 1).unwrap();
        // W and 1e-6·W. The first factor keeps the bits, the second does not.
        for (scale, tolerance) in [(2f64.powi(-40), 0.0), (1e-12, 1e-9)] {
            let scaled: Vec<f64> = x.iter().map(|v| scale * v).collect();
            let close = |a: f64, b: f64| (a - b).abs() <= tolerance * a;
            assert!(close(fit.alpha, fit_tail(&scaled).unwrap().alpha));
            let other = alpha_interval(&scaled, 100, 1).unwrap();
            assert!(close(interval.low, other.low) && close(interval.high, other.high));
            assert_eq!(p, goodness_of_fit(&scaled, 100, 1).unwrap());
        }
    }

    #[test]
    fn a_seed_decides_everything() {
        let x = sample(&PowerLaw::new(3.0, 1.0).unwrap(), 60, 9);
        assert_eq!(alpha_interval(&x, 50, 1), alpha_interval(&x, 50, 1));
        assert_ne!(alpha_interval(&x, 50, 1), alpha_interval(&x, 50, 2));
        assert_eq!(goodness_of_fit(&x, 50, 1), goodness_of_fit(&x, 50, 1));
    }

    #[test]
    fn small_samples_have_wide_intervals_and_none_have_reasons() {
        for n in [8, 12, 19, 20] {
            let x = sample(&PowerLaw::new(2.5, 1.0).unwrap(), n, 4);
            let interval = alpha_interval(&x, 100, 1).unwrap();
            assert!(interval.low > 1.0 && interval.high.is_finite());
            assert!((0.0..=1.0).contains(&goodness_of_fit(&x, 100, 1).unwrap().p));
        }
        assert_eq!(alpha_interval(&[0.0; 30], 10, 1), Err(NoFit::AllZero));
        assert_eq!(goodness_of_fit(&[2.0; 30], 10, 1), Err(NoFit::AllEqual));
        let few = [1.0, 2.0, 3.0];
        assert!(matches!(
            alpha_interval(&few, 10, 1),
            Err(NoFit::TooFew { .. })
        ));
    }
}
