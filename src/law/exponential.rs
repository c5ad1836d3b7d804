//! The exponential law above a threshold.

use super::{Law, require};
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

impl Law for Exponential {
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
            1.0 - (-self.rate * (x - self.xmin)).exp()
        }
    }

    fn quantile(&self, p: f64) -> f64 {
        self.xmin - (1.0 - p).ln() / self.rate
    }
}
