//! Tests of the largest singular vectors for randomness and localisation.

use faer::diag::Diag;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::evd;
use faer::linalg::matmul::{self, triangular};
use faer::{Accum, Mat, MatRef, Par};
use serde::{Deserialize, Serialize};

use super::{all_finite, kolmogorov};
use crate::error::{Error, Result};
use crate::matrix::WeightMatrix;

/// One of the largest singular values, with the statistics of its two vectors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct VectorStats {
    /// Rank of the singular value, 0 for the largest.
    pub index: usize,
    /// Its eigenvalue λ of X = WᵀW/N.
    pub lambda: f64,
    /// The left singular vector, with one entry for each row of W as stored.
    pub left: VectorShape,
    /// The right singular vector, with one entry for each column of W as stored.
    pub right: VectorShape,
}

/// How random and how localised a unit vector v of L entries is. Sign and scale of v have no
/// effect.
///
/// # Formula
///
/// `porter_thomas_p` is the p-value of the Kolmogorov–Smirnov test of √L·v_i against the standard
/// normal law, the law of a random direction. The localisation ratio ‖v‖₁/‖v‖∞ ranges from 1 (one
/// entry) to L (equal entries), and is about L·√(2/π)/√(2 ln L) for a random direction. The
/// participation ‖v‖₂/‖v‖₄ ranges from 1 to L^¼, and is (L/3)^¼ for a random direction.
///
/// # Source
///
/// Thamm, Staats, Rosenow, *Random matrix analysis of deep neural network weight matrices* (2022).
/// The ratios are those of Martin, Mahoney, *Implicit Self-Regularization* (2021).
///
/// # When it misleads
///
/// A small p means *not random*, which need not mean *localised*: a constant vector (weights with a
/// mean) has p ≈ 0 and the largest possible ratios. Rows or columns of different scale make the
/// vectors of noise non-normal. Vectors of nearly equal singular values are determined only up to a
/// rotation, which looks random. The condition ‖v‖ = 1 makes p slightly too large: 0.9 % of random
/// vectors have p below 1 %, and 44 % have p below 50 % (simulated, L = 20 to 4000).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct VectorShape {
    /// Number of entries L.
    pub len: usize,
    /// p-value of the Porter–Thomas test. `None` with fewer than 8 entries.
    pub porter_thomas_p: Option<f64>,
    /// Localisation ratio ‖v‖₁/‖v‖∞.
    pub localisation_ratio: f64,
    /// Participation ‖v‖₂/‖v‖₄.
    pub participation: f64,
}

/// Fewest entries of a test. With fewer the asymptotic p-value is wrong.
const MIN_ENTRIES: usize = 8;

/// f32 weights do not resolve the vectors of eigenvalues below this share of λmax.
const FLOOR: f64 = 1e-12;

impl VectorShape {
    /// The statistics of a vector of any norm above zero.
    fn new(v: &[f64]) -> Self {
        let sum = |f: fn(f64) -> f64| v.iter().map(|&x| f(x)).sum::<f64>();
        let square = sum(|x| x * x);
        let largest = v.iter().fold(0f64, |a, x| a.max(x.abs()));
        let scale = (v.len() as f64 / square).sqrt();
        let mut entries: Vec<f64> = v.iter().map(|x| x * scale).collect();
        entries.sort_unstable_by(f64::total_cmp);
        Self {
            len: v.len(),
            porter_thomas_p: (v.len() >= MIN_ENTRIES).then(|| kolmogorov::normal_p(&entries)),
            localisation_ratio: sum(f64::abs) / largest,
            participation: (square * square / sum(|x| x.powi(4))).powf(0.25),
        }
    }
}

/// Statistics of the vectors of the `k` largest singular values, the largest first. There are fewer
/// if fewer singular values of W are above zero up to rounding.
///
/// All eigenvectors of the smaller Gram matrix are computed on one thread. This takes two to four
/// times as long as a spectrum, so an analysis does it on request only.
///
/// # Errors
///
/// Fails if W is zero, an entry is not finite, the scale overflows f64, or the solver fails.
pub fn top_vectors(matrix: &WeightMatrix, k: usize) -> Result<Vec<VectorStats>> {
    let fail = |cause: String| Error::layer(matrix.name(), cause);
    all_finite(matrix)?;
    let largest = matrix.values().iter().fold(0f64, |a, v| a.max(v.abs()));
    if largest == 0.0 {
        return Err(fail(
            "every weight is zero, so there are no singular vectors".into(),
        ));
    }
    // A power of two keeps every digit, and it keeps the squares in range.
    let scale = (-largest.log2().floor()).min(1000.0).exp2();
    let scaled: Vec<f64> = matrix.values().iter().map(|v| v * scale).collect();
    let w = MatRef::from_row_major_slice(&scaled, matrix.rows(), matrix.cols());
    let wide = matrix.rows() < matrix.cols();
    let tall = if wide { w.transpose() } else { w };
    let (eigenvalues, vectors) = eigen(tall).map_err(fail)?;
    let m = eigenvalues.len();
    let floor = FLOOR * eigenvalues[m - 1];
    let kept = (0..m)
        .rev()
        .take(k)
        .take_while(|&i| eigenvalues[i] > floor)
        .count();
    let short = vectors.as_ref().subcols(m - kept, kept);
    let mut long = Mat::<f64>::zeros(tall.nrows(), kept);
    // W v is σ u. The statistics do not depend on σ.
    let accum = Accum::Replace;
    matmul::matmul(long.as_mut(), accum, tall, short, 1.0, Par::Seq);
    let shape = |vectors: MatRef<'_, f64>, j: usize| {
        VectorShape::new(&vectors.col(j).iter().copied().collect::<Vec<_>>())
    };
    (0..kept)
        .map(|index| {
            let j = kept - 1 - index;
            let lambda = eigenvalues[m - 1 - index] / matrix.n() as f64 / scale / scale;
            if !lambda.is_finite() {
                return Err(fail("the eigenvalues exceed the range of f64".into()));
            }
            let (a, b) = (shape(long.as_ref(), j), shape(short, j));
            let (left, right) = if wide { (b, a) } else { (a, b) };
            Ok(VectorStats {
                index,
                lambda,
                left,
                right,
            })
        })
        .collect()
}

/// The ascending eigenvalues of WᵀW and their eigenvectors.
fn eigen(w: MatRef<'_, f64>) -> Result<(Vec<f64>, Mat<f64>), String> {
    let m = w.ncols();
    let mut gram = Mat::<f64>::zeros(m, m);
    triangular::matmul(
        gram.as_mut(),
        triangular::BlockStructure::TriangularLower,
        Accum::Replace,
        w.transpose(),
        triangular::BlockStructure::Rectangular,
        w,
        triangular::BlockStructure::Rectangular,
        1.0,
        Par::Seq,
    );
    let mut values = Diag::<f64>::zeros(m);
    let mut vectors = Mat::<f64>::zeros(m, m);
    let mut buffer = MemBuffer::new(evd::self_adjoint_evd_scratch::<f64>(
        m,
        evd::ComputeEigenvectors::Yes,
        Par::Seq,
        Default::default(),
    ));
    evd::self_adjoint_evd(
        gram.as_ref(),
        values.as_mut(),
        Some(vectors.as_mut()),
        Par::Seq,
        MemStack::new(&mut buffer),
        Default::default(),
    )
    .map_err(|e| format!("eigenvectors: {e:?}"))?;
    Ok((values.column_vector().iter().copied().collect(), vectors))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{gaussian, map, transposed};
    use super::*;
    use crate::spectrum::{Solver, Spectrum};

    fn p(shape: &VectorShape) -> f64 {
        shape.porter_thomas_p.unwrap()
    }

    #[test]
    fn noise_is_random() {
        let mut ps = Vec::new();
        for seed in 0..20 {
            for v in top_vectors(&gaussian(80, 50, seed), 10).unwrap() {
                ps.extend([p(&v.left), p(&v.right)]);
                assert!(v.left.localisation_ratio > 80.0 / 8.0, "{v:?}");
                assert!((v.left.participation - (80f64 / 3.0).powf(0.25)).abs() < 0.7);
            }
        }
        // 400 p-values.
        let below = |limit: f64| ps.iter().filter(|&&p| p < limit).count();
        assert!(below(0.01) <= 12, "{}", below(0.01));
        for (limit, least, most) in [(0.1, 16, 60), (0.5, 130, 230), (0.9, 300, 380)] {
            let count = below(limit);
            assert!((least..=most).contains(&count), "{limit}: {count}");
        }
    }

    #[test]
    fn a_localised_spike_is_seen_and_nothing_else() {
        // 60 on one entry, compared with a noise edge of √120 + √60 ≈ 19.
        let w = map(&gaussian(120, 60, 1), |i, j, v| {
            v + if (i, j) == (7, 11) { 60.0 } else { 0.0 }
        });
        let top = top_vectors(&w, 3).unwrap();
        for side in [&top[0].left, &top[0].right] {
            assert!(p(side) < 1e-6, "{side:?}");
            assert!(side.localisation_ratio < 15.0 && side.participation < 1.1);
        }
        assert!(p(&top[1].left) > 1e-3 && top[1].left.localisation_ratio > 15.0);
        // The vector of a mean is not random either, but all its entries take part.
        let mean = map(&gaussian(120, 60, 2), |_, _, v| v + 1.0);
        let top = top_vectors(&mean, 1).unwrap();
        assert!(p(&top[0].left) < 1e-6 && top[0].left.localisation_ratio > 60.0);
    }

    #[test]
    fn known_vectors() {
        let flat = VectorShape::new(&[-3.0; 16]);
        assert_eq!((flat.localisation_ratio, flat.participation), (16.0, 2.0));
        let one = VectorShape::new(&[0.0, 0.0, 5.0, 0.0]);
        assert_eq!((one.localisation_ratio, one.participation), (1.0, 1.0));
        assert_eq!(one.porter_thomas_p, None);
    }

    #[test]
    fn sign_scale_and_transposition() {
        let w = gaussian(40, 25, 3);
        let top = top_vectors(&w, 4).unwrap();
        let n = Spectrum::from_matrix(&w, Solver::Svd).unwrap();
        let close = |a: &VectorShape, b: &VectorShape| {
            assert_eq!(a.len, b.len);
            assert!((p(a) - p(b)).abs() < 1e-6);
            assert!((a.localisation_ratio / b.localisation_ratio - 1.0).abs() < 1e-9);
            assert!((a.participation / b.participation - 1.0).abs() < 1e-9);
        };
        for factor in [-1.0, 1e-30, 1e130] {
            for (a, b) in top
                .iter()
                .zip(top_vectors(&map(&w, |_, _, v| v * factor), 4).unwrap())
            {
                close(&a.left, &b.left);
                close(&a.right, &b.right);
            }
        }
        let swapped = top_vectors(&transposed(&w), 4).unwrap();
        for (i, (a, b)) in top.iter().zip(&swapped).enumerate() {
            close(&a.left, &b.right);
            close(&a.right, &b.left);
            assert!((a.lambda / n.eigenvalues()[24 - i] - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn only_what_exists() {
        let rank_two = map(&gaussian(30, 20, 1), |i, j, _| {
            (1 + i) as f64 * (1 + j) as f64 + (i % 3) as f64
        });
        assert_eq!(top_vectors(&rank_two, 9).unwrap().len(), 2);
        assert_eq!(top_vectors(&gaussian(30, 20, 1), 99).unwrap().len(), 20);
        assert!(top_vectors(&gaussian(30, 20, 1), 0).unwrap().is_empty());
        let fails = |w: WeightMatrix| top_vectors(&w, 1).unwrap_err().to_string();
        let w = gaussian(3, 2, 1);
        assert!(fails(map(&w, |_, _, _| 0.0)).contains("zero"));
        assert!(fails(map(&w, |_, _, _| f64::NAN)).contains("6 of 6"));
        assert!(fails(map(&w, |_, _, _| 1e300)).contains("range"));
    }
}
