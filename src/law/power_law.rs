//! The continuous power law.

use super::{AboveXmin, require};
use crate::error::Result;

/// The continuous power law (Pareto type I) above `xmin`.
///
/// # Formula
///
/// pdf(x) = (α−1)/xmin · (x/xmin)^−α, cdf(x) = 1 − (x/xmin)^(1−α), for x ≥ xmin.
///
/// # Source
///
/// Clauset, Shalizi, Newman, *Power-law distributions in empirical data*, SIAM Review 51 (2009).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PowerLaw {
    alpha: f64,
    xmin: f64,
}

impl PowerLaw {
    /// The law above `xmin` with exponent `alpha` of the density.
    ///
    /// # Errors
    ///
    /// Fails unless `alpha` is above 1 and `xmin` above 0, and both are finite.
    pub fn new(alpha: f64, xmin: f64) -> Result<Self> {
        const NAME: &str = "power law";
        require(alpha > 1.0, NAME, "alpha", alpha, "above 1 and finite")?;
        require(xmin > 0.0, NAME, "xmin", xmin, "above 0 and finite")?;
        Ok(Self { alpha, xmin })
    }

    /// ln pdf(x) for x ≥ xmin.
    pub fn ln_pdf(&self, x: f64) -> f64 {
        ((self.alpha - 1.0) / self.xmin).ln() - self.alpha * (x / self.xmin).ln()
    }
}

impl AboveXmin for PowerLaw {
    fn xmin(&self) -> f64 {
        self.xmin
    }

    fn ln_density(&self, x: f64) -> f64 {
        self.ln_pdf(x)
    }

    fn survival(&self, x: f64) -> f64 {
        (x / self.xmin).powf(1.0 - self.alpha)
    }

    fn quantile(&self, p: f64) -> f64 {
        self.xmin * (1.0 - p).powf(1.0 / (1.0 - self.alpha))
    }
}
