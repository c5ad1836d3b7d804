//! Likelihood-ratio tests of the power law against other laws on the fitted tail.

use serde::{Deserialize, Serialize};

use super::TailFit;
use crate::law::exponential_family::{Bend, ExponentialFamily, fit as fit_family};
use crate::law::normal::{erfc, two_sided};

/// A likelihood ratio of two laws on the same tail.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LikelihoodRatio {
    /// Σ (ln p₁ − ln p₂). It is positive if the first law fits better.
    pub ratio: f64,
    /// Vuong's statistic: the ratio divided by √n times the standard deviation of its terms. A
    /// magnitude above 2 is decisive.
    pub normalised: f64,
    /// Probability of a statistic at least as far from zero if both laws are equally far from the
    /// truth.
    pub p: f64,
}

/// A likelihood ratio of the power law and a wider law that contains it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NestedRatio {
    /// L_power − L_wider ≤ 0, both at their maximum.
    pub ratio: f64,
    /// Probability of a ratio at least as small if the power law is true. Below 0.1 the wider law
    /// is needed.
    pub p: f64,
}

/// The power law compared with three other laws on the fitted tail.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Comparison {
    /// Against the exponential.
    pub exponential: LikelihoodRatio,
    /// Against the lognormal above xmin.
    pub lognormal: LikelihoodRatio,
    /// Against the power law with an exponential cut-off.
    pub truncated: NestedRatio,
}

/// The power law against the exponential, the lognormal and the truncated power law on the fitted
/// tail. `eigenvalues` are ascending. `None` if the tail has fewer than two distinct values.
///
/// # Formula
///
/// Each of the other laws has its own maximum likelihood above xmin. Vuong's test compares the
/// power law with the exponential and the lognormal. With l_i = ln p₁(x_i) − ln p₂(x_i), the ratio
/// R = Σ l_i is normal with variance n·Var l if the laws are equally far from the truth. The
/// truncated power law contains the power law at the boundary rate = 0 of its parameters. There −2R
/// is 0 half of the time and χ² with one degree of freedom otherwise: p = ½·erfc(√−R), and 1 for R
/// = 0.
///
/// # Source
///
/// Vuong (1989), as used by Clauset, Shalizi, Newman (2009), §5; for the boundary Self and Liang
/// (1987). The `powerlaw` package uses χ²₁ there, so its p is twice ours.
///
/// # When it misleads
///
/// As its variance grows, the lognormal becomes a power law too. When it is one (R = 0), Vuong's
/// statistic is 0 and p is 1. Close to that limit p is approximate. Neither test accounts for the
/// choice of xmin in favour of the power law.
pub fn compare(eigenvalues: &[f64], fit: &TailFit) -> Option<Comparison> {
    let tail = Tail::new(eigenvalues, fit)?;
    Some(Comparison {
        exponential: tail.against_exponential()?,
        lognormal: tail.against_lognormal()?,
        truncated: tail.against_truncated()?,
    })
}

/// The power law against the exponential on the fitted tail, as in [`compare`]. `None` under the
/// same condition.
pub fn against_exponential(eigenvalues: &[f64], fit: &TailFit) -> Option<LikelihoodRatio> {
    Tail::new(eigenvalues, fit)?.against_exponential()
}

/// The tail as y = ln(x/xmin), which has no scale. Densities are those of y.
struct Tail {
    y: Vec<f64>,
    n: f64,
    mean: f64,
    alpha: f64,
}

impl Tail {
    fn new(eigenvalues: &[f64], fit: &TailFit) -> Option<Self> {
        let y: Vec<f64> = eigenvalues[eigenvalues.partition_point(|&x| x < fit.xmin)..]
            .iter()
            .map(|x| (x / fit.xmin).ln())
            .collect();
        let n = y.len() as f64;
        let mean = y.iter().sum::<f64>() / n;
        (y.len() >= 2 && mean > 0.0 && mean.is_finite()).then_some(Self {
            y,
            n,
            mean,
            alpha: fit.alpha,
        })
    }

    fn mean_of(&self, bend: Bend) -> f64 {
        self.y.iter().map(|&y| bend.at(y)).sum::<f64>() / self.n
    }

    fn against_exponential(&self) -> Option<LikelihoodRatio> {
        let rate = 1.0 / self.mean_of(Bend::Exponential);
        self.vuong(|y| rate.ln() + y - rate * y.exp_m1())
    }

    fn against_lognormal(&self) -> Option<LikelihoodRatio> {
        let (a, b, _) = fit_family(Bend::Quadratic, self.mean, self.mean_of(Bend::Quadratic))?;
        if b <= 0.0 {
            return Some(LikelihoodRatio {
                ratio: 0.0,
                normalised: 0.0,
                p: 1.0,
            });
        }
        let rival = ExponentialFamily::new(Bend::Quadratic, a, b);
        self.vuong(|y| rival.ln_pdf(y))
    }

    fn against_truncated(&self) -> Option<NestedRatio> {
        let (_, b, wider) = fit_family(
            Bend::Exponential,
            self.mean,
            self.mean_of(Bend::Exponential),
        )?;
        // The power law at its own maximum. α of the fit may come from another estimator.
        let power = -self.mean.ln() - 1.0;
        let ratio = (self.n * (power - wider)).min(0.0);
        let inside = b > 0.0 && ratio < 0.0;
        Some(NestedRatio {
            ratio,
            p: if inside {
                0.5 * erfc((-ratio).sqrt())
            } else {
                1.0
            },
        })
    }

    /// Vuong's test of the power law against a law with this ln p(y).
    fn vuong(&self, rival: impl Fn(f64) -> f64) -> Option<LikelihoodRatio> {
        let slope = self.alpha - 1.0;
        let terms: Vec<f64> = self
            .y
            .iter()
            .map(|&y| slope.ln() - slope * y - rival(y))
            .collect();
        let ratio: f64 = terms.iter().sum();
        let centre = ratio / self.n;
        let sd = (terms.iter().map(|t| (t - centre).powi(2)).sum::<f64>() / self.n).sqrt();
        let normalised = ratio / (self.n.sqrt() * sd);
        normalised.is_finite().then(|| LikelihoodRatio {
            ratio,
            normalised,
            p: two_sided(normalised),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::fit_tail;
    use crate::law::{Exponential, Law, Lognormal, PowerLaw, TruncatedPowerLaw};

    /// The fit to the whole sample, so that a law is not compared on the part that looks like a
    /// power law.
    fn whole(x: &[f64]) -> TailFit {
        let mut fit = fit_tail(x).unwrap();
        fit.xmin = x[0];
        fit.alpha = 1.0 + x.len() as f64 / x.iter().map(|v| (v / x[0]).ln()).sum::<f64>();
        fit
    }

    fn sample(law: &dyn Law) -> Vec<f64> {
        (0..300)
            .map(|i| law.quantile((f64::from(i) + 0.5) / 300.0))
            .collect()
    }

    #[test]
    fn each_law_wins_on_its_own_sample() {
        let verdict = |law: &dyn Law| {
            let x = sample(law);
            let fit = whole(&x);
            let all = compare(&x, &fit).unwrap();
            assert_eq!(against_exponential(&x, &fit), Some(all.exponential));
            all
        };
        let power = verdict(&PowerLaw::new(2.3, 1.0).unwrap());
        assert!(power.exponential.normalised > 2.0 && power.exponential.p < 0.05);
        assert!(
            power.lognormal.p > 0.1 && power.truncated.p > 0.1,
            "{power:?}"
        );
        let exponential = verdict(&Exponential::new(1.0, 1.0).unwrap());
        assert!(exponential.exponential.normalised < -2.0);
        let lognormal = verdict(&Lognormal::new(1.0, 0.8, 1.0).unwrap()).lognormal;
        assert!(
            lognormal.normalised < -2.0 && lognormal.p < 0.05,
            "{lognormal:?}"
        );
        let truncated = verdict(&TruncatedPowerLaw::new(1.8, 0.1, 1.0).unwrap()).truncated;
        assert!(truncated.ratio < 0.0 && truncated.p < 0.01, "{truncated:?}");
    }

    #[test]
    fn scale_changes_nothing() {
        let x = sample(&Lognormal::new(0.5, 1.0, 1.0).unwrap());
        let scaled: Vec<f64> = x.iter().map(|v| 1e-24 * v).collect();
        let (a, b) = (
            compare(&x, &fit_tail(&x).unwrap()).unwrap(),
            compare(&scaled, &fit_tail(&scaled).unwrap()).unwrap(),
        );
        for (a, b) in [
            (a.exponential.ratio, b.exponential.ratio),
            (a.exponential.p, b.exponential.p),
            (a.lognormal.ratio, b.lognormal.ratio),
            (a.lognormal.p, b.lognormal.p),
            (a.truncated.ratio, b.truncated.ratio),
            (a.truncated.p, b.truncated.p),
        ] {
            assert!((a - b).abs() < 1e-6 * a.abs().max(0.01), "{a} {b}");
        }
    }

    #[test]
    fn a_tail_of_one_value_has_no_comparison() {
        let mut fit = fit_tail(&sample(&PowerLaw::new(2.3, 1.0).unwrap())).unwrap();
        fit.xmin = 2.0;
        assert_eq!(compare(&[1.0, 2.0, 2.0, 2.0], &fit), None);
        assert_eq!(compare(&[1.0], &fit), None);
    }
}
