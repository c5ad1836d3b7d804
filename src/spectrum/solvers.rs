//! Eigensolvers on faer's dense algebra, with one thread each. So the bits do not depend on the
//! number of threads, and the training keeps its cores.

use faer::diag::Diag;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::matmul::triangular::{BlockStructure, matmul};
use faer::{Accum, MatRef, Par, linalg::svd};

use super::Eigensolver;
use super::reduction::{eigenvalues_by_reduction, or_faer};
use super::reflect::Real;
use super::square::Square;
use crate::scratch::{Buffer, Scratch};

/// The eigenvalues of the lower half of the smaller Gram matrix, without vectors. The matrix is
/// reduced to a tridiagonal one in one stage, or from M = 512 on in two stages through a band.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Gram;

/// [`Gram`] in f32, the fast mode, except for the eigenvalues of the tridiagonal matrix. Measured
/// at 1.4 to 1.5 times the speed of `Gram` for M = 1024, 1.6 to 1.7 for 2048.
///
/// # When it misleads
///
/// The error of eigenvalues is below 1e-6·λmax, so smaller eigenvalues are only rounding. Do not
/// use it for ranks, null directions or the lower edge of a bulk. α changes by less than 1e-4 on
/// 400×160 matrices with columns of power-law scales (α = 2 to 5) and on noise with two spikes. If
/// several tails fit equally well, f32 may select another one than f64.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct GramF32;

/// The squared singular values. It has twice the digits of [`Gram`] for the smallest eigenvalues.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Svd;

/// Number of rows of W (of columns if W is wide) that are added to the Gram matrix at once.
const ROWS_PER_UPDATE: usize = 256;

impl Eigensolver for Gram {
    fn name(&self) -> &'static str {
        "gram"
    }

    fn eigenvalues(
        &self,
        rows: usize,
        cols: usize,
        values: &[f64],
        scratch: &Scratch,
    ) -> Result<Vec<f64>, String> {
        or_faer(eigenvalues_by_reduction, || {
            gram_matrix(rows, cols, values, 1.0, scratch)
        })
    }
}

impl Eigensolver for GramF32 {
    fn name(&self) -> &'static str {
        "gram_f32"
    }

    fn eigenvalues(
        &self,
        rows: usize,
        cols: usize,
        values: &[f64],
        scratch: &Scratch,
    ) -> Result<Vec<f64>, String> {
        let largest = values.iter().fold(0f64, |top, v| top.max(v.abs()));
        // f32 holds no squares above 1e38.
        let unit = if largest > 0.0 {
            (-largest.log2().floor()).exp2()
        } else {
            1.0
        };
        let Some(mut found) =
            eigenvalues_by_reduction(gram_matrix::<f32>(rows, cols, values, unit, scratch))
        else {
            return Gram.eigenvalues(rows, cols, values, scratch);
        };
        for value in &mut found {
            *value = *value / unit / unit;
        }
        Ok(found)
    }
}

/// The lower half of the smaller of WᵀW and WWᵀ, for `unit` times W.
pub(super) fn gram_matrix<T: Real>(
    rows: usize,
    cols: usize,
    values: &[f64],
    unit: f64,
    scratch: &Scratch,
) -> Square<T> {
    let w = MatRef::from_row_major_slice(values, rows, cols);
    let w = if rows >= cols { w } else { w.transpose() };
    let (n, m) = (w.nrows(), w.ncols());
    let mut gram = Square::zeros(m, scratch);
    // The vectors of the product are copied to contiguous memory. If they are contiguous along the
    // other side, matmul does not pack the left factor and its speed falls to half.
    let mut part = Buffer::filled(ROWS_PER_UPDATE.min(n) * m, T::ZERO, scratch);
    for first in (0..n).step_by(ROWS_PER_UPDATE) {
        let size = ROWS_PER_UPDATE.min(n - first);
        let part = &mut part[..size * m];
        pack(w.subrows(first, size), part, unit);
        let part = MatRef::from_column_major_slice(&*part, size, m);
        matmul(
            gram.view_mut(),
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

/// Copy `unit` times a matrix, column by column.
fn pack<T: Real>(w: MatRef<'_, f64>, to: &mut [T], unit: f64) {
    /// Side of the square tiles in which the copy transposes.
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

    fn eigenvalues(
        &self,
        rows: usize,
        cols: usize,
        values: &[f64],
        _: &Scratch,
    ) -> Result<Vec<f64>, String> {
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
    use crate::fit::fit_tail;
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
            let gram = Spectrum::from_matrix(&w, Solver::Gram).unwrap();
            close(
                &gram,
                &Spectrum::from_matrix(&w, Solver::Svd).unwrap(),
                1e-14,
            );
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
            &Spectrum::from_matrix(&w, Solver::Gram).unwrap(),
            &Spectrum::from_matrix(&t, Solver::Gram).unwrap(),
            1e-14,
        );
    }

    #[test]
    fn the_trace_is_the_frobenius_norm_over_n() {
        let w = random(30, 12, 2.0);
        let s = Spectrum::from_matrix(&w, Solver::Gram).unwrap();
        let frobenius: f64 = w.values().iter().map(|v| v * v).sum();
        assert!((s.total() * 30.0 / frobenius - 1.0).abs() < 1e-13);
    }

    #[test]
    fn bad_weights_are_named() {
        let mut values = vec![1.0; 12];
        values[5] = f64::NAN;
        let w = WeightMatrix::new("fc9", 4, 3, values).unwrap();
        let error = Spectrum::from_matrix(&w, Solver::Gram)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("fc9") && error.contains("1 of 12"),
            "{error}"
        );
        let zero = WeightMatrix::new("z", 4, 3, vec![0.0; 12]).unwrap();
        assert_eq!(
            Spectrum::from_matrix(&zero, Solver::Svd).unwrap().total(),
            0.0
        );
    }

    /// The largest error of the fast mode relative to λmax, and its largest change of α.
    fn cost_of_f32(n: usize, m: usize, shape: impl Fn(usize, usize, f64) -> f64) -> (f64, f64) {
        let mut worst = (0f64, 0f64);
        for seed in 0..6 {
            let mut rng = rand_pcg::Pcg64::seed_from_u64(seed);
            let values: Vec<f64> = (0..n * m)
                .map(|at| {
                    // The sum of six uniform values is nearly normal.
                    let noise: f64 = (0..6).map(|_| rng.random::<f64>() - 0.5).sum();
                    shape(at / m, at % m, noise)
                })
                .collect();
            let w = WeightMatrix::new("w", n, m, values).unwrap();
            let exact = Spectrum::from_matrix(&w, Solver::Gram).unwrap();
            let fast = Spectrum::from_matrix(&w, Solver::GramF32).unwrap();
            for (x, y) in exact.eigenvalues().iter().zip(fast.eigenvalues()) {
                worst.0 = worst.0.max((x - y).abs() / exact.lambda_max());
            }
            let alpha = |s: &Spectrum| fit_tail(s.eigenvalues()).unwrap().alpha;
            worst.1 = worst.1.max((alpha(&exact) - alpha(&fast)).abs());
        }
        worst
    }

    #[test]
    fn the_fast_mode_costs_what_its_documentation_says() {
        // The bound on α allows for registers of other widths.
        let (n, m) = (400, 160);
        for exponent in [2.0, 2.5, 3.5, 5.0] {
            // The squared scales of the columns follow λ^−α.
            let (error, moved) = cost_of_f32(n, m, |_, j, noise| {
                noise * ((j as f64 + 0.5) / m as f64).powf(-0.5 / (exponent - 1.0))
            });
            assert!(error < 1e-6 && moved < 1e-4, "{exponent}: {error} {moved}");
        }
        let spikes = |i: usize, j: usize, noise: f64| {
            let wave = |k: f64| (k * i as f64).sin() * (k * 1.7 * j as f64).cos();
            noise + 0.5 * wave(0.3) + 0.3 * wave(1.1)
        };
        let (error, moved) = cost_of_f32(n, m, spikes);
        assert!(error < 1e-6 && moved < 1e-4, "{error} {moved}");
    }
}
