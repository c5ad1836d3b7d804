//! Null directions, dead vectors and moments of the entries.

/// A null direction is below this share of the median of the signal (1e-3 in singular values).
const NULL_LEVEL: f64 = 1e-6;
/// The gap above the null directions is at least this factor.
const NULL_GAP: f64 = 10.0;

/// The null directions have no heavy tail of their own: the largest is at most this factor above
/// their median, or it is below [`ROUNDING`].
const NULL_SPREAD: f64 = 1e3;
/// Share of the largest value below which a value is only rounding.
const ROUNDING: f64 = 1e-13;

/// Number of null values among ascending, non-negative ones.
///
/// They are the values below the highest gap whose lower side is negligible compared with the
/// median of the values above it. The median is that of the upper part, so the function also works
/// for a spectrum with 95 % null directions.
pub(crate) fn null_directions(sorted: &[f64]) -> usize {
    // Smaller values are decided by rounding, so they count as this floor.
    let top = sorted[sorted.len() - 1];
    let floor = top * 1e-16;
    let at = |i: usize| sorted[i].max(floor);
    (1..sorted.len())
        .rev()
        .find(|&j| {
            let above = at(j + (sorted.len() - j) / 2);
            let plain = at(j - 1) <= NULL_SPREAD * at(j / 2) || at(j - 1) <= ROUNDING * top;
            at(j - 1) <= NULL_LEVEL * above && at(j) >= NULL_GAP * at(j - 1) && plain
        })
        .unwrap_or(0)
}

/// Number of rows of a tall matrix, or of columns of a wide one, that are not negligible compared
/// with the others.
pub(super) fn count_effective_vectors(rows: usize, cols: usize, values: &[f64]) -> usize {
    let mut norms: Vec<f64>;
    if rows >= cols {
        norms = values.chunks_exact(cols).map(sum_of_squares).collect();
    } else {
        norms = vec![0.0; cols];
        for row in values.chunks_exact(cols) {
            for (norm, v) in norms.iter_mut().zip(row) {
                *norm += v * v;
            }
        }
    }
    norms.sort_unstable_by(f64::total_cmp);
    norms.len() - null_directions(&norms)
}

fn sum_of_squares(row: &[f64]) -> f64 {
    const SUMS: usize = 8;
    let mut sums = [0.0; SUMS];
    let chunks = row.chunks_exact(SUMS);
    let rest: f64 = chunks.remainder().iter().map(|v| v * v).sum();
    for chunk in chunks {
        for (sum, v) in sums.iter_mut().zip(chunk) {
            *sum += v * v;
        }
    }
    sums.iter().sum::<f64>() + rest
}

/// Moments of the entries, computed in one pass.
pub(super) struct Moments {
    /// The largest magnitude, or infinity if an entry is not finite.
    pub(super) largest: f64,
    square: f64,
    fourth: f64,
}

impl Moments {
    pub(super) fn new(values: &[f64]) -> Self {
        Self::scaled(values, 1.0)
    }

    fn scaled(values: &[f64], unit: f64) -> Self {
        // Several independent sums, so that additions need not wait for each other.
        const LANES: usize = 4;
        let (mut top, mut zero) = ([0f64; LANES], [0f64; LANES]);
        let (mut square, mut fourth) = ([0f64; LANES], [0f64; LANES]);
        let chunks = values.chunks_exact(LANES);
        let rest = chunks.remainder();
        let mut see = |i: usize, v: f64| {
            let v = (v * unit).abs();
            top[i] = if v > top[i] { v } else { top[i] };
            // Zero times a value that is not finite is NaN.
            zero[i] += 0.0 * v;
            let s = v * v;
            square[i] += s;
            fourth[i] += s * s;
        };
        for chunk in chunks {
            for (i, v) in chunk.iter().enumerate() {
                see(i, *v);
            }
        }
        for (i, v) in rest.iter().enumerate() {
            see(i, *v);
        }
        let finite = zero.iter().all(|z| *z == 0.0);
        Self {
            largest: if finite {
                top.into_iter().fold(0.0, f64::max)
            } else {
                f64::INFINITY
            },
            square: square.iter().sum(),
            fourth: fourth.iter().sum(),
        }
    }

    /// Kurtosis Σw⁴·count/(Σw²)² of the entries outside dead vectors, which are the share `live` of
    /// all. It is 3 for a normal law.
    pub(super) fn kurtosis(&self, values: &[f64], live: f64) -> f64 {
        // Fourth powers leave the range of f64 for entries that are well inside it.
        if !(1e-60..1e60).contains(&self.largest) && self.largest > 0.0 && self.largest.is_finite()
        {
            let unit = (-self.largest.log2().floor()).exp2();
            return Self::scaled(values, unit).kurtosis(values, live);
        }
        self.fourth / self.square / self.square * values.len() as f64 * live
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::law::MarchenkoPastur;

    #[test]
    fn null_directions_are_counted_at_any_share() {
        for share in [0.1, 0.5, 0.95] {
            let m = 400;
            let zeros = (share * m as f64) as usize;
            let law = MarchenkoPastur::new(1.0, 1000, m - zeros).unwrap();
            let mut x = MarchenkoPastur::new(1e-8, zeros, zeros)
                .unwrap()
                .midpoint_quantiles(zeros);
            x.extend(law.midpoint_quantiles(m - zeros));
            assert_eq!(null_directions(&x), zeros);
        }
    }

    #[test]
    fn the_hard_edge_of_a_square_matrix_is_not_null() {
        let x = MarchenkoPastur::new(1.0, 2000, 2000)
            .unwrap()
            .midpoint_quantiles(2000);
        assert_eq!(null_directions(&x), 0);
    }

    #[test]
    fn one_huge_spike_does_not_make_the_rest_null() {
        let mut x = MarchenkoPastur::new(1.0, 400, 200)
            .unwrap()
            .midpoint_quantiles(200);
        x[199] = 1e4;
        assert_eq!(null_directions(&x), 0);
    }

    #[test]
    fn a_heavy_tail_below_one_giant_is_not_null() {
        // Entries with μ < 1: the top eigenvalues lie orders of magnitude apart.
        let mut x: Vec<f64> = (1..200)
            .map(|i| (200.0 / f64::from(200 - i)).powi(3))
            .collect();
        x.push(x[198] * 1e8);
        assert_eq!(null_directions(&x), 0);
    }

    #[test]
    fn dead_rows_do_not_count() {
        let mut w: Vec<f64> = (0..60 * 4).map(|i| ((i * 37) % 11) as f64 - 5.2).collect();
        w[..40].fill(1e-7);
        assert_eq!(count_effective_vectors(60, 4, &w), 50);
        let transposed: Vec<f64> = (0..240).map(|i| w[(i % 60) * 4 + i / 60]).collect();
        assert_eq!(count_effective_vectors(4, 60, &transposed), 50);
    }
}
