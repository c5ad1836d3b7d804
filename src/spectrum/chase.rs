//! Bulge chasing, the reduction of a band matrix to a tridiagonal one (Bischof, Lang and Sun, *A
//! framework for symmetric band reduction*, 2000; LAPACK's `dsytrd_sb2st`; the kernels are those of
//! Haidar, Ltaief and Dongarra 2011).
//!
//! A sweep makes one column tridiagonal by a reflection of b rows. The reflection acts from both
//! sides, so it fills the block below the diagonal block. A second reflection annihilates the first
//! column of the fill, and so on to the end of the matrix. The next sweep moves the rest of the
//! fill. The reduction needs 6·b·n² flops.
//!
//! Several sweeps run at once, each one block behind the one before. So a block is used several
//! times while it is in the cache.

use pulp::{Arch, Simd, WithSimd};

use crate::scratch::{Buffer, Scratch};

use super::kernels::{TILE, dot, dots, gemv, rank2, tile_times, tile_update};

/// Number of entries that the active sweeps may span: half of a usual second-level cache.
const CACHE_ENTRIES: usize = 1 << 17;

/// The lower half of a symmetric band matrix, by columns from the diagonal down, with space for the
/// fill.
pub(super) struct Band {
    entries: Buffer,
    n: usize,
    width: usize,
}

impl Band {
    /// The matrix with these entries on the diagonal and on the `width` ≥ 1 subdiagonals.
    pub(super) fn new(
        n: usize,
        width: usize,
        entry: impl Fn(usize, usize) -> f64,
        scratch: &Scratch,
    ) -> Self {
        let height = 2 * width;
        let mut entries = Buffer::filled(n * height + 2 * TILE, 0.0, scratch);
        for (j, column) in entries.chunks_exact_mut(height).take(n).enumerate() {
            for (i, value) in column.iter_mut().take((width + 1).min(n - j)).enumerate() {
                *value = entry(i + j, j);
            }
        }
        Self { entries, n, width }
    }

    /// The entry in row i of column j ≤ i.
    #[cfg(test)]
    pub(super) fn entry(&self, i: usize, j: usize) -> f64 {
        if i - j <= self.width {
            self.entries[j * 2 * self.width + i - j]
        } else {
            0.0
        }
    }

    /// Diagonal and subdiagonal of a tridiagonal matrix with the same eigenvalues. The entries must
    /// be of moderate scale.
    pub(super) fn tridiagonal(mut self) -> (Vec<f64>, Vec<f64>) {
        if self.width > 1 {
            Arch::new().dispatch(Chase { band: &mut self });
        }
        let column = |j: usize| &self.entries[j * 2 * self.width..];
        (
            (0..self.n).map(|j| column(j)[0]).collect(),
            (1..self.n).map(|j| column(j - 1)[1]).collect(),
        )
    }
}

struct Chase<'a> {
    band: &'a mut Band,
}

impl WithSimd for Chase<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (n, b) = (self.band.n, self.band.width);
        let padded = b.next_multiple_of(TILE);
        let together = (CACHE_ENTRIES / (2 * b * b)).max(1);
        let mut reflections: Vec<Reflection> =
            (0..together).map(|_| Reflection::new(padded)).collect();
        let mut scratch = vec![0.0; 4 * padded];
        let mut first = 0;
        while first + 2 < n {
            let sweeps = together.min(n - 2 - first);
            let blocks = (n - 1 - first).div_ceil(b);
            for time in 0..blocks + sweeps {
                for (s, reflection) in reflections.iter_mut().enumerate().take(sweeps) {
                    let Some(block) = time.checked_sub(s) else {
                        break;
                    };
                    let column = first + s;
                    let row = column + 1 + block * b;
                    if row >= n {
                        continue;
                    }
                    if block == 0 {
                        let start = column * 2 * b + 1;
                        let x = &mut self.band.entries[start..start + b.min(n - row)];
                        x[0] = reflection.annihilate(x);
                        x[1..].fill(0.0);
                    }
                    step(simd, self.band, row, reflection, &mut scratch);
                }
            }
            first += sweeps;
        }
    }
}

/// I − τ·v·vᵀ with v₀ = 1. `v` is padded with zeros.
struct Reflection {
    v: Vec<f64>,
    tau: f64,
}

impl Reflection {
    fn new(padded: usize) -> Self {
        Self {
            v: vec![0.0; padded],
            tau: 0.0,
        }
    }

    /// Make this the reflection that maps x to a multiple of e₀, and return that multiple.
    #[inline(always)]
    fn annihilate(&mut self, x: &[f64]) -> f64 {
        /// Squares below this have lost digits. Their roots are negligible beside entries of
        /// moderate scale.
        const NEGLIGIBLE_SQUARE: f64 = f64::MIN_POSITIVE / f64::EPSILON;
        self.v.fill(0.0);
        self.v[..x.len()].copy_from_slice(x);
        let mut sums = [0.0; TILE];
        for chunk in self.v.chunks_exact(TILE) {
            for (sum, v) in sums.iter_mut().zip(chunk) {
                *sum += v * v;
            }
        }
        // The total minus x₀² would suffer from cancellation.
        sums[0] = self.v.iter().skip(TILE).step_by(TILE).map(|v| v * v).sum();
        let tail: f64 = sums.iter().sum();
        let head = x[0];
        self.v[0] = 1.0;
        if tail <= NEGLIGIBLE_SQUARE {
            self.tau = 0.0;
            self.v[1..].fill(0.0);
            return head;
        }
        let image = -(head * head + tail).sqrt().copysign(head);
        self.tau = (image - head) / image;
        let inverse = 1.0 / (head - image);
        for v in &mut self.v[1..] {
            *v *= inverse;
        }
        image
    }
}

/// Apply a reflection of the rows from `row` to the diagonal block there and to the block below.
/// Then replace it by the reflection that annihilates the first column of the fill.
#[inline(always)]
fn step<S: Simd>(
    simd: S,
    band: &mut Band,
    row: usize,
    reflection: &mut Reflection,
    scratch: &mut [f64],
) {
    let (n, b) = (band.n, band.width);
    let step = 2 * b - 1;
    let size = b.min(n - row);
    let at = row * 2 * b;
    let (p, rest) = scratch.split_at_mut(scratch.len() / 4);
    diagonal(simd, &mut band.entries, at, step, size, reflection, p);

    let below = b.min(n - row - size);
    if below == 0 {
        return;
    }
    let at = at + size;
    let padded = below.next_multiple_of(TILE);
    let (y, rest) = rest.split_at_mut(rest.len() / 3);
    let (z, old) = rest.split_at_mut(rest.len() / 2);
    let y = &mut y[..padded];
    old.copy_from_slice(&reflection.v);
    let (old, tau) = (&old[..size], reflection.tau);
    y.fill(0.0);
    gemv(simd, &band.entries, at, step, old, y);
    y[below..].fill(0.0);
    y.iter_mut().for_each(|y| *y *= tau);
    let first = &mut band.entries[at..at + below];
    for (x, y) in first.iter_mut().zip(&*y) {
        *x -= y;
    }
    first[0] = reflection.annihilate(first);
    first[1..].fill(0.0);

    let u = &mut reflection.v[..padded];
    let z = &mut z[..size - 1];
    z.fill(0.0);
    dots(simd, &band.entries, at + step, step, u, z);
    let common = dot(simd, u, y);
    for (z, v) in z.iter_mut().zip(&old[1..]) {
        *z = reflection.tau * (*z - common * v);
    }
    rank2(
        simd,
        &mut band.entries,
        at + step,
        step,
        (y, &old[1..]),
        (u, z),
    );
}

/// Apply the reflection from both sides to a diagonal block D: D − v·pᵀ − p·vᵀ with
/// p = τ(Dv − τ/2·(vᵀDv)·v).
#[inline(always)]
fn diagonal<S: Simd>(
    simd: S,
    a: &mut [f64],
    at: usize,
    step: usize,
    size: usize,
    reflection: &Reflection,
    p: &mut [f64],
) {
    let padded = size.next_multiple_of(TILE);
    let v = &reflection.v[..padded];
    let p = &mut p[..padded];
    p.fill(0.0);
    for c in (0..size).step_by(TILE) {
        let end = (c + TILE).min(size);
        // The start is row c of column c. `below` begins at row `end`.
        let start = at + c * (step + 1);
        let (here, below) = p.split_at_mut((c + TILE).min(padded));
        if end == c + TILE {
            tile_times(simd, a, start, step, &v[c..end], &mut here[c..]);
        } else {
            for k in c..end {
                let column = &a[at + k * (step + 1)..][..end - k];
                here[k] += column[0] * v[k];
                for i in 1..column.len() {
                    here[k + i] += column[i] * v[k];
                    here[k] += column[i] * v[k + i];
                }
            }
        }
        if end < size {
            gemv(simd, a, start + TILE, step, &v[c..end], below);
            dots(simd, a, start + TILE, step, &v[end..], &mut here[c..]);
        }
    }
    p[size..].fill(0.0);
    let tau = reflection.tau;
    let half = 0.5 * tau * dot(simd, v, p);
    for (p, v) in p.iter_mut().zip(v) {
        *p = tau * (*p - half * v);
    }
    for c in (0..size).step_by(TILE) {
        let end = (c + TILE).min(size);
        let start = at + c * (step + 1);
        if end == c + TILE {
            tile_update(simd, a, start, step, &v[c..end], &p[c..end]);
        } else {
            for k in c..end {
                let column = &mut a[at + k * (step + 1)..][..end - k];
                for (i, x) in column.iter_mut().enumerate() {
                    *x -= v[k + i] * p[k] + p[k + i] * v[k];
                }
            }
        }
        if end < size {
            let left = (&v[end..], &p[c..end]);
            let right = (&p[end..], &v[c..end]);
            rank2(simd, a, start + TILE, step, left, right);
        }
    }
}

#[cfg(test)]
mod tests {
    use faer::Mat;
    use rand::{RngExt, SeedableRng};

    use super::*;

    #[test]
    fn the_tridiagonal_matrix_has_the_same_eigenvalues() {
        let mut rng = rand_pcg::Pcg64::seed_from_u64(5);
        for width in [1usize, 2, 3, 4, 7, 8, 9, 16, 19, 33] {
            for n in [1, 2, 3, 7, width + 1, width + 2, 2 * width + 3, 61, 90] {
                let width = width.min(n.max(2) - 1);
                let value = Mat::from_fn(n, n, |_, _| rng.random::<f64>() - 0.5);
                let band = Band::new(n, width, |i, j| value[(i, j)], &Scratch::default());
                let a = Mat::from_fn(n, n, |i, j| band.entry(i.max(j), i.min(j)));
                let (d, e) = band.tridiagonal();
                let t = Mat::from_fn(n, n, |i: usize, j: usize| match i.abs_diff(j) {
                    0 => d[i],
                    1 => e[i.min(j)],
                    _ => 0.0,
                });
                let ours = t.self_adjoint_eigenvalues(faer::Side::Lower).unwrap();
                let theirs = a.self_adjoint_eigenvalues(faer::Side::Lower).unwrap();
                for (x, y) in ours.iter().zip(&theirs) {
                    assert!((x - y).abs() < 1e-14 * n as f64, "{width} {n}: {x} {y}");
                }
            }
        }
    }

    #[test]
    fn registers_of_any_width_give_the_same() {
        fn by(simd: impl Simd, width: usize) -> Vec<f64> {
            let mut band = Band::new(
                71,
                width,
                |i, j| ((i * 7 + j * j) as f64).sin(),
                &Scratch::default(),
            );
            Chase { band: &mut band }.with_simd(simd);
            let column = |j: usize| &band.entries[j * 2 * width..][..2];
            (0..70).flat_map(column).copied().collect()
        }
        for width in [2, 8, 11, 32] {
            let scalar = by(pulp::Scalar, width);
            for other in [
                by(pulp::Scalar128b, width),
                by(pulp::Scalar256b, width),
                by(pulp::Scalar512b, width),
            ] {
                for (x, y) in scalar.iter().zip(&other) {
                    // Only rounding can make signs differ.
                    assert!((x.abs() - y.abs()).abs() < 1e-9, "{width}: {x} {y}");
                }
            }
        }
    }

    #[test]
    fn a_reflection_annihilates_and_keeps_the_norm() {
        let mut reflection = Reflection::new(16);
        let x: Vec<f64> = (0..11).map(|i| f64::from(i) - 3.5).collect();
        let image = reflection.annihilate(&x);
        let vx: f64 = reflection.v.iter().zip(&x).map(|(v, x)| v * x).sum();
        for (i, x) in x.iter().enumerate() {
            let wanted = if i == 0 { image } else { 0.0 };
            assert!((x - reflection.tau * vx * reflection.v[i] - wanted).abs() < 1e-14);
        }
        let norm = x.iter().map(|x| x * x).sum::<f64>().sqrt();
        assert!((image.abs() - norm).abs() < 1e-14);
        assert_eq!(reflection.annihilate(&[2.0, 0.0, 1e-170]), 2.0);
        assert_eq!(reflection.tau, 0.0);
    }
}
