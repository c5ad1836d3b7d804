use serde::{Deserialize, Serialize};

use super::TailFit;
use crate::law::{Exponential, PowerLaw};

/// A likelihood ratio between two laws on the same tail.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LikelihoodRatio {
    /// Σ (ln p₁ − ln p₂): positive when the first law fits better.
    pub ratio: f64,
    /// Vuong's statistic: the ratio over √n times its standard deviation; |·| > 2 is decisive.
    pub normalised: f64,
}

/// The power law against the exponential on the fitted tail.
///
/// # Source
///
/// Vuong (1989), as used by Clauset, Shalizi, Newman (2009), §5.
pub fn against_exponential(eigenvalues: &[f64], fit: &TailFit) -> Option<LikelihoodRatio> {
    let tail = &eigenvalues[eigenvalues.partition_point(|&x| x < fit.xmin)..];
    let n = tail.len() as f64;
    let mean = tail.iter().sum::<f64>() / n;
    if tail.len() < 2 || mean <= fit.xmin {
        return None;
    }
    let power = PowerLaw::new(fit.alpha, fit.xmin);
    let exponential = Exponential::new(1.0 / (mean - fit.xmin), fit.xmin);
    let terms: Vec<f64> = tail
        .iter()
        .map(|&x| power.ln_pdf(x) - exponential.ln_pdf(x))
        .collect();
    let ratio: f64 = terms.iter().sum();
    let centre = ratio / n;
    let sd = (terms.iter().map(|t| (t - centre).powi(2)).sum::<f64>() / n).sqrt();
    (sd > 0.0).then(|| LikelihoodRatio {
        ratio,
        normalised: ratio / (n.sqrt() * sd),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::fit_tail;
    use crate::law::Law;

    #[test]
    fn each_law_wins_on_its_own_sample() {
        let sample = |law: &dyn Law| -> Vec<f64> {
            (0..300)
                .map(|i| law.quantile((f64::from(i) + 0.5) / 300.0))
                .collect()
        };
        let verdict = |x: &[f64]| {
            // The whole sample, so that the exponential is not cut to its own short tail.
            let mut fit = fit_tail(x).unwrap();
            fit.xmin = x[0];
            fit.alpha = 1.0 + x.len() as f64 / x.iter().map(|v| (v / x[0]).ln()).sum::<f64>();
            against_exponential(x, &fit).unwrap().normalised
        };
        assert!(verdict(&sample(&PowerLaw::new(2.3, 1.0))) > 2.0);
        assert!(verdict(&sample(&Exponential::new(1.0, 1.0))) < -2.0);
    }
}
