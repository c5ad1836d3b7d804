//! Simulates the quantiles of α and M·D for pure noise.

use std::path::Path;

use anyhow::Result;
use heavytail::fit::{LEVELS, NoiseTable, fit_bulk, fit_tail};
use heavytail::spectrum::Spectrum;

use crate::ensembles::{rng, wishart_eigenvalues};
use crate::parallel::{parallel, quantile};

/// The values of M in the table.
const SIZES: [usize; 15] = [
    10, 14, 20, 30, 45, 64, 90, 128, 192, 256, 384, 512, 768, 1024, 2048,
];
/// The values of c = M/N in the table.
const SHAPES: [f64; 9] = [0.01, 0.04, 0.1, 0.2, 0.35, 0.5, 0.7, 0.85, 1.0];

/// The quantiles at [`LEVELS`].
type Quantiles = [f64; 7];

/// The number of simulated matrices for a cell of the table.
fn replicates(m: usize) -> usize {
    (400_000 / m).clamp(160, 2000)
}

pub fn write(path: &Path) -> Result<()> {
    // The most expensive cells come first, which keeps all cores busy until the end.
    let cells: Vec<(usize, f64)> = SIZES
        .iter()
        .rev()
        .flat_map(|&m| SHAPES.map(|c| (m, c)))
        .collect();
    let results = parallel(&cells, |i, &(m, c)| {
        let n = (m as f64 / c).round() as usize;
        let mut rng = rng(100, i as u64);
        let (mut alphas, mut distances) = (Vec::new(), Vec::new());
        for _ in 0..replicates(m) {
            let x = wishart_eigenvalues(n, m, &mut rng);
            let Ok(spectrum) = Spectrum::from_eigenvalues(x, n, m) else {
                continue;
            };
            if let Ok(tail) = fit_tail(spectrum.eigenvalues()) {
                alphas.push(tail.alpha);
            }
            if let Ok(bulk) = fit_bulk(&spectrum) {
                distances.push(bulk.d * m as f64);
            }
        }
        (quantiles(alphas), quantiles(distances))
    });
    let rows = |get: fn(&(Quantiles, Quantiles)) -> Quantiles| {
        let mut rows: Vec<Vec<Quantiles>> = results
            .chunks(SHAPES.len())
            .map(|row| row.iter().map(get).collect())
            .collect();
        rows.reverse();
        rows
    };
    let table = NoiseTable {
        provenance:
            "cargo run --release --example calibrate -- noise: quantiles over 195 (M = 2048) to \
                     2000 (M ≤ 200) Gaussian noise matrices a cell, by the bidiagonal model"
                .into(),
        m: SIZES.to_vec(),
        c: SHAPES.to_vec(),
        alpha: rows(|r| r.0),
        bulk_d: rows(|r| r.1),
    };
    std::fs::write(path, serde_json::to_string(&table)?)?;
    Ok(())
}

/// The quantiles at [`LEVELS`], rounded to four digits.
fn quantiles(mut values: Vec<f64>) -> Quantiles {
    values.sort_by(f64::total_cmp);
    LEVELS.map(|level| {
        let q = quantile(&values, level);
        let digits = 10f64.powf(3.0 - q.log10().floor());
        (q * digits).round() / digits
    })
}
