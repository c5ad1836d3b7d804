//! What a full analysis adds to a live one: how much of it to believe.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::analysis::{Config, LayerReport};
use crate::beyond::{Erg, FarmsConfig, FarmsFit, VectorStats, erg, farms_alpha, top_vectors};
use crate::error::Result;
use crate::matrix::WeightMatrix;
use crate::phase::{Annotation, Reruns};

/// The doubt beside a layer's numbers. Dear: about a dozen spectra and some hundred
/// refits of the tail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Full {
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
        // A layer too small for a measure has none.
        let farms = farms_alpha(matrix, &FarmsConfig::default(), config.solver).ok();
        let erg = erg(&report.row.spectrum, report.row.tail.as_ref().ok()).ok();
        let vectors = if config.vectors > 0 {
            top_vectors(matrix, config.vectors)?
        } else {
            Vec::new()
        };
        Ok(Self {
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
    /// Add the full analysis to a live one of the same matrix.
    ///
    /// # Errors
    ///
    /// As [`Full::of`].
    pub fn deepen(&mut self, matrix: &WeightMatrix, config: &Config) -> Result<()> {
        let full = Full::of(matrix, self, config)?;
        if let Ok(verdict) = &mut self.phase {
            verdict.annotate(&full.annotations);
        }
        self.full = Some(full);
        Ok(())
    }
}
