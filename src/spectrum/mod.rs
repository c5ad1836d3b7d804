//! The spectrum of a matrix: the eigenvalues of X = WᵀW/N.
//!
//! A [`Spectrum`] is sorted, finite and non-negative by construction, so no later step checks this
//! again. A [`Solver`] finds the eigenvalues of WᵀW, and this file divides them by N.

mod band;
mod chase;
mod kernels;
#[cfg(feature = "lapack")]
mod lapack;
mod null;
mod reduction;
mod reflect;
mod solvers;
mod square;
mod tridiagonal;

use serde::{Deserialize, Serialize};

#[cfg(feature = "lapack")]
use lapack::Lapack;
pub(crate) use null::null_directions;
use null::{Moments, count_effective_vectors};
use solvers::{Gram, GramF32, Svd};

use crate::error::{Error, LayerError, Result};
use crate::matrix::{Cut, WeightMatrix};
use crate::scratch::Scratch;

/// A method to compute the eigenvalues of WᵀW, or of WWᵀ if that matrix is smaller.
pub(crate) trait Eigensolver {
    /// Name in records.
    fn name(&self) -> &'static str;

    /// The M eigenvalues of WᵀW in any order, without the factor 1/N. `values` are the finite
    /// entries of an M×N or N×M matrix, `rows`×`cols` and row-major, of moderate scale.
    ///
    /// # Errors
    ///
    /// Returns a message that tells why the method did not converge.
    fn eigenvalues(
        &self,
        rows: usize,
        cols: usize,
        values: &[f64],
        scratch: &Scratch,
    ) -> Result<Vec<f64>, String>;
}

/// The method to compute eigenvalues.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Solver {
    /// The eigenvalues of the Gram matrix. They are exact to λ/λmax ≈ 3e-15, below the resolution
    /// of f32 weights.
    #[default]
    Gram,
    /// [`Gram`](Solver::Gram) in f32, the fast mode. Eigenvalues below λ/λmax ≈ 1e-6 are wrong.
    GramF32,
    /// The squared singular values, for f64 weights whose small singular values matter. About three
    /// times slower than [`Gram`](Solver::Gram).
    Svd,
    /// The system's OpenBLAS, with the feature `lapack`. Without that feature the analysis of a
    /// layer returns an error with this reason.
    Lapack,
}

impl Solver {
    /// Bound on the error of eigenvalues, in units of λmax. Rounding grows with M at most, and is
    /// 3e-15 as measured.
    pub(crate) fn error(self) -> f64 {
        match self {
            Solver::GramF32 => 1e-5,
            _ => 1e-13,
        }
    }

    fn as_dyn(self) -> &'static dyn Eigensolver {
        match self {
            Solver::Gram => &Gram,
            Solver::GramF32 => &GramF32,
            Solver::Svd => &Svd,
            #[cfg(feature = "lapack")]
            Solver::Lapack => &Lapack,
            #[cfg(not(feature = "lapack"))]
            Solver::Lapack => &MissingLapack,
        }
    }
}

/// The solver of [`Solver::Lapack`] in a build without LAPACK, so that every build can read every
/// log.
#[cfg(not(feature = "lapack"))]
struct MissingLapack;

#[cfg(not(feature = "lapack"))]
impl Eigensolver for MissingLapack {
    fn name(&self) -> &'static str {
        "lapack"
    }

    fn eigenvalues(&self, _: usize, _: usize, _: &[f64], _: &Scratch) -> Result<Vec<f64>, String> {
        Err("the program was built without the feature `lapack`".to_owned())
    }
}

/// Kurtosis of a normal law.
const NORMAL_KURTOSIS: f64 = 3.0;

/// The eigenvalues of X = WᵀW/N: ascending, finite and at least 0.
#[derive(Debug, Clone, PartialEq)]
pub struct Spectrum {
    eigenvalues: Vec<f64>,
    n: usize,
    m: usize,
    effective_n: usize,
    kurtosis: f64,
    cut: Cut,
}

impl Spectrum {
    /// The spectrum of a matrix.
    ///
    /// # Errors
    ///
    /// Fails if an entry is NaN or infinite, if the scale overflows f64, or if the solver fails.
    pub fn from_matrix(matrix: &WeightMatrix, solver: Solver) -> Result<Self> {
        let solver = solver.as_dyn();
        let fail = |cause: LayerError| Error::layer(matrix.name(), cause);
        let values = matrix.values();
        let moments = Moments::new(values);
        let largest = moments.largest;
        if !largest.is_finite() {
            return Err(fail(LayerError::NotFinite {
                count: values.iter().filter(|v| !v.is_finite()).count(),
                of: values.len(),
            }));
        }
        if largest == 0.0 {
            return Self::from_parts(vec![0.0; matrix.m()], matrix.n(), matrix.m(), matrix.cut())
                .map_err(fail);
        }
        // The squares of such entries would leave the range of f64. A power of two rescales
        // exactly.
        let scale = if (1e-100..1e100).contains(&largest) {
            1.0
        } else {
            (-largest.log2().floor()).exp2()
        };
        let scaled: Vec<f64>;
        let entries = if scale == 1.0 {
            values
        } else {
            scaled = values.iter().map(|v| v * scale).collect();
            &scaled
        };
        let mut eigenvalues = solver
            .eigenvalues(matrix.rows(), matrix.cols(), entries, matrix.scratch())
            .map_err(|message| {
                fail(LayerError::Solver {
                    solver: solver.name().to_owned(),
                    message,
                })
            })?;
        let n = matrix.n() as f64;
        for value in &mut eigenvalues {
            // Rounding makes zero eigenvalues slightly negative.
            *value = value.max(0.0) / n / scale / scale;
        }
        let spectrum =
            Self::from_parts(eigenvalues, matrix.n(), matrix.m(), matrix.cut()).map_err(fail)?;
        let effective_n =
            count_effective_vectors(matrix.rows(), matrix.cols(), entries).max(matrix.m());
        let live = effective_n as f64 / n;
        Ok(spectrum.with_entries(effective_n, moments.kurtosis(values, live)))
    }

    /// A spectrum from known eigenvalues of X = WᵀW/N, in any order. The matrix is N×M, with sides
    /// `n` and `m`.
    ///
    /// # Errors
    ///
    /// Fails if the number of eigenvalues is zero or no multiple of `m`, if `n` < `m` or `m` = 0,
    /// or if an eigenvalue is negative or not finite.
    pub fn from_eigenvalues(eigenvalues: Vec<f64>, n: usize, m: usize) -> Result<Self> {
        Self::from_parts(eigenvalues, n, m, Cut::Whole)
            .map_err(|cause| Error::layer("spectrum", cause))
    }

    pub(crate) fn from_parts(
        mut eigenvalues: Vec<f64>,
        n: usize,
        m: usize,
        cut: Cut,
    ) -> Result<Self, LayerError> {
        if eigenvalues.is_empty() || n < m || m == 0 || !eigenvalues.len().is_multiple_of(m) {
            let count = eigenvalues.len();
            return Err(LayerError::NotASpectrum { count, n, m });
        }
        if let Some(bad) = eigenvalues.iter().find(|v| !(v.is_finite() && **v >= 0.0)) {
            let value = bad.to_string();
            return Err(LayerError::OutOfRange { value });
        }
        eigenvalues.sort_unstable_by(f64::total_cmp);
        Ok(Self {
            eigenvalues,
            n,
            m,
            effective_n: n,
            kurtosis: NORMAL_KURTOSIS,
            cut,
        })
    }

    /// The eigenvalues of all slices of one convolution together. `None` without slices.
    pub fn pooled(slices: &[Spectrum]) -> Option<Self> {
        let first = slices.first()?;
        let eigenvalues = slices
            .iter()
            .flat_map(|s| &s.eigenvalues)
            .copied()
            .collect();
        Self::from_parts(eigenvalues, first.n, first.m, Cut::Pooled).ok()
    }

    /// The eigenvalues of X = WᵀW/N, ascending.
    pub fn eigenvalues(&self) -> &[f64] {
        &self.eigenvalues
    }

    /// Number of eigenvalues: M, or M·k for a pooled spectrum of k slices.
    pub fn len(&self) -> usize {
        self.eigenvalues.len()
    }

    /// Always false: a spectrum has at least one eigenvalue.
    pub fn is_empty(&self) -> bool {
        self.eigenvalues.is_empty()
    }

    /// The longer side N of the matrix. The eigenvalues of WᵀW are N times these.
    pub fn n(&self) -> usize {
        self.n
    }

    /// Number of vectors along the longer side that are not dead, at least M. A dead vector is a
    /// row or column of negligible entries, for example of an input that the network does not use.
    /// Dead vectors are no part of the noise, so its aspect ratio is `effective_n`/M. N if the
    /// matrix is not known.
    pub fn effective_n(&self) -> usize {
        self.effective_n
    }

    /// Kurtosis of the entries without dead vectors. It changes the edge of small noise matrices.
    /// 3, as for a normal law, if the matrix is not known.
    pub fn entry_kurtosis(&self) -> f64 {
        self.kurtosis
    }

    /// The same spectrum with these statistics of the matrix's entries.
    pub(crate) fn with_entries(mut self, effective_n: usize, kurtosis: f64) -> Self {
        self.effective_n = effective_n.clamp(self.m, self.n);
        if kurtosis.is_finite() {
            self.kurtosis = kurtosis;
        }
        self
    }

    /// The shorter side M of the matrix.
    pub fn m(&self) -> usize {
        self.m
    }

    /// Aspect ratio Q = N/M.
    pub fn q(&self) -> f64 {
        self.n as f64 / self.m as f64
    }

    /// How the matrix was cut from its tensor.
    pub fn cut(&self) -> Cut {
        self.cut
    }

    /// The largest eigenvalue λmax.
    pub fn lambda_max(&self) -> f64 {
        self.eigenvalues[self.eigenvalues.len() - 1]
    }

    /// Σλ = ‖W‖²_F/N.
    pub fn total(&self) -> f64 {
        self.eigenvalues.iter().sum()
    }
}
