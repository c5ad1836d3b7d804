//! Adds structure to noise matrices, and computes their spectra.

use heavytail::{Config, WeightMatrix, spectrum::Spectrum};
use rand_distr::Distribution;

use super::{Rng, normal};

/// The strength t = θ²/σ² of a rank-one signal whose eigenvalue lies at `lambda`, for noise with
/// variance 1: λ = (1 + t)(c + t)/t (Benaych-Georges and Nadakuditi 2012).
fn strength(lambda: f64, c: f64) -> f64 {
    let b = lambda - 1.0 - c;
    (b + (b * b - 4.0 * c).max(0.0).sqrt()) / 2.0
}

/// A random unit vector.
fn unit(len: usize, rng: &mut Rng) -> Vec<f64> {
    let v: Vec<f64> = (0..len).map(|_| normal(rng)).collect();
    let norm = v.iter().map(|x| x * x).sum::<f64>().sqrt();
    v.into_iter().map(|x| x / norm).collect()
}

/// Adds rank-one signals whose eigenvalues of X = WᵀW/N lie near `lambdas`.
pub fn add_spikes(w: &mut [f64], n: usize, m: usize, lambdas: &[f64], rng: &mut Rng) {
    for &lambda in lambdas {
        let theta = (strength(lambda, m as f64 / n as f64) * n as f64).sqrt();
        let (u, v) = (unit(n, rng), unit(m, rng));
        for (row, u) in w.chunks_exact_mut(m).zip(u) {
            for (x, v) in row.iter_mut().zip(&v) {
                *x += theta * u * v;
            }
        }
    }
}

/// Multiplies column j by `factors[j]`.
pub fn scale_columns(w: &mut [f64], factors: &[f64]) {
    for row in w.chunks_exact_mut(factors.len()) {
        for (x, f) in row.iter_mut().zip(factors) {
            *x *= f;
        }
    }
}

/// Multiplies row i by `factors[i]`.
pub fn scale_rows(w: &mut [f64], factors: &[f64]) {
    let m = w.len() / factors.len();
    for (row, f) in w.chunks_exact_mut(m).zip(factors) {
        row.iter_mut().for_each(|x| *x *= f);
    }
}

/// Multiplies W from the right by a random orthogonal matrix (Haar), which is a product of m − 1
/// reflections.
pub fn rotate_columns(w: &mut [f64], m: usize, rng: &mut Rng) {
    // A product of reflections in independent Gaussian directions of decreasing dimension is Haar
    // distributed.
    for k in 0..m - 1 {
        let v = unit(m - k, rng);
        for row in w.chunks_exact_mut(m) {
            let tail = &mut row[k..];
            let dot: f64 = tail.iter().zip(&v).map(|(x, v)| x * v).sum();
            for (x, v) in tail.iter_mut().zip(&v) {
                *x -= 2.0 * dot * v;
            }
        }
    }
}

/// The upper edge λ₊ = (1 + √(M/N))² of noise with variance 1.
pub fn edge(n: usize, m: usize) -> f64 {
    (1.0 + (m as f64 / n as f64).sqrt()).powi(2)
}

/// The eigenvalues of X = WᵀW/N in ascending order.
pub fn eigenvalues(n: usize, m: usize, w: &[f64]) -> Vec<f64> {
    let matrix = WeightMatrix::new("w", n, m, w).expect("the shape fits");
    let solver = Config::default().solver;
    let spectrum = Spectrum::from_matrix(&matrix, solver).expect("finite weights");
    spectrum.eigenvalues().to_vec()
}

/// The eigenvalues of X = WᵀW/N for Gaussian noise with variance 1, without making W. They are
/// computed from a bidiagonal m×m matrix of χ variables with the same singular values (Silverstein
/// 1985; Dumitriu and Edelman 2002).
pub fn wishart_eigenvalues(n: usize, m: usize, rng: &mut Rng) -> Vec<f64> {
    let mut b = vec![0.0; m * m];
    for i in 0..m {
        b[i * m + i] = chi((n - i) as f64, rng);
        if i + 1 < m {
            b[(i + 1) * m + i] = chi((m - 1 - i) as f64, rng);
        }
    }
    // `eigenvalues` divides by m, the larger side of this matrix, instead of n.
    eigenvalues(m, m, &b)
        .into_iter()
        .map(|x| x * m as f64 / n as f64)
        .collect()
}

/// A χ variable with `freedom` degrees of freedom.
fn chi(freedom: f64, rng: &mut Rng) -> f64 {
    rand_distr::ChiSquared::new(freedom).map_or(0.0, |law| law.sample(rng).sqrt())
}
