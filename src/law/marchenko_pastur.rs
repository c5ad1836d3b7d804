//! The Marchenko–Pastur law, the spectrum of pure noise.

use std::f64::consts::{FRAC_PI_2, PI};

use super::{Law, require};
use crate::error::Result;

const NAME: &str = "Marchenko–Pastur law";

/// The Marchenko–Pastur law: eigenvalues of X = WᵀW/N for an N×M matrix W, N ≥ M, with independent
/// entries of variance σ².
///
/// # Formula
///
/// With c = M/N = 1/Q and λ± = σ²(1 ± √c)²,
/// pdf(λ) = √((λ₊−λ)(λ−λ₋)) / (2π c σ² λ) on [λ₋, λ₊].
/// At Q = 1 the lower edge is 0 and the density diverges there as 1/√λ.
///
/// With r = √((λ₊−λ)/(λ−λ₋)),
/// cdf(λ) = [πc + √((λ₊−λ)(λ−λ₋))/σ² − (1+c)·atan((r²−1)/2r)
///          + (1−c)·atan((λ₋r²−λ₊)/(2σ²(1−c)r))] / (2πc).
///
/// # Source
///
/// Marchenko, Pastur (1967); the closed form of the cdf as in Bai, Silverstein, *Spectral Analysis
/// of Large Dimensional Random Matrices* (2010), by elementary integration.
///
/// # When it misleads
///
/// A spectrum can leave this law without any correlation: if its entries have an infinite fourth
/// moment, or if their variance differs between rows or columns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MarchenkoPastur {
    sigma2: f64,
    c: f64,
    lower: f64,
    upper: f64,
}

impl MarchenkoPastur {
    /// The law for entries of variance σ² in an n×m matrix.
    ///
    /// # Errors
    ///
    /// Fails unless σ² is above 0 and finite, and n ≥ m ≥ 1.
    pub fn new(sigma2: f64, n: usize, m: usize) -> Result<Self> {
        require(sigma2 > 0.0, NAME, "sigma2", sigma2, "above 0 and finite")?;
        require(m > 0, NAME, "m", m as f64, "at least 1")?;
        require(n >= m, NAME, "n", n as f64, "at least m")?;
        Ok(Self::unchecked(sigma2, n, m))
    }

    /// The law of [`new`](Self::new), for parameters that come from a matrix and need no check.
    pub(crate) fn unchecked(sigma2: f64, n: usize, m: usize) -> Self {
        let c = m as f64 / n as f64;
        Self {
            sigma2,
            c,
            lower: sigma2 * (1.0 - c.sqrt()).powi(2),
            upper: sigma2 * (1.0 + c.sqrt()).powi(2),
        }
    }

    /// The law with these edges.
    ///
    /// # Errors
    ///
    /// Fails unless 0 ≤ `lower` < `upper`, and both are finite.
    pub fn from_edges(lower: f64, upper: f64) -> Result<Self> {
        require(lower >= 0.0, NAME, "lower", lower, "0 or more and finite")?;
        require(upper > lower, NAME, "upper", upper, "above the lower edge")?;
        Ok(Self::from_edges_unchecked(lower, upper))
    }

    /// The law of [`from_edges`](Self::from_edges), for edges that come from a fit and need no
    /// check.
    pub(crate) fn from_edges_unchecked(lower: f64, upper: f64) -> Self {
        let (a, b) = (lower.sqrt(), upper.sqrt());
        Self {
            sigma2: ((a + b) / 2.0).powi(2),
            c: ((b - a) / (b + a)).powi(2),
            lower,
            upper,
        }
    }

    /// Lower edge λ₋.
    pub fn lower(&self) -> f64 {
        self.lower
    }

    /// Upper edge λ₊.
    pub fn upper(&self) -> f64 {
        self.upper
    }

    /// λ at angle θ. λ = mid − half·cos θ maps θ ∈ [0, π] onto the support and removes the square
    /// roots of the density at the edges.
    fn at(&self, theta: f64) -> f64 {
        // 1 − cos θ = 2 sin²(θ/2) loses no digits near a lower edge of 0.
        self.lower + (self.upper - self.lower) * (theta / 2.0).sin().powi(2)
    }

    /// The quantiles at (i + ½)/count for i from 0, ascending. Perfectly rigid eigenvalues lie
    /// there.
    pub fn midpoint_quantiles(&self, count: usize) -> Vec<f64> {
        let mut theta = 0.0;
        (0..count)
            .map(|i| {
                theta = self.theta_of((i as f64 + 0.5) / count as f64, theta);
                self.at(theta)
            })
            .collect()
    }

    /// The angle of the p-quantile, at least `from`, by Newton's method inside a bracket.
    fn theta_of(&self, p: f64, from: f64) -> f64 {
        let (mut low, mut high) = (from, PI);
        let mut theta = if from > 0.0 { from } else { FRAC_PI_2 };
        for _ in 0..80 {
            let x = self.at(theta);
            let error = self.cdf(x) - p;
            if error < 0.0 {
                low = theta;
            } else {
                high = theta;
            }
            let slope = self.pdf(x) * (self.upper - self.lower) / 2.0 * theta.sin();
            let newton = theta - error / slope;
            let inside = newton > low && newton < high;
            let next = if inside { newton } else { 0.5 * (low + high) };
            let change = (next - theta).abs();
            // Newton's method squares the error at each step, so the next step would only be
            // rounding.
            if change < 1e-14 || (inside && change < 1e-8) {
                return next;
            }
            theta = next;
        }
        theta
    }
}

impl Law for MarchenkoPastur {
    fn support(&self) -> (f64, f64) {
        (self.lower, self.upper)
    }

    fn pdf(&self, x: f64) -> f64 {
        if x <= self.lower || x >= self.upper {
            return 0.0;
        }
        ((self.upper - x) * (x - self.lower)).sqrt() / (2.0 * PI * self.c * self.sigma2 * x)
    }

    fn cdf(&self, x: f64) -> f64 {
        if x <= self.lower {
            return 0.0;
        }
        if x >= self.upper {
            return 1.0;
        }
        let (c, s2) = (self.c, self.sigma2);
        let root = ((self.upper - x) * (x - self.lower)).sqrt() / s2;
        let r = ((self.upper - x) / (x - self.lower)).sqrt();
        let first = (1.0 + c) * ((r * r - 1.0) / (2.0 * r)).atan();
        let second = if c < 1.0 {
            (1.0 - c) * ((self.lower * r * r - self.upper) / (2.0 * s2 * (1.0 - c) * r)).atan()
        } else {
            0.0
        };
        ((PI * c + root - first + second) / (2.0 * PI * c)).clamp(0.0, 1.0)
    }

    fn quantile(&self, p: f64) -> f64 {
        if p <= 0.0 {
            self.lower
        } else if p >= 1.0 {
            self.upper
        } else {
            self.at(self.theta_of(p, 0.0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_is_sigma_squared() {
        for (n, m) in [(100, 100), (500, 200), (4096, 384)] {
            let mean: f64 = MarchenkoPastur::new(1.7, n, m)
                .unwrap()
                .midpoint_quantiles(20_000)
                .iter()
                .sum::<f64>()
                / 20_000.0;
            assert!((mean / 1.7 - 1.0).abs() < 1e-4, "{n}×{m}: {mean}");
        }
    }

    #[test]
    fn one_and_square_matrices_have_their_edges() {
        let square = MarchenkoPastur::new(1.0, 50, 50).unwrap();
        assert_eq!((square.lower(), square.upper()), (0.0, 4.0));
        assert!(square.pdf(1e-6) > 100.0);
        let tall = MarchenkoPastur::new(1.0, 400, 100).unwrap();
        assert_eq!(MarchenkoPastur::from_edges(0.25, 2.25).unwrap(), tall);
        assert_eq!(MarchenkoPastur::from_edges(0.0, 4.0).unwrap(), square);
        assert_eq!((tall.lower(), tall.upper()), (0.25, 2.25));
    }
}
