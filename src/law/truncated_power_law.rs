//! The power law with an exponential cut-off.

use super::exponential_family::{Bend, ExponentialFamily};
use super::{AboveXmin, require};
use crate::error::Result;

/// The power law with an exponential cut-off above `xmin`.
///
/// # Formula
///
/// pdf(x) ∝ x^−α · exp(−rate·x), for x ≥ xmin, rate ≥ 0. For rate > 0, α may have any sign.
///
/// # Source
///
/// Clauset, Shalizi, Newman, *Power-law distributions in empirical data*, SIAM Review 51 (2009),
/// table 2.1. The normalisation is integrated numerically, which avoids the incomplete gamma
/// function of negative order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TruncatedPowerLaw {
    xmin: f64,
    law: ExponentialFamily,
}

impl TruncatedPowerLaw {
    /// The law above `xmin` with exponent `alpha` and this rate of the cut-off, per unit of x.
    ///
    /// # Errors
    ///
    /// Fails unless `xmin` > 0 and `rate` ≥ 0, and `alpha` > 1 if `rate` is 0. All three must be
    /// finite.
    pub fn new(alpha: f64, rate: f64, xmin: f64) -> Result<Self> {
        const NAME: &str = "power law with cut-off";
        require(xmin > 0.0, NAME, "xmin", xmin, "above 0 and finite")?;
        require(rate >= 0.0, NAME, "rate", rate, "0 or more and finite")?;
        let has_mass = rate > 0.0 || alpha > 1.0;
        require(
            has_mass,
            NAME,
            "alpha",
            alpha,
            "finite, and above 1 where the rate is 0",
        )?;
        let law = ExponentialFamily::new(Bend::Exponential, alpha - 1.0, rate * xmin);
        Ok(Self { xmin, law })
    }

    /// The exponent α.
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

impl AboveXmin for TruncatedPowerLaw {
    fn xmin(&self) -> f64 {
        self.xmin
    }

    fn ln_density(&self, x: f64) -> f64 {
        self.ln_pdf(x)
    }

    fn survival(&self, x: f64) -> f64 {
        self.law.survival((x / self.xmin).ln())
    }

    fn quantile(&self, p: f64) -> f64 {
        self.xmin * self.law.quantile(p).exp()
    }
}
