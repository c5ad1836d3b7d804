//! The exponential law above a threshold.

use super::{AboveXmin, require};
use crate::error::Result;

/// The exponential law above `xmin`, an alternative to the power law of a tail.
///
/// # Formula
///
/// pdf(x) = rate · exp(−rate·(x − xmin)), for x ≥ xmin. The maximum-likelihood rate of a tail is
/// 1/(mean − xmin).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Exponential {
    rate: f64,
    xmin: f64,
}

impl Exponential {
    /// The law above `xmin` with this rate, per unit of x.
    ///
    /// # Errors
    ///
    /// Fails unless `rate` is above 0 and finite, and `xmin` is finite.
    pub fn new(rate: f64, xmin: f64) -> Result<Self> {
        const NAME: &str = "exponential law";
        require(rate > 0.0, NAME, "rate", rate, "above 0 and finite")?;
        require(true, NAME, "xmin", xmin, "finite")?;
        Ok(Self { rate, xmin })
    }

    /// ln pdf(x) for x ≥ xmin.
    pub fn ln_pdf(&self, x: f64) -> f64 {
        self.rate.ln() - self.rate * (x - self.xmin)
    }
}

impl AboveXmin for Exponential {
    fn xmin(&self) -> f64 {
        self.xmin
    }

    fn ln_density(&self, x: f64) -> f64 {
        self.ln_pdf(x)
    }

    fn survival(&self, x: f64) -> f64 {
        (-self.rate * (x - self.xmin)).exp()
    }

    fn quantile(&self, p: f64) -> f64 {
        self.xmin - (1.0 - p).ln() / self.rate
    }
}
