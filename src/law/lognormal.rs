//! The lognormal law above a threshold.

use super::exponential_family::{Bend, ExponentialFamily};
use super::{AboveXmin, require};
use crate::error::Result;

/// The lognormal law, restricted to values above `xmin` as for the comparison of tails.
///
/// # Formula
///
/// pdf(x) ∝ exp(−(ln x − mu)²/(2 s²))/x, for x ≥ xmin. As s grows and mu falls, the law becomes a
/// power law.
///
/// # Source
///
/// Clauset, Shalizi, Newman, *Power-law distributions in empirical data*, SIAM Review 51 (2009),
/// table 2.1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lognormal {
    xmin: f64,
    law: ExponentialFamily,
}

impl Lognormal {
    /// The law of exp(mu + s·z) for standard normal z, on condition that it exceeds `xmin`.
    ///
    /// # Errors
    ///
    /// Fails unless `s` and `xmin` are above 0, and all three parameters are finite.
    pub fn new(mu: f64, s: f64, xmin: f64) -> Result<Self> {
        const NAME: &str = "lognormal law";
        require(true, NAME, "mu", mu, "finite")?;
        require(s > 0.0, NAME, "s", s, "above 0 and finite")?;
        require(xmin > 0.0, NAME, "xmin", xmin, "above 0 and finite")?;
        let precision = 1.0 / (s * s);
        let slope = (xmin.ln() - mu) * precision;
        Ok(Self {
            xmin,
            law: ExponentialFamily::new(Bend::Quadratic, slope, 0.5 * precision),
        })
    }

    /// Mean of ln x without the restriction to x ≥ xmin.
    pub fn mu(&self) -> f64 {
        self.xmin.ln() - self.law.a / (2.0 * self.law.b)
    }

    /// Standard deviation of ln x without the restriction to x ≥ xmin.
    pub fn s(&self) -> f64 {
        (0.5 / self.law.b).sqrt()
    }

    /// ln pdf(x) for x ≥ xmin.
    pub fn ln_pdf(&self, x: f64) -> f64 {
        self.law.ln_pdf((x / self.xmin).ln()) - x.ln()
    }
}

impl AboveXmin for Lognormal {
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
