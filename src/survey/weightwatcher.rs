//! Fills a record's columns with WeightWatcher's conventions (version 0.7.7), for comparison with
//! the values of that tool.

use crate::analysis::{CutReport, LayerReport};
use crate::fit::{TailFit, against_exponential, fit_tail, hill_alpha};
use crate::measures::Metrics;
use crate::phase::Unclassifiable;
use crate::record::{CutRecord, Record, Values, Warning};
use crate::spectrum::Spectrum;

/// WeightWatcher's absolute lower limit of eigenvalues for the power-law fit, in the scale of WᵀW.
const MIN_EIGENVALUE: f64 = 1e-5;

/// Puts the values in WeightWatcher's conventions into a record's columns.
///
/// All values of the record then describe one matrix. For a dense layer this is the whole matrix.
/// For a convolution it is the pooled spectrum of its slices. heavytail computes some values for
/// the unfolding only: bulk, phase, α of noise, full analysis. These values do not exist for the
/// slices and become null.
pub(super) fn apply_conventions(record: &mut Record, report: &LayerReport) {
    let Some(values) = record.values_mut() else {
        return;
    };
    // A convolution counts by the pooled spectrum of its slices, with each eigenvalue multiplied by
    // ½.
    let (spectrum, factor) = match &report.pooled {
        Some(pooled) => (&pooled.spectrum, 0.5),
        None => (&report.primary.spectrum, 1.0),
    };
    let n = spectrum.n() as f64;
    let scaled = spectrum.eigenvalues().iter().map(|x| factor * x).collect();
    let Ok(in_x) = Spectrum::from_parts(scaled, spectrum.n(), spectrum.m(), spectrum.cut()) else {
        return;
    };
    let eigenvalues = spectrum.eigenvalues().iter();
    let evals: Vec<f64> = eigenvalues.map(|x| factor * n * x).collect();
    let largest = evals.last().copied().unwrap_or(0.0);
    let sum: f64 = evals.iter().sum();
    let log = |x: f64| (x > 0.0).then(|| x.log10());

    let kept: Vec<f64> = evals
        .iter()
        .copied()
        .filter(|x| *x > MIN_EIGENVALUE)
        .collect();
    let tail = fit_tail(&kept);
    let fit = tail.as_ref().ok();
    let rank = rank(&evals, n);
    let ours = CutRecord::new(&CutReport {
        metrics: Metrics::new(&in_x),
        tail: tail.clone().map(|t| TailFit {
            xmin: t.xmin / n,
            ..t
        }),
        spectrum: in_x,
    });
    values.primary = CutRecord {
        lambda_max: largest,
        norm: sum,
        log_norm: log(sum),
        log_spectral_norm: log(largest),
        xmin: fit.map(|t| t.xmin),
        xmax: fit.map(|_| largest),
        alpha_weighted: fit.map(|t| t.alpha * largest.log10()),
        log_alpha_norm: fit.and_then(|t| log(evals.iter().map(|x| x.powf(t.alpha)).sum())),
        stable_rank: if largest > 0.0 { sum / largest } else { 0.0 },
        matrix_rank: rank,
        rank_loss: evals.len() - rank,
        entropy: entropy(&evals, sum, rank),
        ..ours
    };
    values.q = n / spectrum.m() as f64;
    values.cut = spectrum.cut();
    values.hill_alpha = hill_alpha(&evals);
    let ratio = fit.and_then(|t| against_exponential(&kept, t));
    values.lr_exponential = ratio.map(|r| r.normalised);
    // WeightWatcher finds σ by a brute-force search over a kernel density. heavytail has no such
    // fit.
    values.num_spikes = None;
    values.sigma_mp = None;
    values.mp_softrank = None;
    values.warning = values.primary.alpha.and_then(Warning::new);
    if report.pooled.is_some() {
        clear_unfolding(values);
    }
    values.update_doubts();
}

/// Removes the values that describe the unfolding of a convolution.
fn clear_unfolding(values: &mut Values) {
    values.noise_alpha_low = None;
    values.noise_alpha = None;
    values.noise_alpha_high = None;
    values.bulk_min_x = None;
    values.bulk_max_x = None;
    values.bulk_edge_x = None;
    values.bulk_d = None;
    values.bulk_d95 = None;
    values.bulk_d_p = None;
    values.bulk_reason = None;
    values.lambda_max_p = None;
    values.outliers.clear();
    values.num_null = None;
    values.phase = None;
    values.phase_confidence = None;
    values.phase_probabilities = None;
    values.indeterminate = None;
    values.phase_evidence.clear();
    values.annotations.clear();
    values.phase_reason = Some(Unclassifiable::PooledSlices);
    values.full = None;
}

/// The number of singular values above sv_max·N·ε, where ε is the rounding unit of f64.
fn rank(evals: &[f64], n: f64) -> usize {
    let largest = evals.last().copied().unwrap_or(0.0).sqrt();
    let floor = largest * n * f64::EPSILON;
    evals.iter().filter(|x| x.sqrt() > floor).count()
}

/// The entropy −Σp·ln p / ln(rank), p = λ/Σλ. WeightWatcher adds 1e-10 to each p and to the rank.
fn entropy(evals: &[f64], sum: f64, rank: usize) -> f64 {
    if sum <= 0.0 {
        return 0.0;
    }
    let terms = evals.iter().map(|x| x / sum + 1e-10);
    let total: f64 = terms.map(|p| -p * p.ln()).sum();
    total / (rank as f64 + 1e-10).ln()
}
