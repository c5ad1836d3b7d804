//! The full analysis of a matrix: uncertainty of the fits, controls and further measures.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::controls::Controls;
use crate::error::Result;
use crate::fit::{
    AlphaInterval, BulkFit, Comparison, GoodnessOfFit, TailFit, alpha_interval, compare,
    goodness_of_fit,
};
use crate::matrix::WeightMatrix;
use crate::measures::{Erg, FarmsConfig, FarmsFit, VectorStats, erg, farms_alpha, top_vectors};
use crate::phase::{Annotation, Verdict};
use crate::spectrum::Spectrum;

/// With fewer replicates, no p-value of a bootstrap can reach 5 %.
const MIN_REPLICATES: usize = 19;

/// How certain the numbers of a layer are, and further measures of the layer.
///
/// For a 2450×500 layer a full analysis costs about as much as ten live analyses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FullAnalysis {
    /// 90 % interval of α. The search for xmin is part of every replicate. `None` without a tail,
    /// or with fewer than 19 replicates.
    pub alpha_interval: Option<AlphaInterval>,
    /// Whether the tail could be a power law. `None` under the same conditions as `alpha_interval`.
    pub goodness_of_fit: Option<GoodnessOfFit>,
    /// The power law compared with the exponential, the lognormal and the truncated power law.
    /// `None` without a tail, or if the tail has fewer than two distinct values.
    pub comparison: Option<Comparison>,
    /// Analyses of the same entries in other arrangements.
    #[serde(rename = "reruns")]
    pub controls: Controls,
    /// FARMS α, which is comparable between layers of different shape. `None` if the layer is too
    /// small or half of the eigenvalues in its windows are zero.
    pub farms: Option<FarmsFit>,
    /// The ERG (determinant) condition of the tail. `None` if the eigenvalues are all zero or all
    /// equal.
    pub erg: Option<Erg>,
    /// Statistics of the vectors of the [`Config::vectors`] largest singular values.
    pub vectors: Vec<VectorStats>,
    /// What the controls reveal about the phase. The verdict of the layer's report repeats them.
    pub annotations: Vec<Annotation>,
    /// Wall time of the full analysis, in seconds.
    pub seconds: f64,
}

/// The results of the live analysis that the full analysis builds on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LiveResults<'a> {
    pub spectrum: &'a Spectrum,
    pub tail: Option<&'a TailFit>,
    pub bulk: Option<&'a BulkFit>,
    pub verdict: Option<&'a Verdict>,
}

impl FullAnalysis {
    /// The full analysis of a matrix whose live analysis is known.
    ///
    /// # Errors
    ///
    /// Fails if the eigensolver fails on one of the controls.
    pub(crate) fn new(
        matrix: &WeightMatrix,
        live: LiveResults<'_>,
        config: &Config,
    ) -> Result<Self> {
        let start = Instant::now();
        let LiveResults { spectrum, tail, .. } = live;
        let x = spectrum.eigenvalues();
        // Without a tail there is nothing to resample.
        let alpha_interval = tail
            .filter(|_| config.replicates >= MIN_REPLICATES)
            .and_then(|_| alpha_interval(x, config.replicates, config.seed).ok());
        let goodness_of_fit = tail
            .filter(|_| config.replicates >= MIN_REPLICATES)
            .and_then(|_| goodness_of_fit(x, config.replicates, config.seed).ok());
        let controls = Controls::new(matrix, config.solver, config.seed)?;
        let annotations = match (live.verdict, live.bulk) {
            (Some(verdict), Some(bulk)) => {
                controls.annotations(verdict.phase, bulk, spectrum.lambda_max())
            }
            _ => Vec::new(),
        };
        // A layer that is too small or all zero has no FARMS α and no ERG condition.
        let farms = farms_alpha(matrix, &FarmsConfig::default(), config.solver).ok();
        let erg = erg(spectrum, tail).ok();
        let vectors = if config.vectors > 0 {
            top_vectors(matrix, config.vectors).unwrap_or_default()
        } else {
            Vec::new()
        };
        Ok(Self {
            alpha_interval,
            goodness_of_fit,
            comparison: tail.and_then(|t| compare(x, t)),
            controls,
            farms,
            erg,
            vectors,
            annotations,
            seconds: start.elapsed().as_secs_f64(),
        })
    }
}
