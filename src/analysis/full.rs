//! What a full analysis adds to a live one: how much of it to believe.

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

/// Below so many replicates a bootstrap's p cannot fall under 5 %.
const FEWEST: usize = 19;

/// The doubt beside a layer's numbers. Dear: for a 2450×500 layer about ten
/// live analyses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FullAnalysis {
    /// 90 % interval of α, the search for xmin included.
    pub alpha_interval: Option<AlphaInterval>,
    /// Whether the tail could be a power law.
    pub goodness_of_fit: Option<GoodnessOfFit>,
    /// The power law against its rivals.
    pub comparison: Option<Comparison>,
    /// The same entries in another arrangement.
    #[serde(rename = "reruns")]
    pub controls: Controls,
    /// FARMS α: comparable between layers of different shape.
    pub farms: Option<FarmsFit>,
    /// The determinant (ERG) condition of the tail.
    pub erg: Option<Erg>,
    /// The top singular vectors, as many as [`Config::vectors`] asks for.
    pub vectors: Vec<VectorStats>,
    /// What the controls say about the phase. A report's verdict holds them too.
    pub annotations: Vec<Annotation>,
    /// Wall time.
    pub seconds: f64,
}

/// What is known of a matrix before its full analysis.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Live<'a> {
    pub spectrum: &'a Spectrum,
    pub tail: Option<&'a TailFit>,
    pub bulk: Option<&'a BulkFit>,
    pub verdict: Option<&'a Verdict>,
}

impl FullAnalysis {
    /// The doubt about what is known of this matrix.
    ///
    /// # Errors
    ///
    /// If the eigensolver fails on a control.
    pub(crate) fn new(matrix: &WeightMatrix, live: Live<'_>, config: &Config) -> Result<Self> {
        let start = Instant::now();
        let Live { spectrum, tail, .. } = live;
        let x = spectrum.eigenvalues();
        // Without a tail there is no doubt about it.
        let alpha_interval = tail
            .filter(|_| config.replicates >= FEWEST)
            .and_then(|_| alpha_interval(x, config.replicates, config.seed).ok());
        let goodness_of_fit = tail
            .filter(|_| config.replicates >= FEWEST)
            .and_then(|_| goodness_of_fit(x, config.replicates, config.seed).ok());
        let controls = Controls::new(matrix, config.solver, config.seed)?;
        let annotations = match (live.verdict, live.bulk) {
            (Some(verdict), Some(bulk)) => {
                controls.annotations(verdict.phase, bulk, spectrum.lambda_max())
            }
            _ => Vec::new(),
        };
        // A layer that is too small or all zero has no such measure.
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
