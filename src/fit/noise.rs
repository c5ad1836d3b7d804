//! Pure noise of a layer's own shape: the null distributions of α and of the bulk's D.
//!
//! `noise.json` contains quantiles of both over a grid of (M, M/N). The program `cargo run
//! --release --example calibrate` simulates them with the fits of this crate. Between grid points
//! the logarithms are interpolated linearly in (ln M, √(M/N)). Outside the grid the value at its
//! nearest edge is used, except for large M: there the last step is extrapolated up to four times
//! (M = 16,384).

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

/// Exponent that the tail fit finds in pure noise of the same N and M.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NoiseAlpha {
    /// 5 % of noise matrices have a smaller α.
    pub low: f64,
    /// Median.
    pub median: f64,
    /// 5 % of noise matrices have a larger α.
    pub high: f64,
}

/// Levels of the table's quantiles.
pub const LEVELS: [f64; 7] = [0.05, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99];

/// Simulated quantiles over a grid of shapes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// How the table was made.
    pub provenance: String,
    /// The sizes M, ascending.
    pub m: Vec<usize>,
    /// The shapes M/N, ascending.
    pub c: Vec<f64>,
    /// Quantiles of α at [`LEVELS`], for each M (outer) and each shape (inner).
    pub alpha: Vec<Vec<[f64; 7]>>,
    /// Quantiles of M·D at [`LEVELS`], in the same order.
    pub bulk_d: Vec<Vec<[f64; 7]>>,
}

fn table() -> Option<&'static Table> {
    static TABLE: OnceLock<Option<Table>> = OnceLock::new();
    TABLE
        .get_or_init(|| serde_json::from_str(include_str!("noise.json")).ok())
        .as_ref()
}

impl Table {
    /// The quantiles at a shape, interpolated in one of the two tables.
    fn at(&self, cells: &[Vec<[f64; 7]>], n: usize, m: usize) -> [f64; 7] {
        let ms: Vec<f64> = self.m.iter().map(|&m| (m as f64).ln()).collect();
        let cs: Vec<f64> = self.c.iter().map(|c| c.sqrt()).collect();
        let (i, s) = cell(&ms, (m as f64).ln(), true);
        let (j, t) = cell(&cs, (m as f64 / n as f64).sqrt(), false);
        std::array::from_fn(|k| {
            let ln = |i: usize, j: usize| cells[i][j][k].ln();
            let (low, high) = (
                ln(i, j) * (1.0 - t) + ln(i, j + 1) * t,
                ln(i + 1, j) * (1.0 - t) + ln(i + 1, j + 1) * t,
            );
            (low * (1.0 - s) + high * s).exp()
        })
    }
}

/// The interval of an ascending grid that holds x, and the position of x in it. Inside the interval
/// the position is from 0 to 1. Beyond the grid it is 0 or 1, or up to 4 above a `continued` grid.
fn cell(grid: &[f64], x: f64, continued: bool) -> (usize, f64) {
    let i = grid
        .partition_point(|&g| g <= x)
        .clamp(1, grid.len().max(2) - 1)
        - 1;
    let part = (x - grid[i]) / (grid[i + 1] - grid[i]);
    (i, part.clamp(0.0, if continued { 4.0 } else { 1.0 }))
}

/// α of pure n×m noise, n ≥ m: median, 5 % and 95 % quantiles. `None` if m is below the table's
/// smallest M.
pub fn noise_alpha(n: usize, m: usize) -> Option<NoiseAlpha> {
    let table = table()?;
    (m >= *table.m.first()?).then(|| {
        let q = table.at(&table.alpha, n, m);
        NoiseAlpha {
            low: q[0],
            median: q[2],
            high: q[5],
        }
    })
}

/// The distribution of D for noise.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BulkDistance {
    quantiles: [f64; 7],
}

/// The distribution of D for a bulk of `count` eigenvalues of noise with longer side n.
pub(crate) fn bulk_distance(n: usize, count: usize) -> BulkDistance {
    let count = count.max(1);
    let scaled = match table() {
        Some(table) => table.at(&table.bulk_d, n.max(count), count),
        None => [f64::NAN; 7],
    };
    BulkDistance {
        quantiles: scaled.map(|q| q / count as f64),
    }
}

impl BulkDistance {
    /// The D with P(D of noise ≤ D) = `level`, for levels in the range of [`LEVELS`].
    pub(crate) fn quantile(&self, level: f64) -> f64 {
        let (i, t) = cell(&LEVELS, level, false);
        self.quantiles[i] * (1.0 - t) + self.quantiles[i + 1] * t
    }

    /// P(D of noise > d). Beyond the table's 99 % point the tail is extrapolated exponentially,
    /// which is right to an order of magnitude only.
    pub(crate) fn survival(&self, d: f64) -> f64 {
        let (i, t) = cell(&self.quantiles, d, false);
        let tail = |level: f64| (1.0 - level).ln();
        if t >= 1.0 && i + 2 == LEVELS.len() {
            let (a, b) = (self.quantiles[i], self.quantiles[i + 1]);
            let slope = (tail(LEVELS[i + 1]) - tail(LEVELS[i])) / (b - a);
            return (tail(LEVELS[i + 1]) + slope * (d - b)).exp();
        }
        (tail(LEVELS[i]) * (1.0 - t) + tail(LEVELS[i + 1]) * t).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_of_known_shapes() {
        // Medians of an independent simulation (NumPy), within its own error.
        for (n, m, median) in [
            (4096, 384, 14.7),
            (2450, 500, 12.8),
            (384, 192, 7.7),
            (256, 256, 6.6),
            (120, 84, 5.0),
            (60, 30, 3.7),
        ] {
            let alpha = noise_alpha(n, m).unwrap();
            assert!(
                (alpha.median / median).ln().abs() < 0.12,
                "{n}×{m}: {alpha:?}"
            );
            assert!(alpha.low < alpha.median && alpha.median < alpha.high);
        }
        assert_eq!(noise_alpha(20, 4), None);
        assert!(noise_alpha(20_000, 8192).unwrap().median > 15.0);
    }

    #[test]
    fn the_distance_has_a_p_value() {
        let null = bulk_distance(1000, 300);
        // M·D ≈ 0.85 + 0.42 ln M at 95 %.
        let expected = (0.85 + 0.42 * 300f64.ln()) / 300.0;
        assert!((null.quantile(0.95) / expected).ln().abs() < 0.2);
        assert!((null.survival(null.quantile(0.95)) - 0.05).abs() < 1e-6);
        assert!(null.survival(3.0 * expected) < 1e-3);
        assert!(null.survival(0.0) > 0.9);
    }
}
