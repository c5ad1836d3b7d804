//! The summary of the whole model at one observation: means over the layers.

use serde::{Deserialize, Serialize};

use crate::matrix::Cut;

use super::layer::positive;
use super::{CutRecord, Record, Stamp, Values};

/// The whole model at one observation. A mean covers only the layers that have the number.
/// `num_layers`, `without_alpha` and `alpha_hat_paper_left_out` tell which layers those are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Summary {
    /// Name of the run.
    pub run: String,
    /// The observation.
    #[serde(flatten)]
    pub stamp: Stamp,
    /// Number of layers analysed.
    pub num_layers: usize,
    /// Names of the layers without an α.
    pub without_alpha: Vec<String>,
    /// Mean of the layers' α.
    pub alpha: Option<f64>,
    /// WeightWatcher's α̂: mean of α·log₁₀ λmax, of WᵀW. A convolution enters with the pooled
    /// eigenvalues of its slices, multiplied by that tool's factor ½.
    pub alpha_weighted: Option<f64>,
    /// The workshop paper's α̂ = (1/N_L) Σ α·ln λmax, of X. A convolution enters with the sum over
    /// its slices. Matrices with M < 50 are left out.
    pub alpha_hat_paper: Option<f64>,
    /// The sum of the paper's draft: Σ α·ln λmax, without 1/N_L.
    pub alpha_hat_paper_sum: Option<f64>,
    /// Number N_L of layers in `alpha_hat_paper`.
    pub alpha_hat_paper_layers: usize,
    /// Names of the layers that `alpha_hat_paper` leaves out, wholly or in part.
    pub alpha_hat_paper_left_out: Vec<String>,
    /// Mean of log₁₀‖W‖²_F.
    pub log_norm: Option<f64>,
    /// Mean of log₁₀ λmax, of WᵀW.
    pub log_spectral_norm: Option<f64>,
    /// Mean of log₁₀ Σλ^α, of WᵀW.
    pub log_alpha_norm: Option<f64>,
    /// Mean stable rank.
    pub stable_rank: Option<f64>,
    /// Mean soft rank λ₊/λmax.
    pub mp_softrank: Option<f64>,
    /// Mean spectral entropy.
    pub entropy: Option<f64>,
    /// Log product norm of the spectral norm, eq. 5 of the workshop paper: mean of ln‖W‖₂.
    pub log_product_norm_spectral: Option<f64>,
    /// Log product norm of the Frobenius norm: mean of ln‖W‖_F.
    pub log_product_norm_frobenius: Option<f64>,
    /// Time at which the observation was written, in seconds since 1970. None in a log of format 2,
    /// and for an analysed file.
    #[serde(default)]
    pub unix_time: Option<f64>,
    /// Wall time to copy the weights, on the training thread, in seconds.
    pub seconds_snapshot: f64,
    /// Wall time of the analysis, on the worker thread, in seconds.
    pub seconds_analysis: f64,
}

/// Matrices with a smaller M do not enter the workshop paper's α̂.
const PAPER_MIN_M: usize = 50;

/// Whether the layer is a convolution whose slices were not analysed. Such a layer has no number in
/// conventions that need the slices.
fn without_slices(values: &Values) -> bool {
    values.slices.is_empty() && values.cut == Cut::Unfolding
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0usize), |(s, n), v| (s + v, n + 1));
    (count > 0).then(|| sum / count as f64)
}

impl Summary {
    /// Summarise the records of one observation.
    pub fn new(run: &str, stamp: Stamp, records: &[Record], seconds_snapshot: f64) -> Self {
        let values = || records.iter().filter_map(Record::values);
        let rows =
            |get: fn(&CutRecord) -> Option<f64>| mean(values().filter_map(|v| get(&v.primary)));

        let mut paper = Vec::new();
        let mut left_out = Vec::new();
        for record in records {
            let Some(v) = record.values() else {
                left_out.push(record.layer.clone());
                continue;
            };
            let cuts = if v.slices.is_empty() {
                std::slice::from_ref(&v.primary)
            } else {
                &v.slices[..]
            };
            let terms: Vec<f64> = cuts
                .iter()
                .filter(|c| c.m >= PAPER_MIN_M && !without_slices(v))
                .filter_map(|c| c.alpha_weighted_x)
                .collect();
            if terms.len() < cuts.len() {
                left_out.push(record.layer.clone());
            }
            if !terms.is_empty() {
                paper.push(terms.iter().sum::<f64>());
            }
        }
        let sum: f64 = paper.iter().sum();
        let weighted = |v: &Values| match &v.pooled {
            None if without_slices(v) => None,
            // WeightWatcher halves pooled eigenvalues.
            Some(pooled) => Some(pooled.alpha? * (pooled.lambda_max / 2.0).log10()),
            None => v.primary.alpha_weighted,
        };
        Self {
            run: run.to_owned(),
            stamp,
            num_layers: records.len(),
            without_alpha: records
                .iter()
                .filter(|r| r.alpha().is_none())
                .map(|r| r.layer.clone())
                .collect(),
            alpha: rows(|r| r.alpha),
            alpha_weighted: mean(values().filter_map(weighted)),
            alpha_hat_paper: (!paper.is_empty()).then(|| sum / paper.len() as f64),
            alpha_hat_paper_sum: (!paper.is_empty()).then_some(sum),
            alpha_hat_paper_layers: paper.len(),
            alpha_hat_paper_left_out: left_out,
            log_norm: rows(|r| r.log_norm),
            log_spectral_norm: rows(|r| r.log_spectral_norm),
            log_alpha_norm: rows(|r| r.log_alpha_norm),
            stable_rank: rows(|r| Some(r.stable_rank)),
            mp_softrank: mean(values().filter_map(|v| v.mp_softrank)),
            entropy: rows(|r| Some(r.entropy)),
            log_product_norm_spectral: rows(|r| positive(r.lambda_max, |x| 0.5 * x.ln())),
            log_product_norm_frobenius: rows(|r| positive(r.norm, |x| 0.5 * x.ln())),
            unix_time: None,
            seconds_snapshot,
            seconds_analysis: records.iter().map(|r| r.seconds_analysis).sum(),
        }
    }
}
