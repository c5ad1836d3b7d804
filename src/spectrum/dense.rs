//! faer's dense solvers, one thread each: bits never depend on the number of threads, and the
//! training keeps its cores.

use faer::diag::Diag;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::matmul::triangular::{BlockStructure, matmul};
use faer::{Accum, Mat, MatRef, Par, linalg::svd};

use super::Eigensolver;
use super::reflect::Real;
use super::routes::{or_stock, reduced};

/// The triangular Gram matrix on the smaller side, then its eigenvalues without vectors: by one reduction
/// to a tridiagonal matrix, or from M = 448 on by two, through a band.
#[derive(Debug, Clone, Copy, Default)]
pub struct Gram;

/// [`Gram`] in f32, but for the eigenvalues of the tridiagonal matrix: the fast mode.
#[derive(Debug, Clone, Copy, Default)]
pub struct GramF32;

/// Squared singular values. Twice the digits of [`Gram`] at the small end.
#[derive(Debug, Clone, Copy, Default)]
pub struct Svd;

/// Rows or columns of W that enter the Gram matrix together.
const TOGETHER: usize = 256;

impl Eigensolver for Gram {
    fn name(&self) -> &'static str {
        "gram"
    }

    fn eigenvalues(&self, rows: usize, cols: usize, values: &[f64]) -> Result<Vec<f64>, String> {
        or_stock(reduced, || gram_matrix(rows, cols, values, 1.0))
    }
}

impl Eigensolver for GramF32 {
    fn name(&self) -> &'static str {
        "gram_f32"
    }

    fn eigenvalues(&self, rows: usize, cols: usize, values: &[f64]) -> Result<Vec<f64>, String> {
        let largest = values.iter().fold(0f64, |top, v| top.max(v.abs()));
        // f32 holds no squares beyond 1e38.
        let unit = if largest > 0.0 {
            (-largest.log2().floor()).exp2()
        } else {
            1.0
        };
        let Some(mut found) = reduced(gram_matrix::<f32>(rows, cols, values, unit)) else {
            return Gram.eigenvalues(rows, cols, values);
        };
        for value in &mut found {
            *value = *value / unit / unit;
        }
        Ok(found)
    }
}

/// The lower half of the smaller of WᵀW and WWᵀ, for W times `unit`.
pub(super) fn gram_matrix<T: Real>(rows: usize, cols: usize, values: &[f64], unit: f64) -> Mat<T> {
    let w = MatRef::from_row_major_slice(values, rows, cols);
    let w = if rows >= cols { w } else { w.transpose() };
    let (n, m) = (w.nrows(), w.ncols());
    let mut gram = Mat::zeros(m, m);
    // The vectors of the product, contiguous: with a left factor contiguous the other way, matmul skips
    // packing it and drops to half its rate.
    let mut part = vec![T::ZERO; TOGETHER.min(n) * m];
    for first in (0..n).step_by(TOGETHER) {
        let size = TOGETHER.min(n - first);
        let part = &mut part[..size * m];
        pack(w.subrows(first, size), part, unit);
        let part = MatRef::from_column_major_slice(&*part, size, m);
        matmul(
            gram.as_mut(),
            BlockStructure::TriangularLower,
            Accum::Add,
            part.transpose(),
            BlockStructure::Rectangular,
            part,
            BlockStructure::Rectangular,
            T::ONE,
            Par::Seq,
        );
    }
    gram
}

/// Copies a matrix column by column.
fn pack<T: Real>(w: MatRef<'_, f64>, to: &mut [T], unit: f64) {
    /// A square of so many entries a side is transposed at once.
    const SIDE: usize = 16;
    let n = w.nrows();
    for (j, columns) in to.chunks_mut(SIDE * n).enumerate() {
        for i in (0..n).step_by(SIDE) {
            for (k, column) in columns.chunks_exact_mut(n).enumerate() {
                for (x, i) in column[i..(i + SIDE).min(n)].iter_mut().zip(i..) {
                    *x = T::from_f64(w[(i, j * SIDE + k)] * unit);
                }
            }
        }
    }
}

impl Eigensolver for Svd {
    fn name(&self) -> &'static str {
        "svd"
    }

    fn eigenvalues(&self, rows: usize, cols: usize, values: &[f64]) -> Result<Vec<f64>, String> {
        let w = MatRef::from_row_major_slice(values, rows, cols);
        let w = if rows >= cols { w } else { w.transpose() };
        let (n, m) = (w.nrows(), w.ncols());
        let mut sv = Diag::<f64>::zeros(m);
        let mut buffer = MemBuffer::new(svd::svd_scratch::<f64>(
            n,
            m,
            svd::ComputeSvdVectors::No,
            svd::ComputeSvdVectors::No,
            Par::Seq,
            Default::default(),
        ));
        svd::svd(
            w,
            sv.as_mut(),
            None,
            None,
            Par::Seq,
            MemStack::new(&mut buffer),
            Default::default(),
        )
        .map_err(|e| format!("{e:?}"))?;
        Ok(sv.column_vector().iter().map(|s| s * s).collect())
    }
}

#[cfg(test)]
mod tests {
    use crate::matrix::WeightMatrix;
    use crate::spectrum::{Solver, Spectrum};
    use rand::{RngExt, SeedableRng};

    fn random(rows: usize, cols: usize, scale: f64) -> WeightMatrix {
        let mut rng = rand_pcg::Pcg64::seed_from_u64(7);
        let values: Vec<f64> = (0..rows * cols)
            .map(|_| scale * (rng.random::<f64>() - 0.5))
            .collect();
        WeightMatrix::new("w", rows, cols, values).unwrap()
    }

    fn close(a: &Spectrum, b: &Spectrum, tolerance: f64) {
        let top = a.lambda_max();
        for (x, y) in a.eigenvalues().iter().zip(b.eigenvalues()) {
            assert!((x - y).abs() <= tolerance * top, "{x} {y}");
        }
    }

    #[test]
    fn gram_and_svd_agree_at_any_scale() {
        for scale in [1e-180, 1e-30, 1.0, 1e30, 1e140] {
            let w = random(40, 25, scale);
            let gram = Spectrum::of(&w, Solver::Gram).unwrap();
            close(&gram, &Spectrum::of(&w, Solver::Svd).unwrap(), 1e-14);
            assert!(gram.lambda_max() > 0.0 || scale < 1e-150);
        }
    }

    #[test]
    fn transposing_changes_nothing() {
        let w = random(17, 9, 1.0);
        let values: Vec<f64> = (0..9 * 17)
            .map(|i| w.values()[(i % 17) * 9 + i / 17])
            .collect();
        let t = WeightMatrix::new("t", 9, 17, values).unwrap();
        close(
            &Spectrum::of(&w, Solver::Gram).unwrap(),
            &Spectrum::of(&t, Solver::Gram).unwrap(),
            1e-14,
        );
    }

    #[test]
    fn the_trace_is_the_frobenius_norm_over_n() {
        let w = random(30, 12, 2.0);
        let s = Spectrum::of(&w, Solver::Gram).unwrap();
        let frobenius: f64 = w.values().iter().map(|v| v * v).sum();
        assert!((s.total() * 30.0 / frobenius - 1.0).abs() < 1e-13);
    }

    #[test]
    fn bad_weights_are_named() {
        let mut values = vec![1.0; 12];
        values[5] = f64::NAN;
        let w = WeightMatrix::new("fc9", 4, 3, values).unwrap();
        let error = Spectrum::of(&w, Solver::Gram).unwrap_err().to_string();
        assert!(
            error.contains("fc9") && error.contains("1 of 12"),
            "{error}"
        );
        let zero = WeightMatrix::new("z", 4, 3, vec![0.0; 12]).unwrap();
        assert_eq!(Spectrum::of(&zero, Solver::Svd).unwrap().total(), 0.0);
    }
}
