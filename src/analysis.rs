//! The whole pure pipeline: matrix → spectrum → metrics and fits → phase.

use std::time::Instant;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::fit::{
    BulkFit, LikelihoodRatio, NoFit, NoiseAlpha, REPLICATES, TailFit, against_exponential,
    fit_bulk, fit_tail, hill_alpha, noise_alpha,
};
use crate::full::Full;
use crate::matrix::{Cut, Cuts, LayerTensor, WeightMatrix};
use crate::metrics::Metrics;
use crate::phase::{Baseline, Unclassifiable, Verdict, classify};
use crate::spectrum::{Solver, Spectrum};

/// How deep to look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Depth {
    /// One spectrum, its fits, and tabulated nulls: what a monitor runs at each observation.
    Live,
    /// All of that, and the layer's [doubt](Full): bootstraps of the tail, likelihood
    /// ratios, and reruns of the permuted and the equalised matrix. Costs about ten times as much.
    #[default]
    Full,
}

/// How to analyse.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Config {
    /// How eigenvalues are found.
    pub solver: Solver,
    /// Whether each kernel position of a convolution is analysed as well (the workshop paper's
    /// convention and WeightWatcher's need them).
    pub slices: bool,
    /// How deep to look.
    #[serde(default)]
    pub depth: Depth,
    /// Seed of the bootstraps and permutations; the same seed gives the same numbers.
    #[serde(default)]
    pub seed: u64,
    /// How many top singular vectors [`Depth::Full`] examines; none by default.
    #[serde(default)]
    pub vectors: usize,
    /// Replicates of each bootstrap.
    #[serde(default = "replicates")]
    pub replicates: usize,
}

fn replicates() -> usize {
    REPLICATES
}

impl Default for Config {
    fn default() -> Self {
        Self {
            solver: Solver::Gram,
            slices: true,
            depth: Depth::Full,
            seed: 0,
            vectors: 0,
            replicates: REPLICATES,
        }
    }
}

impl Config {
    /// The default, at [`Depth::Live`].
    pub fn live() -> Self {
        Self {
            depth: Depth::Live,
            ..Self::default()
        }
    }
}

/// What one matrix, or one pooled spectrum, says.
#[derive(Debug, Clone)]
pub struct CutReport {
    /// Eigenvalues of X = WᵀW/N.
    pub spectrum: Spectrum,
    /// Norms, ranks, entropy.
    pub metrics: Metrics,
    /// The power-law tail.
    pub tail: Result<TailFit, NoFit>,
}

impl CutReport {
    fn of(spectrum: Spectrum) -> Self {
        Self {
            metrics: Metrics::of(&spectrum),
            tail: fit_tail(spectrum.eigenvalues()),
            spectrum,
        }
    }

    /// How the matrix was cut from its tensor.
    pub fn cut(&self) -> Cut {
        self.spectrum.cut()
    }
}

/// What one layer says.
#[derive(Debug, Clone)]
pub struct LayerReport {
    /// Name of the layer.
    pub layer: String,
    /// Shape of its tensor.
    pub tensor_shape: Vec<usize>,
    /// The matrix that stands for the layer.
    pub row: CutReport,
    /// The Marchenko–Pastur bulk.
    pub bulk: Result<BulkFit, NoFit>,
    /// The fitted tail against an exponential.
    pub likelihood_ratio: Option<LikelihoodRatio>,
    /// α of pure noise of the same N and M.
    pub noise_alpha: Option<NoiseAlpha>,
    /// Hill's α over the upper half.
    pub hill_alpha: Option<f64>,
    /// The phase and its evidence.
    pub phase: Result<Verdict, Unclassifiable>,
    /// What [`Depth::Full`] adds.
    pub full: Option<Full>,
    /// Convolutions: each kernel position.
    pub slices: Vec<CutReport>,
    /// Convolutions: the eigenvalues of all slices together.
    pub pooled: Option<CutReport>,
    /// Wall time of the analysis.
    pub seconds: f64,
}

/// Analyse one matrix.
///
/// ```
/// use heavytail::{Config, WeightMatrix, analyze};
///
/// let weights: Vec<f32> = (0..60 * 20).map(|i| ((i * 7919) % 101) as f32 - 50.0).collect();
/// let layer = analyze(&WeightMatrix::new("fc1", 60, 20, weights)?, &Config::default())?;
/// println!("{layer}");
/// match &layer.row.tail {
///     Ok(tail) => println!("α = {:.2} ± {:.2}", tail.alpha, tail.sigma),
///     Err(why) => println!("no α: {why}"),
/// }
/// # Ok::<(), heavytail::Error>(())
/// ```
///
/// # Errors
///
/// If the weights are not finite or the eigensolver fails. A *fit* that fails is not an error: its
/// reason is in the report.
pub fn analyze(matrix: &WeightMatrix, config: &Config) -> Result<LayerReport> {
    let cuts = Cuts {
        row: matrix.clone(),
        slices: Vec::new(),
    };
    analyze_cuts(&cuts, config, None)
}

/// Analyse one layer, slices included; `baseline` is what its initial weights were.
///
/// # Errors
///
/// As [`analyze`], and if the tensor cannot be cut into matrices.
pub fn analyze_tensor(
    tensor: &LayerTensor,
    config: &Config,
    baseline: Option<&Baseline>,
) -> Result<LayerReport> {
    analyze_cuts(&tensor.cut()?, config, baseline)
}

/// Analyse the matrices of one layer; `baseline` is what its initial weights were.
///
/// # Errors
///
/// As [`analyze`].
pub fn analyze_cuts(
    cuts: &Cuts,
    config: &Config,
    baseline: Option<&Baseline>,
) -> Result<LayerReport> {
    let start = Instant::now();
    let spectrum = Spectrum::of(&cuts.row, config.solver)?;
    let slices: Vec<&WeightMatrix> = match config.slices {
        true => cuts.slices.iter().collect(),
        false => Vec::new(),
    };
    let slices: Vec<Spectrum> = each(slices, |slice| Spectrum::of(slice, config.solver))
        .into_iter()
        .collect::<Result<_>>()?;

    let row = CutReport::of(spectrum);
    let eigenvalues = row.spectrum.eigenvalues();
    let bulk = fit_bulk(&row.spectrum);
    let ratio = match &row.tail {
        Ok(tail) => against_exponential(eigenvalues, tail),
        Err(_) => None,
    };
    let phase = classify(&row.spectrum, &bulk, &row.tail, ratio.as_ref(), baseline);
    let mut report = LayerReport {
        layer: cuts.row.name().to_owned(),
        tensor_shape: cuts.row.tensor_shape().to_vec(),
        hill_alpha: hill_alpha(eigenvalues),
        row,
        bulk,
        likelihood_ratio: ratio,
        noise_alpha: noise_alpha(cuts.row.n(), cuts.row.m()),
        full: None,
        phase,
        pooled: Spectrum::pooled(&slices).map(CutReport::of),
        slices: each(slices, CutReport::of),
        seconds: 0.0,
    };
    if config.depth == Depth::Full {
        report.deepen(&cuts.row, config)?;
    }
    report.seconds = start.elapsed().as_secs_f64();
    Ok(report)
}

/// In order; at once where the caller runs in a pool of its own. Never in rayon's global pool: a training
/// computes there.
fn each<T: Send, R: Send>(items: Vec<T>, work: impl Fn(T) -> R + Send + Sync) -> Vec<R> {
    match rayon::current_thread_index() {
        Some(_) => items.into_par_iter().map(work).collect(),
        None => items.into_iter().map(work).collect(),
    }
}
