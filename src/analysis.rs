//! The whole pure pipeline: matrix → spectrum → metrics and fits → phase.

use std::time::Instant;

use rayon::prelude::*;

use crate::config::{Config, Depth};
use crate::error::Result;
use crate::fit::{
    BulkFit, LikelihoodRatio, NoFit, NoiseAlpha, TailFit, against_exponential, fit_bulk, fit_tail,
    hill_alpha, noise_alpha,
};
use crate::full::{Full, Live};
use crate::matrix::{Cut, Cuts, LayerTensor, WeightMatrix};
use crate::metrics::Metrics;
use crate::phase::{Baseline, Unclassifiable, Verdict, classify};
use crate::spectrum::Spectrum;

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

impl LayerReport {
    /// Add the full analysis to a live one of the same matrix, and return what was added.
    ///
    /// # Errors
    ///
    /// If the eigensolver fails on a control of the matrix.
    pub fn deepen(&mut self, matrix: &WeightMatrix, config: &Config) -> Result<Full> {
        let live = Live {
            spectrum: &self.row.spectrum,
            tail: self.row.tail.as_ref().ok(),
            bulk: self.bulk.as_ref().ok(),
            verdict: self.phase.as_ref().ok(),
        };
        let full = Full::of(matrix, live, config)?;
        if let Ok(verdict) = &mut self.phase {
            verdict.annotate(&full.annotations);
        }
        self.full = Some(full.clone());
        Ok(full)
    }
}

/// In order; at once where the caller runs in a pool of its own. Never in rayon's global pool: a training
/// computes there.
fn each<T: Send, R: Send>(items: Vec<T>, work: impl Fn(T) -> R + Send + Sync) -> Vec<R> {
    match rayon::current_thread_index() {
        Some(_) => items.into_par_iter().map(work).collect(),
        None => items.into_iter().map(work).collect(),
    }
}
