//! The empirical spectral density: eigenvalues of X = WᵀW/N.
//!
//! A [`Spectrum`] is sorted, finite and non-negative by construction, so that no later step checks
//! again. *How* the eigenvalues are found is an [`Eigensolver`]; every one gives the eigenvalues of
//! WᵀW, and this file alone scales them.

mod band;
mod chase;
mod dense;
mod kernels;
#[cfg(feature = "lapack")]
mod lapack;
mod null;
mod reflect;
mod routes;
mod square;
mod tridiagonal;

use serde::{Deserialize, Serialize};

use dense::{Gram, GramF32, Svd};
#[cfg(feature = "lapack")]
use lapack::Lapack;
pub(crate) use null::null_directions;
use null::{Moments, live_vectors};

use crate::error::{Error, LayerError, Result};
use crate::matrix::{Cut, WeightMatrix};
use crate::scratch::Scratch;

/// A way to find the eigenvalues of WᵀW (the smaller of WᵀW and WWᵀ).
pub(crate) trait Eigensolver {
    /// Name for records.
    fn name(&self) -> &'static str;

    /// The M eigenvalues of WᵀW in any order, without 1/N. `values` are the finite entries of an
    /// M×N or N×M matrix, `rows`×`cols` row-major, of moderate scale.
    ///
    /// # Errors
    ///
    /// A sentence that says why the method did not converge.
    fn eigenvalues(
        &self,
        rows: usize,
        cols: usize,
        values: &[f64],
        scratch: &Scratch,
    ) -> Result<Vec<f64>, String>;
}

/// Which [`Eigensolver`] to use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Solver {
    /// [`Gram`]: exact to λ/λmax ≈ 3e-15, which is below what f32 weights resolve.
    #[default]
    Gram,
    /// [`GramF32`]: the fast mode, wrong below λ/λmax ≈ 1e-6.
    GramF32,
    /// [`Svd`]: for f64 weights whose small singular values matter; about three times slower.
    Svd,
    /// The system's OpenBLAS, with the feature `lapack`; without it the analysis of a layer is an
    /// error that says so.
    Lapack,
}

impl Solver {
    /// More than eigenvalues are off by, in units of λmax: rounding grows with M at most, and is 3e-15 as measured.
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
            Solver::Lapack => &NoLapack,
        }
    }
}

/// Stands for [`Solver::Lapack`] in a build without it, so that a log reads alike in every build.
#[cfg(not(feature = "lapack"))]
struct NoLapack;

#[cfg(not(feature = "lapack"))]
impl Eigensolver for NoLapack {
    fn name(&self) -> &'static str {
        "lapack"
    }

    fn eigenvalues(&self, _: usize, _: usize, _: &[f64], _: &Scratch) -> Result<Vec<f64>, String> {
        Err("this build has no feature `lapack`".to_owned())
    }
}

const NORMAL_KURTOSIS: f64 = 3.0;

/// Eigenvalues of X = WᵀW/N: ascending, finite, ≥ 0.
#[derive(Debug, Clone, PartialEq)]
pub struct Spectrum {
    eigenvalues: Vec<f64>,
    n: usize,
    m: usize,
    live_n: usize,
    kurtosis: f64,
    cut: Cut,
}

impl Spectrum {
    /// The spectrum of a matrix.
    ///
    /// # Errors
    ///
    /// If an entry is NaN or infinite, if the scale overflows f64, or if the solver fails.
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
        // Squares of such entries would leave the range of f64. A power of two rescales exactly.
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
        let live_n = live_vectors(matrix.rows(), matrix.cols(), entries).max(matrix.m());
        let live = live_n as f64 / n;
        Ok(spectrum.with_entries(live_n, moments.kurtosis(values, live)))
    }

    /// A spectrum from eigenvalues of X = WᵀW/N that were kept, for an N×M matrix.
    ///
    /// # Errors
    ///
    /// If there are none, or one is negative or not finite.
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
            live_n: n,
            kurtosis: NORMAL_KURTOSIS,
            cut,
        })
    }

    /// All eigenvalues of the slices of one convolution, together.
    pub fn pooled(slices: &[Spectrum]) -> Option<Self> {
        let first = slices.first()?;
        let eigenvalues = slices
            .iter()
            .flat_map(|s| &s.eigenvalues)
            .copied()
            .collect();
        Self::from_parts(eigenvalues, first.n, first.m, Cut::Pooled).ok()
    }

    /// Ascending.
    pub fn eigenvalues(&self) -> &[f64] {
        &self.eigenvalues
    }

    /// Number of eigenvalues: M, or M·k for a pooled spectrum.
    pub fn len(&self) -> usize {
        self.eigenvalues.len()
    }

    /// Never true; a spectrum has at least one eigenvalue.
    pub fn is_empty(&self) -> bool {
        self.eigenvalues.is_empty()
    }

    /// The longer side of the matrix, and the normalisation: λ of WᵀW is N times ours.
    pub fn n(&self) -> usize {
        self.n
    }

    /// Vectors along the longer side that carry anything, at least M. Dead ones (inputs that a network
    /// has given up, say) take no part in the noise: its aspect ratio is `live_n`/M. N for a spectrum
    /// whose matrix is not known.
    pub fn live_n(&self) -> usize {
        self.live_n
    }

    /// Kurtosis of the entries, without dead vectors: it moves the edge of small noise matrices. 3, a
    /// normal law's, for a spectrum whose matrix is not known.
    pub fn entry_kurtosis(&self) -> f64 {
        self.kurtosis
    }

    /// The same spectrum, with what its matrix' entries say about noise.
    pub(crate) fn with_entries(mut self, live_n: usize, kurtosis: f64) -> Self {
        self.live_n = live_n.clamp(self.m, self.n);
        if kurtosis.is_finite() {
            self.kurtosis = kurtosis;
        }
        self
    }

    /// The shorter side of the matrix.
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

    /// The largest eigenvalue.
    pub fn lambda_max(&self) -> f64 {
        self.eigenvalues[self.eigenvalues.len() - 1]
    }

    /// Σλ = ‖W‖²_F/N.
    pub fn total(&self) -> f64 {
        self.eigenvalues.iter().sum()
    }
}
