//! What a full analysis adds to a live one: how much of it to believe.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::analysis::{Config, LayerReport};
use crate::error::Result;
use crate::matrix::WeightMatrix;
use crate::phase::{Annotation, Reruns};

/// The doubt beside a layer's numbers. Dear: about six spectra and some hundred refits of the tail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Full {
    /// The same entries in another arrangement.
    pub reruns: Reruns,
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
        Ok(Self {
            reruns,
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
