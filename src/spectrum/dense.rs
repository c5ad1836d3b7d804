//! faer's dense solvers, one thread each: bits never depend on the number of threads, and the
//! training keeps its cores.

use faer::diag::Diag;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::evd::tridiag::{tridiag_in_place, tridiag_in_place_scratch};
use faer::linalg::matmul::triangular::{BlockStructure, matmul};
use faer::linalg::qr::no_pivoting::factor::recommended_block_size;
use faer::reborrow::ReborrowMut;
use faer::{Accum, Mat, MatMut, MatRef, Par, linalg::evd, linalg::svd};

use super::Eigensolver;
use super::band::{Blocks, Real, band};

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

/// Where two stages become faster than one.
const TWO_STAGES_FROM: usize = 448;

/// A band of 32 is as fast as any from 16 to 64 for M = 384 to 4096; tiles of half a megabyte stay in the
/// second-level cache between their update and their product.
const BLOCKS: Blocks = Blocks {
    width: 32,
    panels: 4,
    rows: 512,
};

/// Rows or columns of W that enter the Gram matrix together.
const TOGETHER: usize = 256;

impl Eigensolver for Gram {
    fn name(&self) -> &'static str {
        "gram"
    }

    fn eigenvalues(&self, rows: usize, cols: usize, values: &[f64]) -> Result<Vec<f64>, String> {
        or_stock(reduced, rows, cols, values)
    }
}

/// The eigenvalues by a route that may refuse, else by faer's own.
fn or_stock(
    route: impl FnOnce(Mat<f64>) -> Option<Vec<f64>>,
    rows: usize,
    cols: usize,
    values: &[f64],
) -> Result<Vec<f64>, String> {
    match route(gram_matrix(rows, cols, values, 1.0)) {
        Some(values) => Ok(values),
        // The route has overwritten it.
        None => stock(&gram_matrix(rows, cols, values, 1.0)),
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
fn gram_matrix<T: Real>(rows: usize, cols: usize, values: &[f64], unit: f64) -> Mat<T> {
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

/// The eigenvalues of a Gram matrix given by its lower half, which is overwritten.
fn reduced<T: Real>(gram: Mat<T>) -> Option<Vec<f64>> {
    if gram.nrows() < TWO_STAGES_FROM {
        in_units(gram, one_stage)
    } else {
        in_units(gram, |gram| two_stages(gram, BLOCKS))
    }
}

/// The eigenvalues found by `route` of a matrix whose entries are of moderate scale.
fn in_units<T: Real>(
    mut gram: Mat<T>,
    route: impl FnOnce(MatMut<'_, T>) -> Option<Vec<f64>>,
) -> Option<Vec<f64>> {
    // No entry of a Gram matrix is larger than the largest on the diagonal.
    let top = (0..gram.nrows()).fold(0.0, |top: f64, i| top.max(gram[(i, i)].into()));
    if top == 0.0 {
        return Some(vec![0.0; gram.nrows()]);
    }
    if (1e-10..1e10).contains(&top) {
        return route(gram.as_mut());
    }
    if !top.is_finite() {
        return None;
    }
    let unit = (-top.log2().floor()).exp2();
    let factor = T::from_f64(unit);
    for column in gram.col_iter_mut() {
        column.iter_mut().for_each(|v| *v = *v * factor);
    }
    let values = route(gram.as_mut())?;
    let values: Vec<f64> = values.iter().map(|v| v / unit).collect();
    values.iter().all(|v| v.is_finite()).then_some(values)
}

/// Householder's reduction, then the eigenvalues of the tridiagonal matrix.
fn one_stage<T: Real>(mut gram: MatMut<'_, T>) -> Option<Vec<f64>> {
    let m = gram.nrows();
    let block = recommended_block_size::<T>(m, m);
    let mut householder = Mat::<T>::zeros(block, m.saturating_sub(1));
    let scratch = tridiag_in_place_scratch::<T>(m, Par::Seq, Default::default());
    tridiag_in_place(
        gram.rb_mut(),
        householder.as_mut(),
        Par::Seq,
        MemStack::new(&mut MemBuffer::new(scratch)),
        Default::default(),
    );
    let diagonal = (0..m).map(|i| gram[(i, i)].into()).collect();
    let beside: Vec<f64> = (1..m).map(|i| gram[(i, i - 1)].into()).collect();
    super::tridiagonal::eigenvalues(diagonal, &beside)
}

/// Reduction to a band by matrix products, from there to a tridiagonal matrix, then its eigenvalues.
fn two_stages<T: Real>(gram: MatMut<'_, T>, blocks: Blocks) -> Option<Vec<f64>> {
    let (diagonal, beside) = band(gram, blocks).tridiagonal();
    super::tridiagonal::eigenvalues(diagonal, &beside)
}

/// faer's own route, should ours not converge.
fn stock(gram: &Mat<f64>) -> Result<Vec<f64>, String> {
    let m = gram.nrows();
    let mut values = Diag::<f64>::zeros(m);
    let mut buffer = MemBuffer::new(evd::self_adjoint_evd_scratch::<f64>(
        m,
        evd::ComputeEigenvectors::No,
        Par::Seq,
        Default::default(),
    ));
    evd::self_adjoint_evd(
        gram.as_ref(),
        values.as_mut(),
        None,
        Par::Seq,
        MemStack::new(&mut buffer),
        Default::default(),
    )
    .map_err(|e| format!("{e:?}"))?;
    Ok(values.column_vector().iter().copied().collect())
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
