//! The whole pure pipeline: matrix → spectrum → metrics and fits → phase.

mod full;

use std::time::Instant;

use rayon::prelude::*;

use crate::config::{Config, Depth};
use crate::error::Result;
use crate::fit::{
    BulkFit, LikelihoodRatio, NoFit, NoiseAlpha, TailFit, against_exponential, fit_bulk, fit_tail,
    hill_alpha, noise_alpha,
};
use crate::matrix::{Cut, Cuts, LayerTensor, WeightMatrix};
use crate::measures::Metrics;
use crate::phase::{Baseline, Unclassifiable, Verdict, classify};
use crate::scratch::Scratch;
use crate::spectrum::Spectrum;
pub use full::FullAnalysis;
use full::Live;

/// What one matrix, or one pooled spectrum, says.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CutReport {
    /// Eigenvalues of X = WᵀW/N.
    pub spectrum: Spectrum,
    /// Norms, ranks, entropy.
    pub metrics: Metrics,
    /// The power-law tail.
    pub tail: Result<TailFit, NoFit>,
}

impl CutReport {
    fn new(spectrum: Spectrum) -> Self {
        Self {
            metrics: Metrics::new(&spectrum),
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
#[non_exhaustive]
pub struct LayerReport {
    /// Name of the layer.
    pub layer: String,
    /// Shape of its tensor.
    pub tensor_shape: Vec<usize>,
    /// The matrix that stands for the layer.
    pub primary: CutReport,
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
    pub full: Option<FullAnalysis>,
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
/// match &layer.primary.tail {
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
    Analyzer::new(config.clone()).analyze(matrix)
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
    Analyzer::new(config.clone()).analyze_tensor(tensor, baseline)
}

/// Analyses one matrix after another and keeps its large buffers between them.
///
/// The numbers are those of [`analyze`] to the last bit. An analyzer saves a loop over many matrices
/// the allocations: it holds at most four times its largest buffer. Threads may share it.
///
/// ```
/// use heavytail::{Analyzer, Config, WeightMatrix};
///
/// let analyzer = Analyzer::new(Config::live());
/// for seed in [7919, 7907] {
///     let weights: Vec<f32> = (0..60 * 20).map(|i| ((i * seed) % 101) as f32 - 50.0).collect();
///     let layer = analyzer.analyze(&WeightMatrix::new("fc1", 60, 20, weights)?)?;
///     println!("{layer}");
/// }
/// # Ok::<(), heavytail::Error>(())
/// ```
#[derive(Debug)]
pub struct Analyzer {
    config: Config,
    scratch: Scratch,
}

impl Analyzer {
    /// An analyzer for one thread.
    pub fn new(config: Config) -> Self {
        Self::with_threads(config, 1)
    }

    /// An analyzer that so many threads use at once.
    pub(crate) fn with_threads(config: Config, threads: usize) -> Self {
        Self {
            config,
            scratch: Scratch::new(threads),
        }
    }

    /// How it analyses.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Where its buffers come from.
    pub(crate) fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    /// Analyse one matrix.
    ///
    /// # Errors
    ///
    /// As [`analyze`].
    pub fn analyze(&self, matrix: &WeightMatrix) -> Result<LayerReport> {
        let cuts = Cuts {
            primary: matrix.clone_in(&self.scratch),
            slices: Vec::new(),
        };
        self.analyze_cuts(&cuts, None)
    }

    /// Analyse one layer, slices included; `baseline` is what its initial weights were.
    ///
    /// # Errors
    ///
    /// As [`analyze_tensor`].
    pub fn analyze_tensor(
        &self,
        tensor: &LayerTensor,
        baseline: Option<&Baseline>,
    ) -> Result<LayerReport> {
        self.analyze_cuts(&tensor.cut_in(&self.scratch)?, baseline)
    }

    /// Analyse the matrices of one layer; `baseline` is what its initial weights were.
    pub(crate) fn analyze_cuts(
        &self,
        cuts: &Cuts,
        baseline: Option<&Baseline>,
    ) -> Result<LayerReport> {
        analyze_cuts(cuts, &self.config, baseline)
    }
}

/// The pipeline.
fn analyze_cuts(cuts: &Cuts, config: &Config, baseline: Option<&Baseline>) -> Result<LayerReport> {
    let start = Instant::now();
    let spectrum = Spectrum::from_matrix(&cuts.primary, config.solver)?;
    let slices: Vec<&WeightMatrix> = match config.slices {
        true => cuts.slices.iter().collect(),
        false => Vec::new(),
    };
    let slices: Vec<Spectrum> = each(slices, |slice| Spectrum::from_matrix(slice, config.solver))
        .into_iter()
        .collect::<Result<_>>()?;

    let primary = CutReport::new(spectrum);
    let eigenvalues = primary.spectrum.eigenvalues();
    let bulk = fit_bulk(&primary.spectrum);
    let ratio = match &primary.tail {
        Ok(tail) => against_exponential(eigenvalues, tail),
        Err(_) => None,
    };
    let phase = classify(
        &primary.spectrum,
        &bulk,
        &primary.tail,
        ratio.as_ref(),
        baseline,
    );
    let mut report = LayerReport {
        layer: cuts.primary.name().to_owned(),
        tensor_shape: cuts.primary.tensor_shape().to_vec(),
        hill_alpha: hill_alpha(eigenvalues),
        primary,
        bulk,
        likelihood_ratio: ratio,
        noise_alpha: noise_alpha(cuts.primary.n(), cuts.primary.m()),
        full: None,
        phase,
        pooled: Spectrum::pooled(&slices).map(CutReport::new),
        slices: each(slices, CutReport::new),
        seconds: 0.0,
    };
    if config.depth == Depth::Full {
        report.deepen(&cuts.primary, config)?;
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
    pub fn deepen(&mut self, matrix: &WeightMatrix, config: &Config) -> Result<FullAnalysis> {
        let live = Live {
            spectrum: &self.primary.spectrum,
            tail: self.primary.tail.as_ref().ok(),
            bulk: self.bulk.as_ref().ok(),
            verdict: self.phase.as_ref().ok(),
        };
        let full = FullAnalysis::new(matrix, live, config)?;
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
