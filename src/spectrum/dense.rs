//! faer's dense solvers, one thread each: bits never depend on the number of threads, and the
//! training keeps its cores.

use faer::diag::Diag;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::evd::tridiag::{tridiag_in_place, tridiag_in_place_scratch};
use faer::linalg::matmul::triangular::{BlockStructure, matmul};
use faer::linalg::qr::no_pivoting::factor::recommended_block_size;
use faer::{Accum, Mat, MatRef, Par, linalg::evd, linalg::svd};

use super::Eigensolver;

/// The triangular Gram matrix on the smaller side, then its eigenvalues without vectors.
#[derive(Debug, Clone, Copy, Default)]
pub struct Gram;

/// Squared singular values. Twice the digits of [`Gram`] at the small end.
#[derive(Debug, Clone, Copy, Default)]
pub struct Svd;

impl Eigensolver for Gram {
    fn name(&self) -> &'static str {
        "gram"
    }

    fn eigenvalues(&self, rows: usize, cols: usize, values: &[f64]) -> Result<Vec<f64>, String> {
        let w = MatRef::from_row_major_slice(values, rows, cols);
        let (a, b) = if rows >= cols {
            (w.transpose(), w)
        } else {
            (w, w.transpose())
        };
        let m = rows.min(cols);
        let mut gram = Mat::<f64>::zeros(m, m);
        matmul(
            gram.as_mut(),
            BlockStructure::TriangularLower,
            Accum::Replace,
            a,
            BlockStructure::Rectangular,
            b,
            BlockStructure::Rectangular,
            1.0,
            Par::Seq,
        );
        match tridiagonal(gram.clone()) {
            Some(values) => Ok(values),
            None => stock(&gram),
        }
    }
}

/// Householder's reduction, then the eigenvalues of the tridiagonal matrix.
fn tridiagonal(mut gram: Mat<f64>) -> Option<Vec<f64>> {
    let m = gram.nrows();
    let block = recommended_block_size::<f64>(m, m);
    let mut householder = Mat::<f64>::zeros(block, m.saturating_sub(1));
    let scratch = tridiag_in_place_scratch::<f64>(m, Par::Seq, Default::default());
    tridiag_in_place(
        gram.as_mut(),
        householder.as_mut(),
        Par::Seq,
        MemStack::new(&mut MemBuffer::new(scratch)),
        Default::default(),
    );
    let diagonal = (0..m).map(|i| gram[(i, i)]).collect();
    let beside: Vec<f64> = (1..m).map(|i| gram[(i, i - 1)]).collect();
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
