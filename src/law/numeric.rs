//! Numerical methods for the laws: Gauss–Legendre quadrature, inversion of a cdf, Kolmogorov
//! distance.

use std::f64::consts::PI;

/// Gauss–Legendre quadrature with a fixed number of points.
pub(crate) struct GaussLegendre {
    points: Vec<(f64, f64)>,
}

impl GaussLegendre {
    /// The rule with `n` points, exact for polynomials of degree 2n−1.
    pub(crate) fn new(n: usize) -> Self {
        let points = (0..n)
            .map(|i| {
                // Newton's method for the roots of Legendre's polynomial, from Chebyshev's
                // approximation.
                let mut x = (PI * (i as f64 + 0.75) / (n as f64 + 0.5)).cos();
                let mut slope = 1.0;
                for _ in 0..100 {
                    let (mut a, mut b) = (1.0, x);
                    for k in 2..=n {
                        let k = k as f64;
                        (a, b) = (b, ((2.0 * k - 1.0) * x * b - (k - 1.0) * a) / k);
                    }
                    slope = n as f64 * (x * b - a) / (x * x - 1.0);
                    let step = b / slope;
                    x -= step;
                    if step.abs() < 1e-15 {
                        break;
                    }
                }
                (x, 2.0 / ((1.0 - x * x) * slope * slope))
            })
            .collect();
        Self { points }
    }

    /// The nodes and weights on [a, b].
    pub(crate) fn on(&self, a: f64, b: f64) -> impl Iterator<Item = (f64, f64)> + '_ {
        let half = 0.5 * (b - a);
        self.points
            .iter()
            .map(move |(x, w)| (a + half * (1.0 + x), half * w))
    }
}

/// The x in (0, ∞) with `survival(x) = q`, for a survival function that falls from 1 to 0. The
/// search doubles an upper bound from 1 and then bisects.
pub(crate) fn invert_survival(q: f64, survival: impl Fn(f64) -> f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    while survival(high) > q {
        low = high;
        high *= 2.0;
        if high > 1e300 {
            return f64::INFINITY;
        }
    }
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            break;
        }
        if survival(middle) > q {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

/// Kolmogorov distance sup|F_emp − F| between ascending values and a cdf.
pub(crate) fn kolmogorov(sorted: &[f64], cdf: impl Fn(f64) -> f64) -> f64 {
    let n = sorted.len() as f64;
    sorted
        .iter()
        .enumerate()
        .map(|(i, &x)| {
            let p = cdf(x);
            (p - i as f64 / n).max((i + 1) as f64 / n - p)
        })
        .fold(0.0, f64::max)
}
