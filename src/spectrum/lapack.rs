//! The eigensolver of the system's LAPACK. `eigvalsh` of `ndarray-linalg` also computes
//! eigenvectors, so this file calls the routine beneath it without them.

use ndarray_lapack::ArrayView2;
use ndarray_linalg::{Lapack as _, MatrixLayout, cholesky::UPLO};

use super::Eigensolver;
use crate::scratch::Scratch;

/// OpenBLAS: the Gram matrix by `gemm`, its eigenvalues by `dsyev` without vectors.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Lapack;

impl Eigensolver for Lapack {
    fn name(&self) -> &'static str {
        "lapack"
    }

    fn eigenvalues(
        &self,
        rows: usize,
        cols: usize,
        values: &[f64],
        _: &Scratch,
    ) -> Result<Vec<f64>, String> {
        let w = ArrayView2::from_shape((rows, cols), values).map_err(|e| e.to_string())?;
        let gram = if rows >= cols {
            w.t().dot(&w)
        } else {
            w.dot(&w.t())
        };
        let m = gram.nrows();
        // The matrix is symmetric, so row- and column-major order are the same.
        let mut gram = gram.into_raw_vec_and_offset().0;
        let layout = MatrixLayout::F {
            col: m as i32,
            lda: m as i32,
        };
        f64::eigh(false, layout, UPLO::Lower, &mut gram).map_err(|e| e.to_string())
    }
}

#[cfg(test)]
mod tests {
    use crate::matrix::WeightMatrix;
    use crate::spectrum::{Solver, Spectrum};
    use rand::{RngExt, SeedableRng};

    #[test]
    fn agrees_with_faer() {
        let mut rng = rand_pcg::Pcg64::seed_from_u64(3);
        for (n, m) in [(30, 30), (200, 80), (40, 150)] {
            let values: Vec<f64> = (0..n * m).map(|_| rng.random::<f64>() - 0.5).collect();
            let w = WeightMatrix::new("w", n, m, values).unwrap();
            let spectra = [Solver::Gram, Solver::Svd, Solver::Lapack]
                .map(|solver| Spectrum::from_matrix(&w, solver).unwrap());
            for other in &spectra[1..] {
                for (a, b) in spectra[0].eigenvalues().iter().zip(other.eigenvalues()) {
                    assert!((a - b).abs() <= 1e-13 * other.lambda_max(), "{a} {b}");
                }
            }
        }
    }
}
