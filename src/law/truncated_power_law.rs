use super::Law;
use super::tilted::{Bend, Tilted};

/// The power law with an exponential cut-off above `xmin`.
///
/// # Formula
///
/// pdf(x) ∝ x^−α · exp(−rate·x), for x ≥ xmin, rate > 0. α may have any sign.
///
/// # Source
///
/// Clauset, Shalizi, Newman, *Power-law distributions in empirical data*, SIAM Review 51 (2009),
/// table 2.1. The normalisation is integrated numerically, so that no incomplete gamma function of
/// negative order is needed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TruncatedPowerLaw {
    xmin: f64,
    law: Tilted,
}

impl TruncatedPowerLaw {
    /// A law with rate > 0 (or α > 1) and xmin > 0.
    pub fn new(alpha: f64, rate: f64, xmin: f64) -> Self {
        Self {
            xmin,
            law: Tilted::new(Bend::Exponential, alpha - 1.0, rate * xmin),
        }
    }

    /// The exponent.
    pub fn alpha(&self) -> f64 {
        self.law.a + 1.0
    }

    /// The rate of the cut-off, per unit of x.
    pub fn rate(&self) -> f64 {
        self.law.b / self.xmin
    }

    /// ln pdf(x) for x ≥ xmin.
    pub fn ln_pdf(&self, x: f64) -> f64 {
        self.law.ln_pdf((x / self.xmin).ln()) - x.ln()
    }
}

impl Law for TruncatedPowerLaw {
    fn support(&self) -> (f64, f64) {
        (self.xmin, f64::INFINITY)
    }

    fn pdf(&self, x: f64) -> f64 {
        if x < self.xmin {
            0.0
        } else {
            self.ln_pdf(x).exp()
        }
    }

    fn cdf(&self, x: f64) -> f64 {
        if x <= self.xmin {
            0.0
        } else {
            1.0 - self.law.survival((x / self.xmin).ln())
        }
    }

    fn quantile(&self, p: f64) -> f64 {
        self.xmin * self.law.quantile(p).exp()
    }
}
