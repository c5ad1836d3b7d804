//! The analysis of one layer: matrix → spectrum → metrics and fits → phase.

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
use full::LiveResults;

/// Results for one matrix or one pooled spectrum.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CutReport {
    /// Eigenvalues of X = WᵀW/N.
    pub spectrum: Spectrum,
    /// Norms, ranks and entropy.
    pub metrics: Metrics,
    /// The fitted power-law tail, or why there is none.
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

/// Results for one layer.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LayerReport {
    /// Name of the layer.
    pub layer: String,
    /// Shape of its weight tensor.
    pub tensor_shape: Vec<usize>,
    /// Results for the whole matrix or, for a convolution, for its unfolding.
    pub primary: CutReport,
    /// The fitted Marchenko–Pastur bulk, or why there is none.
    pub bulk: Result<BulkFit, NoFit>,
    /// The fitted tail compared with an exponential. `None` without a tail, or if the tail has
    /// fewer than two distinct values.
    pub likelihood_ratio: Option<LikelihoodRatio>,
    /// α of pure noise of the same N and M. `None` if M is below the simulated range.
    pub noise_alpha: Option<NoiseAlpha>,
    /// Hill's α of the larger half of the eigenvalues. `None` if half of all eigenvalues are zero
    /// or the larger half are equal.
    pub hill_alpha: Option<f64>,
    /// The phase with its evidence, or why there is none.
    pub phase: Result<Verdict, Unclassifiable>,
    /// The results that [`Depth::Full`] adds. `None` after a live analysis.
    pub full: Option<FullAnalysis>,
    /// Results for each kernel position of a convolution. Empty for other layers and without
    /// [`Config::slices`].
    pub slices: Vec<CutReport>,
    /// Results for the eigenvalues of all slices together. `None` without slices.
    pub pooled: Option<CutReport>,
    /// Wall time of the analysis, in seconds.
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
/// Fails if the weights are not finite or the eigensolver fails. A *fit* that fails is not an
/// error: the report contains its reason.
pub fn analyze(matrix: &WeightMatrix, config: &Config) -> Result<LayerReport> {
    Analyzer::new(config.clone()).analyze(matrix)
}

/// Analyse one layer and its slices. `baseline` describes its weights before training.
///
/// # Errors
///
/// Returns the errors of [`analyze`], and an error if the tensor cannot be cut into matrices.
pub fn analyze_tensor(
    tensor: &LayerTensor,
    config: &Config,
    baseline: Option<&Baseline>,
) -> Result<LayerReport> {
    Analyzer::new(config.clone()).analyze_tensor(tensor, baseline)
}

/// Analyses one matrix after another and reuses its large buffers.
///
/// The results are those of [`analyze`] to the last bit. An analyzer avoids allocations in a loop
/// over many matrices. It keeps at most four times its largest buffer. Several threads may share
/// it.
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

    /// An analyzer that `threads` threads use at once.
    pub(crate) fn with_threads(config: Config, threads: usize) -> Self {
        Self {
            config,
            scratch: Scratch::new(threads),
        }
    }

    /// The options of its analyses.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The pool from which its buffers come.
    pub(crate) fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    /// Analyse one matrix.
    ///
    /// # Errors
    ///
    /// Returns the errors of the function [`analyze`].
    pub fn analyze(&self, matrix: &WeightMatrix) -> Result<LayerReport> {
        let cuts = Cuts {
            primary: matrix.clone_in(&self.scratch),
            slices: Vec::new(),
        };
        self.analyze_cuts(&cuts, None)
    }

    /// Analyse one layer and its slices. `baseline` describes its weights before training.
    ///
    /// # Errors
    ///
    /// Returns the errors of the function [`analyze_tensor`].
    pub fn analyze_tensor(
        &self,
        tensor: &LayerTensor,
        baseline: Option<&Baseline>,
    ) -> Result<LayerReport> {
        self.analyze_cuts(&tensor.cut_in(&self.scratch)?, baseline)
    }

    /// Analyse the matrices of one layer. `baseline` describes its weights before training.
    pub(crate) fn analyze_cuts(
        &self,
        cuts: &Cuts,
        baseline: Option<&Baseline>,
    ) -> Result<LayerReport> {
        analyze_cuts(cuts, &self.config, baseline)
    }
}

/// Analyse the matrices of one layer, with buffers from the scratch of the matrices.
fn analyze_cuts(cuts: &Cuts, config: &Config, baseline: Option<&Baseline>) -> Result<LayerReport> {
    let start = Instant::now();
    let spectrum = Spectrum::from_matrix(&cuts.primary, config.solver)?;
    let slices: Vec<&WeightMatrix> = match config.slices {
        true => cuts.slices.iter().collect(),
        false => Vec::new(),
    };
    let slices: Vec<Spectrum> =
        map_in_order(slices, |slice| Spectrum::from_matrix(slice, config.solver))
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
        slices: map_in_order(slices, CutReport::new),
        seconds: 0.0,
    };
    if config.depth == Depth::Full {
        report.add_full_analysis(&cuts.primary, config)?;
    }
    report.seconds = start.elapsed().as_secs_f64();
    Ok(report)
}

impl LayerReport {
    /// Add the full analysis to the report of a live one, and return it. `matrix` must be the
    /// matrix of that report.
    ///
    /// # Errors
    ///
    /// Fails if the eigensolver fails on one of the controls.
    pub fn add_full_analysis(
        &mut self,
        matrix: &WeightMatrix,
        config: &Config,
    ) -> Result<FullAnalysis> {
        let live = LiveResults {
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

/// Apply `work` to every item, with results in the order of the items.
///
/// They run in parallel if the caller runs in its own rayon pool, else one after another. They
/// never run in rayon's global pool, because the training uses it.
fn map_in_order<T: Send, R: Send>(items: Vec<T>, work: impl Fn(T) -> R + Send + Sync) -> Vec<R> {
    match rayon::current_thread_index() {
        Some(_) => items.into_par_iter().map(work).collect(),
        None => items.into_iter().map(work).collect(),
    }
}
