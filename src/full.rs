//! What a full analysis adds to a live one: how much of it to believe.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::analysis::{Config, LayerReport};
use crate::beyond::{Erg, FarmsConfig, FarmsFit, VectorStats, erg, farms_alpha, top_vectors};
use crate::error::Result;
use crate::fit::{
    AlphaInterval, Comparison, GoodnessOfFit, alpha_interval, compare, goodness_of_fit,
};
use crate::matrix::WeightMatrix;
use crate::phase::{Annotation, Reruns};

/// Below so many replicates a bootstrap's p cannot fall under 5 %.
const FEWEST: usize = 19;

/// The doubt beside a layer's numbers. Dear: for a 2450×500 layer about ten
/// live analyses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Full {
    /// 90 % interval of α, the search for xmin included.
    pub alpha_interval: Option<AlphaInterval>,
    /// Whether the tail could be a power law.
    pub goodness_of_fit: Option<GoodnessOfFit>,
    /// The power law against its rivals.
    pub comparison: Option<Comparison>,
    /// The same entries in another arrangement.
    pub reruns: Reruns,
    /// FARMS α: comparable between layers of different shape.
    pub farms: Option<FarmsFit>,
    /// The determinant (ERG) condition of the tail.
    pub erg: Option<Erg>,
    /// The top singular vectors, as many as [`Config::vectors`] asks for.
    pub vectors: Vec<VectorStats>,
    /// What the reruns say about the phase. A report's verdict holds them too.
    pub annotations: Vec<Annotation>,
    /// Wall time.
    pub seconds: f64,
}

impl Full {
    /// The doubt about a report on this matrix.
    ///
    /// # Errors
    ///
    /// If the eigensolver fails on a rearranged matrix.
    pub fn of(matrix: &WeightMatrix, report: &LayerReport, config: &Config) -> Result<Self> {
        let start = Instant::now();
        let x = report.row.spectrum.eigenvalues();
        let tail = report.row.tail.as_ref().ok();
        // Without a tail there is no doubt about it.
        let alpha_interval = tail
            .filter(|_| config.replicates >= FEWEST)
            .and_then(|_| alpha_interval(x, config.replicates, config.seed).ok());
        let goodness_of_fit = tail
            .filter(|_| config.replicates >= FEWEST)
            .and_then(|_| goodness_of_fit(x, config.replicates, config.seed).ok());
        let reruns = Reruns::of(matrix, config.solver, config.seed)?;
        let annotations = match (&report.phase, &report.bulk) {
            (Ok(verdict), Ok(bulk)) => reruns.annotations(
                verdict,
                bulk.num_spikes,
                report.row.spectrum.lambda_max(),
                bulk.edge_scale,
            ),
            _ => Vec::new(),
        };
        // A layer that is too small or all zero has no such measure.
        let farms = farms_alpha(matrix, &FarmsConfig::default(), config.solver).ok();
        let erg = erg(&report.row.spectrum, tail).ok();
        let vectors = if config.vectors > 0 {
            top_vectors(matrix, config.vectors).unwrap_or_default()
        } else {
            Vec::new()
        };
        Ok(Self {
            alpha_interval,
            goodness_of_fit,
            comparison: tail.and_then(|t| compare(x, t)),
            reruns,
            farms,
            erg,
            vectors,
            annotations,
            seconds: start.elapsed().as_secs_f64(),
        })
    }
}

impl LayerReport {
    /// Add the full analysis to a live one of the same matrix, and return what was added.
    ///
    /// # Errors
    ///
    /// As [`Full::of`].
    pub fn deepen(&mut self, matrix: &WeightMatrix, config: &Config) -> Result<Full> {
        let full = Full::of(matrix, self, config)?;
        if let Ok(verdict) = &mut self.phase {
            verdict.annotate(&full.annotations);
        }
        self.full = Some(full.clone());
        Ok(full)
    }
}
