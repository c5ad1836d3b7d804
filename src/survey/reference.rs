//! WeightWatcher's columns in that tool's conventions (version 0.7.7), for comparison with its numbers.

use crate::analysis::LayerReport;
use crate::fit::fit_tail;
use crate::matrix::Cut;
use crate::record::{Record, Warning};

/// The reference's absolute cut of eigenvalues before the fit.
const CUT: f64 = 1e-5;

/// Put the reference's numbers into a row's columns.
pub(super) fn conform(record: &mut Record, report: &LayerReport) {
    let Some(values) = record.values_mut() else {
        return;
    };
    // A convolution counts by its slices together, each eigenvalue halved.
    let (spectrum, factor) = match &report.pooled {
        Some(pooled) => (&pooled.spectrum, 0.5),
        None => (&report.row.spectrum, 1.0),
    };
    let n = spectrum.n() as f64;
    let evals: Vec<f64> = spectrum
        .eigenvalues()
        .iter()
        .map(|x| factor * n * x)
        .collect();
    let largest = evals.last().copied().unwrap_or(0.0);
    let sum: f64 = evals.iter().sum();
    let log = |x: f64| (x > 0.0).then(|| x.log10());

    let kept: Vec<f64> = evals.iter().copied().filter(|x| *x > CUT).collect();
    let tail = fit_tail(&kept);
    let rank = rank(&evals, n);
    let row = &mut values.row;
    (row.n, row.m, row.num_evals) = (spectrum.n(), spectrum.m(), evals.len());
    (row.lambda_max, row.norm) = (largest, sum);
    (row.log_norm, row.log_spectral_norm) = (log(sum), log(largest));
    (row.matrix_rank, row.rank_loss) = (rank, evals.len() - rank);
    row.stable_rank = if largest > 0.0 { sum / largest } else { 0.0 };
    row.entropy = entropy(&evals, sum, rank);
    let fit = tail.as_ref().ok();
    row.alpha = fit.map(|t| t.alpha);
    row.d = fit.map(|t| t.d);
    row.sigma = fit.map(|t| t.sigma);
    row.xmin = fit.map(|t| t.xmin);
    row.xmax = fit.map(|_| largest);
    row.num_pl_spikes = fit.map(|t| t.n_tail);
    row.num_fitted = fit.map(|t| t.n);
    row.alpha_weighted = fit.map(|t| t.alpha * largest.log10());
    row.log_alpha_norm = fit.and_then(|t| log(evals.iter().map(|x| x.powf(t.alpha)).sum()));
    row.alpha_reason = tail.as_ref().err().cloned();
    values.q = n / spectrum.m() as f64;
    if report.pooled.is_some() {
        values.cut = Cut::Pooled;
    }
    // Its Marchenko–Pastur fit is a brute-force search over a kernel density; ours is not that.
    values.num_spikes = None;
    values.sigma_mp = None;
    values.mp_softrank = None;
    values.warning = row.alpha.and_then(Warning::new);
    values.judge();
}

/// Singular values above the largest times N times the f64 rounding unit.
fn rank(evals: &[f64], n: f64) -> usize {
    let largest = evals.last().copied().unwrap_or(0.0).sqrt();
    let floor = largest * n * f64::EPSILON;
    evals.iter().filter(|x| x.sqrt() > floor).count()
}

fn entropy(evals: &[f64], sum: f64, rank: usize) -> f64 {
    if sum <= 0.0 {
        return 0.0;
    }
    let terms = evals.iter().map(|x| x / sum + 1e-10);
    let total: f64 = terms.map(|p| -p * p.ln()).sum();
    total / (rank as f64 + 1e-10).ln()
}
