use puruspe::{gammp, gammq, invgammp};

use super::Law;

/// The Tracy–Widom law for real matrices (β = 1): fluctuations of the largest eigenvalue of noise.
///
/// # Formula
///
/// A shifted gamma law with shape 46.446, scale 0.186054 and shift −9.84801 stands for it.
/// Its cdf is right to 5e-5 at the tabulated 95 % point 0.9793 and to 5e-4 at the 99 % point 2.0234;
/// far in the tail it is rough.
///
/// # Source
///
/// Tracy, Widom (1996); the gamma approximation is Chiani's, *Distribution of the largest
/// eigenvalue for real Wishart and Gaussian random matrices and a simple approximation for the
/// Tracy–Widom distribution*, J. Multivariate Analysis 129 (2014).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TracyWidom;

const SHAPE: f64 = 46.446;
const SCALE: f64 = 0.186_054;
const SHIFT: f64 = 9.848_01;

impl TracyWidom {
    /// P(X > x).
    pub fn survival(&self, x: f64) -> f64 {
        let y = (x + SHIFT) / SCALE;
        if y <= 0.0 { 1.0 } else { gammq(SHAPE, y) }
    }
}

impl Law for TracyWidom {
    fn support(&self) -> (f64, f64) {
        (-SHIFT, f64::INFINITY)
    }

    fn pdf(&self, x: f64) -> f64 {
        let y = (x + SHIFT) / SCALE;
        if y <= 0.0 {
            return 0.0;
        }
        ((SHAPE - 1.0) * y.ln() - y - puruspe::ln_gamma(SHAPE)).exp() / SCALE
    }

    fn cdf(&self, x: f64) -> f64 {
        let y = (x + SHIFT) / SCALE;
        if y <= 0.0 { 0.0 } else { gammp(SHAPE, y) }
    }

    fn quantile(&self, p: f64) -> f64 {
        if p >= 1.0 {
            return f64::INFINITY;
        }
        let mut x = SCALE * invgammp(p.max(0.0), SHAPE) - SHIFT;
        // One Newton step: the library's inverse stops at about 1e-8.
        let slope = self.pdf(x);
        if slope > 0.0 {
            x -= (self.cdf(x) - p) / slope;
        }
        x
    }
}

/// Where the largest eigenvalue of X = WᵀW/N lies for pure noise of variance 1: centre and scale of
/// its Tracy–Widom law, n ≥ m.
///
/// # Formula
///
/// centre = (√(n−1) + √m)²/n, scale = (√(n−1) + √m)(1/√(n−1) + 1/√m)^⅓/n.
///
/// # Source
///
/// Johnstone, *On the distribution of the largest eigenvalue in principal components analysis*,
/// Annals of Statistics 29 (2001).
pub fn noise_edge(n: usize, m: usize) -> (f64, f64) {
    let (a, b) = (((n.max(2) - 1) as f64).sqrt(), (m as f64).sqrt());
    let n = n as f64;
    (
        (a + b).powi(2) / n,
        (a + b) * (1.0 / a + 1.0 / b).cbrt() / n,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tabulated_values() {
        for (x, p) in [
            (0.4501, 0.90),
            (0.9793, 0.95),
            (2.0234, 0.99),
            (-1.26857, 0.50),
        ] {
            assert!(
                (TracyWidom.cdf(x) - p).abs() < 5e-3,
                "{x}: {}",
                TracyWidom.cdf(x)
            );
        }
        assert!((TracyWidom.cdf(0.9793) - 0.95).abs() < 5e-5);
        assert!((TracyWidom.cdf(2.0234) - 0.99).abs() < 5e-4);
        assert!((TracyWidom.quantile(0.99) - 2.0234).abs() < 0.03);
        assert!((TracyWidom.cdf(1.0) + TracyWidom.survival(1.0) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn the_edge_approaches_marchenko_pastur() {
        let (centre, scale) = noise_edge(40_000, 10_000);
        assert!((centre - 2.25).abs() < 1e-3 && scale < 0.01);
    }
}
